"""Whether the certificates of a path were revoked, by what is at hand (RFC 5280 6.3, RFC 6960 3.2).

For each certificate below the anchor, OCSP answers are asked first, then lists:
- revoked wins over good, whoever says either and whatever is newer: nobody comes back from a revocation. Lists past
  their next update still say it; only a hold ends with its list.
- good is who has a fresh answer, or a fresh list of the issuer that could name it and does not.
- An issuer's own complete lists are looked up here. Once a list with a scope (indirect, partitioned, delta), or by
  another key of the issuer, has something to say about a certificate, the library reads all of them by RFC 5280 6.3,
  and what it cannot settle is not good. It knows no such lists under an anchor that is no root: there they count for
  nothing, at worst data are missing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cryptography import x509

from gateway.pki.crl import Entry, RevocationList, entry_of, fresh, genuine, speaks_for
from gateway.pki.graph import MAX_PER_SUBJECT, Path, name_key, subject_key
from gateway.pki.ocsp import OcspStatus, read_answer
from gateway.pki.pkix import ListVerdict, PathLists

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gateway.pki.certificate import Certificate
    from gateway.pki.ocsp import OcspAnswer

MAX_ANSWERS: Final = 32
"""OCSP answers that one judgment looks at."""
_MAX_LISTS: Final = 40
"""Lists of a path's issuers that one judgment looks at; what is pinned comes first."""


class RevocationState(StrEnum):
    """What is known about one certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    STALE = "stale"
    """There is data, but past its next update."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Status:
    """The state of one certificate, and until when a good one may be believed (aware)."""

    state: RevocationState
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AtHand:
    """Lists that could be read, and OCSPResponses (DER)."""

    lists: tuple[RevocationList, ...]
    answers: tuple[bytes, ...]


def statuses(path: Path, at_hand: AtHand, bag: Sequence[Certificate], *, at: datetime) -> tuple[Status, ...]:
    """Return the state of each certificate below the anchor, uppermost first.

    The path must hold by everything but revocation. `bag` may hold further certificates of its issuers: keys that sign
    lists only.
    """
    lists = _lists_of(path, at_hand.lists)
    more = [each for each in _signers_of(lists, path, bag) if each not in path]
    lists = tuple(each for each in lists if genuine(each, (*path[:-1], *more)))
    reader = PathLists(path, [each for each in lists if fresh(each, at)], more, at=at)
    return tuple(
        _status(issuer, each, _Known(lists, at_hand.answers[:MAX_ANSWERS], reader, at))
        for issuer, each in itertools.pairwise(path)
    )


@dataclass(frozen=True, slots=True)
class _Known:
    lists: tuple[RevocationList, ...]
    answers: tuple[bytes, ...]
    reader: PathLists
    at: datetime


def _status(issuer: Certificate, certificate: Certificate, known: _Known) -> Status:
    own = [each for each in known.lists if speaks_for(each, issuer)]
    answers = [
        each
        for each in (read_answer(der, certificate=certificate, issuer=issuer, at=known.at) for der in known.answers)
        if not _responder_revoked(each, issuer, own, known.at)
    ]
    listed = _listed(issuer, certificate, own, known)
    if listed.state is RevocationState.REVOKED or any(each.status is OcspStatus.REVOKED for each in answers):
        return Status(RevocationState.REVOKED)
    good = [each.next_update for each in answers if each.status is OcspStatus.GOOD and each.next_update is not None]
    if listed.until is not None:
        good.append(listed.until)
    if good:
        return Status(RevocationState.GOOD, max(good))
    stale = listed.state is RevocationState.STALE or any(each.reason == "stale" for each in answers)
    return Status(RevocationState.STALE if stale else RevocationState.MISSING)


def _listed(issuer: Certificate, certificate: Certificate, own: Sequence[RevocationList], known: _Known) -> Status:
    """Return what lists say about a certificate; GOOD has an end."""
    entries = {entry_of(each, issuer, certificate, at=known.at) for each in own}
    if Entry.REVOKED in entries:
        return Status(RevocationState.REVOKED)
    speaking = {subject_key(issuer)} | _named_list_issuers(certificate)
    about = [each for each in known.lists if each.issuer in speaking]
    present = [each for each in about if fresh(each, known.at)]
    if known.reader.usable and any(each not in own for each in present):
        verdict = known.reader.ask(certificate)
        ends = [each.ends for each in present if each.ends is not None] if verdict is ListVerdict.GOOD else []
        revoked = verdict is ListVerdict.REVOKED
    else:
        ends = [each.ends for each in own if each.ends is not None and fresh(each, known.at)]
        revoked = Entry.ON_HOLD in entries
    if revoked:
        return Status(RevocationState.REVOKED)
    if ends:
        return Status(RevocationState.GOOD, min(ends))
    return Status(RevocationState.STALE if len(present) < len(about) else RevocationState.MISSING)


def _responder_revoked(answer: OcspAnswer, issuer: Certificate, own: Sequence[RevocationList], at: datetime) -> bool:
    """Return whether a list at hand names the delegate who signed the answer, whether or not it says "nocheck"."""
    delegate = answer.delegate
    return delegate is not None and any(entry_of(each, issuer, delegate, at=at) is not Entry.NONE for each in own)


def _lists_of(path: Path, lists: Sequence[RevocationList]) -> tuple[RevocationList, ...]:
    """Return the lists whose issuer is an issuer in the path, or is named by a distribution point in it."""
    wanted = {subject_key(each) for each in path[:-1]}
    for each in path[1:]:
        wanted |= _named_list_issuers(each)
    return tuple(each for each in lists if each.issuer in wanted)[:_MAX_LISTS]


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
    wanted = {each.issuer for each in lists} | {subject_key(each) for each in path[:-1]}
    for each in bag:
        name = subject_key(each)
        if name in wanted and counts.get(name, 0) < MAX_PER_SUBJECT:
            counts[name] = counts.get(name, 0) + 1
            found.append(each)
    return found
