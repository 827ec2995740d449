"""Timestamp tokens over signature values, read with suspicion (RFC 3161 2.4.2 and appendix A, RFC 5816).

Whether its authority may be believed is a question about a certification path, and not answered here. Only what is
simple is read: one signer, who names its certificate in a signed attribute; nothing critical that we do not know.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from gateway.cms.algorithms import DIGESTS
from gateway.cms.asn1 import CmsError, Node, children, definite
from gateway.cms.signer import digest_name
from gateway.cms.verify import CmsLimits, SignedData, check_signer, open_signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.pki.certificate import Certificate

_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_LIMITS: Final = CmsLimits(octets=128 * 1024, certificates=8, signers=1, crls=2)
_MAX_INFO: Final = 8 * 1024
_MOST_VAGUE: Final = timedelta(minutes=1)
"""The least accuracy that is believed: then the time may be taken as it is told."""
_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_HEAD: Final = [_INTEGER, 0x06, _SEQUENCE, _INTEGER, 0x18]
"""version, policy, messageImprint, serialNumber, genTime."""
_EXTENSIONS: Final = 0xA1
_OPTIONAL: Final = (_SEQUENCE, 0x01, _INTEGER, 0xA0, _EXTENSIONS)
"""accuracy, ordering, nonce, tsa, extensions, in this order."""
_TIME: Final = re.compile(rb"(\d{14})(?:\.(\d{1,6}))?Z")
"""GeneralizedTime in UTC, of microseconds at most (RFC 3161 2.4.2)."""
_UNITS: Final = {_INTEGER: timedelta(seconds=1), 0x80: timedelta(milliseconds=1), 0x81: timedelta(microseconds=1)}


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose own signature is good, by the certificate it names; nobody has asked who that is."""

    at: datetime
    """genTime, aware: by then the signature value was there."""
    certificate: Certificate
    """Of the authority, as it says."""
    data: SignedData
    """What came along: more certificates and revocation lists."""


def read_token(octets: bytes, *, value: bytes, candidates: Sequence[Certificate]) -> Token:
    """Return the token (DER or BER) that was made over a signature value; `candidates` are tried after its own.

    Raises `CmsError` with the first thing that is wrong with it.
    """
    data = open_signed(octets, limits=_LIMITS)
    if data.content_type != _TST_INFO or data.content is None:
        raise CmsError("not_a_timestamp")
    if len(data.signers) != 1:
        raise CmsError("no_signers")
    (signer,) = data.signers
    certificate = signer.certificate((*data.certificates, *candidates))
    if certificate is None:
        raise CmsError("no_signer_certificate")
    if not signer.certificate_hashes:
        raise CmsError("no_signing_certificate")  # RFC 3161 2.4.1: else another one could stand for it
    digest = hashlib.new(signer.digest, data.content).digest() if signer.digest in DIGESTS else b""
    fault = check_signer(signer, content_digest=digest, certificate=certificate)
    if fault is not None:
        raise CmsError(fault)
    return Token(_time_over(definite(data.content, limit=_MAX_INFO), value), certificate, data)


def _time_over(info: bytes, value: bytes) -> datetime:
    """Return genTime of a TSTInfo whose imprint is of the value; raises `CmsError`."""
    (top,) = children(info, 0, len(info))
    fields = list(children(info, top.content, top.end))
    if top.tag != _SEQUENCE or [each.tag for each in fields[:5]] != _HEAD or _octets(info, fields[0]) != b"\x01":
        raise CmsError("malformed_timestamp")
    rest = {each.tag: each for each in fields[5:]}
    if [each.tag for each in fields[5:]] != [tag for tag in _OPTIONAL if tag in rest]:
        raise CmsError("malformed_timestamp")
    _check_imprint(info, fields[2], value)
    if _SEQUENCE in rest and _accuracy(info, rest[_SEQUENCE]) > _MOST_VAGUE:
        raise CmsError("timestamp_too_vague")
    if _EXTENSIONS in rest:
        _check_extensions(info, rest[_EXTENSIONS])
    return _moment(_octets(info, fields[4]))


def _octets(info: bytes, node: Node) -> bytes:
    return info[node.content : node.end]


def _check_imprint(info: bytes, imprint: Node, value: bytes) -> None:
    parts = list(children(info, imprint.content, imprint.end))
    if [each.tag for each in parts] != [_SEQUENCE, 0x04]:
        raise CmsError("malformed_timestamp")
    digest = digest_name(info[parts[0].start : parts[0].end])
    if digest not in DIGESTS:
        raise CmsError("weak_digest")
    if hashlib.new(digest, value).digest() != _octets(info, parts[1]):
        raise CmsError("timestamp_of_something_else")


def _accuracy(info: bytes, node: Node) -> timedelta:
    found = timedelta()
    for each in children(info, node.content, node.end):
        number = _octets(info, each)
        if each.tag not in _UNITS or not number or len(number) > 4 or number[0] & 0x80:  # noqa: PLR2004 - 68 years
            raise CmsError("malformed_timestamp")
        found += int.from_bytes(number, "big") * _UNITS[each.tag]
    return found


def _check_extensions(info: bytes, node: Node) -> None:
    """Refuse critical ones: we know none."""
    for each in children(info, node.content, node.end):
        for part in children(info, each.content, each.end):
            if part.tag == 0x01 and _octets(info, part) != b"\0":
                raise CmsError("critical_extension")


def _moment(octets: bytes) -> datetime:
    found = _TIME.fullmatch(octets)
    if found is None:
        raise CmsError("malformed_timestamp")
    try:
        whole = datetime.strptime(found[1].decode("ascii"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise CmsError("malformed_timestamp") from error
    return whole + timedelta(microseconds=int((found[2] or b"0").ljust(6, b"0")))
