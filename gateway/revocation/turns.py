"""Who may ask now: bounded turns for each site and for all, and pauses for what failed lately.

A site that hangs must not take the turns of the others, nor cost every message the time that it hangs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.revocation.client import Blame, FetchError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_REMEMBERED: Final = 10_000
"""Things in pause, at most: the ones that failed longest ago are forgotten first."""


class Turns:
    """A lane: so many at once for each site, so many for all of them, so many that wait; for one event loop."""

    def __init__(
        self,
        *,
        for_each: int,
        for_all: int,
        waiting: int,
        a_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nobody in it; `a_minute` bounds how many may begin, `clock` counts seconds."""
        self._for_each = for_each
        self._a_minute = a_minute
        self._clock = clock
        self._minute = 0
        self._begun = 0
        self._waiting = waiting
        self._all = asyncio.Semaphore(for_all)
        self._sites: dict[str, asyncio.Semaphore] = {}
        self._present: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, site: str) -> AsyncIterator[None]:
        """Wait for a turn at a site; raises `FetchError` at once where too many wait already, or have been."""
        if self._present.total() >= self._waiting or not self._within_a_minute():
            raise FetchError("busy", Blame.NOBODY)
        self._present[site] += 1
        semaphore = self._sites.setdefault(site, asyncio.Semaphore(self._for_each))
        try:
            async with semaphore, self._all:
                yield
        finally:
            self._present[site] -= 1
            if not self._present[site]:
                del self._present[site], self._sites[site]

    def _within_a_minute(self) -> bool:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._begun = minute, 0
        self._begun += 1
        return self._a_minute is None or self._begun <= self._a_minute


class Pauses:
    """What failed, and until when nobody tries again; the pause grows with each failure in a row."""

    def __init__(
        self, *, after: int, first: float, longest: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Pause after so many failures in a row; `clock` counts seconds, as do the two lengths."""
        self._after = after
        self._first = first
        self._longest = longest
        self._clock = clock
        self._known: OrderedDict[str, _Failures] = OrderedDict()

    def enter(self, name: str) -> bool:
        """Return whether somebody may try; when a pause is over one may, and the next pause is longer."""
        known = self._known.get(name)
        if known is None or known.number < self._after:
            return True
        now = self._clock()
        if now < known.until:
            return False
        self._known[name] = _Failures(known.number, min(known.pause * 2, self._longest), now + known.pause)
        return True

    def failed(self, name: str) -> bool:
        """Note a failure; returns whether it began a pause. Many at once do not lengthen it."""
        known = self._known.get(name, _Failures(0, self._first, 0.0))
        number = min(known.number + 1, self._after)
        self._known[name] = _Failures(number, known.pause, self._clock() + known.pause)
        self._known.move_to_end(name)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return number == self._after != known.number

    def succeeded(self, name: str) -> None:
        """Forget the failures."""
        self._known.pop(name, None)


@dataclass(frozen=True, slots=True)
class _Failures:
    number: int
    """In a row, counted up to the first pause."""
    pause: float
    until: float
