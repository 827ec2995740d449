"""What a session works with, given to it by its listener (RFC 5321 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.config.model import TlsMode
from gateway.core.reply import Reply
from gateway.smtp.limits import BLOCK, LANDING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config.model import Listener
    from gateway.ports import Bodies, Clock, Intake, Passwords, Spool
    from gateway.smtp.presence import Presence
    from gateway.smtp.rates import Rates
    from gateway.smtp.room import Room
    from gateway.smtp.tls import ServerContext


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The listener a session belongs to, and the ports it speaks to."""

    listener: Listener
    hostname: str
    intake: Intake
    passwords: Passwords | None
    bodies: Bodies
    spool: Spool | None
    """Asked only whether it is below its watermark."""
    max_message_size: Callable[[], int]
    clock: Clock
    new_trace_id: Callable[[], str]
    presence: Presence
    tls: ServerContext | None
    rates: Rates
    room: Room
    landing: memoryview = field(default_factory=lambda: memoryview(bytearray(LANDING)), repr=False)
    """Where the octets of every connection land; used from one event loop."""
    short_landing: memoryview = field(init=False, repr=False)
    """As much of it as a session is given that waits for no message."""
    welcome: Reply = field(init=False, repr=False)
    """The first thing that is said."""
    hello: Reply = field(init=False, repr=False)
    """The answer to HELO."""
    starttls: bool = field(init=False)
    """True if STARTTLS is offered (RFC 3207)."""
    tls_first: bool = field(init=False)
    """True if nothing is said in the clear but STARTTLS."""

    def __post_init__(self) -> None:
        """Learn once what every command asks."""
        offered = self.listener.tls.mode is TlsMode.STARTTLS
        object.__setattr__(self, "short_landing", self.landing[:BLOCK])
        object.__setattr__(self, "welcome", Reply(220, None, (f"{self.hostname} ESMTP",)))
        object.__setattr__(self, "hello", Reply(250, None, (self.hostname,)))
        object.__setattr__(self, "starttls", offered)
        object.__setattr__(self, "tls_first", offered and self.listener.tls.required)

    @property
    def implicit_tls(self) -> bool:
        """True if the handshake comes before the greeting (RFC 8314 3.3)."""
        return self.listener.tls.mode is TlsMode.IMPLICIT
