"""Timestamps on signatures (RFC 3161): each single change makes one useless, and none ever makes a verdict worse."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.core.verdict import row_of
from gateway.demo.authority import Credential, make_key
from gateway.pki.family import Family, Use
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.trust import Trust
from gateway.smime.verify import judge, needs_of, open_message
from support.forger import SIGNING_CERTIFICATE_V2, Forger, attribute, sequence
from support.letters import LAN, NOW, clear_entity, mail, text_part
from support.stamping import (
    STAMPING,
    imprint,
    info,
    openssl_stamp,
    signer_of,
    stamp_over,
    stamped,
    stamper,
    time,
    token_of,
    tokens,
    value_of,
)
from support.tree import DAY, Node, root, usage

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.verdict import Judgment

PART = text_part("Chuyen 5 trieu dong.")
LATE = NOW + 30 * DAY
"""When the letter arrives: its signer's certificate has expired by then."""
TOP = root("Gốc thư")
CLOCK = root("Gốc thời gian")
STAMPER = stamper(CLOCK)
SIGNED_AT = NOW - dt.timedelta(minutes=1)
MAIL = (
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),
    usage("digital_signature"),
    x509.SubjectAlternativeName([x509.RFC822Name(LAN)]),
)


@lru_cache(maxsize=1)
def signer_node() -> Node:
    """Return a signer whose certificate ends tomorrow; RSA signs the same octets alike."""
    return TOP.issue("Hoàng Thị Lan", key=make_key("rsa2048"), extensions=MAIL, end=NOW + DAY)


def forger() -> Forger:
    return Forger(Credential(signer_node().key, signer_node().certificate.der, ()))


@lru_cache(maxsize=1)
def value() -> bytes:
    """Return the value of the letter's signature."""
    return value_of(forger().cms(PART))


def anchors(*uses: Use, crls: tuple[bytes, ...] = ()) -> TrustAnchors:
    """Return both roots, that of time in a family with these uses."""
    clock = Family("gio", "giờ", "time", frozenset({CLOCK.certificate.fingerprint}), frozenset(uses), frozenset())
    return TrustAnchors((TOP.certificate, CLOCK.certificate), (), crls, (clock,))


def with_tokens(
    *given: bytes,
    at: dt.datetime = LATE,
    trust: TrustAnchors | None = None,
    revocation: Revocation = Revocation.OFF,
) -> Judgment:
    """Return what is said of the letter with these tokens beside its signature."""
    message = Message.of(mail(clear_entity(PART, stamped(forger(), PART, *given) if given else forger().cms(PART))))
    return judge(open_message(message), Trust(trust or anchors(Use.TIMESTAMPS), (), (), at, revocation))


def good() -> bytes:
    """Return a token that is good: every test below changes one thing."""
    token = stamp_over(STAMPER, value(), SIGNED_AT)
    assert_good(with_tokens(token))
    return token


def assert_good(found: Judgment, at: dt.datetime = SIGNED_AT) -> None:
    assert row_of(found.verdict).name == "verified", found
    assert found.verdict.signers[0].timestamped_at == at.replace(microsecond=0)
    assert found.noted("timestamped")
    assert not found.noted("timestamp_unusable")


def assert_useless(found: Judgment) -> None:
    """The letter is as good as it would be without the token."""
    assert (row_of(found.verdict).name, found.verdict.reason) == ("not_trusted", "expired"), found
    assert found.verdict.signers[0].timestamped_at is None
    assert found.noted("timestamp_unusable")


def test_expired_certificate_is_good_with_a_timestamp_from_its_lifetime() -> None:
    """Without one it is expired, with a good one verified; one from after its end excuses nothing."""
    assert with_tokens().verdict.reason == "expired"
    assert not with_tokens().noted("timestamp_unusable")
    good()
    assert_useless(with_tokens(stamp_over(STAMPER, value(), NOW + 2 * DAY)))
    assert_useless(with_tokens(stamp_over(STAMPER, value(), NOW - 31 * DAY)))


def test_openssl_tokens(tmp_path: Path) -> None:
    """What OpenSSL's authority makes is good, with each digest that is strong."""
    here = root("Gốc thời gian", start=NOW - 900 * DAY)
    now = dt.datetime.now(dt.UTC)
    stamping = stamper(here, key=make_key("rsa2048"), start=now - DAY, end=now + 900 * DAY)
    lately = TOP.issue("Lan", key=make_key("rsa2048"), extensions=MAIL, start=now - DAY, end=now + DAY)
    made = Forger(Credential(lately.key, lately.certificate.der, ()))
    for digest in ("sha256", "sha512"):
        token = openssl_stamp(stamping, value_of(made.cms(PART)), tmp_path, digest=digest)
        message = Message.of(mail(clear_entity(PART, stamped(made, PART, token))))
        trust = Trust(TrustAnchors((TOP.certificate, here.certificate), (), ()), (), (), now + 9 * DAY, Revocation.OFF)
        found = judge(open_message(message), trust)
        assert row_of(found.verdict).name == "verified"
        at = found.verdict.signers[0].timestamped_at
        assert at is not None
        assert abs(at - now) < dt.timedelta(minutes=2)


def changed() -> dict[str, bytes]:
    """Return tokens with one thing wrong with each."""
    moment = time(SIGNED_AT)
    usual = info(imprint(value()), moment)
    name = signer_of(STAMPER)
    other = CLOCK.issue("Khác", extensions=STAMPING, critical=True)
    mailer = stamper(CLOCK, extensions=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),))
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION])
    broken = stamp_over(STAMPER, value(), SIGNED_AT)
    return {
        "another signature": token_of(STAMPER, info(imprint(value() + b"\0"), moment)),
        "a digest too short": token_of(STAMPER, info(imprint(value(), size=31), moment)),
        "a digest too long": token_of(STAMPER, info(imprint(value(), size=33), moment)),
        "SHA-1 imprint": token_of(STAMPER, info(imprint(value(), "sha1"), moment)),
        "mail usage": stamp_over(mailer, value(), SIGNED_AT),
        "two usages": stamp_over(stamper(CLOCK, extensions=(both, STAMPING[1])), value(), SIGNED_AT),
        "usage not critical": stamp_over(stamper(CLOCK, critical=False), value(), SIGNED_AT),
        "no usage": stamp_over(stamper(CLOCK, extensions=(STAMPING[1],)), value(), SIGNED_AT),
        "unknown authority": stamp_over(stamper(root("Gốc thời gian")), value(), SIGNED_AT),
        "expired authority": stamp_over(stamper(CLOCK, end=LATE - DAY), value(), SIGNED_AT),
        "authority younger than its word": stamp_over(stamper(CLOCK, start=NOW), value(), SIGNED_AT),
        "future": stamp_over(STAMPER, value(), LATE + dt.timedelta(seconds=1)),
        "two signers": tokens(STAMPER, usual, infos=[name.info(usual, "1.2.840.113549.1.9.16.1.4")] * 2),
        "no signers": tokens(STAMPER, usual, infos=[]),
        "broken signature": broken[:-1] + bytes([broken[-1] ^ 1]),
        "changed time": broken.replace(moment, time(SIGNED_AT - DAY)),
        "names nobody": tokens(STAMPER, usual, infos=[name.but(more=()).info(usual, "1.2.840.113549.1.9.16.1.4")]),
        "names another": token_of(STAMPER, usual, named=other.certificate.der),
        "names none": tokens(
            STAMPER,
            usual,
            infos=[
                name.but(more=[attribute(SIGNING_CERTIFICATE_V2, sequence(sequence()))]).info(
                    usual, "1.2.840.113549.1.9.16.1.4"
                )
            ],
        ),
        "data": token_of(STAMPER, usual, kind="1.2.840.113549.1.7.1"),
        "version 2": token_of(STAMPER, info(imprint(value()), moment, version=b"\x02")),
        "local time": token_of(STAMPER, info(imprint(value()), tlv(0x18, b"20261124012900+0700"))),
        "no such day": token_of(STAMPER, info(imprint(value()), tlv(0x18, b"20261324012900Z"))),
        "vague": token_of(STAMPER, info(imprint(value()), moment, sequence(tlv(0x02, b"\x3d")))),
        "negative accuracy": token_of(STAMPER, info(imprint(value()), moment, sequence(tlv(0x02, b"\xff")))),
        "critical extension": token_of(
            STAMPER,
            info(
                imprint(value()),
                moment,
                tlv(0xA1, sequence(tlv(0x06, b"\x2a\x03"), tlv(0x01, b"\xff"), tlv(0x04, b""))),
            ),
        ),
        "accuracy twice": token_of(STAMPER, info(imprint(value()), moment, *[sequence(tlv(0x02, b"\x01"))] * 2)),
        "garbage": b"\x04\x03abc",
        "huge": token_of(STAMPER, info(imprint(value()), moment, tlv(0xA0, tlv(0x04, bytes(9000))))),
    }


@pytest.mark.parametrize("kind", sorted(changed()))
def test_one_change_makes_a_timestamp_useless(kind: str) -> None:
    """Imprint, usage, authority, time, signers, signature, shape: each must be right, or nobody gains by it."""
    good()
    assert_useless(with_tokens(changed()[kind]))


def test_optional_fields_are_read() -> None:
    """Accuracy, ordering, nonce, name of the authority, extensions that are not critical, a fraction of a second."""
    rest = (
        sequence(tlv(0x02, b"\x01"), tlv(0x80, b"\x0a"), tlv(0x81, b"\x0a")),
        tlv(0x01, b"\xff"),
        tlv(0x02, bytes(8)),
        tlv(0xA0, tlv(0xA4, sequence())),
        tlv(0xA1, sequence(tlv(0x06, b"\x2a\x03"), tlv(0x04, b""))),
    )
    moment = tlv(0x18, f"{SIGNED_AT:%Y%m%d%H%M%S}.25Z".encode())
    found = with_tokens(token_of(STAMPER, info(imprint(value()), moment, *rest)))
    assert found.verdict.signers[0].timestamped_at == SIGNED_AT + dt.timedelta(milliseconds=250)


def test_several_tokens_are_none() -> None:
    """Each could say something else: of two nobody chooses, whichever comes first."""
    assert_useless(with_tokens(good(), good()))
    assert_useless(with_tokens(good(), stamp_over(STAMPER, value(), SIGNED_AT - DAY)))
    assert_useless(with_tokens(b"\x05\x00", good()))


def test_family_must_be_believed_about_time() -> None:
    """An authority for mail says nothing about time, and one for time nothing about mail."""
    token = good()
    assert_useless(with_tokens(token, trust=anchors(Use.MAIL, Use.OWN_KEYS)))
    assert_good(with_tokens(token, trust=anchors(Use.TIMESTAMPS, Use.MAIL)))
    liar = CLOCK.issue("Lan", key=make_key("rsa2048"), extensions=MAIL, end=NOW + 99 * DAY)
    made = Forger(Credential(liar.key, liar.certificate.der, ()))
    message = Message.of(mail(clear_entity(PART, made.cms(PART))))
    found = judge(open_message(message), Trust(anchors(Use.TIMESTAMPS), (), (), NOW, Revocation.OFF))
    assert (row_of(found.verdict).name, found.verdict.reason) == ("not_trusted", "family_use")


def test_timestamp_never_changes_a_verdict_but_expired() -> None:
    """Where the certificate is in date a token is a note; where the signature is broken nobody looks at it."""
    found = with_tokens(good(), at=NOW)
    assert_good(found)
    older = with_tokens(stamp_over(STAMPER, value(), NOW - 31 * DAY), at=NOW)  # than the signer's certificate
    assert (row_of(older.verdict).name, older.noted("timestamp_unusable")) == ("verified", True)
    assert older.verdict.signers[0].timestamped_at is None
    assert with_tokens(changed()["garbage"], at=NOW).noted("timestamp_unusable")
    assert row_of(with_tokens(changed()["garbage"], at=NOW).verdict).name == "verified"
    message = mail(clear_entity(PART, stamped(forger(), PART, good()))).replace(b"5 trieu", b"9 trieu")
    broken = judge(open_message(Message.of(message)), Trust(anchors(Use.TIMESTAMPS), (), (), LATE, Revocation.OFF))
    assert row_of(broken.verdict).name == "invalid"
    assert not broken.noted("timestamped")
    assert not broken.noted("timestamp_unusable")


def test_timestamp_excuses_no_revocation() -> None:
    """Whoever was revoked stays so, whenever it happened: today's list is asked about the past as well."""
    token = good()
    clear = (CLOCK.revocation_list(start=LATE - DAY, end=LATE + DAY), TOP.revocation_list())
    hard = {"revocation": Revocation.HARD}
    assert_good(with_tokens(token, trust=anchors(Use.TIMESTAMPS, crls=clear), **hard))  # type: ignore[arg-type]
    later = TOP.revocation_list(signer_node().certificate, start=LATE - DAY, end=LATE + DAY)
    for mode in (Revocation.HARD, Revocation.SOFT):
        assert_useless(with_tokens(token, trust=anchors(Use.TIMESTAMPS, crls=(*clear, later)), revocation=mode))
    assert_useless(with_tokens(token, trust=anchors(Use.TIMESTAMPS, crls=clear[:1]), **hard))  # type: ignore[arg-type]
    today = TOP.revocation_list(start=LATE - DAY, end=LATE + DAY)
    assert_useless(with_tokens(token, trust=anchors(Use.TIMESTAMPS, crls=(clear[0], today)), **hard))  # type: ignore[arg-type]


def test_authority_must_not_be_revoked() -> None:
    """Its own revocation data is asked for by the same rules, at the time of receipt."""
    token, own = good(), TOP.revocation_list()
    assert_useless(with_tokens(token, trust=anchors(Use.TIMESTAMPS, crls=(own,)), revocation=Revocation.HARD))
    revoked = CLOCK.revocation_list(STAMPER.certificate, start=LATE - DAY, end=LATE + DAY)
    for mode in (Revocation.HARD, Revocation.SOFT):
        assert_useless(with_tokens(token, trust=anchors(Use.TIMESTAMPS, crls=(own, revoked)), revocation=mode))


def test_what_is_missing_is_named() -> None:
    """What could be fetched about the authority, and about a signer expired since; for a useless token nothing."""
    place = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier("http://gio.example/a.crl")], None, None, None)]
    )
    signer = TOP.issue("Lan", key=make_key("rsa2048"), extensions=(*MAIL, place), end=NOW + DAY)
    made = Forger(Credential(signer.key, signer.certificate.der, ()))
    stamping = stamper(CLOCK, extensions=(*STAMPING, place))
    mailer = stamper(CLOCK, extensions=(*MAIL, place))

    def asked(*given: bytes) -> list[bytes]:
        cms = stamped(made, PART, *given) if given else made.cms(PART)
        trust = Trust(anchors(Use.TIMESTAMPS), (), (), LATE, Revocation.HARD)
        return [
            each.certificate
            for each in needs_of(open_message(Message.of(mail(clear_entity(PART, cms)))), trust).statuses
        ]

    good_one = stamp_over(stamping, value_of(made.cms(PART)), SIGNED_AT)
    assert asked(good_one) == [stamping.certificate.der, signer.certificate.der]
    assert asked() == []
    assert stamping.certificate.der not in asked(stamp_over(stamping, b"else", SIGNED_AT))
    assert mailer.certificate.der not in asked(stamp_over(mailer, value_of(made.cms(PART)), SIGNED_AT))
