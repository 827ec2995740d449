"""What our own work with a key must hold, as octets: certificates, signer, signed attributes (RFC 5652 5.1, 5.3, 11).

Nothing of this is for strangers' signatures: those are read by `cms.signer`.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.cms.asn1 import children, tlv

if TYPE_CHECKING:
    from gateway.pki.certificate import Certificate

_CONTENT_TYPE: Final = bytes.fromhex("301806092a864886f70d010903310b06092a864886f70d010701")
_CAPABILITIES: Final = bytes.fromhex(
    "302906092a864886f70d01090f311c301a300b060960864801650304012a300b0609608648016503040102"
)
_MESSAGE_DIGEST: Final = bytes.fromhex("06092a864886f70d010904")
_SIGNING_CERTIFICATE: Final = bytes.fromhex("060b2a864886f70d010910022f")
_TIME: Final = bytes.fromhex("06092a864886f70d010905")
_SIGNING_TIME: Final = re.compile(
    rb"\x30\x1c" + re.escape(_TIME) + rb"\x31\x0f\x17\x0d\d{12}Z|"
    rb"\x30\x1e" + re.escape(_TIME) + rb"\x31\x11\x18\x0f\d{14}Z"
)
_IDENTIFIER: Final = bytes.fromhex("060b2a864886f70d0109100207")
_MOST_IDENTIFIER: Final = 64
_BEFORE_IDENTIFIER: Final = 2 + len(_IDENTIFIER) + 2 + 2
"""Octets of a contentIdentifier in front of its value."""
DIGESTS: Final = {
    bytes.fromhex(f"300d060960864801650304020{number}0500"): name
    for number, name in ((1, "sha256"), (2, "sha384"), (3, "sha512"))
}
"""AlgorithmIdentifier -> hashlib name."""
_MESSAGE_DIGESTS: Final = {
    size: tlv(0x30, _MESSAGE_DIGEST, tlv(0x31, tlv(0x04, bytes(size))))[:-size]
    for size in (hashlib.new(name).digest_size for name in DIGESTS.values())
}
"""Size of a digest -> what stands before it in its attribute."""


class Ours(NamedTuple):
    """What stands in each message that is signed with one key and digest."""

    certificates: bytes
    """[0] with every certificate, in the order of DER."""
    signer: bytes
    """issuerAndSerialNumber, and the digest algorithm."""
    attributes: tuple[bytes, ...]
    """contentType, smimeCapabilities and signingCertificateV2 (RFC 5035 3)."""


@lru_cache(maxsize=1024)
def ours(certificate: Certificate, sent_along: frozenset[bytes], digest: str) -> Ours:
    """Return what must stand there, from the DER of the certificate and of those that are sent along."""
    der = certificate.der
    (whole,) = children(der, 0, len(der))
    body = next(children(der, whole.content, whole.end))
    fields = [each for each in children(der, body.content, body.end) if each.tag != 0xA0][:3]  # noqa: PLR2004 - version
    serial, issuer = (der[each.start : each.end] for each in (fields[0], fields[2]))
    algorithm = next(each for each, name in DIGESTS.items() if name == digest)
    entry = tlv(
        0x30,
        b"" if digest == "sha256" else algorithm,  # the DEFAULT, which DER leaves out
        tlv(0x04, hashlib.new(digest, der).digest()),
        tlv(0x30, tlv(0x30, tlv(0xA4, issuer)), serial),
    )
    named = tlv(0x30, _SIGNING_CERTIFICATE, tlv(0x31, tlv(0x30, tlv(0x30, entry))))
    return Ours(
        tlv(0xA0, *sorted(sent_along)),
        tlv(0x30, issuer, serial) + algorithm,
        (_CONTENT_TYPE, _CAPABILITIES, named),
    )


def fault_in(attributes: bytes, *, fixed: tuple[bytes, ...], content_digest: bytes) -> str | None:
    """Return None for the attributes that we write, each once, in the order of DER: else a stable code.

    That is "digest_mismatch" or "attributes". `fixed` are those of `Ours`; a signing time and a contentIdentifier may
    be there. What must be there is written anew and compared, so that no octet is overlooked.
    """
    message_digest = _MESSAGE_DIGESTS[len(content_digest)] + content_digest
    wanted = [*fixed, message_digest]
    time, identifier = _around(attributes, _TIME), _around(attributes, _IDENTIFIER)
    if _SIGNING_TIME.fullmatch(time) is not None:
        wanted.append(time)
    if _is_identifier(identifier):
        wanted.append(identifier)
    wanted.sort()
    if attributes == b"".join(wanted):
        return None
    return "attributes" if message_digest in attributes else "digest_mismatch"


def _around(attributes: bytes, kind: bytes) -> bytes:
    """Return the attribute of this kind if its length is of one octet, as both are that may be there; else b""."""
    place = attributes.find(kind) - 2
    return attributes[place : place + 2 + attributes[place + 1]] if place >= 0 else b""


def _is_identifier(attribute: bytes) -> bool:
    """Return whether it is a contentIdentifier (RFC 2634 2.7) in the one way that DER has for it."""
    value = attribute[_BEFORE_IDENTIFIER:]
    size = len(value)
    if not 0 < size <= _MOST_IDENTIFIER:
        return False
    head = bytes((0x30, _BEFORE_IDENTIFIER - 2 + size)) + _IDENTIFIER + bytes((0x31, 2 + size, 0x04, size))
    return attribute.startswith(head)
