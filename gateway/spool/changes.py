"""What a caller asks of the database, and many of these carried out as one transaction.

The order inside a group is fixed: entries come in, entries are settled, claims are given back, claims are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, case, delete, null, select, update
from sqlalchemy.dialects.sqlite import insert

from gateway.core.queue import Entry, Kind
from gateway.spool.schema import (
    BODIES,
    ENTRIES,
    FREE_TO_DELIVER,
    RECIPIENTS,
    Rows,
    check,
    entry_row,
    is_large,
    recipient_rows,
    stamp,
    state_row,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

_INSERTS: Final = tuple(insert(table).on_conflict_do_nothing() for table in (ENTRIES, RECIPIENTS, BODIES))
_STATE: Final = ("kind", "next_attempt_at", "expires_at", "attempts", "dot_sent", "replies", "hop", "reason")
_MINE: Final = ENTRIES.c.claimed_by == bindparam("owner")
_ENTRY: Final = ENTRIES.c.entry_id == bindparam("entry")
_SETTLE: Final = (
    update(ENTRIES)
    .where(_ENTRY)
    .values({name: bindparam(f"new_{name}") for name in _STATE})
    .values(claimed_by=case((_MINE, null()), else_=ENTRIES.c.claimed_by))
)
_SETTLE_RECIPIENT: Final = (
    update(RECIPIENTS)
    .where(RECIPIENTS.c.entry_id == bindparam("entry"), RECIPIENTS.c.position == bindparam("place"))
    .values(state=bindparam("new_state"), reply=bindparam("new_reply"))
)
_DELETES: Final = tuple(
    delete(table).where(table.c.entry_id == bindparam("entry")) for table in (ENTRIES, RECIPIENTS, BODIES)
)
_RELEASE: Final = update(ENTRIES).where(_ENTRY, _MINE).values(claimed_by=None)
_QUARANTINE: Final = (
    update(ENTRIES).where(_ENTRY).values(kind=Kind.QUARANTINED.value, reason=bindparam("why"), claimed_by=None)
)
_DUE: Final = (
    select(ENTRIES.c.entry_id)
    .where(FREE_TO_DELIVER, ENTRIES.c.next_attempt_at <= bindparam("now"))
    .order_by(ENTRIES.c.next_attempt_at, ENTRIES.c.entry_id)
    .limit(bindparam("most"))
)
_CLAIM: Final = update(ENTRIES).where(_ENTRY).values(claimed_by=bindparam("owner"))
UNREADABLE: Final = "unreadable_in_spool rows or body are damaged or missing"
"""Why an entry is kept that cannot be read as it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one caller asks for, in one transaction; its result is the ids it claimed."""

    entries: Rows = field(default_factory=list)
    recipients: Rows = field(default_factory=list)
    bodies: Rows = field(default_factory=list)
    files: tuple[str, ...] = ()
    """Ids whose body must be in a file when this is committed."""
    settled: tuple[Entry, ...] = ()
    released: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    """Ids to put aside for an administrator."""
    due: datetime | None = None
    limit: int = 0
    """The most entries to claim that are due then."""

    @classmethod
    def storing(cls, entries: Iterable[Entry], settled: Sequence[Entry] = ()) -> Change:
        """Return the change that stores some entries and settles others; raises `ValueError` or `OSError`."""
        entries = tuple(entries)
        for entry in (*entries, *settled):
            check(entry)
        small = [entry for entry in entries if not is_large(entry.consignment.message)]
        return cls(
            entries=[entry_row(entry) for entry in entries],
            recipients=[row for entry in entries for row in recipient_rows(entry)],
            bodies=[{"entry_id": each.entry_id, "octets": each.consignment.message.octets()} for each in small],
            files=tuple(entry.entry_id for entry in entries if is_large(entry.consignment.message)),
            settled=tuple(settled),
        )

    @property
    def weight(self) -> int:
        """The octets of the bodies."""
        return sum(len(row["octets"]) for row in self.bodies)

    @property
    def ended(self) -> tuple[str, ...]:
        """Ids of the entries that are over: nobody is left to be tried."""
        return tuple(entry.entry_id for entry in self.settled if _is_over(entry))


def carry_out(connection: Connection, changes: Sequence[Change], *, owner: str) -> list[tuple[str, ...]]:
    """Carry out all changes and return what each claimed."""
    rows = (
        [row for change in changes for row in change.entries],
        [row for change in changes for row in change.recipients],
        [row for change in changes for row in change.bodies],
    )
    for statement, some in zip(_INSERTS, rows, strict=True):
        if some:
            connection.execute(statement, some)
    _settle(connection, [entry for change in changes for entry in change.settled], owner)
    damaged = [{"entry": each, "why": UNREADABLE} for change in changes for each in change.damaged]
    if damaged:
        connection.execute(_QUARANTINE, damaged)
    released = [{"entry": each, "owner": owner} for change in changes for each in change.released]
    if released:
        connection.execute(_RELEASE, released)
    return [_claim(connection, change, owner) for change in changes]


def free(connection: Connection, owner: str) -> None:
    """Free what an owner had claimed."""
    connection.execute(update(ENTRIES).where(_MINE).values(claimed_by=None), {"owner": owner})


def owners(connection: Connection) -> Sequence[str]:
    """Return the owners of all claims."""
    statement = select(ENTRIES.c.claimed_by).where(ENTRIES.c.claimed_by.is_not(None)).distinct()
    return connection.execute(statement).scalars().all()


def _is_over(entry: Entry) -> bool:
    return entry.consignment.kind is Kind.DELIVER and not entry.open_indexes


def _settle(connection: Connection, entries: Sequence[Entry], owner: str) -> None:
    staying = [entry for entry in entries if not _is_over(entry)]
    if staying:
        connection.execute(
            _SETTLE,
            [
                {"entry": each.entry_id, "owner": owner} | {f"new_{k}": value for k, value in state_row(each).items()}
                for each in staying
            ],
        )
        connection.execute(
            _SETTLE_RECIPIENT,
            [
                {"entry": r["entry_id"], "place": r["position"], "new_state": r["state"], "new_reply": r["reply"]}
                for each in staying
                for r in recipient_rows(each)
            ],
        )
    ended = [{"entry": entry.entry_id} for entry in entries if _is_over(entry)]
    if ended:
        for statement in _DELETES:
            connection.execute(statement, ended)


def _claim(connection: Connection, change: Change, owner: str) -> tuple[str, ...]:
    if change.due is None:
        return ()
    found = connection.execute(_DUE, {"now": stamp(change.due), "most": change.limit}).scalars().all()
    if found:
        connection.execute(_CLAIM, [{"entry": each, "owner": owner} for each in found])
    return tuple(found)
