"""The breaker of a next hop: after some troubles in a row nobody tries, for a short time that grows (`handover.md` 1).

It must never stay open by itself: when its time is over one attempt goes through, whatever became of the one before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TROUBLES: Final = 3
"""Troubles of the site in a row that open it."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds; each attempt that is let through while open doubles the pause."""
MOST_WORDS: Final = 300
"""Characters that are kept of the words about a trouble."""


class Breaker:
    """Counts troubles in a row; used from one event loop."""

    __slots__ = ("_clock", "_last", "_pause", "_retry_at", "_since", "_troubles")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin closed; `clock` counts seconds."""
        self._clock = clock
        self._troubles = 0
        self._pause = FIRST_PAUSE
        self._retry_at = 0.0
        self._since = clock()
        self._last: tuple[str, float] | None = None

    @property
    def open(self) -> bool:
        """True from the last of some troubles in a row until an answer, also while an attempt is let through."""
        return self._troubles >= TROUBLES

    @property
    def seconds(self) -> float:
        """For how long it has been open, or closed."""
        return self._clock() - self._since

    @property
    def rest(self) -> float:
        """For how many seconds nobody will try; 0 if the next message does."""
        return max(0.0, self._retry_at - self._clock()) if self.open else 0.0

    @property
    def last_trouble(self) -> tuple[str, float] | None:
        """The words about the last trouble, and how many seconds ago that was; None if there was none."""
        return None if self._last is None else (self._last[0], self._clock() - self._last[1])

    @property
    def usable(self) -> bool:
        """True if an attempt would be let through now."""
        return self._troubles < TROUBLES or self._clock() >= self._retry_at

    def enter(self) -> bool:
        """Return whether this attempt may go on; while half open, one per pause may."""
        if self._troubles < TROUBLES:
            return True
        if self._clock() < self._retry_at:
            return False
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._retry_at = self._clock() + self._pause
        return True

    def answered(self) -> None:
        """Note that the hop answered a message."""
        if self.open:
            self._since = self._clock()
        self._troubles = 0
        self._pause = FIRST_PAUSE

    def trouble(self, words: str = "") -> None:
        """Note a trouble of the site; many at once, of attempts begun together, do not lengthen the pause."""
        now = self._clock()
        if self._troubles == TROUBLES - 1:
            self._since = now
        self._troubles = min(self._troubles + 1, TROUBLES)
        self._retry_at = now + self._pause
        self._last = (words[:MOST_WORDS], now)
