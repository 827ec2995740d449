"""One load through one target: what it is, and what it cost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from bench.generator import Job, Sent, pack
from bench.measuring import settled, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.targets import Target

PATIENCE: Final = 900
"""Seconds for one load."""
_POLL: Final = 0.02


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent."""

    sender: str
    to: tuple[str, ...]
    kept: bool = True
    """Many messages on one connection, or a new one for each."""
    octets: int = 0
    """Of messages that smtp-source makes, all alike."""
    made: Callable[[int], Sequence[bytes]] | None = None
    """Makes so many new messages, for our own generator to send; else smtp-source sends."""
    waits: bool = True
    """The end is when the last message was handed on; else when it was taken."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One run."""

    cpu: float
    """Milliseconds a message."""
    rate: float
    """Messages a second, from the first connection to the last hand-over."""
    resident: int
    sent: Sent


def run(target: Target, load: Load, *, count: int, sessions: int, rate: float = 0.0) -> Figure:
    """Send so many messages and measure until the last one was handed on; raises for whatever goes wrong."""
    with TemporaryDirectory(prefix="gb-") as directory:
        file = packed(load, count, Path(directory))
        before = usage(*target.pids)
        sent = send(target, load, file, count=count, sessions=sessions, rate=rate)
        lag = emptied(target.idle) if load.waits else 0.0
        after = settled(*target.pids)
    if fault := target.faults():
        raise RuntimeError(fault)
    return Figure((after.cpu - before.cpu) * 1000 / count, count / (sent.seconds + lag), after.resident, sent)


def packed(load: Load, count: int, directory: Path) -> Path:
    """Make the messages of a load and return the file they are in."""
    file = directory / "messages"
    pack(load.made(count) if load.made is not None else (), file)
    return file


def emptied(idle: Callable[[], bool]) -> float:
    """Wait until all is handed on, and return how many seconds that took."""
    began = time.perf_counter()
    while not idle():
        if time.perf_counter() - began > PATIENCE:
            raise TimeoutError("the queue is not empty")
        time.sleep(_POLL)
    return time.perf_counter() - began


def send(target: Target, load: Load, file: Path, *, count: int, sessions: int, rate: float = 0.0) -> Sent:
    """Send a load, and return when all of it was taken."""
    if load.made is None:
        return _smtp_source(target, load, count, sessions)
    place, to = str(file), load.to
    job = Job(target.port, place, count, load.sender, to, sessions, load.kept, rate, target.trusted, target.login)
    command = (sys.executable, str(Path(__file__).with_name("generator.py")))
    told = json.dumps(asdict(job))
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    said = json.loads(done.stdout)
    return Sent(said["seconds"], tuple(said["latencies"]))


def _smtp_source(target: Target, load: Load, count: int, sessions: int) -> Sent:
    """Send with Postfix's generator."""
    (to,) = load.to
    command = (
        *("smtp-source", "-s", str(sessions), "-m", str(count), *(["-d"] if load.kept else [])),
        *("-l", str(load.octets), "-f", load.sender, "-t", to, f"inet:127.0.0.1:{target.port}"),
    )
    began = time.perf_counter()
    subprocess.run(command, check=True, timeout=PATIENCE)
    return Sent(time.perf_counter() - began)
