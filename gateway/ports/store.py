"""The durable store, kept mail, and what is remembered of past mail (`handover.md` 3).

Nothing here does anything; a promise that cannot be said in a type is said in the docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from gateway.core.past import PastMessage
    from gateway.core.queue import Entry, Full
    from gateway.core.sighting import Recollection, Sighting


class Spool(Protocol):
    """The durable store (`handover.md` 3). When `commit` returns, the entries survive a crash."""

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Store all entries in one transaction, group-committed with others.

        Committing the same entry ids again is harmless. Raises `StorageFullError` or `ServiceError`: nothing is kept.
        """
        ...

    async def commit_claimed(self, entries: Sequence[Entry]) -> None:
        """As `commit`, and claim them as `due` does: for whoever has a dot of theirs to send, or to hear answered."""
        ...

    async def settle(self, entry: Entry, notices: Sequence[Entry] = ()) -> None:
        """Replace an entry's state by `entry`'s and store notices, in one transaction.

        An entry of kind DELIVER without READY recipients is deleted; its body file goes after the row. An entry that
        became QUARANTINED stays.
        """
        ...

    async def due(self, now: datetime, limit: int, full: Full = ...) -> tuple[Entry, ...]:
        """Return and claim DELIVER entries whose next attempt is due, oldest first; not those claimed already.

        What has no room is passed over, at a cost that does not depend on how much of it there is. A claim ends with
        `settle`, `release_claim` or the end of this process. Nobody knows whether one that died had sent a dot: its
        entries come back with `dot_sent`.
        """
        ...

    def holds(self, entry_id: str) -> bool:
        """Return whether an entry that was claimed here is still ours; if not, no dot of it is sent any more."""
        ...

    async def release_claim(self, entry_id: str) -> None:
        """Give a claimed entry back unchanged."""
        ...

    async def next_due(self, full: Full = ...) -> datetime | None:
        """Return when the earliest unclaimed DELIVER entry is due for which there is room."""
        ...

    async def pull_near(self, now: datetime, longest: timedelta) -> int:
        """Make due what is planned for more than `longest` from now; return how many entries that were."""
        ...

    async def count(self) -> Mapping[str, int]:
        """Return the number of entries by kind."""
        ...

    @property
    def below_watermark(self) -> bool:
        """True while there is too little room, or nobody knows: MAIL is answered 452 4.3.1."""
        ...


class KeptMail(Protocol):
    """The same store, for what goes through the journey again."""

    async def due_again(self, now: datetime, limit: int) -> tuple[Entry, ...]:
        """Return and claim RELEASED and TO_SIGN entries that are due, as `Spool.due` does those that are delivered."""
        ...

    async def next_due_again(self) -> datetime | None:
        """Return when the earliest unclaimed one is due."""
        ...

    async def exchange(self, entry_id: str, entries: Sequence[Entry]) -> None:
        """Put entries in the place of one, in one transaction; where that one is gone nothing is stored."""
        ...

    async def settle(self, entry: Entry, notices: Sequence[Entry] = ()) -> None:
        """As `Spool.settle`."""
        ...

    async def release_claim(self, entry_id: str) -> None:
        """As `Spool.release_claim`."""
        ...


class Memory(Protocol):
    """Remembers facts and rulings of past mail, bounded in number and age; never raises and never delays mail."""

    def remember(self, past: PastMessage) -> None:
        """Note one message; written in batches, behind the reply."""
        ...


class Sightings(Protocol):
    """Remembers signatures and the certificates of authors, bounded in number and age."""

    async def see(self, sighting: Sighting) -> Recollection:
        """Note an arrival and return what was known before it; never raises.

        Of two arrivals at once, in one process or several, the second one is told of the first.
        """
        ...
