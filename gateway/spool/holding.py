"""Which claims are still ours: those made under the name that others believe alive.

Used from the event loop and from the thread that finds us taken for dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.spool.engine import Claimant


class Held:
    """Entries claimed here, each with the name it was claimed under at the earliest."""

    def __init__(self, owner: Claimant) -> None:
        """Begin with none."""
        self._owner = owner
        self._tokens: dict[str, str] = {}

    def take(self, ids: Iterable[str], token: str) -> None:
        """Note claims; `token` is the owner's name before they were asked for."""
        self._tokens.update(dict.fromkeys(ids, token))

    def let_go(self, ids: Iterable[str]) -> None:
        """Forget claims that were settled or given back."""
        for each in ids:
            self._tokens.pop(each, None)

    def knows(self, entry_id: str) -> bool:
        """Return whether somebody here works on an entry, whoever may have its claim by now."""
        return entry_id in self._tokens

    def has(self, entry_id: str) -> bool:
        """Return whether a claim is surely ours at this moment."""
        return self._owner.fresh and self._tokens.get(entry_id) == self._owner.token
