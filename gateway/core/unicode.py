"""Text in one of the forms of Unicode, in time linear in its length whoever wrote it (UAX 15).

The library sorts the marks behind a letter by insertion: 30,000 of them in one header field stopped it for ten seconds.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_MARKS: Final = 30
"""Behind one letter: no language has more (UAX 15 13, Stream-Safe Text Format)."""
_SHORT: Final = 256
"""Characters that are sorted in no time."""
_MARKS: Final = frozenset({"Mn", "Mc", "Me"})
_OTHER_MARKS: Final = frozenset("\uff9e\uff9f")
"""Half-width sound marks: letters by category, and marks once they are decomposed."""


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """Return text in a form of Unicode; of marks behind one letter those beyond the 30th are left out."""
    if len(text) > _SHORT and not text.isascii():
        text = "".join(_stream_safe(text))
    return unicodedata.normalize(form, text)


def _stream_safe(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS or character in _OTHER_MARKS else 0
        if marks <= _MOST_MARKS:
            yield character
