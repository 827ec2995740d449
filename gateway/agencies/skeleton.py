"""What an eye takes a text for: base letters, with look-alikes of other scripts put back (UTS 39 4, RFC 5892).

Two texts that an eye may take for one must have one skeleton; that two different texts share one is the lesser evil.
A skeleton is for comparing only, and is never shown.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.lookalikes import BOXES, CAPITALS, LETTERS, SYMBOLS, UNSEEN
from gateway.core.unicode import normalized

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LETTERS: Final = 160
"""Letters of a text that are looked at, invisible ones not counted: more than any screen shows of a sender."""
_MOST_KNOWN: Final = 8192

_SAME: Final = {"l": "i", "1": "i", "0": "o", "5": "s"}
"""What fonts draw alike; applied to names and to texts, so nothing is lost but the difference."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Mc"})
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[^\W_a-zA-Z0-9]+")
"""A run of letters, cut where a capital begins: "SởYtế" is two words."""


class _Eye(dict[int, int | str | None]):
    """A table for `str.translate`, filled as characters are met, up to a limit that no stranger can raise."""

    def __missing__(self, code: int) -> int | str | None:
        result = _latin(chr(code))
        if len(self) < _MOST_KNOWN:
            self[code] = result
        return result


def _latin(character: str) -> str | None:
    """Return the Latin letter a character passes for, in its own case; None for what shows nothing."""
    category = unicodedata.category(character)
    if category in _UNSEEN or character in UNSEEN:
        # a line end or tab is a blank to the eye
        return " " if category == "Cc" else None
    small = normalized("NFKD", character.casefold())
    found = CAPITALS.get(character) or _TABLE.get(small)
    letter = _SAME.get(found or small, found or character)
    capital = category == "Lu" or character == "I"
    return letter.upper() if capital and letter.isascii() else letter


_TABLE: Final = LETTERS | {symbol: latin for latin, symbols in SYMBOLS.items() for symbol in symbols}
_EYE: Final = _Eye({code: latin.upper() for code, latin in BOXES.items()})


def _plain(text: str) -> str:
    return (text if text.isascii() else normalized("NFKD", text)).translate(_EYE)


class Word(NamedTuple):
    """One word of a text, as a skeleton, and what stands before it."""

    letters: str
    segment: bool
    """It begins the text, or follows punctuation that sets it apart."""
    bracket: bool
    """It follows an opening bracket, of whatever shape."""
    capitals: bool
    """Written in capitals only."""


class Spoken(NamedTuple):
    """The words of a text, and all their letters in one piece."""

    words: tuple[Word, ...]
    text: str
    places: tuple[int, ...]
    """Where each word begins in it, and where the last one ends."""

    @classmethod
    def of(cls, words: tuple[Word, ...]) -> Spoken:
        """Return words as they are searched."""
        letters = [each.letters for each in words]
        return cls(words, "".join(letters), (0, *accumulate(map(len, letters))))

    def first(self, count: int) -> str:
        """Return the letters of so many words, of all where there are fewer."""
        return self.text[: self.places[min(count, len(self.words))]]


_APART: Final = re.compile(r"[^\w\s.'\"*_`~-]|\s-|-\s|[.]\s")
_LONG: Final = 2000
_PADDING: Final = re.compile(
    r"[\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]+"
)


def words(text: str) -> tuple[Word, ...]:
    """Return the words of a text, as far as anybody reads: `MOST_LETTERS` letters of it."""
    return spoken(text).words


def spoken(text: str) -> Spoken:
    """Return the words of a text as they are searched, as far as anybody reads."""
    if len(text) > _LONG:  # whatever takes no room must not push a name out of sight
        text = re.sub(r"\s+", " ", _PADDING.sub("", text))[:_LONG]
    return _read(text)


@lru_cache(maxsize=512)
def _read(text: str) -> Spoken:
    """Read a text once: whoever writes again has the same name."""
    return Spoken.of(tuple(_words(_plain(text))))


def _words(plain: str) -> Iterator[Word]:
    end, letters = 0, 0
    for match in _WORD.finditer(plain):
        piece = match[0]
        between = plain[end : match.start()]
        plainly = between in {" ", ""}
        segment = end == 0 or not (plainly or _APART.search(between) is None)
        bracket = not plainly and any(unicodedata.category(each) == "Ps" for each in between[-2:])
        end = match.end()
        letters += len(piece)
        if letters > MOST_LETTERS:
            return
        yield Word(_paired(piece.lower()), segment, bracket, piece.isupper())


def _paired(letters: str) -> str:
    """Return letters with pairs that pass for one taken for that."""
    return letters.replace("rn", "m").replace("vv", "w")


def skeleton(text: str) -> str:
    """Return the letters and digits of a text as an eye takes them, without blanks and punctuation."""
    return spoken(text).text


def domain_skeleton(domain: str) -> tuple[str, ...]:
    """Return the labels of a domain (its key, A-labels) as skeletons, hyphens left out."""
    return tuple(each.replace("-", "") for each in hyphened(domain))


def hyphened(domain: str) -> tuple[str, ...]:
    """Return the labels of a domain as skeletons that keep their hyphens."""
    return tuple(_paired(_plain(_unicode(label)).lower()) for label in domain.split("."))


def _unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label
