"""From the octets that came to the verdict that counts: judged, identified, recognized, looked at for impersonation.

The verdict at receipt is kept as an event and never silently changes: mail that is released later is judged by the
time of its receipt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.events import Event, Stage
from gateway.core.verdict import row_of
from gateway.service.boundary import source_of
from gateway.service.impersonation import suspected
from gateway.service.recognition import recognized
from gateway.smime.identity import identified

if TYPE_CHECKING:
    from gateway.core.events import Fact
    from gateway.core.received import Relayed
    from gateway.core.verdict import Judgment
    from gateway.ports import Judge, Recorder, Sightings
    from gateway.service.arrivals import Opened
    from gateway.service.intake import World


class Verdicts:
    """Judges what comes in."""

    def __init__(self, *, judge: Judge, sightings: Sightings, recorder: Recorder) -> None:
        """Keep what every message needs."""
        self._judge = judge
        self._sightings = sightings
        self._recorder = recorder

    async def of(self, world: World, relayed: Relayed, opened: Opened) -> Judgment:
        """Return the judgment of an arrival as it came; `opened` is the same message without forged marks."""
        arrival = relayed.arrival
        source = source_of(arrival, world.boundary)
        judgment = await self._judge.judge(arrival.message, at=arrival.at, source=source)
        judgment = identified(judgment, opened.header, world.who)
        judgment = await recognized(judgment, opened.header, at=arrival.at, sightings=self._sightings)
        # mail that we could not deliver was kept with our own marks: they are no imitation when it goes again
        seen = arrival.message if relayed.again is None else opened.message
        judgment = suspected(judgment, seen, opened.entity, world.who.registry)
        self._record(arrival.trace_id, judgment)
        return judgment

    def _record(self, trace_id: str, judgment: Judgment) -> None:
        verdict = judgment.verdict
        facts: dict[str, Fact] = {
            "verdict": row_of(verdict).name,
            "reason": verdict.reason,
            "chain": str(judgment.chain),
            "signature": str(judgment.signature),
            "author": str(judgment.author) if judgment.author is not None else None,
            "signers": tuple(each.fingerprint for each in verdict.signers),
            "agencies": tuple(each.agency for each in verdict.signers if each.agency is not None),
            "families": tuple(each.family for each in verdict.signers if each.family is not None),
            "signatures": tuple(each.signature_digest for each in verdict.signers),
            "headers_signed": judgment.headers_signed,
            "broken": tuple(f"{each.condition} {each.reason}" for each in judgment.broken),
            "notes": tuple(each.code for each in judgment.notes),
        }
        self._recorder.record(Event(Stage.VERIFIED, trace_id, facts))
