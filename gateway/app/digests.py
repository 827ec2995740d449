"""The daily digest: who is told of which kept mail, and that each is told once a day, however many gateways look.

| What is kept | Who is told |
|--|--|
| held, going out, and its sender may send as that | the agency's mailbox, else the sender |
| held or quarantined, coming in | the agency's mailbox of each recipient, else each recipient, if his domain is ours |
| quarantined, going out; undeliverable; whoever may not be told; frozen | the postmaster |

No sender from outside is ever told, nor an address that somebody used without a right to it: its reason begins with
`sender_`. Owners are told in the order of their addresses, some at a time; each part is one transaction with the
record of how far they have come (`Orders.digest`), so whoever comes second, or after a crash, goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox
from gateway.core.envelope import Direction
from gateway.core.local import VIETNAM
from gateway.core.queue import Kind
from gateway.mime.digest import MOST_ITEMS, Digest, Item, kept_digest
from gateway.mime.fields import MimeError, read_header
from gateway.mime.words import decode_text
from gateway.spool.acts import By
from gateway.spool.desk import KEPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from gateway.agencies.registry import Registry
    from gateway.config.digest import DigestSettings
    from gateway.config.model import Settings, SpoolSettings
    from gateway.core.message import Message
    from gateway.core.queue import Entry
    from gateway.delivery.outcomes import Outcomes
    from gateway.ports import Routes
    from gateway.spool.desk import Desk, Listed
    from gateway.spool.orders import Orders

_PART: Final = 50
"""Owners told in one transaction."""
_MOST_OWNERS: Final = 5000
"""Who comes in vain is the postmaster's: a stranger can write to any number of addresses."""
_ALL: Final = "*"
"""Sorts before every address; stands for all of them once they are told."""
_MOST_SUBJECT: Final = 300
"""Characters of a subject that are looked at."""
_MOST_SUBJECTS: Final = 10_000
"""Subjects remembered: an entry may have many owners."""


@dataclass(slots=True)
class _Share:
    """What one owner is told of: the first entries of each sort, and how many there are."""

    to: Mailbox
    count: int = 0
    sorts: tuple[list[Listed], list[Listed], list[Listed]] = field(default_factory=lambda: ([], [], []))
    """Frozen, held, quarantined; each the oldest first."""

    def add(self, entry: Listed) -> None:
        self.count += 1
        sort = self.sorts[0 if entry.kind not in KEPT else 1 if entry.kind is Kind.HELD else 2]
        if len(sort) < MOST_ITEMS:
            sort.append(entry)

    @property
    def first(self) -> list[Listed]:
        return [each for sort in self.sorts for each in sort][:MOST_ITEMS]


class Digests:
    """Sends them, once a day."""

    def __init__(
        self,
        settings: SpoolSettings,
        digest: DigestSettings,
        *,
        outcomes: Outcomes,
        routes: Routes,
        agency: Callable[[Mailbox], str | None],
        hostname: str,
    ) -> None:
        """Keep the rooms; `agency` returns the id of the agency that a mailbox belongs to."""
        self._settings, self._digest, self._hostname = settings, digest, hostname
        self._outcomes, self._routes, self._agency = outcomes, routes, agency
        self._mailboxes = {each.agency: Mailbox.parse(each.mailbox) for each in digest.agencies}
        self._postmaster = Mailbox.parse(digest.postmaster)

    def wait(self, now: datetime) -> timedelta:
        """Return how long it is until digests are due the next time."""
        local = now.astimezone(VIETNAM)
        at = local.replace(hour=self._digest.time.hour, minute=self._digest.time.minute, second=0, microsecond=0)
        return (at if at > local else at + timedelta(days=1)) - local

    def send(self, orders: Orders, now: datetime) -> int:
        """Store the digests of today that nobody stored yet, if it is late enough; returns how many."""
        local = now.astimezone(VIETNAM)
        if local.time() < self._digest.time:
            return 0
        day, sent = local.date().isoformat(), 0
        shares: dict[str, _Share] | None = None
        subject = lru_cache(maxsize=_MOST_SUBJECTS)(partial(subject_of, orders))
        while (begin := orders.digested(day)) != _ALL:
            shares = self._shares(orders) if shares is None else shares
            left = sorted(key for key in shares if begin is None or key > begin)
            part = left[:_PART]
            if not part and begin is None:
                break  # nothing is kept: nothing is said, not even on record
            digests = [each for key in part if (each := self._composed(shares[key], subject)) is not None]
            end = part[-1] if len(left) > _PART else _ALL
            if orders.digest(day, begin, end, digests, By("gateway", "", now)):
                sent += len(digests)
        return sent

    def _shares(self, orders: Orders) -> dict[str, _Share]:
        shares: dict[str, _Share] = {}
        for entry in orders.entries(kinds=KEPT, or_frozen=True):
            told: set[str] = set()
            for each in self._owners(entry):
                owner = each if each.key in shares or len(shares) < _MOST_OWNERS else self._postmaster
                if owner.key not in told:
                    told.add(owner.key)
                    shares.setdefault(owner.key, _Share(owner)).add(entry)
        return shares

    def _owners(self, entry: Listed) -> Iterator[Mailbox]:
        """Yield who is told of an entry."""
        code = entry.reason.partition(" ")[0]
        sender = entry.reverse_path
        if entry.kind not in KEPT or code == "undeliverable" or code.startswith("sender_"):
            yield self._postmaster
        elif entry.direction is Direction.INBOUND:
            for mailbox in entry.left:
                yield self._of(mailbox, may_be_told=self._routes.inbound(mailbox) is not None)
            if not entry.left:
                yield self._postmaster
        elif entry.kind is Kind.HELD and isinstance(sender, Mailbox):
            reached = self._routes.inbound(sender) or self._routes.outbound(sender)
            yield self._of(sender, may_be_told=entry.answered_for and reached is not None)
        else:
            yield self._postmaster

    def _of(self, mailbox: Mailbox, *, may_be_told: bool) -> Mailbox:
        if not may_be_told:
            return self._postmaster
        agency = self._agency(mailbox) if self._mailboxes else None
        person = mailbox if self._digest.people else self._postmaster
        return self._mailboxes.get(agency, person) if agency is not None else person

    def _composed(self, share: _Share, subject: Callable[[str], str]) -> Entry | None:
        first = share.first
        items = tuple(item_of(each, subject(each.entry_id), self._settings) for each in first)

        def make(token: str, now: datetime) -> Message:
            return kept_digest(Digest(share.to, self._hostname, now, token, items, share.count - len(first)))

        return self._outcomes.told(share.to, make, "notice digest")


def subject_of(desk: Desk, entry_id: str) -> str:
    """Return the subject of an entry, decoded and cut; "?" where it cannot be read."""
    entry = desk.load(entry_id)
    if entry is None:
        return "?"
    try:
        field = read_header(entry.consignment.message).first("subject")
    except MimeError:
        return "?"
    return decode_text(field.value)[:_MOST_SUBJECT] if field is not None else "(không có / none)"


def digests_of(
    settings: Settings, outcomes: Outcomes, routes: Routes, registry: Callable[[], Registry]
) -> Digests | None:
    """Return what sends digests, None where the settings name nobody; `registry` returns that of the present."""
    digest = settings.spool.digest
    if digest is None:
        return None

    def agency(mailbox: Mailbox) -> str | None:
        found = registry().agency_of_mailbox(mailbox)
        return found.id if found is not None else None

    return Digests(settings.spool, digest, outcomes=outcomes, routes=routes, agency=agency, hostname=settings.hostname)


def item_of(entry: Listed, subject: str, settings: SpoolSettings) -> Item:
    """Return an entry as its owner is told of it."""
    ends = entry.received_at + timedelta(days=settings.kept_days)
    said = entry.noticed_at + timedelta(days=settings.kept_notice_days) if entry.noticed_at is not None else ends
    return Item(
        entry_id=entry.entry_id,
        kind=entry.kind,
        subject=subject,
        sender=str(entry.reverse_path),
        recipients=tuple(str(mailbox) for mailbox, _ in entry.recipients),
        reason=entry.reason,
        received_at=entry.received_at,
        ends_at=max(ends, said),
        frozen_at=None if entry.kind in KEPT else entry.frozen_at,
    )
