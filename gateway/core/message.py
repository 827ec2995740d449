"""A message as octets plus spans: cutting and splicing copies references, never the octets themselves.

A `Message` must never re-print, re-encode or re-flow what it holds; an edit changes exactly the octets it names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.octets import WINDOW, MemorySource, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Span:
    """A non-empty half-open range of one source."""

    source: Source
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the octets [start, stop) of a message by `octets`; start == stop inserts."""

    start: int
    stop: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A sequence of octets made of spans; equality is identity of spans, use `octets()` to compare contents."""

    spans: tuple[Span, ...]

    @classmethod
    def of(cls, octets: bytes) -> Message:
        """Return a message over octets in memory."""
        return cls.from_source(MemorySource(octets))

    @classmethod
    def from_source(cls, source: Source) -> Message:
        """Return a message that is the whole of one source."""
        return cls((Span(source, 0, len(source)),) if len(source) else ())

    @classmethod
    def join(cls, pieces: Iterable[Message | bytes]) -> Message:
        """Return the concatenation; neighboring pieces keep their own sources."""
        spans: list[Span] = []
        for piece in pieces:
            spans.extend((cls.of(piece) if isinstance(piece, bytes) else piece).spans)
        return cls(tuple(spans))

    def __len__(self) -> int:
        return sum(len(span) for span in self.spans)

    def slice(self, start: int, stop: int) -> Message:
        """Return the octets [start, stop) as a message over the same sources, clipped to what exists."""
        spans: list[Span] = []
        offset = 0
        for span in self.spans:
            left = max(start - offset, 0)
            right = min(stop - offset, len(span))
            if left < right:
                spans.append(Span(span.source, span.start + left, span.start + right))
            offset += len(span)
            if offset >= stop:
                break
        return Message(tuple(spans))

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets [start, stop), clipped to what exists; the caller bounds the size."""
        return b"".join(span.source.read(span.start, span.stop) for span in self.slice(start, stop).spans)

    def octets(self) -> bytes:
        """Return everything in one object: only for messages known to be small."""
        return self.read(0, len(self))

    def windows(self, size: int = WINDOW) -> Iterator[bytes]:
        """Yield the octets in order, in blocks of at most `size`."""
        for span in self.spans:
            for start in range(span.start, span.stop, size):
                yield span.source.read(start, min(start + size, span.stop))

    def find(self, needle: bytes, start: int = 0, stop: int | None = None) -> int:
        """Return the position of the first `needle` inside [start, stop), or -1; matches may cross spans."""
        end = len(self) if stop is None else min(stop, len(self))
        carry = b""
        position = start
        for window in self.slice(start, end).windows():
            block = carry + window
            found = block.find(needle)
            if found >= 0:
                return position - len(carry) + found
            position += len(window)
            carry = block[-(len(needle) - 1) :] if len(needle) > 1 else b""
        return -1

    def splice(self, edits: Iterable[Edit]) -> Message:
        """Return the message with the edits applied; raises `ValueError` if two overlap or one is out of range.

        Edits may come in any order; two insertions at one position keep the order given.
        """
        pieces: list[Message | bytes] = []
        position = 0
        for edit in sorted(edits, key=lambda each: (each.start, each.stop)):
            if edit.start < position or edit.stop < edit.start or edit.stop > len(self):
                text = f"edit [{edit.start}, {edit.stop}) overlaps another or lies outside the message"
                raise ValueError(text)
            pieces += (self.slice(position, edit.start), edit.octets)
            position = edit.stop
        pieces.append(self.slice(position, len(self)))
        return Message.join(pieces)

    def digest(self, algorithm: str) -> bytes:
        """Return the hash of all octets; `algorithm` is a `hashlib` name such as "sha256"."""
        state = hashlib.new(algorithm)
        for window in self.windows():
            state.update(window)
        return state.digest()


EMPTY: Final = Message(())
