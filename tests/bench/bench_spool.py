"""What the spool costs, on both databases: `PYTHONPATH=tests python tests/bench/bench_spool.py [sqlite|postgres]`.

How long accepts of 10 KB take beside two writers of 15 MB (the goal: p99 at most 100 ms). Accepts per second of 10 KB
messages from 64 sessions; then, with 1,000 and with 100,000 entries of 10 KB queued, the time of claiming 50 (without
and with reading them), of claiming one letter beside all that when its hop is full, of settling one, of listing 500,
of opening, of trying all again for each 1,000, and the memory of this process. The goal: claiming at 100,000 takes at
most twice as long as at 1,000, opening under 5 s, at most 200 MB.
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

from gateway.core.queue import Full
from gateway.spool.acts import By
from gateway.spool.bodies import SpoolBodies
from gateway.spool.changes import Change
from gateway.spool.desk import Desk
from gateway.spool.orders import Order, Orders
from support.grounds import SharedGround, SqliteGround
from support.postgres import postgres
from support.spooled import NOW, entry, octets, sent, with_consignment
from support.spooled import fill as fill_body

if TYPE_CHECKING:
    from gateway.spool.store import SqlSpool
    from support.grounds import Ground

SESSIONS: Final = 64
ROUNDS: Final = 40
BODY: Final = octets(10_000)
LARGE: Final = 15 * 2**20


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


def resident() -> float:
    """Return the memory of this process, MB."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure(ground: Ground) -> None:
    """Say what each thing takes with what is queued now."""
    began = time.perf_counter()
    spool = ground.open()
    opening = time.perf_counter() - began
    claiming: list[float] = []
    reading: list[float] = []
    settling: list[float] = []
    beside: list[float] = []
    full = Full(frozenset({entry().consignment.hop}))
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
        other = with_consignment(entry(BODY), hop="other")
        await spool.commit([other])
        began = time.perf_counter()
        (found_beside,) = await spool.due(NOW, 50, full)
        beside.append(time.perf_counter() - began)
        await spool.settle(sent(found_beside))
    with Desk(ground.settings()) as desk:
        began = time.perf_counter()
        list(islice(desk.entries(), 500))
        listing = time.perf_counter() - began
    counted = sum((await spool.count()).values())
    with Orders(ground.settings()) as orders:
        began = time.perf_counter()
        assert orders.order_all(Order.RETRY, None, By("bench", "", NOW)) == counted
        retrying = (time.perf_counter() - began) / counted * 1000
    await spool.close()
    middle = [statistics.median(each) * 1000 for each in (claiming, reading, settling, beside)]
    print(  # noqa: T201 - what it is for
        f"{counted:7} queued: claim 50 {middle[0]:6.1f} ms, with reading {middle[1]:6.1f} ms, "
        f"beside a full hop {middle[3]:5.1f} ms, settle {middle[2]:5.1f} ms, list 500 {listing * 1000:6.1f} ms, "
        f"open {opening:4.2f} s, retry {retrying:5.2f} s per 1,000, {resident():.0f} MB"
    )


async def beside_large_ones(ground: Ground) -> None:
    """Say how long accepts take while two sessions store 15 MB again and again."""
    spool, bodies = ground.open(), SpoolBodies(ground.settings())
    content, times, stored = octets(LARGE), list[float](), 0
    done = asyncio.Event()

    async def large() -> None:
        nonlocal stored
        while not done.is_set():
            message = await asyncio.to_thread(fill_body, bodies.builder(), content)
            each = entry(message)
            await spool.commit([each])
            stored += 1
            await spool.settle(sent(each))

    async def small() -> None:
        for _ in range(200):
            began = time.perf_counter()
            await spool.commit([entry(BODY)])
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0.02)

    began = time.perf_counter()
    writers = [asyncio.ensure_future(large()) for _ in range(2)]
    await asyncio.gather(*(small() for _ in range(8)))
    seconds = time.perf_counter() - began
    done.set()
    await asyncio.gather(*writers)
    await spool.close()
    p99 = statistics.quantiles(times, n=100)[98] * 1000
    print(  # noqa: T201 - what it is for
        f"beside 2 x 15 MB ({stored * 15 / seconds:.0f} MB/s): 10 KB accepts "
        f"p50 {statistics.median(times) * 1000:.0f} ms, p99 {p99:.0f} ms, max {max(times) * 1000:.0f} ms"
    )


async def run(ground: Ground) -> None:
    """Measure beside large messages, then with few and with many."""
    await beside_large_ones(ground)
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
