"""One SignerInfo judged: conditions 10 to 12, and the part of 17 that needs no author (RFC 5652 5.6, RFC 8550 4).

What signers are judged against is all here: no clock, nothing fetched, and no signer vouches for another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.cms.asn1 import CmsError, head
from gateway.cms.verify import check_signer
from gateway.core.verdict import ChainState, Indeterminate, Invalid, NotTrusted, SignatureState, Signer, Unreadable
from gateway.pki.path import PathAnswer, Purpose
from gateway.smime.argument import Finding, FindingKind
from gateway.smime.timestamps import Stamp, stamp_of
from gateway.smime.trust import answer_for, certificate_of

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.cms.verify import SignedData, SignerInfo
    from gateway.core.message import Message
    from gateway.pki.certificate import Certificate
    from gateway.smime.trust import PathOf, Trust

_FAULTS: Final[dict[str, tuple[FindingKind, SignatureState]]] = {
    "weak_digest": (NotTrusted, SignatureState.INVALID),
    "weak_key": (NotTrusted, SignatureState.VALID),
    "unknown_algorithm": (Unreadable, SignatureState.NONE),
    "unknown_key": (Unreadable, SignatureState.NONE),
}
"""Reasons of `check_signer` that are no forgery: too weak to be believed, or unknown to us. All others are."""
_FAMILY: Final = frozenset(
    {"family_use", "family_domain", "no_extended_key_usage", "no_extensions", "address_in_subject"}
)
"""Reasons of a path that its family of anchors gives, not RFC 5280."""
_SET: Final = 0x31


class Judged(NamedTuple):
    """What is known about one SignerInfo."""

    signer: Signer | None
    certificate: Certificate | None
    answer: PathAnswer | None
    """None where nothing was asked about the path."""
    chain: ChainState
    signature: SignatureState
    findings: tuple[Finding, ...]
    sha1: bool = False
    """True if the value fits, over SHA-1."""
    stamp: Stamp | None = None


def judge_signer(signer: SignerInfo, data: SignedData, content: Message, digest: bytes, trust: Trust) -> Judged:
    """Judge one signer of a content; `digest` is `signer.digest` over it."""
    certificate = certificate_of(signer, data, trust)
    if certificate is None:  # condition 10
        finding = Finding(10, Indeterminate, "no_signer_certificate")
        return Judged(None, None, None, ChainState.INDETERMINATE, SignatureState.NONE, (finding,))
    findings = []
    fault = fault_of(signer, content, digest, certificate)
    signature = SignatureState.VALID
    if fault is not None:  # condition 11
        kind, signature = _FAULTS.get(fault, (Invalid, SignatureState.INVALID))
        findings.append(Finding(11, kind, fault))
    stamp = stamp_of(signer, data, trust) if signature is SignatureState.VALID else None
    answer, stamped = _path(certificate, data, trust, stamp)
    chain, reason = (ChainState.INDETERMINATE, "no_trust_anchors") if answer is None else (answer.state, answer.reason)
    if chain is not ChainState.VALID:  # conditions 12 and 17
        number = 17 if reason in _FAMILY else 12
        findings.append(Finding(number, NotTrusted if chain is ChainState.INVALID else Indeterminate, reason))
    told = shown(signer, certificate, answer if chain is ChainState.VALID else None, stamped)
    sha1 = fault == "weak_digest" and signer.digest == "sha1"
    return Judged(told, certificate, answer, chain, signature, tuple(findings), sha1, stamp)


def fault_of(signer: SignerInfo, content: Message, digest: bytes, certificate: Certificate) -> str | None:
    """Return what is wrong with digest, attributes or signature value, None for nothing; no path is asked about."""
    fault = check_signer(signer, content_digest=digest, certificate=certificate)
    if fault is None and signer.signed_attributes is None and _are_attributes(content):
        return "attributes_as_content"
    return fault


def _are_attributes(content: Message) -> bool:
    """Return True for one DER SET: somebody's signed attributes, whose signature would fit them as a content, too."""
    try:
        tag, _, end = head(content.read(0, 16), 0, len(content))
    except CmsError:
        return False
    return tag == _SET and end == len(content)


def _path(
    certificate: Certificate, data: SignedData, trust: Trust, stamp: Stamp | None
) -> tuple[PathAnswer | None, datetime | None]:
    """Return the answer for condition 12, and the time of the timestamp that it rests on.

    A timestamp excuses that the certificate has expired since, and nothing else: revocation data must be those of that
    time, and whoever was revoked by what is known today stays so, whenever it happened. Without any anchor there is no
    question to ask.
    """
    if not trust.anchors.anchors:
        return None, None
    answer = (trust.path_of or _answer_by(trust))(certificate, data)
    if stamp is None or stamp.at is None or stamp.at < certificate.not_before:
        return answer, None
    if answer.reason != "expired":
        return answer, stamp.at
    then = path_answer(certificate, data, trust, then=stamp.at)
    return (then, stamp.at) if then.state is ChainState.VALID else (answer, None)


def _answer_by(trust: Trust) -> PathOf:
    return lambda certificate, data: path_answer(certificate, data, trust)


def path_answer(
    certificate: Certificate, data: SignedData, trust: Trust, *, then: datetime | None = None
) -> PathAnswer:
    """Return what path validation says of a signer's certificate (see `smime.trust.answer_for`)."""
    return answer_for(certificate, data, trust, purpose=Purpose.EMAIL, then=then)


def shown(signer: SignerInfo, certificate: Certificate, answer: PathAnswer | None, stamped: datetime | None) -> Signer:
    """Return a signer as people see it; `answer` only where its path is good."""
    return Signer(
        subject=certificate.subject,
        issuer=certificate.issuer,
        serial=certificate.serial,
        addresses=tuple(certificate.addresses),
        agency=None,
        claimed_signing_time=signer.claimed_signing_time,
        algorithm=signer.algorithm_with(certificate),
        fingerprint=certificate.fingerprint,
        san_addresses=tuple(certificate.san_addresses),
        family=(answer.family.name or None) if answer is not None else None,
        signature_digest=signer.signature_identity,
        timestamped_at=stamped,
    )
