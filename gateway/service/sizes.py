"""The SIZE a listener announces (RFC 1870): below what the next hops take, by what signing and encoding add.

The final size is checked again before the reply to the dot; this only spares a client from sending in vain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.ports import NextHops

ADDED_BY_SIGNING: Final = 32 * 1024
"""Octets that trace field, MIME header, signature and certificates add at most."""
ADDED_BY_TAGS: Final = 8 * 1024
"""Octets that trace field and tags add at most."""
ENCODED: Final = 57 / 78
"""Octets of content in one octet of base64 with its line ends."""


class AnnouncedSize:
    """The size to announce for mail that goes to some hops; asks them on `refresh`, answers at once otherwise."""

    def __init__(self, hops: NextHops, names: Iterable[str], *, most: int, signing: bool) -> None:
        """Keep the hops' names; `most` (octets) is the configured limit; `signing` tells outbound from inbound."""
        self._hops = hops
        self._names = tuple(dict.fromkeys(names))
        self._most = most
        self._signing = signing
        self._limit: int | None = None

    async def refresh(self) -> None:
        """Ask every hop what it takes; one that cannot be reached keeps what it said before."""
        limits = [await self._hops.by_name(name).known_limits() for name in self._names]
        sizes = [each.size for each in limits if each is not None and each.size]
        if sizes:
            self._limit = min(sizes)

    def __call__(self) -> int:
        """Return the size in octets."""
        if self._limit is None:
            return self._most
        signed = int((self._limit - ADDED_BY_SIGNING) * ENCODED)
        room = signed if self._signing else self._limit - ADDED_BY_TAGS
        return max(min(self._most, room), 1024)
