"""Characters that an eye takes for Latin letters: one table for whatever compares texts as an eye does (UTS 39 4).

Cyrillic, Greek, Armenian, Cherokee, Lisu, Coptic, syllabics, phonetic letters, and Latin ones that do not decompose.
Full-width, mathematical and circled letters are not here: they decompose (UAX 15).
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LETTERS: Final = {
    "a": "\u0430\u03b1\u03bb\u0251\u0250\u1d00\u2c65\u1d8f\u13aa\ua4ee\u2c81\u15e9\u0e04",
    "b": "\u0432\u03b2\u0185\u0253\u0180\u044c\u0299\u13f4\ua4d0\u2c83\u15f7",
    "c": "\u0441\u1d04\u2ca5\u0188\u023c\u0255\ua793\u13df\ua4da\u1455",
    "d": "\u0111\u00f0\u0256\u0257\u0501\u1d05\u018c\u0221\u1d6d\u1d81\u13a0\ua4d3\u15ea\u15de\u0571",
    "e": "\u0435\u03b5\u0454\u04bd\u025b\u0247\u01dd\u1d07\u13ac\ua4f0\u2c89",
    "f": "\u0192\u03dd\u1e9d\ua4dd",
    "g": "\u0261\u0581\u018d\u0260\u01e5\u0262\u13c0\ua4d6",
    "h": "\u04bb\u043d\u0570\u029c\u03b7\u0127\u0266\u2c68\u0452\u045b\u13bb\ua4e7\u2c8f\u157c",
    "i": "\u0456\u03b9\u0131\u0269\u0268\u026a\u05d5\u13a5\ua4f2\u2c93",
    "j": "\u0458\u03f3\u0575\u1d0a\u13ab\ua4d9",
    "k": "\u043a\u03ba\u1d0b\u0138\u0199\u049b\u13e6\ua4d7\u2c95",
    "l": "\u04cf\u01c0\u029f\u0142\u019a\u026b\u026d\ua4e1\u14aa",
    "m": "\u043c\u03fb\u1d0d\u0271\u13b7\ua4df\u2c99\u15f0",
    "n": "\u0578\u0274\u0273\u0272\u014b\u019e\u03c0\u043f\u0438\ua4e0\u057c\u2c9b\u144e",
    "o": "\u043e\u03bf\u0585\u03c3\u1d0f\u00f8\u06c1\u0665\u0966\u0d20\u101d\u2c9f\ua4f3\u0275",
    "p": "\u0440\u03c1\u1d18\u2ca3\u01a5\u13e2\ua4d1\u146d",
    "q": "\u051b\u0563\u0566\u024b",
    "r": "\u0433\u1d26\u0280\u027e\u024d\u13a1\ua4e3\u1587",
    "s": "\u0455\u0282\ua731\u13da\ua4e2",
    "t": "\u0442\u03c4\u1d1b\u01ad\u01ab\u0167\u0288\u13a2\ua4d4\u2ca7\u4e05",
    "u": "\u03c5\u057d\u1d1c\u028b\u0446\u0289\u028a\u1d99\u03bc\ua4f4\u2ca9\u144c\u0e22\u0e1a",
    "v": "\u03bd\u0475\u1d20\u13d9\ua4e6\u142f",
    "w": "\u0461\u03c9\u051d\u0561\u1d21\u13b3\ua4ea",
    "x": "\u0445\u03c7\u04b3\u04fd\u04ff\u1d6f\u1d8d\uab53\u2cad\ua4eb\u166d\u16b7\u2d5d",
    "y": "\u0443\u03b3\u04af\u028f\u024f\u1eff\u10e7\ua4ec",
    "z": "\u0290\u1d22\u13c3\ua4dc",
}
_NAMED: Final = re.compile(
    r"LATIN (?:SMALL LETTER|LETTER SMALL CAPITAL) (?:INSULAR |GLOTTAL |BARRED |BLACKLETTER )?([A-Z])(?: WITH .+)?"
)
"""What Unicode calls a Latin letter with something on it: a stroke, a hook, a curl."""
_LATIN_BLOCKS: Final = (
    *((0x180, 0x2B0), (0x1D00, 0x1DC0), (0x2C60, 0x2C80)),
    *((0xA720, 0xA800), (0xAB30, 0xAB70), (0x1DF00, 0x1DF30)),
)


def _named() -> Iterator[tuple[str, str]]:
    """Yield each letter that by its name is a Latin one, and that one; those that decompose or fold need no entry."""
    for first, end in _LATIN_BLOCKS:
        for character in map(chr, range(first, end)):
            match = _NAMED.fullmatch(unicodedata.name(character, ""))
            if match is not None and unicodedata.normalize("NFKD", character).casefold() == character:
                yield character, match[1].lower()


LETTERS: Final = dict(_named()) | {each: latin for latin, several in _LETTERS.items() for each in several}
"""Letter, case-folded and decomposed -> the Latin letter it passes for."""
CAPITALS: Final = dict(zip("\u03a5\u0397\u039d\u039c\u0396\u0392\u041d\u03f2\u03f9", "yhnmzbhcc", strict=True))
"""Letters, as they are written, that pass for another letter than what they fold or decompose to."""
SYMBOLS: Final = {
    "a": "\u2200\u237a\u2206",
    "c": "\u00a2\u00a9\u2282\u2201",
    "d": "\u20ab\u2202",
    "e": "\u212e\u20ac\u2208",
    "l": "\u2223\u00a3",
    "o": "\u25cb\u25ef",
    "s": "\u00a7",
    "t": "\u2020\u22a4",
    "u": "\u222a\u22c3",
    "v": "\u221a\u2228",
    "x": "\u00d7\u2715\u2716\u2717\u2718\u2613\u2a2f\u274c",
    "y": "\u00a5",
}
"""Latin letter -> symbols that pass for it between letters; by themselves they are ornaments, and no letters."""
BOXES: Final = {first + index: chr(97 + index) for first in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6) for index in range(26)}
"""Code points of letters in boxes and circles -> the letter."""
UNSEEN: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\ufffc")
"""Takes room and shows nothing, though its category says letter or symbol."""
