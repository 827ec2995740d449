"""One SignerInfo: what it says of itself, each attribute counted (RFC 5652 5.3 and 11, RFC 5035, RFC 8419, RFC 9882).

What is wrong with a signer becomes its `fault`, so that the other signers are still seen. No key is tried here.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from asn1crypto import algos, cms, core, tsp
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.cms.algorithms import DIGESTS
from gateway.cms.asn1 import CmsError, Node, children, head, sorted_set
from gateway.core.remembered import remembered
from gateway.pki.graph import issuer_key, name_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.pki.certificate import Certificate

DATA: Final = "1.2.840.113549.1.7.1"
_DIGEST_OIDS: Final = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "1.3.14.3.2.26": "sha1",
    "1.2.840.113549.2.5": "md5",
    "2.16.840.1.101.3.4.2.4": "sha224",
}
_SIGNATURE_OIDS: Final[dict[str, tuple[str, str | None]]] = {
    "1.2.840.113549.1.1.1": ("rsa", None),
    "1.2.840.113549.1.1.4": ("rsa", "md5"),
    "1.2.840.113549.1.1.5": ("rsa", "sha1"),
    "1.2.840.113549.1.1.14": ("rsa", "sha224"),
    "1.2.840.113549.1.1.11": ("rsa", "sha256"),
    "1.2.840.113549.1.1.12": ("rsa", "sha384"),
    "1.2.840.113549.1.1.13": ("rsa", "sha512"),
    "1.2.840.113549.1.1.10": ("pss", None),
    "1.2.840.10045.2.1": ("ecdsa", None),
    "1.2.840.10045.4.1": ("ecdsa", "sha1"),
    "1.2.840.10045.4.3.1": ("ecdsa", "sha224"),
    "1.2.840.10045.4.3.2": ("ecdsa", "sha256"),
    "1.2.840.10045.4.3.3": ("ecdsa", "sha384"),
    "1.2.840.10045.4.3.4": ("ecdsa", "sha512"),
    "1.3.101.112": ("ed25519", None),
    "2.16.840.1.101.3.4.3.17": ("ml_dsa_44", None),
    "2.16.840.1.101.3.4.3.18": ("ml_dsa_65", None),
    "2.16.840.1.101.3.4.3.19": ("ml_dsa_87", None),
}
"""OID -> family of the key, and the digest it fixes (None: the SignerInfo's)."""
_PSS: Final = "1.2.840.113549.1.1.10"
_FITTING_DIGESTS: Final = {
    "ed25519": {"sha512"},  # RFC 8419 3.1
    "ml_dsa_44": {"sha256", "sha384", "sha512"},  # RFC 9882 3.3
    "ml_dsa_65": {"sha384", "sha512"},
    "ml_dsa_87": {"sha512"},
}
_FAMILY_TEXT: Final = {"rsa": "PKCS#1 v1.5", "pss": "PSS", "ecdsa": "ECDSA", "ed25519": "EdDSA"}
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_SINGLE: Final = (_CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME, _SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_V2)
"""Attributes that have one value (RFC 5652 11, RFC 5035 4)."""
_UTC_TIME: Final = re.compile(rb"\x17\x0d[0-9]{12}Z")
_TIMESTAMP: Final = "1.2.840.113549.1.9.16.2.14"
_MAX_OCTETS: Final = 64 * 1024
"""Of one SignerInfo without its unsigned attributes."""
_MAX_ATTRIBUTES: Final = 32
_MAX_VALUES: Final = 16
_MAX_TOKENS: Final = 2
"""Timestamp tokens that are kept: more than one is one too many."""
_WEAK: Final = "weak_digest"


class SignerInfo(NamedTuple):
    """One signer: what it says, and in `fault` the stable code of what is wrong with it before any key is tried."""

    digest: str
    """hashlib name of the digest over the content; "" where unknown."""
    family: str
    """As in `algorithms.Algorithm`; "" where unknown."""
    claimed_signing_time: datetime | None
    signature: bytes
    fault: str | None
    issuer: str | bytes | None
    """In the form in which names are compared."""
    serial_number: int | None
    key_id: bytes | None
    message_digest: bytes | None
    signed_attributes: bytes | None
    """The SET OF as it came, with its universal tag; None without attributes."""
    signature_digest: str
    salt_length: int | None
    certificate_hashes: tuple[tuple[str, bytes], ...]
    """signingCertificate(V2): digest name and hash of the first certificate each attribute names."""
    timestamps: tuple[bytes, ...]
    """Timestamp tokens (DER) among the unsigned attributes: anybody may have put them there."""

    def certificate(self, candidates: Sequence[Certificate]) -> Certificate | None:
        """Return the candidate that the signer identifier names, None if there is none.

        A key identifier names every certificate of the key: the one that lasts longest is meant, the others are those
        from before it was renewed.
        """
        if self.key_id is not None:
            named = (each for each in candidates if each.subject_key_id == self.key_id)
            return max(named, key=lambda each: each.not_after, default=None)
        for each in candidates:
            if self.issuer is not None and each.serial_number == self.serial_number and issuer_key(each) == self.issuer:
                return each
        return None

    def algorithm_with(self, certificate: Certificate) -> str:
        """Return "RSA-2048 PKCS#1 v1.5 SHA-256" and the like."""
        return f"{certificate.strength.text} {self.algorithm}"

    @property
    def algorithm(self) -> str:
        """The algorithm for people, without the key's size."""
        family = _FAMILY_TEXT.get(self.family, self.family.upper().replace("_", "-"))
        return f"{family or 'unknown'} {self.digest.upper().replace('SHA', 'SHA-') or 'unknown'}"

    @property
    def signature_identity(self) -> str:
        """SHA-256, hexadecimal, of what nobody but the signer can have made of the signature value.

        Of an ECDSA signature (r, s) everybody makes (r, n - s), which is as good: only r, drawn anew for each one, says
        whether it was seen before. Values of the other algorithms have one form.
        """
        value = self.signature
        if self.family == "ecdsa":
            with suppress(ValueError):  # what is no such signature is good for nothing, by whatever name
                r, _ = decode_dss_signature(value)
                value = b"%x" % r
        return hashlib.sha256(value).hexdigest()

    def canonical_attributes(self) -> bytes | None:
        """Return the signed attributes as DER where they came in another encoding: the signature may be over either.

        RFC 5652 5.4 wants DER; senders that sign what they send, unsorted, are read by everybody else, too. Both hold
        the same attributes, so nothing can be hidden in the difference.
        """
        canonical = sorted_set(self.signed_attributes) if self.signed_attributes is not None else None
        return canonical if canonical != self.signed_attributes else None


def read_signer(octets: bytes, node: Node, *, content_type: str) -> SignerInfo:
    """Return the signer at `node`; raises `CmsError`, or what asn1crypto raises on hostile octets."""
    parts = list(children(octets, node.content, node.end))
    fields = [each for each in parts if each.tag != 0xA1]  # noqa: PLR2004 - [1]: unsigned attributes
    if fields and fields[-1].end - node.start > _MAX_OCTETS:
        raise CmsError("signer_too_large")
    given = fields.pop(3) if len(fields) == 6 and fields[3].tag == 0xA0 else None  # noqa: PLR2004 - with attributes
    if node.tag != 0x30 or [each.tag for each in fields] not in _SHAPES:  # noqa: PLR2004 - SEQUENCE
        raise CmsError("malformed_cms")
    _, sid, digest_algorithm, signature_algorithm = (octets[each.start : each.end] for each in fields[:4])
    digest = digest_name(digest_algorithm)
    family, fixed = _SIGNATURE_OIDS.get(_algorithm(signature_algorithm), ("", None))
    faults: list[str] = []
    signature_digest, salt_length = fixed or digest, None
    if family == "pss":
        signature_digest, salt_length = _pss(signature_algorithm, faults)
    attributes = _Attributes(given and octets[given.start : given.end], content_type=content_type, faults=faults)
    _check_algorithms(family, digest=digest, signature_digest=signature_digest, faults=faults)
    if family in _FITTING_DIGESTS and given is None:
        faults.append("unknown_algorithm")  # they sign the content itself, and we have kept only its digest
    issuer, serial, key_id = _identifier(sid)
    return SignerInfo(
        digest=digest,
        family=family,
        claimed_signing_time=attributes.claimed_signing_time,
        signature=octets[fields[4].content : fields[4].end],
        fault=min(faults, key=_WEAK.__eq__, default=None),  # "too weak" only where nothing is plainly wrong
        issuer=issuer,
        serial_number=serial,
        key_id=key_id,
        message_digest=attributes.message_digest,
        signed_attributes=attributes.octets,
        signature_digest=signature_digest,
        salt_length=salt_length,
        certificate_hashes=attributes.certificate_hashes,
        timestamps=_tokens(octets, [each for each in parts if each.tag == 0xA1]),  # noqa: PLR2004 - as above
    )


_SHAPES: Final = ([0x02, 0x30, 0x30, 0x30, 0x04], [0x02, 0x80, 0x30, 0x30, 0x04])
"""version, sid (issuerAndSerialNumber or [0] subjectKeyIdentifier), two algorithms, signature."""


@remembered(2048, octets=1024)
def _identifier(sid: bytes) -> tuple[str | bytes | None, int | None, bytes | None]:
    """Return issuer, in the form in which names are compared, and serial number; or the key identifier."""
    if sid[0] == 0x80:  # noqa: PLR2004 - [0]
        return None, None, sid[2:] if sid[1] < 0x80 else b""  # noqa: PLR2004 - X.690 8.1.3.4; longer ones fit nothing
    named = cms.IssuerAndSerialNumber.load(sid, strict=True)
    return name_key(named["issuer"].dump()), int(named["serial_number"].native), None


def digest_name(identifier: bytes) -> str:
    """Return the hashlib name of an AlgorithmIdentifier's digest, "" for one that is unknown."""
    return _DIGEST_OIDS.get(_algorithm(identifier), "")


@remembered(128, octets=64)
def _algorithm(identifier: bytes) -> str:
    """Return the dotted OID of an AlgorithmIdentifier, "" where it has parameters that the algorithm has not.

    No signature covers them: what stands there must not be a second reading. Absent and NULL are the same (RFC 5754 2).
    """
    _, content, end = head(identifier, 0, len(identifier))
    name, *parameters = (identifier[each.start : each.end] for each in children(identifier, content, end or content))
    if name[0] != 0x06:  # noqa: PLR2004 - OBJECT IDENTIFIER
        raise CmsError("malformed_cms")
    oid = dotted(name)
    return oid if oid == _PSS or parameters in ([], [b"\x05\x00"]) else ""


def _check_algorithms(family: str, *, digest: str, signature_digest: str, faults: list[str]) -> None:
    if not digest or not family:
        faults.append("unknown_algorithm")
        return
    if signature_digest != digest or digest not in _FITTING_DIGESTS.get(family, {digest}):
        faults.append("algorithm_mismatch")
    if digest not in DIGESTS:
        faults.append(_WEAK)


def _pss(identifier: bytes, faults: list[str]) -> tuple[str, int | None]:
    """Return digest and salt length of RSASSA-PSS parameters (RFC 4055 3.1); the mask must use the same digest."""
    parameters = algos.SignedDigestAlgorithm.load(identifier, strict=True)["parameters"]
    if isinstance(parameters, core.Void | core.Null):
        return "sha1", 20  # the defaults
    digest = _DIGEST_OIDS.get(parameters["hash_algorithm"]["algorithm"].dotted, "")
    mask = parameters["mask_gen_algorithm"]
    mgf1 = mask["algorithm"].dotted == "1.2.840.113549.1.1.8"
    if not mgf1 or _DIGEST_OIDS.get(mask["parameters"]["algorithm"].dotted) != digest:
        faults.append("unknown_algorithm")
    if int(parameters["trailer_field"]) != 1:
        faults.append("unknown_algorithm")
    return digest, int(parameters["salt_length"])


class _Attributes:
    """The signed attributes of one signer, each counted (RFC 5652 5.3, 11)."""

    def __init__(self, given: bytes | None, *, content_type: str, faults: list[str]) -> None:
        self.claimed_signing_time: datetime | None = None
        self.message_digest: bytes | None = None
        self.octets: bytes | None = None
        self.certificate_hashes: tuple[tuple[str, bytes], ...] = ()
        if given is None:
            if content_type != DATA:
                faults.append("attributes_missing")
            return
        self.octets = b"\x31" + given[1:]
        values: dict[str, list[bytes]] = {}
        tag, content, end = head(self.octets, 0, len(self.octets))
        for oid, found in _attributes(self.octets, Node(tag, 0, content, end or content)):
            if oid in values:
                faults.append("duplicate_attribute")
            values.setdefault(oid, []).extend(found)
        if any(len(values.get(oid, ())) > 1 for oid in _SINGLE):
            faults.append("duplicate_attribute")
        if not values.get(_CONTENT_TYPE) or not values.get(MESSAGE_DIGEST):
            faults.append("attributes_missing")
            return
        if dotted(values[_CONTENT_TYPE][0]) != content_type:
            faults.append("content_type_mismatch")
        self.message_digest = _octet_string(values[MESSAGE_DIGEST][0])
        self._signing_time(values.get(SIGNING_TIME, []), faults)
        self._certificates(values, faults)

    def _signing_time(self, given: Sequence[bytes], faults: list[str]) -> None:
        if not given:
            return
        self.claimed_signing_time = _moment(given[0])
        if self.claimed_signing_time is None:
            faults.append("malformed_signing_time")

    def _certificates(self, values: dict[str, list[bytes]], faults: list[str]) -> None:
        """Take the first certificate of signingCertificate and its second version: the signer's (RFC 5035 4)."""
        found: list[tuple[str, bytes]] = []
        for oid, first in ((_SIGNING_CERTIFICATE_V2, _first_v2), (_SIGNING_CERTIFICATE, _first_v1)):
            for each in values.get(oid, ())[:1]:
                named = first(each)
                if named is None:
                    faults.append("malformed_signing_certificate")
                else:
                    found.append(named)
        self.certificate_hashes = tuple(found)


@remembered(2048, octets=1024)
def _first_v2(value: bytes) -> tuple[str, bytes] | None:
    """Return the digest's name and the hash that a signingCertificateV2 begins with, None where it is empty."""
    certs = tsp.SigningCertificateV2.load(value, strict=True)["certs"]
    if len(certs) == 0:
        return None
    return _DIGEST_OIDS.get(certs[0]["hash_algorithm"]["algorithm"].dotted, ""), bytes(certs[0]["cert_hash"])


@remembered(512, octets=1024)
def _first_v1(value: bytes) -> tuple[str, bytes] | None:
    """Return the same of a signingCertificate."""
    certs = tsp.SigningCertificate.load(value, strict=True)["certs"]
    return ("sha1", bytes(certs[0]["cert_hash"])) if len(certs) else None


def _octet_string(value: bytes) -> bytes:
    if value[0] == 0x04 and value[1] < 0x80 and len(value) == 2 + value[1]:  # noqa: PLR2004 - X.690 8.7, 8.1.3.4
        return value[2:]
    return bytes(core.OctetString.load(value, strict=True))


def utc_time(value: bytes) -> datetime | None:
    """Return an (aware) UTCTime as nearly everybody writes it, None for whatever else it is."""
    if _UTC_TIME.fullmatch(value) is not None:
        with suppress(ValueError):
            text = value[2:14].decode("ascii")
            return datetime.fromisoformat(f"{'20' if text < '5' else '19'}{text[:6]}T{text[6:]}+00:00")
    return None


def _moment(value: bytes) -> datetime | None:
    """Return an (aware) Time, None where it is none."""
    found = utc_time(value)
    if found is not None:
        return found
    moment = cms.Time.load(value, strict=True).native
    if not isinstance(moment, datetime):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _attributes(octets: bytes, node: Node) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Yield OID and values of each attribute in a SET; raises `CmsError` for more of them than anybody has."""
    for number, each in enumerate(children(octets, node.content, node.end)):
        if number >= _MAX_ATTRIBUTES:
            raise CmsError("too_many_attributes")
        yield _attribute(octets[each.start : each.end])


@remembered(2048, octets=256)
def _attribute(octets: bytes) -> tuple[str, tuple[bytes, ...]]:
    """Return OID and values of one attribute: most that a signer writes are the same each time."""
    tag, content, end = head(octets, 0, len(octets))
    parts = list(islice(children(octets, content, end or content), 3))
    if tag != 0x30 or [part.tag for part in parts] != [0x06, 0x31]:  # noqa: PLR2004 - SEQUENCE of OID and SET
        raise CmsError("malformed_cms")
    oid, several = parts
    values = list(islice(children(octets, several.content, several.end), _MAX_VALUES + 1))
    if len(values) > _MAX_VALUES:
        raise CmsError("too_many_attributes")
    return dotted(octets[oid.start : oid.end]), tuple(octets[one.start : one.end] for one in values)


@remembered(512, octets=66)
def dotted(oid: bytes) -> str:
    """Return an OBJECT IDENTIFIER for people; raises what asn1crypto does."""
    return str(core.ObjectIdentifier.load(oid, strict=True).dotted)


def _tokens(octets: bytes, nodes: Sequence[Node]) -> tuple[bytes, ...]:
    """Return the timestamp tokens among unsigned attributes; what else is there, or malformed, is nobody's business."""
    found: list[bytes] = []
    with suppress(CmsError, ValueError, TypeError):
        for node in nodes:
            for oid, values in _attributes(octets, node):
                found += values if oid == _TIMESTAMP else ()
    return tuple(found[:_MAX_TOKENS])
