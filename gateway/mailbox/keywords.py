"""The IMAP keywords that mail clients show as colored tags: one table for verdicts, one word for impersonation.

What is not certain is never green, and no two verdict keywords stand on one message (RFC 9051 2.3.2: ASCII atoms).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.tagging.names import VERIFIED_KEYWORD

if TYPE_CHECKING:
    from collections.abc import Collection

VERIFIED: Final = VERIFIED_KEYWORD
LESSER: Final = "$VerifiedLesser"
INVALID: Final = "$SignatureInvalid"
PARTIAL: Final = "$SignaturePartial"
UNKNOWN: Final = "$SignatureUnknown"
IMPERSONATION: Final = "$Impersonation"

BY_VERDICT: Final = {
    "verified": VERIFIED,
    "verified_lesser": LESSER,
    "invalid": INVALID,
    "signer_mismatch": INVALID,
    "not_trusted": INVALID,
    "replayed": INVALID,
    "partial": PARTIAL,
    "indeterminate": UNKNOWN,
    "unreadable": UNKNOWN,
    "encrypted": UNKNOWN,
    "unsigned": None,
}
"""Name of the verdict (`core.verdict.VERDICTS`) -> its keyword; the Sieve recipe says the same."""
ALARMS: Final = frozenset({"impersonation", "lookalike_domain", "tag_words"})
"""Notes that bring `IMPERSONATION`."""
GREEN: Final = frozenset({VERIFIED, LESSER})
"""What a reader may take for a recommendation."""
OURS: Final = frozenset({IMPERSONATION, *(each for each in BY_VERDICT.values() if each is not None)})
"""Every keyword that nobody but us may set."""
_FOLDED: Final = {each.lower(): each for each in OURS}


def keywords_of(verdict: str, notes: Collection[str]) -> frozenset[str]:
    """Return the keywords of a verdict by its name; a strange one is unknown, an alarm ends all green."""
    found = {BY_VERDICT.get(verdict, UNKNOWN)} - {None}
    if ALARMS.intersection(notes):
        found = (found - GREEN) | {IMPERSONATION}
    return frozenset(each for each in found if each is not None)


def present(flags: Collection[str]) -> frozenset[str]:
    """Return which of ours are among a message's flags, in our spelling: keywords know no case (RFC 9051 2.3.2)."""
    return frozenset(_FOLDED[each.lower()] for each in flags if each.lower() in _FOLDED)
