"""kill -9 of writing processes, and of the database, at any instant: nothing acknowledged is lost or half there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.spool.store import SqliteSpool, SqlSpool
from support.grounds import SHARED, Ground
from support.programs import command, environment
from support.spool_writer import content
from support.spooled import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.postgres import Postgres

ROUNDS = 20
WRITERS = 2
CRASHES = 3
SECONDS = 180
"""In which something is acknowledged, on a machine whose disk is busy with other things."""


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
    until = time.monotonic() + SECONDS
    try:
        while not all(path.exists() and path.stat().st_size for path in said):
            assert time.monotonic() < until, "a writer acknowledges nothing"
            time.sleep(0.005)
        time.sleep(after)
    finally:
        for writer in writers:
            os.kill(writer, signal.SIGKILL)
    assert herding.stdout.readline() == "dead\n"


async def test_kill(ground: Ground, tmp_path: Path) -> None:
    """Every message acknowledged and not delivered is there octet for octet; what was delivered is gone."""
    said: list[Path] = []
    with herd(tmp_path) as herding:
        for number in range(ROUNDS):
            of_round = [tmp_path / f"said-{number}-{index}" for index in range(WRITERS)]
            crash(herding, f"round{number}", of_round, random.uniform(0, 0.3))  # noqa: S311 - any instant
            said += of_round
    spool = ground.open()
    found = await check(spool, said)
    assert len(found) > ROUNDS * WRITERS / 2
    assert len(set(ground.bodies()) - found) <= ROUNDS * WRITERS * 4, "more bodies without a row than killed sessions"
    if isinstance(spool, SqliteSpool):
        spool.tidy(time.time() + 7200)
    assert set(ground.bodies()) <= found
    await spool.close()


@SHARED
async def test_the_server_crashes(server: Postgres, ground: Ground, tmp_path: Path) -> None:
    """A database that crashes in the midst of commits, and comes back, has everything that was acknowledged."""
    said = [tmp_path / f"said-{index}" for index in range(WRITERS)]
    with herd(tmp_path) as herding:
        herding.stdin.write(" ".join(["crash", *map(str, said)]) + "\n")
        writers = [int(each) for each in herding.stdout.readline().split()]
        try:
            for _ in range(CRASHES):
                wait_for_more(said)
                server.crash()
            wait_for_more(said)
        finally:
            for writer in writers:
                os.kill(writer, signal.SIGKILL)
        assert herding.stdout.readline() == "dead\n"
    spool = ground.open()
    found = await check(spool, said)
    assert set(ground.bodies()) <= found
    await spool.close()


def wait_for_more(said: list[Path]) -> None:
    """Wait until each writer has had a good many messages acknowledged since now."""
    before = {path: kept(path) for path in said}
    until = time.monotonic() + SECONDS
    while not all(kept(path) >= before[path] + 40 for path in said):
        assert time.monotonic() < until, "a writer acknowledges nothing any more"
        time.sleep(0.02)


def kept(path: Path) -> int:
    """Return how many messages a writer was told are safe."""
    return path.read_bytes().count(b"kept ") if path.exists() else 0


async def check(spool: SqlSpool, said: list[Path]) -> set[str]:
    """Look for everything that was acknowledged; return the ids of what is there."""
    lines = [line.split(" ") for path in said for line in path.read_text(encoding="utf-8").splitlines()]
    safe = {each[1] for each in lines if each[0] == "kept"}
    gone = {each[1] for each in lines if each[0] == "gone"}
    found = {each.entry_id: each.consignment.message for each in await spool.due(NOW, 1_000_000)}
    counted = await spool.count()
    assert counted == {"deliver": len(found)}, "some could not be read"
    assert len(safe) > len(said)
    assert {each for each in safe if int(each.split("-")[1]) % 7} <= found.keys()
    assert not gone & found.keys()
    torn = [each for each, message in found.items() if message.octets() != content(int(each.split("-")[1]))]
    assert torn == []
    return set(found)
