"""Octets at rest: random access to bytes that never change, in memory or in a file somebody else opened.

This module must never open a file, and nothing here may interpret what the octets mean.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Protocol, runtime_checkable

import re2

WINDOW: Final = 256 * 1024
"""Octets moved at a time when a large body is scanned, hashed or sent."""
PASSED: Final = 5 * WINDOW
"""Octets that may be hashed or searched once where all sessions wait: a millisecond or two; a thread costs as much."""
_LATIN1: Final[Any] = re2.Options()
_LATIN1.encoding = re2.Options.Encoding.LATIN1
"""An octet is a character."""


class Source(Protocol):
    """Octets that can be read at any position and never change while anybody holds them."""

    def __len__(self) -> int:
        """Return the number of octets."""
        ...

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets of the half-open range, clipped to what exists."""
        ...


@runtime_checkable
class FileBacked(Protocol):
    """A `Source` whose octets are an open file from its first octet on: a place to look for one that is passed on."""

    def fileno(self) -> int:
        """Return the descriptor, which stays open while anybody holds the source."""
        ...


class Builder(Protocol):
    """An append-only place for octets that are being made; `finish` turns it into a `Source`."""

    def write(self, block: bytes) -> None:
        """Append octets; raises `OSError` when the place is full."""
        ...

    def finish(self) -> Source:
        """Return what was written; the builder takes no more after this."""
        ...


class Needle:
    """A literal to be found in large blocks of mail.

    RE2 looks for it with vector instructions: a fifth of what `bytes.find` takes where there is a CR in every line.
    """

    __slots__ = ("_pattern",)

    def __init__(self, octets: bytes) -> None:
        """Make it once where that is possible: it costs what 50 KB cost `bytes.find`."""
        self._pattern: Any = _compiled(octets)

    def find(self, block: bytes | memoryview, start: int = 0) -> int:
        """Return where it begins first from `start` on, or -1."""
        match = self._pattern.search(block, start)
        return int(match.start()) if match is not None else -1


@lru_cache(maxsize=64)
def _compiled(octets: bytes) -> Any:
    return linear_pattern(b"".join(b"\\x%02x" % each for each in octets))


def linear_pattern(source: bytes) -> Any:
    """Return a regular expression over octets that takes time linear in them, whatever an attacker writes (RE2)."""
    return re2.compile(source, _LATIN1)


class MemorySource:
    """A `Source` over one `bytes` object."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def __len__(self) -> int:
        return len(self._octets)

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets of the half-open range, clipped to what exists."""
        if start == 0 and stop >= len(self._octets):
            return self._octets
        return self._octets[start:stop]

    def view(self, start: int, stop: int) -> memoryview:
        """Return the same without a copy, for what takes any buffer."""
        return memoryview(self._octets)[start:stop]


class MemoryBuilder:
    """A `Builder` that keeps everything in memory: for small messages, commands and tests."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def write(self, block: bytes) -> None:
        """Append octets."""
        self._blocks.append(bytes(block))

    def finish(self) -> MemorySource:
        """Return everything written so far as one source."""
        return MemorySource(b"".join(self._blocks))
