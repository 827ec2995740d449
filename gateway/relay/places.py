"""Where a next hop is: its addresses with priorities and weights, and the health of each (RFC 5321 5.1).

An address in trouble must never be left for good: it is tried again after a pause, and used first again when it works.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from gateway.relay.breaker import Breaker
from gateway.relay.wire import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config.hops import HopAddress
    from gateway.core.reply import Reply

AVOID_SECONDS: Final = 30.0
"""How long an address that was in trouble is tried after the others."""
MOST_REMEMBERED: Final = 5_000
"""Addresses in trouble, the oldest forgotten first; with MX look-ups others choose their number."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address of a next hop."""

    endpoint: str
    """HOST:PORT, [IPV6]:PORT or unix:/PATH."""
    host: str | None
    """Name expected in its certificate; None for a socket on this machine."""
    priority: int = 0
    """The lowest comes first."""
    weight: int = 1
    """Share among those of one priority."""


class NowhereError(Exception):
    """There is no place, and there will be none: the reply says so to the sender, for this domain's recipients."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Places(Protocol):
    """Where the connections of one pool may lead."""

    async def find(self) -> Sequence[Place]:
        """Return at least one place; raises `NowhereError`, or `HopError(SITE)` if nobody can say now."""
        ...


class FixedPlaces:
    """The addresses of the configuration."""

    def __init__(self, addresses: Sequence[HopAddress], name: str | None) -> None:
        """Take the addresses; `name` is expected in all certificates, without it each address's own host."""
        self._places = tuple(
            Place(
                each.address,
                name or (None if each.address.startswith("unix:") else host_of(each.address)),
                position if each.priority is None else each.priority,
                each.weight,
            )
            for position, each in enumerate(addresses)
        )

    async def find(self) -> Sequence[Place]:
        """Return the addresses."""
        return self._places


class Health:
    """What became of attempts at each address; used from one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, draw: Callable[[], float] = random.random) -> None:
        """Begin with everybody well; `clock` counts seconds, `draw` returns numbers in [0, 1)."""
        self._clock = clock
        self._draw = draw
        self._ill: OrderedDict[str, tuple[Breaker, float]] = OrderedDict()

    def in_order(self, places: Sequence[Place]) -> tuple[Place, ...]:
        """Return the places to try, the best first; where all of them rest, all: whoever asks has its own breaker."""
        if len(places) == 1:
            return tuple(places)
        usable = [each for each in places if self._usable(each.endpoint)]
        return tuple(sorted(usable or places, key=self._rank))

    def enter(self, place: Place) -> bool:
        """Return whether an attempt at this place may be made now; while it rests, one per pause may."""
        found = self._ill.get(place.endpoint)
        return found is None or found[0].enter()

    def works(self, place: Place) -> None:
        """Note that it greeted us."""
        self._ill.pop(place.endpoint, None)

    def fails(self, place: Place) -> None:
        """Note a trouble."""
        found = self._ill.pop(place.endpoint, None)
        breaker = found[0] if found is not None else Breaker(self._clock)
        breaker.trouble()
        self._ill[place.endpoint] = (breaker, self._clock())
        if len(self._ill) > MOST_REMEMBERED:
            self._ill.popitem(last=False)

    def state(self, place: Place) -> str:
        """Return `well`, `troubled` (tried after the others) or `resting` (not tried)."""
        if not self._usable(place.endpoint):
            return "resting"
        return "troubled" if self._avoided(place.endpoint) else "well"

    def _usable(self, endpoint: str) -> bool:
        found = self._ill.get(endpoint)
        return found is None or found[0].usable

    def _avoided(self, endpoint: str) -> bool:
        found = self._ill.get(endpoint)
        return found is not None and self._clock() - found[1] < AVOID_SECONDS

    def _rank(self, place: Place) -> tuple[bool, int, float]:
        """Sort by trouble, priority, and a draw in which each weight has its share."""
        return (self._avoided(place.endpoint), place.priority, -(self._draw() ** (1.0 / place.weight)))
