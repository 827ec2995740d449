"""Whose message is judged next: sources take turns, and whoever cost much lately comes after everybody else.

Without limits here one source could fill every process, or the queue, with messages made to be slow. Everything that a
stranger can make grow is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MOST_OF_ONE: Final = 64
"""Messages of one source that may wait."""
MOST: Final = 1000
"""Messages that may wait; beyond it, the longest queue loses its last one."""
PATIENCE: Final = 20.0
"""Seconds that a message waits."""
SUSPECT_SECONDS: Final = 300.0
_MOST_SUSPECTS: Final = 10_000


class BusyError(Exception):
    """There is no turn for this message."""


class Turns:
    """Gives `places` away, one source after the other."""

    def __init__(self, places: int, *, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with all places free; `clock` counts seconds."""
        self._free = places
        self._most_of_one = max(1, places - 1)
        self._patience = patience
        self._clock = clock
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._suspects: OrderedDict[str, float] = OrderedDict()

    def suspect(self, source: str) -> None:
        """Put a source behind all others for a while."""
        self._suspects[source] = self._clock() + SUSPECT_SECONDS
        self._suspects.move_to_end(source)
        while len(self._suspects) > _MOST_SUSPECTS:
            self._suspects.popitem(last=False)

    def suspected(self, source: str) -> bool:
        """Return whether a source is behind all others now."""
        return self._suspects.get(source, 0.0) > self._clock()

    @contextlib.asynccontextmanager
    async def turn(self, source: str) -> AsyncIterator[None]:
        """Wait for a place and hold it; raises `BusyError`."""
        await self._place(source)
        try:
            yield
        finally:
            self._running[source] -= 1
            if not self._running[source]:
                del self._running[source]
            self._free += 1
            self._next()

    async def _place(self, source: str) -> None:
        queue = self._waiting.setdefault(source, deque())
        if len(queue) >= MOST_OF_ONE:
            raise BusyError
        place = asyncio.get_running_loop().create_future()
        queue.append(place)
        self._bound()
        self._next()
        try:
            async with asyncio.timeout(self._patience):
                await place
        except BaseException as error:
            self._withdraw(source, place)
            if isinstance(error, TimeoutError):
                raise BusyError from None
            raise

    def _bound(self) -> None:
        """Turn the last one of the longest queue away where too many wait."""
        if sum(map(len, self._waiting.values())) > MOST:
            longest = max(self._waiting, key=lambda each: len(self._waiting[each]))
            self._waiting[longest].pop().set_exception(BusyError())
            self._tidy(longest)

    def _withdraw(self, source: str, place: asyncio.Future[None]) -> None:
        """Take back what was asked for, or what was given while nobody looked."""
        if place.done() and not place.cancelled() and place.exception() is None:
            self._running[source] -= 1
            self._running += Counter()  # drops what is zero
            self._free += 1
            self._next()
            return
        with contextlib.suppress(KeyError, ValueError):
            self._waiting[source].remove(place)
            self._tidy(source)

    def _tidy(self, source: str) -> None:
        if not self._waiting[source]:
            del self._waiting[source]

    def _next(self) -> None:
        """Give free places away."""
        while self._free and (source := self._choose()) is not None:
            place = self._waiting[source].popleft()
            self._waiting.move_to_end(source)
            self._tidy(source)
            if not place.done():
                self._free -= 1
                self._running[source] += 1
                place.set_result(None)

    def _choose(self) -> str | None:
        """Return whose turn it is: those without anything under way first, suspects last, and never in every place."""
        suspects = {each for each in (*self._waiting, *self._running) if self.suspected(each)}
        clean = [each for each in self._waiting if each not in suspects]
        chosen = next((each for each in clean if not self._running[each]), None) or next(
            (each for each in clean if self._running[each] < self._most_of_one), None
        )
        if chosen is not None:
            return chosen
        if sum(self._running[each] for each in suspects) >= self._most_of_one:
            return None
        return next((each for each in self._waiting if each in suspects and not self._running[each]), None)
