"""The inbound half of the journey: judge the signature, let policy dispose, tag what is delivered (RFC 8601).

A message must never look verified unless the judgment says so; a fault while judging is a verdict, not a lost message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from gateway.core.decision import AS_ROUTED, Deliver, Hold, Quarantine, Refuse
from gateway.core.envelope import Direction
from gateway.core.events import Event, Stage
from gateway.core.queue import Consignment, Kind
from gateway.core.received import Relayed
from gateway.core.reply import Reply
from gateway.policy.engine import rule_inbound
from gateway.policy.model import Holds
from gateway.service.arrivals import by_hop, facts_of, fitted, record_facts, record_rulings, way_of
from gateway.service.boundary import results_of
from gateway.service.carriage import UNKNOWN_HOP, knows_hop, with_fields
from gateway.service.kept import origin_of
from gateway.service.marking import agency_of, marked, with_seal
from gateway.service.recall import remember

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.boundary import BoundaryResults
    from gateway.core.decision import Carriage, InboundDecision, Share, SubjectTag
    from gateway.core.envelope import Envelope
    from gateway.core.events import Fact
    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.ports import Memory, NextHops, Recorder, Routes
    from gateway.service.arrivals import Opened
    from gateway.service.intake import World
    from gateway.service.verdicts import Verdicts

_UNKNOWN: Final = Reply.of(550, "5.7.1", "Không nhận thư cho tên miền này / relaying denied")
_NEEDS_UTF8: Final = Reply.of(550, "5.6.7", "a non-ASCII address cannot be relayed to this mailbox")


class Inbound:
    """Turns a relayed arrival into consignments, or into the refusal the client sees."""

    def __init__(
        self, *, verdicts: Verdicts, hops: NextHops, routes: Routes, recorder: Recorder, memory: Memory
    ) -> None:
        """Keep what every message needs."""
        self._verdicts = verdicts
        self._memory = memory
        self._hops = hops
        self._routes = routes
        self._recorder = recorder

    async def consign(
        self, world: World, relayed: Relayed, received: Message, opened: Opened
    ) -> tuple[Consignment, ...] | Reply:
        """Return what is to be handed over; a reply refuses the whole message.

        `received` holds the octets as they came: they are judged, and kept where the message is kept.
        """
        envelope = relayed.arrival.envelope
        judgment, recollection = await self._verdicts.of(world, relayed, opened)
        relayed = Relayed(relayed.arrival, relayed.again, recollection)
        boundary = results_of(world.boundary, relayed.arrival.client, opened.header)
        facts = await facts_of(world.policy, relayed, opened, judgment.author, judgment=judgment, boundary=boundary)
        record_facts(self._recorder, relayed.arrival.trace_id, facts)
        holds = Holds.SKIP if relayed.again is Kind.RELEASED else Holds.APPLY
        shares = rule_inbound(world.policy, facts, tuple(each.mailbox for each in envelope.recipients), holds=holds)
        record_rulings(self._recorder, relayed.arrival.trace_id, shares)
        remember(self._memory, relayed, facts, shares)
        refusals = [share.ruling.decision for share in shares if isinstance(share.ruling.decision, Refuse)]
        if refusals and len(refusals) == len(shares) and relayed.again is None:
            return Reply.of(550, "5.7.1", f"{refusals[0].vietnamese} / {refusals[0].english}")
        made: dict[SubjectTag | None, Message] = {}

        def tagged(subject: SubjectTag | None) -> Message:
            if subject not in made:
                made[subject] = self._tagged(world, relayed, opened, judgment, boundary, subject)
            return made[subject]

        consignments: list[Consignment] = []
        for share in shares:
            result = await self._consign_share(world, relayed, received, share, tagged)
            if isinstance(result, Reply):
                return result
            consignments += result
        return tuple(consignments)

    async def _consign_share(
        self,
        world: World,
        relayed: Relayed,
        received: Message,
        share: Share[InboundDecision],
        tagged: Callable[[SubjectTag | None], Message],
    ) -> tuple[Consignment, ...] | Reply:
        part = relayed.arrival.envelope.only(share.indexes)
        decision = share.ruling.decision
        match decision:
            case Hold() | Quarantine() | Refuse() if relayed.again is Kind.RELEASED:  # an administrator's word counts
                return await self._deliver(world, relayed, tagged(None), part, AS_ROUTED)
            case Deliver():
                return await self._deliver(world, relayed, tagged(decision.subject), part, decision.carriage)
            case Hold():
                return (self._kept(relayed, Kind.HELD, received, part, decision.reason),)
            case Quarantine():
                return (self._kept(relayed, Kind.QUARANTINED, received, part, decision.reason),)
            case Refuse():
                # handover row 3: other recipients were accepted, so this share cannot be refused any more
                reason = f"refused {decision.english}"
                return (self._kept(relayed, Kind.QUARANTINED, received, part, reason),)
        assert_never(decision)

    def _tagged(
        self,
        world: World,
        relayed: Relayed,
        opened: Opened,
        judgment: Judgment,
        boundary: BoundaryResults,
        subject: SubjectTag | None,
    ) -> Message:
        found = marked(world, opened, judgment, at=relayed.arrival.at, boundary=boundary, subject=subject)
        added = len(found) - len(opened.message) - len(opened.trace)
        facts: dict[str, Fact] = {"agency": agency_of(judgment), "added_octets": added}
        self._recorder.record(Event(Stage.TAGGED, relayed.arrival.trace_id, facts))
        return found

    async def _deliver(
        self, world: World, relayed: Relayed, tagged: Message, envelope: Envelope, carriage: Carriage
    ) -> tuple[Consignment, ...] | Reply:
        hops = by_hop(envelope, way_of(self._routes, self._routes.inbound, carriage.hop))
        if hops is None:
            return _UNKNOWN
        if not knows_hop(self._hops, carriage):
            return UNKNOWN_HOP
        tagged = with_fields(tagged, carriage)
        consignments = []
        for name, part in hops:
            fit = await fitted(self._hops, name, tagged, part)
            if fit is None:
                return _NEEDS_UTF8
            message, recipients = fit
            message = await with_seal(world, message, recipients, at=relayed.arrival.at)
            consignments.append(self._consignment(relayed, Kind.DELIVER, name, message, recipients))
        return tuple(consignments)

    def _kept(self, relayed: Relayed, kind: Kind, message: Message, envelope: Envelope, reason: str) -> Consignment:
        return self._consignment(relayed, kind, "", message, envelope, reason)

    def _consignment(
        self, relayed: Relayed, kind: Kind, hop: str, message: Message, envelope: Envelope, reason: str = ""
    ) -> Consignment:
        return Consignment(
            kind,
            hop,
            envelope,
            message,
            Direction.INBOUND,
            relayed.arrival.trace_id,
            answered_for=False,
            reason=reason,
            origin=origin_of(relayed),
            recollection=relayed.recollection,
        )
