"""The inbound half: what is judged, what is tagged, and what policy keeps back (RFC 8601)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.config.inbound import BoundarySettings
from gateway.core.address import Mailbox
from gateway.core.envelope import Direction
from gateway.core.message import Message
from gateway.core.queue import Consignment, Kind
from gateway.core.reply import Reply
from gateway.core.sighting import Repeat
from gateway.core.verdict import ChainState, Indeterminate, Verified
from gateway.mime.entity import parse
from gateway.mime.fields import decode_text, read_header
from gateway.service.arrivals import open_arrival
from gateway.service.boundary import Boundary
from gateway.tagging.seal import SealKeys, SealState, check
from support.letters import ASCII, HEAD, LAN, NOW, PLAIN, binh, judged, lan, signed
from support.rooms import (
    LATER,
    SIGN,
    KnownHop,
    KnownHops,
    Limits,
    ListRecorder,
    Notes,
    Seen,
    inbound_room,
    opened,
    relayed,
    world,
)

if TYPE_CHECKING:
    import datetime as dt

    from gateway.core.verdict import Judgment
    from gateway.mime.entity import Entity
    from gateway.ports import Judge

CLERK = "vanthu@soyte.songlam.example"
OTHER = "x@sotaichinh.songlam.example"
DELIVER = "rules:\n  - {name: deliver, direction: inbound, then: deliver}\n"


async def consigned(  # noqa: PLR0913 - each room may be another
    message: bytes,
    *to: str,
    policy: str = SIGN.replace("IF_UNABLE", "refuse"),
    hops: KnownHops | None = None,
    recorder: ListRecorder | None = None,
    memory: Notes | None = None,
    sightings: Seen | None = None,
    judge: Judge | None = None,
    smtputf8: bool = False,
) -> object:
    """Return what the room makes of a message that nobody answers for."""
    room = inbound_room(hops=hops, recorder=recorder, memory=memory, sightings=sightings, judge=judge)
    arrived = relayed(message, *(to or (CLERK,)), sender="anybody@ngoai.example", smtputf8=smtputf8)
    return await room.consign(world(policy), arrived, Message.of(message), opened(message))


def delivered(result: object) -> tuple[Consignment, ...]:
    assert isinstance(result, tuple), result
    return result


def field(message: Message, name: str) -> str:
    """Return the one field of this name, for reading."""
    (found,) = read_header(message).all(name)
    return decode_text(found.value)


async def test_a_verified_message_says_who_it_is_from() -> None:
    """The recipient sees the agency, the program sees smime=pass, and the signature still verifies after tagging."""
    (consignment,) = delivered(await consigned(signed(PLAIN, lan())))
    message = consignment.message
    assert (consignment.kind, consignment.hop) == (Kind.DELIVER, "boxes")
    assert field(message, "x-gateway-verdict").startswith("verified")
    assert "Sở Y tế" in field(message, "x-verified-sender")
    assert "[Đã xác thực: Sở Y tế]" in field(message, "subject")
    assert "smime=pass" in field(message, "authentication-results")
    assert isinstance(judged(message).verdict, Verified)


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        (signed(ASCII, lan()).replace(b"Da co ket qua", b"Da co ket qux"), "invalid"),
        (signed(PLAIN, binh()), "signer_mismatch"),
        (PLAIN, "unsigned"),
    ],
    ids=["tampered", "somebody else's", "unsigned"],
)
async def test_nothing_else_looks_verified(message: bytes, verdict: str) -> None:
    """Whatever is not verified carries neither the sender's name nor its subject tag."""
    (consignment,) = delivered(await consigned(message))
    assert field(consignment.message, "x-gateway-verdict").startswith(verdict)
    assert not read_header(consignment.message).all("x-verified-sender")
    assert "Đã xác thực" not in field(consignment.message, "subject")


async def test_what_was_judged_is_recorded() -> None:
    """Evidence holds verdict, reason and signers, and no content."""
    recorder = ListRecorder()
    await consigned(signed(PLAIN, lan()), recorder=recorder)
    (facts,) = recorder.facts("verified")
    assert (facts["verdict"], facts["chain"], facts["signature"]) == ("verified", "valid", "valid")
    assert facts["author"] == LAN
    assert len(facts["signers"]) == 1  # type: ignore[arg-type]
    assert recorder.facts("classified") == [{"author": LAN, "form": "clear_signed", "traits": ()}]
    assert [each["agency"] for each in recorder.facts("tagged")] == ["Sở Y tế"]


async def test_quarantine_keeps_the_octets_that_came() -> None:
    """What is kept for an administrator is what the client sent: no tag, no trace."""
    policy = (
        "rules:\n  - {name: keep, direction: inbound, when: {verdict: invalid}, then: {quarantine: {reason: forged}}}\n"
        + DELIVER.removeprefix("rules:\n")
    )
    message = signed(ASCII, lan()).replace(b"Da co ket qua", b"Da co ket qux")
    (consignment,) = delivered(await consigned(message, policy=policy))
    assert (consignment.kind, consignment.reason, consignment.hop) == (Kind.QUARANTINED, "forged", "")
    assert consignment.message.octets() == message
    assert not consignment.answered_for


HOLD = DELIVER.replace(
    "rules:\n", "rules:\n  - {name: wait, direction: inbound, then: {hold: {reason: chờ duyệt}}}\n", 1
)


async def test_mail_is_held_as_it_came() -> None:
    """Held for an administrator: the client's octets, nobody answered for."""
    policy = HOLD.replace("inbound, then: {hold", "inbound, when: {form: plain}, then: {hold")
    (consignment,) = delivered(await consigned(PLAIN, policy=policy))
    assert (consignment.kind, consignment.reason, consignment.hop) == (Kind.HELD, "chờ duyệt", "")
    assert consignment.message.octets() == PLAIN
    assert not consignment.answered_for


async def test_each_recipient_has_the_subject_that_its_rule_says() -> None:
    """Two domains, two options: two messages, each with all its fields; the settings speak where no rule does."""
    then = "then: {deliver: {subject_tag: off}}"
    rule = f"  - {{name: quiet, direction: inbound, when: {{recipient: '{OTHER}'}}, {then}}}"
    message = signed(PLAIN, lan())
    sent = delivered(await consigned(message, CLERK, OTHER, policy=DELIVER.replace("rules:\n", f"rules:\n{rule}\n", 1)))
    found = {str(each.envelope.recipients[0].mailbox): each.message for each in sent}
    assert field(found[CLERK], "subject") == f"[Đã xác thực: Sở Y tế] {field(found[OTHER], 'subject')}"
    assert "xác thực" not in field(found[OTHER], "subject")
    assert field(found[OTHER], "x-gateway-verdict").startswith("verified")


REFUSE = (
    f"rules:\n  - {{name: no, direction: inbound, when: {{recipient: '{CLERK}'}}, "
    "then: {refuse: {vi: Cấm, en: Forbidden}}}\n" + DELIVER.removeprefix("rules:\n")
)


async def test_a_refusal_of_everybody_is_the_reply() -> None:
    """Handover row 2: a relay client with all shares refused is told at the dot."""
    reply = await consigned(PLAIN, policy=REFUSE)
    assert isinstance(reply, Reply)
    assert (reply.code, reply.status, reply.text) == (550, "5.7.1", "Cấm / Forbidden")


async def test_a_refusal_of_some_becomes_quarantine() -> None:
    """Handover row 3: the others were accepted, so this share cannot be refused any more, and is not lost."""
    kept, sent = delivered(await consigned(PLAIN, CLERK, OTHER, policy=REFUSE))
    assert (kept.kind, kept.reason) == (Kind.QUARANTINED, "refused Forbidden")
    assert [str(each.mailbox) for each in sent.envelope.recipients] == [OTHER]


async def test_mail_for_another_domain_is_never_relayed() -> None:
    """No open relay, whatever RCPT let through."""
    reply = await consigned(PLAIN, "x@elsewhere.example")
    assert isinstance(reply, Reply)
    assert reply.status == "5.7.1"


RAW = HEAD.replace(b"To: Nguyen Thi Mai", "To: Nguyễn Thị Mai".encode()) + b"\r\nNgan.\r\n"


async def test_a_raw_header_without_smtputf8_stays_as_it_is() -> None:
    """Common here; changing it inbound would gain nothing (decision 5)."""
    (consignment,) = delivered(await consigned(RAW, hops=KnownHops(boxes=KnownHop(Limits(smtputf8=False)))))
    assert "Nguyễn".encode() in consignment.message.octets()


async def test_smtputf8_mail_is_encoded_for_a_mailbox_server_without_it() -> None:
    """Dovecot's LMTP offers no SMTPUTF8."""
    hops = KnownHops(boxes=KnownHop(Limits(smtputf8=False)))
    (consignment,) = delivered(await consigned(RAW, hops=hops, smtputf8=True))
    assert consignment.message.octets().isascii()
    assert not consignment.envelope.smtputf8
    refusal = await consigned(RAW, "mận@soyte.songlam.example", hops=hops, smtputf8=True)
    assert isinstance(refusal, Reply)
    assert refusal.status == "5.6.7"


async def test_carriage_goes_above_the_tags_and_by_the_named_hop() -> None:
    """A rule's fields stand above everything, encoded; what is judged and what is signed does not know of them."""
    policy = DELIVER.replace("then: deliver", "then: {deliver: {add_header: {X-Office: Sở Y tế}, route: archive}}")
    (consignment,) = delivered(await consigned(signed(PLAIN, lan()), policy=policy))
    assert consignment.hop == "archive"
    assert read_header(consignment.message).fields[0].raw == b"X-Office: =?utf-8?B?U+G7nyBZIHThur8=?=\r\n"
    assert isinstance(judged(consignment.message).verdict, Verified)


async def test_a_hop_that_nobody_has_delivers_nothing() -> None:
    """The sender keeps the message and tries again; it is never sent by a guess."""

    class NoArchive(KnownHops):
        def by_name(self, name: str) -> KnownHop:
            raise KeyError(name)

    policy = DELIVER.replace("then: deliver", "then: {deliver: {route: archive}}")
    reply = await consigned(PLAIN, policy=policy, hops=NoArchive())
    assert isinstance(reply, Reply)
    assert (reply.code, reply.status) == (451, "4.3.5")


async def test_what_was_decided_about_inbound_mail_is_remembered() -> None:
    """With the verdict that rules saw; a message that goes through again is not noted twice."""
    memory = Notes()
    await consigned(signed(PLAIN, lan()), memory=memory)
    (past,) = memory.past
    assert (past.direction, past.facts["verdict"], past.recipients) == (Direction.INBOUND, "verified", (CLERK,))
    arrived = replace(relayed(PLAIN, CLERK, sender="x@ngoai.example"), again=Kind.RELEASED)
    room = inbound_room(memory=memory)
    await room.consign(world(), arrived, Message.of(PLAIN), opened(PLAIN))
    assert memory.past == [past]


class Expecting:
    """A `Judge` that knows something of its own day only, and keeps what it was asked about."""

    def __init__(self, day: dt.datetime, judgment: Judgment) -> None:
        self.day, self.judgment = day, judgment
        self.asked: list[dt.datetime] = []

    async def judge(self, message: Message, *, at: dt.datetime, source: str, entity: Entity | None = None) -> Judgment:
        self.asked.append(at)
        if at == self.day:
            return self.judgment
        verdict = Indeterminate("stale_revocation_data", self.judgment.verdict.signers)
        return replace(self.judgment, verdict=verdict, chain=ChainState.INDETERMINATE)


class Reading:
    """A `Judge` that keeps the part trees it was given."""

    def __init__(self) -> None:
        self.given: list[Entity | None] = []

    async def judge(self, message: Message, *, at: dt.datetime, source: str, entity: Entity | None = None) -> Judgment:
        self.given.append(entity)
        return judged(message)


async def test_a_part_tree_is_judged_only_if_it_is_that_of_the_octets_that_came() -> None:
    """A message that lost a forged mark is another one: it is judged as it came, so its tree must not be used."""
    judge, letter = Reading(), signed(PLAIN, lan())
    room, arrived = inbound_room(judge=judge), relayed(letter, CLERK, sender="x@ngoai.example")
    await room.consign(world(), arrived, arrived.arrival.message, open_arrival(arrived.arrival.message))
    assert judge.given == [parse(Message.of(letter))]
    for other in (letter, letter.replace(b"Subject", b"X-Subject")):
        await room.consign(world(), arrived, arrived.arrival.message, opened(other))
    assert judge.given[1:] == [None, None]


async def test_our_trace_field_stands_below_our_marks() -> None:
    """Above everything that came (RFC 5321 4.4), and in no count of what the marks added."""
    recorder, letter, trace = ListRecorder(), signed(PLAIN, lan()), b"Received: by us; now\r\n"
    room, arrived = inbound_room(recorder=recorder), relayed(letter, CLERK, sender="x@ngoai.example")
    (sent,) = delivered(
        await room.consign(world(), arrived, Message.of(letter), open_arrival(Message.of(letter), trace))
    )
    names = [each.key for each in read_header(sent.message).fields]
    first = read_header(Message.of(letter)).fields[0].key
    assert names.index("x-gateway-reason") < names.index("received") == names.index(first) - 1
    (facts,) = recorder.facts("tagged")
    assert facts["added_octets"] == len(sent.message) - len(letter) - len(trace)


@pytest.mark.parametrize("again", [None, Kind.RELEASED])
async def test_mail_is_judged_once_by_the_time_it_is_taken_at(again: Kind | None) -> None:
    """What is not known then is indeterminate: nobody tries other days until one fits."""
    letter = signed(PLAIN, lan())
    judge = Expecting(NOW + LATER, judged(Message.of(letter)))
    arrived = replace(relayed(letter, CLERK, sender="x@ngoai.example"), again=again)
    (sent,) = delivered(await inbound_room(judge=judge).consign(world(), arrived, Message.of(letter), opened(letter)))
    assert field(sent.message, "x-gateway-verdict").startswith("indeterminate")
    assert judge.asked == [NOW]


@pytest.mark.parametrize(
    ("repeat", "verdict"),
    [(Repeat.OTHER, "replayed"), (Repeat.LIST_COPY, "verified_lesser"), (Repeat.UNKNOWN, "verified_lesser")],
)
async def test_a_signature_that_was_seen_on_another_message_is_not_green(repeat: Repeat, verdict: str) -> None:
    """Neither field nor subject says verified; policy sees the same verdict."""
    policy = (
        "rules:\n  - {name: keep, direction: inbound, when: {verdict: replayed}, then: {quarantine: {reason: again}}}\n"
        + DELIVER.removeprefix("rules:\n")
    )
    (sent,) = delivered(await consigned(signed(PLAIN, lan()), policy=policy, sightings=Seen(repeat)))
    if repeat is Repeat.OTHER:
        assert (sent.kind, sent.reason) == (Kind.QUARANTINED, "again")
        (sent,) = delivered(await consigned(signed(PLAIN, lan()), sightings=Seen(repeat)))
    assert field(sent.message, "x-gateway-verdict").startswith(f"{verdict};")
    assert not read_header(sent.message).all("x-verified-sender")
    assert "Đã xác thực" not in field(sent.message, "subject")
    assert "smime=pass" not in field(sent.message, "authentication-results")


async def test_each_hand_over_bears_a_seal_for_its_own_recipients() -> None:
    """What one recipient got is no mark for another; fields that a rule adds stand before the seal is made."""
    keys = SealKeys((("k1", b"s" * 32),))
    policy = "rules:\n  - {name: d, direction: inbound, then: {deliver: {add_header: {X-Phong: van-thu}}}}\n"
    letter = signed(PLAIN, lan())
    here = replace(world(policy), seals=keys)
    arrived = relayed(letter, CLERK, sender="x@ngoai.example")
    (sent,) = delivered(await inbound_room().consign(here, arrived, Message.of(letter), opened(letter)))
    assert field(sent.message, "x-phong") == "van-thu"
    assert check(sent.message, Mailbox.parse(CLERK), keys) is SealState.GOOD
    assert check(sent.message, Mailbox.parse(OTHER), keys) is SealState.WRONG_RECIPIENT


async def test_results_of_the_server_in_front_are_told_apart_from_the_verdict() -> None:
    """They are shown as what they are, and only if the message came from there."""
    letter = b"Authentication-Results: mx.songlam.example; dmarc=pass header.from=ngoai.example\r\n" + PLAIN
    arrived = relayed(letter, CLERK, sender="x@ngoai.example")
    for network, shown in (("127.0.0.0/8", True), ("192.0.2.0/24", False)):
        front = Boundary.of(BoundarySettings(authserv_id="mx.songlam.example", clients=(network,)))
        here = replace(world(), boundary=front)
        (sent,) = delivered(await inbound_room().consign(here, arrived, Message.of(letter), opened(letter)))
        found = read_header(sent.message).all("x-gateway-boundary")
        assert ("dmarc=pass" in "".join(decode_text(each.value) for each in found)) is shown
        assert field(sent.message, "x-gateway-verdict").startswith("unsigned")
