"""Room for messages that are being read: beyond it a client waits for its 354, then gets 452 (RFC 5321 4.5.3.2).

Whatever ends a message - its end, a refusal, a reset, a lost connection - must give its room back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from gateway.smtp.limits import READING

WAIT_SECONDS: Final = 30.0
"""How long a client waits for room; RFC 5321 4.5.3.2.3 has it wait two minutes for the 354."""


class Room:
    """The budget of one worker, in octets; who waits comes in turn. Used from one event loop."""

    def __init__(self, octets: int, *, patience: float = WAIT_SECONDS) -> None:
        """Have room for `octets`; at least one message is always read."""
        self._left = max(octets // READING, 1)
        """Shares that nobody has; while somebody waits there are none."""
        self._waiting: deque[asyncio.Future[Share]] = deque()
        self._patience = patience

    def at_once(self) -> Share | None:
        """Return a share if there is one now."""
        if not self._left:
            return None
        self._left -= 1
        return Share(self)

    async def take(self) -> Share | None:
        """Return a share when there is one, None if there is none in time."""
        share = self.at_once()
        if share is not None:
            return share
        turn: asyncio.Future[Share] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait((turn,), timeout=self._patience)
            return turn.result() if turn.done() else None
        finally:
            if not turn.done():
                self._waiting.remove(turn)

    def give_back(self) -> None:
        """Let whoever waits longest have a share; one that it does not take any more comes back by itself."""
        if self._waiting:
            self._waiting.popleft().set_result(Share(self))
        else:
            self._left += 1


class Share:
    """What one message takes; given back when nobody holds it any more, or before that by `end`."""

    __slots__ = ("_room",)

    def __init__(self, room: Room) -> None:
        """Use `Room.take`."""
        self._room: Room | None = room

    def end(self) -> None:
        """Give it back; harmless when done twice."""
        room, self._room = self._room, None
        if room is not None:
            room.give_back()

    def __del__(self) -> None:
        self.end()
