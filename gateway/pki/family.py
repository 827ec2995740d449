"""Families of trust anchors: whose authority a path leads to, and what that may speak for (RFC 5280 6, RFC 8550 4).

A family only narrows: no allowance here makes a path good that RFC 5280 calls bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Allowance(StrEnum):
    """What a leaf of the family may lack; each one used is noted with the verdict."""

    NO_EXTENDED_KEY_USAGE = "no_extended_key_usage"
    """No extended key usage: good for everything (RFC 5280 4.2.1.12), as old government certificates are."""
    NO_EXTENSIONS = "no_extensions"
    """No extensions at all: X.509 version 1, or an empty version 3."""
    ADDRESS_IN_SUBJECT = "address_in_subject"
    """The mailbox stands in the subject's e-mail attribute only (RFC 8550 3)."""


class Use(StrEnum):
    """What certificates of the family are believed for."""

    MAIL = "mail"
    """Signatures on mail that comes in."""
    TIMESTAMPS = "timestamps"
    """Timestamp tokens (RFC 3161)."""
    OWN_KEYS = "own_keys"
    """The gateway's own signing keys."""


@dataclass(frozen=True, slots=True)
class Family:
    """Trust anchors under one name."""

    name: str
    """Lower-case letters, digits, - and _."""
    vietnamese: str
    """What recipients read, such as "chuyên dùng công vụ"."""
    english: str
    anchors: frozenset[str]
    """SHA-256 fingerprints, hexadecimal, lower case."""
    uses: frozenset[Use]
    allowances: frozenset[Allowance]
    domains: tuple[str, ...] = ()
    """Mail domains it may speak for, "tinh.example" or "*.tinh.example" (its subdomains); empty: every domain."""

    def speaks_for(self, domain: str) -> bool:
        """Return True if the family may speak for mailboxes of a domain (as `core.address.domain_key` has it)."""
        return not self.domains or any(
            domain.endswith(each[1:]) if each.startswith("*.") else domain == each for each in self.domains
        )


ANY_FAMILY = Family(
    "",
    "",
    "",
    frozenset(),
    frozenset(Use),
    frozenset({Allowance.NO_EXTENDED_KEY_USAGE, Allowance.ADDRESS_IN_SUBJECT}),
)
"""What holds for anchors that stand in no family: they have no name to show."""
