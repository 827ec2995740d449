"""Two machines that share one PostgreSQL, against one: what a message costs, and how long they wait for each other."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

import psycopg

from bench.bench_mail import TEN, WARMING, look, own, signed
from bench.measuring import settled, usage
from bench.sending import emptied, packed, run, send
from bench.table import CPU, RATE, Row
from bench.targets import BESIDE, TO, the_gateway
from support.postgres import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.sending import Load
    from bench.table import Sample, Scale
    from bench.targets import Target
    from support.postgres import Postgres

DATABASE: Final = "GATEWAY_BENCH_DATABASE"
"""The variable that has the connection string, as long as this process lasts."""
SHARE: Final = 0.5
EVERY: Final = 0.01
"""Seconds between two looks at what the database's processes do."""
_LOOK: Final = """
    SELECT coalesce(wait_event_type, '') FROM pg_stat_activity
    WHERE state = 'active' AND datname = %s AND pid <> pg_backend_pid()
"""


def rows() -> list[Row]:
    """Return what is measured: every message goes to the spool first, and is delivered to two next hops."""

    def row(name: str, about: str, count: int) -> Row:
        return Row(name, about, lambda scale: _measure(scale, count))

    return [row("node-1", "one machine", 1), row("node-2", "two machines, half of the load each", 2)]


def _measure(scale: Scale, nodes: int) -> Iterator[Sample]:
    load = own(TEN, TO, f"dan@{BESIDE}")
    with postgres() as server, ExitStack() as stack:
        conninfo = server.create()
        os.environ[DATABASE] = conninfo
        targets = [stack.enter_context(the_gateway(spool={"database": f"env:{DATABASE}"})) for _ in range(nodes)]
        for each in targets:
            look(each, load, signed)
            run(each, load, count=WARMING, sessions=4)
        for _ in range(scale.repeat):
            yield _one(targets, load, server, conninfo, count=scale.of(SHARE), sessions=scale.sessions)


def _one(
    targets: Sequence[Target], load: Load, server: Postgres, conninfo: str, *, count: int, sessions: int
) -> Sample:
    """Send to all of them at once, and measure all of them together."""
    pids = tuple(pid for each in targets for pid in each.pids)
    database = int((server.directory / "data/postmaster.pid").read_text().split()[0])
    part, turns = count // len(targets), sessions // len(targets)
    with TemporaryDirectory(prefix="gb-") as place, ThreadPoolExecutor() as pool, _Waits(conninfo) as waits:
        files = [packed(load, part, _made(Path(place) / str(number))) for number in range(len(targets))]
        before, stored = usage(*pids), usage(database)
        sendings = [
            pool.submit(send, target, load, file, count=part, sessions=turns)
            for target, file in zip(targets, files, strict=True)
        ]
        seconds = max(each.result().seconds for each in sendings) + emptied(targets[0].idle)
        after, kept = settled(*pids), usage(database)
    for each in targets:
        if fault := each.faults():
            raise RuntimeError(fault)
    sent = part * len(targets)
    return {
        CPU: (after.cpu - before.cpu) * 1000 / sent,
        "PostgreSQL CPU-ms": (kept.cpu - stored.cpu) * 1000 / sent,
        RATE: sent / seconds,
        "active": waits.active,
        "lock waits %": waits.share("Lock", "LWLock") * 100,
        "disk waits %": waits.share("IO") * 100,
    }


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


class _Waits:
    """Looks at what the database's processes do: how many are at work, and what those wait for."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._ended = threading.Event()
        self._looks = 0
        self._seen: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._watch)

    @property
    def active(self) -> float:
        """Return how many were at work, on average."""
        return self._seen.total() / max(self._looks, 1)

    def share(self, *kinds: str) -> float:
        """Return which share of those at work waited for something of these kinds."""
        return sum(self._seen[each] for each in kinds) / max(self._seen.total(), 1)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            name = connection.info.dbname
            while not self._ended.wait(EVERY):
                self._looks += 1
                self._seen.update(row[0] for row in connection.execute(_LOOK, (name,)))
