"""Names of the fields that are ours, and what passes for one of them (RFC 5322 2.2, RFC 8601, RFC 8617).

All of X-Gateway-* is ours: a field of that name in foreign mail is a forgery, whatever we write today.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.core.sevenbit import has_lone_line_end

SENDER_FIELD: Final = "X-Verified-Sender"
VERDICT_FIELD: Final = "X-Gateway-Verdict"
SIGNER_FIELD: Final = "X-Gateway-Signer"
REASON_FIELD: Final = "X-Gateway-Reason"
ATTACHMENT_FIELD: Final = "X-Gateway-Attachments"
BOUNDARY_FIELD: Final = "X-Gateway-Boundary"
SEAL_FIELD: Final = "X-Gateway-Seal"
RESULTS_FIELD: Final = "Authentication-Results"
ARC_RESULTS_FIELD: Final = "ARC-Authentication-Results"
OUR_PREFIX: Final = "x-gateway-"
SENDER_KEY: Final = SENDER_FIELD.lower()
RESULTS_KEY: Final = RESULTS_FIELD.lower()
ARC_RESULTS_KEY: Final = ARC_RESULTS_FIELD.lower()
SEAL_KEY: Final = SEAL_FIELD.lower()
KEYWORD_KEYS: Final = frozenset({"x-mozilla-keys", "x-keywords"})
"""Fields that mail clients and stores of mbox files read keywords from, and show as colored tags: `$VerifiedAgency`."""
VERIFIED_KEYWORD: Final = "$VerifiedAgency"
"""The keyword of a verified message, in any field that some store or client may read labels from."""
_ODD_LINE_END: Final = re.compile(rb"[\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")
"""What only some readers take for the end of a line, beside a CR or LF alone."""
_EVEN: Final = bytes(set(range(256)) - set(b"\x0b\x0c\x1c\x1d\x1e\xc2\xe2"))
"""Octets with which no such line end begins."""
_BREAKS: Final = re.compile(r"[-_.]+")


def has_odd_line_end(octets: bytes) -> bool:
    """Return True for octets in which only some readers find the end of a line; quick where there is none."""
    if has_lone_line_end(octets):
        return True
    return octets.translate(None, _EVEN) != b"" and _ODD_LINE_END.search(octets) is not None


def is_ours(key: str) -> bool:
    """Return True if a field's name (lower case) is one of ours, or one that an eye takes for it: x_verified.sender."""
    if not key.startswith("x"):
        return False
    plain = _BREAKS.sub("-", key)
    return plain == SENDER_KEY or plain.startswith(OUR_PREFIX)


def holds_results(key: str) -> bool:
    """Return True if a field's name (lower case) is that of results, or one that an eye takes for it.

    X-Authentication-Results and Authentication-Results-Original are shown as results by people and by some programs.
    """
    return "results" in key and RESULTS_KEY in _BREAKS.sub("-", key)
