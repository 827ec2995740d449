"""What an administrator orders of mail: tried now, kept back, sent elsewhere, returned; and the end of kept mail.

As at the desk every order and its record are one transaction, and nothing is touched that somebody has claimed; but for
keeping back, which lets the attempt under way end and allows no other. Orders about many entries are carried out
some hundred at a time, each part with a record of its own: nobody else waits for long.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, case, or_, select, update

from gateway.core.queue import Kind, RecipientState
from gateway.spool import acts, shared
from gateway.spool.acts import Act
from gateway.spool.changes import UNREADABLE, Change, carry_out, deletes
from gateway.spool.desk import KEPT, Desk, Outcome, addressed, listed, note
from gateway.spool.schema import ENTRIES, is_large, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row

    from gateway.core.address import Mailbox
    from gateway.core.queue import Entry
    from gateway.spool.acts import By, Proof
    from gateway.spool.desk import Listed

    GiveBack = Callable[[Entry], Sequence[Entry] | None]
    """From an entry to what tells its sender that it has ended; None if nobody can be told."""

_DIGEST: Final = "digest"
"""What an act is called by which owners were told of what is kept for them."""
_PART: Final = 500
"""Entries of one transaction, and of one reading."""
_MOVES: Final = ENTRIES.c.kind.not_in(sorted(KEPT))
_STILL: Final = and_(_MOVES, ENTRIES.c.frozen_at.is_not(None), ENTRIES.c.claimed_by.is_(None))
"""Frozen, and no attempt is under way."""
_DELIVER: Final = ENTRIES.c.kind == Kind.DELIVER.value


class Order(StrEnum):
    """What can be ordered of one entry or of many."""

    RETRY = "retry"
    """Due now."""
    FREEZE = "freeze"
    """Not tried until thawed; its time stands still meanwhile."""
    THAW = "thaw"
    """Due now, with as much time left as it had."""


_MEANT: Final = {
    Order.RETRY: and_(_MOVES, ENTRIES.c.claimed_by.is_(None), ENTRIES.c.frozen_at.is_(None)),
    Order.FREEZE: and_(_MOVES, or_(_DELIVER, ENTRIES.c.claimed_by.is_(None)), ENTRIES.c.frozen_at.is_(None)),
    Order.THAW: ENTRIES.c.frozen_at.is_not(None),
}
"""Which entries an order about all is about."""


class Orders(Desk):
    """The desk of somebody who may order; a context like it."""

    def may(self, order: Order, entry_id: str) -> Outcome:
        """Return what an order would come to, changing nothing."""
        with self._database.turn(), self._database.reading() as connection:
            row = connection.execute(select(ENTRIES).where(ENTRIES.c.entry_id == entry_id)).one_or_none()
            return Outcome.GONE if row is None else self._refused(connection, row, order) or Outcome.DONE

    def order(self, order: Order, entry_id: str, by: By) -> Outcome:
        """Carry out an order about one entry."""

        def change(connection: Connection, row: Row[Any]) -> Outcome:
            if (refusal := self._refused(connection, row, order)) is not None:
                return refusal
            note(connection, row, by, order.value)
            this = ENTRIES.c.number == row.number
            connection.execute(update(ENTRIES).where(this).values(_values(order, by.at)))
            shared.tell(connection)
            return Outcome.DONE

        return self._change(entry_id, change)

    def count_meant(self, order: Order, hop: str | None) -> int:
        """Return how many entries an order about a hop, or about all, is about now."""
        with self._database.reading() as connection:
            return sum(len(part) for part in _parts(connection, order, hop))

    def order_all(self, order: Order, hop: str | None, by: By) -> int:
        """Carry out an order about the mail for one hop, or about all; returns the number of entries."""
        done, after = 0, -1
        where = f"hop={hop}" if hop is not None else "all"

        def work(connection: Connection) -> list[Row[Any]]:
            part = list(connection.execute(_part(order, hop, after).with_for_update()))
            if part:
                about = f"{where} entries={len(part)} from={part[0].entry_id} to={part[-1].entry_id}"
                length = sum(row.length for row in part)
                acts.note(connection, Act(by, order.value, "", "", "", "", (), length, about))
                these = ENTRIES.c.number.in_([row.number for row in part])
                connection.execute(update(ENTRIES).where(these).values(_values(order, by.at)))
                shared.tell(connection)
            return part

        while True:
            with self._database.turn():
                part = self._database.transact(work)
            done += len(part)
            if len(part) < _PART:
                return done
            after = part[-1].number

    def reroute(self, entry_id: str, place: Callable[[Mailbox], str], by: By | None) -> Outcome:
        """Send an entry through another hop, at once; `place` says how that hop is called for a mailbox.

        Without `by` it is only said what it would come to. Where a dot of it is unanswered, it may arrive twice: it
        is counted as such. A frozen one stays so.
        """

        def change(connection: Connection, row: Row[Any]) -> Outcome:
            if row.kind != Kind.DELIVER:
                return Outcome.NOT_ROUTED
            if self._is_claimed(connection, row):
                return Outcome.UNDER_WAY
            left = [mailbox for mailbox, state in addressed(connection, row) if state is RecipientState.READY]
            places = {place(mailbox) for mailbox in left}
            if len(places) != 1:
                return Outcome.SEVERAL_PLACES if places else Outcome.UNREADABLE
            if by is not None:
                (hop,) = places
                note(connection, row, by, "reroute", f"{row.hop} -> {hop}")
                this = ENTRIES.c.number == row.number
                connection.execute(update(ENTRIES).where(this).values(hop=hop, next_attempt_at=stamp(by.at)))
                shared.tell(connection)
            return Outcome.DONE

        return self._change(entry_id, change)

    def bounce(self, entry_id: str, give_back: GiveBack, by: By | None) -> Outcome:
        """End an entry and tell its sender; where nobody can be told, nothing is changed.

        Without `by` it is only said what it would come to.
        """
        return self._end(entry_id, lambda _: None, give_back, by, "bounce", silently=False)

    def take_out(self, entry_id: str, by: By, detail: str) -> Outcome:
        """Put on record that somebody gets the octets of an entry."""

        def change(connection: Connection, row: Row[Any]) -> Outcome:
            note(connection, row, by, "export", detail)
            return Outcome.DONE

        return self._change(entry_id, change)

    def about_to_end(self, now: datetime) -> tuple[Listed, ...]:
        """Return kept mail, the oldest first, that will end soon and of which nobody was told yet; some at a time.

        What was told by a clock that was ahead is told again.
        """
        before = now - timedelta(days=self._settings.kept_days - self._notice_days)
        untold = or_(ENTRIES.c.noticed_at.is_(None), ENTRIES.c.noticed_at > stamp(now))
        return self._kept(untold, ENTRIES.c.received_at <= stamp(before))

    def forgotten(self, now: datetime) -> tuple[Listed, ...]:
        """Return frozen mail of which nothing was done or said for a day, the oldest first; some at a time."""
        before = stamp(now - timedelta(days=1))
        unsaid = or_(ENTRIES.c.noticed_at.is_(None), ENTRIES.c.noticed_at <= before)
        chosen = select(ENTRIES).where(_STILL, ENTRIES.c.frozen_at <= before, unsaid)
        with self._database.reading() as connection:
            return listed(connection, connection.execute(chosen.order_by(ENTRIES.c.frozen_at).limit(_PART)).all())

    def noticed(self, entries: Sequence[Listed], at: datetime) -> None:
        """Remember that it was said of these that they will end, or are kept back."""
        numbers = [each.number for each in entries]
        these = update(ENTRIES).where(ENTRIES.c.number.in_(numbers), or_(ENTRIES.c.kind.in_(sorted(KEPT)), _STILL))
        with self._database.turn():
            self._database.transact(lambda connection: connection.execute(these.values(noticed_at=stamp(at))).rowcount)

    def over(self, now: datetime) -> tuple[Listed, ...]:
        """Return kept mail whose time is over, and of which it was said long enough ago; some at a time."""
        return self._kept(*self._is_over(now))

    def expire(self, entry_id: str, give_back: GiveBack, by: By) -> Outcome:
        """End kept mail whose time is over: its sender is told where somebody answers for him, or it is removed."""

        def refused(row: Row[Any]) -> Outcome | None:
            told = row.noticed_at is not None and row.noticed_at <= stamp(by.at - timedelta(days=self._notice_days))
            old = row.received_at <= stamp(by.at - timedelta(days=self._settings.kept_days))
            return None if row.kind in KEPT and told and old else Outcome.NOT_KEPT

        return self._end(entry_id, refused, give_back, by, "expire", silently=True)

    def digested(self, day: str) -> str | None:
        """Return how far the digests of a day have come, as `digest` was told; None before the first."""
        with self._database.reading() as connection:
            return _digested(connection, day)

    def digest(self, day: str, begin: str | None, end: str, digests: Sequence[Entry], by: By) -> bool:
        """Store digests of a day, and how far they have come: one transaction, however many processes try.

        Returns False, and nothing is stored, if they are not where the caller found them (`begin`) any more.
        """

        def work(connection: Connection) -> bool:
            acts.hold(connection)
            if _digested(connection, day) != begin:
                return False
            told = tuple(str(path.mailbox) for each in digests for path in each.consignment.envelope.recipients)
            octets = sum(len(each.consignment.message) for each in digests)
            acts.note(connection, Act(by, _DIGEST, "", "", "", "", told, octets, f"{day} {end}"))
            self._store(connection, digests)
            return True

        with self._database.turn():
            return self._database.transact(work)

    def prove(self, digest: str = "") -> Proof:
        """Go through the whole record of acts."""
        with self._database.reading() as connection:
            return acts.prove(connection, digest)

    def last_acts(self, count: int) -> tuple[Act, ...]:
        """Return the last acts, in their order."""
        with self._database.reading() as connection:
            return acts.read(connection, last=count)

    @property
    def _notice_days(self) -> int:
        return min(self._settings.kept_notice_days, self._settings.kept_days)

    def _is_over(self, now: datetime) -> tuple[ColumnElement[bool], ...]:
        return (
            ENTRIES.c.received_at <= stamp(now - timedelta(days=self._settings.kept_days)),
            ENTRIES.c.noticed_at <= stamp(now - timedelta(days=self._notice_days)),
        )

    def _kept(self, *conditions: ColumnElement[bool]) -> tuple[Listed, ...]:
        """Return kept mail of some condition; what is damaged stays until somebody removes it."""
        kept = (ENTRIES.c.kind.in_(sorted(KEPT)), ENTRIES.c.reason != UNREADABLE)
        chosen = select(ENTRIES).where(*kept, *conditions).order_by(ENTRIES.c.received_at).limit(_PART)
        with self._database.reading() as connection:
            return listed(connection, connection.execute(chosen).all())

    def _refused(self, connection: Connection, row: Row[Any], order: Order) -> Outcome | None:
        """Return why an order about one entry is not carried out."""
        if order is Order.THAW:
            return None if row.frozen_at is not None else Outcome.NOT_FROZEN
        if row.kind in KEPT:
            return Outcome.NOT_MOVING
        if row.frozen_at is not None:
            return Outcome.FROZEN
        waits = order is Order.FREEZE and row.kind == Kind.DELIVER
        return Outcome.UNDER_WAY if not waits and self._is_claimed(connection, row) else None

    def _end(
        self,
        entry_id: str,
        refused: Callable[[Row[Any]], Outcome | None],
        give_back: GiveBack,
        by: By | None,
        what: str,
        *,
        silently: bool,
    ) -> Outcome:
        """Put a notice in the place of an entry, or nothing where nobody can be told and that is allowed."""

        def change(connection: Connection, row: Row[Any]) -> Outcome:
            if self._is_claimed(connection, row):
                return Outcome.UNDER_WAY
            if (refusal := refused(row)) is not None:
                return refusal
            entry = self._load(connection, entry_id)
            if entry is None:
                return Outcome.UNREADABLE
            notices = give_back(entry)
            if notices is None and not silently:
                return Outcome.NOBODY_TO_TELL
            if by is not None:
                note(connection, row, by, what, "sender told" if notices else "nobody told")
                self._replace(connection, entry_id, notices or ())
            return Outcome.DONE

        with self._database.turn():
            outcome = self._end_in_turn(entry_id, change)
            if outcome is Outcome.DONE and by is not None:
                self._files.remove(entry_id)
        return outcome

    def _replace(self, connection: Connection, entry_id: str, notices: Sequence[Entry]) -> None:
        if notices:
            self._store(connection, notices, replaced=entry_id)
            return
        for statement in deletes(connection):
            connection.execute(statement, {"entry": entry_id})

    def _store(self, connection: Connection, entries: Sequence[Entry], *, replaced: str = "") -> None:
        for each in entries:
            if is_large(each.consignment.message):
                self._files.keep(each.entry_id, each.consignment.message)
        carry_out(connection, [Change.storing(entries, replaced=replaced)], owner="")
        shared.tell(connection)


def _digested(connection: Connection, day: str) -> str | None:
    detail = acts.last_detail(connection, _DIGEST, f"{day} ")
    return None if detail is None else detail.partition(" ")[2]


def _values(order: Order, now: datetime) -> dict[str, Any]:
    """Return the columns that an order changes, and how."""
    at = stamp(now)
    match order:
        case Order.RETRY:
            return {"next_attempt_at": at}
        case Order.FREEZE:
            return {"frozen_at": at, "noticed_at": None}
        case Order.THAW:  # a clock that went back takes nothing away
            stood = case((ENTRIES.c.frozen_at < at, at - ENTRIES.c.frozen_at), else_=0)
            moved = ENTRIES.c.expires_at + stood
            return {"frozen_at": None, "noticed_at": None, "next_attempt_at": at, "expires_at": moved}


def _part(order: Order, hop: str | None, after: int) -> Any:
    columns = (ENTRIES.c.number, ENTRIES.c.entry_id, ENTRIES.c.length)
    chosen = select(*columns).where(_MEANT[order], ENTRIES.c.number > after)
    if hop is not None:
        chosen = chosen.where(or_(ENTRIES.c.hop == hop, ENTRIES.c.hop.startswith(f"{hop}@", autoescape=True)))
    return chosen.order_by(ENTRIES.c.number).limit(_PART)


def _parts(connection: Connection, order: Order, hop: str | None) -> Iterator[Sequence[Row[Any]]]:
    after = -1
    while True:
        part = connection.execute(_part(order, hop, after)).all()
        yield part
        if len(part) < _PART:
            return
        after = part[-1].number
