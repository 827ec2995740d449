"""What the real peers of the wire tests share: where they live, that they are installed, and that they really end.

Nothing here skips: a machine that lacks a peer fails the test with the one line that installs it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PACKAGES: Final = "postfix dovecot-imapd dovecot-lmtpd dovecot-sieve swaks libnet-ssleay-perl strace e2fsprogs"
POLL: Final = 0.02
"""Seconds between two looks at something that is awaited."""
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
_PORTS: Final = range(20_000 + 3_000 * _WORKER, 23_000 + 3_000 * _WORKER)
"""Below the range that the kernel takes source ports from, so that nobody gets one between the look and the use; each
process that runs tests has its own part of it."""
START: Final = 120.0
"""Seconds in which a peer must be up, on a machine that is busy with other things."""
_taken: set[int] = set()


class PeerError(RuntimeError):
    """A peer did not do its part; holds what it said."""


def need(*programs: str, root: bool = False) -> None:
    """Fail the test at once, with the line to run, if a program is not installed or root is needed and missing."""
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found; run: apt-get install -y {PACKAGES}", pytrace=False)
    if root and os.geteuid() != 0:
        pytest.fail("a private Postfix or Dovecot can only be started by root; run: sudo make test", pytrace=False)


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on, another one each time."""
    for port in random.SystemRandom().sample(_PORTS, 200):
        with socket.socket() as probe, suppress(OSError):
            if port not in _taken:
                probe.bind(("127.0.0.1", port))
                _taken.add(port)
                return port
    raise PeerError("no free port")


@contextmanager
def short_directory(prefix: str) -> Iterator[Path]:
    """Make a directory directly below /tmp that every user may enter (socket paths end at 107 octets), remove it."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def wait_for(ready: Callable[[], bool], what: str, *, seconds: float = 60.0) -> None:
    """Return as soon as `ready` says so; raises `PeerError` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise PeerError(f"waited {seconds:g} s for {what}")
        time.sleep(POLL)


def wait_until_up(
    process: subprocess.Popen[bytes], name: str, addresses: Sequence[str | int], *logs: Path, seconds: float = START
) -> None:
    """Return once somebody listens at every address; raises `PeerError` with the logs if the process ends before."""

    def ready() -> bool:
        return process.poll() is not None or all(map(listening, addresses))

    try:
        wait_for(ready, f"{name} to listen", seconds=seconds)
        ended = process.poll() is not None
    except PeerError:
        ended = True
    if ended:
        said = "\n".join(each.read_text(errors="replace") for each in logs if each.exists())
        raise PeerError(f"{name} does not come up (exit code {process.poll()}):\n{said}")


def listening(address: str | int) -> bool:
    """Return whether somebody accepts connections at a loopback port or a UNIX socket."""
    unix = isinstance(address, str)
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as probe:
        probe.settimeout(1)
        return probe.connect_ex(address if unix else ("127.0.0.1", address)) == 0


@contextmanager
def child(
    command: Sequence[str], *, output: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as leader of its own process group; nothing of the group outlives the context or this process.

    Should this process be killed, a shell that waits for the end of its pipe kills the group. (The kernel's own means,
    PR_SET_PDEATHSIG, is lost as soon as the program changes its user.)
    """
    with output.open("ab") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=env,
        )
    guard = subprocess.Popen(
        ("sh", "-c", 'read _; kill -9 "-$1"', "guard", str(process.pid)), stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        end_group(process)
        guard.kill()
        guard.communicate()


def end_group(process: subprocess.Popen[bytes], *, patience: float = 5.0) -> int:
    """Ask a process to end, then make its whole group; return its exit code (negative: the signal)."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait(patience)
