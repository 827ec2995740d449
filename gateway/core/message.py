"""A message as octets plus spans: cutting and splicing a large one copies references, never the octets themselves.

A small one is one piece in memory, and stays one: to copy it costs less than to follow spans. A `Message` must never
re-print, re-encode or re-flow what it holds; an edit changes exactly the octets it names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from gateway.core.octets import WINDOW, MemorySource, Needle, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SMALL: Final = 128 * 1024
"""Octets of a message that is kept in one piece: above, copies cost more than spans. What is in a file never is, so all
copies together are in proportion to what may be in memory."""


@dataclass(frozen=True, slots=True)
class Span:
    """A non-empty half-open range of one source."""

    source: Source
    start: int
    stop: int
    seven_bit_from: int | None = field(default=None, compare=False)
    """From where on the source is known to be 7bit data (RFC 2045 2.7), but for a line begun before; else None."""

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the octets [start, stop) of a message by `octets`; start == stop inserts."""

    start: int
    stop: int
    octets: bytes


class Message:
    """A sequence of octets that never changes; large ones are equal by their spans, not by what these hold."""

    __slots__ = ("_piece", "_seven_bit_from", "_size", "_spans")

    def __init__(self, spans: tuple[Span, ...] = ()) -> None:
        """Begin with the spans, in order."""
        self._spans: tuple[Span, ...] | None = spans
        self._size = sum([span.stop - span.start for span in spans])
        self._piece: bytes | None = None
        """Everything, where it is small and in memory."""
        self._seven_bit_from: int | None = None
        """Of the piece: see `Span`."""
        if not spans:
            self._piece = b""
        elif len(spans) == 1 and self._size <= SMALL and isinstance(spans[0].source, MemorySource):
            known = spans[0].seven_bit_from
            self._piece = spans[0].source.read(spans[0].start, spans[0].stop)
            self._seven_bit_from = max(known - spans[0].start, 0) if known is not None else None

    @classmethod
    def of(cls, octets: bytes, *, seven_bit_from: int | None = None) -> Message:
        """Return a message over octets in memory; for `seven_bit_from` see `Span`."""
        size = len(octets)
        if size > SMALL:
            return cls.from_source(MemorySource(octets), seven_bit_from=seven_bit_from)
        made = cls.__new__(cls)  # the usual case, without the detour through a source
        made._spans, made._size, made._piece = None, size, octets  # noqa: SLF001 - our own
        made._seven_bit_from = seven_bit_from  # noqa: SLF001 - our own
        return made

    @classmethod
    def from_source(cls, source: Source, *, seven_bit_from: int | None = None) -> Message:
        """Return a message that is the whole of one source; for `seven_bit_from` see `Span`."""
        return cls((Span(source, 0, len(source), seven_bit_from),) if len(source) else ())

    @classmethod
    def join(cls, pieces: Iterable[Message | bytes]) -> Message:
        """Return the concatenation; of a large one small neighbors become one piece, and others keep their own sources.

        Of a small one what is known of the last piece is kept: that is the body, or its end.
        """
        given = tuple(pieces)
        small = [each if isinstance(each, bytes) else each._piece for each in given]  # noqa: SLF001 - our own
        octets = cast("list[bytes]", small)
        if None not in small and (size := sum(map(len, octets))) <= SMALL:
            last = given[-1] if given else b""
            known = None if isinstance(last, bytes) else last._seven_bit_from  # noqa: SLF001 - our own
            behind = None if known is None else size - len(last) + known
            return cls.of(b"".join(octets), seven_bit_from=behind)
        spans: list[Span] = []
        run: list[Message | bytes] = []
        copied = 0  # bounded for the whole: copies are not counted where sources in memory are
        for piece, its_octets in zip(given, small, strict=True):
            if its_octets is None or copied + len(its_octets) > SMALL:
                spans.extend(cls.join(run).spans)
                spans.extend((cls.of(piece) if isinstance(piece, bytes) else piece).spans)
                run = []
            else:
                run.append(piece)
                copied += len(its_octets)
        return cls((*spans, *cls.join(run).spans))

    @property
    def spans(self) -> tuple[Span, ...]:
        """The ranges it is made of."""
        if self._spans is None:
            octets = self._piece or b""
            self._spans = (Span(MemorySource(octets), 0, len(octets), self._seven_bit_from),) if octets else ()
        return self._spans

    @property
    def in_one_piece(self) -> bool:
        """True if it is small, and in memory."""
        return self._piece is not None

    @property
    def seven_bit(self) -> bool:
        """True if everything is known to be 7bit data, but for a line cut at an end; False says nothing."""
        if self._piece is not None:
            return self._seven_bit_from == 0
        return all(span.seven_bit_from is not None and span.seven_bit_from <= span.start for span in self.spans)

    def __len__(self) -> int:
        return self._size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message) or self._size != other._size:
            return False
        return self._piece == other._piece if self._piece is not None else self.spans == other.spans

    def __hash__(self) -> int:
        return hash(self._piece if self._piece is not None else self.spans)

    def slice(self, start: int, stop: int) -> Message:
        """Return the octets [start, stop) as a message over the same sources, clipped to what exists."""
        if self._piece is not None:
            if start == 0 and stop == self._size:
                return self
            known = self._seven_bit_from
            return Message.of(
                self.read(start, stop), seven_bit_from=max(known - start, 0) if known is not None else None
            )
        return Message(
            tuple(
                [Span(span.source, begin, end, span.seven_bit_from) for span, begin, end in self._ranges(start, stop)]
            )
        )

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets [start, stop), clipped to what exists; the caller bounds the size."""
        if self._piece is not None:
            return self._piece[start:stop] if start >= 0 <= stop else self._piece[max(start, 0) : max(stop, 0)]
        blocks = [span.source.read(begin, end) for span, begin, end in self._ranges(start, stop)]
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _ranges(self, start: int, stop: int) -> list[tuple[Span, int, int]]:
        """Return which ranges of which sources hold the octets [start, stop)."""
        found: list[tuple[Span, int, int]] = []
        begin = 0  # of the span in the message
        for span in self.spans:
            if begin >= stop:
                break
            end = begin + span.stop - span.start
            if end > start:
                left = span.start + start - begin if start > begin else span.start
                right = span.start + stop - begin if stop < end else span.stop
                if left < right:
                    found.append((span, left, right))
            begin = end
        return found

    def octets(self) -> bytes:
        """Return everything in one object: only for messages known to be small."""
        return self._piece if self._piece is not None else self.read(0, self._size)

    def windows(self, size: int = WINDOW) -> Iterator[bytes]:
        """Yield the octets in order, in blocks of at most `size`."""
        if self._piece is not None and self._size <= size:
            if self._size:
                yield self._piece
            return
        for span in self.spans:
            for start in range(span.start, span.stop, size):
                yield span.source.read(start, min(start + size, span.stop))

    def views(self) -> Iterator[bytes | memoryview]:
        """Yield the octets in order: in windows where they must be read, without a copy where they are in memory."""
        if self._piece is not None:
            yield self._piece
            return
        for span in self.spans:
            if isinstance(span.source, MemorySource):
                yield span.source.view(span.start, span.stop)
            else:
                yield from Message((span,)).windows()

    def find(self, needle: bytes, start: int = 0, stop: int | None = None) -> int:
        """Return the position of the first `needle` inside [start, stop), or -1; matches may cross spans."""
        if self._piece is not None:
            return self._piece.find(needle, start, self._size if stop is None else min(stop, self._size))
        return next(self.places(needle, start, stop), -1)

    def places(self, needle: bytes, start: int = 0, stop: int | None = None) -> Iterator[int]:
        """Yield where `needle` begins inside [start, stop), in one pass; matches may cross spans, and overlap."""
        end = self._size if stop is None else min(stop, self._size)
        if self._piece is not None or end - start <= SMALL:  # to compile the needle costs more
            octets, base = (self._piece, 0) if self._piece is not None else (self.read(start, end), start)
            found = octets.find(needle, start - base, end - base)
            while found >= 0:
                yield base + found
                found = octets.find(needle, found + 1, end - base)
            return
        find = Needle(needle).find
        across = len(needle) - 1
        before = b""  # too little for a match in it
        for block in self.slice(start, end).views():
            seam = before + bytes(block[:across])
            for piece, base in ((seam, start - len(before)), (block, start)):
                found = find(piece)
                while found >= 0:
                    yield base + found
                    found = find(piece, found + 1)
            start += len(block)
            before += bytes(block[max(len(block) - across, 0) :])
            before = before[max(len(before) - across, 0) :]

    def splice(self, edits: Iterable[Edit]) -> Message:
        """Return the message with the edits applied; raises `ValueError` if two overlap or one is out of range.

        Edits may come in any order; two insertions at one position keep the order given.
        """
        pieces: list[Message | bytes] = []
        position = 0
        for edit in sorted(edits, key=lambda each: (each.start, each.stop)):
            if edit.start < position or edit.stop < edit.start or edit.stop > self._size:
                text = f"edit [{edit.start}, {edit.stop}) overlaps another or lies outside the message"
                raise ValueError(text)
            pieces += (self.slice(position, edit.start), edit.octets)
            position = edit.stop
        pieces.append(self.slice(position, self._size))
        return Message.join(pieces)

    def digest(self, algorithm: str) -> bytes:
        """Return the hash of all octets; `algorithm` is a `hashlib` name such as "sha256"."""
        if self._piece is not None:
            return hashlib.new(algorithm, self._piece).digest()
        state = hashlib.new(algorithm)
        for block in self.views():
            state.update(block)
        return state.digest()


EMPTY: Final = Message()
