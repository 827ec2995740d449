"""What is remembered of octets: short ones, few, each for its arguments, and nothing that was raised."""

from __future__ import annotations

import pytest

from gateway.core.remembered import remembered


def test_what_is_remembered_is_short_and_few() -> None:
    """Long octets are read each time: what a stranger sends must not fill the memory."""
    asked: list[bytes] = []

    @remembered(2, octets=3)
    def length(octets: bytes) -> int:
        asked.append(octets)
        return len(octets)

    for each in (b"abc", b"abc", b"abcd", b"abcd", b"x", b"y", b"abc"):
        assert length(each) == len(each)
    assert asked == [b"abc", b"abcd", b"abcd", b"x", b"y", b"abc"]


def test_other_arguments_have_answers_of_their_own() -> None:
    """An answer is never that to another question, and a refusal is made anew each time."""
    asked: list[tuple[bytes, bool]] = []

    @remembered(8, octets=3)
    def read(octets: bytes, *, strict: bool) -> str:
        asked.append((octets, strict))
        if strict:
            raise ValueError(octets)
        return octets.decode()

    for _ in range(2):
        assert read(b"a", strict=False) == "a"
        with pytest.raises(ValueError, match="a"):
            read(b"a", strict=True)
    assert asked == [(b"a", False), (b"a", True), (b"a", True)]
