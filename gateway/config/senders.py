"""Who may send as whom beyond the lists of logins and sources, and what happens to mail that may not (RFC 6409 6.1).

Nothing here is a way to a signature that the tables of rights do not give: a reaction keeps a message or refuses it.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from gateway.config.base import Domain, MailboxKey, Strict

if TYPE_CHECKING:
    from collections.abc import Iterator


class Reaction(StrEnum):
    """What happens to a submission that fails a check; there is no way to let it pass, signed or unsigned."""

    REFUSE = "refuse"
    HOLD = "hold"
    """Kept raw until an administrator mends the table and releases it, or deletes it."""


class SenderReactions(Strict):
    """One reaction per kind of trouble; where a message has several, refusing goes before holding."""

    unauthenticated: Reaction = Reaction.REFUSE
    """A host that is not listed, at a listener of kind internal. Submission listeners always refuse."""
    not_allowed: Reaction = Reaction.REFUSE
    """A reverse-path, From, Sender, resent or inner field that is not the submitter's."""
    malformed: Reaction = Reaction.REFUSE
    """No single mailbox can be read where there must be one."""
    lookup_error: Reaction = Reaction.REFUSE
    """The rights cannot be looked up now: refusing is 451 4.3.0, for another try."""


class Alias(Strict):
    """A second address of a mailbox: whoever may send as the mailbox may send as the alias."""

    address: MailboxKey
    stands_for: MailboxKey


class Successor(Strict):
    """A domain that another took over: whoever may send as x@new may send as x@old.

    Two old domains may both have had an x: those are named in `not_for`.
    """

    old: Domain
    new: Domain
    may_send_as: Literal["old", "both"] = "old"
    """both: whoever may send as x@old may send as x@new, too."""
    not_for: tuple[MailboxKey, ...] = ()
    """Mailboxes of the old domain whose name is somebody else's in the new one."""


class Delegate(Strict):
    """Somebody who sends for an author: From the author, Sender the delegate (RFC 5322 3.6.2)."""

    author: MailboxKey
    delegate: MailboxKey
    personal_key: bool = False
    """The author's own key may sign it. Otherwise only an organization's key can."""


class SenderSettings(Strict):
    """The section `senders`."""

    reactions: SenderReactions = SenderReactions()
    plus_addresses: bool = False
    """lan+anything@ counts as lan@."""
    aliases: tuple[Alias, ...] = ()
    successors: tuple[Successor, ...] = ()
    delegates: tuple[Delegate, ...] = ()

    @model_validator(mode="after")
    def _unambiguous(self) -> SenderSettings:
        mistakes = [*self._aliases(), *self._successors(), *self._delegates()]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _aliases(self) -> Iterator[str]:
        names = [each.address for each in self.aliases]
        yield from _twice("alias", names)
        for each in self.aliases:
            if each.stands_for in names:
                yield f"alias {each.address!r} stands for another alias: name the mailbox itself"

    def _successors(self) -> Iterator[str]:
        olds = [each.old for each in self.successors]
        yield from _twice("old domain", olds)
        for each in self.successors:
            if each.new in olds:
                yield f"old domain {each.old!r} went to {each.new!r}, which is an old domain itself: name the last one"
            for name in each.not_for:
                if not name.endswith(f"@{each.old}"):
                    yield f"not_for of the old domain {each.old!r} names {name!r} of another domain"

    def _delegates(self) -> Iterator[str]:
        yield from _twice("delegate", [f"{each.delegate} for {each.author}" for each in self.delegates])
        for each in self.delegates:
            if each.delegate == each.author:
                yield f"delegate {each.delegate!r} is the author"


def _twice(word: str, names: list[str]) -> Iterator[str]:
    yield from (f"{word} {name!r} is defined twice" for name, times in Counter(names).items() if times > 1)
