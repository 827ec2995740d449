"""kill -9 of two writing processes at any instant: nothing acknowledged is lost, nothing is half there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.spool.store import SqliteSpool
from support.programs import command, environment
from support.spool_writer import content
from support.spooled import NOW, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = 20
WRITERS = 2


@contextmanager
def herd(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the program that makes writers."""
    program = command("spool_herd.py", directory)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(program, env=environment(), text=True, bufsize=1, **pipes) as herding:
        yield herding
        herding.stdin.close()


def crash(herding: subprocess.Popen[str], name: str, said: list[Path], after: float) -> None:
    """Let writers work for some seconds after each has said something, then kill them."""
    herding.stdin.write(" ".join([name, *map(str, said)]) + "\n")
    writers = [int(each) for each in herding.stdout.readline().split()]
    assert len(writers) == len(said)
    until = time.monotonic() + 15
    try:
        while not all(path.exists() and path.stat().st_size for path in said):
            assert time.monotonic() < until, "a writer acknowledges nothing"
            time.sleep(0.005)
        time.sleep(after)
    finally:
        for writer in writers:
            os.kill(writer, signal.SIGKILL)
    assert herding.stdout.readline() == "dead\n"


async def test_kill(tmp_path: Path) -> None:
    """Every message acknowledged and not delivered is there octet for octet; what was delivered is gone."""
    directory = tmp_path / "spool"
    kept: set[str] = set()
    gone: set[str] = set()
    with herd(directory) as herding:
        for number in range(ROUNDS):
            said = [tmp_path / f"said-{number}-{index}" for index in range(WRITERS)]
            crash(herding, f"round{number}", said, random.uniform(0, 0.3))  # noqa: S311 - any instant
            for line in b"".join(path.read_bytes() for path in said).decode().splitlines():
                word, _, entry_id = line.partition(" ")
                (kept if word == "kept" else gone).add(entry_id)
    spool = SqliteSpool(settings(directory))
    found = {each.entry_id: each.consignment.message for each in await spool.due(NOW, 1_000_000)}
    counted = await spool.count()
    assert counted == {"deliver": len(found)}, "some could not be read"
    assert len(kept) > ROUNDS * WRITERS
    assert {each for each in kept if int(each.split("-")[1]) % 7} <= found.keys()
    assert not gone & found.keys()
    torn = [each for each, message in found.items() if message.octets() != content(int(each.split("-")[1]))]
    assert torn == []
    rowless = {path.name for path in (directory / "bodies").iterdir()} - found.keys()
    assert len(rowless) <= ROUNDS * WRITERS * 4, "more files without a row than sessions that were killed"
    spool.tidy(time.time() + 7200)
    assert {path.name for path in (directory / "bodies").iterdir()} <= found.keys()
    await spool.close()
