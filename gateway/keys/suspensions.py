"""The switch that stops a key at once: an append-only file of who suspended or resumed which key, when and why.

It fails closed: a file that was there and is gone, that others can write to, or that has one line nobody can read,
suspends every key, and says so as an error. No line is ever changed or taken out by us, and nothing is a secret here.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakValueDictionary

import structlog

from gateway.core.errors import SetupError
from gateway.durable import sync_directory

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

_LOG: Final = structlog.get_logger("gateway.keys")
LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the file, at least."""
MAX_REASON: Final = 500
"""Characters."""
_PATIENCE: Final = 10.0
"""Seconds for which somebody may hold the lock; a writer needs milliseconds."""
_MAX_OCTETS: Final = 64 * 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SAFELY: Final = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
"""A link or a FIFO in the file's place must lead root nowhere, and stop nobody."""
_KEYS: Final = frozenset({"at", "who", "action", "label", "reason"})

Action = Literal["suspend", "resume"]
Signature = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why a key may not sign, in the words of whoever stopped it."""

    label: str
    at: str
    """ISO 8601 with offset."""
    who: str
    reason: str


class Suspensions:
    """The suspended keys, as the file says now; looked at when somebody asks, at most once a second."""

    def __init__(self, path: Path) -> None:
        """Read the file; a file that was never there suspends nobody. Never raises: what is unreadable stops all."""
        self._path = path
        self._found: Mapping[str, Suspension] = {}
        self._signature: Signature | None = None
        self._fault: str | None = None
        self._locked_since: float | None = None
        self._look(time.monotonic())

    @classmethod
    def at(cls, path: Path) -> Suspensions:
        """Return the one object of this process for a file: a reload must not forget that there was one."""
        known = _KNOWN.get(path)
        if known is None:
            known = _KNOWN[path] = cls(path)
        return known

    def __repr__(self) -> str:
        return f"Suspensions({len(self._found)} keys)"

    def suspended(self, label: str) -> bool:
        """Return whether the key may not sign; costs a comparison or two but once a second."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY:
            self._look(now)
        return label in self._found or self._fault is not None

    def look(self) -> None:
        """Read the file now if it is another one than before: somebody knows that it changed."""
        self._look(time.monotonic())

    @property
    def fault(self) -> str | None:
        """Why every key is suspended, for administrators; None while the file can be read."""
        return self._fault

    def of(self, label: str) -> Suspension | None:
        """Return what the file says about a key."""
        return self._found.get(label)

    def _look(self, now: float) -> None:
        """Read the file again if it is another one than before."""
        self._looked_at = now
        try:
            signature = _signature(self._path.stat())
            if signature == self._signature and self._fault is None:
                return
            found = read_suspensions(self._path)
        except FileNotFoundError:
            if self._signature is not None:
                self._close(f"{self._path}: is gone")
        except BlockingIOError:
            self._locked_since = now if self._locked_since is None else self._locked_since
            if now - self._locked_since >= _PATIENCE:
                self._close(f"{self._path}: is locked by somebody")
        except OSError as error:
            self._close(f"{self._path}: cannot be read: {error.strerror}")
        except SetupError as error:
            self._close("; ".join(error.mistakes))
        else:
            if self._fault is not None or found != self._found:
                _LOG.warning("the state of keys was read again", suspended=sorted(found))
            self._found, self._signature, self._fault, self._locked_since = found, signature, None, None

    def _close(self, words: str) -> None:
        """Suspend every key; said once for each cause."""
        if words != self._fault:
            _LOG.error("the state of keys is unreadable, every key is suspended", reason=words)
        self._fault = words


_KNOWN: Final[WeakValueDictionary[Path, Suspensions]] = WeakValueDictionary()


def read_suspensions(path: Path) -> dict[str, Suspension]:
    """Return what is suspended, by label; raises `SetupError`, `OSError`, and `BlockingIOError` while it is written."""
    descriptor = os.open(path, os.O_RDONLY | _SAFELY)
    with os.fdopen(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor))
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        octets = file.read(_MAX_OCTETS + 1)
    return _folded(path, octets)


def append(path: Path, action: Action, label: str, *, who: str, reason: str, now: dt.datetime) -> None:
    """Write one line and return when it survives a power failure; `now` is aware.

    Raises `SetupError` for a reason that is no single short line, and as `write` does.
    """
    check_reason(reason)
    write(path, action, Suspension(label, now.isoformat(timespec="seconds"), who, reason))


def write(path: Path, action: Action, given: Suspension) -> None:
    """Write a line as it is and return when it survives a power failure.

    Raises `SetupError` for a file that is not ours or unreadable already: nothing is added to what nobody can read, and
    a line that could not be written as a whole is taken back.
    """
    line = {"at": given.at, "who": given.who, "action": action, "label": given.label, "reason": given.reason}
    octets = json.dumps(line, ensure_ascii=False).encode() + b"\n"
    try:
        descriptor = _open_to_append(path)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _check(path, os.fstat(descriptor))
            before = file.readall()
            _folded(path, before)
            if os.write(descriptor, octets) != len(octets):
                os.ftruncate(descriptor, len(before))
                raise SetupError(f"{path}: the disk is full, nothing was noted")
            os.fsync(descriptor)
        sync_directory(path.parent)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from error


def check_reason(reason: str) -> None:
    """Raise `SetupError` for a reason that is no single short line."""
    if not reason.strip() or len(reason) > MAX_REASON or not reason.isprintable():
        raise SetupError(f"--reason: one line of 1 to {MAX_REASON} characters")


def _open_to_append(path: Path) -> int:
    """Open the file, made if need be; one that root makes is the directory's owner's: the gateway must read it."""
    flags = os.O_RDWR | os.O_APPEND | _SAFELY
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # somebody else made it just now
        return os.open(path, flags)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def _folded(path: Path, octets: bytes) -> dict[str, Suspension]:
    """Return what is left suspended after all lines; raises `SetupError` with the number of one that is not ours."""
    if len(octets) > _MAX_OCTETS:
        raise SetupError(f"{path}: is larger than {_MAX_OCTETS} octets")
    if octets and not octets.endswith(b"\n"):
        raise SetupError(f"{path}: its last line is cut off")
    found: dict[str, Suspension] = {}
    for number, line in enumerate(octets.splitlines(), 1):
        action, suspension = _read_line(f"{path}:{number}", line)
        if action == "suspend":
            found[suspension.label] = suspension
        else:
            found.pop(suspension.label, None)
    return found


def _read_line(place: str, line: bytes) -> tuple[str, Suspension]:
    try:
        given: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{place}: is not a line of this file") from error
    if not isinstance(given, dict) or given.keys() != _KEYS or {type(each) for each in given.values()} != {str}:
        raise SetupError(f"{place}: is not a line of this file")
    if given["action"] not in {"suspend", "resume"}:
        raise SetupError(f"{place}: unknown action")
    return given["action"], Suspension(given["label"], given["at"], given["who"], given["reason"])


def _check(path: Path, status: os.stat_result) -> None:
    """Raise `SetupError` for a file that somebody else could have written, or could have put in this place."""
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise SetupError(f"{path}: is not a regular file")
    if status.st_mode & _OTHERS:
        raise SetupError(f"{path}: open to others (mode {stat.S_IMODE(status.st_mode):04o}); run: chmod 600 {path}")
    if status.st_uid not in {0, os.geteuid(), path.parent.stat().st_uid}:
        raise SetupError(f"{path}: belongs to user {status.st_uid}, neither root nor the gateway's own")


def signature(path: Path) -> Signature | None:
    """Return what is another value once the file is another one; None while there is none that can be looked at."""
    try:
        return _signature(path.stat())
    except OSError:
        return None


def _signature(status: os.stat_result) -> Signature:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
