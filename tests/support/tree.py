"""Certificates and revocation lists of any shape, for tests of paths; every name is invented (RFC 5280)."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.demo.authority import make_key, name
from gateway.pki.certificate import Certificate
from support.letters import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.demo.authority import PrivateKey

DAY: Final = dt.timedelta(days=1)
_SERIALS: Final = itertools.count(0x7000)


def utf8_mailbox(mailbox: str) -> x509.OtherName:
    """Return SmtpUTF8Mailbox (RFC 9598 3)."""
    octets = mailbox.encode()
    return x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9"), bytes([0x0C, len(octets)]) + octets)


def usage(*names: str) -> x509.KeyUsage:
    """Return a key usage of these bits only."""
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{each: each in names for each in every})


@dataclass(frozen=True)
class Node:
    """A certificate with its key; `issue` makes one below it."""

    certificate: Certificate
    key: PrivateKey

    def issue(  # noqa: PLR0913 - a certificate has that many free parts
        self,
        common_name: str,
        *,
        key: PrivateKey | None = None,
        ca: bool = False,
        extensions: Sequence[x509.ExtensionType] = (),
        start: dt.datetime = NOW - 30 * DAY,
        end: dt.datetime = NOW + 300 * DAY,
        email: str | None = None,
        path_length: int | None = None,
        key_ids: bool = True,
        digest: hashes.HashAlgorithm | None = None,
        critical: bool = False,
    ) -> Node:
        """Return a new certificate; `critical` makes all its extensions so."""
        chosen = key or make_key("p256")
        parts = {"CN": common_name} if email is None else {"CN": common_name, "E": email}
        return _signed(
            name(**parts), self.certificate.parsed.subject, chosen, self.key, ca=ca, extensions=extensions,
            span=(start, end), path_length=path_length, key_ids=key_ids, digest=digest, critical=critical,
        )  # fmt: skip

    def revocation_list(
        self,
        *revoked: Certificate,
        start: dt.datetime = NOW - DAY,
        end: dt.datetime = NOW + 7 * DAY,
        reason: x509.ReasonFlags | None = None,
    ) -> bytes:
        """Return a complete CRL (DER)."""
        subject = self.certificate.parsed.subject
        builder = x509.CertificateRevocationListBuilder().issuer_name(subject).last_update(start).next_update(end)
        builder = builder.add_extension(x509.CRLNumber(next(_SERIALS)), critical=False)
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(key_id, critical=False)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.parsed.serial_number).revocation_date(start)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def root(
    common_name: str = "Gốc",
    *,
    key: PrivateKey | None = None,
    start: dt.datetime = NOW - 900 * DAY,
    end: dt.datetime = NOW + 9000 * DAY,
) -> Node:
    """Return a self-signed authority."""
    chosen = key or make_key("p256")
    subject = name(CN=common_name)
    return _signed(subject, subject, chosen, chosen, ca=True, extensions=(), span=(start, end), path_length=None)


def _signed(  # noqa: PLR0913 - as above
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    signer: PrivateKey,
    *,
    ca: bool,
    extensions: Sequence[x509.ExtensionType],
    span: tuple[dt.datetime, dt.datetime],
    path_length: int | None,
    key_ids: bool = True,
    digest: hashes.HashAlgorithm | None = None,
    critical: bool = False,
) -> Node:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(next(_SERIALS))
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if key_ids:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(above, critical=False)
    for each in extensions:
        must = critical or isinstance(each, x509.KeyUsage | x509.NameConstraints)
        builder = builder.add_extension(each, critical=must)
    if ca and not any(isinstance(each, x509.KeyUsage) for each in extensions):
        builder = builder.add_extension(usage("key_cert_sign", "crl_sign"), critical=True)
    made = builder.sign(signer, digest or hashes.SHA256())  # type: ignore[arg-type]
    return Node(Certificate.load(made.public_bytes(serialization.Encoding.DER)), key)
