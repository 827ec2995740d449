"""Certification paths: is this certificate good for that purpose, then, under these anchors (RFC 5280 6, RFC 8550 4)?

Decisions that RFC 5280 leaves to us:
- An anchor that is itself the leaf is a path of length zero: whoever pinned exactly this certificate meant it. It must
  be in date and fit the purpose; nobody above it could revoke it.
- Anchors must be in date, and the path length and names their own certificate allows are kept.
- A path that ends at a self-signed certificate nobody pinned has definitively failed ("unknown_root"); one whose next
  issuer is not there has not ("no_path"): more material could complete it.
- `SOFT` believes any revocation data it has, and misses none it has not; data past its next update clears nobody.
- Weak keys and digests fail here, whatever the library thinks of them.
- What a family of anchors may be believed for only narrows: it is asked when everything else of a path holds.

Nothing here fetches, and nothing here raises: what cannot be judged is INDETERMINATE, never VALID.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.verdict import ChainState
from gateway.pki.bounds import too_complex
from gateway.pki.constraints import mailbox_outside
from gateway.pki.crl import read_lists
from gateway.pki.family import ANY_FAMILY
from gateway.pki.fitness import Purpose, allowances_used, family_fault, unfit
from gateway.pki.graph import Path, Search
from gateway.pki.pkix import Rules, fault_of
from gateway.pki.revocation import AtHand, RevocationState, statuses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from gateway.pki.certificate import Certificate
    from gateway.pki.family import Family

_MISSING: Final = frozenset({"no_revocation_data", "stale_revocation_data", "no_path", "path_too_complex"})
"""Reasons that more data, or less of it, could change."""
__all__ = ["ANY_POLICY", "PathAnswer", "PolicyInputs", "Purpose", "Revocation", "TrustAnchors", "validate"]


class Revocation(StrEnum):
    """What becomes of a path without revocation data."""

    HARD = "hard"
    """Fresh data is required for every certificate below the anchor, whether or not it names where to get some."""
    SOFT = "soft"
    """Data is used where it is there."""
    OFF = "off"
    """Nobody asks."""


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """What is pinned: anchors, certificates that complete paths, revocation lists (DER)."""

    anchors: tuple[Certificate, ...]
    intermediates: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    families: tuple[Family, ...] = ()
    attached_age: timedelta | None = None
    """How long after its making a list that came with a message may clear anybody; None: until its next update.

    Who may choose which list is looked at, and keeps the fresh ones away, would choose one from before a revocation.
    """

    def family_of(self, anchor: Certificate) -> Family:
        """Return the family an anchor stands in; `ANY_FAMILY` where it stands in none."""
        return next((each for each in self.families if anchor.fingerprint in each.anchors), ANY_FAMILY)


@dataclass(frozen=True, slots=True)
class PolicyInputs:
    """Inputs (c) to (f) of RFC 5280 6.1.1; no policies means any."""

    policies: tuple[str, ...] = ()
    """Dotted OIDs."""
    require_explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


ANY_POLICY: Final = PolicyInputs()


@dataclass(frozen=True, slots=True)
class PathAnswer:
    """VALID, INVALID or INDETERMINATE, with a stable reason code ("valid", "expired", "revoked", "no_path", ...)."""

    state: ChainState
    reason: str
    path: tuple[Certificate, ...]
    """Anchor first; where there is none, as far as the path was found, its uppermost certificate first."""
    family: Family = ANY_FAMILY
    """Of the path's anchor."""
    until: datetime | None = None
    """When the first thing that the answer rests on ends; None: it is not to be kept."""
    notes: tuple[str, ...] = ()
    """Codes of `core.verdict.NOTES`: allowances of the family that were used."""


def validate(  # noqa: PLR0913 - the inputs of RFC 5280 6.1.1, each by its name
    leaf: Certificate,
    *,
    trust: TrustAnchors,
    untrusted: Sequence[Certificate],
    crls: Sequence[bytes],
    at: datetime,
    purpose: Purpose,
    revocation: Revocation,
    policies: PolicyInputs = ANY_POLICY,
    ocsps: Sequence[bytes] = (),
    known_at: datetime | None = None,
) -> PathAnswer:
    """Return whether a path from an anchor to the leaf holds at a time (aware); never raises.

    `untrusted`, `crls` and `ocsps` (OCSPResponses, DER) may come from a stranger: their number is the caller's to
    bound, the work on them is bounded here. The answer of several candidate paths is the best of them, but a leaf that
    one of them calls revoked stays so. `known_at` (aware, after `at`): whoever is revoked by what was known then does
    not pass either, whenever that happened.
    """
    try:
        return _validate(_Question(leaf, trust, untrusted, crls, ocsps, at, purpose, revocation, policies, known_at))
    except Exception:  # noqa: BLE001 - parsers and the library raise what a hostile certificate makes them raise
        return PathAnswer(ChainState.INDETERMINATE, "path_fault", (leaf,))


@dataclass(frozen=True, slots=True)
class _Question:
    leaf: Certificate
    trust: TrustAnchors
    untrusted: Sequence[Certificate]
    crls: Sequence[bytes]
    ocsps: Sequence[bytes]
    at: datetime
    purpose: Purpose
    revocation: Revocation
    policies: PolicyInputs
    known_at: datetime | None


def _validate(question: _Question) -> PathAnswer:
    leaf, trust = question.leaf, question.trust
    fault = unfit(leaf, question.purpose)
    if fault is not None:
        return _answer(fault, (leaf,))
    if leaf in trust.anchors:
        return _pinned_leaf(question)
    found = Search(trust.anchors, trust.intermediates, question.untrusted, at=question.at).run(leaf)
    if not found.candidates:
        return _answer(found.dead_end, found.longest)
    off = question.revocation is Revocation.OFF
    lists = () if off else read_lists(trust.crls, question.crls, at=question.at)
    at_hand = AtHand(lists, () if off else tuple(question.ocsps))
    answers: list[PathAnswer] = []
    for path in found.candidates:
        answer = _judged(question, path, at_hand)
        if answer.state is ChainState.VALID or answer.reason == "revoked":
            return answer
        answers.append(answer)
    return next((each for each in answers if each.state is ChainState.INDETERMINATE), answers[0])


def _pinned_leaf(question: _Question) -> PathAnswer:
    leaf, at = question.leaf, question.at
    family = question.trust.family_of(leaf)
    if at < leaf.not_before:
        fault: str | None = "not_yet_valid"
    else:
        fault = "expired" if at > leaf.not_after else family_fault(leaf, family, question.purpose)
    return _answer(fault, (leaf,), family, leaf.not_after, allowances_used(leaf, question.purpose))


def _judged(question: _Question, path: Path, at_hand: AtHand) -> PathAnswer:
    family, leaf = question.trust.family_of(path[0]), question.leaf
    notes = allowances_used(leaf, question.purpose)
    fault = "path_too_complex" if too_complex(path) else fault_of(path, _rules(question))
    if fault is None and question.purpose is not Purpose.ANY and mailbox_outside(path):
        fault = "name_constraints"
    if fault is not None:
        return _answer(fault, path, family, None, notes)
    until: datetime | None = min(each.not_after for each in path)
    if question.revocation is not Revocation.OFF:
        fault, until = _revocation(question, path, at_hand, until)
    return _answer(fault or family_fault(leaf, family, question.purpose), path, family, until, notes)


def _revocation(
    question: _Question, path: Path, at_hand: AtHand, until: datetime | None
) -> tuple[str | None, datetime | None]:
    """Return what revocation data make of the path, and until when what they say holds."""
    bag = (*question.trust.intermediates, *question.untrusted)
    if question.known_at is not None and _revoked_since(question, path, bag, question.known_at):
        return "revoked", None
    states = statuses(path, at_hand, bag, at=question.at)
    found = {each.state for each in states}
    if states[-1].state is RevocationState.REVOKED:
        return "revoked", None
    if RevocationState.REVOKED in found:
        return "issuer_revoked", None
    if found != {RevocationState.GOOD}:
        if question.revocation is Revocation.SOFT:
            return None, None  # what comes later may say otherwise
        return ("stale_revocation_data" if RevocationState.STALE in found else "no_revocation_data"), None
    return None, min(each for each in (until, *(one.until for one in states)) if each is not None)


def _revoked_since(question: _Question, path: Path, bag: Sequence[Certificate], known_at: datetime) -> bool:
    later = AtHand(read_lists(question.trust.crls, question.crls, at=known_at), tuple(question.ocsps))
    return any(each.state is RevocationState.REVOKED for each in statuses(path, later, bag, at=known_at))


def _rules(question: _Question) -> Rules:
    inputs = question.policies
    return Rules(
        at=question.at,
        policies=inputs.policies,
        require_explicit=inputs.require_explicit,
        inhibit_mapping=inputs.inhibit_mapping,
        inhibit_any=inputs.inhibit_any,
    )


def _answer(
    fault: str | None,
    path: Path,
    family: Family = ANY_FAMILY,
    until: datetime | None = None,
    notes: tuple[str, ...] = (),
) -> PathAnswer:
    if fault is None:
        return PathAnswer(ChainState.VALID, "valid", path, family, until, notes)
    state = ChainState.INDETERMINATE if fault in _MISSING else ChainState.INVALID
    return PathAnswer(state, fault, path, family, None, notes)
