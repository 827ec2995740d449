"""Text of strangers: made harmless where we show it, and reduced to what an eye reads where it may imitate us (UTS 39).

What is shown must never hide, turn or end the text around it. What is compared errs on the side of "looks the same".
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox, domain_key
from gateway.core.lookalikes import BOXES, CAPITALS, LETTERS, UNSEEN
from gateway.core.unicode import normalized
from gateway.tagging.reasons import VERIFIED

if TYPE_CHECKING:
    from collections.abc import Iterator

ELLIPSIS: Final = "…"
NAME_LENGTH: Final = 100
"""Characters of a name in a tag."""
_LOCAL_LENGTH: Final = 40
_DOMAIN_LENGTH: Final = 60
_MARKS: Final = 2
"""Combining marks on one character, after composing: Vietnamese needs none."""
_MOST_KNOWN: Final = 8192
_MOST_SHOWN: Final = 1024
"""Texts that are remembered with what they are shown as."""
LONGEST_NAME: Final = 2000
"""Characters of a certificate's name that are looked at: of those that are shown there are fewer."""
_COMMON_NAME: Final = re.compile(r"(?:^|,)\s*CN=((?:[^\\,]|\\.)*)")
_DOT_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")


_LOOKALIKES: Final = {
    **{ord(character): latin for character, latin in LETTERS.items()},
    **BOXES,
    **{ord(character): "" for character in UNSEEN},
}
"""Case-folded letters that pass for Latin ones; what takes room and shows nothing."""
_AS_WRITTEN: Final = str.maketrans(CAPITALS)
_DROPPED: Final = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Mc", "Pd", "Pc", "Sk", "Lm"})
_SMALL: Final = frozenset(".,'*\"`^~\u00b0\u00b4\u00b7\u2022\u30fb")
"""Punctuation that may stand between letters without making a word another one."""


class _Eye(dict[int, int | str | None]):
    """A table for `str.translate`, filled as characters are met, up to a limit that no stranger can raise."""

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        drops = character in _SMALL or unicodedata.category(character) in _DROPPED
        result = None if drops else code
        if len(self) < _MOST_KNOWN:
            self[code] = result
        return result


_EYE: Final = _Eye(_LOOKALIKES)


def seen(text: str) -> str:
    """Return what an eye reads: base letters and digits in lower case, brackets and symbols; no blanks, no accents.

    "Đã xác thực", "ĐÃ XÁC THỰC", "D\u200ba xac-thuc" and a Cyrillic look-alike are all "daxacthuc".
    """
    if text.isascii():
        return text.lower().translate(_EYE)
    return normalized("NFKD", normalized("NFKD", text.translate(_AS_WRITTEN)).casefold()).translate(_EYE)


def seen_with_places(text: str) -> tuple[str, list[int]]:
    """Return `seen(text)` and, for each of its characters, the place in `text` it came from."""
    pieces: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        piece = seen(character)
        pieces.append(piece)
        places += [place] * len(piece)
    return "".join(pieces), places


def shown(text: str, limit: int = NAME_LENGTH) -> str:
    """Return text fit for a tag: composed, one line, no control, direction or invisible character, no bracket.

    Brackets become parentheses, so that nothing in it closes a tag; more than `limit` characters end in an ellipsis.
    """
    return _shown(text[: 16 * limit], limit)


@lru_cache(maxsize=_MOST_SHOWN)
def _shown(text: str, limit: int) -> str:
    """Make a text fit once: the names of those who write again are the same each time."""
    composed = normalized("NFC", text).translate(_INVISIBLE)
    clean = re.sub(r"\s+", " ", "".join(_harmless(composed))).strip()
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + ELLIPSIS


_INVISIBLE: Final = str.maketrans(dict.fromkeys(UNSEEN, " "))


def _harmless(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category in {"Cc", "Zs", "Zl", "Zp"}:
            yield " "
        elif category in {"Cf", "Cs", "Co", "Cn"} or marks > _MARKS:
            continue
        elif category == "Ps":
            yield "("
        elif category == "Pe":
            yield ")"
        else:
            yield character


_VERIFIED: Final = seen(VERIFIED)


def foreign(text: str, limit: int = NAME_LENGTH) -> str:
    """Return `shown` text fit for a list of facts, or nothing where it imitates the words of a verified tag.

    Nothing in it ends its place in the list.
    """
    return _foreign(shown(text, limit))


@lru_cache(maxsize=_MOST_SHOWN)
def _foreign(text: str) -> str:
    clean = text.replace(";", ",")
    return "" if _VERIFIED in seen(clean) else clean


def shown_mailbox(mailbox: Mailbox) -> str:
    """Return a mailbox fit for a tag: the domain as A-labels, never cut at its end, and a plain local part or none.

    A quoted local part can hold a sentence, brackets and another mailbox; of such only the domain is shown.
    """
    return _shown_mailbox(mailbox.local, mailbox.domain)


@lru_cache(maxsize=_MOST_SHOWN)
def _shown_mailbox(local: str, domain: str) -> str:
    """Make a mailbox fit once, as `_shown` does."""
    place = shown(domain_key(domain), 255)
    if len(place) > _DOMAIN_LENGTH:
        place = ELLIPSIS + place[1 - _DOMAIN_LENGTH :]
    person = shown(local, _LOCAL_LENGTH) if _DOT_ATOM.fullmatch(local) else ELLIPSIS
    return f"{person}@{place}"


def common_name(name: str) -> str:
    """Return the last common name of an RFC 4514 text, the text itself where there is none."""
    found = _common_name(name[:LONGEST_NAME])
    return name if found is None else found


@lru_cache(maxsize=_MOST_SHOWN)
def _common_name(name: str) -> str | None:
    found = _COMMON_NAME.findall(name)
    return re.sub(r"\\(.)", r"\1", found[-1]) if found else None
