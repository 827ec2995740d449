"""What users of such gateways ask for, by the numbers of the collection: what is signed, and that it survives."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import pytest

from gateway.core.message import Message
from gateway.core.reply import Reply
from gateway.core.verdict import Partial, Verified
from gateway.demo.authority import pem
from gateway.mime.fields import read_header
from gateway.ports import KeyKind
from gateway.tagging import strip, tag
from support.letters import HEAD, LAN, NOW, PLAIN, authority, judged, lan, mail, multipart, signed, text_part
from support.rooms import (
    HOSTNAME,
    SIGN,
    CredentialKey,
    ListedKeys,
    opened,
    outbound_room,
    submission,
    world,
)
from support.splitter import body_of, cut
from support.verifiers import openssl_verify

if TYPE_CHECKING:
    from gateway.core.queue import Consignment

CITIZEN = "mai@congdan.example"
POLICY = SIGN.replace("IF_UNABLE", "refuse")


async def result(message: bytes, *to: str, policy: str = POLICY, keys: ListedKeys | None = None) -> object:
    """Return what the outbound half makes of a message from Lan."""
    room = outbound_room()
    sent = submission(message, *(to or (CITIZEN,)), sender=LAN)
    return await room.consign(world(policy, keys), sent, opened(message))


async def leaves(message: bytes, *to: str, policy: str = POLICY) -> tuple[Consignment, ...]:
    found = await result(message, *to, policy=policy)
    assert isinstance(found, tuple), found
    return found


@pytest.mark.parametrize(
    "forged",
    [
        f"Authentication-Results: {HOSTNAME}; smime=pass",
        f'authentication-results: "{HOSTNAME}" 1; smime=pass',
        f"Authentication-Results: (comment) {HOSTNAME.upper()};\r\n smime=pass",
        "Authentication-Results: ; smime=pass",
        "X-Verified-Sender: =?utf-8?B?xJDDoyB4w6FjIHRo4buxYzogU+G7nyBZIHThur8=?=",
    ],
)
def test_wish_08_forged_results_are_never_believed(forged: str) -> None:
    """Results that bear our name, or none that can be read, are gone before ours are added; others' stay."""
    theirs = b"Authentication-Results: mx.doitac.example; spf=pass\r\n"
    clean = strip(Message.of(forged.encode() + b"\r\n" + theirs + PLAIN), authserv_id=HOSTNAME)
    tagged = tag(clean, judged(clean), agency="Sở Y tế", authserv_id=HOSTNAME, subject="on", received_at=NOW).octets()
    assert b"smime=pass" not in tagged
    assert b"X-Verified-Sender" not in tagged
    assert theirs in tagged


@pytest.mark.parametrize(("minutes", "present"), [(0, True), (49, True), (-49, True), (51, False), (-600, False)])
async def test_wish_09_a_far_date_does_not_make_a_good_signature_look_broken(minutes: int, *, present: bool) -> None:
    """A client that compares signing time and Date finds none to compare where they are too far apart."""
    date = (NOW - dt.timedelta(minutes=minutes)).strftime("%a, %d %b %Y %H:%M:%S +0000")
    (consignment,) = await leaves(re.sub(rb"Date: [^\r]*", f"Date: {date}".encode(), PLAIN))
    verdict = judged(consignment.message).verdict
    assert isinstance(verdict, Verified)
    assert (verdict.signers[0].claimed_signing_time is not None) is present


async def test_wish_13_our_footer_is_signed_and_theirs_is_told_apart() -> None:
    """What we add is added before the signature; what a list adds afterwards leaves a "partial", not a "broken"."""
    footer = "defaults: {footer: {vi: Thư có chữ ký số., en: Digitally signed.}}\n" + POLICY
    (consignment,) = await leaves(mail(text_part("Ngan.")), policy=footer)
    ours = consignment.message.octets()
    assert isinstance(judged(ours).verdict, Verified)
    assert b"Digitally signed." in cut(ours).part
    inner = ours[ours.index(b"Content-Type: multipart/signed") :]
    listed = mail(multipart("mixed", inner, text_part("-- danh sach thu --"), boundary="list"))
    verdict = judged(listed).verdict
    assert isinstance(verdict, Partial)
    assert verdict.reason == "footer_outside"


async def test_wish_14_nothing_a_server_does_with_8_bit_or_headers_can_touch_it() -> None:
    """What we send is 7-bit, in short lines, and new fields stand above everything; what others signed is untouched."""
    (consignment,) = await leaves(PLAIN)
    octets = consignment.message.octets()
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    theirs = signed(PLAIN, lan())
    (left,) = await leaves(theirs)
    assert left.message.octets() == theirs
    tagged = tag(Message.of(theirs), judged(theirs), agency=None, authserv_id=HOSTNAME, subject="on", received_at=NOW)
    assert body_of(tagged.octets()) == body_of(theirs)


@pytest.mark.parametrize("length", range(58, 84))
async def test_wish_15_odd_subjects_make_no_odd_signature(
    length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Subjects around the line limit keep every octet, and OpenSSL takes the signature."""
    subject = b"Subject: " + b"a" * length
    message = re.sub(rb"Subject: [^\r]*", subject, HEAD) + b"\r\nNgan.\r\n"
    (consignment,) = await leaves(message)
    octets = consignment.message.octets()
    assert subject + b"\r\n" in octets
    pieces = cut(octets)
    assert openssl_verify(pieces.part, pieces.cms, pem(authority().root), tmp_path_factory.mktemp("o"))


@pytest.mark.parametrize(
    "entity",
    [b"\r\nKhong co Content.\r\n", b"Content-Type: application/pdf\r\n\r\n%PDF-1.7\r\n", b"\r\n"],
    ids=["no Content fields", "single part, no text", "empty"],
)
async def test_wish_15_odd_bodies_make_no_odd_signature(entity: bytes) -> None:
    """Single parts and missing Content fields are signed as a reader takes them."""
    (consignment,) = await leaves(HEAD + entity)
    assert isinstance(judged(consignment.message).verdict, Verified)


async def test_wish_16_nobody_gets_used_to_a_signature_by_somebody_else() -> None:
    """The agency's key does not sign for a person it does not name: recipients would see "invalid"."""
    office = authority().issue("SỞ Y TẾ", "vanthu@soyte.songlam.example", key=lan("p256").key)
    keys = ListedKeys(CredentialKey(office, "soyte", KeyKind.ORGANIZATION))
    refusal = await result(PLAIN, keys=keys)
    assert isinstance(refusal, Reply)
    assert (refusal.code, refusal.status) == (550, "5.7.1")
    labelled = POLICY.replace("personal_else_organization", "{label: soyte}")
    assert isinstance(await result(PLAIN, policy=labelled, keys=keys), Reply)


OPT_OUT = POLICY.replace(
    "rules:\n",
    "rules:\n"
    "  - {name: partner, direction: outbound, when: {recipient: '@doitac.example'}, then: pass}\n"
    "  - {name: replies, direction: outbound, when: {header_matches: {field: In-Reply-To, pattern: '.'}}, "
    "then: pass}\n",
)


async def test_wish_24_a_partners_domain_can_be_left_out() -> None:
    """One recipient gets the message as it was, the other one signed."""
    plain, sealed = await leaves(PLAIN, "a@doitac.example", CITIZEN, policy=OPT_OUT)
    assert plain.message.octets() == PLAIN
    assert [str(each.mailbox) for each in plain.envelope.recipients] == ["a@doitac.example"]
    assert isinstance(judged(sealed.message).verdict, Verified)


async def test_wish_24_replies_can_be_left_out() -> None:
    """A rule can see that a message answers another one."""
    (reply,) = await leaves(b"In-Reply-To: <1@hopthu.example>\r\n" + PLAIN, policy=OPT_OUT)
    assert not read_header(reply.message).all("content-type")[0].value.startswith(b"multipart/signed")
    (fresh,) = await leaves(PLAIN, policy=OPT_OUT)
    assert isinstance(judged(fresh.message).verdict, Verified)
