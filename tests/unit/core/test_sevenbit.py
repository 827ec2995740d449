"""Whether octets are 7bit data, against a reading of RFC 2045 2.7 octet by octet."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.sevenbit import MAX_LINE, SevenBitWatch, has_lone_line_end
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterable

PIECES = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r", b"\n", b"\0", b"\x80", b"\xff", b".", b"a b", b"\t", b"x" * (MAX_LINE - 1), b"y" * MAX_LINE]
    ),
    max_size=12,
)


def watched(blocks: Iterable[bytes]) -> SevenBitWatch:
    """Let a watch see blocks."""
    watch = SevenBitWatch()
    for each in blocks:
        watch.see(each)
    return watch


def slowly(octets: bytes) -> tuple[bool, bool, bool]:
    """Return whether anything is bare, all is 8bit data, all is 7bit data; one octet at a time."""
    bare = "\0" in octets.decode("latin-1")
    line = longest = 0
    for index, each in enumerate(octets):
        before, after = octets[index - 1 : index] if index else b"", octets[index + 1 : index + 2]
        bare = bare or (each == 0x0D and after != b"\n") or (each == 0x0A and before != b"\r")
        line = 0 if each == 0x0A and before == b"\r" else line + 1
        longest = max(longest, line - (each == 0x0D and after == b"\n"))
    return bare, not bare and longest <= MAX_LINE, not bare and longest <= MAX_LINE and max(octets, default=0) < 0x80


@settings(max_examples=examples(300), deadline=None)
@given(PIECES, st.lists(st.integers(0, 4000), max_size=4))
def test_it_says_what_a_slow_reader_says(pieces: list[bytes], cuts: list[int]) -> None:
    """In whatever blocks, as long as none is cut between CR and LF."""
    octets = b"".join(pieces)
    places = sorted(
        {0, len(octets), *(cut for cut in cuts if cut < len(octets) and octets[cut - 1 : cut + 1] != b"\r\n")}
    )
    watch = watched(octets[start:stop] for start, stop in pairwise(places))
    bare, eight_bit, seven_bit = slowly(octets)
    assert (watch.bare, watch.seven_bit) == (bare, seven_bit)
    assert watch.eight_bit == eight_bit
    begin = watch.seven_bit_from
    assert begin in (0, len(octets)) or begin in places or octets[:begin].endswith(b"\r\n")
    if not bare:
        assert slowly(octets[begin:])[2]
    if seven_bit:
        assert begin == 0


def test_files_behind_a_text_are_told_apart() -> None:
    """What is 7bit data begins with the line behind the last octet above 127, though both came in one block."""
    text, file = "Kính gửi\r\nquý cơ quan.\r\n".encode(), b"AAAA\r\n" * 1000
    watch = watched([text + file, file])
    assert (watch.seven_bit_from, watch.seven_bit) == (len(text), False)


@pytest.mark.parametrize("line", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1])
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_the_longest_line_is_counted_over_blocks(line: int, end: bytes) -> None:
    """The bound is that of RFC 5322: 998 octets without CRLF, in one block or octet by octet."""
    for blocks in ([b"a\r\n" + b"x" * line + end], [b"a\r\n", *[b"x"] * line, end]):
        assert watched(blocks).seven_bit is (line <= MAX_LINE)


def test_nothing_becomes_good_again() -> None:
    """What was seen once is not forgotten over what follows."""
    for bad in (b"a\rb", b"a\nb", b"\0", b"\x80", b"x" * (MAX_LINE + 1)):
        watch = watched([bad, *[b"good\r\n" * 1000] * 3])
        assert not watch.seven_bit


@given(PIECES)
@settings(max_examples=examples(300), deadline=None)
def test_line_ends_that_stand_alone(pieces: list[bytes]) -> None:
    """A CR or LF beside a CRLF is seen as one that stands anywhere else."""
    octets = b"".join(pieces).replace(b"\0", b"")
    assert has_lone_line_end(octets) == slowly(octets)[0]
