"""What one message costs, through the whole gateway and through a plain Postfix, in the same run.

    PYTHONPATH=tests python tests/bench/bench_mail.py [--count 2000] [--sessions 20] [--repeat 3] [--workers 1] ROW...

smtp-source -> target -> smtp-sink on loopback; processor milliseconds of the target's whole process tree a message,
messages a second, and the most memory one of its processes had. Medians; the smallest and largest in brackets.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from bench.measuring import usage
from bench.targets import INBOUND, TO, Target, plain_postfix, the_gateway
from support.gateway_process import AUTHORS, NEIGHBOR, credentials
from support.letters import LAN, signed
from support.peers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY: Final = b"Kinh gui quy co quan, noi dung nhu da trao doi.\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent."""

    sender: str
    to: str
    octets: int
    kept: bool
    """Many messages on one connection, or a new one for each."""
    file: bytes | None = None
    """The message itself; else smtp-source makes one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    target: Callable[[int], Iterator[Target]]
    load: Load
    share: float = 1.0
    """Of the count: large messages are sent less often."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One run."""

    cpu: float
    """Milliseconds a message."""
    rate: float
    resident: int


def run(target: Target, load: Load, *, count: int, sessions: int) -> Figure:
    """Send so many messages and measure until the last one was handed on."""
    with TemporaryDirectory(prefix="gb-") as directory:
        options = ["-d"] if load.kept else []
        if load.file is not None:
            file = Path(directory) / "message"
            file.write_bytes(load.file.replace(b"\r\n", b"\n"))
            options += ["-F", str(file)]
        else:
            options += ["-l", str(load.octets)]
        command = (
            *("smtp-source", "-s", str(sessions), "-m", str(count), *options),
            *("-f", load.sender, "-t", load.to, f"inet:127.0.0.1:{target.port}"),
        )
        before, began = usage(target.pid), time.perf_counter()
        subprocess.run(command, check=True, timeout=600)
        wait_for(target.idle, "the last message", seconds=120)
        ended, after = time.perf_counter(), usage(target.pid)
    return Figure((after.cpu - before.cpu) * 1000 / count, count / (ended - began), after.resident)


def letter(octets: int) -> bytes:
    """Return a signed message of about so many octets, from the neighbor's office."""
    head = f"From: VP <{NEIGHBOR}>\r\nTo: {INBOUND}\r\nSubject: Giay moi\r\nDate: {_date()}\r\n".encode()
    text = (
        b"Message-ID: <moi@thanhha.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    )
    return signed(head + text + BODY * ((octets - 5000) // len(BODY)), credentials()[NEIGHBOR])


def _date() -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())


def rows() -> list[Row]:
    """Return everything that can be measured."""

    def ours(workers: int) -> Iterator[Target]:
        return the_gateway(workers=workers)

    def inward(workers: int) -> Iterator[Target]:
        return the_gateway(workers=workers, listener="inbound")

    def peer(_: int) -> Iterator[Target]:
        return plain_postfix()

    def out(author: str, octets: int, *, kept: bool) -> Load:
        return Load(author, TO, octets, kept)

    mail = letter(15_000)
    return [
        Row("postfix-10k-kept", peer, out(LAN, 10240, kept=True)),
        Row("postfix-10k-new", peer, out(LAN, 10240, kept=False)),
        Row("out-10k-kept", ours, out(LAN, 10240, kept=True)),
        Row("out-10k-new", ours, out(LAN, 10240, kept=False)),
        Row("out-10k-rsa3072", ours, out(AUTHORS["rsa3072"], 10240, kept=True)),
        Row("out-10k-p256", ours, out(AUTHORS["p256"], 10240, kept=True)),
        Row("out-1m", ours, out(LAN, 1_000_000, kept=True), 0.1),
        Row("out-10m", ours, out(LAN, 10_000_000, kept=True), 0.01),
        Row("in-15k-kept", inward, Load(NEIGHBOR, INBOUND, 0, kept=True, file=mail)),
        Row("in-15k-new", inward, Load(NEIGHBOR, INBOUND, 0, kept=False, file=mail)),
    ]


@contextmanager
def _target(row: Row, workers: int) -> Iterator[Target]:
    with row.target(workers) as target:
        run(target, row.load, count=20, sessions=4)  # connections, keys and paths are known from here on
        yield target


def main() -> None:
    """Measure what is asked for and print it."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in (("--count", 2000), ("--sessions", 20), ("--repeat", 3), ("--workers", 1)):
        arguments.add_argument(name, type=int, default=value)
    arguments.add_argument("rows", nargs="*")
    asked = arguments.parse_args()
    for row in rows():
        if asked.rows and row.name not in asked.rows:
            continue
        count = max(int(asked.count * row.share), asked.sessions)
        with _target(row, asked.workers) as target:
            found = [run(target, row.load, count=count, sessions=asked.sessions) for _ in range(asked.repeat)]
        cpu, rate = [each.cpu for each in found], [each.rate for each in found]
        sys.stdout.write(
            f"{row.name:20} {statistics.median(cpu):7.2f} CPU-ms [{min(cpu):.2f}-{max(cpu):.2f}]  "
            f"{statistics.median(rate):7.0f} msgs/s [{min(rate):.0f}-{max(rate):.0f}]  "
            f"{max(each.resident for each in found) / 2**20:5.0f} MiB\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
