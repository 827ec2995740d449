"""What was certainly never seen is known at once: a set of digests in about 12 bits each (Bloom, 1970).

It must never take a member for a stranger; that it takes a stranger for a member, once in some 300 times, costs a look.
"""

from __future__ import annotations

import time
from typing import Any, Final

from gateway.spool.seen import after, count

GATHERING: Final = 0.25
"""Seconds after which what was seen is written, and after which one looks for what other processes wrote."""
PAGE: Final = 2_000
"""Digests that are taken in at a time."""
LEAST_ROOM: Final = 200_000
"""Of a sieve: 300 KB."""
_BITS: Final = 12
"""Of each digest."""
_PROBES: Final = 6


class Sieve:
    """Digests of at least 16 octets; one thread adds, others may ask at the same time."""

    __slots__ = ("_bits", "_left", "_size")

    def __init__(self, capacity: int) -> None:
        """Make room for so many."""
        self._size = max(capacity, 1) * _BITS
        self._bits = bytearray(self._size // 8 + 1)
        self._left = capacity

    @property
    def full(self) -> bool:
        """True if it holds as many as it has room for: more make it tell less, never wrong."""
        return self._left <= 0

    def add(self, digest: bytes) -> None:
        """Take a digest in; there is no way out."""
        place, step = self._places(digest)
        for _ in range(_PROBES):
            self._bits[place >> 3] |= 1 << (place & 7)
            place = (place + step) % self._size
        self._left -= 1

    def __contains__(self, digest: bytes) -> bool:
        """Return False for what was never added."""
        bits, size = self._bits, self._size
        place, step = self._places(digest)
        for _ in range(_PROBES):
            if not bits[place >> 3] & (1 << (place & 7)):
                return False
            place = (place + step) % size
        return True

    def _places(self, digest: bytes) -> tuple[int, int]:
        """Return the first place and the step to the next, by two halves (Kirsch and Mitzenmacher, 2006)."""
        return int.from_bytes(digest[:8], "big") % self._size, int.from_bytes(digest[8:16], "big") | 1


class Keeper:
    """Fills a sieve with all signatures of the tables, and then with those that are written, by whomever."""

    def __init__(self, cursor: Any) -> None:
        """Begin with an empty one; `cursor` is one of `Database.cursor`."""
        self._cursor = cursor
        self._done = False
        self._last, self._next_at = 0, 0.0
        self._sieve = self._fresh()

    @property
    def sieve(self) -> Sieve | None:
        """What the tables may hold; None until they have been read through."""
        return self._sieve if self._done else None

    def work(self) -> None:
        """Take a page in, if it is time; a full sieve is made anew, since what was forgotten does not leave it."""
        if self._done and time.monotonic() < self._next_at:
            return
        rows = after(self._cursor, self._last, PAGE)
        for number, signature in rows:
            self._sieve.add(signature)
            self._last = number
        self._next_at = time.monotonic() + GATHERING
        if self._sieve.full:
            self._done, self._last, self._sieve = False, 0, self._fresh()
        elif len(rows) < PAGE:
            self._done = True

    def _fresh(self) -> Sieve:
        return Sieve(max(2 * count(self._cursor), LEAST_ROOM))
