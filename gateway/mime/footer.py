"""A footer at the end of the text a reader sees, before anything is signed (RFC 2045 6, RFC 2046 5.1, RFC 3676 4).

The content apart from the footer is the same after decoding; where that cannot be promised there is no footer at all:
never one in the text and none in its HTML. It stands at the very end, below a "-- " signature.
"""

from __future__ import annotations

import html
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.message import Message
from gateway.mime.entity import parse
from gateway.mime.fields import MimeError
from gateway.mime.html import BROKEN, pieces
from gateway.mime.parameters import read_parameters
from gateway.mime.transfer import decode_body, seven_bit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.core.decision import Footer
    from gateway.core.octets import Builder
    from gateway.mime.entity import Entity

_MOST_OCTETS: Final = 4 * 1024 * 1024
"""Of one text; a longer one gets no footer."""
_SEALED: Final = frozenset(
    {
        "multipart/signed",
        "multipart/encrypted",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
        "application/pgp-encrypted",
    }
)
_TNEF: Final = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_ARMOR: Final = re.compile(rb"(?:\A|\n)-----BEGIN PGP ")
_ASCII: Final = frozenset({"", "us-ascii", "ascii"})
_ASCII_BASED: Final = re.compile(
    r"utf-?8|us-ascii|ascii|iso-8859-\d{1,2}|windows-125\d|cp125\d|koi8-[ru]|", re.IGNORECASE
)
"""Charsets in which ASCII is ASCII: HTML there takes any character, as a reference."""
_ASCII_NAMED: Final = re.compile(rb"(;\s*charset\s*=\s*)(?:\"(?:us-)?ascii\"|(?:us-)?ascii(?=[\s;]|\Z))", re.IGNORECASE)
_RAW: Final = frozenset({"8bit", "binary"})
_UNENCODED: Final = _RAW | {"7bit"}


class NoFooter(StrEnum):
    """Why a message got no footer; stable codes."""

    SIGNED = "signed"
    """Signed or encrypted by somebody else, S/MIME or PGP."""
    REPORT = "report"
    CALENDAR = "calendar"
    STRUCTURE = "structure"
    """No text at its begin, text further down as well, TNEF, defects, or parts that may only be understood together."""
    CHARSET = "charset"
    """The text's charset cannot carry the footer without changing the rest."""
    ENCODING = "encoding"
    """The text's transfer encoding is unknown or broken."""
    TOO_LARGE = "too_large"
    PRESENT = "present"
    """It stands there already."""


class _None(Exception):  # noqa: N818 - carries the reason to the one place that returns it
    def __init__(self, reason: NoFooter) -> None:
        super().__init__(reason)
        self.reason = reason


def add_footer(
    message: Message, entity: Entity, footer: Footer, *, new_builder: Callable[[], Builder]
) -> Message | NoFooter:
    """Return the message with the footer in every form of its text, or why it has none; `entity` is all of it.

    Octets that need not change stay: an unencoded text only grows, an encoded one is encoded anew, and ASCII becomes
    UTF-8. The result of a 7-bit text is 7-bit. Raises whatever the builder raises when its place is full.
    """
    edits: list[tuple[int, int, Message]] = []
    try:
        for leaf, boundaries in _texts(entity):
            edits += _leaf_edits(message, leaf, footer, boundaries, new_builder)
    except _None as error:
        return error.reason
    if not edits:
        return NoFooter.PRESENT
    if entity.header.first("mime-version") is None:
        edits.append((entity.header.stop, entity.header.stop, Message.of(b"MIME-Version: 1.0\r\n")))
    return _spliced(message, edits)


def _spliced(message: Message, edits: list[tuple[int, int, Message]]) -> Message:
    """Apply edits whose octets may be large; those at one position keep their order."""
    parts: list[Message] = []
    position = 0
    for start, stop, octets in sorted(edits, key=lambda each: (each[0], each[1])):
        parts += (message.slice(position, start), octets)
        position = stop
    return Message.join((*parts, message.slice(position, len(message))))


def _texts(top: Entity) -> Iterator[tuple[Entity, tuple[bytes, ...]]]:
    """Yield the texts to be extended, with the boundaries around each; raises `_None` where there are none."""
    kinds = {each.media_type for each in top.walk()}
    if top.media_type == "multipart/report":
        raise _None(NoFooter.REPORT)
    if "text/calendar" in kinds:
        raise _None(NoFooter.CALENDAR)
    if kinds & _TNEF:
        raise _None(NoFooter.STRUCTURE)
    yield from _below(top, (), mixed=True)


def _below(entity: Entity, around: tuple[bytes, ...], *, mixed: bool) -> Iterator[tuple[Entity, tuple[bytes, ...]]]:
    if entity.media_type in _SEALED:
        raise _None(NoFooter.SIGNED)
    if entity.defects or entity.body == entity.header.stop:
        raise _None(NoFooter.STRUCTURE)
    if entity.media_type in {"text/plain", "text/html"} and not entity.children and not _is_file(entity):
        yield entity, around
        return
    inside = (*around, b"--" + entity.parameters.get("boundary", "").encode())
    first, *others = entity.children or (None,)
    if first is None:
        raise _None(NoFooter.STRUCTURE)
    match entity.media_type:
        case "multipart/mixed" if mixed and not any(_continues(each) for each in others):
            yield from _below(first, inside, mixed=False)
        case "multipart/related" if "start" not in entity.parameters:
            yield from _below(first, inside, mixed=False)
        case "multipart/alternative":
            for each in entity.children:
                if each.media_type == "multipart/alternative":
                    raise _None(NoFooter.STRUCTURE)
                yield from _below(each, inside, mixed=False)
        case _:
            raise _None(NoFooter.STRUCTURE)


def _is_file(entity: Entity) -> bool:
    disposition = entity.header.first("content-disposition")
    found = read_parameters(disposition.value) if disposition is not None else None
    named = "name" in entity.parameters or (found is not None and "filename" in found.parameters)
    return named or (found is not None and found.value != "inline")


def _continues(entity: Entity) -> bool:
    """Return True for a later part that readers show as more of the text."""
    return any(each.media_type.startswith("text/") and not _is_file(each) for each in entity.walk())


def _leaf_edits(
    message: Message,
    leaf: Entity,
    footer: Footer,
    boundaries: tuple[bytes, ...],
    new_builder: Callable[[], Builder],
) -> list[tuple[int, int, Message]]:
    """Return what changes in one text, nothing where it has its footer."""
    try:
        content = decode_body(message, leaf, limit=_MOST_OCTETS)
    except MimeError as error:
        raise _None(NoFooter.TOO_LARGE if error.reason == "body_too_large" else NoFooter.ENCODING) from error
    if _ARMOR.search(content) is not None:
        raise _None(NoFooter.SIGNED)
    extend = _in_html if leaf.media_type == "text/html" else _in_plain
    place, added, charset = extend(leaf, content, footer)
    if not added:
        return []
    edits = _charset_edits(leaf) if charset else []
    if leaf.encoding in _RAW or (leaf.encoding in _UNENCODED and added.isascii()):
        octets = Message.of(added)
        edits.append((leaf.body + place, leaf.body + place, octets))
    else:
        encoding, octets = _encoded(leaf, content[:place] + added + content[place:], new_builder)
        edits += _encoding_edits(leaf, encoding)
        edits.append((leaf.body, leaf.stop, octets))
    if any(octets.find(each) >= 0 for each in boundaries):
        raise _None(NoFooter.STRUCTURE)
    return edits


def _in_plain(leaf: Entity, content: bytes, footer: Footer) -> tuple[int, bytes, bool]:
    """Return where what is added to a plain text, and whether its charset changes with it."""
    charset = leaf.parameters.get("charset", "").lower()
    added = b"".join(_stuffed(leaf, line).encode() + b"\r\n" for line in ("", *_lines(footer)))
    if not added.strip() or (b"\r\n" + content.rstrip()).endswith(b"\r\n" + added.strip()):
        return 0, b"", False
    if content and not content.endswith(b"\r\n"):
        added = b"\r\n" + added
    if charset in {"utf-8", "utf8"}:
        return len(content), added, False
    if charset in _ASCII and content.isascii():
        return len(content), added, True
    raise _None(NoFooter.CHARSET)


def _stuffed(leaf: Entity, line: str) -> str:
    """Return a line as format=flowed writes it (RFC 3676 4.4); lines without a blank at their end never flow."""
    flowed = leaf.parameters.get("format", "").lower() == "flowed"
    return f" {line}" if flowed and line.startswith((" ", ">", "From ")) else line


def _lines(footer: Footer) -> list[str]:
    """Return the footer's lines, without blanks at their ends: "-- " would make it a signature."""
    return [line.rstrip() for text in (footer.vietnamese, footer.english) for line in text.strip().splitlines()]


def _in_html(leaf: Entity, content: bytes, footer: Footer) -> tuple[int, bytes, bool]:
    """Return where what is added to HTML: ASCII, so that no charset has to change."""
    if not _ASCII_BASED.fullmatch(leaf.parameters.get("charset", "")):
        raise _None(NoFooter.CHARSET)
    place = len(content)
    for name, start, _ in pieces(content.decode("latin-1")):
        if name in {BROKEN, "plaintext"}:
            raise _None(NoFooter.STRUCTURE)
        if name == "/body" or (name == "/html" and place == len(content)):
            place = start
    paragraphs = (
        (lang, text.strip().splitlines()) for lang, text in (("vi", footer.vietnamese), ("en", footer.english))
    )
    added = "".join(
        f'<p lang="{lang}">{"<br>".join(html.escape(line.strip()) for line in lines)}</p>\r\n'
        for lang, lines in paragraphs
        if lines
    ).encode("ascii", "xmlcharrefreplace")
    if not added or content[:place].rstrip().endswith(added.strip()):
        return 0, b"", False
    return place, added, False


def _charset_edits(leaf: Entity) -> list[tuple[int, int, Message]]:
    """Declare UTF-8, and change nothing else of the Content-Type."""
    field = leaf.header.first("content-type")
    if field is None:
        octets = b"Content-Type: text/plain; charset=utf-8\r\n"
        return [(leaf.header.stop, leaf.header.stop, Message.of(octets))]
    bare = field.raw.rstrip()
    octets = _ASCII_NAMED.sub(rb"\1utf-8", bare, count=1)
    if octets == bare:
        octets = bare.rstrip(b"; \t\r\n") + b"; charset=utf-8"
    found = read_parameters(octets.partition(b":")[2].replace(b"\r\n", b""))
    if found.defects or dict(found.parameters) != {**leaf.parameters, "charset": "utf-8"}:
        raise _None(NoFooter.CHARSET)
    return [(field.start, field.stop, Message.of(octets + b"\r\n"))]


def _encoded(leaf: Entity, content: bytes, new_builder: Callable[[], Builder]) -> tuple[bytes, Message]:
    """Return the transfer encoding and the encoded content of a text."""
    header = f"Content-Type: {leaf.media_type}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode()
    made = seven_bit(plain := Message.of(header + content), parse(plain), new_builder=new_builder)
    entity = parse(made)
    if decode_body(made, entity, limit=2 * _MOST_OCTETS) != content:
        raise _None(NoFooter.ENCODING)
    return entity.encoding.encode(), made.slice(entity.body, entity.stop)


def _encoding_edits(leaf: Entity, encoding: bytes) -> list[tuple[int, int, Message]]:
    field = leaf.header.first("content-transfer-encoding")
    octets = Message.of(b"Content-Transfer-Encoding: " + encoding + b"\r\n")
    where = (leaf.header.stop, leaf.header.stop) if field is None else (field.start, field.stop)
    return [(*where, octets)]
