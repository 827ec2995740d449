"""The way from each version of the spool's schema to the next one, in place.

Mail that an older version took must never be refused, lost or changed by a newer one. PostgreSQL begins with version 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.schema import CreateColumn

from gateway.spool import shared
from gateway.spool.database import Schema
from gateway.spool.schema import ACTS, ENTRIES, ONLY_GROWS, TABLES, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Column, Connection


def _from_1(connection: Connection) -> None:
    """Version 1 knew no origin, and nobody could act on what was held."""
    for column in (ENTRIES.c.origin_listener, ENTRIES.c.origin_login, ENTRIES.c.origin_client):
        add(connection, column)
    connection.exec_driver_sql(
        "CREATE INDEX entries_again ON entries (next_attempt_at, entry_id) "
        "WHERE kind IN ('released', 'to_sign') AND claimed_by IS NULL"
    )
    ACTS.create(connection)
    _close_acts(connection)


def add(connection: Connection, column: Column[Any]) -> None:
    """Add a column to its table, as a table made new has it."""
    written = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {written}")


_WAYS: Final[Mapping[int, Callable[[Connection], None]]] = {1: _from_1}


def _make(connection: Connection) -> None:
    TABLES.create_all(connection, checkfirst=False)
    _close_acts(connection)


def _bring_up_to_date(connection: Connection, version: int) -> None:
    for each in range(version, VERSION):
        _WAYS[each](connection)


def _close_acts(connection: Connection) -> None:
    for trigger in ONLY_GROWS:
        connection.exec_driver_sql(trigger)


SPOOL: Final = Schema(VERSION, _make, _bring_up_to_date)
SHARED_SPOOL: Final = Schema(VERSION, shared.make, _bring_up_to_date)
"""The same where machines share it."""
