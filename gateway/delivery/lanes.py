"""How much of dispatch one next hop may hold: a few attempts, a short queue, and a little waiting of everybody else.

A dead or slow hop must not keep the entries behind its own from being claimed; a fast one takes a burst without putting
anything off.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

ACTIVE: Final = 10
"""Attempts at one hop at the same time; its connections are also for cut-through."""
WAITING: Final = 70
"""Claimed entries that wait for one of these."""
PATIENCE: Final = 1.0
"""Seconds that claiming waits for one hop, in all, until that hop's queue has run empty once."""


class Lane:
    """The room at one hop. Used from one event loop."""

    def __init__(self) -> None:
        """Begin empty."""
        self._turns = asyncio.Semaphore(ACTIVE)
        self._inside = 0
        self._left = asyncio.Event()
        self._waited = 0.0

    @property
    def full(self) -> bool:
        """True if no further entry should be claimed for this hop."""
        return self._inside >= ACTIVE + WAITING

    async def has_room(self) -> bool:
        """Return whether an entry fits in, waiting for it while patience with this hop lasts."""
        loop = asyncio.get_running_loop()
        while self.full and self._waited < PATIENCE:
            self._left.clear()
            began = loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE - self._waited):
                    await self._left.wait()
            self._waited += loop.time() - began
        return not self.full

    def enter(self) -> None:
        """Count an entry in."""
        self._inside += 1

    def leave(self) -> None:
        """Count an entry out."""
        self._inside -= 1
        self._left.set()
        if self._inside <= ACTIVE:
            self._waited = 0.0

    async def take_turn(self) -> None:
        """Wait until one more attempt may be made; `end_turn` must follow."""
        await self._turns.acquire()

    def end_turn(self) -> None:
        """Let the next one try."""
        self._turns.release()
