"""What the SMTP session asks of the journey, and the journey of the rooms around it: places, logins, routes.

Nothing here does anything; a promise that cannot be said in a type is said in the docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from datetime import datetime

    from gateway.core.address import Mailbox
    from gateway.core.events import Event
    from gateway.core.octets import Builder
    from gateway.core.queue import Consignment
    from gateway.core.received import Client, Received, Submitter
    from gateway.core.reply import Reply


class Bodies(Protocol):
    """Makes places for octets: memory while small, then an unlinked file on the spool's file system."""

    def builder(self, announced: int = 0) -> Builder:
        """Return an empty place; writing raises `StorageFullError` when the disk or the budget is spent.

        `announced` are the octets that somebody said will come: a word, not a bound.
        """
        ...


class Intake(Protocol):
    """The journey, as the SMTP session sees it. No method raises; a bug inside is answered 451 4.3.0."""

    def authorize(self, listener: str, client: Client, login: str | None) -> Submitter | Reply | None:
        """Say who answers for mail on a listener.

        Returns the submitter (outbound), None for a plain inbound relay client, or the refusal.
        """
        ...

    def recipient(self, listener: str, mailbox: Mailbox) -> Reply | Coroutine[object, object, Reply | None] | None:
        """Return the refusal of a forward-path at RCPT, None to take it, or what takes time and returns either."""
        ...

    async def accept(self, received: Received) -> Reply:
        """Take the message through the whole journey and return the reply to the dot.

        A 2xx reply means: every recipient accepted by a next hop, or committed. Callers never cancel this because the
        client left: once called it runs to its end.
        """
        ...


class Passwords(Protocol):
    """Checks passwords in bounded time and processor use."""

    async def check(self, login: str, password: bytes) -> bool | None:
        """Return whether they fit, or None when no answer is possible now (454 4.7.0). Empty passwords never fit."""
        ...


class Accounts(Protocol):
    """The logins of this gateway."""

    def authors(self, login: str) -> frozenset[str]:
        """Return the mailbox keys (and "@domain"s) a login may send as; empty for an unknown one.

        Raises `ServiceError` where that cannot be looked up now.
        """
        ...


class Routes(Protocol):
    """Which next hop carries mail for a mailbox; the configuration guarantees an answer or a refusal at RCPT."""

    def inbound(self, mailbox: Mailbox) -> str | None:
        """Return the hop's name for a mailbox of one of our domains, None for any other."""
        ...

    def outbound(self, mailbox: Mailbox) -> str | None:
        """Return the hop's name for mail that goes out, None where no route fits."""
        ...

    def through(self, hop: str, mailbox: Mailbox) -> str:
        """Return the name under which a hop of the configuration carries mail for this mailbox."""
        ...


class RecipientChecks(Protocol):
    """Verification of inbound forward-paths at RCPT (`handover.md` 2)."""

    def check(self, mailbox: Mailbox) -> Reply | Coroutine[object, object, Reply | None] | None:
        """Return the refusal, None to take it, or what asks for either."""
        ...


class HandOver(Protocol):
    """Cut-through or spool first: the decision table of `handover.md` 1."""

    async def hand_over(self, consignments: Sequence[Consignment]) -> Reply:
        """Hand over or commit everything, and return the reply to the client's dot.

        Whoever calls must not be canceled because a client left: a dot may be out (`handover.md` row 13).
        """
        ...


class Copies(Protocol):
    """Files what was sent where its author keeps sent mail; never raises, and nobody waits for it."""

    def file(self, consignments: Sequence[Consignment]) -> None:
        """Take what was accepted or committed, at once; call it once for the same mail, after that is certain."""
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
