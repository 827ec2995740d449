"""What a caller asks of the database, and many of these carried out as one transaction.

The order inside a group is fixed: entries come in, entries are settled, claims are given back, claims are made.
An exchange stores its entries only where the one they replace still is: tried again, it must not bring back what was
delivered meanwhile. Where machines share the database, rows that others are changing are waited for, but those that
somebody else is claiming are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, case, delete, func, insert, null, select, update

from gateway.core.queue import Entry, Kind
from gateway.spool import shared
from gateway.spool.schema import (
    BODIES,
    ENTRIES,
    FREE_IN_TURN,
    FREE_TO_DELIVER,
    FREE_TO_GO_AGAIN,
    RECIPIENTS,
    Stored,
    check,
    is_large,
    recipient_rows,
    stamp,
    state_row,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Delete

    from gateway.spool.turns import Turn

_NUMBER: Final = select(ENTRIES.c.number).where(ENTRIES.c.entry_id == bindparam("entry")).scalar_subquery()
_STATE: Final = (
    *("kind", "next_attempt_at", "expires_at", "attempts", "dot_sent", "replies", "hop", "reason"),
    "warned_at",
)
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
    .where(RECIPIENTS.c.number == _NUMBER, RECIPIENTS.c.position == bindparam("place"))
    .values(state=bindparam("new_state"), reply=bindparam("new_reply"))
)
_DELETES: Final = (
    delete(BODIES).where(BODIES.c.number == _NUMBER),
    delete(RECIPIENTS).where(RECIPIENTS.c.number == _NUMBER),
    delete(ENTRIES).where(_ENTRY),
)
_DELETE_CHUNKS: Final = shared.delete_chunks(_NUMBER)
_RELEASE: Final = update(ENTRIES).where(_ENTRY, _MINE).values(claimed_by=None)
_QUARANTINE: Final = (
    update(ENTRIES).where(_ENTRY).values(kind=Kind.QUARANTINED.value, reason=bindparam("why"), claimed_by=None)
)
_DUE: Final = tuple(
    select(ENTRIES.c.entry_id)
    .where(free, ENTRIES.c.next_attempt_at <= bindparam("now"))
    .order_by(ENTRIES.c.next_attempt_at, ENTRIES.c.entry_id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)  # SQLite knows no such words, and needs none: its writers take turns
    for free in (FREE_TO_DELIVER, FREE_TO_GO_AGAIN)
)
_DUE_IN_TURN: Final = (
    select(ENTRIES.c.entry_id)
    .where(FREE_IN_TURN, ENTRIES.c.next_attempt_at <= bindparam("now"))
    .where(ENTRIES.c.hop == bindparam("hop"), ENTRIES.c.turn_of == bindparam("turn_of"))
    .order_by(ENTRIES.c.next_attempt_at, ENTRIES.c.entry_id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_DELIVER: Final = ENTRIES.c.kind == Kind.DELIVER.value
_FREE_OF_THE_DEAD: Final = (
    update(ENTRIES).where(_MINE).values(claimed_by=None, dot_sent=case((_DELIVER, 1), else_=ENTRIES.c.dot_sent))
)
"""Nobody knows whether the dead had sent a dot: the next attempt counts as one that may duplicate."""
_CLAIM: Final = update(ENTRIES).where(_ENTRY).values(claimed_by=bindparam("owner"))
_KNOWN: Final = (
    select(ENTRIES.c.entry_id).where(ENTRIES.c.entry_id.in_(bindparam("ids", expanding=True))).with_for_update()
)
_LAST: Final = select(func.max(ENTRIES.c.number))
_PART: Final = 500
"""Ids per statement."""
UNREADABLE: Final = "unreadable_in_spool rows or body are damaged or missing"
"""Why an entry is kept that cannot be read as it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one caller asks for, in one transaction; its result is the ids it claimed."""

    entries: tuple[Stored, ...] = ()
    files: tuple[str, ...] = ()
    """Ids whose body must be in a file when this is committed."""
    settled: tuple[Entry, ...] = ()
    released: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    """Ids to put aside for an administrator."""
    due: datetime | None = None
    limit: int = 0
    """The most entries to claim that are due then."""
    turns: tuple[Turn, ...] | None = None
    """Claim of these turns only, as much of each; None: the oldest of all."""
    again: bool = False
    """Claim what goes through the journey again, not what is delivered."""
    replaced: str = ""
    """Id of the entry that all of `entries` stand for from now on."""
    claiming: bool = False
    """All of `entries` are claimed as they come in."""

    @classmethod
    def storing(
        cls, entries: Iterable[Entry], settled: Sequence[Entry] = (), *, replaced: str = "", claiming: bool = False
    ) -> Change:
        """Return the change that stores some entries, settles others and replaces one.

        Raises `ValueError` or `OSError`.
        """
        entries = tuple(entries)
        for entry in (*entries, *settled):
            check(entry)
        return cls(
            entries=tuple(Stored.of(entry) for entry in entries),
            files=tuple(entry.entry_id for entry in entries if is_large(entry.consignment.message)),
            settled=tuple(settled),
            replaced=replaced,
            claiming=claiming,
        )

    def rows(self, owner: str) -> Iterable[Stored]:
        """Return the entries with who has claimed each."""
        claimed_by = owner if self.claiming else None
        return (replace(each, entry={**each.entry, "claimed_by": claimed_by}) for each in self.entries)

    @property
    def only_grows(self) -> bool:
        """True for new mail: on a full disk it waits, while what is here is finished."""
        return bool(self.entries) and not self.settled and not self.replaced

    @property
    def weight(self) -> int:
        """The octets of the bodies."""
        return sum(len(each.octets) for each in self.entries if each.octets is not None)

    @property
    def ended(self) -> tuple[str, ...]:
        """Ids of the entries that are over: nobody is left to be tried, or others stand for them."""
        over = tuple(entry.entry_id for entry in self.settled if _is_over(entry))
        return (*over, self.replaced) if self.replaced else over

    @property
    def over(self) -> tuple[str, ...]:
        """Ids of the entries that whoever claimed them has done with."""
        settled = tuple(entry.entry_id for entry in self.settled)
        return (*settled, self.replaced) if self.replaced else settled


def carry_out(connection: Connection, changes: Sequence[Change], *, owner: str) -> list[tuple[str, ...]]:
    """Carry out all changes and return what each claimed."""
    replaced = [change.replaced for change in changes if change.replaced]
    there = _known(connection, replaced) if replaced else set[str]()
    lasting = [change for change in changes if not change.replaced or change.replaced in there]
    _store(connection, [each for change in lasting for each in change.rows(owner)])
    _remove(connection, there)
    _settle(connection, [entry for change in changes for entry in change.settled], owner)
    damaged = [{"entry": each, "why": UNREADABLE} for change in changes for each in change.damaged]
    if damaged:
        connection.execute(_QUARANTINE, damaged)
    released = [{"entry": each, "owner": owner} for change in changes for each in change.released]
    if released:
        connection.execute(_RELEASE, released)
    return [_claim(connection, change, owner) for change in changes]


def deletes(connection: Connection) -> tuple[Delete, ...]:
    """Return what removes all rows of `entry`."""
    return (_DELETE_CHUNKS, *_DELETES) if shared.is_shared(connection) else _DELETES


def free(connection: Connection, owner: str) -> None:
    """Free what a dead owner had claimed."""
    connection.execute(_FREE_OF_THE_DEAD, {"owner": owner})


def owners(connection: Connection) -> Sequence[str]:
    """Return the owners of all claims."""
    statement = select(ENTRIES.c.claimed_by).where(ENTRIES.c.claimed_by.is_not(None)).distinct()
    return connection.execute(statement).scalars().all()


def _store(connection: Connection, entries: Sequence[Stored]) -> None:
    """Insert the entries that are not there yet: what was committed before stays as it has become since."""
    if not entries:
        return
    known = _known(connection, [each.entry["entry_id"] for each in entries])
    fresh: dict[str, Stored] = {}
    for each in entries:
        if each.entry["entry_id"] not in known:
            fresh.setdefault(each.entry["entry_id"], each)
    numbered = _insert(connection, list(fresh.values())) if fresh else []
    recipients = [row | {"number": number} for number, each in numbered for row in each.recipients]
    bodies = [{"number": number, "octets": each.octets} for number, each in numbered if each.octets is not None]
    for table, rows in ((RECIPIENTS, recipients), (BODIES, bodies)):
        if rows:
            connection.execute(insert(table), rows)


def _insert(connection: Connection, entries: Sequence[Stored]) -> list[tuple[int, Stored]]:
    """Insert the rows of entries themselves; return those that are new, with their numbers."""
    if not shared.is_shared(connection):
        first = (connection.execute(_LAST).scalar() or 0) + 1
        numbered = list(enumerate(entries, first))
        connection.execute(insert(ENTRIES), [each.entry | {"number": number} for number, each in numbered])
        return numbered
    numbered = list(zip(shared.take_numbers(connection, len(entries)), entries, strict=True))
    new = shared.insert_entries(connection, [each.entry | {"number": number} for number, each in numbered])
    numbered = [(number, each) for number, each in numbered if number in new]
    for number, each in numbered:
        shared.insert_chunks(connection, number, each)
    return numbered


def _known(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return those ids that have a row."""
    known: set[str] = set()
    for start in range(0, len(ids), _PART):
        known.update(connection.execute(_KNOWN, {"ids": ids[start : start + _PART]}).scalars())
    return known


def _remove(connection: Connection, ids: Iterable[str]) -> None:
    """Remove the rows of some entries."""
    ended = [{"entry": each} for each in ids]
    if ended:
        for statement in deletes(connection):
            connection.execute(statement, ended)


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
                {"entry": each.entry_id, "place": r["position"], "new_state": r["state"], "new_reply": r["reply"]}
                for each in staying
                for r in recipient_rows(each)
            ],
        )
    _remove(connection, [entry.entry_id for entry in entries if _is_over(entry)])


def _claim(connection: Connection, change: Change, owner: str) -> tuple[str, ...]:
    if change.due is None or not shared.may_claim(connection, owner):
        return ()
    found = _due(connection, change.due, change)
    if found:
        connection.execute(_CLAIM, [{"entry": each, "owner": owner} for each in found])
    return tuple(found)


def _due(connection: Connection, now: datetime, change: Change) -> Sequence[str]:
    """Return the ids of what a change may claim."""
    asked = {"now": stamp(now), "most": change.limit}
    if change.turns is None:
        return connection.execute(_DUE[change.again], asked).scalars().all()
    found: list[str] = []
    for hop, turn_of in change.turns[: change.limit]:
        most = max(change.limit // len(change.turns), 1)
        this = asked | {"hop": hop, "turn_of": turn_of, "most": most}
        found += connection.execute(_DUE_IN_TURN, this).scalars()
    return found
