"""Finds the words of our tags in text as an eye reads it, in time linear in the text, whatever a stranger wrote.

A symbol may pass for a letter of a word or stand between two of its letters: a search that tries one and then the other
takes seconds for a header of such symbols. RE2 does not go back.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final

from gateway.core.lookalikes import SYMBOLS
from gateway.core.octets import linear_pattern
from gateway.tagging.reading import seen
from gateway.tagging.reasons import VERIFIED
from gateway.tagging.sentences import TAG_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREAD: Final = "\ufffd"
_MOST_KNOWN: Final = 8192
_MARK, _LETTER, _UNREAD = 0x80, 0xFE, 0xFF
"""What characters outside ASCII are to the search: marks, other letters and digits, and what could not be decoded."""
_PASSING: Final = {latin: chr(_MARK + ord(latin) - 0x60) for latin in SYMBOLS}
"""Latin letter -> what the symbols that pass for it are to the search."""


class _Kinds(dict[int, int | str]):
    """A table for `str.translate`, one character to one octet, filled as characters are met, up to a limit."""

    def __missing__(self, code: int) -> int:
        kind = code if code < _MARK else _LETTER if chr(code).isalnum() else _MARK
        if len(self) < _MOST_KNOWN:
            self[code] = kind
        return kind


_KINDS: Final = _Kinds({ord(UNREAD): _UNREAD})
_KINDS.update({ord(symbol): _PASSING[latin] for latin, symbols in SYMBOLS.items() for symbol in symbols})
_GAP: Final = rb"[^0-9A-Za-z_\xfe\xff]{0,8}"


def _pattern(words: str) -> bytes:
    """Return what fits words as `seen` shows them, other marks between their letters or none.

    Of letters outside ASCII any may be one that we could not decode: readers know charsets that we do not, as VISCII.
    """
    letters = ((seen(each), rb"" if each.isascii() else rb"\xff") for each in unicodedata.normalize("NFC", words))
    return _GAP.join(
        b"[" + b"".join(rb"\x%02x" % ord(each) for each in letter + _PASSING.get(letter, "")) + unread + b"]"
        for letter, unread in letters
        if letter
    )


_WORDS: Final[Any] = linear_pattern(b"|".join(map(_pattern, TAG_WORDS)))
_VERIFIED: Final[Any] = linear_pattern(_pattern(VERIFIED))


def _kinds(flat: str) -> bytes:
    return flat.translate(_KINDS).encode("latin-1")


def tag_words(flat: str) -> Iterator[tuple[int, int]]:
    """Yield where words of our tags begin and end in what `seen` returned."""
    for match in _WORDS.finditer(_kinds(flat)):
        yield match.span()


def says_tag(text: str) -> bool:
    """Return True if a text holds the words of some tag of ours, whatever stands around them."""
    return _WORDS.search(_kinds(seen(text))) is not None


def says_verified(text: str) -> bool:
    """Return True if a text holds the words of a verified tag, whatever stands around them."""
    return _VERIFIED.search(_kinds(seen(text))) is not None
