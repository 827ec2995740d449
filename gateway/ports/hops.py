"""Next hops, and one mail transaction at one of them, step by step (`handover.md` 1).

Nothing here does anything; a promise that cannot be said in a type is said in the docstring.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.core.envelope import Envelope
    from gateway.core.message import Message
    from gateway.core.queue import Origin
    from gateway.core.reply import Reply


class HopTrouble(Enum):
    """Why an attempt ended without an answer that decides the message (`handover.md` rows 7-10)."""

    SITE = "site"
    """Not usable: connect, banner, EHLO, STARTTLS, certificate, AUTH, or lost before the dot."""
    LOST_AFTER_DOT = "lost_after_dot"
    """The connection ended after our dot and before its reply."""


class HopError(Exception):
    """A next hop gave no answer for this message; says at which point.

    `replies` are those that were read after the dot before the connection was lost (LMTP only): they stand for the
    first accepted recipients, in order; the others are unanswered (`handover.md` row 16).
    """

    def __init__(self, trouble: HopTrouble, detail: str, replies: tuple[Reply, ...] = ()) -> None:
        super().__init__(detail)
        self.trouble = trouble
        self.detail = detail
        self.replies = replies


class Transaction(Protocol):
    """One mail transaction at one next hop, taken step by step so that the caller can decide before the dot.

    Exactly one of: `envelope` then `content` (or `abandon`). A connection whose replies were not read to the end is
    closed and never used again. Cancelling any step closes the connection.
    """

    @property
    def limits(self) -> HopLimits:
        """What the hop announced in its greeting."""
        ...

    async def envelope(self, envelope: Envelope, *, size: int | None = None) -> tuple[Reply, ...]:
        """Send MAIL and every RCPT; return one reply per recipient (MAIL's refusal stands for all).

        With `size` content is to follow, of so many octets: announced where the hop wants to know (RFC 1870), and DATA
        may go out with the envelope (RFC 2920), so that `abandon` closes the connection. Raises `HopError(SITE)`.
        """
        ...

    async def content(self, message: Message) -> tuple[Reply, ...] | None:
        """Send DATA, the message and the dot to the recipients that were accepted at RCPT.

        Returns one reply per *accepted* recipient in their order (SMTP: the same for each; LMTP: each its own; a
        refusal of DATA stands for all), or None if `pause` ended the waiting behind the dot: call it again to wait on,
        or `give_up`. Raises `HopError`; after the dot it is LOST_AFTER_DOT. May be awaited for ten minutes.
        """
        ...

    @property
    def dot_sent(self) -> bool:
        """True from the moment the end of data was handed to the socket."""
        ...

    def pause(self) -> bool:
        """Let `content`, under way or called next, wait for nothing more; False, and no change, before the dot."""
        ...

    def give_up(self) -> tuple[Reply, ...]:
        """Close the connection behind the dot, whatever is unanswered; never raises.

        Returns the replies that were read: of the first accepted recipients, in order.
        """
        ...

    async def abandon(self) -> None:
        """Close the connection without a dot, or RSET it before DATA; never raises. Ends a step of another task."""
        ...


class HopLimits(Protocol):
    """What a next hop said it can take."""

    @property
    def size(self) -> int | None:
        """SIZE in octets; None if not announced, 0 means no fixed limit and is read as None."""
        ...

    @property
    def eight_bit(self) -> bool:
        """8BITMIME."""
        ...

    @property
    def smtputf8(self) -> bool:
        """SMTPUTF8."""
        ...

    @property
    def dsn(self) -> bool:
        """DSN."""
        ...


class NextHop(Protocol):
    """One configured next hop: SMTP, LMTP or a Maildir; pooled, with its own breaker."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def usable(self) -> bool:
        """False while the breaker is open: do not even try, spool at once (row 7)."""
        ...

    @property
    def per_recipient(self) -> bool:
        """True if each recipient has its own reply after the dot (LMTP, Maildir): several are spooled first."""
        ...

    async def begin(self, client: Origin | None = None) -> Transaction:
        """Return a transaction on a ready connection, pooled or new; raises `HopError(SITE)`.

        `client` is who gave us the mail: a hop that wants to know is told.
        """
        ...

    async def known_limits(self) -> HopLimits | None:
        """Return what the hop last announced, asking it once if nobody did yet; None if it cannot be reached."""
        ...


class NextHops(Protocol):
    """All next hops and the routing table."""

    def by_name(self, name: str) -> NextHop:
        """Return the hop; raises `KeyError`."""
        ...
