"""The way from each version of the spool's schema to the next one, in place.

Mail that an older version took must never be refused, lost or changed by a newer one. PostgreSQL begins with version 2.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.schema import CreateColumn

from gateway.spool import acts, shared
from gateway.spool.database import Schema
from gateway.spool.schema import ACTS, ENTRIES, ONLY_GROWS, TABLES, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Column, Connection

_ACTS_OF_2: Final = (
    "CREATE TABLE acts (number INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, "
    "why TEXT NOT NULL, entry_id TEXT NOT NULL, kind TEXT NOT NULL, trace_id TEXT NOT NULL, "
    "reverse_path TEXT NOT NULL, recipients TEXT NOT NULL, length INTEGER NOT NULL, PRIMARY KEY (number))"
)
_WARNED_BEFORE_3: Final = (
    "UPDATE entries SET warned_at = next_attempt_at WHERE kind IN ('deliver', 'to_sign', 'released') "
    "AND next_attempt_at - received_at >= 14400000000"
)
"""Version 2 warned in the pause that held the end of the fourth hour."""


def _from_1(connection: Connection) -> None:
    """Version 1 knew no origin, and nobody could act on what was held."""
    for column in (ENTRIES.c.origin_listener, ENTRIES.c.origin_login, ENTRIES.c.origin_client):
        add(connection, column)
    connection.exec_driver_sql(
        "CREATE INDEX entries_again ON entries (next_attempt_at, entry_id) "
        "WHERE kind IN ('released', 'to_sign') AND claimed_by IS NULL"
    )
    connection.exec_driver_sql(_ACTS_OF_2)
    _close_acts(connection)


def _from_2(connection: Connection) -> None:
    """Version 2 could not keep mail back, did not remember whom it had warned, and its acts were no chain."""
    for column in (ENTRIES.c.frozen_at, ENTRIES.c.warned_at, ENTRIES.c.noticed_at, ACTS.c.detail, ACTS.c.previous):
        add(connection, column)
    connection.exec_driver_sql(_WARNED_BEFORE_3)
    for index in sorted(ENTRIES.indexes, key=lambda each: str(each.name)):
        if index.name in {"entries_due", "entries_again"}:
            index.drop(connection)
            index.create(connection)
    with _open_acts(connection):
        acts.chain_all(connection)


def _from_3(connection: Connection) -> None:
    """Version 3 shared mail, and nothing that administrators change; one machine's file has nobody to share with."""
    if shared.is_shared(connection):
        add(connection, shared.OWNERS.c.said)
        shared.make_gazette(connection)


def _from_4(connection: Connection) -> None:
    """Version 4 handed out what is due by age alone: mail for a next hop that hangs stood before all other."""
    add(connection, ENTRIES.c.turn_of)
    senders = connection.execute(select(ENTRIES.c.number, ENTRIES.c.reverse_domain)).all()
    turns = [{"entry": number, "turn": domain.casefold()} for number, domain in senders if domain]
    if turns:
        this = ENTRIES.c.number == bindparam("entry")
        connection.execute(update(ENTRIES).where(this).values(turn_of=bindparam("turn")), turns)
    for index in ENTRIES.indexes:
        if index.name == "entries_turns":
            index.create(connection)


def _from_5(connection: Connection) -> None:
    """Version 5 did not note what was known of signatures when mail came: let go, it was taken for its own copy."""
    add(connection, ENTRIES.c.recollection)


@contextmanager
def _open_acts(connection: Connection) -> Iterator[None]:
    """Let rows of acts be changed within this transaction."""
    if shared.is_shared(connection):
        connection.exec_driver_sql("ALTER TABLE acts DISABLE TRIGGER acts_only_grow")
        yield
        connection.exec_driver_sql("ALTER TABLE acts ENABLE TRIGGER acts_only_grow")
        return
    for name in ("acts_no_update", "acts_no_delete"):
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    _close_acts(connection)


def add(connection: Connection, column: Column[Any]) -> None:
    """Add a column to its table, as a table made new has it."""
    written = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {written}")


_WAYS: Final[Mapping[int, Callable[[Connection], None]]] = {1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4, 5: _from_5}


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
