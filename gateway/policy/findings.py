"""What rules may ask of a signature beyond its verdict, and of the boundary server's results (RFC 8601 2.7).

What a signature says counts only where it is good and its path leads to an anchor: a rule that lets a family's or an
agency's mail pass must never take a certificate's word for either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.boundary import RESULTS
from gateway.core.verdict import NOTES, ChainState, SignatureState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core.boundary import BoundaryResults
    from gateway.core.verdict import Judgment
    from gateway.policy.directory import Directory

_METHODS: Final = ("spf", "dkim", "dmarc")
_SAME: Final = {"hardfail": "fail"}
"""Results by their older names."""
BOUNDARY_WORDS: Final = tuple(f"{method}_{each}" for method in _METHODS for each in sorted(RESULTS - _SAME.keys()))
NOTE_WORDS: Final = NOTES


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found of an incoming message."""

    notes: frozenset[str] = frozenset()
    """Codes of its notes."""
    families: frozenset[str] = frozenset()
    """Names of the families of anchors that its signers' paths lead to; anchors without a family have no name."""
    agencies: frozenset[str] = frozenset()
    """Ids of its signers' agencies."""
    headers_signed: bool = False
    boundary: frozenset[str] = frozenset()
    """Of `BOUNDARY_WORDS`."""

    @classmethod
    def of(cls, judgment: Judgment, boundary: BoundaryResults, directory: Directory) -> Findings:
        """Return what rules may ask; without a good signature on a good path there are only notes and the boundary."""
        notes = frozenset(each.code for each in judgment.notes)
        words = frozenset(_words(boundary))
        if judgment.signature is not SignatureState.VALID or judgment.chain is not ChainState.VALID:
            return cls(notes=notes, boundary=words)
        signers = judgment.verdict.signers
        agencies = (directory.agency_of_signer(each) for each in signers)
        return cls(
            notes,
            frozenset(each.family for each in signers if each.family),
            frozenset(each for each in agencies if each is not None),
            judgment.headers_signed,
            words,
        )


NOTHING_FOUND: Final = Findings()


def _words(boundary: BoundaryResults) -> Iterator[str]:
    for method in _METHODS:
        result = getattr(boundary, method)
        if result is not None:
            yield f"{method}_{_SAME.get(result, result)}"
