"""The numbered argument: all that must hold before "verified" may be said, and why (RFC 8551, RFC 8550, RFC 9788).

Every finding names the condition it breaks; nothing may be verified by a way that is not in this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.verdict import (
    VERDICTS,
    Encrypted,
    Indeterminate,
    Invalid,
    NotTrusted,
    Partial,
    SignerMismatch,
    Unreadable,
    Unsigned,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.core.verdict import Signer

FindingKind = type[Invalid | Unreadable | Encrypted | NotTrusted | Indeterminate | Partial | SignerMismatch | Unsigned]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold, and what an attacker gains where nobody looks."""

    number: int
    must: str
    because: str


ARGUMENT: Final = (
    Condition(
        1,
        "The message can be read within limits, and in one way only.",
        "Two Content-Type fields, a bare LF or a second boundary show one reader what another never hashed.",
    ),
    Condition(
        2,
        "Its top is one S/MIME signature, clear or opaque.",
        "A signed part beside, below or inside something unsigned lends its color to words nobody signed "
        "(Müller et al. 2019, M1-M4); a forwarded signed message says nothing about its forwarder.",
    ),
    Condition(
        3,
        "A clear signature has exactly two parts: what is signed, then a CMS signature, as its protocol says.",
        "A third part is shown, and not signed; another order makes readers pick another part.",
    ),
    Condition(
        4,
        "Nothing but blank lines and well-known sentences stands around the parts.",
        "Some readers show preamble or epilogue; list footers end up there.",
    ),
    Condition(
        5,
        "Nothing that is shown is fetched from outside the signed octets by MIME itself.",
        "message/external-body and message/partial are signed as pointers, not as what they point to.",
    ),
    Condition(
        6,
        "What is signed is not encrypted inside.",
        "Anybody can sign a ciphertext made by somebody else and pass for its author.",
    ),
    Condition(
        7,
        "The signature is one CMS SignedData within limits.",
        "What cannot be read strictly can be read in two ways.",
    ),
    Condition(
        8,
        "The content is in exactly one place: beside the signature, or inside it.",
        "With both, one reader checks the one and shows the other (Müller et al. 2019, C1).",
    ),
    Condition(9, "There is at least one signer.", "A SignedData without signers is valid and says nothing."),
    Condition(
        10,
        "Every signer's certificate is at hand.",
        "Without it nothing can be checked: not invalid, not valid.",
    ),
    Condition(
        11,
        "Every signer's digest, attributes, algorithms and signature value are good.",
        "Any-of lets an appended signer vouch for a broken one.",
    ),
    Condition(
        12,
        "Every signer's certificate leads to a pinned anchor, is for mail, in date and not revoked as far as asked.",
        "Issuer names can be copied, keys cannot.",
    ),
    Condition(
        13,
        "There is exactly one author: one From field with one mailbox.",
        "Readers disagree on which of two they show (Mailsploit, espoofer).",
    ),
    Condition(
        14,
        "Every signer's certificate names the author's mailbox.",
        "A good signature of somebody else is the commonest forgery.",
    ),
    Condition(
        15,
        "A From field inside what is signed names the same author.",
        "Readers of RFC 9788 and RFC 8551 3.1 show the inner one.",
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that does not hold, the verdict it leads to, and a stable reason code."""

    condition: int
    kind: FindingKind
    reason: str


_PRECEDENCE: Final = {row.kind: index for index, row in enumerate(VERDICTS)}


def gravest(findings: Iterable[Finding]) -> Finding | None:
    """Return the finding whose verdict takes precedence (`VERDICTS`), the first of equals; None if there is none."""
    return min(findings, key=lambda each: _PRECEDENCE[each.kind], default=None)


def verdict_of(finding: Finding, signers: tuple[Signer, ...]) -> Verdict:
    """Return the verdict that a finding leads to."""
    return finding.kind(finding.reason, signers)
