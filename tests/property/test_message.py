"""Messages as spans: an edit changes the octets it names and no other, however the message is held."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message import SMALL, Edit, Message
from support.pieces import apart, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Hold = Callable[[Iterable[bytes]], Message]

HELD = st.sampled_from([apart, together, Message.join])
"""The ways a message is held: in spans, or in one piece while it is small."""
PIECES = st.lists(st.lists(st.sampled_from([b"a", b"b", b"\0"]), max_size=9).map(b"".join), max_size=9)


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[bytes], list[Edit]]:
    """Return pieces of a message, and edits of it that do not overlap."""
    pieces = draw(PIECES)
    size = sum(map(len, pieces))
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=8)))
    found = [
        Edit(start, stop, draw(st.binary(max_size=10))) for start, stop in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    return pieces, found


@given(edits(), HELD, st.randoms())
def test_splices_change_no_other_octet(given_edits: tuple[list[bytes], list[Edit]], hold: Hold, random: object) -> None:
    """Replacing from the end backwards in plain bytes gives the same octets, in whatever order edits come."""
    pieces, found = given_edits
    expected = bytearray(b"".join(pieces))
    for edit in reversed(sorted(found, key=lambda each: (each.start, each.stop))):  # noqa: C413 - keeps equals in order
        expected[edit.start : edit.stop] = edit.octets
    shuffled = list(found)
    if len({(each.start, each.stop) for each in found}) == len(found):  # insertions at one place keep their order
        random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert hold(pieces).splice(shuffled).octets() == bytes(expected)


@given(PIECES, HELD, st.integers(-5, 80), st.integers(-5, 80))
def test_slices_are_those_of_the_octets(pieces: list[bytes], hold: Hold, start: int, stop: int) -> None:
    """A slice in spans is the slice of the octets, clipped to what exists."""
    octets = b"".join(pieces)
    clipped = octets[max(start, 0) : max(stop, 0)]
    assert hold(pieces).slice(max(start, 0), max(stop, 0)).octets() == clipped
    assert hold(pieces).read(max(start, 0), max(stop, 0)) == clipped
    assert len(hold(pieces).slice(max(start, 0), max(stop, 0))) == len(clipped)


@given(
    PIECES,
    HELD,
    st.lists(st.sampled_from([b"a", b"b"]), min_size=1, max_size=4).map(b"".join),
    st.integers(0, 40),
    st.integers(0, 80),
)
def test_find_is_that_of_the_octets(pieces: list[bytes], hold: Hold, needle: bytes, start: int, stop: int) -> None:
    """A needle is found at the same place wherever spans end."""
    octets = b"".join(pieces)
    assert hold(pieces).find(needle, start, stop) == (octets.find(needle, start, stop) if start <= len(octets) else -1)
    assert hold(pieces).find(needle) == octets.find(needle)


@given(PIECES, HELD, st.integers(1, 50))
def test_windows_and_digest(pieces: list[bytes], hold: Hold, size: int) -> None:
    """Windows are the octets in order, bounded; a digest does not depend on them."""
    message = hold(pieces)
    windows = list(message.windows(size))
    assert b"".join(windows) == b"".join(pieces) == message.octets()
    assert all(0 < len(each) <= size for each in windows)
    assert message.digest("sha256") == hashlib.sha256(b"".join(pieces)).digest()


@given(st.integers(-2, 12), edits(), HELD)
def test_the_border_of_small_messages_is_none(
    more: int, given_edits: tuple[list[bytes], list[Edit]], hold: Hold
) -> None:
    """An edit that makes a small message large, or a large one small, changes no octet that it does not name."""
    pieces, found = given_edits
    size = sum(map(len, pieces))
    front = b"\r\n" * (SMALL // 2) + b"\r" * 20
    front = front[: SMALL + more - size]
    moved = [Edit(each.start + len(front), each.stop + len(front), each.octets) for each in found]
    expected = bytearray(b"".join(pieces))
    for edit in reversed(sorted(found, key=lambda each: (each.start, each.stop))):  # noqa: C413 - keeps equals in order
        expected[edit.start : edit.stop] = edit.octets
    made = hold([front, *pieces]).splice(moved)
    octets = front + bytes(expected)
    assert (len(made), made.octets(), b"".join(made.windows())) == (len(octets), octets, octets)
    assert made.slice(len(front) - 1, len(octets)).octets() == octets[len(front) - 1 :]
    assert made.find(b"\0", 1) == octets.find(b"\0", 1)
    assert made.digest("sha256") == hashlib.sha256(octets).digest()


@given(PIECES, PIECES, HELD, HELD)
def test_equal_messages_hold_equal_octets(one: list[bytes], other: list[bytes], hold: Hold, hold_other: Hold) -> None:
    """Never are two messages equal whose octets are not; those in one piece are equal if their octets are."""
    first, second = hold(one), hold_other(other)
    if first == second:
        assert first.octets() == second.octets()
        assert hash(first) == hash(second)
    assert (together(one) == Message.of(b"".join(other))) == (b"".join(one) == b"".join(other))


PLACES = st.one_of(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: (min(pair), max(pair))),
    st.tuples(st.integers(-3, 25), st.integers(-3, 25)),
)


@given(st.binary(min_size=9, max_size=20), st.lists(PLACES, min_size=1, max_size=4))
def test_impossible_edits_are_refused(octets: bytes, places: list[tuple[int, int]]) -> None:
    """An edit outside, backwards, or over another one never yields a message."""
    ordered = sorted(places)
    fits = all(0 <= start <= stop <= len(octets) for start, stop in ordered) and all(
        first[1] <= second[0] for first, second in itertools.pairwise(ordered)
    )
    spliced = [Edit(start, stop, b"x") for start, stop in places]
    if fits:
        Message.of(octets).splice(spliced)
    else:
        with pytest.raises(ValueError, match="overlaps another or lies outside"):
            Message.of(octets).splice(spliced)
