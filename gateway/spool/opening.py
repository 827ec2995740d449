"""The spool that the settings ask for: a file of this machine, or a database that several share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.spool.gazette import Gazette
from gateway.spool.place import prepare_place
from gateway.spool.shared_store import PostgresSpool, open_shared
from gateway.spool.store import SqliteSpool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config.model import SpoolSettings
    from gateway.spool.store import SqlSpool


def open_spool(settings: SpoolSettings) -> SqlSpool:
    """Open the spool, making it if there is none; raises `SetupError`."""
    return PostgresSpool(settings) if settings.shared else SqliteSpool(settings)


@contextmanager
def open_gazette(settings: SpoolSettings, *, make: bool = False) -> Iterator[Gazette]:
    """Open what administrators change for all machines, making the tables if asked to; raises `SetupError`."""
    database, _ = open_shared(settings, prepare_place(settings.directory), make=make)
    try:
        yield Gazette(database)
    finally:
        database.close()
