"""When a message in the spool is tried again, when its sender is warned, and when it is given up (RFC 5321 4.5.4.1).

Pure: the present and the randomness are arguments.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.config.model import SpoolSettings
    from gateway.core.queue import Entry

_SPREAD: Final = 0.25
"""The part of an interval that jitter may take off: what failed together shall not come back together."""
_MOST_DOUBLINGS: Final = 32
_OTHERS: Final = timedelta(hours=1)
"""What mail is put off for that goes through the journey again and meets trouble of ours."""
_SLACK: Final = timedelta(minutes=1)


def expiry(settings: SpoolSettings, received_at: datetime) -> datetime:
    """Return when a message that arrived then is given up."""
    return received_at + timedelta(seconds=settings.expire_after)


def interval(settings: SpoolSettings, attempts: int, jitter: float) -> timedelta:
    """Return the pause after the given number of failed attempts (1 or more); `jitter` is in [0, 1)."""
    doublings = min(max(attempts - 1, 0), _MOST_DOUBLINGS)
    seconds = min(settings.retry_first * 2.0**doublings, settings.retry_most)
    return timedelta(seconds=seconds * (1 - _SPREAD * jitter))


def longest_wait(settings: SpoolSettings) -> timedelta:
    """Return what no entry that waits is put off for; more was planned by a clock that was ahead."""
    return max(timedelta(seconds=settings.retry_most), _OTHERS) + _SLACK


def next_attempt(entry: Entry, pause: timedelta, now: datetime) -> datetime:
    """Return when to try again: never after the expiry, so that the last attempt is made before giving up."""
    return min(now + pause, max(entry.expires_at, now))


def warns(settings: SpoolSettings, entry: Entry, next_attempt_at: datetime) -> bool:
    """True if the pause that begins now is the first one that reaches the age at which a sender is warned.

    That it was is remembered in the entry: an administrator may have it tried early, or keep it back for days.
    """
    return entry.warned_at is None and entry.received_at + timedelta(seconds=settings.warn_after) <= next_attempt_at
