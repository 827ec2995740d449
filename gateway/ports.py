"""What the rooms promise each other, in types and prose: adapters keep these promises, `app` wires them together.

Nothing here does anything; a promise that cannot be said in a type is said in the docstring.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from gateway.cms.sign import SigningTemplate
    from gateway.core.address import Mailbox
    from gateway.core.envelope import Envelope
    from gateway.core.events import Event
    from gateway.core.message import Message
    from gateway.core.octets import Builder
    from gateway.core.past import PastMessage
    from gateway.core.queue import Consignment, Entry
    from gateway.core.received import Client, Received, Submitter
    from gateway.core.reply import Reply
    from gateway.pki.certificate import Certificate


class Bodies(Protocol):
    """Makes places for octets: memory while small, then an unlinked file on the spool's file system."""

    def builder(self) -> Builder:
        """Return an empty place; writing raises `StorageFullError` when the disk or the budget is spent."""
        ...


class Intake(Protocol):
    """The journey, as the SMTP session sees it. No method raises; a bug inside is answered 451 4.3.0."""

    async def authorize(self, listener: str, client: Client, login: str | None) -> Submitter | Reply | None:
        """Say who answers for mail on a listener.

        Returns the submitter (outbound), None for a plain inbound relay client, or the refusal.
        """
        ...

    async def recipient(self, listener: str, mailbox: Mailbox) -> Reply | None:
        """Return the refusal of a forward-path at RCPT, or None to take it."""
        ...

    async def accept(self, received: Received) -> Reply:
        """Take the message through the whole journey and return the reply to the dot.

        A 2xx reply means: every recipient accepted by a next hop, or committed. Callers shield this from the
        client's disconnection: once called it runs to its end.
        """
        ...


class Passwords(Protocol):
    """Checks passwords in bounded time and processor use."""

    async def check(self, login: str, password: bytes) -> bool | None:
        """Return whether they fit, or None when no answer is possible now (454 4.7.0). Empty passwords never fit."""
        ...


class KeyKind(Enum):
    """Whose key it is."""

    PERSONAL = "personal"
    ORGANIZATION = "organization"


class SigningKey(Protocol):
    """One key that can sign now, with its prepared template; loading and checking happened before."""

    @property
    def label(self) -> str:
        """The name administrators use."""
        ...

    @property
    def kind(self) -> KeyKind:
        """Personal or organization."""
        ...

    @property
    def certificate(self) -> Certificate:
        """The leaf."""
        ...

    @property
    def addresses(self) -> frozenset[str]:
        """`Mailbox.key`s it may sign for."""
        ...

    @property
    def template(self) -> SigningTemplate:
        """The prepared CMS."""
        ...

    async def sign(self, to_be_signed: bytes) -> bytes:
        """Return the raw signature value; raises `ServiceError` when the key is busy or away."""
        ...


class KeyCatalog(Protocol):
    """All keys this gateway may use. The catalog is replaced as a whole on reload."""

    def by_label(self, label: str) -> SigningKey | None:
        """Return the key of this label."""
        ...

    def for_author(self, mailbox: Mailbox, kind: KeyKind) -> SigningKey | None:
        """Return the key of this kind that may sign for the mailbox: in date first, then the latest expiry."""
        ...

    def unfit(self, key: SigningKey, at: datetime) -> str | None:
        """Return the stable code of why the key may not sign at this time ("expired" ...), or None if it may."""
        ...


class SecondOpinion(Protocol):
    """Another program that verifies what we signed, before it is released; bounded in time and in number at once."""

    async def verify(self, finished: Message, certificate: Certificate) -> str | None:
        """Return None if it finds the signature good and made by the certificate's key, else a stable code.

        The path above the certificate is not its question: who reads the mail has other anchors than we have. Raises
        `ServiceError` where it gives no answer now.
        """
        ...


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

        `size` is what `content` will have, in octets, where that is known: announced where the hop wants to know
        (RFC 1870). Raises `HopError(SITE)`.
        """
        ...

    async def content(self, message: Message) -> tuple[Reply, ...]:
        """Send DATA, the message and the dot to the recipients that were accepted at RCPT.

        Returns one reply per *accepted* recipient in their order (SMTP: the same for each; LMTP: each its own; a
        refusal of DATA stands for all). Raises `HopError`; after the dot it is LOST_AFTER_DOT. May be awaited for
        ten minutes: the caller bounds its own patience by not cancelling but by waiting with `asyncio.wait`.
        """
        ...

    @property
    def dot_sent(self) -> bool:
        """True from the moment the end of data was handed to the socket."""
        ...

    async def abandon(self) -> None:
        """Close the connection without a dot, or RSET it before DATA; never raises."""
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

    async def begin(self) -> Transaction:
        """Return a transaction on a ready connection, pooled or new; raises `HopError(SITE)`."""
        ...

    async def known_limits(self) -> HopLimits | None:
        """Return what the hop last announced, asking it once if nobody did yet; None if it cannot be reached."""
        ...


class NextHops(Protocol):
    """All next hops and the routing table."""

    def by_name(self, name: str) -> NextHop:
        """Return the hop; raises `KeyError`."""
        ...


class Spool(Protocol):
    """The durable store (`handover.md` 3). When `commit` returns, the entries survive a crash."""

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Store all entries in one transaction, group-committed with others.

        Committing the same entry ids again is harmless. Raises `StorageFullError` or `ServiceError`: nothing is kept.
        An entry is nobody's until its `next_attempt_at`: whoever commits it with a dot still to be answered sets that
        far enough ahead to settle it first (a lease that outlives a crash).
        """
        ...

    async def settle(self, entry: Entry, notices: Sequence[Entry] = ()) -> None:
        """Replace an entry's state by `entry`'s and store notices, in one transaction.

        An entry of kind DELIVER without READY recipients is deleted; its body file goes after the row. An entry that
        became QUARANTINED stays.
        """
        ...

    async def due(self, now: datetime, limit: int) -> tuple[Entry, ...]:
        """Return and claim DELIVER entries whose next attempt is due, oldest first; not those claimed already."""
        ...

    async def release_claim(self, entry_id: str) -> None:
        """Give a claimed entry back unchanged."""
        ...

    async def next_due(self) -> datetime | None:
        """Return when the earliest unclaimed DELIVER entry is due."""
        ...

    async def count(self) -> Mapping[str, int]:
        """Return the number of entries by kind."""
        ...

    @property
    def below_watermark(self) -> bool:
        """True while the disk has too little room: MAIL is answered 452 4.3.1."""
        ...


class KeptMail(Protocol):
    """The same store, for what goes through the journey again."""

    async def due_again(self, now: datetime, limit: int) -> tuple[Entry, ...]:
        """Return and claim RELEASED and TO_SIGN entries that are due, as `Spool.due` does those that are delivered."""
        ...

    async def next_due_again(self) -> datetime | None:
        """Return when the earliest unclaimed one is due."""
        ...

    async def exchange(self, entry_id: str, entries: Sequence[Entry]) -> None:
        """Put entries in the place of one, in one transaction; where that one is gone nothing is stored."""
        ...

    async def settle(self, entry: Entry, notices: Sequence[Entry] = ()) -> None:
        """As `Spool.settle`."""
        ...

    async def release_claim(self, entry_id: str) -> None:
        """As `Spool.release_claim`."""
        ...


class Memory(Protocol):
    """Remembers facts and rulings of past mail, bounded in number and age; never raises and never delays mail."""

    def remember(self, past: PastMessage) -> None:
        """Note one message; written in batches, behind the reply."""
        ...


class HandOver(Protocol):
    """Cut-through or spool first: the decision table of `handover.md` 1."""

    async def hand_over(self, consignments: Sequence[Consignment]) -> Reply:
        """Hand over or commit everything, and return the reply to the client's dot; runs shielded."""
        ...


class Routes(Protocol):
    """Which next hop carries mail for a mailbox; the configuration guarantees an answer or a refusal at RCPT."""

    def inbound(self, mailbox: Mailbox) -> str | None:
        """Return the hop's name for a mailbox of one of our domains, None for any other."""
        ...

    def outbound(self, mailbox: Mailbox) -> str | None:
        """Return the hop's name for mail that goes out, None where no route fits."""
        ...


class RecipientChecks(Protocol):
    """Verification of inbound forward-paths at RCPT (`handover.md` 2)."""

    async def check(self, mailbox: Mailbox) -> Reply | None:
        """Return the refusal, or None to take it."""
        ...


class Accounts(Protocol):
    """The logins of this gateway."""

    def authors(self, login: str) -> frozenset[str]:
        """Return the mailbox keys (and "@domain"s) a login may send as; empty for an unknown one.

        Raises `ServiceError` where that cannot be looked up now.
        """
        ...


class Recorder(Protocol):
    """Takes events; never raises and never blocks."""

    def record(self, event: Event) -> None:
        """Note one step."""
        ...


class Clock(Protocol):
    """Where the shell takes the time from: aware, UTC."""

    def now(self) -> datetime:
        """Return the present."""
        ...
