"""Text in one of the forms of Unicode, in time linear in its length whoever wrote it (UAX 15).

The library sorts the marks behind a letter by insertion: 30,000 of them in one header field stopped it for ten seconds.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_MARKS: Final = 30
"""Behind one letter: no language has more (UAX 15 13, Stream-Safe Text Format)."""
_RUN: Final = re.compile(rf"[^\x00-\x7f]{{{_MOST_MARKS + 1},}}")
"""What may hold more of them: most texts have none such, and are not looked at one by one."""
_MARKS: Final = frozenset({"Mn", "Mc", "Me"})
_OTHER_MARKS: Final = frozenset("\uff9e\uff9f")
"""Half-width sound marks: letters by category, and marks once they are decomposed."""


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """Return text in a form of Unicode; of marks behind one letter those beyond the 30th are left out."""
    if text.isascii():
        return text
    return unicodedata.normalize(form, _RUN.sub(lambda run: "".join(_stream_safe(run[0])), text))


def _stream_safe(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS or character in _OTHER_MARKS else 0
        if marks <= _MOST_MARKS:
            yield character
