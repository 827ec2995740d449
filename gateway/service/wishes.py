"""What an authenticated sender asks for by a subject word or a header field; both are taken out before sending.

Must never be asked about inbound mail: there such words are text of a stranger, and stay. A wish is no decision: what a
rule requires is required whatever the sender writes.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from gateway.config.wishes import key_of
from gateway.core.contents import Wish
from gateway.core.message import Edit
from gateway.mime.fields import decode_text, encode_text, fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.config.wishes import WishSettings
    from gateway.mime.fields import Field, Header

_REACH: Final = 512
"""Characters at each end of a subject in which a word may stand, blanks between its letters included."""
_MOST_PASSES: Final = 8
"""Words taken out of one subject; what still has one then asks for nothing by it."""
_ANSWERS: Final = {b"yes": Wish.SIGN, b"no": Wish.DECLINE}


def read_wish(header: Header, words: WishSettings) -> tuple[Wish | None, tuple[Edit, ...]]:
    """Return the wish and the edits that take it out of the message's header; asking wins over declining.

    A wish stands at the begin or the end of a Subject, as an eye reads it, or in the configured field. That field goes
    whatever it says. Of the Subject only the word goes where the rest of its octets can stay, and the rest is encoded
    anew where the word stands inside an encoded word. Every other octet of the message stays.
    """
    wishes: set[Wish] = set()
    edits: list[Edit] = []
    if words.field is not None:
        for each in header.all(words.field):
            wishes.update(_ANSWERS[answer] for answer in (each.value.lower(),) if answer in _ANSWERS)
            edits.append(Edit(each.start, each.stop, b""))
    known = {key_of(word): Wish.SIGN for word in words.ask} | {key_of(word): Wish.DECLINE for word in words.decline}
    for each in header.all("subject") if known else ():
        found, edit = _without_words(each, known)
        wishes |= found
        edits += edit
    return next((wish for wish in (Wish.SIGN, Wish.DECLINE) if wish in wishes), None), tuple(edits)


def _without_words(field: Field, known: Mapping[str, Wish]) -> tuple[set[Wish], tuple[Edit, ...]]:
    """Take every word at either end out of one subject."""
    text = decode_text(field.value)
    raw = field.raw
    wishes: set[Wish] = set()
    for _ in range(_MOST_PASSES):
        found = _at_begin(text, known) or _at_end(text, known)
        if found is None:
            break
        wish, start, stop = found
        wishes.add(wish)
        rest = text[stop:].lstrip() if start == 0 else text[:start].rstrip()
        raw = _shortened(raw, text, rest) or _rewritten(field.name, rest)
        text = rest
    return wishes, (Edit(field.start, field.stop, raw),) if wishes else ()


def _at_begin(text: str, known: Mapping[str, Wish]) -> tuple[Wish, int, int] | None:
    """Return the longest word that the text begins with, as (wish, 0, where it stops)."""
    found = None
    key = ""
    for stop, piece in _clusters(text[:_REACH]):
        key += key_of(piece)
        if key in known and _apart(text[:stop], text[stop:]):
            found = known[key], 0, stop
    return found


def _at_end(text: str, known: Mapping[str, Wish]) -> tuple[Wish, int, int] | None:
    """Return the longest word that the text ends with, as (wish, where it begins, where it stops)."""
    found = None
    key = ""
    tail = text[-_REACH:]
    for stop, piece in reversed(tuple(_clusters(tail))):
        key = key_of(piece) + key
        start = len(text) - len(tail) + stop - len(piece)
        if key in known and _apart(text[:start], text[start:]):
            found = known[key], start, len(text)
    return found


def _apart(left: str, right: str) -> bool:
    """Return True if a blank, a bracket or an end stands between two texts: "tin vui!ky" does not end in "!ky"."""
    if not left or not right or left[-1].isspace() or right[0].isspace():
        return True
    return unicodedata.category(left[-1]) == "Pe" or unicodedata.category(right[0]) == "Ps"


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Yield each character with the marks that combine with it, and where it stops."""
    begin = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or not unicodedata.combining(text[place]):
            yield place, text[begin:place]
            begin = place


def _shortened(raw: bytes, text: str, rest: str) -> bytes | None:
    """Return the field's octets without the word, None where they cannot be cut so that the rest reads the same."""
    name, _, value = raw.partition(b":")
    removed = text[len(rest) :].strip() if text.startswith(rest) else text[: len(text) - len(rest)].strip()
    word = removed.encode()
    bare = value.strip()
    for kept in (bare.removesuffix(word).rstrip(), bare.removeprefix(word).lstrip()):
        if len(kept) < len(bare) and kept and decode_text(_unfolded(kept)) == rest:
            lead = value[: len(value) - len(value.lstrip())] if kept[:1] == bare[:1] else b" "
            return name + b":" + lead + kept + b"\r\n"
    return None


def _unfolded(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"").strip(b" \t\r\n")


def _rewritten(name: str, text: str) -> bytes:
    """Return a field with the text; nothing is left of it but blanks where the text is empty."""
    return fold(name, encode_text(text)) if text else f"{name}: \r\n".encode()
