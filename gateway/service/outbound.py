"""The outbound half of the journey: who may send as whom, what policy says, and the signature (RFC 6409, RFC 8551).

A message must never leave half-signed: what cannot be signed is refused, held, or sent unsigned with a notice, as the
policy says in so many words. Nothing is signed for a sender who does not own the From mailbox.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from gateway.config.senders import Reaction
from gateway.core.address import NullPath
from gateway.core.decision import Hold, IfUnable, PassUnchanged, Refuse, Share, Sign
from gateway.core.envelope import Direction
from gateway.core.events import Event, Stage
from gateway.core.message import Message
from gateway.core.queue import Consignment, Kind
from gateway.core.reply import Reply
from gateway.policy.engine import rule_outbound
from gateway.policy.model import Holds
from gateway.service.arrivals import by_hop, facts_of, fitted, record_facts, record_rulings, way_of, without_wish
from gateway.service.authorship import Objection, authorship_of
from gateway.service.carriage import UNKNOWN_HOP, knows_hop, whole, with_fields, without_blind_copies
from gateway.service.kept import origin_of, stays_held
from gateway.service.keychoice import Unable, choose_key
from gateway.service.notice import unsigned_notice
from gateway.service.recall import remember
from gateway.service.selfcheck import SelfCheck
from gateway.service.signing import NEEDS_UTF8, Faulty, Signed, Signer, Waiting
from gateway.smime.classify import LEFT_ALONE
from gateway.smime.sign import Left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.core.decision import Carriage, OutboundDecision
    from gateway.core.envelope import Envelope
    from gateway.core.events import Fact
    from gateway.core.received import Submission
    from gateway.mime.fields import Header
    from gateway.ports import Bodies, Clock, Memory, NextHops, Recorder, Routes, SecondOpinion
    from gateway.service.arrivals import Opened
    from gateway.service.authorship import Authorship
    from gateway.service.carriage import Ways
    from gateway.service.intake import World

_NO_ROUTE: Final = Reply.of(550, "5.4.4", "Không có đường gửi tới tên miền này / no route to this domain")


class Outbound:
    """Turns a submission into consignments, or into the refusal the sender sees."""

    def __init__(  # noqa: PLR0913 - one argument per room
        self,
        *,
        hostname: str,
        hops: NextHops,
        routes: Routes,
        bodies: Bodies,
        clock: Clock,
        recorder: Recorder,
        memory: Memory,
        opinion: SecondOpinion,
        new_token: Callable[[], str],
    ) -> None:
        """Keep what every message needs; `new_token` returns fresh random ASCII for ids and boundaries."""
        self._hostname = hostname
        self._hops = hops
        self._routes = routes
        self._clock = clock
        self._recorder = recorder
        self._memory = memory
        self._new_token = new_token
        self._signer = Signer(
            hostname=hostname, hops=hops, bodies=bodies, clock=clock, check=SelfCheck(opinion), new_token=new_token
        )

    async def consign(self, world: World, submission: Submission, opened: Opened) -> tuple[Consignment, ...] | Reply:
        """Return what is to be handed over; a reply refuses the whole message."""
        envelope = submission.arrival.envelope
        authorship = authorship_of(world.senders, submission, opened)
        self._recorder.record(Event(Stage.AUTHORIZED, submission.arrival.trace_id, authorship.facts()))
        if isinstance(authorship, Objection):
            if authorship.reaction is Reaction.REFUSE:
                return authorship.reply
            return (self._held(submission, opened.kept, envelope, authorship.reason),)
        wish, opened = without_wish(opened, world.wishes)
        facts = await facts_of(world.policy, submission, opened, authorship.author, wish=wish)
        record_facts(self._recorder, submission.arrival.trace_id, facts)
        holds = Holds.SKIP if submission.again is Kind.RELEASED else Holds.APPLY
        shares = rule_outbound(world.policy, facts, [each.mailbox for each in envelope.recipients], holds=holds)
        record_rulings(self._recorder, submission.arrival.trace_id, shares)
        remember(self._memory, submission, facts, shares)
        for share in shares:
            if isinstance(share.ruling.decision, Refuse):
                decision = share.ruling.decision
                return Reply.of(550, "5.7.1", f"{decision.vietnamese} / {decision.english}")
        consignments: list[Consignment] = []
        for share in shares:
            result = await self._consign_share(world, submission, opened, authorship, share)
            if isinstance(result, Reply):
                return result
            consignments += result
        return tuple(consignments)

    async def _consign_share(
        self,
        world: World,
        submission: Submission,
        opened: Opened,
        authorship: Authorship,
        share: Share[OutboundDecision],
    ) -> tuple[Consignment, ...] | Reply:
        decision = share.ruling.decision
        envelope = submission.arrival.envelope.only(share.indexes)
        match decision:
            case Hold():
                return (self._held(submission, opened.kept, envelope, decision.reason),)
            case Refuse():
                raise AssertionError("refusals were answered before")
            case PassUnchanged():
                ways = self._ways(envelope, decision.carriage)
                return (
                    ways if isinstance(ways, Reply) else await self._pass(submission, opened, decision.carriage, ways)
                )
            case Sign():
                ways = self._ways(envelope, decision.carriage)
                if isinstance(ways, Reply):
                    return ways
                return await self._sign_share(world, submission, opened, authorship, decision, ways)
        assert_never(decision)

    def _ways(self, envelope: Envelope, carriage: Carriage) -> Ways | Reply:
        """Return the next hops with the recipients that each carries, by the routes or as the rule says."""
        groups = by_hop(envelope, way_of(self._routes, self._routes.outbound, carriage.hop))
        if groups is None:
            return _NO_ROUTE
        return groups if knows_hop(self._hops, carriage) else UNKNOWN_HOP

    async def _sign_share(
        self,
        world: World,
        submission: Submission,
        opened: Opened,
        authorship: Authorship,
        decision: Sign,
        ways: Ways,
    ) -> tuple[Consignment, ...] | Reply:
        if opened.form in LEFT_ALONE:  # before a key is looked for: who has none may still send on what others signed
            self._note(submission, f"already_{opened.form}", {})
            return await self._pass(submission, opened, decision.carriage, ways)
        key = choose_key(world, decision, authorship, self._clock.now())
        if isinstance(key, Unable):
            return await self._unsigned(submission, opened, decision, key, ways)
        envelope = whole(ways)
        outcome = await self._signer.sign(opened, decision, key, envelope, [hop for hop, _ in ways])
        match outcome:
            case Signed():
                made: dict[str, Fact] = {"key": key.label, "algorithm": str(key.template.scheme), **outcome.facts}
                self._note(submission, None, made)
                return await self._deliver(
                    submission, outcome.message, decision.carriage, ways, eight_bit=outcome.eight_bit
                )
            case Left():
                self._note(submission, outcome.reason, {})
                return await self._pass(submission, opened, decision.carriage, ways)
            case Waiting():
                self._note(submission, outcome.reason.partition(" ")[0], {"key": key.label})
                return (self._kept(submission, Kind.TO_SIGN, opened.kept, envelope, outcome.reason),)
            case Faulty():
                self._note(submission, "self_check", {"key": key.label, "fault": outcome.code})
                return (self._held(submission, opened.kept, envelope, f"self_check {outcome.code}"),)
            case Reply():
                return outcome
        assert_never(outcome)

    def _note(self, submission: Submission, reason: str | None, facts: dict[str, Fact]) -> None:
        noted: dict[str, Fact] = {"done": reason is None, **facts, "reason": reason}
        self._recorder.record(Event(Stage.SIGNED, submission.arrival.trace_id, noted))

    async def _unsigned(
        self, submission: Submission, opened: Opened, decision: Sign, unable: Unable, ways: Ways
    ) -> tuple[Consignment, ...] | Reply:
        """Do what the decision says for a permanent cause."""
        self._note(submission, unable.reason, {})
        match decision.if_unable:
            case IfUnable.REFUSE if not stays_held(submission.again, unable.reason):
                return unable.reply()
            case IfUnable.HOLD | IfUnable.REFUSE:
                return (self._held(submission, opened.kept, whole(ways), f"{unable.reason} {unable.english}"),)
            case IfUnable.SEND_UNSIGNED:
                delivered = await self._pass(submission, opened, decision.carriage, ways)
                if isinstance(delivered, Reply):
                    return delivered
                return (*delivered, *self._tell_sender(submission, opened.header, unable))
        assert_never(decision.if_unable)

    async def _pass(
        self, submission: Submission, opened: Opened, carriage: Carriage, ways: Ways
    ) -> tuple[Consignment, ...] | Reply:
        """Send on without a signature of ours: no octet below our trace field changes, but blind copies stay here."""
        message = Message.join((opened.trace, without_blind_copies(opened.message, opened.header)))
        return await self._deliver(submission, message, carriage, ways, eight_bit=None)

    async def _deliver(
        self, submission: Submission, message: Message, carriage: Carriage, ways: Ways, *, eight_bit: bool | None
    ) -> tuple[Consignment, ...] | Reply:
        """Return one consignment per next hop; `eight_bit` is what the content needs, None: what the client said."""
        message = with_fields(message, carriage)
        consignments = []
        for hop, part in ways:
            fit = await fitted(self._hops, hop, message, part)
            if fit is None:
                return NEEDS_UTF8
            carried, path = fit
            if eight_bit is not None and eight_bit is not path.eight_bit:
                path = replace(path, eight_bit=eight_bit)
            consignments.append(self._consignment(submission, Kind.DELIVER, hop, carried, path))
        return tuple(consignments)

    def _held(self, submission: Submission, message: Message, envelope: Envelope, reason: str) -> Consignment:
        return self._kept(submission, Kind.HELD, message, envelope, reason)

    def _kept(
        self, submission: Submission, kind: Kind, message: Message, envelope: Envelope, reason: str
    ) -> Consignment:
        return self._consignment(submission, kind, "", message, envelope, reason=reason)

    def _consignment(
        self,
        submission: Submission,
        kind: Kind,
        hop: str,
        message: Message,
        envelope: Envelope,
        *,
        reason: str = "",
    ) -> Consignment:
        trace_id = submission.arrival.trace_id
        return Consignment(
            kind,
            hop,
            envelope,
            message,
            Direction.OUTBOUND,
            trace_id,
            answered_for=True,
            reason=reason,
            origin=origin_of(submission),
        )

    def _tell_sender(self, submission: Submission, header: Header, unable: Unable) -> Iterator[Consignment]:
        """Yield the notice that a message went out unsigned; a null reverse-path is never answered."""
        sender = submission.arrival.envelope.reverse_path
        if isinstance(sender, NullPath):
            return
        hop = self._routes.inbound(sender) or self._routes.outbound(sender)
        if hop is None:
            return
        notice = unsigned_notice(
            sender,
            header,
            hostname=self._hostname,
            now=self._clock.now(),
            token=self._new_token(),
            vietnamese=unable.vietnamese,
            english=unable.english,
        )
        yield Consignment(
            Kind.DELIVER, hop, notice.envelope, notice.message, Direction.OUTBOUND, submission.arrival.trace_id, True
        )
