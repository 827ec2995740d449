"""What a gateway knows of a next hop by its own mail, as others may be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """One next hop at one moment; times are seconds from that moment."""

    hop: str
    """Its name; HOP@DOMAIN where mail is sent directly."""
    resting: bool
    """Whether its breaker is open."""
    seconds: float
    """For how long the breaker has been open, or closed."""
    rest: float
    """For how many seconds nobody will try; 0 if the next message does."""
    using: int
    """Connections in use, or being opened."""
    kept: int
    """Connections that nobody uses."""
    most: int
    """Connections that there may be."""
    trouble: str
    """The words about the last trouble of the site; empty if there was none."""
    trouble_seconds: float | None
    """When that was."""
