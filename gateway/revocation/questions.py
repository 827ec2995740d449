"""What is asked, and what of an answer is kept: OCSP, revocation lists, issuers (RFC 6960, RFC 5280 4.2.2.1 and 5).

An answer is checked before it is kept, so that a lie cannot take the place of the truth for as long as it would be
believed: it must speak of the certificate, be signed for its issuer, and have begun and not ended. Whether it may clear
anybody is judged again where it is used. Checking takes up to 0.1 s for a long list: not for the event loop.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from cryptography import x509

from gateway.core.errors import InputError
from gateway.pki.certificate import Certificate, CertificateError
from gateway.pki.crl import Entry, entry_of, fresh, genuine, read_lists, speaks_for
from gateway.pki.graph import subject_key
from gateway.pki.lists import load_lists
from gateway.pki.ocsp import OcspStatus, read_answer, request_for
from gateway.revocation.cache import Kept, Kind

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.pki.needs import Asked

MAX_ISSUERS: Final = 10
"""Certificates in one answer to caIssuers."""
MAX_URLS: Final = 4
"""Places that are asked for one thing, in their order."""
_MOST_OCTETS: Final = {Kind.OCSP: 256 * 1024, Kind.ISSUERS: 1024 * 1024}


class UnfitError(InputError):
    """An answer that must not be kept; the reason is a stable code for logs."""


class Question(Protocol):
    """One thing that can be asked at one or several places."""

    @property
    def kind(self) -> Kind:
        """What is asked for."""
        ...

    @property
    def urls(self) -> tuple[str, ...]:
        """Where, tried in this order."""
        ...

    @property
    def key(self) -> str:
        """The same for equal questions only: SHA-256, hexadecimal."""
        ...

    def request(self) -> bytes | None:
        """Return what is posted; None where it is a GET. Raises `UnfitError` where nothing can be asked."""
        ...

    def checked(self, octets: bytes, url: str, now: datetime) -> Kept:
        """Return what is kept of an answer (`now` is aware); raises `UnfitError`."""
        ...

    def revokes(self, kept: Kept, now: datetime) -> bool:
        """Return whether an answer that was kept says that the certificate is revoked, however old it is."""
        ...


@dataclass(frozen=True, slots=True)
class StatusQuestion:
    """What a responder says of one certificate."""

    asked: Asked

    @property
    def kind(self) -> Kind:
        """As the promise says."""
        return Kind.OCSP

    @property
    def urls(self) -> tuple[str, ...]:
        """As the promise says."""
        return self.asked.ocsp[:MAX_URLS]

    @property
    def key(self) -> str:
        """Of the certificate and its issuer: any responder may have answered."""
        return _key(Kind.OCSP, self.asked.certificate, self.asked.issuer)

    def request(self) -> bytes:
        """Return the OCSPRequest."""
        return request_for(_loaded(self.asked.certificate), _loaded(self.asked.issuer))

    def checked(self, octets: bytes, url: str, now: datetime) -> Kept:
        """Return a definite answer of an authorized responder, about this certificate, of now."""
        certificate, issuer = _loaded(self.asked.certificate), _loaded(self.asked.issuer)
        answer = read_answer(octets, certificate=certificate, issuer=issuer, at=now)
        if answer.status not in {OcspStatus.GOOD, OcspStatus.REVOKED} or answer.this_update is None:
            raise UnfitError(answer.reason)
        ends = answer.next_update if answer.status is OcspStatus.GOOD else None  # an old "revoked" still says so
        return Kept(Kind.OCSP, self.key, url, now, answer.this_update, ends, (octets,))

    def revokes(self, kept: Kept, now: datetime) -> bool:
        """As the promise says."""
        certificate, issuer = _loaded(self.asked.certificate), _loaded(self.asked.issuer)
        answers = (read_answer(each, certificate=certificate, issuer=issuer, at=now) for each in kept.parts)
        return any(each.status is OcspStatus.REVOKED for each in answers)


@dataclass(frozen=True, slots=True)
class ListQuestion:
    """A revocation list, for the certificates of one issuer."""

    url: str
    asked: Asked

    @property
    def kind(self) -> Kind:
        """As the promise says."""
        return Kind.LIST

    @property
    def urls(self) -> tuple[str, ...]:
        """As the promise says."""
        return (self.url,)

    @property
    def key(self) -> str:
        """Of the place and the issuer: an authority that names the place of another waits for a list of its own."""
        return _key(Kind.LIST, self.url.encode("utf-8", "replace"), self.asked.issuer)

    def request(self) -> None:
        """Return None: lists are got."""

    def checked(self, octets: bytes, url: str, now: datetime) -> Kept:
        """Return the one list in the answer if it is the issuer's own, or of an issuer that the certificate names."""
        try:
            lists = (octets,) if octets[:1] == b"\x30" else load_lists(octets)
        except InputError as error:
            raise UnfitError("malformed_list") from error
        read = read_lists((), lists[:1], at=now)
        if len(lists) != 1 or not read:
            raise UnfitError("malformed_list")
        (one,) = read
        issuer = _loaded(self.asked.issuer)
        if subject_key(issuer) == one.issuer:
            if not genuine(one, (issuer,)):
                raise UnfitError("list_signature")
        elif one.parsed.issuer not in _indirect(_loaded(self.asked.certificate)):
            raise UnfitError("list_of_another_issuer")
        if not fresh(one, now):
            raise UnfitError("list_ended")
        return Kept(Kind.LIST, self.key, url, now, one.begins, one.ends, (one.der,))

    def revokes(self, kept: Kept, now: datetime) -> bool:
        """As the promise says."""
        certificate, issuer = _loaded(self.asked.certificate), _loaded(self.asked.issuer)
        lists = (each for each in read_lists((), kept.parts, at=now) if speaks_for(each, issuer))
        return any(entry_of(each, issuer, certificate, at=now) is not Entry.NONE for each in lists)


@dataclass(frozen=True, slots=True)
class IssuersQuestion:
    """Certificates that may complete a path; whether they do is judged where they are used."""

    url: str

    @property
    def kind(self) -> Kind:
        """As the promise says."""
        return Kind.ISSUERS

    @property
    def urls(self) -> tuple[str, ...]:
        """As the promise says."""
        return (self.url,)

    @property
    def key(self) -> str:
        """Of the place."""
        return _key(Kind.ISSUERS, self.url.encode("utf-8", "replace"))

    def request(self) -> None:
        """Return None: certificates are got."""

    def checked(self, octets: bytes, url: str, now: datetime) -> Kept:
        """Return the authorities' certificates in the answer: DER, PEM or PKCS#7."""
        try:
            found = Certificate.load_all(octets)
        except CertificateError as error:
            raise UnfitError("malformed_certificate") from error
        if not found or len(found) > MAX_ISSUERS:
            raise UnfitError("no_certificate" if not found else "too_many_certificates")
        return Kept(Kind.ISSUERS, self.key, url, now, None, None, tuple(each.der for each in found))

    def revokes(self, kept: Kept, now: datetime) -> bool:
        """Return False: a certificate says nothing of the kind."""
        del kept, now
        return False


def most_octets(kind: Kind, of_lists: int) -> int:
    """Return how long an answer may be; `of_lists` is what the settings grant."""
    return min(_MOST_OCTETS.get(kind, of_lists), of_lists)


def _key(kind: Kind, *parts: bytes) -> str:
    digest = hashlib.sha256(kind.value.encode())
    for each in parts:
        digest.update(len(each).to_bytes(8, "big") + each)
    return digest.hexdigest()


def _loaded(der: bytes) -> Certificate:
    try:
        return Certificate.load(der)
    except CertificateError as error:
        raise UnfitError("malformed_certificate") from error


def _indirect(certificate: Certificate) -> list[x509.Name]:
    """Return the names of other issuers that may list this certificate (cRLIssuer, RFC 5280 4.2.1.13)."""
    found: list[x509.Name] = []
    for extension in certificate.parsed.extensions:
        if isinstance(extension.value, x509.CRLDistributionPoints):
            for point in extension.value:
                found += (each.value for each in point.crl_issuer or () if isinstance(each, x509.DirectoryName))
    return found
