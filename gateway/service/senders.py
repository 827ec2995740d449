"""Whose addresses are whose: from the rights of a submitter to the mailboxes it may send as (RFC 6409 6.1).

A right follows from an address that is listed by name; what is derived from it is never derived from further than one
step of each kind, and never from a whole domain. Comparing is by `Mailbox.key`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gateway.config.senders import SenderReactions, SenderSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.core.address import Mailbox
    from gateway.core.received import Submitter


class Grant(StrEnum):
    """What a right to send as an address comes from; stable words, they stand in events."""

    LISTED = "listed"
    DOMAIN = "domain"
    """Its whole domain is listed."""
    PLUS = "plus_address"
    ALIAS = "alias"
    SUCCESSOR = "successor_domain"
    DELEGATE = "delegate"
    """Somebody who is named in Sender sends for the author."""


_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Senders:
    """The tables of the section `senders`, ready to be asked."""

    reactions: SenderReactions = field(default_factory=SenderReactions)
    plus_addresses: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    """alias -> mailbox."""
    successors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """domain -> domains whose mailboxes of the same name may send as its own."""
    not_for: frozenset[str] = frozenset()
    """Mailboxes of old domains that nothing is derived for, nor from."""
    delegates: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    """(author, delegate) -> whether the author's own key may sign."""

    @classmethod
    def of(cls, settings: SenderSettings) -> Senders:
        """Return the tables that the settings describe."""
        successors: dict[str, tuple[str, ...]] = {}
        for each in settings.successors:
            successors[each.old] = (*successors.get(each.old, ()), each.new)
            if each.may_send_as == "both":
                successors[each.new] = (*successors.get(each.new, ()), each.old)
        return cls(
            settings.reactions,
            settings.plus_addresses,
            MappingProxyType({each.address: each.stands_for for each in settings.aliases}),
            MappingProxyType(successors),
            frozenset(name for each in settings.successors for name in each.not_for),
            MappingProxyType({(each.author, each.delegate): each.personal_key for each in settings.delegates}),
        )

    def right(self, submitter: Submitter, mailbox: Mailbox) -> Grant | None:
        """Return what lets the submitter send as the mailbox, None if nothing does."""
        key = mailbox.key
        if key in submitter.authors:
            return Grant.LISTED
        if submitter.may_send_as(key):
            return Grant.DOMAIN
        return next((grant for name, grant in self._derived(key) if name in submitter.authors), None)

    def held_by(self, submitter: Submitter, mailbox: Mailbox) -> frozenset[str]:
        """Return the keys of those mailboxes, listed by name, that give the submitter this one: its base and so on."""
        if not (self.plus_addresses or self.aliases or self.successors):
            return _NOBODY
        return frozenset(name for name, _ in self._derived(mailbox.key) if name in submitter.authors)

    def delegate_of(self, submitter: Submitter, author: Mailbox) -> str | None:
        """Return the key of a mailbox that the submitter has by name, and that may send for the author."""
        key = author.key
        return next((name for whom, name in self.delegates if whom == key and name in submitter.authors), None)

    def _derived(self, key: str) -> Iterator[tuple[str, Grant]]:
        """Yield the mailboxes that a right to `key` follows from, nearest first; at most one step of each kind."""
        seen = {key}
        waiting: list[tuple[str, Grant | None, frozenset[Grant]]] = [(key, None, frozenset())]
        while waiting:
            name, by, taken = waiting.pop(0)
            for following, grant in self._steps(name):
                if grant not in taken and following not in seen:
                    seen.add(following)
                    yield following, by or grant
                    waiting.append((following, by or grant, taken | {grant}))

    def _steps(self, key: str) -> Iterator[tuple[str, Grant]]:
        local, _, domain = key.rpartition("@")
        base, plus, _ = local.partition("+")
        if self.plus_addresses and plus and base and not local.startswith('"'):
            yield f"{base}@{domain}", Grant.PLUS
        if key in self.aliases:
            yield self.aliases[key], Grant.ALIAS
        for other in self.successors.get(domain, ()):
            following = f"{local}@{other}"
            if key not in self.not_for and following not in self.not_for:
                yield following, Grant.SUCCESSOR


STRICT: Final = Senders()
"""Nothing is derived, everything is refused."""
