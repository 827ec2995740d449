"""SignedData read with suspicion (RFC 5652 5 and 11, RFC 5035, RFC 4055, RFC 8419, RFC 9882): a code for every lie."""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import lru_cache

import pytest

from gateway.cms.asn1 import tlv
from gateway.cms.verify import CmsError, CmsLimits, SignedData, open_signed
from gateway.pki.certificate import Certificate
from support.forger import (
    CONTENT,
    CONTENT_TYPE,
    DIGESTS,
    MESSAGE_DIGEST,
    RSA,
    SHA256_RSA,
    SIGNING_CERTIFICATE,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    Forger,
    algorithm,
    attribute,
    fault,
    faults,
    issuer_and_serial,
    oid,
    raw,
    sequence,
    signed_data,
)
from support.letters import LAN, NOW, authority, binh, detached, lan
from support.splitter import flipped

DIGEST = hashlib.sha256(CONTENT).digest()
HONEST = [attribute(CONTENT_TYPE, oid("1.2.840.113549.1.7.1")), attribute(MESSAGE_DIGEST, tlv(0x04, DIGEST))]


@lru_cache(maxsize=1)
def forger() -> Forger:
    return Forger(lan())


# --- what honest programs make ---


def test_honest_signers_have_no_fault() -> None:
    """The forger's usual message, and ours, are good: every test below changes one thing."""
    assert fault(forger()) is None
    assert fault(Forger(lan("p256"))) is None
    assert fault(Forger(lan("p384")).but(digest="sha384", signature_algorithm=algorithm("1.2.840.10045.4.3.3"))) is None
    assert faults(detached(CONTENT, lan())) == [None]
    assert fault(forger().but(signature_algorithm=algorithm(SHA256_RSA, b"\x05\x00"))) is None
    assert fault(forger().but(bare=True)) is None
    assert fault(forger().but(unsigned=tlv(0xA1, attribute("1.2.3", b"\x05\x00")))) is None


def test_attributes_in_the_senders_order() -> None:
    """RFC 5652 5.4 wants DER; those who sign their unsorted SET as they send it are read by everybody."""
    given = sorted(HONEST, reverse=True)

    def info(covered: bytes) -> bytes:
        return signed_data(
            [
                sequence(
                    tlv(0x02, b"\x01"),
                    issuer_and_serial(lan().certificate),
                    algorithm(DIGESTS["sha256"]),
                    tlv(0xA0, *given),
                    algorithm(RSA),
                    tlv(0x04, raw(lan().key, covered)),
                )
            ],
            certificates=[lan().certificate],
        )

    assert faults(info(tlv(0x31, *given))) == [None]
    assert faults(info(tlv(0x31, *sorted(given)))) == [None]
    assert faults(info(tlv(0xA0, *given))) == ["bad_signature"]


def test_ber_is_read_like_der() -> None:
    """Indefinite lengths around, and content in pieces, change nothing that is signed."""
    der = open_signed(forger().cms(CONTENT, content=tlv(0x04, CONTENT)))
    pieces = b"\x24\x80" + b"".join(tlv(0x04, CONTENT[index : index + 7]) for index in range(0, 49, 7)) + b"\0\0"
    info = forger().info(CONTENT)
    ber = (
        b"\x30\x80" + oid("1.2.840.113549.1.7.2") + b"\xa0\x80\x30\x80\x02\x01\x01\x31\x80"
        + algorithm(DIGESTS["sha256"]) + b"\0\0\x30\x80" + oid("1.2.840.113549.1.7.1") + b"\xa0\x80" + pieces
        + b"\0\0\0\0\xa0\x80" + lan().certificate + b"\0\0\x31\x80" + info + b"\0\0" + b"\0\0" * 3
    )  # fmt: skip
    read = open_signed(ber)
    assert read.content == der.content == CONTENT
    assert read.signers == der.signers
    assert faults(ber) == [None]


# --- the container ---


def test_parts_of_signed_data() -> None:
    """Content, type, certificates, CRLs and signers are given as they stand; what cannot be read is counted."""
    lists = authority().revocation_lists()
    data = open_signed(
        signed_data(
            [forger().info(CONTENT)],
            certificates=(lan().certificate, tlv(0x30), tlv(0xA1, b"\x05\x00")),
            content=tlv(0x04, CONTENT),
            crls=(*lists, tlv(0xA1)),
        )
    )
    assert isinstance(data, SignedData)
    assert (data.content, data.content_type) == (CONTENT, "1.2.840.113549.1.7.1")
    assert [each.der for each in data.certificates] == [lan().certificate]
    assert data.unreadable_certificates == 2
    assert data.crls == lists
    assert len(data.signers) == 1
    assert open_signed(signed_data([])).signers == ()
    assert open_signed(signed_data([], content=tlv(0x04))).content == b""


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "malformed_cms"),
        (b"garbage", "malformed_cms"),
        (signed_data([]) + b"\0", "trailing_octets"),
        (sequence(oid("1.2.840.113549.1.7.3"), tlv(0xA0, sequence())), "encrypted"),
        (sequence(oid("1.2.840.113549.1.7.6"), tlv(0xA0, sequence())), "encrypted"),
        (sequence(oid("1.2.840.113549.1.9.16.1.23"), tlv(0xA0, sequence())), "encrypted"),
        (sequence(oid("1.2.840.113549.1.9.16.1.9"), tlv(0xA0, sequence())), "compressed"),
        (sequence(oid("1.2.840.113549.1.7.1"), tlv(0xA0, tlv(0x04, b"x"))), "not_signed_data"),
        (sequence(oid("1.2.840.113549.1.7.2")), "malformed_cms"),
        (sequence(oid("1.2.840.113549.1.7.2"), tlv(0xA0, sequence(), sequence())), "malformed_cms"),
        (signed_data([], content=sequence(b"")), "malformed_cms"),
        (signed_data([], content=tlv(0x04, b"a") + tlv(0x04, b"b")), "malformed_cms"),
        (signed_data([b"\x05\x00"]), "malformed_cms"),
        (signed_data([sequence()]), "malformed_cms"),
        (lan().certificate, "malformed_cms"),
    ],
)
def test_what_is_no_signed_data(octets: bytes, reason: str) -> None:
    """What else it is, or that it is broken, is told by a stable code."""
    with pytest.raises(CmsError) as caught:
        open_signed(octets)
    assert caught.value.reason == reason


def test_limits() -> None:
    """Octets, signers, certificates, CRLs, attributes and a signer's size are bounded; the rest is not skipped."""
    limits = CmsLimits(octets=4000, certificates=2, signers=1, crls=1)
    info = forger().info(CONTENT)
    assert open_signed(signed_data([info], certificates=[lan().certificate] * 2), limits=limits)
    for cms, reason in (
        (signed_data([], content=tlv(0x04, bytes(4000))), "cms_too_large"),
        (signed_data([info] * 2), "too_many_signers"),
        (signed_data([info], certificates=[tlv(0x30)] * 3), "too_many_certificates"),
        (signed_data([info], crls=[tlv(0x30)] * 2), "too_many_crls"),
    ):
        with pytest.raises(CmsError, match=reason):
            open_signed(cms, limits=limits)
    with pytest.raises(CmsError, match="too_many_attributes"):
        open_signed(forger().but(more=[attribute(f"1.2.{each}", b"\x05\x00") for each in range(40)]).cms(CONTENT))
    with pytest.raises(CmsError, match="signer_too_large"):
        open_signed(forger().but(more=[attribute("1.2.3", tlv(0x04, bytes(70_000)))]).cms(CONTENT))


def test_huge_arc_is_refused_before_it_is_parsed() -> None:
    """One object identifier of 200 KB takes a general parser seconds."""
    huge = tlv(0x06, b"\x2a" + b"\xff" * 200_000 + b"\x01")
    for cms in (
        sequence(huge, tlv(0xA0, sequence())),
        forger().but(more=[sequence(huge, tlv(0x31, b"\x05\x00"))]).cms(CONTENT),
        forger().but(signature_algorithm=sequence(huge)).cms(CONTENT),
    ):
        with pytest.raises(CmsError, match="oversized_value"):
            open_signed(cms)


# --- the content and its digest ---


def test_other_content() -> None:
    """The digest is that of the content at hand."""
    assert fault(forger()) is None
    assert faults(forger().cms(CONTENT), content=CONTENT + b"x") == ["digest_mismatch"]
    assert faults(forger().but(bare=True).cms(CONTENT), content=CONTENT + b"x") == ["bad_signature"]


@pytest.mark.parametrize("cut", [0, 1, 31])
def test_cut_digest(cut: int) -> None:
    """A messageDigest that is only the beginning of the digest fits nothing."""
    short = [HONEST[0], attribute(MESSAGE_DIGEST, tlv(0x04, DIGEST[:cut]))]
    assert fault(forger().but(attributes=short)) == "digest_mismatch"


# --- attributes ---


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ([], "attributes_missing"),
        (HONEST[:1], "attributes_missing"),
        (HONEST[1:], "attributes_missing"),
        ([*HONEST, HONEST[0]], "duplicate_attribute"),
        ([*HONEST, HONEST[1]], "duplicate_attribute"),
        ([*HONEST, attribute(MESSAGE_DIGEST, tlv(0x04, b"x" * 32))], "duplicate_attribute"),
        ([HONEST[0], attribute(MESSAGE_DIGEST, tlv(0x04, DIGEST), tlv(0x04, b"x" * 32))], "duplicate_attribute"),
        ([HONEST[0], attribute(MESSAGE_DIGEST)], "attributes_missing"),
        ([HONEST[1], attribute(CONTENT_TYPE)], "attributes_missing"),
        ([HONEST[1], attribute(CONTENT_TYPE, oid("1.2.840.113549.1.9.16.1.4"))], "content_type_mismatch"),
        ([*HONEST, attribute("1.2.3", b"\x05\x00"), attribute("1.2.3", b"\x05\x00")], "duplicate_attribute"),
        ([*HONEST, attribute(SIGNING_TIME, tlv(0x18, b"00001124013000Z"))], "malformed_signing_time"),
        ([*HONEST, attribute(SIGNING_CERTIFICATE_V2, sequence(sequence()))], "malformed_signing_certificate"),
    ],
)
def test_attributes_are_counted(attributes: list[bytes], code: str) -> None:
    """RFC 5652 11: contentType and messageDigest exactly once, with one value; two of anything are two readings."""
    assert fault(forger().but(attributes=attributes)) == code


def test_signer_without_attributes_only_for_data() -> None:
    """RFC 5652 5.3: attributes must be there for any content type but data."""
    token = "1.2.840.113549.1.9.16.1.4"
    info = forger().but(bare=True).info(CONTENT, token)
    assert faults(signed_data([info], certificates=[lan().certificate], content_type=token)) == ["attributes_missing"]
    info = forger().info(CONTENT, token)
    assert faults(signed_data([info], certificates=[lan().certificate], content_type=token)) == [None]
    assert faults(signed_data([info], certificates=[lan().certificate])) == ["content_type_mismatch"]


def test_attributes_cannot_be_stripped_or_added() -> None:
    """A signature over attributes is none over the content, and the other way round."""
    info = forger().info(CONTENT)
    made = raw(lan().key, tlv(0x31, *sorted(HONEST)))
    assert fault(forger().but(bare=True, sign=lambda _: made)) == "bad_signature"
    made = raw(lan().key, CONTENT)
    assert fault(forger().but(sign=lambda _: made)) == "bad_signature"
    assert faults(signed_data([info], certificates=[lan().certificate])) == [None]


def test_claimed_signing_time() -> None:
    """UTCTime and GeneralizedTime are read as UTC; nothing is believed of it."""
    for value, year in ((tlv(0x17, b"261124013000Z"), 2026), (tlv(0x18, b"20511124013000Z"), 2051)):
        made = forger().but(more=[attribute(SIGNING_TIME, value)])
        (signer,) = open_signed(made.cms(CONTENT)).signers
        assert signer.claimed_signing_time == dt.datetime(year, 11, 24, 1, 30, tzinfo=dt.UTC)
        assert fault(made) is None
    assert open_signed(forger().cms(CONTENT)).signers[0].claimed_signing_time is None


def named(certificate: bytes, digest: str = "sha256", *, version: int = 2) -> bytes:
    """Return signingCertificate in one of its versions."""
    value = tlv(0x04, hashlib.new(digest, certificate, usedforsecurity=False).digest())
    if version == 1:
        return attribute(SIGNING_CERTIFICATE, sequence(sequence(sequence(value))))
    kind = b"" if digest == "sha256" else algorithm(DIGESTS[digest])
    return attribute(SIGNING_CERTIFICATE_V2, sequence(sequence(sequence(kind, value))))


def test_signing_certificate_names_the_signers() -> None:
    """RFC 5035 4: a certificate of the same key put in place of the signer's is found out."""
    own, other = lan().certificate, binh().certificate
    for good in (named(own), named(own, "sha384"), named(own, "sha512"), named(own, "sha1", version=1)):
        assert fault(forger().but(more=[good])) is None
    for bad in (named(other), named(other, "sha512"), named(other, "sha1", version=1)):
        assert fault(forger().but(more=[bad])) == "certificate_substituted"
    assert fault(forger().but(more=[named(own), named(other, "sha1", version=1)])) == "certificate_substituted"
    unknown = sequence(sequence(sequence(algorithm("1.2.3"), tlv(0x04, hashlib.sha256(own).digest()))))
    assert fault(forger().but(more=[attribute(SIGNING_CERTIFICATE_V2, unknown)])) == "certificate_substituted"


def test_certificate_reissued_for_the_same_key_is_substituted() -> None:
    """The attack itself: same key, same issuer and serial cannot be had, but the key identifier can."""
    again = authority().issue("Kẻ Khác", "ke.khac@soyte.songlam.example", key=lan().key)
    key_id = Certificate.load(lan().certificate).subject_key_id
    assert key_id is not None
    made = forger().but(sid=tlv(0x80, key_id), more=[named(lan().certificate)])
    assert faults(signed_data([made.info(CONTENT)], certificates=[lan().certificate])) == [None]
    assert faults(signed_data([made.info(CONTENT)], certificates=[again.certificate])) == ["certificate_substituted"]


# --- who signed ---


def test_signer_identifiers() -> None:
    """Issuer and serial number, or the key identifier, name one certificate; anything else names none."""
    own = Certificate.load(lan().certificate)
    others = tuple(Certificate.load(each) for each in (binh().certificate, *lan().chain))
    (signer,) = open_signed(forger().cms(CONTENT)).signers
    assert signer.certificate((*others, own)) == own
    assert signer.certificate(others) is None
    assert own.subject_key_id is not None
    for sid, expected in (
        (tlv(0x80, own.subject_key_id), own),
        (tlv(0x80, own.subject_key_id[:-1]), None),
        (tlv(0x80, flipped(own.subject_key_id, 0)), None),
        (tlv(0x80), None),
        (tlv(0x80, bytes(200)), None),
    ):
        (signer,) = open_signed(forger().but(sid=sid).cms(CONTENT)).signers
        assert signer.certificate((*others, own)) == expected


def test_a_key_identifier_of_two_certificates() -> None:
    """A certificate that was renewed for the same key came along with the old one: the one that lasts is meant."""
    new = Certificate.load(lan().certificate)
    before = authority().issue("Hoàng Thị Lan", LAN, key=lan().key, not_after=NOW - dt.timedelta(days=1))
    old = Certificate.load(before.certificate)
    assert new.subject_key_id is not None
    assert new.subject_key_id == old.subject_key_id
    (signer,) = open_signed(forger().but(sid=tlv(0x80, new.subject_key_id)).cms(CONTENT)).signers
    assert signer.certificate((old, new)) == signer.certificate((new, old)) == new


def test_all_signers_are_seen() -> None:
    """An appended signer never hides, and never heals, another one."""
    good, bad = forger().info(CONTENT), Forger(binh()).info(b"else")
    certificates = [lan().certificate, binh().certificate]
    assert faults(signed_data([good, bad], certificates=certificates)) == [None, "digest_mismatch"]
    assert faults(signed_data([bad, good], certificates=certificates)) == ["digest_mismatch", None]
    assert faults(signed_data([good, Forger(binh()).info(CONTENT)], certificates=certificates)) == [None, None]


def test_who_is_to_blame_first() -> None:
    """A signer's own lie comes before the content, the content before the value, strength last."""
    lying = forger().but(attributes=[*HONEST, HONEST[0]], sign=lambda _: b"")
    assert faults(lying.cms(CONTENT), content=b"else") == ["duplicate_attribute"]
    assert faults(forger().but(sign=lambda _: b"").cms(CONTENT), content=b"else") == ["digest_mismatch"]
    assert fault(forger().but(digest="sha1", sign=lambda _: b"")) == "bad_signature"
