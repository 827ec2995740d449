"""Whose message is opened next: one at a time, sources in turn, so that a crowd of one delays nobody else's commands.

Opening a message takes the event loop up to a tenth of a second. Without this, two hundred that end in the same moment
are all opened before anybody else's next command is read.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class Pace:
    """Lets one message go on in each round of the event loop."""

    def __init__(self) -> None:
        """Begin with nobody waiting; how many may is bounded by the connections that are let in."""
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._going = False
        self._went = ""
        """The source that went on in this round without having waited."""

    async def turn(self, source: str) -> None:
        """Wait until this source's next message may go on; between two of them everybody else's input is read."""
        loop = asyncio.get_running_loop()
        if not self._going:
            self._going, self._went = True, source
            loop.call_soon(self._next, loop)
            return
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(source, deque()).append(place)
        await place

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        went, self._went = self._went, ""
        while self._waiting:
            source, places = self._waiting.popitem(last=False)
            if source == went and self._waiting:
                self._waiting[source], went = places, ""
                continue
            place = places.popleft()
            if places:
                self._waiting[source] = places  # behind all others
            if not place.done():  # whoever waited may have gone away
                place.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._going = False
