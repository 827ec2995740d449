"""OCSP answers (RFC 6960): each condition broken alone, everything else good, and none of them is believed."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import core as asn1_core
from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.demo.authority import shared_key
from gateway.pki.ocsp import (
    MAX_CERTIFICATES,
    MAX_OCTETS,
    MAX_RESPONSES,
    OcspAnswer,
    OcspStatus,
    read_answer,
    request_for,
)
from support.answers import ocsp_answer
from support.forger import raw
from support.letters import NOW
from support.tree import DAY, Node, root, usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.pki.certificate import Certificate

TOP = root("Gốc")
SUB = TOP.issue("Cấp hai", ca=True)
LEAF = SUB.issue("lan").certificate
OTHER = SUB.issue("minh").certificate
SIGNING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
ANYTHING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
RESPONDER = SUB.issue("Trả lời", extensions=[SIGNING, usage("digital_signature")])
MINUTE = dt.timedelta(minutes=1)


def answer(about: Certificate = LEAF, *, issuer: Node = SUB, by: Node = SUB, **parts: Any) -> bytes:
    """Return an OCSPResponse (DER), by default the issuer's own good one about LEAF."""
    return ocsp_answer(about, issuer=issuer, by=by, **parts)


def several(*ders: bytes, change: Callable[[Any], None] = lambda basic: None) -> bytes:
    """Return the responses of several answers as one of SUB, `change` applied before it signs."""
    whole, *others = [asn1_ocsp.OCSPResponse.load(each) for each in ders]
    basic = whole["response_bytes"]["response"].parsed
    responses = basic["tbs_response_data"]["responses"]
    for each in others:
        responses.append(each["response_bytes"]["response"].parsed["tbs_response_data"]["responses"][0])
    change(basic)
    basic["signature"] = raw(SUB.key, basic["tbs_response_data"].dump(force=True))
    whole["response_bytes"]["response"] = asn1_core.ParsableOctetString(basic.dump(force=True))
    return bytes(whole.dump(force=True))


def read(der: bytes, *, certificate: Certificate = LEAF, issuer: Node = SUB, at: dt.datetime = NOW) -> OcspAnswer:
    return read_answer(der, certificate=certificate, issuer=issuer.certificate, at=at)


def told(der: bytes, **world: Any) -> str:
    found = read(der, **world)
    assert (found.status is OcspStatus.UNUSABLE) == (found.reason not in {"good", "revoked"})
    return found.reason


def test_good_and_revoked_by_the_issuer_itself() -> None:
    """What everything below breaks one by one: times come along, and nobody else signed."""
    assert read(answer()) == OcspAnswer(OcspStatus.GOOD, "good", NOW - DAY, NOW + DAY, read(answer()).produced_at, None)
    assert told(answer(status=ocsp.OCSPCertStatus.REVOKED)) == "revoked"


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])  # noqa: S303
def test_names_of_the_certificate_may_use_any_known_digest(digest: hashes.HashAlgorithm) -> None:
    """RFC 5019 and RFC 6960 4.3: SHA-1 in certID names things and proves nothing."""
    assert told(answer(named=digest)) == "good"


def test_answer_about_somebody_else() -> None:
    """Another serial number, another issuer's name or another issuer's key is another certificate."""
    assert told(answer(OTHER)) == "other_certificate"
    renamed = TOP.issue("Cấp ba", ca=True, key=SUB.key)
    assert told(answer(renamed.issue("x").certificate)) == "other_certificate"
    rekeyed = TOP.issue("Cấp hai", ca=True)
    assert told(answer(issuer=rekeyed, by=SUB, certificates=())) == "other_certificate"
    assert told(several(answer(OTHER), answer())) == "good"
    assert told(several(answer(), answer())) == "ambiguous"


def test_names_of_the_issuer_must_fit() -> None:
    """The right key and serial number under another issuer's name are another certificate."""

    def rename(basic: Any) -> None:
        basic["tbs_response_data"]["responses"][0]["cert_id"]["issuer_name_hash"] = bytes(20)

    assert told(several(answer())) == "good"
    assert told(several(answer(), change=rename)) == "other_certificate"


def test_somebody_else_signed() -> None:
    """A stranger, the root above the issuer, and a twin of the issuer may not speak for it, with or without papers."""
    for each in (root("Lạ"), TOP, TOP.issue("Cấp hai", ca=True)):
        assert told(answer(by=each, certificates=())) == "bad_signature"
        assert told(answer(by=each, certificates=(each.certificate,))) == "responder_not_authorized"


def test_delegate() -> None:
    """RFC 6960 4.2.2.2: the issuer itself certified the responder for exactly this."""
    found = read(answer(by=RESPONDER))
    assert (found.status, found.delegate) == (OcspStatus.GOOD, RESPONDER.certificate)
    assert told(answer(by=RESPONDER, certificates=())) == "bad_signature"
    assert told(answer(by=RESPONDER, certificates=(OTHER, RESPONDER.certificate))) == "good"


@pytest.mark.parametrize(
    ("delegate", "reason"),
    [
        (SUB.issue("x"), "responder_not_authorized"),
        (SUB.issue("x", extensions=[ANYTHING]), "responder_not_authorized"),
        (SUB.issue("x", extensions=[SIGNING, usage("key_encipherment")]), "responder_not_authorized"),
        (TOP.issue("x", extensions=[SIGNING]), "responder_of_another_issuer"),
        (TOP.issue("Cấp hai", ca=True).issue("x", extensions=[SIGNING]), "responder_of_another_issuer"),
        (root("Lạ").issue("x", extensions=[SIGNING]), "responder_of_another_issuer"),
        (SUB.issue("x", extensions=[SIGNING], end=NOW - MINUTE), "responder_out_of_date"),
        (SUB.issue("x", extensions=[SIGNING], start=NOW + MINUTE), "responder_out_of_date"),
        (SUB.issue("x", extensions=[SIGNING], digest=hashes.SHA224()), "responder_weak"),
        (SUB.issue("x", extensions=[SIGNING], key=rsa.generate_private_key(65537, 1024)), "responder_weak"),  # noqa: S505
    ],
    ids=[
        "no usage", "any usage", "cannot sign", "of the root", "of a twin", "of a stranger", "expired", "not yet",
        "weak digest", "weak key",
    ],
)  # fmt: skip
def test_no_delegate(delegate: Node, reason: str) -> None:
    """Whoever lacks one of the conditions answers for nobody, though the signature is good."""
    assert told(answer(by=delegate)) == reason


def test_nobody_vouches_for_himself() -> None:
    """A certificate with OCSPSigning does not answer that it is itself good."""
    assert told(answer(RESPONDER.certificate, by=RESPONDER), certificate=RESPONDER.certificate) == "vouches_for_itself"
    assert told(answer(RESPONDER.certificate), certificate=RESPONDER.certificate) == "good"


@pytest.mark.parametrize(
    ("this", "until", "reason"),
    [
        (NOW, NOW, "good"),
        (NOW + 5 * MINUTE, NOW + DAY, "good"),
        (NOW + 6 * MINUTE, NOW + DAY, "not_yet_valid"),
        (NOW - DAY, NOW - dt.timedelta(seconds=1), "stale"),
        (NOW - DAY, None, "no_next_update"),
    ],
)
def test_times(this: dt.datetime, until: dt.datetime | None, reason: str) -> None:
    """Only what is of now clears anybody; clocks may differ by five minutes, ends are ends."""
    assert told(answer(this=this, until=until)) == reason


@pytest.mark.parametrize(
    ("reason", "until", "expected"),
    [
        (None, NOW - MINUTE, "revoked"),
        (x509.ReasonFlags.key_compromise, None, "revoked"),
        (x509.ReasonFlags.certificate_hold, NOW + DAY, "revoked"),
        (x509.ReasonFlags.certificate_hold, NOW - MINUTE, "stale"),
    ],
)
def test_revocation_does_not_wear_off(
    reason: x509.ReasonFlags | None, until: dt.datetime | None, expected: str
) -> None:
    """An old answer still says that somebody was revoked; a hold may have been lifted since."""
    assert told(answer(status=ocsp.OCSPCertStatus.REVOKED, reason=reason, until=until)) == expected


def test_no_answers() -> None:
    """Neither "unknown" nor "try later" nor any other refusal is "good"."""
    assert told(answer(status=ocsp.OCSPCertStatus.UNKNOWN)) == "unknown"
    for status in ocsp.OCSPResponseStatus:
        if status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(status)
            assert told(refusal.public_bytes(serialization.Encoding.DER)) == "not_successful"


def test_weak_answers() -> None:
    """A digest that can be forged, and an issuer whose key is weak, prove nothing."""
    assert told(answer(digest=hashes.SHA224())) == "weak_digest"
    weak = TOP.issue("Yếu", ca=True, key=rsa.generate_private_key(65537, 1024))  # noqa: S505 - a weak key is the point
    leaf = weak.issue("x").certificate
    assert told(answer(leaf, issuer=weak, by=weak), certificate=leaf, issuer=weak) == "weak_key"


@pytest.mark.parametrize("shape", ["rsa2048", "p384", "p521"])
def test_kinds_of_keys(shape: Any) -> None:
    """Whatever kind of key certificates are signed with, answers may be."""
    issuer = TOP.issue("Khác", ca=True, key=shared_key(shape, 31))
    leaf = issuer.issue("x").certificate
    assert told(answer(leaf, issuer=issuer, by=issuer), certificate=leaf, issuer=issuer) == "good"


def test_bounds() -> None:
    """What an answer's author may choose is bounded: octets, certificates, responses."""
    assert told(b"\x30" * (MAX_OCTETS + 1)) == "too_large"
    filler = [SUB.issue(f"x{number}", extensions=[SIGNING]).certificate for number in range(MAX_CERTIFICATES)]
    assert told(answer(by=RESPONDER, certificates=(*filler[1:], RESPONDER.certificate))) == "good"
    assert told(answer(by=RESPONDER, certificates=(*filler, RESPONDER.certificate))) == "too_many_certificates"
    assert told(several(*[answer(OTHER)] * (MAX_RESPONSES - 1), answer())) == "good"
    assert told(several(*[answer(OTHER)] * MAX_RESPONSES, answer())) == "too_many_responses"


def test_critical_extensions() -> None:
    """RFC 6960 4.4: what must be understood and is not makes the answer worthless; a nonce alone does not."""
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    nonce = x509.OCSPNonce(b"12345678")
    assert told(answer(extensions=((nonce, False),))) == "good"
    assert told(answer(extensions=((odd, True),))) in {"critical_extension", "malformed"}


def test_damaged_answers_say_nothing() -> None:
    """Any changed octet leaves an answer that is not believed, and nothing is raised."""
    der = answer(by=RESPONDER)
    true = read(der)
    believed = 0
    for position in range(len(der)):
        octets = bytearray(der)
        octets[position] ^= 0x01
        found = read(bytes(octets))
        assert found.status in {OcspStatus.GOOD, OcspStatus.UNUSABLE}
        if found.status is OcspStatus.GOOD:
            assert (found.this_update, found.next_update) == (true.this_update, true.next_update)
            believed += 1
    assert believed <= 2  # the counts of unused bits of the two signatures themselves
    for cut in range(0, len(der), 17):
        assert told(der[:cut]) == "malformed"


def test_request() -> None:
    """RFC 5019 2.1.1: one SHA-1 certID, no nonce, no extensions."""
    request = ocsp.load_der_ocsp_request(request_for(LEAF, SUB.certificate))
    assert request.serial_number == LEAF.serial_number
    assert request.hash_algorithm.name == "sha1"
    assert not list(request.extensions)
