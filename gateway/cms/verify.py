"""SignedData read with suspicion: all signers, nothing assumed (RFC 5652, RFC 5035, RFC 8419, RFC 9882).

Attacks that the rules here and in `signer` answer: signers without attributes (5652 11 needs them for any content type
but data), attributes given twice, a digest or signature algorithm of another family than the key's, certificates
swapped under a signature (5035), weak digests, and structures made to be slow. Only small, bounded pieces ever reach a
general ASN.1 parser; content is never copied by one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.cms.algorithms import Algorithm, verify_raw
from gateway.cms.asn1 import CmsError, Node, children, definite
from gateway.cms.familiar import layout_of, refilled, same_octets
from gateway.cms.signer import SignerInfo, dotted, read_signer
from gateway.core.errors import InputError
from gateway.core.remembered import Kept
from gateway.pki.certificate import Certificate

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from gateway.cms.familiar import Layout

__all__ = ["DEFAULT_LIMITS", "CmsError", "CmsLimits", "SignedData", "SignerInfo", "check_signer", "open_signed"]

_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_OTHER_CONTENT: Final = {
    "1.2.840.113549.1.7.3": "encrypted",  # envelopedData
    "1.2.840.113549.1.7.6": "encrypted",  # encryptedData
    "1.2.840.113549.1.9.16.1.23": "encrypted",  # authEnvelopedData (RFC 5083)
    "1.2.840.113549.1.9.16.1.9": "compressed",  # compressedData (RFC 3274)
}
_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_OID: Final = 0x06
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_CONTEXT_0: Final = 0xA0
_CONTEXT_1: Final = 0xA1
_MAX_KEPT: Final = 8 * 1024
"""Octets of a CMS that is known again: of signatures beside their content, nearly all."""
_MOST_KEPT: Final = 1024
"""At most 16 MB, whatever strangers send."""
_HEAD: Final = 128
"""Octets that tell most signers apart: in them the first certificate begins."""
_READ_WHOLE: Final = (None, "weak_digest")
"""Faults of a signer with which all that it says was read."""
_LAYOUTS: Final[Kept[tuple[int, bytes], Layout]] = Kept(_MOST_KEPT)
"""By length and head of a CMS."""
_ALIKE: Final[Kept[tuple[Layout, bytes], SignedData]] = Kept(_MOST_KEPT)
"""By layout, and the octets that are the same each time."""


@dataclass(frozen=True, slots=True)
class CmsLimits:
    """What one CMS may hold before it is refused: octets, or counts."""

    octets: int = 64 * 1024 * 1024
    certificates: int = 20
    signers: int = 4
    crls: int = 10


DEFAULT_LIMITS: Final = CmsLimits()


@dataclass(frozen=True, slots=True)
class SignedData:
    """A SignedData: `content` is None where it is detached."""

    content: bytes | None = field(repr=False)
    content_type: str
    """Dotted OID of the encapsulated content type."""
    certificates: tuple[Certificate, ...]
    unreadable_certificates: int
    crls: tuple[bytes, ...] = field(repr=False)
    signers: tuple[SignerInfo, ...]


def open_signed(octets: bytes, *, limits: CmsLimits = DEFAULT_LIMITS) -> SignedData:
    """Return the SignedData in a BER or DER ContentInfo with nothing after it.

    Raises `CmsError`: "encrypted" and "compressed" where it is something else, "not_signed_data", "malformed_cms",
    "trailing_octets", or the limit it breaks ("cms_too_large", "cms_too_complex", "too_many_signers", ...).
    """
    usual = limits is DEFAULT_LIMITS and len(octets) <= _MAX_KEPT
    known = _known(octets) if usual else None
    if known is not None:
        return known
    der = definite(octets, limit=limits.octets)
    kept = usual and der is octets
    del octets  # of a big message: two copies are in memory at any time, never three
    try:
        return _read(der, limits, kept=kept)
    except CmsError:
        raise
    except Exception as error:  # the parser raises what the message's author chooses
        raise CmsError("malformed_cms") from error


def _known(octets: bytes) -> SignedData | None:
    """Return the SignedData of a CMS that is the same as one read before but for what differs each time."""
    layout = _LAYOUTS.get((len(octets), octets[:_HEAD]))
    data = _ALIKE.get((layout, same_octets(octets, layout))) if layout is not None else None
    signer = refilled(data.signers[0], octets, layout) if data is not None and layout is not None else None
    if data is None or signer is None:
        return None
    return SignedData(None, data.content_type, data.certificates, data.unreadable_certificates, data.crls, (signer,))


def _keep(der: bytes, data: SignedData, signer: Node) -> None:
    """Remember a SignedData for those that are the same but for what differs each time."""
    layout = layout_of(der, signer)
    if layout is not None:
        _LAYOUTS.put((len(der), der[:_HEAD]), layout)
        _ALIKE.put((layout, same_octets(der, layout)), data)


def _read(der: bytes, limits: CmsLimits, *, kept: bool) -> SignedData:
    kind, explicit = _elements(der, _only(der, 0, len(der), _SEQUENCE), _OID, _CONTEXT_0)
    name = _dotted(der, kind)
    if name != _SIGNED_DATA:
        raise CmsError(_OTHER_CONTENT.get(name, "not_signed_data"))
    parts = list(children(der, *_inside(_only(der, explicit.content, explicit.end, _SEQUENCE))))
    certificates = parts.pop(3) if len(parts) > 4 and parts[3].tag == _CONTEXT_0 else None  # noqa: PLR2004 - place
    crls = parts.pop(3) if len(parts) > 4 and parts[3].tag == _CONTEXT_1 else None  # noqa: PLR2004 - and count
    if [each.tag for each in parts] != [_INTEGER, _SET, _SEQUENCE, _SET]:
        raise CmsError("malformed_cms")
    content_type, content = _content(der, parts[2])
    signers = list(children(der, *_inside(parts[3])))
    if len(signers) > limits.signers:
        raise CmsError("too_many_signers")
    read, unreadable = _certificates(der, certificates, limits)
    found = SignedData(
        content=content,
        content_type=content_type,
        certificates=read,
        unreadable_certificates=unreadable,
        crls=_crls(der, crls, limits),
        signers=tuple(read_signer(der, each, content_type=content_type) for each in signers),
    )
    if kept and content is None and len(signers) == 1 and found.signers[0].fault in _READ_WHOLE:
        _keep(der, found, signers[0])
    return found


def _inside(node: Node) -> tuple[int, int]:
    return node.content, node.end


def _only(der: bytes, content: int, end: int, tag: int) -> Node:
    """Return the one element in a range, of this kind."""
    found = list(children(der, content, end))
    if len(found) != 1 or found[0].tag != tag:
        raise CmsError("malformed_cms")
    return found[0]


def _elements(der: bytes, node: Node, *tags: int) -> list[Node]:
    """Return the elements inside a constructed one, of exactly these kinds."""
    found = list(children(der, *_inside(node)))
    if tuple(each.tag for each in found) != tags:
        raise CmsError("malformed_cms")
    return found


def _dotted(der: bytes, node: Node) -> str:
    return dotted(der[node.start : node.end])


def _content(der: bytes, encapsulated: Node) -> tuple[str, bytes | None]:
    """Return content type and content, None where it is detached."""
    parts = list(children(der, *_inside(encapsulated)))
    tags = [each.tag for each in parts]
    if tags not in ([_OID], [_OID, _CONTEXT_0]):
        raise CmsError("malformed_cms")
    if len(parts) == 1:
        return _dotted(der, parts[0]), None
    inner = _only(der, *_inside(parts[1]), _OCTET_STRING)
    return _dotted(der, parts[0]), der[inner.content : inner.end]


def _certificates(der: bytes, choices: Node | None, limits: CmsLimits) -> tuple[tuple[Certificate, ...], int]:
    """Return the certificates that can be read, and how many cannot; attribute certificates are of the latter."""
    if choices is None:
        return (), 0
    found: list[Certificate] = []
    count = 0
    for count, each in enumerate(children(der, *_inside(choices)), start=1):
        if count > limits.certificates:
            raise CmsError("too_many_certificates")
        if each.tag == _SEQUENCE:
            try:
                found.append(Certificate.load(der[each.start : each.end]))
            except InputError:
                continue
    return tuple(found), count - len(found)


def _crls(der: bytes, choices: Node | None, limits: CmsLimits) -> tuple[bytes, ...]:
    if choices is None:
        return ()
    found = []
    for count, each in enumerate(children(der, *_inside(choices)), start=1):
        if count > limits.crls:
            raise CmsError("too_many_crls")
        if each.tag == _SEQUENCE:
            found.append(der[each.start : each.end])
    return tuple(found)


def check_signer(signer: SignerInfo, *, content_digest: bytes, certificate: Certificate) -> str | None:
    """Return None for a good signature over the content, else a stable reason code.

    `content_digest` is `signer.digest` over the content's octets. The order of checks is the order of blame: first what
    the signer says of itself, then the content ("digest_mismatch"), then the signature value, then what is too weak to
    be believed ("weak_digest", "weak_key": the value itself fits).
    """
    if signer.fault is not None and signer.fault != "weak_digest":
        return signer.fault
    if signer.message_digest is not None and signer.message_digest != content_digest:
        return "digest_mismatch"
    if certificate.public_key is None:
        return "unknown_key"
    if certificate.strength.costly:
        return "weak_key"  # before the value: the work is what the attacker chose
    if signer.family == "rsa" and certificate.for_pss:
        return "algorithm_mismatch"
    if not _fits(signer, content_digest, certificate.public_key):
        return "bad_signature"
    if any(not _names(certificate, *each) for each in signer.certificate_hashes):
        return "certificate_substituted"
    return signer.fault or ("weak_key" if certificate.strength.weak else None)


def _fits(signer: SignerInfo, content_digest: bytes, public_key: PublicKeyTypes) -> bool:
    """Return whether the signature value fits attributes, or the content itself where there are none."""
    algorithm = Algorithm(signer.family, signer.signature_digest, signer.salt_length)
    if signer.signed_attributes is None:
        return verify_raw(public_key, signer.signature, content_digest, algorithm=algorithm, prehashed=True)
    if verify_raw(public_key, signer.signature, signer.signed_attributes, algorithm=algorithm):
        return True
    canonical = signer.canonical_attributes()
    return canonical is not None and verify_raw(public_key, signer.signature, canonical, algorithm=algorithm)


def _names(certificate: Certificate, digest: str, value: bytes) -> bool:
    """Return whether a signingCertificate hash is this certificate's."""
    if digest == "sha256":
        return value.hex() == certificate.fingerprint
    return bool(digest) and hashlib.new(digest, certificate.der, usedforsecurity=False).digest() == value
