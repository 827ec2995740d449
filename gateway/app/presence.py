"""How a running gateway is found and asked: `gateway.pid`, which it holds locked, and `gateway.state`, which it writes.

The number in the file is for people. Who runs is said by the kernel: a lock lives exactly as long as its process, so no
signal can reach a stranger that got an old number.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Protocol

from gateway.durable import replace_file

if TYPE_CHECKING:
    from pathlib import Path

_PID: Final = "gateway.pid"
_STATE: Final = "gateway.state"
_FLOCK: Final = "hhqqi4x"
"""`struct flock` of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid."""
MOST_OCTETS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class State:
    """What a gateway says of itself after its start and after each reload."""

    policy: str
    """Digest of the policy that mail sees now."""
    loads: int
    """Attempts to read everything, the start included; grows with each reload, also with a refused one."""
    at: str
    """Time of the last attempt, ISO 8601."""
    mistakes: tuple[str, ...] = ()
    """Why the last attempt was refused; empty if it was taken."""


def read_state(octets: bytes) -> State | None:
    """Return a state from its JSON, None for anything else."""
    try:
        found = json.loads(octets)
    except ValueError:
        return None
    match found:
        case {"policy": str(policy), "loads": int(loads), "at": str(at), "mistakes": list(mistakes)}:
            return State(policy, loads, at, tuple(map(str, mistakes)))
    return None


class Present(Protocol):
    """How a gateway is present to others: by files of its own, or through its supervisor."""

    @property
    def pid(self) -> int:
        """The process that holds the lock."""
        ...

    @property
    def worker(self) -> int:
        """Which of its workers we are, from 0."""
        ...

    def claim(self) -> bool:
        """Say that we run; returns False if another gateway does. Raises `OSError`."""
        ...

    def report(self, state: State) -> None:
        """Say our state. Raises `OSError`."""
        ...

    def release(self) -> None:
        """Say that we do not run any more."""
        ...


class Presence:
    """The files of one running gateway, in its spool directory; it must never be why mail stops."""

    def __init__(self, directory: Path) -> None:
        """Touch nothing yet."""
        self._directory = directory
        self._descriptor: int | None = None
        self.pid = os.getpid()
        self.worker = 0

    def claim(self) -> bool:
        """Say that we run; returns False if another gateway on this spool does. Raises `OSError`."""
        descriptor = os.open(self._directory / _PID, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            # a lock of the process, not of the descriptor: children do not inherit it
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(descriptor)
            if error.errno in {errno.EACCES, errno.EAGAIN}:
                return False
            raise
        self._descriptor = descriptor
        return True

    def report(self, state: State) -> None:
        """Write the state, whole or not at all, if we are the one that claimed. Raises `OSError`."""
        if self._descriptor is None:
            return
        replace_file(self._directory / _STATE, json.dumps(asdict(state)).encode("ascii"), durable=False)

    def release(self) -> None:
        """Say that we do not run any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that runs on a spool, as another process sees it."""

    directory: Path
    pid: int

    def state(self) -> State | None:
        """Return what it last said, None if it said nothing readable. Raises `OSError`."""
        try:
            with (self.directory / _STATE).open("rb") as file:
                return read_state(file.read(MOST_OCTETS))
        except FileNotFoundError:
            return None

    def ask_to_reload(self) -> bool:
        """Send SIGHUP to exactly this process; returns False if it ended meanwhile. Raises `OSError`."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if holder(self.directory) != self.pid:  # the handle is of whoever holds the lock now, or of nobody
                return False
            signal.pidfd_send_signal(handle, signal.SIGHUP)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


def find_running(directory: Path) -> Running | None:
    """Return the gateway that runs on a spool; raises `OSError`, such as for a directory that is closed to us."""
    pid = holder(directory)
    return Running(directory, pid) if pid is not None else None


def holder(directory: Path) -> int | None:
    """Return the process that holds the lock, as the kernel has it. Never for the gateway's own process."""
    try:
        descriptor = os.open(directory / _PID, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return pid if kind != fcntl.F_UNLCK and pid > 0 else None
