"""Certification paths: is this certificate good for that purpose, then, under these anchors (RFC 5280 6, RFC 8550 4)?

Decisions that RFC 5280 leaves to us:
- An anchor that is itself the leaf is a path of length zero: whoever pinned exactly this certificate meant it. It must
  be in date and fit the purpose; nobody above it could revoke it.
- Anchors must be in date, and the path length and names their own certificate allows are kept.
- A path that ends at a self-signed certificate nobody pinned has definitively failed ("unknown_root"); one whose next
  issuer is not there has not ("no_path"): more material could complete it.
- `SOFT` believes any revocation list it has, and misses none it has not; a list past its next update clears nobody.
- Weak keys and digests fail here, whatever the library thinks of them.

Nothing here fetches, and nothing here raises: what cannot be judged is INDETERMINATE, never VALID.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.verdict import ChainState
from gateway.pki.constraints import mailbox_outside
from gateway.pki.family import ANY_FAMILY
from gateway.pki.graph import Path, Search
from gateway.pki.pkix import Rules, fault_of, read_lists
from gateway.pki.strength import weak_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gateway.pki.certificate import Certificate
    from gateway.pki.family import Family

_MISSING: Final = frozenset({"no_revocation_data", "stale_revocation_data", "no_path", "path_too_complex"})
"""Reasons that more data, or less of it, could change."""


class Purpose(StrEnum):
    """What the certificate is to be good for."""

    EMAIL = "email"
    """Signing mail: emailProtection, anyExtendedKeyUsage or no such extension, and a key usage for signatures."""
    ANY = "any"
    """No question about usages."""


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
) -> PathAnswer:
    """Return whether a path from an anchor to the leaf holds at a time (aware); never raises.

    `untrusted` and `crls` may come from a stranger: their number is the caller's to bound, the work on them is bounded
    here. The answer of several candidate paths is the best of them, but a leaf that one of them calls revoked stays so.
    """
    del ocsps  # not looked at yet
    try:
        return _validate(_Question(leaf, trust, untrusted, crls, at, purpose, revocation, policies))
    except Exception:  # noqa: BLE001 - parsers and the library raise what a hostile certificate makes them raise
        return PathAnswer(ChainState.INDETERMINATE, "path_fault", (leaf,))


@dataclass(frozen=True, slots=True)
class _Question:
    leaf: Certificate
    trust: TrustAnchors
    untrusted: Sequence[Certificate]
    crls: Sequence[bytes]
    at: datetime
    purpose: Purpose
    revocation: Revocation
    policies: PolicyInputs


def _validate(question: _Question) -> PathAnswer:
    leaf, trust = question.leaf, question.trust
    fault = _unfit(question)
    if fault is not None:
        return _answer(fault, (leaf,))
    if leaf in trust.anchors:
        return _answer(_out_of_date(leaf, question.at), (leaf,))
    search = Search(trust.anchors, trust.intermediates, question.untrusted, at=question.at)
    found = search.run(leaf)
    if not found.candidates:
        return _answer(found.dead_end, found.longest)
    rules = _rules(question)
    bag = (*trust.intermediates, *question.untrusted)
    answers: list[PathAnswer] = []
    for path in found.candidates:
        fault = fault_of(path, rules, bag)
        if fault is None and question.purpose is Purpose.EMAIL and mailbox_outside(path):
            fault = "name_constraints"
        answer = _answer(fault, path)
        if answer.state is ChainState.VALID or answer.reason == "revoked":
            return answer
        answers.append(answer)
    return next((each for each in answers if each.state is ChainState.INDETERMINATE), answers[0])


def _unfit(question: _Question) -> str | None:
    """Return what is wrong with the leaf whoever issued it."""
    leaf = question.leaf
    if leaf.public_key is None:
        return "unknown_key"
    if weak_key(leaf.public_key):
        return "weak_key"
    if question.purpose is Purpose.EMAIL:
        if not leaf.for_email:
            return "not_for_email"
        if not leaf.for_signatures:
            return "not_for_signatures"
    return None


def _out_of_date(leaf: Certificate, at: datetime) -> str | None:
    if at < leaf.not_before:
        return "not_yet_valid"
    return "expired" if at > leaf.not_after else None


def _rules(question: _Question) -> Rules:
    off = question.revocation is Revocation.OFF
    lists = () if off else read_lists((*question.trust.crls, *question.crls), at=question.at)
    return Rules(
        at=question.at,
        demand=question.revocation is Revocation.HARD,
        lists=lists,
        policies=question.policies.policies,
        require_explicit=question.policies.require_explicit,
        inhibit_mapping=question.policies.inhibit_mapping,
        inhibit_any=question.policies.inhibit_any,
    )


def _answer(fault: str | None, path: Path) -> PathAnswer:
    if fault is None:
        return PathAnswer(ChainState.VALID, "valid", path)
    state = ChainState.INDETERMINATE if fault in _MISSING else ChainState.INVALID
    return PathAnswer(state, fault, path)
