"""What is handed over and what is kept: consignments before, entries after the commit; state per recipient by index.

An entry's octets are final: a retry must send the same octets as the first attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.envelope import Direction, Envelope
    from gateway.core.message import Message
    from gateway.core.reply import Reply
    from gateway.core.sighting import Recollection


class Kind(StrEnum):
    """What may be done with an entry; dispatch can deliver only DELIVER, and cannot even load the others as such."""

    DELIVER = "deliver"
    TO_SIGN = "to_sign"
    """Raw, waiting for a key that is busy or away: goes through the journey again (`handover.md` row 17)."""
    HELD = "held"
    RELEASED = "released"
    """Was held, and an administrator let it go: goes through the journey again, rules that hold passed over."""
    QUARANTINED = "quarantined"


class RecipientState(StrEnum):
    """Where one recipient of an entry stands."""

    READY = "ready"
    """To be tried at the entry's next attempt."""
    SENT = "sent"
    """A next hop answered 2xx for it."""
    FAILED = "failed"
    """Given up; a notification was made, or was not owed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a kept message came from, as far as rules ask; who may send as whom was checked when it came."""

    listener: str
    login: str
    """`Submitter.name`."""
    client: str
    """IP address."""


@dataclass(frozen=True, slots=True)
class Consignment:
    """One octet string for some recipients at one next hop (or to be kept), ready to be handed over."""

    kind: Kind
    hop: str
    """Name of the next hop; "" for what is not DELIVER."""
    envelope: Envelope
    message: Message
    direction: Direction
    trace_id: str
    answered_for: bool
    """True for submissions: an authenticated sender or listed source may be told of failures by mail."""
    reason: str = ""
    """Why it is kept; stable code, then a blank and words for an administrator."""
    origin: Origin | None = None
    """Who gave it to us: for next hops that are told, and for what goes through the journey again."""
    recollection: Recollection | None = None
    """What was known of its signatures when it came; None where nobody asked, or before that was kept (version 6)."""

    @property
    def turn_of(self) -> str:
        """Whose turn at the next hop it takes: that of the sender's domain, folded; "" for all notices together."""
        sender = self.envelope.reverse_path
        return sender.domain.casefold() if isinstance(sender, Mailbox) else ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A consignment in the spool."""

    entry_id: str
    consignment: Consignment
    states: tuple[RecipientState, ...]
    received_at: datetime
    next_attempt_at: datetime
    expires_at: datetime
    attempts: int = 0
    dot_sent: bool = False
    """An end-of-data of this entry is unanswered: a retry may duplicate, and is counted as such."""
    last_replies: tuple[Reply | None, ...] = field(default=())
    warned_at: datetime | None = None
    """When the pause was settled of whose length the sender is told, if he wants to be: once in a lifetime."""

    @property
    def open_indexes(self) -> tuple[int, ...]:
        """Indexes of the recipients still to be tried."""
        return tuple([index for index, state in enumerate(self.states) if state is RecipientState.READY])


@dataclass(frozen=True, slots=True)
class Full:
    """Where there is no room for more mail now: what is for there stays in the store."""

    hops: frozenset[str] = frozenset()
    """Next hops."""
    turns: frozenset[tuple[str, str]] = frozenset()
    """Next hops, each with a `Consignment.turn_of` for which it has no room, though it has some for others."""

    def __bool__(self) -> bool:
        """Return whether anything is full."""
        return bool(self.hops or self.turns)


NOWHERE: Final = Full()
"""There is room everywhere."""
