"""Tags in subjects: whatever reads as one of ours taken out, and ours put in front (RFC 2047, RFC 5322 3.6.5).

Readers decode subjects in different ways: a tag that any of them could show must not survive. A subject without one
keeps its octets; ours is put before them without touching them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.core.message import Edit
from gateway.mime.words import decode_text, encode_text, fold
from gateway.tagging.decoded import is_undecidable, readings
from gateway.tagging.reading import seen_with_places
from gateway.tagging.spelled import UNREAD, says_tag, says_verified, tag_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.mime.fields import Field

_MOST_PASSES: Final = 8
"""Tags inside tags are taken out so often; what still has one then loses all its punctuation."""
_CAREFUL: Final = 4096
"""Octets of a subject in which tags are taken out one by one; a longer one with our words loses all its punctuation."""
_LONGEST: Final = 32 * 1024
"""Octets of a subject that are read; of a longer one, which is nobody's, only the first letters are left."""
_REACH: Final = 300
"""Characters, as `seen` counts them, between a tag's words and its closing bracket."""
_LEADING: Final = re.compile(
    r"(?:(?:re|r|fwd|fw|tr|aw|sv|wg|traloi|chuyentiep)(?:[\[(]?\d{1,3}[\])]?)?:|\[[^\[\]]{0,80}\]|\W)*"
)
"""Reply prefixes, other tags and symbols in front of the subject proper, as `seen` shows them."""
_ROUND: Final = frozenset(
    "(){}\u2768\u2769\u276a\u276b\u2774\u2775\u27ee\u27ef\u2985\u2986\u2e28\u2e29\u201a\u201e\ufd3e\ufd3f"
    "\u2039\u203a\u00ab\u00bb"
)
"""Brackets that ordinary subjects have around words; low quotation marks are brackets by category."""
_ANGLES: Final = {"\u2039": "Ps", "\u203a": "Pe", "\u00ab": "Ps", "\u00bb": "Pe"}
_CORNERS: Final = {"\u23a1": "Ps", "\u23a2": "Ps", "\u23a3": "Ps", "\u23a4": "Pe", "\u23a5": "Pe", "\u23a6": "Pe"}
_SYMBOLS: Final = frozenset({"Ps", "Sm", "So", "Sc"})
_QUOTES: Final = frozenset({"Pi", "Pf"})
_SKIPPED: Final = frozenset({"Zs", "Cc", "Cf", "Mn", "Cn"})
_OVERRIDES: Final = re.compile("[\u202d\u202e]+")
"""What makes text be shown in another order than it is written (UAX 9 2.2): no language needs it in a subject."""
_BLANK_LINES: Final = re.compile(rb"(?:[ \t]*\r?\n)+(?=[ \t])")


def cleaned(value: bytes) -> str | None:
    """Return the text of a subject without tags of ours, None if it may stay as it is; `value` is unfolded.

    Characters that turn the order of letters go as well, and words that may show anything are written as we read them:
    what is left is shown as it is written.
    """
    text: str | None = None
    if len(value) > _LONGEST:
        return _letters(decode_text(value[:_CAREFUL]))
    if len(value) > _CAREFUL:
        shown = [*readings(value)]
        doubtful = is_undecidable(value, shown) or any(map(_suspicious, shown))
        return _letters(decode_text(value)) if doubtful else None
    shown = [*readings(value)]
    if is_undecidable(value, shown):
        text = _plain(decode_text(value))
        if "=?" in text:
            return _letters(text)
        shown = [*readings(encode_text(text))]
    for _ in range(_MOST_PASSES):
        marked, spans = next(((each, found) for each in shown if (found := _marks(each))), ("", []))
        if not spans:
            return text
        text = _plain(_without(marked, spans))
        shown = [*readings(encode_text(text))]
    return _letters(text or "")


def bears_verified_tag(value: bytes) -> bool:
    """Return True if an unfolded value of some other field reads as the tag of a verified message."""
    return len(value) <= _LONGEST and any(says_verified(each) and _marks(each) for each in readings(value))


def _suspicious(text: str) -> bool:
    return says_tag(text) or _OVERRIDES.search(text) is not None


def _plain(text: str) -> str:
    """Return text of one line that can be encoded."""
    return "".join(" " if unicodedata.category(each) in {"Cc", "Zl", "Zp"} else each for each in text).strip()


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    pieces, position = [], 0
    for start, stop in spans:
        pieces.append(text[position:start])
        position = stop
    return "".join((*pieces, text[position:]))


def _letters(text: str) -> str:
    """Return text in which no tag can be: letters, digits and blanks only."""
    return " ".join("".join(each if each.isalnum() else " " for each in text).split())


def _marks(text: str) -> list[tuple[int, int]]:
    """Return the spans of `text` that read as a tag of ours, in order; first of all what turns the order of letters."""
    overrides = [match.span() for match in _OVERRIDES.finditer(text)]
    if overrides:
        return overrides
    if not says_tag(text):
        return []
    flat, places = seen_with_places(text)
    leading = _end_of_leading(flat)
    spans: list[tuple[int, int]] = []
    done = 0
    for begin, end in tag_words(flat):
        found = _extent(flat, begin, end, leading=begin <= leading) if begin >= done else None
        if found is None:
            continue
        first, done = found
        stop = places[done - 1] + 1
        while stop < len(text) and unicodedata.category(text[stop]) in _SKIPPED:
            stop += 1
        spans.append((places[max(first, 0)], stop))
    return spans


def _end_of_leading(flat: str) -> int:
    match = _LEADING.match(flat)
    return match.end() if match is not None else 0


def _extent(flat: str, begin: int, end: int, *, leading: bool) -> tuple[int, int] | None:
    """Return where the tag around the words begins and ends, None if they are no tag.

    A square bracket, or one that passes for it, makes a tag anywhere; a picture, such as a check mark or a lock, makes
    one of the words behind it, and goes alone where a sentence goes on: "12 files (picture) verified by the police". In
    front of the subject any symbol makes one, and so does a closing bracket alone.
    """
    first = begin
    while first > 0 and begin - first < _REACH and _precedes(flat[first - 1]):
        first -= 1
    while first < begin and not _opens(flat[first]):  # quotation marks alone are no bracket
        first += 1
    square = any(_square(each) for each in flat[first:begin])
    if not square and not leading:
        pictured = any(unicodedata.category(each) == "So" and each != UNREAD for each in flat[first:begin])
        goes_on = flat[end : end + 1].isalnum()
        return (first, begin if goes_on else end + flat.startswith(":", end)) if pictured else None
    closing = next((index for index in range(end, min(end + _REACH, len(flat))) if _closes(flat[index], square)), -1)
    if not square and first == begin and (closing < 0 or flat[closing] in _ROUND):
        return None
    if closing >= 0:
        return first, closing + 1
    return first, end + flat.startswith(":", end)


def _category(character: str) -> str:
    return _CORNERS.get(character) or _ANGLES.get(character) or unicodedata.category(character)


def _opens(character: str) -> bool:
    return character in "|#/\\" or _category(character) in _SYMBOLS


def _precedes(character: str) -> bool:
    return _opens(character) or unicodedata.category(character) in _QUOTES


def _square(character: str) -> bool:
    return _category(character) == "Ps" and character not in _ROUND


def _closes(character: str, square: bool) -> bool:  # noqa: FBT001 - the kind of bracket that was opened
    if _category(character) == "Pe":
        return not square or character not in _ROUND
    return not square and _opens(character)


def put_before(field: Field, words: str) -> Edit:
    """Return the edit that puts a tag in front of a subject; the octets of the subject stay."""
    name, _, rest = field.raw.partition(b":")
    rest = _BLANK_LINES.sub(b"", rest, count=1) if _BLANK_LINES.match(rest) else rest
    if not rest.strip():
        return Edit(field.start, field.stop, tag_alone(words, name.decode("ascii")))
    blank = " " if field.value.startswith(b"=?") else ""  # a blank between encoded words is not shown
    tag = _tag(field.name, f"[{words}]{blank}")
    return Edit(field.start, field.stop, tag + (rest if rest[:1] in (b" ", b"\t") else b" " + rest))


@lru_cache(maxsize=1024)
def _tag(name: str, text: str) -> bytes:
    """Write a tag once: those who write again get the same."""
    return fold(name, encode_text(text))


def tag_alone(words: str, name: str = "Subject") -> bytes:
    """Return a subject field that is nothing but a tag."""
    return fold(name.rstrip(), encode_text(f"[{words}]"))
