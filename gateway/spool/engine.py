"""What the spool asks of a database, whichever it is: turns, transactions that are durable when they end, views.

Nothing here knows SQLite or PostgreSQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from gateway.core.message import Message

T = TypeVar("T")


class Engine(Protocol):
    """One database, for all threads of this process."""

    def close(self) -> None:
        """Let go of it."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Wait until it is our turn to write, where writers must take turns."""
        ...

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do some work in a transaction, and return its result when that is durable; only inside `turn`.

        The work may be done more than once, in a transaction of its own each time: it changes nothing but the
        database. Raises `StorageFullError`, `OutageError`, `UncertainCommitError` or `ServiceError`.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """Give one unchanging view of what is committed; raises `ServiceError`."""
        ...


class Claimant(Protocol):
    """Who holds the claims of one open store, and until when others will believe that it lives."""

    @property
    def token(self) -> str:
        """Its name in claims; another one after it was taken for dead."""
        ...

    @property
    def fresh(self) -> bool:
        """False once others may have taken what was claimed here."""
        ...

    @property
    def reachable(self) -> bool:
        """False while the database does not answer."""
        ...

    def came(self) -> None:
        """Tell others soon that there is work."""
        ...

    def watch(self, wake: Callable[[], None]) -> None:
        """Have somebody called, from any thread, when others say that there is work."""
        ...

    def close(self) -> None:
        """Die, leaving no claim."""
        ...


class Beside(Protocol):
    """Large bodies where they are not in the database."""

    def keep(self, entry_id: str, message: Message) -> None:
        """Store one durably before its row is committed; raises `StorageFullError` or `ServiceError`."""
        ...

    def has(self, entry_id: str) -> bool:
        """Return whether it is there."""
        ...

    def remove(self, entry_id: str) -> None:
        """Remove it, after its row."""
        ...

    def close(self) -> None:
        """Let go of the place."""
        ...


class KeptRoom(Protocol):
    """Room kept back to finish mail on a full disk; each method is called inside the turn."""

    def hold(self) -> bool:
        """Return whether there is room for new mail."""
        ...

    def spend(self) -> bool:
        """Free the room; returns False if there was none."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class NothingBeside:
    """`Beside` and `KeptRoom` of a database that holds everything itself."""

    def keep(self, entry_id: str, message: Message) -> None:
        """Do nothing: the body goes with its row."""

    def has(self, entry_id: str) -> bool:
        """Return True: the body comes with its row."""
        return bool(entry_id)

    def remove(self, entry_id: str) -> None:
        """Do nothing: the body went with its row."""

    def hold(self) -> bool:
        """Return True: its disk is not ours."""
        return True

    def spend(self) -> bool:
        """Return False: there was none."""
        return False

    def close(self) -> None:
        """Do nothing."""
