"""What an eye takes a text for: base letters, with look-alikes of other scripts put back (UTS 39 4, RFC 5892).

Two texts that an eye may take for one must have one skeleton; that two different texts share one is the lesser evil.
A skeleton is for comparing only, and is never shown.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.unicode import normalized

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LETTERS: Final = 160
"""Letters of a text that are looked at, invisible ones not counted: more than any screen shows of a sender."""
_MOST_KNOWN: Final = 8192

_LATIN: Final = {
    "a": "\u0430\u03b1\u0251\u1d00\u2c6d\u13aa\ua4ee\u237a",
    "b": "\u0432\u03b2\u0185\u0253\u042c\u044c\u0299\u13f4\ua4d0",
    "c": "\u0441\u03f2\u1d04\u2ca5\u0188\u13df\ua4da",
    "d": "\u0111\u00f0\u0256\u0257\u0501\u1d05\u13a0\ua4d3",
    "e": "\u0435\u03b5\u0454\u04bd\u025b\u1d07\u212e\u13ac\ua4f0",
    "f": "\u0192\u03dd\u1e9d\ua4dd",
    "g": "\u0261\u0581\u018d\u0260\u0262\u13c0\ua4d6",
    "h": "\u04bb\u043d\u0570\u029c\u03b7\u13bb\ua4e7",
    "i": "\u0456\u04cf\u03b9\u0131\u0269\u026a\u01c0\u05d5\u13a5\ua4f2\u2223",
    "j": "\u0458\u03f3\u0575\u1d0a\u13ab\ua4d9",
    "k": "\u043a\u03ba\u1d0b\u0199\u049b\u13e6\ua4d7",
    "m": "\u043c\u03fb\u1d0d\u2133\u13b7\ua4df",
    "n": "\u0578\u0274\u0273\u03c0\u043f\u0438\ua4e0\u057c",
    "o": "\u043e\u03bf\u0585\u03c3\u1d0f\u00f8\u06c1\u0665\u0966\u0d20\u101d\u2c9f\ua4f3\u0275",
    "p": "\u0440\u03c1\u1d18\u2ca3\u13e2\ua4d1",
    "q": "\u051b\u0563\u0566",
    "r": "\u0433\u1d26\u0280\u027e\u13a1\ua4e3",
    "s": "\u0455\u0282\ua731\u13da\ua4e2",
    "t": "\u0442\u03c4\u1d1b\u01ad\u13a2\ua4d4",
    "u": "\u03c5\u057d\u1d1c\u028b\u0446\ua4f4",
    "v": "\u03bd\u0475\u1d20\u13d9\ua4e6",
    "w": "\u0461\u03c9\u051d\u0561\u1d21\u13b3\ua4ea",
    "x": "\u0445\u03c7\u04b3\u1d6f\u2cad\ua4eb",
    "y": "\u0443\u03b3\u04af\u028f\u1eff\u10e7\ua4ec",
    "z": "\u0290\u1d22\u13c3\ua4dc",
}
"""Letters of other scripts, and Latin ones that do not decompose, which pass for a letter of a Vietnamese name:
Cyrillic, Greek, Armenian, Cherokee, Lisu, Coptic, phonetic. Full-width, mathematical and circled letters decompose."""
_CAPITALS: Final = dict(zip("\u03a5\u0397\u039d\u039c\u0396\u0392\u041d", "yhnmzbh", strict=True))
"""Capitals that pass for another letter than their small form does."""
_SAME: Final = {"l": "i", "1": "i", "0": "o", "5": "s"}
"""What fonts draw alike; applied to names and to texts, so nothing is lost but the difference."""
_BOXES: Final = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
"""Where alphabets of letters in boxes and circles begin."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Mc"})
_BLANK: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\ufffc")
"""Takes room and shows nothing, though its category says letter or symbol."""
_PAIRS: Final = (("rn", "m"), ("vv", "w"))
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
    if category in _UNSEEN or character in _BLANK:
        # a line end or tab is a blank to the eye
        return " " if category == "Cc" else None
    small = normalized("NFKD", character.casefold())
    letter = _CAPITALS.get(character) or _TABLE.get(small) or _SAME.get(small, character)
    capital = category == "Lu" or character == "I"
    return letter.upper() if capital and letter.isascii() else letter


_TABLE: Final = {character: latin for latin, characters in _LATIN.items() for character in characters}
_EYE: Final = _Eye((first + index, chr(65 + index)) for first in _BOXES for index in range(26))


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


_APART: Final = re.compile(r"[^\w\s.'\"*_`~-]|\s-|-\s|[.]\s")
_LONG: Final = 2000
_PADDING: Final = re.compile(
    r"[\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]+"
)


def words(text: str) -> tuple[Word, ...]:
    """Return the words of a text, as far as anybody reads: `MOST_LETTERS` letters of it."""
    if len(text) > _LONG:  # whatever takes no room must not push a name out of sight
        text = re.sub(r"\s+", " ", _PADDING.sub("", text))[:_LONG]
    return _read(text)


@lru_cache(maxsize=512)
def _read(text: str) -> tuple[Word, ...]:
    """Read a text once: whoever writes again has the same name."""
    return tuple(_words(_plain(text)))


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
    for pair, single in _PAIRS:
        if pair in letters:
            letters = letters.replace(pair, single)
    return letters


def skeleton(text: str) -> str:
    """Return the letters and digits of a text as an eye takes them, without blanks and punctuation."""
    return "".join(each.letters for each in words(text))


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
