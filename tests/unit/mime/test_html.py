"""HTML taken apart as browsers do it: what ends a tag, what is a comment, what is text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.html import BROKEN, TEXT, UNSHOWN, pieces


def parts(text: str) -> list[tuple[str, str]]:
    return [(name, text[start:stop]) for name, start, stop in pieces(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a<b>c</B >d", [("", "a"), ("b", "<b>"), ("", "c"), ("/b", "</B >"), ("", "d")]),
        ('<a b="x>y">z', [("a", '<a b="x>y">'), ("", "z")]),
        ("<a b='x>y'>z", [("a", "<a b='x>y'>"), ("", "z")]),
        ("<a b = 'x>y'>z", [("a", "<a b = 'x>y'>"), ("", "z")]),
        ("<a b'c>d<e f'g>", [("a", "<a b'c>"), ("", "d"), ("e", "<e f'g>")]),
        ('<a b=c="d>e">', [("a", '<a b=c="d>'), ("", 'e">')]),
        ("1 < 2", [("", "1 "), ("", "<"), ("", " 2")]),
        ("<!-- <b> -->c", [(UNSHOWN, "<!-- <b> -->"), ("", "c")]),
        ("<!-->c", [(UNSHOWN, "<!-->"), ("", "c")]),
        ("<![if x]>c<![endif]>", [(UNSHOWN, "<![if x]>"), ("", "c"), (UNSHOWN, "<![endif]>")]),
        ("<style>a<b></STYLE>c", [("style", "<style>"), (UNSHOWN, "a<b>"), ("/style", "</STYLE>"), ("", "c")]),
        ("<textarea><b></textarea>", [("textarea", "<textarea>"), (TEXT, "<b>"), ("/textarea", "</textarea>")]),
        ("<script>a", [("script", "<script>"), (BROKEN, "a")]),
        ("<!-- a", [(BROKEN, "<!-- a")]),
        ("a<b c", [("", "a"), (BROKEN, "<b c")]),
    ],
)
def test_pieces(text: str, expected: list[tuple[str, str]]) -> None:
    """Quotes hide a ">" only where a value begins; elements that hold no text are skipped as a whole."""
    assert parts(text) == expected


@given(st.lists(st.sampled_from(["<", ">", "a", "</", "<!--", "-->", '"', "'", "=", " ", "style", "/"]), max_size=40))
def test_pieces_are_the_whole(words: list[str]) -> None:
    """Nothing is lost and nothing stands twice, whatever it is; only the last piece is broken."""
    text = "".join(words)
    found = parts(text)
    assert "".join(part for _, part in found) == text
    assert BROKEN not in [name for name, _ in found[:-1]]
