"""Which mailboxes an issuer may name: constraints that general libraries pass over (RFC 5280 4.2.1.10, RFC 9598 6).

Constraints on rfc822Name must hold for every mailbox that we believe a certificate about: internationalized ones, which
stand in an otherName, and the legacy attribute of the subject whatever else the subjectAltName holds. Else a
subordinate authority that is bound to its own domain could name mailboxes of any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from gateway.core.address import Mailbox, domain_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.pki.certificate import Certificate


def mailbox_outside(path: Sequence[Certificate]) -> bool:
    """Return True if an issuer in the path (anchor first, leaf last) may not name one of the leaf's mailboxes.

    Raises what the parser raises where constraints cannot be read.
    """
    mailboxes = [Mailbox.parse(each) for each in path[-1].addresses]
    return bool(mailboxes) and any(_forbids(issuer, mailboxes) for issuer in path[:-1])


def _forbids(issuer: Certificate, mailboxes: Iterable[Mailbox]) -> bool:
    try:
        found = issuer.parsed.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return False
    permitted, excluded = _bases(found.permitted_subtrees), _bases(found.excluded_subtrees)
    return any(
        any(_within(mailbox, base) for base in excluded)
        or (bool(permitted) and not any(_within(mailbox, base) for base in permitted))
        for mailbox in mailboxes
    )


def _bases(subtrees: Iterable[x509.GeneralName] | None) -> list[str]:
    return [each.value for each in subtrees or () if isinstance(each, x509.RFC822Name)]


def _within(mailbox: Mailbox, base: str) -> bool:
    """Return whether a mailbox is the one, or at the host, or below the domain (".example") that a constraint names."""
    local, at, host = base.rpartition("@")
    if at and local:
        return Mailbox(local, host).key == mailbox.key
    if host.startswith("."):
        return domain_key(mailbox.domain).endswith(domain_key(host))
    return domain_key(mailbox.domain) == domain_key(host)
