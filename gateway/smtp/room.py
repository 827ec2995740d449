"""Room for messages that are being read: beyond it a client waits for its 354, then gets 452 (RFC 5321 4.5.3.2).

Whatever ends a message - its end, a refusal, a reset, a lost connection - must give its room back.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.smtp.limits import READING

WAIT_SECONDS: Final = 30.0
"""How long a client waits for room; RFC 5321 4.5.3.2.3 has it wait two minutes for the 354."""


class Room:
    """The budget of one worker, in octets; who waits comes in turn. Used from one event loop."""

    def __init__(self, octets: int, *, patience: float = WAIT_SECONDS) -> None:
        """Have room for `octets`; at least one message is always read."""
        self._turns = asyncio.Semaphore(max(octets // READING, 1))
        self._patience = patience

    async def take(self) -> Share | None:
        """Return a share when there is one, None if there is none in time."""
        if self._turns.locked():
            try:
                async with asyncio.timeout(self._patience):
                    await self._turns.acquire()
            except TimeoutError:
                return None
        else:
            await self._turns.acquire()  # which does not wait
        return Share(self._turns)


class Share:
    """What one message takes; given back when nobody holds it any more, or before that by `end`."""

    __slots__ = ("_turns",)

    def __init__(self, turns: asyncio.Semaphore) -> None:
        """Use `Room.take`."""
        self._turns: asyncio.Semaphore | None = turns

    def end(self) -> None:
        """Give it back; harmless when done twice."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.release()

    def __del__(self) -> None:
        self.end()
