"""The envelope of one SMTP transaction, with the delivery status requests of RFC 3461 kept as they were asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.core.address import Mailbox, ReversePath


class Notify(StrEnum):
    """A condition under which the sender wants to be told (RFC 3461 4.1); NEVER is the empty set of these."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Ret(StrEnum):
    """How much of the message a failure notification returns (RFC 3461 4.3)."""

    FULL = "FULL"
    HDRS = "HDRS"


class Direction(StrEnum):
    """Which half of the gateway a message goes through."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path; `notify` None means "not given", the empty set NEVER. `orcpt` is kept in xtext as given."""

    mailbox: Mailbox
    notify: frozenset[Notify] | None = None
    orcpt: str | None = None

    @property
    def wants_failure(self) -> bool:
        """True if a failure is to be reported (the default when NOTIFY was not given)."""
        return self.notify is None or Notify.FAILURE in self.notify

    @property
    def wants_success(self) -> bool:
        """True if the sender asked to be told of success."""
        return self.notify is not None and Notify.SUCCESS in self.notify


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reverse-path, forward-paths in the order given, and the MAIL parameters that travel on."""

    reverse_path: ReversePath
    recipients: tuple[Recipient, ...]
    eight_bit: bool = False
    """BODY=8BITMIME was given (RFC 6152)."""
    smtputf8: bool = False
    """SMTPUTF8 was given (RFC 6531)."""
    ret: Ret | None = None
    envid: str | None = None
    """ENVID in xtext, as given."""

    def only(self, indexes: Iterable[int]) -> Envelope:
        """Return the same envelope for some of its recipients, by index."""
        chosen = tuple([self.recipients[index] for index in indexes])
        if chosen == self.recipients:
            return self
        return Envelope(self.reverse_path, chosen, self.eight_bit, self.smtputf8, self.ret, self.envid)
