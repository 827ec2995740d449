"""Revocation lists, read once and kept: who issued one, until when it speaks, whom it names (RFC 5280 5 and 6.3).

A list of 50,000 entries takes 0.1 s to read, and a look-up by the parser walks through all of it. So lists that proved
genuine are kept in a bounded cache with a set of their serial numbers; a stranger's list never gets in, and pushes
nothing out. The cache is keyed by the octets themselves: equal octets are the same list, and whoever holds one list
for long pays for comparing it once. Safe to use from several threads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID

from gateway.pki.graph import name_key, subject_key
from gateway.pki.signature import made_by
from gateway.pki.strength import STRONG_DIGESTS, costly_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gateway.pki.certificate import Certificate

MAX_OCTETS: Final = 32 * 1024 * 1024
"""Of one list: a million entries."""
_KEPT_LISTS: Final = 64
_KEPT_OCTETS: Final = 64 * 1024 * 1024
_PARTIAL: Final = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.DELTA_CRL_INDICATOR})
_CRITICAL: Final = b"\x01\x01\xff"
"""How "critical" is encoded in every extension that is: octets without it hold none."""
_BACK: Final = frozenset({x509.ReasonFlags.certificate_hold, x509.ReasonFlags.remove_from_crl})


@dataclass(frozen=True, slots=True, eq=False)
class RevocationList:
    """A CRL that can be read; whether it is genuine is `genuine`'s to say."""

    der: bytes
    parsed: x509.CertificateRevocationList
    issuer: str | bytes
    """In the form in which names are compared."""
    begins: datetime
    ends: datetime | None
    complete: bool
    """It has neither critical extensions nor a scope: it speaks for every certificate of its issuer."""


class Entry(StrEnum):
    """What a complete list says about a certificate of its issuer."""

    NONE = "none"
    ON_HOLD = "on_hold"
    """Not to be believed now, and maybe back later."""
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A genuine list: by whose key, and what it names."""

    read: RevocationList
    key: bytes
    """SubjectPublicKeyInfo of the issuer."""
    serials: frozenset[int]
    understood: bool
    """No entry has a critical extension: such a list must not be used without understanding it (RFC 5280 5.3)."""


class _Cache:
    """The genuine lists that were used last, within bounds of number and octets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._octets = 0

    def get(self, der: bytes) -> _Kept | None:
        with self._lock:
            found = self._kept.get(der)
            if found is not None:
                self._kept.move_to_end(der)
            return found

    def put(self, kept: _Kept) -> None:
        der = kept.read.der
        with self._lock:
            if self._kept.pop(der, None) is None:
                self._octets += len(der)
            self._kept[der] = kept
            while len(self._kept) > _KEPT_LISTS or (self._octets > _KEPT_OCTETS and len(self._kept) > 1):
                gone, _ = self._kept.popitem(last=False)
                self._octets -= len(gone)


_CACHE: Final = _Cache()


def read_lists(pinned: Iterable[bytes], strangers: Iterable[bytes] = (), *, at: datetime) -> tuple[RevocationList, ...]:
    """Return the CRLs that can be used at all; what is malformed, weakly signed or from the future falls out.

    How many `strangers` there are is the caller's to bound. What is pinned comes first, and is not read again.
    """
    found: dict[bytes, RevocationList] = {}
    for der in pinned:
        _take(found, _read_pinned(der), at)
    for der in strangers:
        kept = _CACHE.get(der)
        _take(found, kept.read if kept is not None else _read(der), at)
    return tuple(found.values())


def fresh(one: RevocationList, at: datetime) -> bool:
    """Return False after its next update: it cannot clear anybody any more, but what it revoked stays revoked."""
    return one.ends is not None and at <= one.ends


def genuine(one: RevocationList, issuers: Iterable[Certificate]) -> bool:
    """Return whether one of these, under the list's own issuer name, has the key that signed it."""
    return any(_kept_for(one, each) is not None for each in issuers)


def speaks_for(one: RevocationList, issuer: Certificate) -> bool:
    """Return whether the list is this issuer's own and complete, and its key may sign lists."""
    usage = issuer.key_usage
    if not one.complete or (usage is not None and not usage.crl_sign):
        return False
    kept = _kept_for(one, issuer)
    return kept is not None and kept.understood


def entry_of(one: RevocationList, issuer: Certificate, certificate: Certificate, *, at: datetime) -> Entry:
    """Return what a list for which `speaks_for` holds says about a certificate at a time.

    A list past its next update still says that somebody was revoked, but not that somebody is on hold.
    """
    kept = _kept_for(one, issuer)
    if kept is None or certificate.serial_number not in kept.serials:
        return Entry.NONE
    entry = _entry(one.parsed, certificate.serial_number)
    if entry is None or entry.revocation_date_utc > at:
        return Entry.NONE
    if not _may_be_back(entry):
        return Entry.REVOKED
    return Entry.ON_HOLD if fresh(one, at) else Entry.NONE


def _entry(parsed: x509.CertificateRevocationList, serial: int) -> x509.RevokedCertificate | None:
    if serial > 0:
        return parsed.get_revoked_certificate_by_serial_number(serial)
    return next((each for each in parsed if each.serial_number == serial), None)  # the look-up knows no negative ones


def _take(found: dict[bytes, RevocationList], one: RevocationList | None, at: datetime) -> None:
    if one is not None and one.begins <= at:
        found.setdefault(one.der, one)


@lru_cache(maxsize=256)
def _read_pinned(der: bytes) -> RevocationList | None:
    return _read(der)


def _read(der: bytes) -> RevocationList | None:
    if len(der) > MAX_OCTETS:
        return None
    try:
        parsed = x509.load_der_x509_crl(der)
        digest = parsed.signature_hash_algorithm
        extensions = tuple(parsed.extensions)
        begins, ends = parsed.last_update_utc, parsed.next_update_utc
        issuer = name_key(parsed.issuer.public_bytes())
    except MemoryError:  # no fault of the list's: it may be the one that says "revoked"
        raise
    except Exception:  # noqa: BLE001 - the parser raises what the list's author chooses; unreadable is absent
        return None
    if digest is not None and digest.name not in STRONG_DIGESTS:
        return None
    complete = not any(each.critical or each.oid in _PARTIAL for each in extensions)
    return RevocationList(der, parsed, issuer, begins, ends, complete)


def _kept_for(one: RevocationList, issuer: Certificate) -> _Kept | None:
    """Return the list's entry in the cache, made if this issuer really signed it; None if it did not."""
    if issuer.public_key is None or costly_key(issuer.public_key) or subject_key(issuer) != one.issuer:
        return None
    key = issuer.public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    kept = _CACHE.get(one.der)
    if kept is not None and kept.key == key:
        return kept
    try:
        if not _signed(one, issuer):
            return None
        serials = frozenset(each.serial_number for each in one.parsed)
        kept = _Kept(one, key, serials, understood=not _critical_entries(one))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - entries are parsed late, and raise what their author chose
        return None
    _CACHE.put(kept)
    return kept


def _signed(one: RevocationList, issuer: Certificate) -> bool:
    """Return whether the issuer's key signed the list; that it names one algorithm twice, the parser has seen to."""
    try:
        parameters, digest = one.parsed.signature_algorithm_parameters, one.parsed.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return False
    octets = _signed_part(one.der)
    return made_by(
        issuer.public_key, signature=one.parsed.signature, octets=octets, parameters=parameters, digest=digest
    )


def _signed_part(der: bytes) -> bytes:
    """Return tbsCertList as it stands in the octets: the parser would print it anew, a big one in 60 ms."""
    start, _ = _content(der, 0)
    _, end = _content(der, start)
    return der[start:end]


def _content(der: bytes, start: int) -> tuple[int, int]:
    """Return where an element's content begins, and where the element ends; the parser has read it before."""
    length = der[start + 1]
    count = length & 0x7F if length & 0x80 else 0
    begin = start + 2 + count
    return begin, begin + (int.from_bytes(der[start + 2 : begin], "big") if count else length)


def _critical_entries(one: RevocationList) -> bool:
    return _CRITICAL in _signed_part(one.der) and any(
        extension.critical for entry in one.parsed for extension in entry.extensions
    )


def _may_be_back(entry: x509.RevokedCertificate) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (x509.ExtensionNotFound, ValueError):
        return False
    return reason in _BACK
