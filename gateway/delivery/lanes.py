"""How much of dispatch one next hop may hold, and who is next there: sender domains in turn.

A dead or slow hop must not keep the entries behind its own from being claimed; a fast one takes a burst without putting
anything off. An agency that sends ten thousand letters at once must not keep those of others waiting behind them: there
is always room for a few of each domain, and each has its turn. Within one domain the order is that of claiming.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import suppress
from typing import Final

ACTIVE: Final = 10
"""Attempts at one hop at the same time; its connections are also for cut-through."""
WAITING: Final = 70
"""Claimed entries that wait for one of these; as many again for domains that have less than their share."""
PATIENCE: Final = 1.0
"""Seconds that claiming waits for one hop, in all, until that hop's queue has run empty once."""


class Lane:
    """The room at one hop. Used from one event loop."""

    def __init__(self) -> None:
        """Begin empty."""
        self._free = ACTIVE
        self._inside: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._left = asyncio.Event()
        self._waited = 0.0

    def _is_full(self, domain: str) -> bool:
        """Return whether no further entry of a domain should be claimed for this hop."""
        inside = self._inside.total()
        if inside < ACTIVE + WAITING:
            return False
        share = max(WAITING // len(self._inside.keys() | {domain}), 1)
        return inside >= ACTIVE + 2 * WAITING or self._inside[domain] >= share

    @property
    def empty(self) -> bool:
        """True if no entry is inside: nothing of it has to be remembered."""
        return not self._inside

    async def has_room(self, domain: str) -> bool:
        """Return whether an entry of a domain fits in, waiting for it while patience with this hop lasts."""
        loop = asyncio.get_running_loop()
        while self._is_full(domain) and self._waited < PATIENCE:
            self._left.clear()
            began = loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE - self._waited):
                    await self._left.wait()
            self._waited += loop.time() - began
        return not self._is_full(domain)

    def enter(self, domain: str) -> None:
        """Count an entry in."""
        self._inside[domain] += 1

    def leave(self, domain: str) -> None:
        """Count an entry out."""
        self._inside[domain] -= 1
        if not self._inside[domain]:
            del self._inside[domain]
        self._left.set()
        if self._inside.total() <= ACTIVE:
            self._waited = 0.0

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
