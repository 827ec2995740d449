"""SignedData written from a template that is prepared once per key (RFC 5652, RFC 5035, RFC 8551 2.5).

Per message only digest, time and signature value are filled in: the rest of the DER is made when the key is loaded.
The private key is never seen here: `to_be_signed` goes out, a signature value comes back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from asn1crypto import algos, cms, core, tsp, x509

from gateway.cms.algorithms import Scheme, check_fit, micalg
from gateway.cms.asn1 import length_octets, tlv
from gateway.pki.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def _oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER in DER."""
    return bytes(core.ObjectIdentifier(dotted).dump())


_DATA: Final = _oid("1.2.840.113549.1.7.1")
_SIGNED_DATA: Final = _oid("1.2.840.113549.1.7.2")
_CONTENT_TYPE: Final = _oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST: Final = _oid("1.2.840.113549.1.9.4")
_SIGNING_TIME: Final = _oid("1.2.840.113549.1.9.5")
_CAPABILITIES: Final = _oid("1.2.840.113549.1.9.15")
_SIGNING_CERTIFICATE_V2: Final = _oid("1.2.840.113549.1.9.16.2.47")
_CONTENT_IDENTIFIER: Final = _oid("1.2.840.113549.1.9.16.2.7")
_MOST_IDENTIFIER: Final = 64
_SIZES: Final = {each: hashlib.new(each).digest_size for each in ("sha256", "sha384", "sha512")}
_PREFERENCES: Final = ("2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.2")
"""smimeCapabilities: AES-256-CBC, AES-128-CBC (RFC 8551 2.7)."""
_SET: Final = 0x31
_SEQUENCE: Final = 0x30
_ATTRIBUTES: Final = 0xA0
_FIRST_UTC_TIME_YEAR: Final = 1950
_LAST_UTC_TIME_YEAR: Final = 2049


def _attribute(oid: bytes, value: bytes) -> bytes:
    return tlv(_SEQUENCE, oid, tlv(_SET, value))


@dataclass(frozen=True, slots=True)
class SigningTemplate:
    """All octets of a SignedData that do not depend on the message."""

    scheme: Scheme
    digest: str
    """hashlib name."""
    micalg: str
    certificates: frozenset[bytes]
    """What is sent along, each as DER: the leaf and its intermediates. For whoever checks what was made."""
    _versions: bytes
    """version, digestAlgorithms."""
    _certificates: bytes
    """certificates."""
    _signer_head: bytes
    """version, sid, digestAlgorithm of the one SignerInfo."""
    _signature_algorithm: bytes
    _fixed_attributes: tuple[bytes, ...]

    @classmethod
    def build(cls, certificate: bytes, chain: Sequence[bytes], *, scheme: Scheme, digest: str) -> SigningTemplate:
        """Return the template for a leaf and its intermediates (DER).

        A self-issued certificate in the chain, a root, is left out: readers have it or must not believe it. Raises
        `UnfitKeyError` for a key, scheme and digest we do not sign with, and `CertificateError`.
        """
        leaf = Certificate.load(certificate)
        chain = [each for each in chain if not Certificate.load(each).self_issued]
        check_fit(leaf.public_key, scheme=scheme, digest=digest)
        parsed = x509.Certificate.load(certificate)
        digest_algorithm = algos.DigestAlgorithm({"algorithm": digest}).dump()
        sid = cms.IssuerAndSerialNumber({"issuer": parsed.issuer, "serial_number": parsed.serial_number}).dump()
        certificates = frozenset({certificate, *chain})
        fixed = (
            _attribute(_CONTENT_TYPE, _DATA),
            _attribute(_CAPABILITIES, tlv(_SEQUENCE, *(tlv(_SEQUENCE, _oid(each)) for each in _PREFERENCES))),
            _attribute(_SIGNING_CERTIFICATE_V2, _signing_certificate(parsed, certificate, digest)),
        )
        return cls(
            scheme=scheme,
            digest=digest,
            micalg=micalg(digest),
            certificates=certificates,
            _versions=core.Integer(1).dump() + tlv(_SET, digest_algorithm),
            _certificates=tlv(_ATTRIBUTES, b"".join(sorted(certificates))),
            _signer_head=core.Integer(1).dump() + sid + digest_algorithm,
            _signature_algorithm=_signature_algorithm(scheme, digest),
            _fixed_attributes=fixed,
        )

    @property
    def overhead(self) -> int:
        """Octets the finished CMS has at most beside its content, signature value of RSA-8192 included."""
        fixed = len(self._versions) + len(self._certificates) + len(self._signer_head)
        return fixed + sum(map(len, self._fixed_attributes)) + 2048

    def to_be_signed(
        self, content_digest: bytes, claimed_signing_time: datetime | None, *, identifier: bytes = b""
    ) -> bytes:
        """Return the DER SET OF attributes that the key signs; without a time (aware) the attribute is left out.

        `identifier` is a contentIdentifier (RFC 2634 2.7), at most 64 octets that nobody has had before; empty leaves
        it out. Without one, the same text signed twice in a second has one RSA signature, and whoever remembers
        signatures must take the second message for a replay of the first.
        Raises `ValueError` for a digest of another size than this template's, a naive time, or a longer identifier.
        """
        if len(content_digest) != _SIZES[self.digest]:
            raise ValueError(f"not a {self.digest} digest")
        attributes = [*self._fixed_attributes, _attribute(_MESSAGE_DIGEST, tlv(0x04, content_digest))]
        if claimed_signing_time is not None:
            attributes.append(_attribute(_SIGNING_TIME, _time(claimed_signing_time)))
        if len(identifier) > _MOST_IDENTIFIER:
            raise ValueError("an identifier has at most 64 octets")
        if identifier:
            attributes.append(_attribute(_CONTENT_IDENTIFIER, tlv(0x04, identifier)))
        attributes.sort()
        return tlv(_SET, *attributes)

    def finish(self, to_be_signed: bytes, signature: bytes) -> bytes:
        """Return the DER ContentInfo around what was signed and the signature value; the content stays outside."""
        before, after = self._around(to_be_signed, signature, tlv(_SEQUENCE, _DATA), 0)
        return before + after

    def enclose(self, to_be_signed: bytes, signature: bytes, *, octets: int) -> tuple[bytes, bytes]:
        """Return the DER that stands before and after a content of so many octets, which itself is never copied."""
        string = b"\x04" + length_octets(octets)
        explicit = b"\xa0" + length_octets(len(string) + octets) + string
        head = bytes([_SEQUENCE]) + length_octets(len(_DATA) + len(explicit) + octets) + _DATA + explicit
        return self._around(to_be_signed, signature, head, octets)

    def _around(self, to_be_signed: bytes, signature: bytes, encapsulated: bytes, octets: int) -> tuple[bytes, bytes]:
        """Return what stands before and after the content; `encapsulated` ends where that begins."""
        signer = tlv(
            _SEQUENCE,
            self._signer_head,
            b"\xa0",
            to_be_signed[1:],
            self._signature_algorithm,
            b"\x04" + length_octets(len(signature)),
            signature,
        )
        after = self._certificates + tlv(_SET, signer)
        before = self._versions + encapsulated
        size = len(before) + octets + len(after)
        inner = b"\x30" + length_octets(size)
        explicit = b"\xa0" + length_octets(size + len(inner)) + inner
        whole = b"\x30" + length_octets(size + len(explicit) + len(_SIGNED_DATA))
        return b"".join((whole, _SIGNED_DATA, explicit, before)), after


def _time(moment: datetime) -> bytes:
    """Return UTCTime from 1950 to 2049, GeneralizedTime else, true UTC, no fraction (RFC 5652 11.3)."""
    if moment.tzinfo is None:
        raise ValueError("a signing time needs its time zone")
    utc = moment.astimezone(UTC)
    if _FIRST_UTC_TIME_YEAR <= utc.year <= _LAST_UTC_TIME_YEAR:
        return tlv(0x17, utc.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    return tlv(0x18, utc.strftime("%Y%m%d%H%M%SZ").encode("ascii"))


def _signing_certificate(parsed: x509.Certificate, der: bytes, digest: str) -> bytes:
    """Return SigningCertificateV2 with hash, issuer and serial number (RFC 5035 3)."""
    identifier = {
        "cert_hash": hashlib.new(digest, der).digest(),
        "issuer_serial": {
            "issuer": [x509.GeneralName("directory_name", parsed.issuer)],
            "serial_number": parsed.serial_number,
        },
    }
    if digest != "sha256":  # sha256 is the DEFAULT, and DER leaves defaults out
        identifier["hash_algorithm"] = {"algorithm": digest}
    return bytes(tsp.SigningCertificateV2({"certs": [identifier]}).dump())


def _signature_algorithm(scheme: Scheme, digest: str) -> bytes:
    """Return the AlgorithmIdentifier (RFC 4055 for PSS, RFC 5754 for the others)."""
    match scheme:
        case Scheme.PKCS1V15:
            return bytes(algos.SignedDigestAlgorithm({"algorithm": "rsassa_pkcs1v15"}).dump())
        case Scheme.ECDSA:
            return bytes(algos.SignedDigestAlgorithm({"algorithm": f"{digest}_ecdsa"}).dump())
        case Scheme.PSS:
            parameters = {
                "hash_algorithm": {"algorithm": digest},
                "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": digest}},
                "salt_length": hashlib.new(digest).digest_size,
            }
            return bytes(algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters}).dump())
