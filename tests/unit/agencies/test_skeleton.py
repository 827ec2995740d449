"""What an eye takes a text for: one skeleton for all that looks alike, and bounds on what a stranger writes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agencies.skeleton import MOST_LETTERS, skeleton, words


@pytest.mark.parametrize(
    "text",
    ["Công an", "CÔNG AN", "C\u00f4ng-an", "\u0421\u043engAn", "Co\u0302ng\u200ban", "c 0 n g a n", "\U0001f132ongan"],
)
def test_one_skeleton(text: str) -> None:
    """Diacritics, capitals, scripts, boxes, blanks and what is invisible make no difference."""
    assert skeleton(text) == "congan"


def test_places_of_words() -> None:
    """A word knows whether it begins something, and whether a bracket stands before it."""
    found = words("Lan Anh (Sở Y tế) - VP, 24")
    assert [each.letters for each in found if each.segment] == ["ian", "so", "vp", "24"]
    assert [each.letters for each in found if each.bracket] == ["so"]
    assert [each.letters for each in found if each.capitals] == ["y", "vp"]


@given(st.text(max_size=200))
def test_composition_makes_no_difference(text: str) -> None:
    """A text and its decomposition look the same, and no text has more letters than are looked at."""
    assert skeleton(unicodedata.normalize("NFD", text)) == skeleton(text)
    assert len(skeleton(text)) <= MOST_LETTERS


def test_padding_hides_nothing() -> None:
    """What takes no room pushes nothing out of sight, however much of it there is."""
    for padding in ("\u200b", "\u00ad \u2060", "\t \u3164", "\U000e0041"):
        assert skeleton(padding * 20_000 + "Sở Y tế") == "soyte"
    assert len(skeleton("ab " * 600)) == MOST_LETTERS
