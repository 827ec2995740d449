"""From the octets that came to the verdict that counts: judged, identified, recognized, looked at for impersonation.

The verdict at receipt is kept as an event and never silently changes: mail that is released later is judged anew, by
what is true then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.events import Event, Stage
from gateway.core.verdict import row_of
from gateway.service.boundary import source_of
from gateway.service.impersonation import header_as_it_came, suspected
from gateway.service.recognition import FirstLook, recognized
from gateway.smime.identity import identified

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.events import Fact
    from gateway.core.message import Message
    from gateway.core.received import Relayed
    from gateway.core.sighting import Recollection
    from gateway.core.verdict import Judgment
    from gateway.ports import Judge, Recorder, Sightings
    from gateway.service.arrivals import Opened
    from gateway.service.intake import World
    from gateway.smime.identity import Who


async def known(
    judgment: Judgment, seen: Message, opened: Opened, who: Who, *, at: datetime, sightings: Sightings
) -> Judgment:
    """Return a judgment with what the registry, the memory and the look of a message add, in this order.

    The memory must hear of a lesser state, not make one more of it. `seen` is what is looked at for words of imitation,
    `opened` the message without forged marks, `at` the aware time that it is judged by.
    """
    found = identified(judgment, opened.header, who)
    found = await recognized(found, opened.header, at=at, sightings=sightings)
    header = opened.header if seen is opened.message else header_as_it_came(seen, opened.header)
    return suspected(found, header, opened.entity, who.registry)


class Verdicts:
    """Judges what comes in."""

    def __init__(self, *, judge: Judge, sightings: Sightings, recorder: Recorder) -> None:
        """Keep what every message needs."""
        self._judge = judge
        self._sightings = sightings
        self._recorder = recorder

    async def of(self, world: World, relayed: Relayed, opened: Opened) -> tuple[Judgment, Recollection | None]:
        """Return the judgment of an arrival as it came, and what was known of its signatures, which is to be kept.

        `opened` is the same message without forged marks.
        """
        arrival = relayed.arrival
        entity = opened.entity if opened.message is arrival.message else None  # nothing was taken off: the same octets
        source = source_of(arrival, world.boundary)
        judgment = await self._judge.judge(arrival.message, at=arrival.at, source=source, entity=entity)
        # mail that we could not deliver was kept with our own marks: they are no imitation when it goes again
        seen = arrival.message if relayed.again is None else opened.message
        look = FirstLook(self._sightings, relayed.recollection)
        judgment = await known(judgment, seen, opened, world.who, at=arrival.at, sightings=look)
        self._record(arrival.trace_id, judgment)
        return judgment, look.found

    def _record(self, trace_id: str, judgment: Judgment) -> None:
        verdict = judgment.verdict
        facts: dict[str, Fact] = {
            "verdict": row_of(verdict).name,
            "reason": verdict.reason,
            "chain": str(judgment.chain),
            "signature": str(judgment.signature),
            "author": str(judgment.author) if judgment.author is not None else None,
            "signers": tuple([each.fingerprint for each in verdict.signers]),
            "agencies": tuple([each.agency for each in verdict.signers if each.agency is not None]),
            "families": tuple([each.family for each in verdict.signers if each.family is not None]),
            "signatures": tuple([each.signature_digest for each in verdict.signers]),
            "headers_signed": judgment.headers_signed,
            "broken": tuple([f"{each.condition} {each.reason}" for each in judgment.broken]),
            "notes": tuple([each.code for each in judgment.notes]),
        }
        self._recorder.record(Event(Stage.VERIFIED, trace_id, facts))
