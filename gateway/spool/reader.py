"""What the spool is asked without being changed: entries as they were written, when one is due, how many there are.

Every method blocks, and raises `ServiceError` when the disk fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from gateway.core.errors import ServiceError, StorageFullError
from gateway.core.message import Message
from gateway.core.octets import MemorySource
from gateway.core.queue import NOWHERE
from gateway.spool.schema import (
    BODIES,
    ENTRIES,
    FREE_TO_DELIVER,
    FREE_TO_GO_AGAIN,
    RECIPIENTS,
    moment,
    read_entry,
    stamp,
)
from gateway.spool.turns import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row, TextClause

    from gateway.core.queue import Entry, Full, Kind
    from gateway.spool.engine import Engine
    from gateway.spool.turns import Turn

    LargeBodies = Callable[[Connection, Row[Any]], Message]

_PART: Final = 500
"""Entries per statement."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of reading entries; those that are gone are in none of these."""

    found: tuple[Entry, ...]
    damaged: tuple[str, ...]
    left: tuple[str, ...]
    """For the body of which there is no room now."""


class Reader:
    """Reads one spool, from any thread."""

    def __init__(self, database: Engine, large: LargeBodies) -> None:
        """Read the rows of `database`; `large` returns the large body of an entry's row.

        It raises `OSError` or `StorageFullError`, and `ValueError`, `LookupError` or `FileNotFoundError` for damage.
        """
        self._database = database
        self._large = large

    def load(self, ids: Sequence[str]) -> Loaded:
        """Return the entries of these ids in their order."""
        with self._database.reading() as connection:
            return self.load_within(connection, ids)

    def load_within(self, connection: Connection, ids: Sequence[str]) -> Loaded:
        """Return them as a transaction under way sees them."""
        found: dict[str, Entry] = {}
        damaged: list[str] = []
        left: list[str] = []
        for start in range(0, len(ids), _PART):
            self._load_part(connection, ids[start : start + _PART], found, damaged, left)
        return Loaded(tuple(found[each] for each in ids if each in found), tuple(damaged), tuple(left))

    def of_kind(self, kind: Kind, limit: int) -> tuple[Entry, ...]:
        """Return readable entries of a kind, the oldest first."""
        chosen = (
            select(ENTRIES.c.entry_id)
            .where(ENTRIES.c.kind == kind.value)
            .order_by(ENTRIES.c.received_at, ENTRIES.c.entry_id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            ids = connection.execute(chosen).scalars().all()
        return self.load(ids).found

    def next_due(self, full: Full = NOWHERE) -> datetime | None:
        """Return when the earliest unclaimed DELIVER entry is due for which there is room."""
        if not full:
            return self._earliest(FREE_TO_DELIVER)
        with self._database.reading() as connection:
            turns = waiting(connection, full)
        return moment(turns[0][1]) if turns else None

    def turns(self, now: datetime, full: Full) -> tuple[Turn, ...]:
        """Return the turns for which there is room and of which something is due, the oldest first."""
        with self._database.reading() as connection:
            return tuple(turn for turn, due in waiting(connection, full) if due <= stamp(now))

    def next_due_again(self) -> datetime | None:
        """Return when the earliest unclaimed RELEASED or TO_SIGN entry is due."""
        return self._earliest(FREE_TO_GO_AGAIN)

    def _earliest(self, free: TextClause) -> datetime | None:
        due = ENTRIES.c.next_attempt_at  # min() would be answered by reading the whole index, if it looks small
        with self._database.reading() as connection:
            stamped = connection.execute(select(due).where(free).order_by(due, ENTRIES.c.entry_id).limit(1)).scalar()
        return None if stamped is None else moment(stamped)

    def count(self) -> Mapping[str, int]:
        """Return the number of entries by kind."""
        statement = select(ENTRIES.c.kind, func.count()).group_by(ENTRIES.c.kind)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def known(self, ids: Collection[str]) -> frozenset[str]:
        """Return those ids that have a row."""
        ordered = list(ids)
        found: set[str] = set()
        with self._database.reading() as connection:
            for start in range(0, len(ordered), _PART):
                part = select(ENTRIES.c.entry_id).where(ENTRIES.c.entry_id.in_(ordered[start : start + _PART]))
                found.update(connection.execute(part).scalars())
        return frozenset(found)

    def _load_part(
        self,
        connection: Connection,
        ids: Sequence[str],
        found: dict[str, Entry],
        damaged: list[str],
        left: list[str],
    ) -> None:
        recipients: dict[int, list[Row[Any]]] = {}
        rows = connection.execute(select(ENTRIES).where(ENTRIES.c.entry_id.in_(ids))).all()
        numbers = [row.number for row in rows]
        of_part = RECIPIENTS.c.number.in_(numbers)
        for each in connection.execute(select(RECIPIENTS).where(of_part).order_by(RECIPIENTS.c.position)):
            recipients.setdefault(each.number, []).append(each)
        octets = connection.execute(select(BODIES).where(BODIES.c.number.in_(numbers)))
        bodies = {each.number: each.octets for each in octets}
        for row in rows:
            try:
                message = self._message(connection, row, bodies)
                found[row.entry_id] = read_entry(row, recipients.get(row.number, []), message)
            except StorageFullError:
                left.append(row.entry_id)
            except (ValueError, TypeError, LookupError, FileNotFoundError):
                damaged.append(row.entry_id)
            except OSError as error:
                raise ServiceError(f"a body of the spool cannot be read: {error.strerror}") from error

    def _message(self, connection: Connection, row: Row[Any], bodies: Mapping[int, bytes]) -> Message:
        if row.in_file:
            return self._large(connection, row)
        return Message.from_source(MemorySource(bytes(bodies[row.number])))
