"""What the spool costs, on both databases: `PYTHONPATH=tests python tests/bench/bench_spool.py [sqlite|postgres]`.

Accepts per second of 10 KB messages from 64 sessions; then, with 1,000 and with 100,000 entries of 10 KB queued, the
time of claiming 50 (without and with reading them), of settling one, of listing 500 and of opening. The goal: claiming
at 100,000 takes at most twice as long as at 1,000, opening under 5 s.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.spool.changes import Change
from gateway.spool.desk import Desk
from support.grounds import SharedGround, SqliteGround
from support.postgres import postgres
from support.spooled import NOW, entry, octets

if TYPE_CHECKING:
    from gateway.spool.store import SqlSpool
    from support.grounds import Ground

SESSIONS: Final = 64
ROUNDS: Final = 40
BODY: Final = octets(10_000)


async def fill(spool: SqlSpool, count: int) -> tuple[float, float]:
    """Commit entries, one per transaction asked for; return how many per second, and the p99 of one in ms."""
    left = iter(range(count))
    times: list[float] = []

    async def session() -> None:
        for number in left:
            due = NOW - timedelta(microseconds=number * 7919 % 1_000_000)
            began = time.perf_counter()
            await spool.commit([entry(BODY, next_attempt_at=due)])
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(session() for _ in range(SESSIONS)))
    return count / (time.perf_counter() - began), statistics.quantiles(times, n=100)[98] * 1000


async def measure(ground: Ground) -> None:
    """Say what each thing takes with what is queued now."""
    began = time.perf_counter()
    spool = ground.open()
    opening = time.perf_counter() - began
    claiming: list[float] = []
    reading: list[float] = []
    settling: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ids = await spool._writer.submit(Change(due=NOW, limit=50))
        claiming.append(time.perf_counter() - began)
        await spool._writer.submit(Change(released=ids))
        began = time.perf_counter()
        found = await spool.due(NOW, 50)
        reading.append(time.perf_counter() - began)
        began = time.perf_counter()
        await spool.settle(replace(found[0], attempts=1))
        settling.append(time.perf_counter() - began)
        await asyncio.gather(*(spool.release_claim(each.entry_id) for each in found))
    with Desk(ground.settings()) as desk:
        began = time.perf_counter()
        list(islice(desk.entries(), 500))
        listing = time.perf_counter() - began
    counted = sum((await spool.count()).values())
    await spool.close()
    middle = [statistics.median(each) * 1000 for each in (claiming, reading, settling)]
    print(  # noqa: T201 - what it is for
        f"{counted:7} queued: claim 50 {middle[0]:6.1f} ms, with reading {middle[1]:6.1f} ms, "
        f"settle {middle[2]:5.1f} ms, list 500 {listing * 1000:6.1f} ms, open {opening:4.2f} s"
    )


async def run(ground: Ground) -> None:
    """Measure with few and with many."""
    for count in (1_000, 99_000):
        spool = ground.open()
        speed, slowest = await fill(spool, count)
        await spool.close()
        print(f"{count:7} accepts: {speed:.0f}/s, p99 {slowest:.0f} ms")  # noqa: T201 - what it is for
        await measure(ground)


def main(kind: str) -> None:
    """Run on one database."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:  # a disk, not memory
        if kind == "sqlite":
            asyncio.run(run(SqliteGround(Path(place))))
            return
        with postgres() as server:
            os.environ[SharedGround.VARIABLE] = conninfo = server.create()
            asyncio.run(run(SharedGround(Path(place), conninfo)))


for each in sys.argv[1:] or ("sqlite", "postgres"):
    print(each)  # noqa: T201 - as above
    main(each)
