"""The tables of the spool, and entries as their rows: what is read back equals what was stored, field for field.

One schema for SQLite and PostgreSQL; what only the latter needs is in `shared`. It has a number; whoever changes a
table raises it and writes the way from the one before (`migrate`). Times are whole microseconds since 1970, UTC.
Rows are found by the number of their entry, given in order: by their random ids, each would dirty a page of its own.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Direction, Envelope, Notify, Recipient, Ret
from gateway.core.queue import Consignment, Entry, Kind, Origin, RecipientState
from gateway.core.reply import Reply
from gateway.core.sighting import Contact, Recollection, Repeat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, TextClause

    from gateway.core.message import Message

VERSION: Final = 6
IN_ROW: Final = 256 * 1024
"""Octets up to which a body lies in a row; larger ones are files or chunks of this size (`handover.md` 3)."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

_WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")
_ID: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Ordered by octets: parts of ids are looked for as ranges."""

TABLES: Final = MetaData()
ENTRIES: Final = Table(
    "entries",
    TABLES,
    Column("number", _WHOLE, primary_key=True),
    Column("entry_id", _ID, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("claimed_by", Text),
    Column("next_attempt_at", _WHOLE, nullable=False),
    Column("received_at", _WHOLE, nullable=False),
    Column("expires_at", _WHOLE, nullable=False),
    Column("attempts", _WHOLE, nullable=False),
    Column("dot_sent", _WHOLE, nullable=False),
    Column("replies", _WHOLE, nullable=False),  # how many the entry has: none yet is not the same as none read
    Column("hop", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("answered_for", _WHOLE, nullable=False),
    Column("reverse_local", Text),  # both null: the null reverse-path
    Column("reverse_domain", Text),
    Column("eight_bit", _WHOLE, nullable=False),
    Column("smtputf8", _WHOLE, nullable=False),
    Column("ret", Text),
    Column("envid", Text),
    Column("length", _WHOLE, nullable=False),
    Column("in_file", _WHOLE, nullable=False),
    Column("origin_listener", Text),  # all three null: not known
    Column("origin_login", Text),
    Column("origin_client", Text),
    Column("frozen_at", _WHOLE),  # null: not kept back by an administrator; only `desk` and `orders` change it
    Column("warned_at", _WHOLE),  # null: its sender was not due to be told that it is late
    Column("noticed_at", _WHOLE),  # null: not said yet that it will end, or is kept back; only `orders` changes it
    Column("turn_of", _ID, nullable=False, server_default=""),  # the sender's domain, folded
    Column("recollection", Text),  # null: nobody asked; else repeat and contact, a blank between
)
RECIPIENTS: Final = Table(
    "recipients",
    TABLES,
    Column("number", _WHOLE, primary_key=True),
    Column("position", _WHOLE, primary_key=True),
    Column("local", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("notify", Text),  # null: not given; empty: NEVER
    Column("orcpt", Text),
    Column("state", Text, nullable=False),
    Column("reply", Text),
    sqlite_with_rowid=False,
)
BODIES: Final = Table(
    "bodies",
    TABLES,
    Column("number", _WHOLE, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
)
ACTS: Final = Table(
    "acts",
    TABLES,
    Column("number", _WHOLE, primary_key=True),
    Column("at", _WHOLE, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("entry_id", _ID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("reverse_path", Text, nullable=False),
    Column("recipients", Text, nullable=False),  # JSON, those it still was for
    Column("length", _WHOLE, nullable=False),
    Column("detail", Text),  # null: nothing more to say
    Column("previous", Text),  # SHA-256 of the row before, null in the first (`acts`)
)
"""What administrators did, and to what."""
ONLY_GROWS: Final = tuple(
    f"CREATE TRIGGER acts_no_{word.lower()} BEFORE {word} ON acts "
    "BEGIN SELECT RAISE(ABORT, 'what was done stays on record'); END"
    for word in ("UPDATE", "DELETE")
)
"""Goes with the table `acts`: nobody who uses SQL changes or removes a row by mistake."""
FREE_TO_DELIVER: Final = text("kind = 'deliver' AND claimed_by IS NULL AND frozen_at IS NULL")
"""Literal, so that the database can tell that the partial index answers it."""
FREE_IN_TURN: Final = text("kind = 'deliver' AND claimed_by IS NULL AND coalesce(frozen_at, 0) = 0")
"""The same in other words, so that a database that knows little of what is in the table cannot take the other index."""
FREE_TO_GO_AGAIN: Final = text("kind IN ('released', 'to_sign') AND claimed_by IS NULL AND frozen_at IS NULL")
"""Of what goes through the journey again."""
_CLAIMED: Final = text("claimed_by IS NOT NULL")


def _index(name: str, *columns: Column[Any], where: TextClause) -> None:
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


_index("entries_due", ENTRIES.c.next_attempt_at, ENTRIES.c.entry_id, where=FREE_TO_DELIVER)
_index(
    "entries_turns",
    *(ENTRIES.c.hop, ENTRIES.c.turn_of, ENTRIES.c.next_attempt_at, ENTRIES.c.entry_id),
    where=FREE_IN_TURN,
)
_index("entries_claimed", ENTRIES.c.claimed_by, where=_CLAIMED)
_index("entries_again", ENTRIES.c.next_attempt_at, ENTRIES.c.entry_id, where=FREE_TO_GO_AGAIN)

Values = dict[str, Any]
"""The columns of one row by name."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as its rows, before it has a number."""

    entry: Values
    recipients: tuple[Values, ...]
    octets: bytes | None
    """The body, None where it is large."""
    large: Message | None
    """The body where it is large."""

    @classmethod
    def of(cls, entry: Entry) -> Stored:
        """Return the rows of an entry; raises `OSError` if its body cannot be read."""
        message = entry.consignment.message
        octets, large = (None, message) if is_large(message) else (message.octets(), None)
        return cls(entry_row(entry), recipient_rows(entry), octets, large)


def stamp(moment: datetime) -> int:
    """Return a time as it is stored; raises `TypeError` for one without a zone."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(stamped: int) -> datetime:
    """Return the time of a stamp."""
    return _EPOCH + stamped * _MICROSECOND


def is_large(message: Message) -> bool:
    """Return whether a message is too large for a row."""
    return len(message) > IN_ROW


def check(entry: Entry) -> None:
    """Raise `ValueError` for an entry that no dispatch could have made: it must not be written down."""
    recipients = len(entry.consignment.envelope.recipients)
    if not _ENTRY_ID.fullmatch(entry.entry_id):
        raise ValueError("an entry id has letters, digits, - and _ only, at most 64")
    if len(entry.states) != recipients or len(entry.last_replies) not in {0, recipients}:
        raise ValueError("an entry has one state, and one reply or none at all, for each recipient")


def state_row(entry: Entry) -> Values:
    """Return the columns of an entry that `settle` may change."""
    return {
        "kind": entry.consignment.kind.value,
        "next_attempt_at": stamp(entry.next_attempt_at),
        "expires_at": stamp(entry.expires_at),
        "attempts": entry.attempts,
        "dot_sent": int(entry.dot_sent),
        "replies": len(entry.last_replies),
        "hop": entry.consignment.hop,
        "reason": entry.consignment.reason,
        "warned_at": None if entry.warned_at is None else stamp(entry.warned_at),
    }


def entry_row(entry: Entry) -> Values:
    """Return all columns of an entry."""
    consignment = entry.consignment
    envelope = consignment.envelope
    sender = envelope.reverse_path if isinstance(envelope.reverse_path, Mailbox) else None
    origin, found = consignment.origin, consignment.recollection
    return {
        **state_row(entry),
        "entry_id": entry.entry_id,
        "received_at": stamp(entry.received_at),
        "direction": consignment.direction.value,
        "trace_id": consignment.trace_id,
        "answered_for": int(consignment.answered_for),
        "reverse_local": sender.local if sender else None,
        "reverse_domain": sender.domain if sender else None,
        "turn_of": consignment.turn_of,
        "eight_bit": int(envelope.eight_bit),
        "smtputf8": int(envelope.smtputf8),
        "ret": envelope.ret.value if envelope.ret else None,
        "envid": envelope.envid,
        "length": len(consignment.message),
        "in_file": int(is_large(consignment.message)),
        "origin_listener": origin.listener if origin else None,
        "origin_login": origin.login if origin else None,
        "origin_client": origin.client if origin else None,
        "recollection": f"{found.repeat.value} {found.contact.value}" if found else None,
    }


def recipient_rows(entry: Entry) -> tuple[Values, ...]:
    """Return one row per recipient, with the state it has in the entry."""
    replies = entry.last_replies or (None,) * len(entry.states)
    return tuple(
        {
            "position": position,
            "local": recipient.mailbox.local,
            "domain": recipient.mailbox.domain,
            "notify": None if recipient.notify is None else ",".join(sorted(recipient.notify)),
            "orcpt": recipient.orcpt,
            "state": state.value,
            "reply": _reply_text(reply),
        }
        for position, (recipient, state, reply) in enumerate(
            zip(entry.consignment.envelope.recipients, entry.states, replies, strict=True)
        )
    )


def read_entry(row: Row[Any], recipients: Sequence[Row[Any]], message: Message) -> Entry:
    """Return the entry of its rows; raises `ValueError` for rows that are not what was once written."""
    if [each.position for each in recipients] != list(range(len(recipients))) or len(message) != row.length:
        raise ValueError("rows are missing")
    sender = NULL_PATH if row.reverse_local is None else Mailbox(row.reverse_local, row.reverse_domain)
    envelope = Envelope(
        sender,
        tuple(Recipient(Mailbox(each.local, each.domain), _notify(each.notify), each.orcpt) for each in recipients),
        eight_bit=bool(row.eight_bit),
        smtputf8=bool(row.smtputf8),
        ret=None if row.ret is None else Ret(row.ret),
        envid=row.envid,
    )
    consignment = Consignment(
        Kind(row.kind),
        row.hop,
        envelope,
        message,
        Direction(row.direction),
        row.trace_id,
        bool(row.answered_for),
        row.reason,
        _origin(row),
        _recollection(row),
    )
    return Entry(
        row.entry_id,
        consignment,
        tuple(RecipientState(each.state) for each in recipients),
        moment(row.received_at),
        moment(row.next_attempt_at),
        moment(row.expires_at),
        row.attempts,
        bool(row.dot_sent),
        tuple(read_reply(each.reply) for each in recipients[: row.replies]),
        None if row.warned_at is None else moment(row.warned_at),
    )


def _origin(row: Row[Any]) -> Origin | None:
    if row.origin_listener is None:
        return None
    return Origin(row.origin_listener, row.origin_login, row.origin_client)


def _recollection(row: Row[Any]) -> Recollection | None:
    if row.recollection is None:
        return None
    repeat, contact = row.recollection.split(" ")
    return Recollection(Repeat(repeat), Contact(contact))


def _notify(stored: str | None) -> frozenset[Notify] | None:
    return None if stored is None else frozenset(Notify(word) for word in stored.split(",") if word)


def _reply_text(reply: Reply | None) -> str | None:
    return None if reply is None else json.dumps([reply.code, reply.status, reply.lines], ensure_ascii=False)


def read_reply(stored: str | None) -> Reply | None:
    """Return a reply as it is stored, or none."""
    if stored is None:
        return None
    code, status, lines = json.loads(stored)
    return Reply(code, status, tuple(lines))
