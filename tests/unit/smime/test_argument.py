"""The argument as a list: every condition can be quoted, is broken by a smallest change, and is told step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.core.verdict import Broken, Encrypted, Judgment, SignatureState, Unsigned, row_of
from gateway.pki.certificate import Certificate
from gateway.pki.family import ANY_FAMILY, Family
from gateway.pki.path import PathAnswer, Purpose, Revocation, TrustAnchors, validate
from gateway.smime.argument import ARGUMENT, Held, steps
from gateway.smime.trust import Trust
from gateway.smime.verify import judge, open_message, unreadable
from support.forger import Forger, signed_data
from support.letters import (
    ASCII,
    HEAD,
    LAN,
    NOW,
    authority,
    binh,
    clear,
    clear_entity,
    detached,
    judged,
    lan,
    mail,
    multipart,
    opaque_entity,
    text_part,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PART = text_part("Chuyen 5 trieu dong.")
EVIL = text_part("Chuyen 500 trieu dong.")
FIELDS = HEAD.rstrip(b"\r\n")
PROTECTED = FIELDS + b'\r\nContent-Type: text/plain; hp="clear"\r\n\r\nChao chi.\r\n'
SEALED = opaque_entity(bytes.fromhex("308006092a864886f70d010703") + bytes(60), smime_type="enveloped-data")
EXTERNAL = b"Content-Type: message/external-body; access-type=URL\r\n\r\nContent-Type: text/html\r\n\r\n"


def good() -> bytes:
    """Return a verified message with everything that can be broken in it."""
    message = clear(PROTECTED, lan())
    found = judged(message)
    assert row_of(found.verdict).name == "verified"
    assert found.broken == ()
    return message


def with_cms(cms: bytes) -> bytes:
    return mail(clear_entity(PROTECTED, cms))


BREAKS: dict[int, Callable[[bytes], bytes]] = {
    1: lambda message: message.replace(b"MIME-Version", b"X: a\nb\r\nMIME-Version", 1),
    2: lambda _: mail(multipart("mixed", clear_entity(PROTECTED, detached(PROTECTED, lan())), EVIL)),
    3: lambda message: message.replace(b"--outer--", b"--outer\r\n" + EVIL + b"\r\n--outer--"),
    4: lambda message: message + b"Chan thu.\r\n",
    5: lambda _: clear(multipart("mixed", PART, EXTERNAL), lan()),
    6: lambda _: clear(SEALED, lan()),
    7: lambda message: message.replace(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: x-uu"),
    8: lambda _: with_cms(Forger(lan()).cms(PROTECTED, content=tlv(0x04, PROTECTED))),
    9: lambda _: with_cms(signed_data([], certificates=[lan().certificate, *lan().chain])),
    10: lambda _: with_cms(signed_data([Forger(lan()).info(PROTECTED)])),
    11: lambda message: message.replace(b"Chao chi.", b"Chao anh."),
    13: lambda message: b"From: sep@songlam.example\r\n" + message,
    14: lambda _: clear(PROTECTED, binh()),
    15: lambda _: clear(PROTECTED.replace(LAN.encode(), b"sep@songlam.example", 1), lan()),
    16: lambda message: b"Reply-To: ke.trom@hopthu.example\r\n" + message,
}
"""Condition -> the smallest change to a verified message that breaks it; 12 and 17 are broken by the trust instead."""


@pytest.mark.parametrize("number", sorted(BREAKS))
def test_smallest_change(number: int) -> None:
    """One change breaks the condition it is meant to, is never green, and is said to be broken in the argument."""
    message = good()
    changed = BREAKS[number](message)
    assert changed != message
    found = judged(changed)
    assert number in {each.condition for each in found.broken}
    assert row_of(found.verdict).name != "verified"
    (step,) = (each for each in steps(found) if each.condition.number == number)
    assert step.held is Held.BROKEN
    assert step.reasons


def test_path_is_asked_for() -> None:
    """Condition 12: without data under the strict setting, and without the anchor, the same message is not verified."""
    message = good()
    for found in (
        judged(message, revocation=Revocation.HARD),
        judged(message, trust=TrustAnchors((), (), ())),
    ):
        assert [each.condition for each in found.broken] == [12]
        assert steps(found)[16].held is Held.NOT_ASKED


def through(answer: PathAnswer, message: bytes) -> Judgment:
    """Judge with a given answer about the path."""
    anchors = TrustAnchors((Certificate.load(authority().root),), (), ())
    trust = Trust(anchors, (), (), NOW, Revocation.OFF, path_of=lambda *_: answer)
    return judge(open_message(Message.of(message)), trust)


def answer_of(own: Family, *notes: str) -> PathAnswer:
    """Return the answer for Lan's certificate, as a family gives it."""
    root, leaf = Certificate.load(authority().root), Certificate.load(lan().certificate)
    plain = validate(
        leaf,
        trust=TrustAnchors((root,), (), ()),
        untrusted=tuple(Certificate.load(each) for each in lan().chain),
        crls=(),
        at=NOW,
        purpose=Purpose.EMAIL,
        revocation=Revocation.OFF,
    )
    return replace(plain, family=own, notes=notes)


def test_family_speaks_for_its_domains_only() -> None:
    """Condition 17: the author's domain must be one of those that the path's family of anchors may speak for."""
    own = replace(ANY_FAMILY, name="nha-nuoc", domains=("*.songlam.example",))
    found = through(answer_of(own, "no_extended_key_usage"), good())
    assert row_of(found.verdict).name == "verified"
    assert [each.family for each in found.verdict.signers] == ["nha-nuoc"]
    assert found.noted("no_extended_key_usage")
    for domains in (("songlam.example",), ("khac.example",), ("*.soyte.songlam.example",)):
        other = through(answer_of(replace(own, domains=domains)), good())
        assert (row_of(other.verdict).name, other.verdict.reason) == ("not_trusted", "family_domain")
        assert other.broken == (Broken(17, "family_domain"),)


def test_without_a_good_path_there_is_no_family() -> None:
    """A family's name is never shown for a path that did not hold."""
    own = replace(ANY_FAMILY, name="nha-nuoc")
    revoked = replace(answer_of(own), state=judged(BREAKS[10](good())).chain, reason="no_revocation_data")
    assert [each.family for each in through(revoked, good()).verdict.signers] == [None]


def test_every_step_of_a_verified_message_holds() -> None:
    """Verified is: every condition holds, none was left out."""
    found = steps(judged(good()))
    assert [each.held for each in found] == [Held.HOLDS] * len(ARGUMENT)
    assert [each.condition.number for each in found] == list(range(1, len(ARGUMENT) + 1))


@pytest.mark.parametrize(
    ("message", "unasked"),
    [
        (ASCII, range(3, 18)),
        (mail(SEALED), range(3, 18)),
        (BREAKS[3](good()), (16,)),
        (BREAKS[7](good()), (5, 6, *range(8, 18))),
        (BREAKS[9](good()), range(10, 18)),
        (BREAKS[10](good()), (11, 12, 14, 16, 17)),
        (BREAKS[11](good()), (16,)),
        (BREAKS[13](good()), (14, 15, 16, 17)),
    ],
)
def test_what_cannot_be_asked_does_not_hold(message: bytes, unasked: range | tuple[int, ...]) -> None:
    """A condition about something that is not there is told as not asked, never as held."""
    found = steps(judged(message))
    broken = {each.condition.number for each in found if each.held is Held.BROKEN}
    assert {each.condition.number for each in found if each.held is Held.NOT_ASKED} == set(unasked) - broken


def test_unreadable_message_leaves_everything_unasked() -> None:
    """Over a limit nothing is known but that: whoever reads the argument sees no condition held."""
    found = steps(unreadable(Message.of(ASCII), "judge_died"))
    assert [each.held for each in found] == [Held.BROKEN] + [Held.NOT_ASKED] * (len(ARGUMENT) - 1)


def test_what_is_covered() -> None:
    """All, a part, or nothing: a broken signature covers nothing, and so does one that is not there."""
    message = good()
    assert judged(message).covers == "all"
    assert judged(BREAKS[4](message)).covers == "part"
    assert judged(BREAKS[11](message)).covers == "none"
    assert judged(ASCII).covers == "none"
    assert isinstance(judged(ASCII).verdict, Unsigned)
    assert isinstance(judged(BREAKS[6](message)).verdict, Encrypted)
    assert judged(BREAKS[6](message)).signature is SignatureState.VALID


def test_every_condition_is_told_in_both_languages() -> None:
    """Whoever reads the argument reads all of it: what must hold and why, Vietnamese with its diacritics."""
    for each in ARGUMENT:
        assert all((each.must, each.because, each.must_vi, each.because_vi))
        assert not each.must_vi.isascii()
        assert each.must.isascii() or "ü" in each.because
