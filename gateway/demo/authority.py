"""A throw-away certification authority shaped like the government's, for the demonstration and for tests (RFC 5280).

Root G2 -> "CA phục vụ các cơ quan Nhà nước G2" -> leaves with emailProtection and the mailbox as rfc822Name.
Its keys live in memory only. Nothing here may ever be trusted outside a demonstration, and the names say so.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

if TYPE_CHECKING:
    from collections.abc import Sequence

KeyShape = Literal["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_CURVES: Final[dict[str, type[ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1]]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
}
_ORGANIZATION: Final = "Ban Cơ yếu Chính phủ (bản dùng thử, không có giá trị)"
_POLICY: Final = ObjectIdentifier("2.16.704.1.1.1.1.1")
_SMARTCARD_LOGON: Final = ObjectIdentifier("1.3.6.1.4.1.311.20.2.2")
LEAF_USAGES: Final = (
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    _SMARTCARD_LOGON,
)


def make_key(shape: KeyShape) -> PrivateKey:
    """Return a new private key of the shape."""
    if shape in _CURVES:
        return ec.generate_private_key(_CURVES[shape]())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(shape.removeprefix("rsa")))


@lru_cache(maxsize=32)
def shared_key(shape: KeyShape, index: int = 0) -> PrivateKey:
    """Return a key made once per process: making RSA keys is what costs time in tests. `index` tells keys apart."""
    del index
    return make_key(shape)


def name(**parts: str) -> x509.Name:
    """Return a distinguished name of the given parts (C, L, O, OU, CN, E), in this order, C always VN."""
    oids = {
        "L": NameOID.LOCALITY_NAME,
        "O": NameOID.ORGANIZATION_NAME,
        "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "CN": NameOID.COMMON_NAME,
        "E": NameOID.EMAIL_ADDRESS,
    }
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")]
    attributes += [x509.NameAttribute(oids[key], value) for key, value in parts.items()]
    return x509.Name(attributes)


@dataclass(frozen=True, slots=True)
class Credential:
    """A leaf with its private key and the intermediates up to, but without, the root. DER throughout."""

    key: PrivateKey
    certificate: bytes
    chain: tuple[bytes, ...]

    def __repr__(self) -> str:
        return "Credential(...)"

    def pkcs12(self, passphrase: bytes, *, label: str = "key") -> bytes:
        """Return key, leaf and chain as PKCS#12, encrypted."""
        return pkcs12.serialize_key_and_certificates(
            label.encode(),
            self.key,
            x509.load_der_x509_certificate(self.certificate),
            [x509.load_der_x509_certificate(each) for each in self.chain],
            serialization.BestAvailableEncryption(passphrase),
        )

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return the private key as PKCS#8 PEM, encrypted if a passphrase is given."""
        protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            protection = serialization.BestAvailableEncryption(passphrase)
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)

    def chain_pem(self) -> bytes:
        """Return leaf and chain as PEM, leaf first."""
        return b"".join(pem(each) for each in (self.certificate, *self.chain))


def pem(certificate: bytes) -> bytes:
    """Return a DER certificate as PEM."""
    return x509.load_der_x509_certificate(certificate).public_bytes(serialization.Encoding.PEM)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=not ca,
        key_encipherment=not ca,
        data_encipherment=not ca,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A root and one intermediate that issues leaves and revocation lists.

    `now` (aware) is the moment everything is made at; keys of `ca_shape` are shared inside a process.
    """

    def __init__(self, now: dt.datetime, *, ca_shape: KeyShape = "rsa2048", family: int = 0) -> None:
        """Make root and intermediate; authorities of another `family` have other keys under the same names."""
        self.now = now
        self._serial = 0x5400_0000_0000_0000 + family * 0x100_0000
        self._root_key = shared_key(ca_shape, 1000 + 2 * family)
        self._issuer_key = shared_key(ca_shape, 1001 + 2 * family)
        self._root_name = name(O=_ORGANIZATION, CN="RootCA chuyên dùng Chính phủ G2")
        self._issuer_name = name(O=_ORGANIZATION, CN="CA phục vụ các cơ quan Nhà nước G2")
        self.root = self._authority(self._root_name, self._root_key, None)
        self.intermediate = self._authority(self._issuer_name, self._issuer_key, 0)

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _authority(self, subject: x509.Name, key: PrivateKey, path_length: int | None) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._root_name)
            .public_key(key.public_key())
            .serial_number(self._next_serial())
            .not_valid_before(self.now - dt.timedelta(days=8 * 365))
            .not_valid_after(self.now + dt.timedelta(days=22 * 365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if subject != self._root_name:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root_key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        return builder.sign(self._root_key, _digest(self._root_key)).public_bytes(serialization.Encoding.DER)

    def issue(  # noqa: PLR0913 - a certificate has that many free parts, all but two with the usual value
        self,
        common_name: str,
        mailbox: str | None,
        *,
        organization: str = "ỦY BAN NHÂN DÂN TỈNH SÔNG LAM",
        shape: KeyShape = "rsa2048",
        key: PrivateKey | None = None,
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
        usages: Sequence[ObjectIdentifier] | None = LEAF_USAGES,
        key_usage: bool = True,
        subject_mailbox: str | None = None,
        more_mailboxes: Sequence[str] = (),
    ) -> Credential:
        """Issue a leaf; `mailbox` None leaves the subjectAltName out, `subject_mailbox` adds the legacy E attribute.

        `usages` None leaves the extended key usage out. Every leaf gets a key of its own unless `key` is given.
        """
        key = key or make_key(shape)
        parts = {"L": "Vinh Lam", "O": organization, "CN": common_name}
        if subject_mailbox is not None:
            parts["E"] = subject_mailbox
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(**parts))
            .issuer_name(self._issuer_name)
            .public_key(key.public_key())
            .serial_number(self._next_serial())
            .not_valid_before(not_before or self.now - dt.timedelta(days=30))
            .not_valid_after(not_after or self.now + dt.timedelta(days=5 * 365 - 30))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._issuer_key.public_key()), critical=False
            )
            .add_extension(x509.CertificatePolicies([x509.PolicyInformation(_POLICY, None)]), critical=False)
        )
        if key_usage:
            builder = builder.add_extension(_usage(ca=False), critical=True)
        if usages is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if mailbox is not None:
            names = [x509.RFC822Name(each) for each in (mailbox, *more_mailboxes)]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._issuer_key, _digest(self._issuer_key))
        return Credential(key, certificate.public_bytes(serialization.Encoding.DER), (self.intermediate,))

    def revocation_lists(
        self, revoked: Sequence[bytes] = (), *, this_update: dt.datetime | None = None, days: float = 7
    ) -> tuple[bytes, bytes]:
        """Return fresh CRLs (DER) of the root and of the intermediate; `revoked` holds DER certificates of leaves."""
        begin = this_update or self.now - dt.timedelta(hours=1)
        lists = []
        for issuer, key, victims in (
            (self._root_name, self._root_key, ()),
            (self._issuer_name, self._issuer_key, tuple(revoked)),
        ):
            builder = (
                x509.CertificateRevocationListBuilder()
                .issuer_name(issuer)
                .last_update(begin)
                .next_update(begin + dt.timedelta(days=days))
                .add_extension(x509.CRLNumber(1), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            )
            for victim in victims:
                entry = x509.RevokedCertificateBuilder()
                entry = entry.serial_number(x509.load_der_x509_certificate(victim).serial_number)
                builder = builder.add_revoked_certificate(entry.revocation_date(begin).build())
            lists.append(builder.sign(key, _digest(key)).public_bytes(serialization.Encoding.DER))
        return lists[0], lists[1]


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """Return the digest that fits the key: some verifiers refuse SHA-256 under P-384."""
    large = isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256  # noqa: PLR2004 - bits of P-256
    return hashes.SHA384() if large else hashes.SHA256()
