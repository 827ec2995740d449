"""The journey put together from its rooms: once for the live gateway, and in the same way for whoever tries a message.

Nothing here decides about mail. What a dry run must not do is kept out by what it is given, never by a switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from gateway.core.received import Submitter
from gateway.service.inbound import Inbound
from gateway.service.intake import Door, Journey, ListedSource
from gateway.service.outbound import Outbound
from gateway.service.verdicts import Verdicts

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config.model import Settings
    from gateway.ports import (
        Bodies,
        Clock,
        HandOver,
        Judge,
        Memory,
        NextHops,
        RecipientChecks,
        Recorder,
        Routes,
        SecondOpinion,
        Sightings,
    )
    from gateway.service.intake import World

_ANYWHERE: Final = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the journey speaks to: everything that reaches outside this process or remembers."""

    hops: NextHops
    routes: Routes
    bodies: Bodies
    checks: RecipientChecks
    hand_over: HandOver
    clock: Clock
    recorder: Recorder
    memory: Memory
    opinion: SecondOpinion
    judge: Judge
    sightings: Sightings
    new_token: Callable[[], str]
    """Returns fresh random ASCII: for ids and boundaries."""


def join(settings: Settings, world: World, rooms: Rooms) -> Journey:
    """Return the journey; its world may be replaced later as a whole."""
    return Journey(
        world,
        hostname=settings.hostname,
        doors=_doors(settings),
        outbound=Outbound(
            hostname=settings.hostname,
            hops=rooms.hops,
            routes=rooms.routes,
            bodies=rooms.bodies,
            clock=rooms.clock,
            recorder=rooms.recorder,
            memory=rooms.memory,
            opinion=rooms.opinion,
            new_token=rooms.new_token,
        ),
        inbound=Inbound(
            verdicts=Verdicts(judge=rooms.judge, sightings=rooms.sightings, recorder=rooms.recorder),
            hops=rooms.hops,
            routes=rooms.routes,
            recorder=rooms.recorder,
            memory=rooms.memory,
        ),
        checks=rooms.checks,
        hand_over=rooms.hand_over,
        recorder=rooms.recorder,
    )


def _doors(settings: Settings) -> dict[str, Door]:
    return {
        each.name: Door(
            each.kind,
            tuple(
                ListedSource(
                    ip_network(network),
                    Submitter(source.name, frozenset(source.authors)),
                    frozenset(source.certificates),
                )
                for source in each.sources
                for network in source.networks or _ANYWHERE
            ),
        )
        for each in settings.listeners
    }
