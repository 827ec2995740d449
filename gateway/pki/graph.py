"""Candidate certification paths, found without trusting anything in the bag they are found in (RFC 5280 6.1, RFC 4158).

An edge counts only when name, key identifiers and the signature itself fit, so that a bag of look-alike certificates
costs a bounded number of public-key operations and never reaches the expensive rules. What a stranger may send is
bounded by the constants below; what is pinned always comes first.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import UnsupportedAlgorithm

from gateway.pki.signature import made_by
from gateway.pki.strength import costly_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from gateway.pki.certificate import Certificate

MAX_CANDIDATES: Final = 8
MAX_PER_SUBJECT: Final = 3
MAX_UNTRUSTED: Final = 20
"""Untrusted certificates that edges may lead to in one search."""
MAX_LENGTH: Final = 12
_MAX_CHECKS: Final = 64
"""Operations with strangers' keys in one search: the slowest key that is tried at all takes some milliseconds."""
_MAX_STEPS: Final = 256
_MAX_NAME: Final = 2048
"""Octets of a name that is compared by RFC 5280 7.1; longer ones equal only their own octets: preparing one takes time
by the square of the marks in it."""

Path = tuple["Certificate", ...]
"""Anchor first, leaf last."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the search found: paths that reach an anchor, shortest first; else the reason why there is none."""

    candidates: tuple[Path, ...]
    dead_end: str
    """ "unknown_root", "bad_certificate_signature", "name_mismatch", "path_too_complex" or "no_path"."""
    longest: Path
    """As far as it got where no anchor was reached."""
    open_ends: tuple[Certificate, ...] = ()
    """Where it stopped because nobody above was there: more material could lead on from these."""


@lru_cache(maxsize=512)
def _prepared(name: bytes) -> str | bytes:
    """Return the form in which names are compared; a name that cannot be prepared stands for its octets."""
    if len(name) > _MAX_NAME:
        return name
    try:
        return str(asn1_x509.Name.load(name, strict=True).hashable)
    except (ValueError, TypeError, KeyError):
        return name


def subject_key(certificate: Certificate) -> str | bytes:
    """Return the subject in the form in which names are compared (RFC 5280 7.1)."""
    return _prepared(certificate.subject_name)


def issuer_key(certificate: Certificate) -> str | bytes:
    """Return the issuer in the form in which names are compared."""
    return _prepared(certificate.issuer_name)


def name_key(name: bytes) -> str | bytes:
    """Return a DER name in the form in which names are compared."""
    return _prepared(name)


def signed_by(child: Certificate, issuer: Certificate) -> bool:
    """Return whether the issuer's key made the child's signature, whatever the names say."""
    parsed = child.parsed
    if issuer.public_key is None or costly_key(issuer.public_key) or not _algorithms_agree(child.der):
        return False
    try:
        parameters, digest = parsed.signature_algorithm_parameters, parsed.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return made_by(
        issuer.public_key,
        signature=parsed.signature,
        octets=parsed.tbs_certificate_bytes,
        parameters=parameters,
        digest=digest,
    )


def _algorithms_agree(der: bytes) -> bool:
    """Return whether the algorithm outside the signature equals the one inside (RFC 5280 4.1.1.2)."""
    parsed = asn1_x509.Certificate.load(der)
    return bool(parsed["signature_algorithm"].dump() == parsed["tbs_certificate"]["signature"].dump())


class Search:
    """One search upwards from a leaf."""

    def __init__(
        self,
        anchors: Sequence[Certificate],
        intermediates: Sequence[Certificate],
        untrusted: Iterable[Certificate],
        *,
        at: datetime,
    ) -> None:
        """Index what may issue: anchors, then what is pinned, then the bag; those in date at `at` first."""
        self._anchors = frozenset(each.der for each in anchors)
        self._pinned = self._anchors | {each.der for each in intermediates}
        self._by_subject: dict[str | bytes, list[Certificate]] = defaultdict(list)
        self._by_key_id: dict[bytes, list[Certificate]] = defaultdict(list)
        self._edges: dict[bytes, tuple[Certificate, ...]] = {}
        self._reached: set[bytes] = set()
        self._checks = 0
        self._notes: set[str] = set()
        seen: set[bytes] = set()
        for group in (anchors, intermediates, untrusted):
            for each in sorted(group, key=lambda one: not one.not_before <= at <= one.not_after):
                if each.der not in seen:
                    seen.add(each.der)
                    self._by_subject[subject_key(each)].append(each)
                    if each.subject_key_id:
                        self._by_key_id[each.subject_key_id].append(each)

    def run(self, leaf: Certificate) -> Found:
        """Return the candidate paths of a leaf, shortest first (breadth first: no deep bag hides a short way)."""
        found: list[Path] = []
        longest: Path = (leaf,)
        open_ends: dict[Certificate, None] = {}
        waiting: deque[Path] = deque([(leaf,)])
        for _ in range(_MAX_STEPS):
            if not waiting or len(found) >= MAX_CANDIDATES:
                break
            path = waiting.popleft()
            longest = max(path, longest, key=len)
            onward = False
            for issuer in self._issuers(path[0]):
                if any(issuer.der == each.der for each in path):
                    continue
                onward = True
                if issuer.der in self._anchors:
                    found.append((issuer, *path))
                elif len(path) < MAX_LENGTH:
                    waiting.append((issuer, *path))
                else:
                    self._notes.add("path_too_complex")
            if not onward:
                if path[0].self_issued and self._verifies(path[0], path[0]):
                    self._notes.add("unknown_root")
                else:
                    open_ends.setdefault(path[0])
        if waiting and not found:
            self._notes.add("path_too_complex")
        return Found(tuple(found[:MAX_CANDIDATES]), self._dead_end(), longest, tuple(open_ends))

    def _dead_end(self) -> str:
        for note in ("unknown_root", "bad_certificate_signature", "name_mismatch", "path_too_complex"):
            if note in self._notes:
                return note
        return "no_path"

    def _issuers(self, child: Certificate) -> tuple[Certificate, ...]:
        """Return those whose name, key identifier and signature fit, pinned ones first."""
        if child.der not in self._edges:
            self._edges[child.der] = tuple(self._fitting(child))
        return self._edges[child.der]

    def _fitting(self, child: Certificate) -> Iterator[Certificate]:
        strangers = 0
        for each in self._named(child):
            stranger = each.der not in self._pinned
            new = stranger and each.der not in self._reached
            if stranger and (strangers >= MAX_PER_SUBJECT or (new and len(self._reached) >= MAX_UNTRUSTED)):
                self._notes.add("path_too_complex")
                continue
            if self._verifies(child, each):
                if stranger:
                    strangers += 1
                    self._reached.add(each.der)
                yield each
            elif not stranger or _same_key_id(child, each):
                self._notes.add("bad_certificate_signature")
        self._note_other_names(child)

    def _named(self, child: Certificate) -> list[Certificate]:
        """Return those that have the issuer's name, and no other key identifier than the one that is asked for."""
        wanted = child.authority_key_id
        return [
            each
            for each in self._by_subject.get(issuer_key(child), ())
            if each.der != child.der and not (wanted and each.subject_key_id and wanted != each.subject_key_id)
        ]

    def _note_other_names(self, child: Certificate) -> None:
        """Note an issuer that has the right key under another name: the names do not chain, and no data is missing."""
        if child.authority_key_id is None:
            return
        for each in self._by_key_id.get(child.authority_key_id, ())[:MAX_PER_SUBJECT]:
            if subject_key(each) != issuer_key(child) and self._verifies(child, each):
                self._notes.add("name_mismatch")

    def _verifies(self, child: Certificate, issuer: Certificate) -> bool:
        if issuer.der in self._pinned:  # few, and never to be hidden by what a stranger packed
            return signed_by(child, issuer)
        if self._checks >= _MAX_CHECKS:
            self._notes.add("path_too_complex")
            return False
        self._checks += 1
        return signed_by(child, issuer)


def _same_key_id(child: Certificate, issuer: Certificate) -> bool:
    return child.authority_key_id is not None and child.authority_key_id == issuer.subject_key_id
