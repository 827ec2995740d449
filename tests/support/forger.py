"""SignedData made octet by octet, so that a test can build what no honest signer would (RFC 5652 5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from gateway.cms.asn1 import tlv
from gateway.cms.verify import check_signer, open_signed
from gateway.pki.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.demo.authority import Credential, PrivateKey

CONTENT: Final = b"Content-Type: text/plain\r\n\r\nChuyen 5 trieu.\r\n"
"""What is signed, unless a test says otherwise."""
DATA: Final = "1.2.840.113549.1.7.1"
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
DIGESTS: Final = {
    "md5": "1.2.840.113549.2.5",
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
RSA: Final = "1.2.840.113549.1.1.1"
PSS: Final = "1.2.840.113549.1.1.10"
SHA256_RSA: Final = "1.2.840.113549.1.1.11"
SHA256_ECDSA: Final = "1.2.840.10045.4.3.2"
HASHES: Final = {
    "md5": hashes.MD5,
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER, written out here so that huge arcs can be made."""
    first, second, *rest = (int(each) for each in dotted.split("."))
    octets = b""
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        octets += bytes(reversed(groups))
    return tlv(0x06, octets)


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE."""
    return tlv(0x30, *parts)


def attribute(name: str, *values: bytes) -> bytes:
    """Return an Attribute with any number of values."""
    return sequence(oid(name), tlv(0x31, *values))


def algorithm(name: str, *parameters: bytes) -> bytes:
    """Return an AlgorithmIdentifier."""
    return sequence(oid(name), *parameters)


def pss(digest: str, *, salt: int, mask: str | None = None, trailer: int | None = None) -> bytes:
    """Return the AlgorithmIdentifier of RSASSA-PSS (RFC 4055 3.1)."""
    parts = [
        tlv(0xA0, algorithm(DIGESTS[digest])),
        tlv(0xA1, algorithm("1.2.840.113549.1.1.8", algorithm(DIGESTS[mask or digest]))),
        tlv(0xA2, tlv(0x02, bytes([salt]))),
    ]
    if trailer is not None:
        parts.append(tlv(0xA3, tlv(0x02, bytes([trailer]))))
    return algorithm(PSS, sequence(*parts))


def raw(key: PrivateKey, data: bytes, digest: str = "sha256") -> bytes:
    """Return the usual signature value of a key."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), HASHES[digest]())
    return key.sign(data, ec.ECDSA(HASHES[digest]()))


@dataclass(frozen=True)
class Forger:
    """One SignerInfo in all its parts; what is not given is as an honest signer would make it."""

    credential: Credential
    digest: str = "sha256"
    signature_algorithm: bytes = b""
    attributes: Sequence[bytes] | None = None
    """Instead of contentType, messageDigest; each complete."""
    more: Sequence[bytes] = ()
    """Beside them."""
    bare: bool = False
    """Without signed attributes."""
    sid: bytes = b""
    sign: Callable[[bytes], bytes] | None = None
    unsigned: bytes = b""

    def but(self, **changes: object) -> Forger:
        """Return another one with changes."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def info(self, content: bytes, content_type: str = DATA) -> bytes:
        """Return the SignerInfo over a content."""
        value = hashlib.new(self.digest, content, usedforsecurity=False).digest()
        usual = [attribute(CONTENT_TYPE, oid(content_type)), attribute(MESSAGE_DIGEST, tlv(0x04, value))]
        given = sorted([*(usual if self.attributes is None else self.attributes), *self.more])
        covered = content if self.bare else tlv(0x31, *given)
        sign = self.sign or (lambda data: raw(self.credential.key, data, self.digest))
        rsa_key = isinstance(self.credential.key, rsa.RSAPrivateKey)
        usual_algorithm = algorithm(RSA if rsa_key else SHA256_ECDSA)
        return sequence(
            tlv(0x02, b"\x01"),
            self.sid or issuer_and_serial(self.credential.certificate),
            algorithm(DIGESTS[self.digest]),
            b"" if self.bare else tlv(0xA0, *given),
            self.signature_algorithm or usual_algorithm,
            tlv(0x04, sign(covered)),
            self.unsigned,
        )

    def cms(self, over: bytes, **parts: object) -> bytes:
        """Return the whole ContentInfo, detached unless told otherwise."""
        return signed_data(
            [self.info(over)],
            certificates=(self.credential.certificate, *self.credential.chain),
            **parts,  # type: ignore[arg-type]
        )


def issuer_and_serial(certificate: bytes) -> bytes:
    """Return the usual signer identifier."""
    parsed = asn1_x509.Certificate.load(certificate)
    return sequence(parsed.issuer.dump(), parsed["tbs_certificate"]["serial_number"].dump())


def signed_data(
    infos: Sequence[bytes],
    *,
    certificates: Sequence[bytes] = (),
    content: bytes | None = None,
    content_type: str = DATA,
    crls: Sequence[bytes] = (),
) -> bytes:
    """Return a ContentInfo around SignerInfos; `content` is a complete element (an OCTET STRING)."""
    data = sequence(
        tlv(0x02, b"\x01"),
        tlv(0x31, algorithm(DIGESTS["sha256"])),
        sequence(oid(content_type), *([] if content is None else [tlv(0xA0, content)])),
        tlv(0xA0, *certificates) if certificates else b"",
        tlv(0xA1, *crls) if crls else b"",
        tlv(0x31, *infos),
    )
    return sequence(oid("1.2.840.113549.1.7.2"), tlv(0xA0, data))


def faults(cms: bytes, *, content: bytes = CONTENT, certificate: bytes | None = None) -> list[str | None]:
    """Return what `check_signer` says of every signer, with its own certificate unless another one is given."""
    data = open_signed(cms)
    found = []
    for signer in data.signers:
        known = (Certificate.load(certificate),) if certificate else data.certificates
        chosen = known[0] if certificate else signer.certificate(known)
        assert chosen is not None
        digest = hashlib.new(signer.digest or "sha256", content, usedforsecurity=False).digest()
        found.append(check_signer(signer, content_digest=digest, certificate=chosen))
    return found


def fault(made: Forger) -> str | None:
    """Return the fault of a forger's one signer over the usual content."""
    (only,) = faults(made.cms(CONTENT))
    return only
