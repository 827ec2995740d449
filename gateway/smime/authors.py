"""The signers against the author: conditions 13 to 17 (RFC 5322 3.6.2, RFC 8550 3, RFC 9788).

Only the one mailbox of the one From field is ever the author; no display name, Sender or Reply-To takes its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.core.address import Mailbox, domain_key
from gateway.core.verdict import ChainState, NotTrusted, SignerMismatch, VerifiedLesser
from gateway.mime.fields import AuthorDefect
from gateway.smime.argument import Finding
from gateway.smime.headers import changed_fields, disputed_fields, headers_match, names_other_author, protected_headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.core.verdict import Signer
    from gateway.mime.entity import Entity
    from gateway.mime.fields import Header
    from gateway.pki.certificate import Certificate
    from gateway.smime.signers import Judged
    from gateway.smime.structure import FoundSignature


def author_findings(
    author: Mailbox | AuthorDefect, signatures: Sequence[FoundSignature], results: Sequence[Judged]
) -> Iterator[Finding]:
    """Yield what breaks conditions 13, 14, 15 and 17; only a good signature can be anybody's."""
    if not results:
        return
    if isinstance(author, AuthorDefect):  # condition 13
        yield Finding(13, SignerMismatch, str(author))
        return
    strangers = [each for each in results if each.certificate is not None and not names(each.certificate, author)]
    if strangers:  # condition 14
        reason = "signer_is_not_author" if len(strangers) == len(results) else "cosigner_is_not_author"
        bare = all(not each.certificate.addresses for each in strangers if each.certificate is not None)
        yield Finding(14, SignerMismatch, "certificate_without_address" if bare else reason)
    if any(names_other_author(each, author) for each in signed_entities(signatures)):  # condition 15
        yield Finding(15, SignerMismatch, "inner_from_differs")
    families = [each.answer.family for each in results if each.answer is not None and each.chain is ChainState.VALID]
    if not all(each.speaks_for(domain_key(author.domain)) for each in families):  # condition 17
        yield Finding(17, NotTrusted, "family_domain")


def signed_entities(signatures: Sequence[FoundSignature]) -> list[Entity]:
    """Return what is signed and is MIME, layer by layer inwards."""
    return [layer.entity for found in signatures for layer in found.layers if layer.entity is not None]


def changed_headers(header: Header, signatures: Sequence[FoundSignature]) -> tuple[str, ...]:
    """Return the names of the fields that break condition 16, each once."""
    changed = [name for each in signed_entities(signatures) for name in changed_fields(header, each)]
    return tuple(dict.fromkeys((*changed, *disputed_fields(header))))


def header_findings(changed: Sequence[str]) -> Iterator[Finding]:
    """Yield what breaks condition 16, where the signature itself is good: the content is the author's all the same."""
    if changed:
        yield Finding(16, VerifiedLesser, "headers_changed")


def headers_signed(header: Header, signatures: Sequence[FoundSignature]) -> bool:
    """Return True if there are protected copies, and all of them are the fields outside (RFC 9788)."""
    inner = [found for each in signed_entities(signatures) for found in protected_headers(each)]
    return bool(inner) and all(headers_match(header, each) for each in inner)


def names(certificate: Certificate, author: Mailbox) -> bool:
    """Return True if the certificate names the mailbox: subjectAltName, or the subject's E where that has none.

    A subjectAltName with addresses outdates the subject (RFC 8550 3); compared as `Mailbox.key` does.
    """
    key = author.key
    return key in map(Mailbox.key_in, certificate.san_addresses or certificate.legacy_addresses)


def named(signer: Signer, author: Mailbox) -> Signer:
    """Return the signer with its matching address in the form that compares equal (IDN, case)."""
    key = author.key
    addresses, san_addresses = _plain(signer.addresses, key), _plain(signer.san_addresses, key)
    if (addresses, san_addresses) == (signer.addresses, signer.san_addresses):
        return signer
    return replace(signer, addresses=addresses, san_addresses=san_addresses)


def _plain(addresses: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple([key if Mailbox.key_in(each) == key else each for each in addresses])
