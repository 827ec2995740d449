"""Past mail: what policy saw and decided, in a database of its own beside the spool; implements `ports.Memory`.

It must never delay mail or take room from it: what does not fit into a bounded queue, or on a disk that is nearly full,
is counted and left out. Losing it is no harm, so it shares no lock and no file with the mail.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import structlog
from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, func, insert, select

from gateway.core.envelope import Direction
from gateway.core.errors import GatewayError, ServiceError, SetupError
from gateway.core.past import PastMessage, PastRuling
from gateway.spool.batches import batches
from gateway.spool.database import Database, Schema
from gateway.spool.place import prepare_place, room
from gateway.spool.schema import moment, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection

    from gateway.config.memory import MemorySettings
    from gateway.config.model import SpoolSettings
    from gateway.spool.place import Place

_LOG: Final = structlog.get_logger("gateway.memory")
WAITING: Final = 10_000
"""Messages that wait to be written; more are dropped and counted."""
BATCH: Final = 500
"""Messages of one transaction."""
GATHERING: Final = 1.0
"""Seconds after which what waits is written."""
UPKEEP_SECONDS: Final = 60.0
PRUNING: Final = 5_000
"""Messages forgotten in one transaction."""
SPARE_PAGES: Final = 1_024
SHRINKING: Final = 2_048
_DAY: Final = 86_400_000_000
"""Microseconds."""

_TABLES: Final = MetaData()
_PAST: Final = Table(
    "past",
    _TABLES,
    Column("number", Integer, primary_key=True),
    Column("at", Integer, nullable=False, index=True),
    Column("message", Text, nullable=False),
)


def _make(connection: Connection) -> None:
    _TABLES.create_all(connection, checkfirst=False)


def _never(_: Connection, version: int) -> None:
    raise SetupError(f"past mail of version {version} was never written")


_SCHEMA: Final = Schema(1, _make, _never)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A past message and its place: the next page begins `after` it."""

    number: int
    past: PastMessage


class SqliteMemory:
    """Implements `ports.Memory`; any number of processes may write."""

    def __init__(self, spool: SpoolSettings, settings: MemorySettings) -> None:
        """Open the database, making it if there is none; raises `SetupError`. Turned off, it opens nothing."""
        self._settings, self._spool = settings, spool
        self._waiting: deque[PastMessage] = deque()
        self._awake = threading.Event()
        self._closing = False
        self._dropped = 0
        self._database: Database | None = None
        self._thread: threading.Thread | None = None
        if settings.days and settings.most:
            self._database = _open(prepare_place(spool.directory))
            self._thread = threading.Thread(target=self._run, name="memory-writer", daemon=True)
            self._thread.start()

    @property
    def dropped(self) -> int:
        """How many messages found no room."""
        return self._dropped

    def remember(self, past: PastMessage) -> None:
        """Note one message; written within about a second."""
        if self._database is None or self._closing:
            return
        if len(self._waiting) >= WAITING:
            self._dropped += 1
            return
        self._waiting.append(past)
        if len(self._waiting) >= BATCH:
            self._awake.set()

    def close(self) -> None:
        """Write what waits, and let go; blocks."""
        self._closing = True
        self._awake.set()
        if self._thread is not None:
            self._thread.join()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _run(self) -> None:
        upkeep_at = 0.0
        while not self._closing:
            self._awake.wait(GATHERING)
            self._awake.clear()
            self._write()
            if time.monotonic() >= upkeep_at:
                self._quietly(self._forget)
                upkeep_at = time.monotonic() + UPKEEP_SECONDS
        self._write()

    def _write(self) -> None:
        for some in batches(self._waiting, BATCH):
            if not self._quietly(partial(self._store, some)):
                self._dropped += len(some)
                return

    def _quietly(self, work: Callable[[], None]) -> bool:
        """Do something that nobody waits for; returns whether it went well."""
        try:
            work()
        except (GatewayError, OSError) as error:
            _LOG.warning("past mail is not remembered", error=str(error), dropped=self._dropped)
        except Exception:  # noqa: BLE001 - the thread must outlive every bug: mail does not depend on it
            _LOG.exception("past mail is not remembered", dropped=self._dropped)
        else:
            return True
        return False

    def _store(self, some: Sequence[PastMessage]) -> None:
        """Write a batch, unless mail needs the room."""
        if room(self._spool.directory) < self._spool.min_free:
            raise ServiceError("the disk has too little room")
        rows = [{"at": stamp(each.at), "message": _text(each)} for each in some]
        assert self._database is not None  # noqa: S101 - the thread runs only with one
        with self._database.turn(), self._database.writing() as connection:
            connection.execute(insert(_PAST), rows)

    def _forget(self) -> None:
        """Forget what is too old or too much, a part at a time, and give room back."""
        database = self._database
        assert database is not None  # noqa: S101 - as above
        before = time.time_ns() // 1_000 - int(self._settings.days * _DAY)
        old = select(_PAST.c.number).where(_PAST.c.at < before).order_by(_PAST.c.at).limit(PRUNING)
        more = True
        while more and not self._closing:
            with database.turn(), database.writing() as connection:
                last = connection.execute(select(func.max(_PAST.c.number))).scalar() or 0
                many = select(_PAST.c.number).where(_PAST.c.number <= last - self._settings.most).limit(PRUNING)
                gone = [
                    connection.execute(delete(_PAST).where(_PAST.c.number.in_(each))).rowcount for each in (old, many)
                ]
            more = PRUNING in gone
        with database.turn():
            database.shrink(keep=SPARE_PAGES, most=SHRINKING)


class PastMail:
    """What is remembered, for whoever asks; a context. Every method blocks, and raises `ServiceError`."""

    def __init__(self, directory: Path) -> None:
        """Open the past mail beside a spool; raises `SetupError` where there is none."""
        if not (directory / "memory.sqlite3").exists():
            raise SetupError(f"{directory}: no past mail is remembered here (settings: memory)")
        self._database = _open(prepare_place(directory))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def since(self, when: datetime, *, after: int | None = None, limit: int) -> tuple[Remembered, ...]:
        """Return messages that came at or after a time, in the order they were written, behind a place."""
        chosen = (
            select(_PAST)
            .where(_PAST.c.at >= stamp(when), _PAST.c.number > (after or 0))
            .order_by(_PAST.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(
                Remembered(row.number, _past(row.message, moment(row.at))) for row in connection.execute(chosen)
            )


def _open(place: Place) -> Database:
    ours = replace(place, database=place.directory / "memory.sqlite3", lock=place.directory / "memory.lock")
    try:
        return Database(ours, _SCHEMA)
    except (OSError, ServiceError) as error:
        raise SetupError(f"{ours.database}: past mail cannot be opened: {error}") from error


def _text(past: PastMessage) -> str:
    """Return a message as compact JSON."""
    return json.dumps(
        [
            past.trace_id,
            past.direction.value,
            past.policy_digest,
            past.recipients,
            [[each.indexes, each.rule, each.decision] for each in past.rulings],
            dict(past.facts),
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _past(text: str, at: datetime) -> PastMessage:
    trace_id, direction, digest, recipients, rulings, facts = json.loads(text)
    return PastMessage(
        trace_id,
        at,
        Direction(direction),
        facts,
        tuple(recipients),
        tuple(PastRuling(tuple(indexes), rule, decision) for indexes, rule, decision in rulings),
        digest,
    )
