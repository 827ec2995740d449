"""What is missing to judge certificates, and what was found of it (RFC 5280 4.2.2.1 and 6.3, RFC 6960).

Everything here names places that a stranger's certificate chose: whoever fetches decides where it goes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from gateway.pki.bounds import too_complex
from gateway.pki.crl import read_lists
from gateway.pki.fitness import Purpose, unfit
from gateway.pki.graph import Search
from gateway.pki.path import Revocation
from gateway.pki.pkix import Rules, fault_of
from gateway.pki.revocation import AtHand, RevocationState, statuses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from gateway.pki.certificate import Certificate
    from gateway.pki.graph import Path
    from gateway.pki.path import TrustAnchors

MAX_STATUSES: Final = 8
MAX_ISSUERS: Final = 4
_MAX_URLS: Final = 4
"""Of one kind in one certificate."""
_MAX_URL: Final = 1024
_MAX_PATHS: Final = 3
"""Candidate paths that are asked about: the first that holds is mostly the only one."""
_COMPLETABLE: Final = frozenset({"no_path", "unknown_root"})
_OCSP: Final = AuthorityInformationAccessOID.OCSP
_ISSUERS: Final = AuthorityInformationAccessOID.CA_ISSUERS


@dataclass(frozen=True, slots=True)
class Asked:
    """One certificate of a candidate path whose revocation state is to be found out; both as DER."""

    certificate: bytes
    issuer: bytes
    ocsp: tuple[str, ...]
    """URLs of responders, in the certificate's order."""
    lists: tuple[str, ...]
    """URLs of revocation lists, in the certificate's order."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What somebody would have to fetch; bounded in number."""

    issuers: tuple[str, ...] = ()
    """URLs of certificates that may complete a path (caIssuers)."""
    statuses: tuple[Asked, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.issuers or self.statuses)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was fetched, or was still fresh in a cache; DER. It is checked where it is used, like a stranger's."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    """OCSPResponse."""
    troubles: tuple[str, ...] = ()
    """"HOST: what went wrong", for logs."""
    until: datetime | None = None
    """When the first of it will be too old to be believed from a cache; None: what rests on it is not to be kept."""


NOTHING_FOUND = Evidence()


def needs_of(
    leaf: Certificate,
    *,
    trust: TrustAnchors,
    untrusted: Sequence[Certificate],
    crls: Sequence[bytes],
    ocsps: Sequence[bytes],
    at: datetime,
    revocation: Revocation,
) -> Needs:
    """Return what could settle whether a path to the leaf holds, where what is at hand does not; never raises.

    Where a path reaches an anchor: the revocation state of each certificate below it that is not known to be good.
    Where none does: the issuers of those at which the search ended. `OFF` asks for no states. Only plain http.
    """
    try:
        found = Search(trust.anchors, trust.intermediates, untrusted, at=at).run(leaf)
        if unfit(leaf, Purpose.ANY) is not None or not leaf.not_before <= at <= leaf.not_after or leaf in trust.anchors:
            return Needs()
        if not found.candidates:
            return Needs(issuers=_issuers(found.open_ends)) if found.dead_end in _COMPLETABLE else Needs()
        if revocation is Revocation.OFF:
            return Needs()
        at_hand = AtHand(read_lists(trust.crls, crls, at=at), tuple(ocsps))
        bag = (*trust.intermediates, *untrusted)
        asked = (each for path in found.candidates[:_MAX_PATHS] for each in _unknown(path, at_hand, bag, at))
        return Needs(statuses=tuple(itertools.islice(dict.fromkeys(asked), MAX_STATUSES)))
    except Exception:  # noqa: BLE001 - parsers raise what a hostile certificate makes them raise; it will not be valid
        return Needs()


def joined(several: Iterable[Needs]) -> Needs:
    """Return the needs of several signers as one, each thing once, within the bounds of one."""
    found = tuple(several)
    issuers = dict.fromkeys(url for each in found for url in each.issuers)
    asked = dict.fromkeys(one for each in found for one in each.statuses)
    return Needs(tuple(issuers)[:MAX_ISSUERS], tuple(asked)[:MAX_STATUSES])


def named_places(certificate: Certificate) -> tuple[str, ...]:
    """Return the URLs that a certificate names for its issuer and its revocation state."""
    return (*_access(certificate, _OCSP), *_lists(certificate), *_access(certificate, _ISSUERS))


def _issuers(ends: Sequence[Certificate]) -> tuple[str, ...]:
    urls = (url for each in ends for url in _access(each, _ISSUERS))
    return tuple(itertools.islice(dict.fromkeys(urls), MAX_ISSUERS))


def _unknown(path: Path, at_hand: AtHand, bag: Sequence[Certificate], at: datetime) -> Iterator[Asked]:
    """Yield those of a path whose state is not known; nobody needs to be asked about a path that does not hold."""
    if too_complex(path) or fault_of(path, Rules(at=at)) is not None:
        return
    states = statuses(path, at_hand, bag, at=at)
    if any(each.state is RevocationState.REVOKED for each in states):
        return
    for (issuer, certificate), status in zip(itertools.pairwise(path), states, strict=True):
        if status.state is not RevocationState.GOOD:
            asked = Asked(certificate.der, issuer.der, _access(certificate, _OCSP), _lists(certificate))
            if asked.ocsp or asked.lists:
                yield asked


def _access(certificate: Certificate, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    try:
        found = certificate.parsed.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    return _plain(each.access_location for each in found if each.access_method == method)


def _lists(certificate: Certificate) -> tuple[str, ...]:
    try:
        points = certificate.parsed.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ()
    return _plain(name for point in points for name in point.full_name or ())


def _plain(names: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    """Return the http URLs among names, a few; directories and file: are nobody's to open."""
    urls = (each.value for each in names if isinstance(each, x509.UniformResourceIdentifier))
    fit = (each for each in urls if each[:7].lower() == "http://" and len(each) <= _MAX_URL and _is_printable(each))
    return tuple(itertools.islice(dict.fromkeys(fit), _MAX_URLS))


def _is_printable(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
