"""How much of dispatch each next hop may hold, and who is next there: sender domains in turn.

A dead or slow hop must not keep others waiting, and costs nothing by what waits for it: what it has no room for is not
claimed. An agency that sends ten thousand letters at once must not keep those of others waiting behind them: there
is always room for a few of each domain, and each has its turn. Within one domain the order is that of claiming.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gateway.core.queue import Full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACTIVE: Final = 10
"""Attempts at one hop at the same time; its connections are also for cut-through."""
WAITING: Final = 70
"""Claimed entries that wait for one of these; as many again for domains that have less than their share."""
CROWD: Final = 1000
"""Claimed entries in all from which on a hop has only as many as it tries; at twice as many, one."""
REST: Final = 2.0
"""Seconds in which nothing is claimed for a hop that let nobody in: its breaker is open."""
RESTING: Final = 200
"""Hops that rest at the same time; with direct sending there are thousands, and each is named in every claim."""


class Lane:
    """The room at one hop. Used from one event loop."""

    def __init__(self) -> None:
        """Begin empty."""
        self._free = ACTIVE
        self._inside: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._trying = 0
        self._end: asyncio.Future[None] | None = None

    @property
    def inside(self) -> int:
        """Entries that were claimed and are not settled."""
        return self._inside.total()

    @property
    def sated(self) -> frozenset[str]:
        """The domains inside that have their share of what is kept for those with less."""
        share = max(WAITING // max(len(self._inside), 1), 1)
        return frozenset(domain for domain, count in self._inside.items() if count >= share)

    def enter(self, domain: str) -> None:
        """Count an entry in."""
        self._inside[domain] += 1

    def leave(self, domain: str) -> None:
        """Count an entry out."""
        self._inside[domain] -= 1
        if not self._inside[domain]:
            del self._inside[domain]

    async def take_turn(self, domain: str) -> None:
        """Wait until one more attempt may be made; `end_turn` must follow."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(domain, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came in the same moment: somebody else must have it
                self.end_turn()
            raise

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Count an attempt under way, and wake who waits for the end of one."""
        self._trying += 1
        try:
            yield
        finally:
            self._trying -= 1
            if self._end is not None:
                self._end.set_result(None)
                self._end = None

    async def news(self) -> bool:
        """Wait until an attempt ends, which may show that the hop is back; False at once if none is under way."""
        if not self._trying:
            return False
        if self._end is None:
            self._end = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._end)
        return True

    def end_turn(self) -> None:
        """Let the next one try: the first of the domain that was served longest ago."""
        while self._waiting:
            domain, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[domain] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Lanes:
    """The lanes of all hops of which something is inside, and which hops rest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin empty; `clock` counts seconds."""
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._resting: dict[str, float] = {}
        self._inside = 0

    def __len__(self) -> int:
        """Return how many hops have something inside."""
        return len(self._lanes)

    def __getitem__(self, hop: str) -> Lane:
        """Return the lane of a hop."""
        return self._lanes.setdefault(hop, Lane())

    @property
    def full(self) -> Full:
        """Where nothing more is to be claimed for now: at most a name for each entry inside, and those that rest."""
        now = self._clock()
        self._resting = {hop: until for hop, until in self._resting.items() if until > now}
        levels = {hop: self._level(hop) for hop in self._lanes}
        some = (hop for hop, level in levels.items() if level == 1)
        return Full(
            frozenset(hop for hop, level in levels.items() if level > 1) | self._resting.keys(),
            frozenset((hop, domain) for hop in some for domain in self._lanes[hop].sated),
        )

    def overruns(self, hop: str) -> bool:
        """Return whether so much is inside that a hop must do with one entry at a time."""
        return self._inside >= 2 * CROWD and hop in self._lanes

    def rest(self, hop: str) -> None:
        """Let nothing be claimed for a hop for a moment."""
        if len(self._resting) < RESTING:
            self._resting[hop] = self._clock() + REST

    def enter(self, hop: str, domain: str) -> None:
        """Count an entry in."""
        self._inside += 1
        self[hop].enter(domain)

    def leave(self, hop: str, domain: str) -> bool:
        """Count an entry out; True if there is room now where there was none."""
        before, lane = self._level(hop), self._lanes[hop]
        crowded = self._inside == CROWD
        self._inside -= 1
        lane.leave(domain)
        if not lane.inside:  # with direct sending each domain that was ever written to is a hop
            del self._lanes[hop]
        return crowded or self._level(hop) < before

    def _level(self, hop: str) -> int:
        """Return 0 if a hop has room for all, 1 for domains with less than their share, 2 for none."""
        inside = self._lanes[hop].inside if hop in self._lanes else 0
        if self._inside >= CROWD and inside >= ACTIVE:
            return 2
        return (inside >= ACTIVE + WAITING) + (inside >= ACTIVE + 2 * WAITING)
