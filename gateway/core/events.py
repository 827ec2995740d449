"""One step of a message's journey, as it is recorded: evidence, metrics and message trace are read from these.

An event must never hold message bodies, secrets or personal numbers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stage(StrEnum):
    """The stations of the journey, in order."""

    RECEIVED = "received"
    AUTHORIZED = "authorized"
    STRIPPED = "stripped"
    """Marks that were not ours to keep were taken off."""
    CLASSIFIED = "classified"
    RULED = "ruled"
    SIGNED = "signed"
    VERIFIED = "verified"
    TAGGED = "tagged"
    HANDED_OVER = "handed_over"
    SPOOLED = "spooled"
    ANSWERED = "answered"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"
    NOTIFIED = "notified"
    HELD = "held"
    QUARANTINED = "quarantined"
    AGAIN = "again"
    """Kept mail went through the journey again."""


Fact = str | int | float | bool | None | tuple[str, ...]


class Event(NamedTuple):
    """What happened at one stage to the message with this trace id."""

    stage: Stage
    trace_id: str
    facts: Mapping[str, Fact]
    about: object = None
    """The value that was decided on, for readers in this process (`gateway policy explain`); never written down."""
