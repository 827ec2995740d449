"""The outbound half: who may send as whom, which key, and what leaves when no signature is possible (RFC 6409)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Notify
from gateway.core.queue import Consignment, Kind
from gateway.core.reply import Reply
from gateway.core.unfit import UNFIT
from gateway.core.verdict import Verified
from gateway.ports import KeyKind
from gateway.service.authorship import Authorship, authorship_of
from gateway.service.senders import STRICT
from support.letters import BINH, HEAD, LAN, PLAIN, binh, judged, lan, real_life, signed
from support.rooms import (
    SIGN,
    CredentialKey,
    KnownHop,
    KnownHops,
    Limits,
    ListedKeys,
    ListRecorder,
    opened,
    outbound_room,
    submission,
    world,
)

if TYPE_CHECKING:
    from gateway.service.outbound import Outbound

CITIZEN = "mai@congdan.example"


async def consigned(message: bytes = PLAIN, *to: str, room: Outbound | None = None, **given: object) -> object:
    """Return what the room makes of a message from Lan; `policy` and `keys` make the world."""
    policy = {"policy": given.pop("policy")} if "policy" in given else {}
    chosen = world(**policy, keys=given.pop("keys", None))  # type: ignore[arg-type]
    sent = submission(message, *(to or (CITIZEN,)), sender=given.pop("sender", LAN), **given)  # type: ignore[arg-type]
    return await (room or outbound_room()).consign(chosen, sent, opened(message))


def delivered(result: object) -> tuple[Consignment, ...]:
    assert isinstance(result, tuple), result
    return result


def refused(result: object) -> Reply:
    assert isinstance(result, Reply), result
    return result


@pytest.mark.parametrize("name", [name for name in real_life() if not name.startswith("only")])
async def test_everything_real_life_sends_leaves_verified(name: str) -> None:
    """What policy says is signed leaves signed, and verifies as its author's."""
    (consignment,) = delivered(await consigned(real_life()[name]))
    assert consignment.kind is Kind.DELIVER
    assert consignment.hop == "out"
    assert isinstance(judged(consignment.message).verdict, Verified)
    assert not consignment.envelope.eight_bit


async def test_an_author_who_is_not_on_the_list_is_refused() -> None:
    """A login that may send as Lan cannot write From somebody else."""
    message = PLAIN.replace(LAN.encode(), BINH.encode())
    reply = refused(await consigned(message))
    assert (reply.code, reply.status) == (550, "5.7.1")
    assert BINH in reply.text


async def test_a_reverse_path_that_is_not_on_the_list_is_refused() -> None:
    """The envelope is checked as well as the header."""
    reply = refused(await consigned(sender=BINH, authors=LAN))
    assert reply.status == "5.7.1"
    assert BINH in reply.text


async def test_a_domain_on_the_list_stands_for_its_mailboxes_only() -> None:
    """An entry "@domain" covers that domain and not its subdomains."""
    domain = LAN.partition("@")[2]
    office = ListedKeys(CredentialKey(lan(), kind=KeyKind.ORGANIZATION))
    assert len(delivered(await consigned(authors=f"@{domain}", keys=office))) == 1
    refused(await consigned(authors=f"@{domain.partition('.')[2]}", keys=office))


async def test_a_person_is_signed_for_by_name_only() -> None:
    """An entry "@domain" lets a program send as everybody there; it lends it nobody's personal key."""
    recorder = ListRecorder()
    domain = LAN.partition("@")[2]
    reply = refused(await consigned(authors=f"@{domain}", room=outbound_room(recorder=recorder)))
    assert "cannot sign" in reply.text
    assert recorder.facts("signed")[0]["reason"] == "personal_key_not_for_domain"
    assert len(delivered(await consigned(authors=f"@{domain},{LAN}"))) == 1


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"From:", b"X-From:"),
        HEAD + f"From: <{LAN}>\r\n".encode(),
        HEAD.replace(f"<{LAN}>".encode(), f"<{LAN}>, <{BINH}>".encode()),
        HEAD.replace(f"<{LAN}>".encode(), b"<lan@a@b>"),
    ],
    ids=["none", "two fields", "two mailboxes", "malformed"],
)
async def test_a_message_without_one_author_is_refused(head: bytes) -> None:
    """Nothing is signed, nor sent, for nobody in particular."""
    assert refused(await consigned(head + b"\r\nNgan.\r\n")).status == "5.6.0"


async def test_a_null_reverse_path_is_allowed() -> None:
    """Mail clients send disposition notifications with it (RFC 8098 3)."""
    sent = submission(PLAIN, CITIZEN, sender=LAN)
    arrived = replace(sent.arrival, envelope=replace(sent.arrival.envelope, reverse_path=NULL_PATH))
    authorship = authorship_of(STRICT, replace(sent, arrival=arrived), opened(PLAIN))
    assert isinstance(authorship, Authorship)
    assert authorship.author == Mailbox.parse(LAN)


async def test_a_recipient_without_route_refuses_the_message() -> None:
    """No route is the sender's to know, at once."""
    assert refused(await consigned(PLAIN, CITIZEN, "x@unroutable.example")).status == "5.4.4"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (ListedKeys(), "no signing key"),
        (ListedKeys(CredentialKey(binh(), "binh")), "no signing key"),
        (ListedKeys(CredentialKey(lan()), faults={"lan": "expired"}), "expired"),
    ],
    ids=["no key", "somebody else's", "expired"],
)
async def test_refuse_when_unable(keys: ListedKeys, reason: str) -> None:
    """`if_unable: refuse` answers 550 and says why."""
    reply = refused(await consigned(keys=keys))
    assert (reply.code, reply.status) == (550, "5.7.1")
    assert reason in reply.text


@pytest.mark.parametrize("fault", [*UNFIT, "no_path"])
async def test_both_languages_say_what_is_wrong_with_the_key(fault: str) -> None:
    """The sender reads no code of ours, in either half; a reason that has no words yet stands for itself."""
    reply = refused(await consigned(keys=ListedKeys(CredentialKey(lan()), faults={"lan": fault})))
    vietnamese, english = UNFIT.get(fault, ("khóa ký không dùng được: no_path", "the key is not usable: no_path"))
    assert reply.text == f"Không ký được: {vietnamese} (lan) / cannot sign: {english} (lan)"
    assert "_" not in reply.text.replace("no_path", "")


async def test_hold_when_unable() -> None:
    """`if_unable: hold` keeps the raw message, of a kind that cannot be delivered."""
    (consignment,) = delivered(await consigned(policy=SIGN.replace("IF_UNABLE", "hold"), keys=ListedKeys()))
    assert consignment.kind is Kind.HELD
    assert consignment.message.octets() == PLAIN
    assert consignment.reason.startswith("no_key ")


async def test_send_unsigned_tells_the_sender() -> None:
    """`if_unable: send_unsigned` sends the message as it is, and a notice that never asks for an answer."""
    recorder = ListRecorder()
    policy = SIGN.replace("IF_UNABLE", "send_unsigned")
    room = outbound_room(recorder=recorder)
    message, notice = delivered(await consigned(policy=policy, keys=ListedKeys(), room=room))
    assert message.message.octets() == PLAIN
    assert message.envelope.eight_bit
    assert (notice.hop, notice.envelope.reverse_path) == ("boxes", NULL_PATH)
    assert notice.envelope.recipients[0].mailbox == Mailbox.parse(LAN)
    assert notice.envelope.recipients[0].notify == frozenset[Notify]()
    assert b"Auto-Submitted: auto-replied" in notice.message.octets()
    assert recorder.facts("signed") == [{"done": False, "reason": "no_key"}]


async def test_the_personal_key_comes_first_then_the_agency_key() -> None:
    """`personal_else_organization` is an order, not a choice."""
    personal, organization = CredentialKey(lan(), "mine"), CredentialKey(lan("p256"), "ours", KeyKind.ORGANIZATION)
    recorder = ListRecorder()
    room = outbound_room(recorder=recorder)
    await consigned(room=room, keys=ListedKeys(organization, personal))
    await consigned(room=room, keys=ListedKeys(organization))
    assert [each["key"] for each in recorder.facts("signed")] == ["mine", "ours"]


async def test_a_labelled_key_signs_only_for_its_own_mailboxes() -> None:
    """A rule cannot make a key sign for a mailbox that its certificate does not name."""
    policy = SIGN.replace("personal_else_organization", "{label: binh}").replace("IF_UNABLE", "refuse")
    reply = refused(await consigned(policy=policy, keys=ListedKeys(CredentialKey(binh(), "binh"))))
    assert "not for" in reply.text


async def test_our_own_bad_signature_never_leaves() -> None:
    """A key that returns rubbish is found before the message is handed over."""
    key = CredentialKey(lan())
    key.damage = lambda value: value[:-1] + bytes([value[-1] ^ 1])
    (consignment,) = delivered(await consigned(keys=ListedKeys(key)))
    assert consignment.kind is Kind.HELD
    assert consignment.reason == "self_check bad_signature"
    assert consignment.message.octets() == PLAIN


async def test_what_somebody_else_signed_passes_octet_for_octet() -> None:
    """A message that is signed already is never touched (R06)."""
    message = signed(PLAIN, lan())
    (consignment,) = delivered(await consigned(message))
    assert consignment.message.octets() == message


UTF8 = PLAIN.replace(b"To: Nguyen Thi Mai", "To: Nguyễn Thị Mai".encode())


@pytest.mark.parametrize("asked", [False, True])
async def test_a_raw_header_is_encoded_for_a_hop_that_takes_ascii_only(*, asked: bool) -> None:
    """UTF-8 header fields with ASCII addresses are RFC 2047-encoded before signing."""
    hops = KnownHops(out=KnownHop(Limits(smtputf8=False)))
    (consignment,) = delivered(await consigned(UTF8, room=outbound_room(hops=hops), smtputf8=asked))
    octets = consignment.message.octets()
    assert octets.isascii()
    assert b"To: =?utf-8?B?" in octets
    assert not consignment.envelope.smtputf8
    assert isinstance(judged(octets).verdict, Verified)


async def test_a_raw_header_stays_where_client_and_hop_speak_smtputf8() -> None:
    """Nothing is encoded that need not be."""
    (consignment,) = delivered(await consigned(UTF8, smtputf8=True))
    assert "Nguyễn".encode() in consignment.message.octets()
    assert consignment.envelope.smtputf8


async def test_smtputf8_is_not_asked_of_the_hop_for_ascii_mail() -> None:
    """A client that always says SMTPUTF8 must not make plain mail undeliverable."""
    hops = KnownHops(out=KnownHop(Limits(smtputf8=False)))
    (consignment,) = delivered(await consigned(PLAIN, room=outbound_room(hops=hops), smtputf8=True))
    assert not consignment.envelope.smtputf8


async def test_an_address_beyond_ascii_is_refused_where_the_hop_takes_ascii_only() -> None:
    """550 5.6.7 at once, not a bounce later."""
    hops = KnownHops(out=KnownHop(Limits(smtputf8=False)))
    assert (
        refused(await consigned(PLAIN, "mận@congdan.example", room=outbound_room(hops=hops), smtputf8=True)).status
        == "5.6.7"
    )


async def test_each_recipient_gets_what_its_rule_says() -> None:
    """Two rules, two shares: one signed, one as it was (handover row 3)."""
    policy = (
        "rules:\n  - {name: plain, direction: outbound, when: {recipient: 'x@doitac.example'}, then: pass}\n"
        + SIGN.replace("IF_UNABLE", "refuse").removeprefix("rules:\n")
    )
    plain, sealed = delivered(await consigned(PLAIN, CITIZEN, "x@doitac.example", policy=policy))
    assert [str(each.mailbox) for each in plain.envelope.recipients] == ["x@doitac.example"]
    assert plain.message.octets() == PLAIN
    assert [str(each.mailbox) for each in sealed.envelope.recipients] == [CITIZEN]
    assert isinstance(judged(sealed.message).verdict, Verified)


async def test_one_refused_share_refuses_the_whole_message() -> None:
    """A submitter is told before anything leaves (handover row 2)."""
    policy = (
        "rules:\n  - {name: no, direction: outbound, when: {recipient: 'x@cam.example'}, "
        "then: {refuse: {vi: Cấm, en: Forbidden}}}\n" + SIGN.replace("IF_UNABLE", "refuse").removeprefix("rules:\n")
    )
    assert refused(await consigned(PLAIN, CITIZEN, "x@cam.example", policy=policy)).text == "Cấm / Forbidden"
