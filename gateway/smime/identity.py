"""Who a signer is to the reader: names of agencies, and the lesser states that an agency's registry can vouch for.

The judgment of octets and paths comes first and needs no registry. Here nothing invalid, untrusted or unknown gets
better: a lesser state excuses exactly one condition, every other one holds, and it has its own words between "not the
author" and "verified".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.agencies.watch import PUBLIC
from gateway.core.address import Mailbox, domain_key
from gateway.core.verdict import (
    AttachmentState,
    ChainState,
    Note,
    NotTrusted,
    SignatureState,
    SignerMismatch,
    VerifiedLesser,
)
from gateway.mime.fields import MimeError, mailboxes
from gateway.mime.mailboxes import AddressError, mailbox_list
from gateway.smime.remarks import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.agencies.registry import Registry
    from gateway.core.verdict import AttachmentSignature, Judgment, Signer
    from gateway.mime.fields import Header


class Lenience(StrEnum):
    """What an administrator lets count as a lesser state instead of a mismatch."""

    SAME_AGENCY = "same_agency"
    SUCCESSOR = "successor"
    DELEGATE = "delegate"
    SHA1 = "sha1"


@dataclass(frozen=True, slots=True)
class Who:
    """What signers are identified by."""

    registry: Registry
    leniences: frozenset[Lenience]


_NAMED_BY_AUTHOR: Final = 14
_SIGNATURE: Final = 11
_REASONS: Final = (
    (Lenience.SAME_AGENCY, "same_agency"),
    (Lenience.DELEGATE, "delegate"),
    (Lenience.SUCCESSOR, "successor_domain"),
)
"""Of several signers that are excused in different ways, the one farthest from the author gives the state its name."""
_MOST_REPLIES: Final = 20
"""Mailboxes of Reply-To that are looked at; more are somewhere else."""
_MOST_REPLY_OCTETS: Final = 8192


def identified(judgment: Judgment, header: Header, who: Who) -> Judgment:
    """Return the judgment with its signers' agencies, and with a lesser verdict where the registry vouches for one.

    A certificate without a good path names no agency: anybody can write one.
    """
    named = judgment
    signers = judgment.verdict.signers
    agencies = tuple(map(who.registry.agency_name, signers)) if judgment.chain is ChainState.VALID else ()
    if agencies != tuple(each.agency for each in signers[: len(agencies)]):
        signers = tuple(replace(each, agency=name) for each, name in zip(signers, agencies, strict=True))
        named = replace(judgment, verdict=replace(judgment.verdict, signers=signers))
    if judgment.attachments:
        named = replace(named, attachments=tuple(_named(each, who.registry) for each in judgment.attachments))
    lesser = _lesser(named, header, who)
    found = tuple(_reply_notes(lesser, header, who.registry))
    return replace(lesser, notes=in_order((*lesser.notes, *found))) if found else lesser


def _named(each: AttachmentSignature, registry: Registry) -> AttachmentSignature:
    if each.signer is None or each.state is not AttachmentState.VALID:
        return each
    return replace(each, signer=replace(each.signer, agency=registry.agency_name(each.signer)))


def _lesser(judgment: Judgment, header: Header, who: Who) -> Judgment:
    """Return the judgment, its verdict a lesser one where exactly one condition is broken, and that one excused."""
    author, signers = judgment.author, judgment.verdict.signers
    if author is None or not signers or len(judgment.broken) != 1 or judgment.chain is not ChainState.VALID:
        return judgment
    (broken,) = judgment.broken
    match judgment.verdict:
        case SignerMismatch() if broken.condition == _NAMED_BY_AUTHOR and judgment.covers_everything_shown:
            reason = _excuse(signers, author, _sender(header), who)
            if reason is not None:
                return replace(judgment, verdict=VerifiedLesser(reason, signers, author))
        case NotTrusted() if (
            broken.condition == _SIGNATURE and broken.reason == "weak_digest" and judgment.noted("sha1")
        ):
            if Lenience.SHA1 in who.leniences:
                verdict = VerifiedLesser("sha1", signers, author)
                return replace(judgment, verdict=verdict, signature=SignatureState.VALID, covers_everything_shown=True)
        case _:
            pass
    return judgment


def _excuse(signers: tuple[Signer, ...], author: Mailbox, sender: Mailbox | None, who: Who) -> str | None:
    """Return the lesser state's reason if every signer names the author or is excused, None otherwise."""
    used: set[Lenience] = set()
    for signer in signers:
        if any(each.key == author.key for each in _mailboxes(signer)):
            continue
        lenience = _lenience(signer, author, sender, who)
        if lenience is None:
            return None
        used.add(lenience)
    return next((reason for lenience, reason in _REASONS if lenience in used), None)


def _lenience(signer: Signer, author: Mailbox, sender: Mailbox | None, who: Who) -> Lenience | None:
    registry, held = who.registry, who.leniences
    if Lenience.SUCCESSOR in held and any(registry.succeeds(each, author) for each in _mailboxes(signer)):
        return Lenience.SUCCESSOR
    sent_by = sender is not None and any(each.key == sender.key for each in _mailboxes(signer))
    if sender is not None and sent_by and Lenience.DELEGATE in held and _may_stand_in(sender, author, registry):
        return Lenience.DELEGATE
    if Lenience.SAME_AGENCY in held and registry.same_agency(signer, author) is not None:
        return Lenience.SAME_AGENCY
    return None


def _may_stand_in(sender: Mailbox, author: Mailbox, registry: Registry) -> bool:
    """Return True for a delegate of the author's own domain, or of an agency that the registry knows.

    Anybody can write a Sender field: without this any certificate that is trusted at all would stand in for anybody.
    Where anybody can have a mailbox, its owners are no colleagues.
    """
    if domain_key(sender.domain) == domain_key(author.domain) and domain_key(author.domain) not in PUBLIC:
        return True
    return registry.agency_of_mailbox(sender) is not None and registry.agency_of_mailbox(author) is not None


def _sender(header: Header) -> Mailbox | None:
    """Return the one mailbox of the one Sender field (RFC 5322 3.6.2), None where there is no such thing."""
    fields = header.all("sender")
    if len(fields) != 1 or not fields[0].bare:
        return None
    try:
        found = mailbox_list(fields[0].value, groups=False)
    except AddressError:
        return None
    return found[0].mailbox if len(found) == 1 else None


def _mailboxes(signer: Signer) -> Iterator[Mailbox]:
    """Yield the mailboxes that the certificate names: those of the subject only where there are no others."""
    for each in signer.san_addresses or signer.legacy_addresses:
        try:
            yield Mailbox.parse(each)
        except ValueError:
            continue


def _reply_notes(judgment: Judgment, header: Header, registry: Registry) -> Iterator[Note]:
    """Yield a note where an answer would go to a mailbox of neither the author's domain nor the signer's agency."""
    fields = header.all("reply-to")
    if judgment.author is None or not judgment.verdict.signers or not fields:
        return
    if sum(len(each.value) for each in fields) > _MOST_REPLY_OCTETS:
        yield Note("reply_to_elsewhere")
        return
    try:
        replies = [each.mailbox for field in fields for each in mailboxes(field.value)]
    except MimeError:
        yield Note("reply_to_elsewhere")
        return
    domain = domain_key(judgment.author.domain)
    agencies = {each.agency for each in judgment.verdict.signers}
    for reply in replies[:_MOST_REPLIES]:
        agency = registry.agency_of_mailbox(reply)
        if domain_key(reply.domain) != domain and (agency is None or agency.name not in agencies):
            yield Note("reply_to_elsewhere", str(reply))
            return
    if len(replies) > _MOST_REPLIES:
        yield Note("reply_to_elsewhere")
