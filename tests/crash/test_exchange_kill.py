"""kill -9 while kept mail is replaced: each message is the old entry or all of its new ones, whole, and never both."""

from __future__ import annotations

import random
import subprocess
import time
from typing import TYPE_CHECKING

from gateway.core.queue import Kind
from gateway.spool.store import SqliteSpool
from support.programs import command, environment
from support.spooled import LARGE, NOW, octets, settings

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 6


def crash(directory: Path, name: str, said: Path) -> None:
    """Let one program work until it has said something, and a little longer."""
    with said.open("wb") as file:
        working = subprocess.Popen(command("spool_exchanger.py", directory, name), env=environment(), stdout=file)
    try:
        until = time.monotonic() + 180
        while said.stat().st_size < 100:
            assert time.monotonic() < until, "nothing is acknowledged"
            assert working.poll() is None
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.3))  # noqa: S311 - any instant
    finally:
        working.kill()
        working.wait()


async def test_kill(tmp_path: Path) -> None:
    """Nothing acknowledged is lost, doubled or half there; what was exchanged stays exchanged."""
    directory = tmp_path / "spool"
    kept: set[str] = set()
    gone: set[str] = set()
    for number in range(ROUNDS):
        said = tmp_path / f"said{number}"
        crash(directory, f"r{number}", said)
        for line in said.read_text().splitlines():
            word, _, entry_id = line.partition(" ")
            (kept if word == "kept" else gone).add(entry_id)
    spool = SqliteSpool(settings(directory))
    old = {each.entry_id for each in await spool.entries(Kind.RELEASED, 100_000)}
    new = {each.entry_id: each for each in await spool.due(NOW, 100_000)}
    assert len(kept) > ROUNDS * 3
    for each in kept:
        halves = {f"{each}-a", f"{each}-b"} & new.keys()
        assert (each in old, len(halves)) in {(True, 0), (False, 2)}, each
    assert not gone & old
    for entry_id, each in new.items():
        number = int(entry_id.partition("x")[2].partition("-")[0])
        assert each.consignment.message.octets() == octets(LARGE if number % 3 == 0 else 500, number)
    await spool.close()
