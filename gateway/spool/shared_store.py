"""The spool on a PostgreSQL that several machines share: implements `ports.Spool` (`handover.md` 3).

Everything of an entry, its large body too, is one transaction of the database: any machine can deliver what another
took. Its own directory holds only what is under way: bodies that are being received or sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Final

import psycopg

from gateway.config.secrets import read_secret
from gateway.core.errors import NotNowError, ServiceError, SetupError, StorageFullError
from gateway.spool.database import OutageError
from gateway.spool.engine import NothingBeside
from gateway.spool.gazette import Gazette
from gateway.spool.holding import Held
from gateway.spool.migrate import SHARED_SPOOL
from gateway.spool.place import prepare_place
from gateway.spool.postgres import PostgresDatabase, connect, read_conninfo
from gateway.spool.pulse import News, Pace, Pulse
from gateway.spool.reader import Reader
from gateway.spool.shared import read_chunks
from gateway.spool.store import Rooms, SqlSpool

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gateway.config.model import SpoolSettings
    from gateway.core.queue import Entry
    from gateway.spool.changes import Change
    from gateway.spool.place import Place

_PACE: Final = Pace()


class PostgresSpool(SqlSpool):
    """The durable store of several machines."""

    def __init__(self, settings: SpoolSettings, *, pace: Pace = _PACE) -> None:
        """Connect, making the tables if there are none; raises `SetupError` if it cannot be used."""
        place = prepare_place(settings.directory)
        database, reader = open_shared(settings, place, make=True)
        parameters = _parameters(settings)
        pulse = Pulse(lambda: connect(parameters))
        try:
            pulse.begin(pace)
        except psycopg.Error as error:
            database.close()
            raise NotNowError(f"spool.database: cannot be used: {type(error).__name__}") from error
        beside = NothingBeside()
        rooms = Rooms(place, database, beside, beside, reader, pulse, Held(pulse), upkeep=database.forget_old_marks)
        super().__init__(rooms, min_free=settings.min_free)
        self._pulse = pulse
        self._news = News()
        self.gazette = Gazette(database)
        """What administrators change for all machines."""

    def follow(self, tell: Callable[[], None]) -> News:
        """Have somebody called, in this event loop, when an administrator changed something on any machine."""
        loop = asyncio.get_running_loop()

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell)

        self._news = self._pulse.follow(told)
        return self._news

    def say(self, said: str) -> None:
        """Let administrators on other machines read this of us."""
        self._pulse.say(said)

    @property
    def below_watermark(self) -> bool:
        """True as well while this machine lacks something that holds on all."""
        return self._news.behind or super().below_watermark

    async def due_again(self, now: datetime, limit: int) -> tuple[Entry, ...]:
        """Claim as it does, but not while this machine lacks something that holds on all: these would be signed."""
        if self._news.behind:
            raise ServiceError("what administrators changed is not taken over here yet")
        return await super().due_again(now, limit)

    async def _write(self, change: Change) -> None:
        """Write large bodies beside the writer, so that nobody else waits for them."""
        if change.files:
            await self._in_helper(lambda: self._writer.carry_out(change))
        else:
            await self._writer.submit(change)


def open_shared(settings: SpoolSettings, place: Place, *, make: bool) -> tuple[PostgresDatabase, Reader]:
    """Return the database and who reads it; raises `SetupError`, `NotNowError` where it is away."""
    try:
        database = PostgresDatabase(_parameters(settings), SHARED_SPOOL, make=make)
    except (OutageError, StorageFullError) as error:
        raise NotNowError(f"spool.database: cannot be used now: {error}") from error
    except ServiceError as error:
        raise SetupError(f"spool.database: cannot be used: {error}") from error
    directory = os.fspath(place.bodies)
    return database, Reader(database, lambda view, row: read_chunks(view, row.number, row.length, directory))


def _parameters(settings: SpoolSettings) -> dict[str, object]:
    if settings.database is None:
        raise SetupError("spool.database: is not set")
    return read_conninfo(read_secret(settings.database))
