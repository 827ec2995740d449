"""One candidate path by the rules of PKIX, driven through pyhanko-certvalidator (RFC 5280 6.1 and 6.3, RFC 9618).

The library sees one path at a time and only the revocation lists of that path's issuers: with a whole bag of
certificates it explores for minutes, and lets a stranger's list speak for somebody else's certificates. Its coroutine
never suspends while fetching is off; a suspension is a bug and is raised as one. Nothing here fetches or waits.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers, derive_quals_from_cert
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import (
    CRLValidationError,
    PathValidationError,
    RevokedError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import PKIXValidationParams
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl
from pyhanko_certvalidator.validate import async_validate_path

from gateway.pki.strength import weak_key, weak_signature

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from datetime import datetime

    from gateway.pki.certificate import Certificate
    from gateway.pki.crl import RevocationList
    from gateway.pki.graph import Path

logging.getLogger("pyhanko_certvalidator").addHandler(logging.NullHandler())  # what it says, names of strangers and
logging.getLogger("pyhanko_certvalidator").propagate = False  # tracebacks, comes back from here as a reason code

R = TypeVar("R")

_MOST_ISSUERS: Final = 64
_ISSUER_OCTETS: Final = 8 * 1024
"""Of a certificate whose view is kept; a view takes some twenty times as much."""
_ANY_POLICY: Final = "2.5.29.32.0"
_MESSAGES: Final = (
    ("namespace", "name_constraints"),
    ("critical extension", "unknown_critical_extension"),
    ("maximum path length", "path_too_long"),
    ("is not a CA", "not_a_ca"),
    ("not allowed to sign certificates", "not_a_ca"),
    ("polic", "certificate_policy"),
    ("issuer name", "name_mismatch"),
    ("signature", "bad_certificate_signature"),
)
"""Words of the library's messages -> our reason; a message with none of them is "path_invalid"."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a path is judged by."""

    at: datetime
    policies: tuple[str, ...] = ()
    require_explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


def fault_of(path: Path, rules: Rules) -> str | None:
    """Return None if the path (anchor first) holds but for revocation, else a stable reason code; all are final."""
    fault = _own_rules(path, rules.at)
    if fault is not None:
        return fault
    wanted = frozenset("any_policy" if each == _ANY_POLICY else each for each in rules.policies)
    parameters = PKIXValidationParams(
        user_initial_policy_set=wanted or frozenset({"any_policy"}),
        initial_policy_mapping_inhibit=rules.inhibit_mapping,
        initial_explicit_policy=rules.require_explicit,
        initial_any_policy_inhibit=rules.inhibit_any,
    )
    try:
        views = _Views()
        context = _context(path, rules.at, (), (), views, mode="none")
        _drive(async_validate_path(context, views.path(path), parameters))
    except ValidationError as error:
        message = error.failure_msg
        return next((reason for words, reason in _MESSAGES if words in message), "path_invalid")
    return None


class ListVerdict(StrEnum):
    """What the lists of a path, read by all of RFC 5280 6.3, say about one certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNSETTLED = "unsettled"


class PathLists:
    """The lists of one path, for certificates about which not only complete lists of their issuer speak."""

    def __init__(
        self, path: Path, lists: Sequence[RevocationList], more: Sequence[Certificate], *, at: datetime
    ) -> None:
        """Take a path that holds but for revocation, fresh lists that are genuine, and further keys of its issuers.

        A stranger's list must not even be seen by the library: it takes it apart entry by entry, and gives up on the
        whole path where the algorithm is not of the key's family.
        """
        self._path = path
        self._lists = lists
        self._more = more
        self._at = at
        self._views = _Views()
        self._context: ValidationContext | None = None

    @property
    def usable(self) -> bool:
        """False under an anchor that somebody above it issued: the library looks for that one, whom nobody pinned."""
        return self._path[0].self_issued

    def ask(self, certificate: Certificate) -> ListVerdict:
        """Return what they say about a certificate of the path below the anchor."""
        if self._context is None:
            self._context = self._believing()
        try:
            _drive(verify_crl(self._views.of(certificate), self._views.path(self._path), self._context))
        except RevokedError as error:
            if error.is_side_validation:  # the key that signed a list was revoked, not the certificate
                return ListVerdict.UNSETTLED
            return ListVerdict.REVOKED
        except (CRLValidationError, PathValidationError):
            return ListVerdict.UNSETTLED
        return ListVerdict.GOOD

    def _believing(self) -> ValidationContext:
        """Return a context in which the issuers of the path may speak: it was validated before."""
        path, views = self._path, self._views
        context = _context(path, self._at, self._lists, self._more, views, mode="require")
        anchor = views.path(path).trust_anchor
        context.record_validation(views.of(path[0]), ValidationPath(anchor, [], None))  # type: ignore[no-untyped-call]
        for index in range(1, len(path)):
            part = ValidationPath(anchor, [views.of(each) for each in path[1:index]], views.of(path[index]))
            context.record_validation(views.of(path[index]), part)  # type: ignore[no-untyped-call]
        return context


def _own_rules(path: Path, at: datetime) -> str | None:
    """Check keys, digests and dates, the anchor's own included: an anchor past its end anchors nothing.

    RFC 5280 6.1 takes an anchor as given; its certificate says until when its owner meant it to be, and we keep to it.
    """
    if weak_key(path[0].public_key):
        return "weak_key"
    if not path[0].not_before <= at <= path[0].not_after:
        return "anchor_expired" if at > path[0].not_after else "anchor_not_yet_valid"
    for each in path[1:]:
        if weak_key(each.public_key):
            return "weak_key"
        if weak_signature(each):
            return "weak_digest"
        if at < each.not_before:
            return "not_yet_valid"
        if at > each.not_after:
            return "expired"
    return None


class _Issuers(threading.local):
    """The library's views of authorities' certificates, by their octets, as they were used by this thread lately.

    They are the same for nearly every path, and preparing their names is half of the library's work. They are parsed
    late, so no two threads share one: for a moment the second would see it without its critical extensions.
    """

    def __init__(self) -> None:
        self.of = lru_cache(maxsize=_MOST_ISSUERS)(_view)


def _view(der: bytes) -> Any:
    return asn1_x509.Certificate.load(der, strict=True)


_ISSUERS: Final = _Issuers()


class _Views:
    """The library's views of the certificates of one path."""

    def __init__(self) -> None:
        self._made: dict[bytes, Any] = {}

    def of(self, certificate: Certificate) -> Any:
        if certificate.ca and len(certificate.der) <= _ISSUER_OCTETS:
            return _ISSUERS.of(certificate.der)
        view = self._made.get(certificate.der)
        if view is None:
            view = self._made[certificate.der] = _view(certificate.der)
        return view

    def path(self, path: Path) -> ValidationPath:
        above = [self.of(each) for each in path[1:-1]]
        return ValidationPath(_anchor(self.of(path[0])), above, self.of(path[-1]))


def _drive(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: R = stop.value
        return result
    coroutine.close()
    raise RuntimeError("path validation wanted to wait")


def _anchor(parsed: Any) -> CertTrustAnchor:
    """Return the anchor with the limits its own certificate sets: path length and names, as other programs do."""
    derived = derive_quals_from_cert(parsed)
    limits = None
    if derived.standard_parameters is not None:
        limits = PKIXValidationParams(
            initial_permitted_subtrees=derived.standard_parameters.initial_permitted_subtrees,
            initial_excluded_subtrees=derived.standard_parameters.initial_excluded_subtrees,
        )
    return CertTrustAnchor(
        parsed,
        TrustQualifiers(
            standard_parameters=limits,
            max_path_length=derived.max_path_length,
            max_aa_path_length=derived.max_path_length,  # the library wants both or none
        ),
    )


def _context(
    path: Path,
    at: datetime,
    lists: Sequence[RevocationList],
    more: Sequence[Certificate],
    views: _Views,
    *,
    mode: str,
) -> ValidationContext:
    loaded = [asn1_crl.CertificateList.load(each.der, strict=True) for each in lists]
    return ValidationContext(
        trust_roots=[views.of(path[0])],
        other_certs=[views.of(each) for each in (*path[1:], *more)],
        crls=loaded,
        moment=at,
        allow_fetching=False,
        revocation_mode=mode,
        time_tolerance=timedelta(0),
    )
