"""Octets and spans: an edit changes exactly the octets it names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import message as message_module
from gateway.core.message import EMPTY, SMALL, Edit, Message, Span
from gateway.core.octets import MemoryBuilder, MemorySource
from support.pieces import apart, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.core.octets import Source

    Hold = Callable[[Iterable[bytes]], Message]

PIECES = st.lists(st.binary(max_size=40), max_size=6)
HELD = st.sampled_from([apart, together])


@st.composite
def edited(draw: st.DrawFn) -> tuple[list[bytes], list[Edit]]:
    """Pieces of a message, and edits that do not overlap."""
    pieces = draw(PIECES)
    length = sum(map(len, pieces))
    marks = sorted(draw(st.lists(st.integers(0, length), max_size=6).filter(lambda each: len(each) % 2 == 0)))
    pairs = list(zip(marks[::2], marks[1::2], strict=True))
    return pieces, [Edit(start, stop, draw(st.binary(max_size=10))) for start, stop in pairs]


@given(edited(), HELD)
def test_splice_is_what_bytes_would_give(case: tuple[list[bytes], list[Edit]], hold: Hold) -> None:
    """A splice equals the same edit made on one bytes object."""
    pieces, edits = case
    whole = bytearray(b"".join(pieces))
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        whole[edit.start : edit.stop] = edit.octets
    spliced = hold(pieces).splice(edits)
    # insertions that share a position keep the order given, which the reversed loop above does not
    if len({edit.start for edit in edits}) == len(edits):
        assert spliced.octets() == bytes(whole)
    assert len(spliced) == len(whole)


@given(PIECES, st.binary(min_size=1, max_size=4), st.integers(0, 50), HELD)
def test_find_crosses_spans_and_windows(pieces: list[bytes], needle: bytes, start: int, hold: Hold) -> None:
    """A search sees through the borders of spans."""
    message = hold(pieces)
    assert message.find(needle, start) == b"".join(pieces).find(needle, start)


class Read:
    """Octets that must be read: no window of them is in memory."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def __len__(self) -> int:
        return len(self._octets)

    def read(self, start: int, stop: int) -> bytes:
        return self._octets[start:stop]


@given(
    st.lists(st.lists(st.sampled_from([b"a", b"b", b"ab"]), max_size=9).map(b"".join), max_size=9),
    st.lists(st.sampled_from([b"a", b"b"]), min_size=1, max_size=5).map(b"".join),
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from([Read, MemorySource]),
)
def test_places_of_large_ones_are_those_of_the_octets(
    pieces: list[bytes], needle: bytes, start: int, stop: int, held: Callable[[bytes], Source]
) -> None:
    """Every place once and in order: within a block, across two or many, overlapping, in memory or read."""
    octets = b"".join(pieces)
    expected = [place for place in range(start, stop - len(needle) + 1) if octets.startswith(needle, place)]
    spans = [Span(held(each), 0, len(each)) for each in pieces if each]
    for small in (SMALL, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(message_module, "SMALL", small)  # with -1 all are large
            assert list(Message(tuple(spans)).places(needle, start, stop)) == expected


@given(PIECES, st.integers(0, 200), st.integers(0, 200), HELD)
def test_slice_and_read_clip(pieces: list[bytes], start: int, stop: int, hold: Hold) -> None:
    """Ranges are clipped to what exists, as with bytes."""
    message = hold(pieces)
    assert message.read(start, stop) == b"".join(pieces)[start:stop]
    assert message.slice(start, stop).octets() == b"".join(pieces)[start:stop]


@given(PIECES, HELD)
def test_digest_and_windows(pieces: list[bytes], hold: Hold) -> None:
    """The digest is over all octets, and small windows give the same octets."""
    message = hold(pieces)
    assert message.digest("sha256") == hashlib.sha256(b"".join(pieces)).digest()
    assert b"".join(message.windows(3)) == b"".join(pieces)


def test_small_neighbors_of_a_large_message_become_one() -> None:
    """What stands between large pieces is passed over at once."""
    large = Message.of(b"x" * (SMALL + 1))
    made = Message.join((b"a", Message.of(b"b"), large, b"c", b"", Message.of(b"d")))
    assert [len(each) for each in made.spans] == [2, SMALL + 1, 2]
    assert made.spans[1] == large.spans[0]
    assert made.octets() == b"ab" + large.octets() + b"cd"


def test_a_join_copies_no_more_than_a_small_message() -> None:
    """Copies are counted nowhere: what is more keeps its source, which is."""
    half = Message.of(b"x" * (SMALL // 2))
    made = Message.join([half] * 6)
    assert [len(each) for each in made.spans] == [SMALL, *[SMALL // 2] * 4]
    assert all(each.source is half.spans[0].source for each in made.spans[1:])
    assert made.octets() == half.octets() * 6


def test_overlapping_edits_are_refused() -> None:
    """Two edits of one octet have no meaning."""
    with pytest.raises(ValueError, match="overlaps"):
        Message.of(b"abcdef").splice([Edit(0, 3, b""), Edit(2, 4, b"")])
    with pytest.raises(ValueError, match="outside"):
        Message.of(b"abc").splice([Edit(2, 9, b"")])


def test_insertions_at_one_place_keep_their_order() -> None:
    """The top of a header is where several fields are added at once."""
    assert Message.of(b"x").splice([Edit(0, 0, b"1"), Edit(0, 0, b"2")]).octets() == b"12x"


def test_empty() -> None:
    """Nothing is a message too."""
    assert len(EMPTY) == 0
    assert Message.of(b"") == EMPTY
    builder = MemoryBuilder()
    builder.write(b"ab")
    builder.write(b"c")
    assert Message.from_source(builder.finish()).octets() == b"abc"
