"""What a message in a mailbox deserves: believed by its seal, else judged as anybody's, and marked where it lies.

A mailbox is filled on paths that pass the gateway by: nothing in a message counts but a good seal for this mailbox and
our own judgment. Unknown octets are never green.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.errors import InputError
from gateway.core.message import Message
from gateway.core.verdict import row_of
from gateway.mailbox.keywords import GREEN, IMPERSONATION, UNKNOWN, keywords_of
from gateway.mime.fields import read_header
from gateway.tagging.forged import stripped
from gateway.tagging.names import VERDICT_FIELD
from gateway.tagging.seal import MARKED_LIMITS, SealState, check

if TYPE_CHECKING:
    import datetime as dt

    from gateway.core.address import Mailbox
    from gateway.ports import Judge
    from gateway.tagging.seal import SealKeys

SOURCE: Final = "mailbox:"
"""In front of a mailbox, for the judge: no mailbox makes the mail of another wait."""
_FORGED: Final = frozenset({"our_field", "subject_tag", "tag_elsewhere", "hidden_line"})
"""Kinds of marks that people or mail clients believe. Results in our name are what a mail server of the same name
writes, too."""
_VERDICT: Final = re.compile(rb"([a-z_]+);")
_NOTES: Final = re.compile(rb"; *notes=([a-z0-9_,]*)")


@dataclass(frozen=True, slots=True)
class Finding:
    """The keywords that a message shall have, no other one of ours, and where that comes from."""

    keywords: frozenset[str]
    why: str
    """"seal", "judged", "forged_marks" or "unread"."""
    verdict: str


UNREAD: Final = Finding(frozenset({UNKNOWN}), "unread", "unreadable")
"""For what is too large, or cannot be fetched."""


class Finder:
    """Looks at messages one by one; keeps nothing of them."""

    def __init__(self, *, judge: Judge, keys: SealKeys | None, authserv_id: str) -> None:
        """Without `keys` no mark can be told from a forged one: every message is judged, and none is called forged."""
        self._judge = judge
        self._keys = keys
        self._authserv_id = authserv_id

    async def find(self, octets: bytes, *, recipient: Mailbox, at: dt.datetime) -> Finding:
        """Return the finding for a message as it lies in a mailbox of `recipient`; `at` is aware."""
        message = Message.of(octets)
        state = self._seal(message, recipient)
        if state is SealState.GOOD:
            verdict, notes = sealed_verdict(message)
            return Finding(keywords_of(verdict, notes), "seal", verdict)
        judgment = await self._judge.judge(message, at=at, source=f"{SOURCE}{recipient.key}")
        name = row_of(judgment.verdict).name
        keywords = keywords_of(name, {each.code for each in judgment.notes})
        # mail passed on inside, to another mailbox than the seal names, is no forgery: it is judged, and that is all;
        # a good signature is no excuse: it says who signed, forged marks say who somebody else would like to be
        if state is not SealState.WRONG_RECIPIENT and self._forged(message):
            return Finding((keywords - GREEN) | {IMPERSONATION}, "forged_marks", name)
        return Finding(keywords, "judged", name)

    def _seal(self, message: Message, recipient: Mailbox) -> SealState:
        if self._keys is None:
            return SealState.ABSENT
        try:
            return check(message, recipient, self._keys)
        except InputError:
            return SealState.BAD

    def _forged(self, message: Message) -> bool:
        """Return whether there are marks that would mislead; a header beyond reading may hold any."""
        if self._keys is None:
            return False
        try:
            return not _FORGED.isdisjoint(stripped(message, authserv_id=self._authserv_id).removed)
        except InputError:
            return True


def sealed_verdict(message: Message) -> tuple[str, frozenset[str]]:
    """Return the verdict's name and the notes that the one verdict field says; "" where that cannot be read.

    Only for messages whose seal is good: anybody can write such a field.
    """
    fields = read_header(message, limits=MARKED_LIMITS).all(VERDICT_FIELD)
    match = _VERDICT.match(fields[0].value) if len(fields) == 1 else None
    if match is None:
        return "", frozenset()
    notes = _NOTES.search(fields[0].value.partition(b"(")[0])
    return match[1].decode(), frozenset(notes[1].decode().split(",")) if notes is not None else frozenset()
