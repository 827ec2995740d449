"""Whether a signature, or its certificate, was seen before: what the memory of past mail adds to a judgment.

A replay is never green. Where the memory cannot be asked, a verified message becomes a lesser one: it would be as easy
to show a replay while the disk is full as it is to fill a disk, and to refuse good mail for that would help nobody.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from gateway.core.address import Mailbox
from gateway.core.sighting import Contact, Recollection, Repeat, Sighting
from gateway.core.verdict import (
    ChainState,
    Indeterminate,
    Note,
    Replayed,
    SignatureState,
    Verified,
    VerifiedLesser,
)
from gateway.mime.fields import decode_text
from gateway.smime.remarks import in_order

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.verdict import Judgment, Verdict
    from gateway.mime.fields import Header
    from gateway.ports import Sightings

_CONTACTS: Final = {Contact.FIRST: "first_contact", Contact.CHANGED: "changed_key"}
_PATH: Final = 12
_UNSETTLED: Final = frozenset({"no_revocation_data", "stale_revocation_data"})
"""Reasons of a path that leads to an anchor, and holds but for what nobody could say of its revocation."""
_COPIES: Final = frozenset({Repeat.OTHER, Repeat.LIST_COPY})
"""What is not the message that its signature was first seen on."""
_REPEATS: Final = {Repeat.SAME: "seen_before", Repeat.LIST_COPY: "list_copy"}


class FirstLook:
    """The `ports.Sightings` of one message, which may go through the journey more than once and must not meet itself.

    What was known when it came stands, but where nobody could say it then, or the present knows of another message that
    was first: the memory of another machine may. A message without Message-ID cannot be told from that one.
    """

    def __init__(self, sightings: Sightings, found: Recollection | None) -> None:
        """Begin with what was found when the message came, None for one that comes now."""
        self._sightings = sightings
        self.found = found
        """What counts for this message; None as long as nobody asked."""

    async def see(self, sighting: Sighting) -> Recollection:
        """Note the message, here too where another machine took it, and return what counts (see `ports.Sightings`)."""
        first = self.found
        if first is not None and first.repeat in _COPIES:
            return first  # a memory that has not met the first message would take this one for it
        now = await self._sightings.see(sighting)
        if first is not None:
            news = first.repeat is Repeat.UNKNOWN or (now.repeat in _COPIES and sighting.message_id)
            contact = now.contact if first.contact is Contact.UNKNOWN else first.contact
            now = Recollection(now.repeat if news else first.repeat, contact)
        self.found = now
        return now


async def recognized(judgment: Judgment, header: Header, *, at: datetime, sightings: Sightings) -> Judgment:
    """Return the judgment with what the memory says; only good signatures on a path to an anchor are remembered.

    `at` is the aware time of receipt. Nobody can fill the memory without a certificate by somebody we trust.
    """
    signatures = tuple([each.signature_digest for each in judgment.verdict.signers if each.signature_digest])
    if not _leads_to_anchors(judgment) or not signatures:
        return judgment
    found = await sightings.see(
        Sighting(
            at=at,
            signatures=signatures,
            message_id=_shown(header, "message-id"),
            date=_shown(header, "date"),
            subject=_shown(header, "subject"),
            author=_author(judgment),
            certificates=tuple([each.fingerprint for each in judgment.verdict.signers]),
        )
    )
    verdict = _verdict(judgment.verdict, found.repeat, judgment.author)
    notes = [Note(code) for code in (_REPEATS.get(found.repeat), _CONTACTS.get(found.contact)) if code is not None]
    if verdict is judgment.verdict and not notes:
        return judgment
    return replace(judgment, verdict=verdict, notes=in_order((*judgment.notes, *notes)))


def _leads_to_anchors(judgment: Judgment) -> bool:
    """Return whether every signature is good, and its path holds as far as can be known now.

    What came while revocation data were missing is remembered as well: it could be shown again once they are back.
    """
    if judgment.signature is not SignatureState.VALID or judgment.chain is ChainState.INVALID:
        return False
    if judgment.chain is ChainState.VALID:
        return True
    lacking = {each.reason for each in judgment.broken if each.condition == _PATH}
    return bool(lacking) and lacking <= _UNSETTLED


def _verdict(verdict: Verdict, repeat: Repeat, author: Mailbox | None) -> Verdict:
    """Return what a repeat makes of a verdict; those that are bad for graver reasons stay.

    A lesser state excuses one thing. That a list's prefix also changes a protected subject is no second one.
    """
    if not isinstance(verdict, Verified | VerifiedLesser):
        return verdict
    match repeat:
        case Repeat.NEW | Repeat.SAME:
            return verdict
        case Repeat.LIST_COPY if isinstance(verdict, Verified):
            return VerifiedLesser("list_copy", verdict.signers, author)
        case Repeat.LIST_COPY if verdict.reason == "headers_changed":
            return verdict
        case Repeat.OTHER | Repeat.LIST_COPY:
            return Replayed("replayed", verdict.signers)
        case Repeat.UNKNOWN if isinstance(verdict, Verified):
            return VerifiedLesser("replay_unknown", verdict.signers, author)
        case Repeat.UNKNOWN:
            return Indeterminate("replay_unknown", verdict.signers)
    assert_never(repeat)


def _shown(header: Header, name: str) -> str:
    """Return a field as text with white space collapsed; of several fields each on a line of its own.

    A subject cut into two fields must not read as the whole one: readers that show one of two would show half of it.
    """
    return "\n".join([" ".join(decode_text(each.value).split()) for each in header.all(name)])


def _author(judgment: Judgment) -> str | None:
    """Return the author's key where each signer's certificate names that mailbox."""
    author = judgment.author
    if author is None or judgment.chain is not ChainState.VALID:
        return None
    signers = judgment.verdict.signers
    key = author.key
    named = all(key in map(Mailbox.key_in, signer.addresses) for signer in signers)
    return key if named else None
