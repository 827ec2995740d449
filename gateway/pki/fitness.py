"""What a certificate is good for, and what its family of anchors lets it lack (RFC 8550 4.4, RFC 3161 2.3).

What a leaf lacks is told apart from what it says: a usage for something else is always wrong, no usage at all is a
question to the family.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.core.address import Mailbox, domain_key
from gateway.pki.family import Allowance, Use
from gateway.pki.strength import weak_key

if TYPE_CHECKING:
    from gateway.pki.certificate import Certificate
    from gateway.pki.family import Family


class Purpose(StrEnum):
    """What the certificate is to be good for."""

    EMAIL = "email"
    """Signing mail: emailProtection, anyExtendedKeyUsage or no such extension, and a key usage for signatures."""
    OWN_KEY = "own_key"
    """Signing mail of our own: the same usages, under a family for our own keys, or for mail."""
    TIMESTAMPS = "timestamps"
    """Signing timestamp tokens: timeStamping as the only usage, and critical."""
    ANY = "any"
    """No question about usages, nor about the family."""


_USES: Final = {
    Purpose.EMAIL: frozenset({Use.MAIL}),
    Purpose.OWN_KEY: frozenset({Use.OWN_KEYS, Use.MAIL}),
    Purpose.TIMESTAMPS: frozenset({Use.TIMESTAMPS}),
}
_MAIL: Final = frozenset({Purpose.EMAIL, Purpose.OWN_KEY})


def unfit(leaf: Certificate, purpose: Purpose) -> str | None:
    """Return what is wrong with a leaf whoever issued it, None if nothing is."""
    if leaf.public_key is None:
        return "unknown_key"
    if weak_key(leaf.public_key):
        return "weak_key"
    match purpose:
        case Purpose.EMAIL | Purpose.OWN_KEY:
            if not leaf.for_email:
                return "not_for_email"
            if leaf.ca and not leaf.self_issued:  # who issues certificates writes no letters; one may be pinned itself
                return "signer_is_a_ca"
        case Purpose.TIMESTAMPS:
            if not _for_timestamps(leaf):
                return "not_for_timestamps"
        case Purpose.ANY:
            return None
    return None if leaf.for_signatures else "not_for_signatures"


def family_fault(leaf: Certificate, family: Family, purpose: Purpose) -> str | None:
    """Return why a family may not be believed about a leaf for a purpose, None if it may.

    "family_use", "family_domain" (one of its mailboxes, whichever the mail is from), or the allowance that is missing.
    """
    if purpose is Purpose.ANY:
        return None
    if not _USES[purpose] & family.uses:
        return "family_use"
    if purpose in _MAIL and not all(family.speaks_for(_domain(each)) for each in leaf.addresses):
        return "family_domain"
    missing = [each for each in _lacks(leaf, purpose) if each not in family.allowances]
    return str(missing[0]) if missing else None


def allowances_used(leaf: Certificate, purpose: Purpose) -> tuple[str, ...]:
    """Return what the leaf lacks, as codes of notes: whether it may is `family_fault`'s to say."""
    return tuple(str(each) for each in _lacks(leaf, purpose))


def _lacks(leaf: Certificate, purpose: Purpose) -> tuple[Allowance, ...]:
    if purpose is not Purpose.EMAIL:  # our own keys are the administrator's choice
        return ()
    found: list[Allowance] = []
    if not len(leaf.parsed.extensions):
        found.append(Allowance.NO_EXTENSIONS)
    elif leaf.extended_key_usage is None:
        found.append(Allowance.NO_EXTENDED_KEY_USAGE)
    if leaf.legacy_addresses and not leaf.san_addresses:
        found.append(Allowance.ADDRESS_IN_SUBJECT)
    return tuple(found)


def _for_timestamps(leaf: Certificate) -> bool:
    try:
        found = leaf.parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return False
    return found.critical and list(found.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def _domain(address: str) -> str:
    return domain_key(Mailbox.parse(address).domain)
