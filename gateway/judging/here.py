"""What may be judged in the gateway's own process: small mail without signatures, or by signers known already.

No stranger's key is ever tried here and no path is searched: that is for processes that can be killed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.octets import WINDOW
from gateway.core.verdict import ChainState
from gateway.judging.paths import Key, questions
from gateway.pki.needs import NOTHING_FOUND
from gateway.pki.path import PathAnswer
from gateway.smime.attachments import may_be_signed
from gateway.smime.verify import has_timestamps, judge, open_message

if TYPE_CHECKING:
    import datetime as dt

    from gateway.cms.verify import SignedData
    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.judging.paths import PathCache
    from gateway.judging.terms import Terms
    from gateway.mime.entity import Entity
    from gateway.pki.certificate import Certificate
    from gateway.smime.verify import Opened

MOST_DELIMITERS: Final = 64
"""Lines in a message that look like a boundary."""
COSTLY: Final = 0.025
"""Seconds of processor time for opening: hostile mail of this size costs four times as much."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A small message, opened here, and the question about a path that each of its signers poses."""

    opened: Opened
    questions: tuple[Key | None, ...]
    seconds: float
    """What it cost."""

    @property
    def keys(self) -> frozenset[Key]:
        """The questions whose answers may be remembered."""
        return frozenset(each for each in self.questions if each is not None)


def may_be_opened(message: Message) -> bool:
    """Return whether a message is so small that opening it costs less than passing it on would."""
    return len(message) <= WINDOW and message.octets().count(b"\r\n--") <= MOST_DELIMITERS


def opening(message: Message, entity: Entity | None = None) -> Opening:
    """Open a message, whose part tree may be known; raises `MimeError` over a limit."""
    begun = time.thread_time()
    opened = open_message(message, entity)
    asked = questions(opened)
    return Opening(opened, asked, time.thread_time() - begun)


def judged_here(asked: Opening, *, terms: Terms, paths: PathCache, at: dt.datetime) -> Judgment | None:
    """Return the judgment of the mail without its files; None where somebody else must find an answer out."""
    if any(each.nested is not None for each in asked.opened.structure.signatures):
        return None  # whoever signed the inner one is a stranger, and its key is tried
    if has_timestamps(asked.opened):
        return None  # the same of whoever made them
    known: dict[Key, PathAnswer] = {}
    for key in asked.questions:
        answer = paths.answer(key, at)
        if key is None or answer is None:
            return None
        known[key] = answer

    def path_of(leaf: Certificate, data: SignedData) -> PathAnswer:
        key = Key.of(leaf, data)
        found = known.get(key) if key is not None else None
        return found if found is not None else PathAnswer(ChainState.INDETERMINATE, "path_fault", (leaf,))

    opened = asked.opened._replace(attached=()) if asked.opened.attached else asked.opened
    return judge(opened, terms.at(at, NOTHING_FOUND, path_of))


def has_signed_files(asked: Opening) -> bool:
    """Return whether a file may bear a signature, which is not looked into here: its signer is a stranger, too."""
    return any(may_be_signed(each) for each in asked.opened.attached)
