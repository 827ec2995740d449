"""Octets at rest: random access to bytes that never change, in memory or in a file somebody else opened.

This module must never open a file, and nothing here may interpret what the octets mean.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

WINDOW: Final = 256 * 1024
"""Octets moved at a time when a large body is scanned, hashed or sent."""


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
