"""The spool as an administrator sees it: what is in it, one entry, letting go and removing, and the record of both.

Safe beside any number of running gateways: every change is a transaction of its own, in its turn, and touches nothing
that somebody has claimed. What was done and its record are in one transaction. Every method blocks, and raises
`ServiceError` when the disk fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import false, or_, select, update

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Direction
from gateway.core.errors import ServiceError, SetupError, StorageFullError
from gateway.core.message import Message
from gateway.core.queue import Kind, RecipientState
from gateway.spool import acts, shared
from gateway.spool.acts import Act
from gateway.spool.changes import UNREADABLE, deletes
from gateway.spool.claims import lives
from gateway.spool.database import Database
from gateway.spool.engine import NothingBeside
from gateway.spool.files import BodyFiles
from gateway.spool.migrate import SPOOL
from gateway.spool.place import prepare_place
from gateway.spool.reader import Reader
from gateway.spool.reserve import Reserve
from gateway.spool.schema import ENTRIES, RECIPIENTS, moment, read_reply, stamp
from gateway.spool.shared_store import open_shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from gateway.config.model import SpoolSettings
    from gateway.core.address import ReversePath
    from gateway.core.queue import Entry
    from gateway.spool.acts import By
    from gateway.spool.engine import Beside, Engine, KeptRoom

_PAGE: Final = 500
"""Entries looked at in one reading: a long list must not keep the log from starting anew."""
_ABOVE: Final = "\x7f"
"""Sorts behind every character of an id."""
KEPT: Final = frozenset({Kind.HELD, Kind.QUARANTINED})
"""Kinds that wait for an administrator."""


class Outcome(StrEnum):
    """What came of an act."""

    DONE = "done"
    GONE = "gone"
    """There is no such entry, any more or at all."""
    NOT_KEPT = "not_kept"
    """Only what waits for an administrator can be released."""
    UNDER_WAY = "under_way"
    """A running gateway is working on it at this moment."""
    UNREADABLE = "unreadable"
    """Its rows or its body are damaged: it can be removed, and not be sent."""
    NOT_MOVING = "not_moving"
    """It waits for an administrator: there is no next attempt."""
    FROZEN = "frozen"
    """It is kept back already, or until it is thawed."""
    NOT_FROZEN = "not_frozen"
    NOT_ROUTED = "not_routed"
    """It has no next hop yet: it goes through the journey first, or waits for an administrator."""
    SEVERAL_PLACES = "several_places"
    """The hop carries each domain by itself, and this entry is for several."""
    NOBODY_TO_TELL = "nobody_to_tell"
    """Nobody answers for its sender, or he has no address, wants no word, or no route leads to him."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry without its octets."""

    number: int
    """Grows with every entry: where the next page begins."""
    entry_id: str
    kind: Kind
    direction: Direction
    reverse_path: ReversePath
    recipients: tuple[tuple[Mailbox, RecipientState], ...]
    hop: str
    attempts: int
    reason: str
    received_at: datetime
    next_attempt_at: datetime
    expires_at: datetime
    claimed: bool
    trace_id: str
    octets: int
    frozen_at: datetime | None = None
    """When an administrator kept it back."""
    noticed_at: datetime | None = None
    """When it was last said that it will end, or that it is kept back."""
    answered_for: bool = False
    """Its sender may be told by mail."""
    reply: str = ""
    """What a next hop answered last for a recipient who has not got it."""

    @property
    def left(self) -> tuple[Mailbox, ...]:
        """The recipients who have not got it."""
        return tuple(mailbox for mailbox, state in self.recipients if state is not RecipientState.SENT)


class Desk:
    """One spool; a context that opens it and lets go of it."""

    def __init__(self, settings: SpoolSettings) -> None:
        """Open a spool that exists; raises `SetupError` where there is none or it cannot be opened."""
        self._settings = settings
        self._files: Beside = NothingBeside()
        self._reserve: KeptRoom = NothingBeside()
        self._database: Engine
        if settings.shared:
            self._place = prepare_place(settings.directory)
            self._database, self._reader = open_shared(settings, self._place, make=False)
            return
        try:
            if not (settings.directory / "spool.sqlite3").exists():
                raise SetupError(f"{settings.directory}: holds no spool: has a gateway run with this configuration?")
            self._place = prepare_place(settings.directory)
            self._database = Database(self._place, SPOOL)
            self._files = files = BodyFiles(self._place.bodies)
            self._reserve = Reserve(self._place.reserve)
        except (OSError, ServiceError) as error:
            raise SetupError(f"{settings.directory}: the spool cannot be opened: {error}") from error
        self._reader = Reader(self._database, lambda _, row: Message.from_source(files.open(row.entry_id, row.length)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()
        self._reserve.close()
        self._database.close()

    def entries(
        self, *, kinds: frozenset[Kind] = frozenset(), or_frozen: bool = False, after: int = 0
    ) -> Iterator[Listed]:
        """Yield entries in the order they came, of these kinds (of all without any) or frozen, behind a number."""
        while True:
            chosen = select(ENTRIES).where(ENTRIES.c.number > after).order_by(ENTRIES.c.number).limit(_PAGE)
            if kinds:
                also = ENTRIES.c.frozen_at.is_not(None) if or_frozen else false()
                chosen = chosen.where(or_(ENTRIES.c.kind.in_(sorted(kinds)), also))
            with self._database.reading() as connection:
                page = listed(connection, connection.execute(chosen).all())
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].number

    def find(self, prefix: str, limit: int) -> tuple[Listed, ...]:
        """Return entries whose id begins with a text."""
        chosen = (
            select(ENTRIES)
            .where(ENTRIES.c.entry_id >= prefix, ENTRIES.c.entry_id < prefix + _ABOVE)
            .order_by(ENTRIES.c.entry_id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return listed(connection, connection.execute(chosen).all())

    def load(self, entry_id: str) -> Entry | None:
        """Return an entry with its octets; None where it is gone or damaged."""
        with self._database.reading() as connection:
            return self._load(connection, entry_id)

    def _load(self, connection: Connection, entry_id: str) -> Entry | None:
        """Return it as a transaction under way sees it: another connection could not be opened meanwhile."""
        loaded = self._reader.load_within(connection, (entry_id,))
        if loaded.left:
            raise StorageFullError("there is no room to read the body into")
        return loaded.found[0] if loaded.found else None

    def acts(self, *, entry_id: str | None = None) -> tuple[Act, ...]:
        """Return what was done, to one entry or to all, in its order."""
        with self._database.reading() as connection:
            return acts.read(connection, entry_id=entry_id)

    def may_release(self, entry_id: str) -> Outcome:
        """Return what `release` would come to, changing nothing."""
        with self._database.turn(), self._database.reading() as connection:
            row = connection.execute(select(ENTRIES).where(ENTRIES.c.entry_id == entry_id)).one_or_none()
            return self._refusal(connection, row) or Outcome.DONE

    def release(self, entry_id: str, by: By) -> Outcome:
        """Let an entry go: it goes through the journey again as soon as a gateway runs, for whom it did not reach.

        It expires as if it had come now.
        """

        def change(connection: Connection, row: Row[Any]) -> Outcome:
            if (refusal := self._refusal(connection, row)) is not None:
                return refusal
            note(connection, row, by, "release")
            expires = by.at + timedelta(seconds=self._settings.expire_after)
            failed = (RECIPIENTS.c.number == row.number, RECIPIENTS.c.state == RecipientState.FAILED.value)
            connection.execute(update(RECIPIENTS).where(*failed).values(state=RecipientState.READY.value))
            connection.execute(
                update(ENTRIES)
                .where(ENTRIES.c.number == row.number)
                .values(
                    kind=Kind.RELEASED.value,
                    next_attempt_at=stamp(by.at),
                    expires_at=stamp(expires),
                    attempts=0,
                    dot_sent=0,
                    claimed_by=None,
                    frozen_at=None,
                    warned_at=None,
                    noticed_at=None,
                )
            )
            shared.tell(connection)
            return Outcome.DONE

        return self._change(entry_id, change)

    def delete(self, entry_id: str, by: By) -> Outcome:
        """Remove an entry for ever, whatever its kind; nobody is told."""

        def change(connection: Connection, row: Row[Any]) -> Outcome:
            if self._is_claimed(connection, row):
                return Outcome.UNDER_WAY
            note(connection, row, by, "delete")
            for statement in deletes(connection):
                connection.execute(statement, {"entry": entry_id})
            return Outcome.DONE

        with self._database.turn():
            outcome = self._end_in_turn(entry_id, change)
            if outcome is Outcome.DONE:
                self._files.remove(entry_id)
        return outcome

    def _end_in_turn(self, entry_id: str, change: Callable[[Connection, Row[Any]], Outcome]) -> Outcome:
        """Change what ends an entry, and so makes room: on a full disk out of what is kept back for that."""
        try:
            return self._change_in_turn(entry_id, change)
        except StorageFullError:
            if not self._reserve.spend():
                raise
        return self._change_in_turn(entry_id, change)

    def _change(self, entry_id: str, change: Callable[[Connection, Row[Any]], Outcome]) -> Outcome:
        with self._database.turn():
            return self._change_in_turn(entry_id, change)

    def _change_in_turn(self, entry_id: str, change: Callable[[Connection, Row[Any]], Outcome]) -> Outcome:
        def work(connection: Connection) -> Outcome:
            chosen = select(ENTRIES).where(ENTRIES.c.entry_id == entry_id).with_for_update()
            row = connection.execute(chosen).one_or_none()
            return Outcome.GONE if row is None else change(connection, row)

        return self._database.transact(work)

    def _refusal(self, connection: Connection, row: Row[Any] | None) -> Outcome | None:
        """Return why an entry cannot be released."""
        if row is None:
            return Outcome.GONE
        if row.kind not in KEPT:
            return Outcome.NOT_KEPT
        if self._is_claimed(connection, row):
            return Outcome.UNDER_WAY
        return Outcome.UNREADABLE if row.reason == UNREADABLE or not _recipients(connection, [row]) else None

    def _is_claimed(self, connection: Connection, row: Row[Any]) -> bool:
        if row.claimed_by is None:
            return False
        if shared.is_shared(connection):
            return shared.is_known(connection, row.claimed_by)
        return lives(self._place.owners, row.claimed_by)


def note(connection: Connection, row: Row[Any], by: By, what: str, detail: str = "") -> None:
    """Put an act on record, with what it is done to; before it is done."""
    (entry,) = listed(connection, [row])
    left, sender = tuple(map(str, entry.left)), str(entry.reverse_path)
    acts.note(connection, Act(by, what, row.entry_id, row.kind, row.trace_id, sender, left, row.length, detail))


def _recipients(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, list[Row[Any]]]:
    """Return the rows of recipients of entries by the entry's number."""
    numbers = [row.number for row in rows]
    of_these = select(RECIPIENTS).where(RECIPIENTS.c.number.in_(numbers))
    found: dict[int, list[Row[Any]]] = {}
    for each in connection.execute(of_these.order_by(RECIPIENTS.c.number, RECIPIENTS.c.position)):
        found.setdefault(each.number, []).append(each)
    return found


def addressed(connection: Connection, row: Row[Any]) -> Sequence[tuple[Mailbox, RecipientState]]:
    """Return the recipients of one entry."""
    return _with_states(_recipients(connection, [row]).get(row.number, ()))


def _with_states(rows: Sequence[Row[Any]]) -> tuple[tuple[Mailbox, RecipientState], ...]:
    return tuple((Mailbox(each.local, each.domain), RecipientState(each.state)) for each in rows)


def _said(rows: Sequence[Row[Any]]) -> str:
    """Return what a next hop answered last for a recipient who is still to get it, or nothing."""
    waiting = (read_reply(each.reply) for each in rows if each.state == RecipientState.READY)
    return next((str(each) for each in waiting if each is not None), "")


def listed(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[Listed, ...]:
    """Return rows as entries without their octets."""
    recipients = _recipients(connection, rows)
    return tuple(
        Listed(
            number=row.number,
            entry_id=row.entry_id,
            kind=Kind(row.kind),
            direction=Direction(row.direction),
            reverse_path=NULL_PATH if row.reverse_local is None else Mailbox(row.reverse_local, row.reverse_domain),
            recipients=_with_states(recipients.get(row.number, ())),
            hop=row.hop,
            attempts=row.attempts,
            reason=row.reason,
            received_at=moment(row.received_at),
            next_attempt_at=moment(row.next_attempt_at),
            expires_at=moment(row.expires_at),
            claimed=row.claimed_by is not None,
            trace_id=row.trace_id,
            octets=row.length,
            frozen_at=None if row.frozen_at is None else moment(row.frozen_at),
            noticed_at=None if row.noticed_at is None else moment(row.noticed_at),
            answered_for=bool(row.answered_for),
            reply=_said(recipients.get(row.number, ())),
        )
        for row in rows
    )
