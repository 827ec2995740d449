"""The spool on a PostgreSQL that several machines share: implements `ports.Spool` (`handover.md` 3).

Everything of an entry, its large body too, is one transaction of the database: any machine can deliver what another
took. Its own directory holds only what is under way: bodies that are being received or sent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import psycopg

from gateway.config.secrets import read_secret
from gateway.core.errors import ServiceError, SetupError
from gateway.spool.engine import NothingBeside
from gateway.spool.holding import Held
from gateway.spool.migrate import SHARED_SPOOL
from gateway.spool.place import prepare_place
from gateway.spool.postgres import PostgresDatabase, connect, read_conninfo
from gateway.spool.pulse import Pace, Pulse
from gateway.spool.reader import Reader
from gateway.spool.shared import read_chunks
from gateway.spool.store import Rooms, SqlSpool

if TYPE_CHECKING:
    from gateway.config.model import SpoolSettings
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
            raise SetupError(f"spool.database: cannot be used: {type(error).__name__}") from error
        beside = NothingBeside()
        rooms = Rooms(place, database, beside, beside, reader, pulse, Held(pulse), upkeep=database.forget_old_marks)
        super().__init__(rooms, min_free=settings.min_free)

    async def _write(self, change: Change) -> None:
        """Write large bodies beside the writer, so that nobody else waits for them."""
        if change.files:
            await self._in_helper(lambda: self._writer.carry_out(change))
        else:
            await self._writer.submit(change)


def open_shared(settings: SpoolSettings, place: Place, *, make: bool) -> tuple[PostgresDatabase, Reader]:
    """Return the database and who reads it; raises `SetupError`."""
    try:
        database = PostgresDatabase(_parameters(settings), SHARED_SPOOL, make=make)
    except ServiceError as error:
        raise SetupError(f"spool.database: cannot be used: {error}") from error
    directory = os.fspath(place.bodies)
    return database, Reader(database, lambda view, row: read_chunks(view, row.number, row.length, directory))


def _parameters(settings: SpoolSettings) -> dict[str, object]:
    if settings.database is None:
        raise SetupError("spool.database: is not set")
    return read_conninfo(read_secret(settings.database))
