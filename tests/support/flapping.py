"""A next hop whose mood changes all the time, in a thread of its own: what it took, and whether it said so.

with flapping(port) as hop:           # refuses, defers, hangs, drops; between any two of these it is well
hop.content()                     # then it is well for good
hop.said                          # octets of each message it answered 250
hop.silent                        # octets of each dot it did not answer: a real hop may have kept these
"""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from support.hops import DEFAULTS, Drop, FakeHop, Slow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.hops import Answer

_DICE: Final = random.SystemRandom()
MOODS: Final[Mapping[str, Mapping[str, Answer]]] = {
    "defers": {"RCPT": "451 4.3.0 not now"},
    "defers after the dot": {"DOT": "451 4.3.0 not now"},
    "is out of order": {"EHLO": "421 4.3.0 closing"},
    "is slow": {"DOT": lambda _: Slow(_DICE.uniform(0.2, 3.0), DEFAULTS["DOT"])},
    "drops after the dot": {"DOT": Drop()},
    "drops before the dot": {},
    "is away": {},
}


class Flapping:
    """Use `flapping`."""

    def __init__(self, port: int, hop: FakeHop) -> None:
        """Listen at this port."""
        self._hop = hop
        self._hop.port = port
        self._loop = asyncio.new_event_loop()
        self._well = asyncio.Event()
        self._up = threading.Event()
        self._end = asyncio.Event()
        self._changing: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))
        self.moods: set[str] = set()

    @property
    def said(self) -> list[bytes]:
        """What was answered 250."""
        return [each.octets for each in tuple(self._hop.messages)]

    @property
    def silent(self) -> list[bytes]:
        """What came with a dot that was not answered."""
        return list(self._hop.unanswered)

    def content(self) -> None:
        """Be well from now on."""
        self._loop.call_soon_threadsafe(self._well.set)

    def answers(self, **changes: Answer) -> None:
        """Answer differently from now on."""
        self._loop.call_soon_threadsafe(lambda: self._hop.answers.update(changes))

    def discontent(self) -> None:
        """Begin to change."""
        self._loop.call_soon_threadsafe(lambda: self._changing.append(self._loop.create_task(self._change())))

    def begin(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._up.wait(60)

    def end(self) -> None:
        """Stop."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        await self._hop.start()
        self._up.set()
        await self._end.wait()
        for each in self._changing:
            each.cancel()
        await self._hop.stop()

    async def _change(self) -> None:
        order = list(MOODS)
        _DICE.shuffle(order)
        while not self._well.is_set():
            await asyncio.sleep(_DICE.uniform(0.4, 1.2))
            order.append(order.pop(0))
            await self._be(order[0])

    async def _be(self, mood: str) -> None:
        hop = self._hop
        self.moods.add(mood)
        hop.answers.update(MOODS[mood])
        hop.drop_in_data = 500 if mood == "drops before the dot" else None
        if mood == "is away":  # and whoever waits for an answer waits in vain
            await hop.stop()
        await asyncio.sleep(_DICE.uniform(0.2, 0.6))
        hop.answers.update(DEFAULTS)
        hop.drop_in_data = None
        if mood == "is away":
            await hop.start()


@contextmanager
def flapping(port: int) -> Iterator[Flapping]:
    """Run such a hop."""
    with standing(port, FakeHop()) as hop:
        hop.discontent()
        yield hop


@contextmanager
def standing(port: int, made: FakeHop) -> Iterator[Flapping]:
    """Run a hop of your own making, which stays as it is."""
    hop = Flapping(port, made)
    hop.begin()
    try:
        yield hop
    finally:
        hop.end()
