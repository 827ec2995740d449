"""What each next hop says when it is asked now: address by address, its limits, and the TLS that was seen.

Nothing is sent but greetings (and the login, where there is one); no message, and no recipient is named.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.ports import HopError
from gateway.relay.greeting import Greeter
from gateway.relay.mx import Lookup, MxPlaces
from gateway.relay.places import FixedPlaces, NowhereError
from gateway.relay.tls import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.hops import Hop
    from gateway.relay.places import Place
    from gateway.relay.replies import Offers


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one address of one hop."""

    hop: str
    address: str
    priority: int
    weight: int
    trouble: str | None = None
    """Why it takes no mail from us now; None if it would."""
    milliseconds: int = 0
    """From connecting to the end of the greetings."""
    offers: Offers | None = None
    tls: str | None = None
    """Protocol version and cipher."""
    certificate: Shown | None = None


async def survey(hops: Sequence[Hop], hostname: str, *, domain: str | None) -> tuple[Answer, ...]:
    """Ask every address of these hops at once; one that sends directly is asked for `domain`. Raises `SetupError`."""
    found = await asyncio.gather(*(_of(each, hostname, domain) for each in hops))
    return tuple(answer for answers in found for answer in answers)


async def _of(hop: Hop, hostname: str, domain: str | None) -> tuple[Answer, ...]:
    if hop.directory is not None:
        usable = await asyncio.to_thread(os.access, hop.directory, os.W_OK | os.X_OK)
        trouble = None if usable else "not a directory we may write to"
        return (Answer(hop.name, str(hop.directory), 0, 1, trouble),)
    greeter = Greeter(hop, hostname)
    if hop.direct and domain is None:
        return (Answer(hop.name, "mx", 0, 1, "each domain has hosts of its own: name one with --domain"),)
    places = MxPlaces(Lookup(hop, hostname), domain or "") if hop.direct else None
    try:
        found = await (places or FixedPlaces(hop.addresses or (), hop.tls_name)).find()
    except NowhereError as error:
        return (Answer(hop.name, "mx", 0, 1, str(error.reply)),)
    except HopError as error:
        return (Answer(hop.name, "mx", 0, 1, error.detail),)
    return tuple(await asyncio.gather(*(_at(hop, greeter, each) for each in found)))


async def _at(hop: Hop, greeter: Greeter, place: Place) -> Answer:
    begin = time.monotonic()
    try:
        connection = await greeter.open(place)
    except HopError as error:
        return Answer(hop.name, place.endpoint, place.priority, place.weight, error.detail)
    took = round((time.monotonic() - begin) * 1000)
    wire = connection.wire
    shown = Shown.read(wire.certificate) if wire.certificate is not None else None
    answer = Answer(
        hop.name, place.endpoint, place.priority, place.weight, None, took, connection.offers, wire.tls, shown
    )
    connection.leave()
    return answer
