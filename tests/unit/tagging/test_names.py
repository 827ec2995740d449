"""What only some readers take for the end of a line: the quick way finds what the careful one does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tagging.names import has_odd_line_end

_ODD = re.compile(rb"\r(?!\n)|(?<!\r)\n|[\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")
_PIECES = (b"\r", b"\n", b"\r\n", b"a", b" ", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f", b"\xc2", b"\x85")
_MORE = (b"\xe2", b"\x80", b"\xa8", b"\xa9", b"\xc2\xa0", b"\xe2\x80\x93", "ạ".encode())


@pytest.mark.parametrize(
    "end", [b"\r", b"\n", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"]
)
def test_each_odd_line_end_is_found_alone(end: bytes) -> None:
    """Where nothing else is odd, lines that end well included."""
    assert has_odd_line_end(b"A: mot\r\nB: hai" + end + b"ba\r\n")
    assert not has_odd_line_end(b"A: mot\r\nB: hai\x1f\xc2\xa0\xe2\x80\x93ba\r\n")


@given(st.lists(st.sampled_from((*_PIECES, *_MORE)), max_size=8))
def test_odd_line_ends_are_all_found(pieces: list[bytes]) -> None:
    """A CR or LF alone, and what Unicode has for line ends; no other octets of the same beginning."""
    octets = b"".join(pieces)
    assert has_odd_line_end(octets) is (_ODD.search(octets) is not None)
