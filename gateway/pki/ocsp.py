"""OCSP: what to ask a responder about a certificate, and what its answer is worth (RFC 6960, RFC 5019, RFC 9654).

An answer is worth something when all of this holds:
1. it is a successful basic response within the bounds below;
2. it speaks of this certificate under this issuer: names, key and serial number in its certID;
3. its signature is the issuer's, or that of a responder whom this issuer's own key certified for OCSPSigning, in date;
4. keys and digests are strong, whatever the library thinks of them;
5. it is of this time: thisUpdate has passed (clocks differ by up to five minutes), nextUpdate is there and has not;
6. it says good or revoked: "unknown" and "try later" are no answers.

Whether the responder itself was revoked is asked of data at hand by whoever holds them, nocheck or not: an authority
that says "do not check" (id-pkix-ocsp-nocheck) does not want its own list overlooked. Answers signed with RSA-PSS are
not read. Nonces are not sent: they would make every cached answer of a responder useless (RFC 5019 2.1.1).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.pki.certificate import Certificate, CertificateError
from gateway.pki.graph import issuer_key, signed_by, subject_key
from gateway.pki.signature import made_by
from gateway.pki.strength import STRONG_DIGESTS, weak_key, weak_signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

MAX_OCTETS: Final = 64 * 1024
MAX_CERTIFICATES: Final = 4
MAX_RESPONSES: Final = 16
SKEW: Final = timedelta(minutes=5)
_CERT_ID_DIGESTS: Final = frozenset({"sha1", "sha256", "sha384", "sha512"})
"""SHA-1 only names things here: the answer's signer is checked against the issuer itself."""
_CRITICAL: Final = b"\x01\x01\xff"
"""How "critical" is encoded; by accident it stands in one answer of a hundred thousand, which then says nothing."""
_BACK: Final = frozenset({x509.ReasonFlags.certificate_hold, x509.ReasonFlags.remove_from_crl})


class OcspStatus(StrEnum):
    """What an answer says about a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNUSABLE = "unusable"
    """It says nothing that may be believed; `reason` says why."""


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """An answer that was read; times are aware."""

    status: OcspStatus
    reason: str
    """Stable code: "good", "revoked", else the first thing that is wrong with it."""
    this_update: datetime | None = None
    next_update: datetime | None = None
    produced_at: datetime | None = None
    delegate: Certificate | None = None
    """The responder's certificate where the issuer did not sign itself; the issuer issued it."""


class _Unusable(Exception):  # noqa: N818 - no fault: it never leaves this module
    """The answer falls out; its only argument is the reason code."""


def request_for(certificate: Certificate, issuer: Certificate) -> bytes:
    """Return an OCSPRequest (DER) for one certificate; many responders know SHA-1 certIDs only (RFC 5019 2.1.1)."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate.parsed, issuer.parsed, hashes.SHA1())  # noqa: S303 - names, no proof
    return builder.build().public_bytes(serialization.Encoding.DER)


def read_answer(der: bytes, *, certificate: Certificate, issuer: Certificate, at: datetime) -> OcspAnswer:
    """Return what an OCSPResponse says about a certificate at a time (aware); raises nothing but `MemoryError`."""
    try:
        return _read(der, certificate, issuer, at)
    except _Unusable as unusable:
        return OcspAnswer(OcspStatus.UNUSABLE, str(unusable))
    except MemoryError:  # no fault of the answer's: it may be the one that says "revoked"
        raise
    except Exception:  # noqa: BLE001 - the parser raises what the answer's author chooses
        return OcspAnswer(OcspStatus.UNUSABLE, "malformed")


def _read(der: bytes, certificate: Certificate, issuer: Certificate, at: datetime) -> OcspAnswer:
    if len(der) > MAX_OCTETS:
        raise _Unusable("too_large")
    response = ocsp.load_der_ocsp_response(der)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise _Unusable("not_successful")
    single = _single(response, certificate, issuer)
    if _CRITICAL in response.tbs_response_bytes:  # of several responses the library shows no extensions
        raise _Unusable("critical_extension")
    delegate = _signer(response, issuer, at)
    if delegate is not None and delegate.serial_number == certificate.serial_number:
        raise _Unusable("vouches_for_itself")
    reason = _untimely(single, at)
    status = single.certificate_status
    if status is ocsp.OCSPCertStatus.REVOKED and _lasting(single, reason):
        return _answer(OcspStatus.REVOKED, "revoked", single, response, delegate)
    if reason is not None:
        raise _Unusable(reason)
    if status is ocsp.OCSPCertStatus.UNKNOWN:
        raise _Unusable("unknown")
    return _answer(OcspStatus.GOOD, "good", single, response, delegate)


def _answer(
    status: OcspStatus,
    reason: str,
    single: ocsp.OCSPSingleResponse,
    response: ocsp.OCSPResponse,
    delegate: Certificate | None,
) -> OcspAnswer:
    return OcspAnswer(
        status, reason, single.this_update_utc, single.next_update_utc, response.produced_at_utc, delegate
    )


def _single(response: ocsp.OCSPResponse, certificate: Certificate, issuer: Certificate) -> ocsp.OCSPSingleResponse:
    """Return the one response about the certificate; several that differ are none."""
    found: list[ocsp.OCSPSingleResponse] = []
    for number, each in enumerate(response.responses):
        if number >= MAX_RESPONSES:
            raise _Unusable("too_many_responses")
        if each.serial_number == certificate.serial_number and _names(each, certificate, issuer):
            found.append(each)
    if not found:
        raise _Unusable("other_certificate")
    if len(found) > 1:
        raise _Unusable("ambiguous")
    return found[0]


def _names(single: ocsp.OCSPSingleResponse, certificate: Certificate, issuer: Certificate) -> bool:
    """Return whether the certID names this issuer, by name and by key (RFC 6960 4.1.1)."""
    digest = single.hash_algorithm.name
    if digest not in _CERT_ID_DIGESTS:
        return False
    named = {
        hashlib.new(digest, each.public_bytes()).digest()
        for each in (certificate.parsed.issuer, issuer.parsed.subject)  # one name, maybe in two encodings
    }
    key = asn1_x509.Certificate.load(issuer.der).public_key["public_key"].contents[1:]  # behind the unused bits
    return single.issuer_name_hash in named and single.issuer_key_hash == hashlib.new(digest, key).digest()


def _signer(response: ocsp.OCSPResponse, issuer: Certificate, at: datetime) -> Certificate | None:
    """Return the delegate who signed, None if the issuer itself did; raises if nobody entitled to it did."""
    if response.signature_hash_algorithm is not None and response.signature_hash_algorithm.name not in STRONG_DIGESTS:
        raise _Unusable("weak_digest")
    if weak_key(issuer.public_key):
        raise _Unusable("weak_key")
    if _made(response, issuer):
        return None
    reason = "bad_signature"
    for each in _delegates(response):
        unfit = _unfit(each, issuer, at)
        if unfit is None and _made(response, each):
            return each
        reason = unfit or reason
    raise _Unusable(reason)


def _delegates(response: ocsp.OCSPResponse) -> Iterator[Certificate]:
    if len(response.certificates) > MAX_CERTIFICATES:
        raise _Unusable("too_many_certificates")
    for each in response.certificates:
        try:
            yield Certificate.load(each.public_bytes(serialization.Encoding.DER))
        except CertificateError:
            continue


def _unfit(delegate: Certificate, issuer: Certificate, at: datetime) -> str | None:
    """Return why a certificate in the answer does not make its owner a responder for this issuer (RFC 6960 4.2.2.2).

    anyExtendedKeyUsage is not enough: the authority must have meant it.
    """
    usages = delegate.extended_key_usage
    if usages is None or ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string not in usages:
        return "responder_not_authorized"
    if not delegate.for_signatures or _unknown_critical(delegate):
        return "responder_not_authorized"
    if weak_key(delegate.public_key) or weak_signature(delegate):
        return "responder_weak"
    if not delegate.not_before <= at <= delegate.not_after:
        return "responder_out_of_date"
    if issuer_key(delegate) != subject_key(issuer) or not signed_by(delegate, issuer):
        return "responder_of_another_issuer"
    return None


def _unknown_critical(certificate: Certificate) -> bool:
    known = (x509.KeyUsage, x509.ExtendedKeyUsage, x509.BasicConstraints, x509.OCSPNoCheck)
    return any(each.critical and not isinstance(each.value, known) for each in certificate.parsed.extensions)


def _made(response: ocsp.OCSPResponse, signer: Certificate) -> bool:
    digest = response.signature_hash_algorithm
    parameters = (
        ec.ECDSA(digest) if isinstance(signer.public_key, ec.EllipticCurvePublicKey) and digest else padding.PKCS1v15()
    )
    return made_by(
        signer.public_key,
        signature=response.signature,
        octets=response.tbs_response_bytes,
        parameters=parameters,
        digest=digest,
    )


def _untimely(single: ocsp.OCSPSingleResponse, at: datetime) -> str | None:
    if single.this_update_utc > at + SKEW:
        return "not_yet_valid"
    if single.next_update_utc is None:
        return "no_next_update"
    return "stale" if at > single.next_update_utc else None


def _lasting(single: ocsp.OCSPSingleResponse, untimely: str | None) -> bool:
    """Return whether "revoked" counts: an old answer still says so, unless it was a hold and may have been lifted."""
    return untimely is None or (untimely != "not_yet_valid" and single.revocation_reason not in _BACK)
