"""A certificate as we see it: names, addresses, usages and keys, all of them claims (RFC 5280, RFC 8550, RFC 8398).

Reading must never fail in a way a hostile certificate chooses: what cannot be read raises `CertificateError`, once.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from gateway.core.address import Mailbox
from gateway.core.errors import InputError
from gateway.core.remembered import remembered
from gateway.pki.strength import Strength

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

E = TypeVar("E")

MAX_OCTETS: Final = 64 * 1024
_MAX_KEPT: Final = 8 * 1024
"""Octets of a certificate that is read once and kept: the same signers write again and again."""
_MAX_NAMES: Final = 100
_PSS_KEY: Final = "1.2.840.113549.1.1.10"
_SMTP_UTF8: Final = "1.3.6.1.5.5.7.8.9"
_EMAIL_PROTECTION: Final = "1.3.6.1.5.5.7.3.4"
_ANY_USAGE: Final = "2.5.29.37.0"
_SHORT: Final = {
    "2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
    "2.5.4.12": "T", "1.2.840.113549.1.9.1": "E", "0.9.2342.19200300.100.1.1": "UID", "2.5.4.5": "SERIALNUMBER",
}  # fmt: skip
_UNSHOWABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Controls, and what turns or hides text."""
_ESCAPED: Final = re.compile(r'[,+"\\<>;=]')
_MAX_SHOWN: Final = 512
_EXPLICIT_CURVE: Final = bytes.fromhex("06072a8648ce3d020130")
"""id-ecPublicKey, then parameters where a curve's name should stand (RFC 5480 2.1.1, CVE-2020-0601)."""
_PEM: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,64}-----\s")
_PEM_BEGIN: Final = re.compile(rb"-----BEGIN ((?:X509 )?CERTIFICATE|PKCS7|CMS)-----\s")
_MAX_FILE_CERTIFICATES: Final = 5000


class CertificateError(InputError):
    """The octets are no certificate we can read."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate; equal if the octets are."""

    der: bytes
    parsed: x509.Certificate = field(compare=False, repr=False)
    public_key: PublicKeyTypes | None = field(compare=False, repr=False)
    """None where the key is of a kind, or has parameters, that we do not read."""
    strength: Strength = field(compare=False, repr=False)
    for_pss: bool = field(compare=False)
    """True for an RSA key that must not sign by PKCS#1 v1.5 (RFC 4055 1.2)."""
    san_addresses: tuple[str, ...] = field(compare=False)
    legacy_addresses: tuple[str, ...] = field(compare=False)
    extended_key_usage: frozenset[str] | None = field(compare=False)
    """Dotted OIDs; None where the extension is absent."""
    key_usage: x509.KeyUsage | None = field(compare=False)
    ca: bool = field(compare=False)
    serial_number: int = field(compare=False)
    """Positive, unless its issuer does not keep to RFC 5280 4.1.2.2."""
    subject_key_id: bytes | None = field(compare=False)
    authority_key_id: bytes | None = field(compare=False)
    subject: str = field(compare=False, repr=False)
    """The subject for people, most general part first, diacritics kept."""
    issuer: str = field(compare=False, repr=False)
    """The issuer for people."""
    subject_name: bytes = field(compare=False, repr=False)
    """DER."""
    issuer_name: bytes = field(compare=False, repr=False)
    """DER."""
    fingerprint: str = field(compare=False)
    """SHA-256 of the DER, hexadecimal, lower case."""
    addresses: tuple[str, ...] = field(compare=False, repr=False)
    """Mailboxes it names: subjectAltName first, then the legacy attribute of the subject."""

    @classmethod
    def load(cls, der: bytes) -> Certificate:
        """Return the certificate in these DER octets; raises `CertificateError`."""
        if len(der) > MAX_OCTETS:
            raise CertificateError("certificate_too_large")
        return _kept(der)

    @classmethod
    def _read(cls, der: bytes) -> Certificate:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old government roots have serials and names that newer rules frown on
                parsed = x509.load_der_x509_certificate(der)
                return cls._view(der, parsed)
        except InputError:
            raise
        except Exception as error:  # the parser raises what the certificate's author chooses
            raise CertificateError("malformed_certificate") from error

    @classmethod
    def _view(cls, der: bytes, parsed: x509.Certificate) -> Certificate:
        public_key: PublicKeyTypes | None = None
        with contextlib.suppress(ValueError, UnsupportedAlgorithm, TypeError):
            public_key = parsed.public_key()
        if _EXPLICIT_CURVE in der:  # the parser takes one that spells out a curve it knows
            public_key = None
        _ = parsed.issuer, parsed.not_valid_before_utc, parsed.not_valid_after_utc  # all that is parsed late, now
        extensions = parsed.extensions
        usages = _extension(extensions, x509.ExtendedKeyUsage)
        constraints = _extension(extensions, x509.BasicConstraints)
        subject_id = _extension(extensions, x509.SubjectKeyIdentifier)
        authority_id = _extension(extensions, x509.AuthorityKeyIdentifier)
        names = _extension(extensions, x509.SubjectAlternativeName)
        own = _san_addresses(names) if names is not None else ()
        legacy = _mailboxes(
            str(each.value) for each in parsed.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS)
        )
        return cls(
            der=der,
            parsed=parsed,
            public_key=public_key,
            strength=Strength.of(public_key),
            for_pss=parsed.public_key_algorithm_oid.dotted_string == _PSS_KEY,
            san_addresses=own,
            legacy_addresses=legacy,
            extended_key_usage=frozenset(each.dotted_string for each in usages) if usages is not None else None,
            key_usage=_extension(extensions, x509.KeyUsage),
            ca=constraints is not None and constraints.ca,
            serial_number=parsed.serial_number,
            subject_key_id=subject_id.digest if subject_id is not None else None,
            authority_key_id=authority_id.key_identifier if authority_id is not None else None,
            subject=_name_text(parsed.subject),
            issuer=_name_text(parsed.issuer),
            subject_name=parsed.subject.public_bytes(),
            issuer_name=parsed.issuer.public_bytes(),
            fingerprint=hashlib.sha256(der).hexdigest(),
            addresses=(*own, *(each for each in legacy if each not in own)),
        )

    @classmethod
    def load_all(cls, octets: bytes) -> tuple[Certificate, ...]:
        """Return every certificate of a file: any number of DER or of PEM, or PKCS#7 in either form.

        Raises `CertificateError` if one of them cannot be read; a PEM file without any certificate gives none.
        """
        if _PEM.search(octets) is None:
            if octets[:1] == b"\x30" and octets[:20].find(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02") >= 0:
                return tuple(cls.load(_der(each)) for each in _pkcs7(octets, der=True))
            return tuple(cls.load(each) for each in _sequences(octets))
        found: list[Certificate] = []
        for kind, block in _pem_blocks(octets):
            if kind in {b"PKCS7", b"CMS"}:
                found += (cls.load(_der(each)) for each in _pkcs7(block, der=False))
            else:
                found.append(cls.load(_der_of_pem(block)))
        return tuple(found)

    @property
    def common_name(self) -> str | None:
        """The last common name of the subject."""
        return _last(self.parsed.subject, x509.NameOID.COMMON_NAME)

    @property
    def organization(self) -> str | None:
        """The last organization of the subject."""
        return _last(self.parsed.subject, x509.NameOID.ORGANIZATION_NAME)

    @property
    def serial(self) -> str:
        """The serial number, hexadecimal, upper case."""
        return f"{self.serial_number:X}"

    @property
    def not_before(self) -> datetime:
        """Begin of validity, aware, UTC."""
        return self.parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """End of validity, aware, UTC."""
        return self.parsed.not_valid_after_utc

    @property
    def self_issued(self) -> bool:
        """True if subject and issuer are the same name."""
        return self.parsed.subject == self.parsed.issuer

    @property
    def for_email(self) -> bool:
        """True if usages allow signing mail: emailProtection, any, or no extension at all (RFC 8550 4.4.4)."""
        return self.extended_key_usage is None or bool({_EMAIL_PROTECTION, _ANY_USAGE} & self.extended_key_usage)

    @property
    def for_signatures(self) -> bool:
        """True if the key usage allows signatures on messages (RFC 8550 4.4.2)."""
        return self.key_usage is None or self.key_usage.digital_signature or self.key_usage.content_commitment


def _extension(extensions: x509.Extensions, kind: type[E]) -> E | None:
    """Return an extension's value, None where it is absent."""
    for each in extensions:
        if isinstance(each.value, kind):
            return each.value
    return None


def _name_text(name: x509.Name) -> str:
    """Return "C=VN, O=..., CN=..." with control characters made visible."""
    parts = (f"{_SHORT.get(each.oid.dotted_string, each.oid.dotted_string)}={_value_text(each)}" for each in name)
    return ", ".join(parts)


def _value_text(attribute: x509.NameAttribute[str | bytes]) -> str:
    """Return one value; what would look like another attribute is escaped (RFC 4514 2.4: "O=X, CN=Y" as one O)."""
    value = attribute.value if isinstance(attribute.value, str) else f"#{attribute.value.hex()}"
    return _ESCAPED.sub(r"\\\g<0>", _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", value[:_MAX_SHOWN]))


def _last(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(oid)
    return str(found[-1].value) if found else None


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _der_of_pem(block: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(block.splitlines()[1:-1]), validate=True)
    except ValueError as error:
        raise CertificateError("malformed_pem") from error


def _pem_blocks(octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (label, block with its frame lines) of what may hold certificates; a block without its end is an error."""
    begin = _PEM_BEGIN.search(octets)
    while begin is not None:
        end = b"-----END " + begin[1] + b"-----"
        stop = octets.find(end, begin.end())
        if stop < 0:
            raise CertificateError("malformed_pem")
        yield begin[1], octets[begin.start() : stop + len(end)]
        begin = _PEM_BEGIN.search(octets, stop + len(end))


def _sequences(octets: bytes) -> list[bytes]:
    """Return the DER SEQUENCEs that stand one behind the other; what is no SEQUENCE stays one piece."""
    found: list[bytes] = []
    start = 0
    while octets[start : start + 1] == b"\x30" and start + 2 < len(octets) and len(found) < _MAX_FILE_CERTIFICATES:
        length = octets[start + 1]
        count = length & 0x7F if length & 0x80 else 0
        end = start + 2 + count + (int.from_bytes(octets[start + 2 : start + 2 + count], "big") if count else length)
        found.append(octets[start:end])
        start = end
    return [*found, octets[start:]] if start < len(octets) else found


def _pkcs7(octets: bytes, *, der: bool) -> list[x509.Certificate]:
    try:
        return pkcs7.load_der_pkcs7_certificates(octets) if der else pkcs7.load_pem_pkcs7_certificates(octets)
    except ValueError as error:
        raise CertificateError("malformed_pkcs7") from error


def _san_addresses(names: x509.SubjectAlternativeName) -> tuple[str, ...]:
    """Return rfc822Name and SmtpUTF8Mailbox names, bounded."""
    found: list[str] = []
    for each in list(names)[:_MAX_NAMES]:
        if isinstance(each, x509.RFC822Name):
            found.append(each.value)
        elif isinstance(each, x509.OtherName) and each.type_id.dotted_string == _SMTP_UTF8:
            with contextlib.suppress(ValueError, IndexError):
                text = _utf8_string(each.value)
                if not text.rpartition("@")[0].isascii():  # RFC 9598 3: else it would be an rfc822Name
                    found.append(text)
    return _mailboxes(found)


def _utf8_string(der: bytes) -> str:
    """Return the text of a DER UTF8String shorter than 256 octets."""
    if der[:1] != b"\x0c":
        raise ValueError("not a UTF8String")
    length, start = (der[1], 2) if der[1] < 0x80 else (der[2], 3)  # noqa: PLR2004 - X.690 8.1.3
    if len(der) != start + length:
        raise ValueError("length")
    return der[start:].decode("utf-8")


def _mailboxes(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what is a mailbox, each once; NUL, control characters and lists of addresses fall out (CVE-2009-2408)."""
    found: dict[str, None] = {}
    for text in texts:
        with contextlib.suppress(ValueError):
            found.setdefault(str(Mailbox.parse(text)))
    return tuple(found)


@remembered(2048, octets=_MAX_KEPT)
def _kept(der: bytes) -> Certificate:
    """Read a certificate, once; a value like any other, it is shared by all that hold the same octets."""
    return Certificate._read(der)  # noqa: SLF001 - part of the class, outside for its memory
