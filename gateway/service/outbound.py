"""The outbound half of the journey: who may send as whom, what policy says, and the signature (RFC 6409, RFC 8551).

A message must never leave half-signed: what cannot be signed is refused, held, or sent unsigned with a notice, as the
policy says in so many words. Nothing is signed for a sender who does not own the From mailbox.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, assert_never

from gateway.config.senders import Reaction
from gateway.core.address import NullPath
from gateway.core.decision import Hold, IfUnable, KeyChoice, PassUnchanged, Refuse, Share, Sign
from gateway.core.envelope import Direction
from gateway.core.events import Event, Stage
from gateway.core.queue import Consignment, Kind
from gateway.core.reply import Reply
from gateway.mime.transfer import CannotEncode, downgrade_header
from gateway.policy.engine import rule_outbound
from gateway.ports import KeyKind
from gateway.service.arrivals import by_hop, facts_of, fitted, has_eight_bit, record_facts, record_rulings
from gateway.service.authorship import Objection, authorship_of, key_covers, signed_as
from gateway.service.notice import unsigned_notice
from gateway.smime.own_work import check_own_work
from gateway.smime.sign import Left, content_digest, finish, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from gateway.core.decision import OutboundDecision
    from gateway.core.envelope import Envelope
    from gateway.core.events import Fact
    from gateway.core.message import Message
    from gateway.core.received import Submission
    from gateway.mime.fields import Header
    from gateway.ports import Bodies, Clock, KeyCatalog, NextHops, Recorder, Routes, SigningKey
    from gateway.service.arrivals import Opened
    from gateway.service.authorship import Authorship
    from gateway.service.intake import World
    from gateway.smime.sign import Prepared

_NEEDS_UTF8: Final = Reply.of(
    550, "5.6.7", "Địa chỉ có dấu không chuyển tiếp được / a non-ASCII address cannot be relayed to this destination"
)
_NO_ROUTE: Final = Reply.of(550, "5.4.4", "Không có đường gửi tới tên miền này / no route to this domain")


@dataclass(frozen=True, slots=True)
class Unable:
    """A permanent cause for which a required signature is impossible, in words for the sender."""

    reason: str
    vietnamese: str
    english: str

    def reply(self) -> Reply:
        """Return the refusal."""
        return Reply.of(550, "5.7.1", f"Không ký được: {self.vietnamese} / cannot sign: {self.english}")


class SelfCheckError(Exception):
    """Our own finished message did not verify: it must never be delivered."""


class Outbound:
    """Turns a submission into consignments, or into the refusal the sender sees."""

    def __init__(
        self,
        *,
        hostname: str,
        hops: NextHops,
        routes: Routes,
        bodies: Bodies,
        clock: Clock,
        recorder: Recorder,
        new_token: Callable[[], str],
    ) -> None:
        """Keep what every message needs; `new_token` returns fresh random ASCII for ids and boundaries."""
        self._hostname = hostname
        self._hops = hops
        self._routes = routes
        self._bodies = bodies
        self._clock = clock
        self._recorder = recorder
        self._new_token = new_token

    async def consign(self, world: World, submission: Submission, opened: Opened) -> tuple[Consignment, ...] | Reply:
        """Return what is to be handed over; a reply refuses the whole message."""
        envelope = submission.arrival.envelope
        authorship = authorship_of(world.senders, submission, opened.entity)
        self._recorder.record(Event(Stage.AUTHORIZED, submission.arrival.trace_id, authorship.facts()))
        if isinstance(authorship, Objection):
            if authorship.reaction is Reaction.REFUSE:
                return authorship.reply
            return (self._held(submission, opened.message, envelope, authorship.reason),)
        facts = facts_of(world.policy, submission, opened, authorship.author)
        record_facts(self._recorder, submission.arrival.trace_id, facts)
        shares = rule_outbound(world.policy, facts, tuple(each.mailbox for each in envelope.recipients))
        record_rulings(self._recorder, submission.arrival.trace_id, shares)
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
            case PassUnchanged():
                return await self._deliver(submission, opened.message, envelope, signed=False)
            case Hold():
                return (self._held(submission, opened.message, envelope, decision.reason),)
            case Sign():
                return await self._sign_share(world, submission, opened, authorship, decision, envelope)
            case Refuse():
                raise AssertionError("refusals were answered before")
        assert_never(decision)

    async def _sign_share(
        self,
        world: World,
        submission: Submission,
        opened: Opened,
        authorship: Authorship,
        decision: Sign,
        envelope: Envelope,
    ) -> tuple[Consignment, ...] | Reply:
        key = choose_key(world, decision, authorship, self._clock.now())
        signed: Message | Unable | Left | Reply
        if isinstance(key, Unable):
            signed = key
        else:
            signed = await self._signed(submission, opened, key, envelope)
        if isinstance(signed, Reply):
            return signed
        if isinstance(signed, Left):
            return await self._deliver(submission, opened.message, envelope, signed=False)
        if not isinstance(signed, Unable):
            return await self._deliver(submission, signed, envelope, signed=True)
        self._recorder.record(
            Event(Stage.SIGNED, submission.arrival.trace_id, {"done": False, "reason": signed.reason})
        )
        match decision.if_unable:
            case IfUnable.REFUSE:
                return signed.reply()
            case IfUnable.HOLD:
                return (self._held(submission, opened.message, envelope, f"{signed.reason} {signed.english}"),)
            case IfUnable.SEND_UNSIGNED:
                delivered = await self._deliver(submission, opened.message, envelope, signed=False)
                if isinstance(delivered, Reply):
                    return delivered
                return (*delivered, *self._tell_sender(submission, opened.header, signed))
        assert_never(decision.if_unable)

    async def _signed(
        self, submission: Submission, opened: Opened, key: SigningKey, envelope: Envelope
    ) -> Message | Unable | Left | Reply:
        """Return the finished message; raises `SelfCheckError` if what we made does not verify."""
        message = opened.message
        if has_eight_bit(opened.header) and not await self._carries_utf8(envelope):
            ascii_header = downgrade_header(message, opened.header)
            if ascii_header is None:
                return _NEEDS_UTF8
            message = ascii_header
        now = self._clock.now()
        message_id = f"<{self._new_token()}@{self._hostname}>"
        try:
            prepared = prepare(message, now=now, message_id=message_id, new_builder=self._bodies.builder)
        except CannotEncode:
            return Unable(
                "not_seven_bit",
                "thư chứa phần 8-bit đã được người khác ký",
                "it holds an 8-bit part that somebody else signed",
            )
        if isinstance(prepared, Left):
            return prepared
        template = key.template
        to_be_signed = template.to_be_signed(content_digest(prepared, template.digest), now)
        cms = template.finish(to_be_signed, await key.sign(to_be_signed))
        finished = self._finish(prepared, cms, template.micalg)
        fault = check_own_work(finished, certificate=key.certificate, sent_along=key.template.certificates)
        facts: dict[str, Fact] = {
            "done": fault is None,
            "key": key.label,
            "algorithm": str(template.scheme),
            "octets": len(finished),
        }
        self._recorder.record(Event(Stage.SIGNED, submission.arrival.trace_id, {**facts, "reason": fault}))
        if fault is not None:
            raise SelfCheckError(fault)
        return finished

    def _finish(self, prepared: Prepared, cms: bytes, micalg: str) -> Message:
        """Try fresh boundaries until one is no prefix of any line inside: the first one practically always fits."""
        for _ in range(3):
            try:
                return finish(prepared, cms=cms, micalg=micalg, boundary=f"=_{self._new_token()}")
            except ValueError:
                continue
        raise SelfCheckError("no boundary fits")

    async def _carries_utf8(self, envelope: Envelope) -> bool:
        """True if the client asked for SMTPUTF8 and every hop on the way offers it."""
        if not envelope.smtputf8:
            return False
        names = {self._routes.outbound(each.mailbox) for each in envelope.recipients}
        for each in names:
            limits = await self._hops.by_name(each).known_limits() if each is not None else None
            if limits is None or not limits.smtputf8:
                return False
        return True

    async def _deliver(
        self, submission: Submission, message: Message, envelope: Envelope, *, signed: bool
    ) -> tuple[Consignment, ...] | Reply:
        """Return one consignment per next hop."""
        groups = by_hop(envelope, self._routes.outbound)
        if groups is None:
            return _NO_ROUTE
        consignments = []
        for hop, part in groups:
            fit = await fitted(self._hops, hop, message, part)
            if fit is None:
                return _NEEDS_UTF8
            carried, path = fit
            if signed:
                path = replace(path, eight_bit=False)  # what we sign is 7-bit
            consignments.append(self._consignment(submission, Kind.DELIVER, hop, carried, path))
        return tuple(consignments)

    def _held(self, submission: Submission, message: Message, envelope: Envelope, reason: str) -> Consignment:
        return self._consignment(submission, Kind.HELD, "", message, envelope, reason=reason)

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
        return Consignment(kind, hop, envelope, message, Direction.OUTBOUND, trace_id, answered_for=True, reason=reason)

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


def choose_key(world: World, decision: Sign, authorship: Authorship, now: datetime) -> SigningKey | Unable:
    """Return the key the decision asks for, if it may sign for the author now."""
    author = authorship.author
    key, reason = None, "no_key"
    for candidate in _candidates(world.catalog, decision, authorship):
        refusal = key_covers(candidate, authorship, decision)
        if refusal is None:
            key = candidate
            break
        reason = refusal
    if key is None and decision.label is not None and reason != "no_key":
        label = decision.label
        return Unable(reason, f"khóa {label} không cấp cho {author}", f"key {label} is not for {author}")
    if key is None:
        return Unable(reason, f"không có khóa ký cho {author}", f"there is no signing key for {author}")
    fault = world.catalog.unfit(key, now)
    if fault is not None:
        return Unable(fault, f"khóa {key.label} không dùng được: {fault}", f"key {key.label} is not usable: {fault}")
    return key


def _candidates(catalog: KeyCatalog, decision: Sign, authorship: Authorship) -> Iterator[SigningKey]:
    """Yield the keys that the decision speaks of, in its order."""
    if decision.label is not None:
        labeled = catalog.by_label(decision.label)
        found: tuple[SigningKey | None, ...] = (labeled,)
    else:
        kinds = {
            KeyChoice.PERSONAL: (KeyKind.PERSONAL,),
            KeyChoice.ORGANIZATION: (KeyKind.ORGANIZATION,),
            KeyChoice.PERSONAL_ELSE_ORGANIZATION: (KeyKind.PERSONAL, KeyKind.ORGANIZATION),
        }[decision.key]
        mailboxes = signed_as(authorship, decision)
        found = tuple(catalog.for_author(each, kind) for kind in kinds for each in mailboxes)
    yield from (each for each in found if each is not None)
