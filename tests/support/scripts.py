"""How a next hop behaves in a simulated transaction."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.reply import Reply


@dataclass(frozen=True, slots=True)
class Script:
    """How a hop behaves in one transaction. Codes beyond 599 do not exist."""

    rcpt: tuple[int, ...] = ()
    """One code per recipient; 250 for those beyond."""
    dot: tuple[int, ...] = (250,)
    """SMTP: one code. LMTP: one per accepted recipient; fewer, and the connection is lost after them."""
    begin: str = ""
    """"trouble": not usable; "hang": no answer for an hour."""
    data: str = ""
    """"lost": the connection ends before the dot; "hang": no answer to DATA for an hour."""
    delay: float = 0.0
    """Seconds from the dot to its answer."""
    taken: bool = True
    """Whether recipients whose answer is lost were delivered."""


@dataclass(slots=True)
class Dot:
    """An end of data that reached a hop."""

    recipients: tuple[str, ...]
    answered: set[str] = field(default_factory=set)
    """Recipients whose answer we have read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Implements `ports.HopLimits`."""

    size: int | None = None
    eight_bit: bool = True
    smtputf8: bool = True
    dsn: bool = True


def answer(code: int, stage: str) -> Reply:
    """Return a hop's reply."""
    status = {2: "2.1.5", 4: "4.2.0", 5: "5.1.1"}.get(code // 100)
    return Reply(code, status, (f"{stage} says {code}",))
