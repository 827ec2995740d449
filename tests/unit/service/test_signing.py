"""From a ruling to finished octets: the form, what goes before the signature, and what happens where there is none."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import structlog

from gateway.core.decision import DateGap, Footer, IfUnable, KeyChoice, Sign, SignatureForm
from gateway.core.errors import ServiceError, StorageFullError
from gateway.core.message import Message
from gateway.core.octets import WINDOW
from gateway.core.queue import Kind, Origin
from gateway.core.reply import Reply
from gateway.core.verdict import Verified
from gateway.mime.fields import read_header
from gateway.service.selfcheck import ONE_IN, SelfCheck
from gateway.service.signing import Faulty, Outcome, Signed, Signer, Waiting
from gateway.smime.classify import Form, form_of
from gateway.smime.sign import Left
from support.letters import (
    ASCII,
    HEAD,
    LAN,
    NOW,
    PLAIN,
    base64_lines,
    clear,
    clear_entity,
    detached,
    judged,
    lan,
    mail,
    multipart,
    real_life,
    signed,
    template,
    text_part,
)
from support.rooms import (
    HOSTNAME,
    SIGN,
    CredentialKey,
    FixedClock,
    KnownHop,
    KnownHops,
    Limits,
    ListedKeys,
    ListRecorder,
    MemoryBodies,
    Notes,
    Opinion,
    opened,
    outbound_room,
    submission,
    world,
)

if TYPE_CHECKING:
    from gateway.core.queue import Consignment

CITIZEN = "mai@congdan.example"
TOKENS = itertools.count(1)
"""No two are equal, as in a gateway."""
BY_KEY = Sign(KeyChoice.PERSONAL, IfUnable.REFUSE)
SEVEN_BIT_HOPS = KnownHops(out=KnownHop(Limits(eight_bit=False)))
FOREIGN = clear("Content-Type: text/plain; charset=utf-8\r\n\r\nTiếng Việt\r\n".encode(), lan())
"""A message that somebody else signed without making it 7-bit."""
FORWARDED = mail(multipart("mixed", text_part("Xin chuyen."), b"Content-Type: message/rfc822\r\n\r\n" + FOREIGN))


async def signs(
    message: bytes,
    decision: Sign = BY_KEY,
    *,
    hops: KnownHops | None = None,
    opinion: Opinion | None = None,
    key: CredentialKey | None = None,
    smtputf8: bool = False,
) -> Outcome:
    """Return what the signer makes of a message of Lan's."""
    signer = Signer(
        hostname=HOSTNAME,
        hops=hops or KnownHops(),  # type: ignore[arg-type]
        bodies=MemoryBodies(),
        clock=FixedClock(),
        check=SelfCheck(opinion or Opinion()),
        new_token=lambda: f"token{next(TOKENS)}",
    )
    envelope = submission(message, CITIZEN, sender=LAN, smtputf8=smtputf8).arrival.envelope
    return await signer.sign(opened(message), decision, key or CredentialKey(lan()), envelope, ("out",))


def done(outcome: Outcome) -> Signed:
    assert isinstance(outcome, Signed), outcome
    return outcome


# --- form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in real_life() if not name.startswith("only")])
@pytest.mark.parametrize("form", list(SignatureForm))
async def test_both_forms_verify(name: str, form: SignatureForm) -> None:
    """What leaves in either form is Verified, and 7-bit."""
    found = done(await signs(real_life()[name], replace(BY_KEY, form=form)))
    assert isinstance(judged(found.message).verdict, Verified)
    expected = Form.OPAQUE_SIGNED if form is SignatureForm.OPAQUE else Form.CLEAR_SIGNED
    assert form_of(found.message, opened(found.message.octets()).entity) is expected
    assert found.message.octets().isascii()
    assert not found.eight_bit
    assert found.facts["form"] == form


@pytest.mark.parametrize("form", list(SignatureForm))
async def test_no_two_messages_have_one_signature(form: SignatureForm) -> None:
    """The same text to many, within a second: else each gateway that remembers signatures calls all but one replays."""
    found = [done(await signs(PLAIN, replace(BY_KEY, form=form))) for _ in range(3)]
    digests = {judged(each.message).verdict.signers[0].signature_digest for each in found}
    assert len(digests) == len(found)


async def test_what_somebody_signed_in_eight_bit_stays_and_travels_as_it_is() -> None:
    """Where every next hop has 8BITMIME the form stays clear, and only the foreign signature is 8-bit."""
    own = "Content-Type: text/plain; charset=utf-8\r\n\r\nChuyển tiếp\r\n".encode()
    message = mail(multipart("mixed", own, b"Content-Type: message/rfc822\r\n\r\n" + FOREIGN))
    found = done(await signs(message))
    octets = found.message.octets()
    assert found.eight_bit
    assert FOREIGN in octets
    assert octets.replace(FOREIGN, b"").isascii()
    assert b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" in octets
    assert (found.facts["form"], found.facts["encoding"]) == ("clear", "8bit")
    assert found.facts["because"] == "signed_part_not_seven_bit"
    assert isinstance(judged(found.message).verdict, Verified)


async def test_it_becomes_opaque_where_a_hop_takes_seven_bit_only() -> None:
    """Not one octet of the foreign signature is changed; the event says why the form is another."""
    found = done(await signs(FORWARDED, hops=SEVEN_BIT_HOPS))
    assert found.message.octets().isascii()
    assert not found.eight_bit
    assert (found.facts["form"], found.facts["encoding"]) == ("opaque", "binary")
    assert found.facts["because"] == "signed_part_not_seven_bit"
    assert isinstance(judged(found.message).verdict, Verified)


async def test_it_becomes_opaque_where_a_hop_cannot_be_asked() -> None:
    """Not knowing is not a yes."""
    found = done(await signs(FORWARDED, hops=KnownHops(out=KnownHop(None))))
    assert found.facts["form"] == "opaque"


@pytest.mark.parametrize(
    "text", ["ế" * 500, "đuôi có dấu cách \r\nvà nữa", "\r\nFrom đâu đến"], ids=["long line", "trailing blank", "From"]
)
async def test_it_becomes_opaque_where_an_eight_bit_way_would_change_it(text: str) -> None:
    """Lines over 998 octets and what transports are known to change."""
    part = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
    inner = clear(part, lan())
    message = mail(multipart("mixed", text_part("x"), b"Content-Type: message/rfc822\r\n\r\n" + inner))
    found = done(await signs(message))
    assert found.facts["form"] == "opaque"
    assert isinstance(judged(found.message).verdict, Verified)


async def test_a_large_opaque_message_is_whole() -> None:
    """Above a window it is made in pieces, and apart from the loop."""
    body = b"0123456789 abcdef\r\n" * (2 * WINDOW // 19)
    found = done(await signs(HEAD + b"\r\n" + body, replace(BY_KEY, form=SignatureForm.OPAQUE)))
    assert isinstance(judged(found.message).verdict, Verified)


@pytest.mark.parametrize(
    "message",
    [
        signed(PLAIN, lan()),
        mail(clear_entity(text_part("x"), detached(text_part("x"), lan()))),
        mail(b"Content-Type: text/plain\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n"),
        mail(b"Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\n--b--\r\n"),
        mail(b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\n" + base64_lines(b"0\x80")),
    ],
    ids=["ours", "clear", "pgp", "encrypted", "enveloped"],
)
@pytest.mark.parametrize("form", list(SignatureForm))
async def test_what_somebody_protected_is_left_alone(message: bytes, form: SignatureForm) -> None:
    """Whatever the rule says, footer and date included."""
    decision = replace(BY_KEY, form=form, footer=Footer("Chân thư", "Footer"), date_gap=DateGap.REFUSE)
    assert isinstance(await signs(message, decision), Left)


# --- before the signature ---------------------------------------------------------------------------------------------


async def test_protected_header_fields_are_signed() -> None:
    """RFC 9788: copies stand inside, equal to those outside, Bcc nowhere; our own reader says the header is signed."""
    message = b"Received: by x; now\r\nBcc: an@nhau.example\r\nReply-To: phong@soyte.songlam.example\r\n" + PLAIN
    decision = replace(BY_KEY, protect_headers=True)
    for form in SignatureForm:
        found = done(await signs(message, replace(decision, form=form)))
        verdict = judged(found.message)
        assert isinstance(verdict.verdict, Verified)
        assert verdict.headers_signed
        assert found.facts["headers_protected"] is True
        assert b"an@nhau.example" not in found.message.octets()
    octets = done(await signs(message, decision)).message.octets()
    part = octets.split(b"\r\n--=_token")[1]
    assert b'hp="clear"' in part
    assert b"Received:" not in part
    for field in read_header(Message.of(HEAD + b"\r\n")).fields:
        assert octets.count(field.raw) == 2
    assert not judged(done(await signs(message)).message).headers_signed


async def test_raw_header_fields_are_protected_in_ascii() -> None:
    """Inside the signed part there is no 8-bit header, and both sides still read the same."""
    message = PLAIN.replace(b"To: Nguyen Thi Mai", "To: Nguyễn Thị Mai".encode())
    found = done(await signs(message, replace(BY_KEY, protect_headers=True), smtputf8=True))
    assert "Nguyễn".encode() in found.message.octets()
    assert judged(found.message).headers_signed
    assert found.message.octets().partition(b"\r\n\r\n")[2].isascii()


@pytest.mark.parametrize(
    "field",
    [
        b'Content-Type: text/plain; hp="cipher"\r\n',
        b"Content-Type: text/plain (x\r\n",
        b"Content-Type: text\r\n",
        b"Content-Type: text/plain\r\nContent-Type: text/html\r\n",
    ],
)
async def test_a_type_that_takes_no_parameter_is_signed_without_copies(field: bytes) -> None:
    """A Content-Type that readers might read in another way is not touched."""
    found = done(
        await signs(HEAD + b"MIME-Version: 1.0\r\n" + field + b"\r\nx\r\n", replace(BY_KEY, protect_headers=True))
    )
    assert found.facts["headers_protected"] is False
    assert field in found.message.octets()


async def test_a_footer_goes_before_the_signature() -> None:
    """It is signed with the rest, and the event says so."""
    found = done(await signs(ASCII, replace(BY_KEY, footer=Footer("Co chu ky so", "Signed mail"))))
    assert found.facts["footer"] == "added"
    assert b"Signed mail" in found.message.octets()
    assert isinstance(judged(found.message).verdict, Verified)


async def test_a_message_that_takes_no_footer_is_signed_without() -> None:
    """The reason stands in the event."""
    message = mail(
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64_lines(b"%PDF")
    )
    found = done(await signs(message, replace(BY_KEY, footer=Footer("Co chu ky so", "Signed mail"))))
    assert found.facts["footer"] == "structure"
    assert b"Signed mail" not in found.message.octets()


def with_date(value: str) -> bytes:
    return PLAIN.replace(b"Date: Tue, 24 Nov 2026 08:29:00 +0700", f"Date: {value}".encode())


def signing_time(message: Message) -> bool:
    """Return whether the signature names a time: its attribute's OID stands in the CMS."""
    from support.splitter import split  # noqa: PLC0415 - only here

    return bytes.fromhex("06092a864886f70d010905") in split(message.octets())[1]


FAR = "Tue, 24 Nov 2026 09:21:00 +0700"
"""51 minutes after NOW."""


@pytest.mark.parametrize(
    ("date", "present"),
    [
        ("Tue, 24 Nov 2026 08:30:00 +0700", True),
        ("Tue, 24 Nov 2026 09:19:59 +0700", True),
        ("Tue, 24 Nov 2026 00:40:01 +0000", True),
        ("24 Nov 2026 01:30 -0000 (khong ro mui gio)", True),
        (FAR, False),
        ("Tue, 24 Nov 2026 07:39:00 +0700", False),
        ("Tue, 24 Nov 2026 01:30:00", False),
        ("hôm qua", False),
        ("Tue, 99 Nov 2026 08:30:00 +0700", False),
        ("Tue, 24 Nov 2026 08:30:00 +0700" + " (x)" * 60, False),
        ("", False),
    ],
)
async def test_signing_time_is_left_out_where_the_date_is_far(date: str, *, present: bool) -> None:
    """Within 50 minutes both stand; beyond, and where nobody can say, the signature names no time (wish 9)."""
    message = with_date(date) if date.isascii() else with_date("=?utf-8?q?x?=")
    found = done(await signs(message))
    assert signing_time(found.message) is present
    assert found.facts["signing_time"] is present
    assert f"\r\nDate: {date}\r\n".encode() in found.message.octets() or not date.isascii()
    assert isinstance(judged(found.message).verdict, Verified)


async def test_a_missing_date_is_the_time_of_signing() -> None:
    """It is added, and so there is no gap."""
    message = PLAIN.replace(b"Date: Tue, 24 Nov 2026 08:29:00 +0700\r\n", b"")
    found = done(await signs(message, replace(BY_KEY, date_gap=DateGap.REFUSE)))
    assert signing_time(found.message)
    assert b"\r\nDate: Tue, 24 Nov 2026 01:30:00 +0000\r\n" in found.message.octets()


async def test_the_date_can_give_way() -> None:
    """`replace_date`: the old field stays as X-Original-Date, in its own octets."""
    found = done(await signs(with_date(FAR), replace(BY_KEY, date_gap=DateGap.REPLACE_DATE, protect_headers=True)))
    header = read_header(found.message)
    assert [each.raw for each in header.all("date")] == [b"Date: Tue, 24 Nov 2026 01:30:00 +0000\r\n"]
    assert [each.raw for each in header.all("x-original-date")] == [f"X-Original-Date: {FAR}\r\n".encode()]
    assert signing_time(found.message)
    assert judged(found.message).headers_signed


async def test_several_dates_give_way_to_one() -> None:
    """Two Date fields are two different times to two readers."""
    message = b"Date: Tue, 24 Nov 2026 08:29:00 +0700\r\n" + PLAIN
    assert not signing_time(done(await signs(message)).message)
    found = done(await signs(message, replace(BY_KEY, date_gap=DateGap.REPLACE_DATE)))
    header = read_header(found.message)
    assert (len(header.all("date")), len(header.all("x-original-date"))) == (1, 2)


async def test_a_far_date_can_be_refused() -> None:
    """`refuse` says what is wrong with it."""
    decision = replace(BY_KEY, date_gap=DateGap.REFUSE)
    reply = await signs(with_date(FAR), decision)
    assert isinstance(reply, Reply)
    assert (reply.code, reply.status) == (550, "5.7.1")
    assert "Date" in reply.text
    done(await signs(PLAIN, decision))


# --- other eyes -------------------------------------------------------------------------------------------------------


async def test_the_first_of_each_key_and_form_and_one_in_a_hundred_is_asked_about() -> None:
    """The second opinion is heard before release; a template that was loaded again counts on, another one does not."""
    opinion = Opinion()
    check = SelfCheck(opinion)
    key = CredentialKey(lan("p256"))
    finished = done(await signs(ASCII, key=key)).message
    heard = [await check.pass_or_raise(finished, key, SignatureForm.CLEAR) for _ in range(2 * ONE_IN + 1)]
    assert [number for number, each in enumerate(heard) if each] == [0, ONE_IN, 2 * ONE_IN]
    assert await check.pass_or_raise(finished, key, SignatureForm.OPAQUE)
    assert not await check.pass_or_raise(finished, CredentialKey(lan("p256")), SignatureForm.CLEAR)
    other = CredentialKey(lan("p256"))
    other.template = template(lan("p256"), digest="sha384")
    finished_by_it = done(await signs(ASCII, key=other)).message
    assert await check.pass_or_raise(finished_by_it, other, SignatureForm.CLEAR)
    assert opinion.asked.pop() is finished_by_it
    assert all(each is finished for each in opinion.asked)


async def test_a_template_that_nobody_found_good_is_asked_about_every_time() -> None:
    """A first message that failed, or got no answer, does not count as the first."""
    key = CredentialKey(lan("p256"))
    opinion = Opinion(answer="openssl_disagrees")
    check = SelfCheck(opinion)
    finished = done(await signs(ASCII, key=key)).message
    for trouble in (None, ServiceError("away"), None):
        opinion.trouble = trouble
        with pytest.raises(Exception, match=r"openssl_disagrees|away"):
            await check.pass_or_raise(finished, key, SignatureForm.CLEAR)
    opinion.answer = None
    assert [await check.pass_or_raise(finished, key, SignatureForm.CLEAR) for _ in range(2)] == [True, False]


async def test_a_fault_of_ours_raises_an_alarm() -> None:
    """Either check: the log says at level error which key and what."""
    key = CredentialKey(lan("p256"))
    with structlog.testing.capture_logs() as logs:
        assert await signs(ASCII, key=key, opinion=Opinion("openssl_disagrees")) == Faulty("openssl_disagrees")
        key.damage = lambda value: value[:-1]
        assert await signs(ASCII, key=key) == Faulty("bad_signature")
    assert [(each["log_level"], each["key"], each["fault"]) for each in logs] == [
        ("error", "lan", "openssl_disagrees"),
        ("error", "lan", "bad_signature"),
    ]


async def test_a_flipped_octet_in_memory_is_seen_by_our_own_check() -> None:
    """The value fits what was signed, and still the message is no good (see also tests/interop for OpenSSL)."""
    key = CredentialKey(lan("p256"))
    first = key.template._fixed_attributes[2]
    changed = first[:-1] + bytes([first[-1] ^ 1])
    key.template = replace(key.template, _fixed_attributes=(*key.template._fixed_attributes[:2], changed))
    assert isinstance(await signs(ASCII, key=key), Faulty)


# --- through the whole outbound half ----------------------------------------------------------------------------------


async def consigned(  # noqa: PLR0913 - one argument per double
    message: bytes = PLAIN,
    *to: str,
    then: str = "",
    keys: ListedKeys | None = None,
    opinion: Opinion | None = None,
    recorder: ListRecorder | None = None,
    memory: Notes | None = None,
    hops: KnownHops | None = None,
    whole: str = "",
) -> tuple[Consignment, ...] | Reply:
    """Return what the room makes of a message of Lan's under a policy with one rule."""
    policy = SIGN.replace("if_unable: IF_UNABLE", f"if_unable: refuse{then}")
    if whole:
        policy = policy.replace(policy[policy.index("{sign") : policy.index("\n", policy.index("{sign"))], whole)
    room = outbound_room(recorder=recorder, hops=hops, memory=memory, opinion=opinion)
    sent = submission(message, *(to or (CITIZEN,)), sender=LAN)
    return await room.consign(world(policy, keys), sent, opened(message))


def one(result: tuple[Consignment, ...] | Reply) -> Consignment:
    assert isinstance(result, tuple), result
    assert len(result) == 1
    return result[0]


async def test_a_key_that_is_away_lets_the_raw_message_wait() -> None:
    """Row 17: kept raw, of a kind that cannot be delivered, with where it came from; never refused, never unsigned."""
    key = CredentialKey(lan())
    key.trouble = ServiceError("the token is busy")
    recorder = ListRecorder()
    found = one(await consigned(keys=ListedKeys(key), recorder=recorder))
    assert (found.kind, found.hop) == (Kind.TO_SIGN, "")
    assert found.message.octets() == PLAIN
    assert found.origin == Origin("submission", "lan", "127.0.0.1")
    assert found.reason == "key_away lan: the token is busy"
    assert recorder.facts("signed") == [{"done": False, "key": "lan", "reason": "key_away"}]


async def test_a_second_opinion_that_is_away_lets_the_raw_message_wait() -> None:
    """Not being able to look is passing trouble, not a fault."""
    found = one(await consigned(opinion=Opinion(trouble=ServiceError("no answer within 20 s"))))
    assert found.kind is Kind.TO_SIGN
    assert found.reason.startswith("second_opinion_away ")
    assert isinstance(await signs(PLAIN, opinion=Opinion(trouble=ServiceError("x"))), Waiting)


async def test_a_disagreement_holds_the_raw_message() -> None:
    """Never delivered, never 451 for ever: held, with where it came from, for an administrator."""
    recorder = ListRecorder()
    found = one(await consigned(opinion=Opinion("openssl_disagrees"), recorder=recorder))
    assert found.kind is Kind.HELD
    assert found.reason == "self_check openssl_disagrees"
    assert found.message.octets() == PLAIN
    assert found.origin == Origin("submission", "lan", "127.0.0.1")
    (fact,) = recorder.facts("signed")
    assert (fact["done"], fact["reason"], fact["fault"]) == (False, "self_check", "openssl_disagrees")


async def test_a_full_disk_is_told_to_the_client() -> None:
    """No room while signing is 452 at the seam of the journey, not a message that waits for a key."""

    class Full(MemoryBodies):
        def builder(self, announced: int = 0) -> object:  # type: ignore[override]
            del announced
            raise StorageFullError("full")

    signer = Signer(
        hostname=HOSTNAME,
        hops=KnownHops(),  # type: ignore[arg-type]
        bodies=Full(),  # type: ignore[arg-type]
        clock=FixedClock(),
        check=SelfCheck(Opinion()),
        new_token=lambda: "token",
    )
    large = PLAIN + "Kính gửi quý cơ quan\r\n".encode() * 8000  # what is made of a small one stays in memory
    envelope = submission(large, CITIZEN, sender=LAN).arrival.envelope
    with pytest.raises(StorageFullError):
        await signer.sign(opened(large), BY_KEY, CredentialKey(lan()), envelope, ("out",))


async def test_every_held_message_says_where_it_came_from() -> None:
    """A release takes it through the journey again, and asks who may send what."""
    found = one(await consigned(whole="{hold: {reason: xem}}"))
    assert (found.kind, found.origin) == (Kind.HELD, Origin("submission", "lan", "127.0.0.1"))


@pytest.mark.parametrize(
    "whole", ["", "{pass: {add_header: {X-Office: Sở Y tế}, route: partner}}"], ids=["sign", "pass"]
)
async def test_carriage_goes_above_everything_and_by_the_named_hop(whole: str) -> None:
    """Fields are added last, outside of what is signed, encoded; the routes are not asked."""
    then = ", add_header: {X-Office: Sở Y tế}, route: partner"
    found = one(await consigned(PLAIN, "x@unroutable.example", then=then, whole=whole))
    assert found.hop == "partner"
    first = read_header(found.message).fields[0]
    assert first.raw == b"X-Office: =?utf-8?B?U+G7nyBZIHThur8=?=\r\n"
    if not whole:
        assert isinstance(judged(found.message).verdict, Verified)
    else:
        assert found.message.octets() == first.raw + PLAIN


async def test_an_unknown_hop_sends_nothing() -> None:
    """A rule that names a hop nobody has is an answer to come back later, never a guess."""

    class NoPartner(KnownHops):
        def by_name(self, name: str) -> KnownHop:
            if name == "partner":
                raise KeyError(name)
            return super().by_name(name)

    for whole in ("", "{pass: {route: partner}}"):
        reply = await consigned(then=", route: partner", whole=whole, hops=NoPartner())
        assert isinstance(reply, Reply)
        assert (reply.code, reply.status) == (451, "4.3.5")


async def test_what_is_passed_keeps_every_octet_but_blind_copies() -> None:
    """Bcc is given to nobody, whatever the rule; everything else stays as it came."""
    message = b"Bcc: an@nhau.example,\r\n kin@nhau.example\r\n" + signed(PLAIN, lan())
    assert one(await consigned(message, whole="pass")).message.octets() == signed(PLAIN, lan())
    assert one(await consigned(message)).message.octets() == signed(PLAIN, lan())


async def test_who_has_no_key_may_still_send_on_what_others_signed() -> None:
    """R06: what is left alone is left alone before a key is looked for; nobody is told that it went out unsigned."""
    recorder = ListRecorder()
    message = signed(PLAIN, lan())
    found = one(await consigned(message, keys=ListedKeys(), recorder=recorder))
    assert (found.kind, found.message.octets()) == (Kind.DELIVER, message)
    assert recorder.facts("signed") == [{"done": False, "reason": "already_clear_signed"}]


async def test_what_was_decided_is_remembered() -> None:
    """Facts and rulings of every message that policy decided about, for `policy replay`; nothing of its text."""
    memory = Notes()
    await consigned(memory=memory)
    (past,) = memory.past
    assert past.recipients == (CITIZEN,)
    assert [(each.indexes, each.rule) for each in past.rulings] == [((0,), "sign")]
    assert past.facts["author"] == LAN
    assert "giải quyết" not in str({**past.facts, "subject": ""})
    assert past.at == NOW.astimezone(dt.UTC)


async def test_the_event_says_how_it_was_signed() -> None:
    """Key, algorithm, form, and what was done before."""
    recorder = ListRecorder()
    found = one(await consigned(recorder=recorder))
    (fact,) = recorder.facts("signed")
    assert fact == {
        "done": True,
        "key": "lan",
        "algorithm": "pkcs1v15",
        "form": "clear",
        "encoding": "7bit",
        "because": "",
        "signing_time": True,
        "date": "",
        "footer": "",
        "headers_protected": False,
        "octets": len(found.message),
        "second_opinion": True,
        "reason": None,
    }
