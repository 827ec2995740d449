"""The signed attributes of our own work, as octets: each must be exactly what a key's template makes (RFC 5652 11).

Nothing of this is for strangers' signatures: those are read by `cms.signer`.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.cms.asn1 import children, tlv

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.pki.certificate import Certificate

_CONTENT_TYPE: Final = bytes.fromhex("301806092a864886f70d010903310b06092a864886f70d010701")
_CAPABILITIES: Final = bytes.fromhex(
    "302906092a864886f70d01090f311c301a300b060960864801650304012a300b0609608648016503040102"
)
_MESSAGE_DIGEST: Final = bytes.fromhex("06092a864886f70d010904")
_SIGNING_CERTIFICATE: Final = bytes.fromhex("060b2a864886f70d010910022f")
_SIGNING_TIME: Final = re.compile(
    re.escape(bytes.fromhex("301c06092a864886f70d010905310f170d"))
    + rb"\d{12}Z|"
    + re.escape(bytes.fromhex("301e06092a864886f70d0109053111180f"))
    + rb"\d{14}Z"
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


def fault_in(attributes: Collection[bytes], *, named: bytes, content_digest: bytes) -> str | None:
    """Return None for the attributes that we write, each once: else "digest_mismatch" or "attributes".

    `named` is the signingCertificateV2 of `named_by`; a signing time and a contentIdentifier may be there.
    """
    message_digest = tlv(0x30, _MESSAGE_DIGEST, tlv(0x31, tlv(0x04, content_digest)))
    if message_digest not in attributes:
        return "digest_mismatch"
    needed = {_CONTENT_TYPE, _CAPABILITIES, named, message_digest}
    rest = [each for each in attributes if each not in needed]
    times = sum(_SIGNING_TIME.fullmatch(each) is not None for each in rest)
    identifiers = sum(map(_is_identifier, rest))
    if len(attributes) - len(rest) != len(needed) or max(times, identifiers) > 1 or times + identifiers != len(rest):
        return "attributes"
    return None


def _is_identifier(attribute: bytes) -> bool:
    """Return whether it is a contentIdentifier (RFC 2634 2.7) in the one way that DER has for it."""
    value = attribute[_BEFORE_IDENTIFIER:]
    whole = tlv(0x30, _IDENTIFIER, tlv(0x31, tlv(0x04, value)))
    return 0 < len(value) <= _MOST_IDENTIFIER and attribute == whole


@lru_cache(maxsize=1024)
def named_by(certificate: Certificate, digest: str) -> tuple[bytes, bytes]:
    """Return issuerAndSerialNumber and the signingCertificateV2 attribute (RFC 5035 3), from the certificate's DER."""
    der = certificate.der
    (whole,) = children(der, 0, len(der))
    body = next(children(der, whole.content, whole.end))
    fields = [each for each in children(der, body.content, body.end) if each.tag != 0xA0][:3]  # noqa: PLR2004 - version
    serial, issuer = (der[each.start : each.end] for each in (fields[0], fields[2]))
    identifier = next(each for each, name in DIGESTS.items() if name == digest)
    entry = tlv(
        0x30,
        b"" if digest == "sha256" else identifier,  # the DEFAULT, which DER leaves out
        tlv(0x04, hashlib.new(digest, der).digest()),
        tlv(0x30, tlv(0x30, tlv(0xA4, issuer)), serial),
    )
    attribute = tlv(0x30, _SIGNING_CERTIFICATE, tlv(0x31, tlv(0x30, tlv(0x30, entry))))
    return tlv(0x30, issuer, serial), attribute
