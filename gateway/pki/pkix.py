"""One candidate path by the rules of PKIX, driven through pyhanko-certvalidator (RFC 5280 6.1 and 6.3, RFC 9618).

The library sees one path at a time and only the revocation lists of that path's issuers: with a whole bag of
certificates it explores for minutes, and lets a stranger's list speak for somebody else's certificates. Its coroutine
never suspends while fetching is off; a suspension is a bug and is raised as one. Nothing here fetches or waits.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers, derive_quals_from_cert
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import (
    CRLValidationError,
    InsufficientRevinfoError,
    PathValidationError,
    RevokedError,
    StaleRevinfoError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import PKIXValidationParams
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl
from pyhanko_certvalidator.validate import async_validate_path

from gateway.pki.graph import MAX_PER_SUBJECT, Path, name_key, subject_key
from gateway.pki.strength import STRONG_DIGESTS, costly_key, weak_key

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from datetime import datetime

    from gateway.pki.certificate import Certificate

logging.getLogger("pyhanko_certvalidator").addHandler(logging.NullHandler())  # what it says, names of strangers and
logging.getLogger("pyhanko_certvalidator").propagate = False  # tracebacks, comes back from here as a reason code

R = TypeVar("R")

_MAX_LISTS: Final = 40
_REVOKED: Final = {True: "revoked", False: "issuer_revoked"}
"""By whether it is the leaf: another path may go round a revoked issuer, but none round the leaf."""
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
    demand: bool
    """Revocation data must be there for every certificate below the anchor."""
    lists: tuple[RevocationList, ...]
    """Empty where revocation is not looked at."""
    policies: tuple[str, ...]
    require_explicit: bool
    inhibit_mapping: bool
    inhibit_any: bool


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A CRL that was read and is of an age, and under a digest, that may be believed."""

    der: bytes
    parsed: x509.CertificateRevocationList
    issuer: str | bytes
    fresh: bool
    """False after its next update: it cannot clear anybody any more, but what it revoked stays revoked."""


def read_lists(crls: Iterable[bytes], *, at: datetime) -> tuple[RevocationList, ...]:
    """Return the CRLs that can be used at all; what is malformed, weakly signed or from the future falls out."""
    found: dict[bytes, RevocationList] = {}
    for der in crls:
        try:
            parsed = x509.load_der_x509_crl(der)
            digest = parsed.signature_hash_algorithm
            _ = parsed.extensions
            begins, ends = parsed.last_update_utc, parsed.next_update_utc
            issuer = name_key(parsed.issuer.public_bytes())
        except Exception:  # noqa: BLE001, S112 - the parser raises what the list's author chooses; unreadable is absent
            continue
        if begins <= at and (digest is None or digest.name in STRONG_DIGESTS):
            found[der] = RevocationList(der, parsed, issuer, fresh=ends is not None and at <= ends)
    return tuple(found.values())


def fault_of(path: Path, rules: Rules, bag: Sequence[Certificate]) -> str | None:
    """Return None if the path (anchor first) holds, else a stable reason code.

    `bag` may hold further certificates of the path's issuers: keys that sign revocation lists only. Reasons that say
    "data is missing" are "no_revocation_data" and "stale_revocation_data"; all others are final.
    """
    fault = _own_rules(path, rules.at)
    if fault is not None:
        return fault
    lists = _lists_of(path, rules.lists)
    more = [each for each in _signers_of(lists, path, bag) if each not in path]
    lists = tuple(each for each in lists if _genuine(each, (*path[:-1], *more)))
    try:
        if not path[0].self_issued:
            _validate(path, replace(rules, demand=False), lists, more)
            return _ask_plainly(path, rules, lists)
        _validate(path, rules, lists, more)
        return _look_for_revoked(path, rules, lists, more) if lists and not rules.demand else None
    except RevokedError as error:
        return _REVOKED[error.is_ee_cert and not error.is_side_validation]
    except InsufficientRevinfoError as error:
        stale = isinstance(error, StaleRevinfoError) or any(not each.fresh for each in lists)
        return _revoked_before(path, lists, rules.at) or ("stale_revocation_data" if stale else "no_revocation_data")
    except ValidationError as error:
        message = error.failure_msg
        return next((reason for words, reason in _MESSAGES if words in message), "path_invalid")


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


def weak_signature(certificate: Certificate) -> bool:
    """Return whether the certificate is signed over a digest that can be forged."""
    try:
        digest = certificate.parsed.signature_hash_algorithm
    except Exception:  # noqa: BLE001 - unknown algorithms raise several kinds
        return True
    return digest is not None and digest.name not in STRONG_DIGESTS


def _lists_of(path: Path, lists: Sequence[RevocationList]) -> tuple[RevocationList, ...]:
    """Return the lists whose issuer is an issuer in the path, or is named by a distribution point in it."""
    names = {subject_key(each) for each in path[:-1]}
    for each in path[1:]:
        names |= _named_list_issuers(each)
    return tuple(each for each in lists if each.issuer in names)[:_MAX_LISTS]


def _named_list_issuers(certificate: Certificate) -> set[str | bytes]:
    """Return the cRLIssuers of the distribution points (RFC 5280 4.2.1.13)."""
    try:
        points = certificate.parsed.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return set()
    return {
        name_key(name.value.public_bytes())
        for point in points
        for name in point.crl_issuer or ()
        if isinstance(name, x509.DirectoryName)
    }


def _signers_of(lists: Sequence[RevocationList], path: Path, bag: Sequence[Certificate]) -> list[Certificate]:
    """Return further certificates of the names that issued the lists, a few for each."""
    found: list[Certificate] = []
    counts: dict[str | bytes, int] = {}
    names = {each.issuer for each in lists} | {subject_key(each) for each in path[:-1]}
    for each in bag:
        name = subject_key(each)
        if name in names and counts.get(name, 0) < MAX_PER_SUBJECT:
            counts[name] = counts.get(name, 0) + 1
            found.append(each)
    return found


def _genuine(one: RevocationList, issuers: Iterable[Certificate]) -> bool:
    """Return whether one of these keys signed the list.

    A stranger's list must not even be seen by the library: it takes entry by entry of it apart, and gives up on the
    whole path where the algorithm is not of the key's family.
    """
    for each in issuers:
        if each.public_key is None or costly_key(each.public_key) or subject_key(each) != one.issuer:
            continue
        with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
            if one.parsed.is_signature_valid(each.public_key):  # type: ignore[arg-type]
                return True
    return False


@lru_cache(maxsize=256)
def _asn1(der: bytes) -> Any:
    return asn1_x509.Certificate.load(der, strict=True)


def _drive(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: R = stop.value
        return result
    coroutine.close()
    raise RuntimeError("path validation wanted to wait")


def _anchor(certificate: Certificate) -> CertTrustAnchor:
    """Return the anchor with the limits its own certificate sets: path length and names, as other programs do."""
    parsed = _asn1(certificate.der)
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
    path: Path, at: datetime, lists: Sequence[RevocationList], more: Sequence[Certificate], *, mode: str
) -> ValidationContext:
    fresh = [asn1_crl.CertificateList.load(each.der, strict=True) for each in lists if each.fresh]
    return ValidationContext(
        trust_roots=[_asn1(path[0].der)],
        other_certs=[_asn1(each.der) for each in (*path[1:], *more)],
        crls=fresh,
        moment=at,
        allow_fetching=False,
        revocation_mode=mode,
        time_tolerance=timedelta(0),
    )


def _library_path(path: Path) -> ValidationPath:
    return ValidationPath(_anchor(path[0]), [_asn1(each.der) for each in path[1:-1]], _asn1(path[-1].der))


def _validate(path: Path, rules: Rules, lists: Sequence[RevocationList], more: Sequence[Certificate]) -> None:
    """Apply everything, revocation included where data is demanded."""
    wanted = frozenset("any_policy" if each == _ANY_POLICY else each for each in rules.policies)
    parameters = PKIXValidationParams(
        user_initial_policy_set=wanted or frozenset({"any_policy"}),
        initial_policy_mapping_inhibit=rules.inhibit_mapping,
        initial_explicit_policy=rules.require_explicit,
        initial_any_policy_inhibit=rules.inhibit_any,
    )
    context = _context(path, rules.at, lists, more, mode="require" if rules.demand else "none")
    _drive(async_validate_path(context, _library_path(path), parameters))


def _look_for_revoked(
    path: Path, rules: Rules, lists: Sequence[RevocationList], more: Sequence[Certificate]
) -> str | None:
    """Return "revoked" or "issuer_revoked" if a list says so; what is missing or cannot be used is no answer here.

    The library's own soft mode looks at no list where a certificate names no distribution point.
    """
    context = _context(path, rules.at, lists, more, mode="require")
    whole = _library_path(path)
    context.record_validation(_asn1(path[0].der), ValidationPath(whole.trust_anchor, [], None))  # type: ignore[no-untyped-call]
    for index in range(1, len(path)):  # the path was validated before: its issuers may speak
        part = ValidationPath(whole.trust_anchor, [_asn1(each.der) for each in path[1:index]], _asn1(path[index].der))
        context.record_validation(_asn1(path[index].der), part)  # type: ignore[no-untyped-call]
    for each in path[1:]:
        try:
            _drive(verify_crl(_asn1(each.der), whole, context))
        except RevokedError:
            return _REVOKED[each is path[-1]]
        except (CRLValidationError, PathValidationError):
            continue
    return _revoked_before(path, lists, rules.at)


def _ask_plainly(path: Path, rules: Rules, lists: Sequence[RevocationList]) -> str | None:
    """Ask the issuers' own complete lists, under an anchor that somebody above it issued.

    The library finds a list's signer by way of the anchor's issuer, which nobody has pinned: it would find no data, and
    overlook what is revoked. Indirect, partial and delta lists count for nothing here: at worst data is missing.
    """
    for issuer, each in itertools.pairwise(path):
        fresh = [one for one in lists if one.fresh and _speaks_for(one, issuer)]
        for one in fresh:
            entry = one.parsed.get_revoked_certificate_by_serial_number(each.serial_number)
            if entry is not None and entry.revocation_date_utc <= rules.at:
                return _REVOKED[each is path[-1]]
        if rules.demand and not fresh:
            stale = any(_speaks_for(one, issuer) for one in lists)
            return _revoked_before(path, lists, rules.at) or (
                "stale_revocation_data" if stale else "no_revocation_data"
            )
    return _revoked_before(path, lists, rules.at)


def _speaks_for(one: RevocationList, issuer: Certificate) -> bool:
    """Return whether the list is this issuer's own, complete, and signed by a key that may sign lists."""
    usage = issuer.key_usage
    return (
        one.issuer == subject_key(issuer)
        and (usage is None or usage.crl_sign)
        and not any(each.critical or each.oid in _PARTIAL for each in one.parsed.extensions)
        and _genuine(one, (issuer,))
    )


def _revoked_before(path: Path, lists: Sequence[RevocationList], at: datetime) -> str | None:
    """Return "revoked" or "issuer_revoked" if a list past its next update said so: that does not wear off.

    Only complete lists of the issuer itself, under the same key, are looked at; a certificate on hold may be back.
    """
    for issuer, each in itertools.pairwise(path):
        for one in lists:
            if one.fresh or one.issuer != subject_key(issuer) or _PARTIAL & {ext.oid for ext in one.parsed.extensions}:
                continue
            entry = one.parsed.get_revoked_certificate_by_serial_number(each.serial_number)
            if entry is None or entry.revocation_date_utc > at or _may_be_back(entry):
                continue
            with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
                if one.parsed.is_signature_valid(issuer.public_key):  # type: ignore[arg-type]
                    return _REVOKED[each is path[-1]]
    return None


_PARTIAL: Final = {ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.DELTA_CRL_INDICATOR}


def _may_be_back(entry: x509.RevokedCertificate) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (x509.ExtensionNotFound, ValueError):
        return False
    return reason in {x509.ReasonFlags.certificate_hold, x509.ReasonFlags.remove_from_crl}
