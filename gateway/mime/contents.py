"""What a message carries, as far as policies ask: files, links, marks of secrecy (RFC 2045, RFC 2183, RFC 2231).

Must never take more than its limits of an attacker's octets. What a limit hid counts as there: every mark is assumed
where text stayed unread, and `UNKNOWN_HOST` stands for links that were not looked at. The list of files needs headers
only: it is whole but for what stands far inside an encoded message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.core.contents import UNKNOWN_HOST, Attachment, Contents, Marking
from gateway.core.message import Message
from gateway.mime.attached import MOST_NAMES, names_of, types_of
from gateway.mime.entity import parse
from gateway.mime.fields import MimeError
from gateway.mime.markings import markings_in, markings_in_name
from gateway.mime.parameters import read_parameters
from gateway.mime.partial import decoded_begin, decoded_end
from gateway.mime.shown import MOST_LINKS, Shown, header_readings, readings, see_html, see_plain
from gateway.mime.sniff import PDF, PREFIX, agrees, is_picture, media_type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.mime.entity import Entity

_LINES: Final = 30
"""Lines that are not blank, of each kind of text of each message, in which marks are looked for."""
_TEXT_OCTETS: Final = 1024 * 1024
"""Of one text, decoded."""
_ALL_TEXT: Final = 2 * 1024 * 1024
"""Octets of all texts together, decoded."""
_ALL_OCTETS: Final = 32 * 1024 * 1024
"""Of one message, decoded, everything together."""
_ALL_LETTERS: Final = 256 * 1024
"""Characters of subjects, names and first lines in which marks are looked for."""
_PDF_OCTETS: Final = 1024 * 1024
"""At each end of a PDF: signatures stand in what was added last, or in a small file."""
_NAME: Final = 255
"""Characters of a name that are kept."""
_INSIDE: Final = 20
"""Messages in base64 that are opened."""
_INSIDE_OCTETS: Final = 2 * 1024 * 1024
"""Of each: what begins further down in it stays unseen."""
_ENCODED_MESSAGES: Final = frozenset({"message/rfc822", "message/global"})
_NO_FILES: Final = frozenset(
    {
        "application/pgp-encrypted",
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "message/delivery-status",
        "message/disposition-notification",
    }
)
_FORMS: Final = frozenset({"multipart/signed", "multipart/encrypted", "multipart/report"})
"""What has such parts, which are no files there."""
_CMS: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_OTHER_ENCODINGS: Final = frozenset({"x-uuencode", "x-uue", "uuencode", "x-yencode", "x-gzip64", "x-bzip2"})
"""Encodings that some readers decode and we do not."""


@dataclass(slots=True)
class _Look:
    """What was found, and what is left of the limits."""

    octets: int = _ALL_OCTETS
    text: int = _ALL_TEXT
    letters: int = _ALL_LETTERS
    opened: int = _INSIDE
    attachments: list[Attachment] = field(default_factory=list)
    markings: set[Marking] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    unread: bool = False
    """Text stayed unread in which marks are looked for."""
    unfollowed: bool = False
    """Text stayed unread in which links may stand."""
    complete: bool = True

    def begin(self, message: Message, entity: Entity, limit: int) -> tuple[bytes, bool]:
        """Return the first octets of a content, decoded, and whether that is all of it."""
        octets, whole = decoded_begin(message, entity, limit=min(limit, self.octets))
        self.octets -= len(octets)
        return octets, whole

    def mark(self, text: str, find: Callable[[str], frozenset[Marking]]) -> None:
        """Look for marks in a text, as far as there are letters left."""
        if len(text) > self.letters:
            self.unread = True
        self.markings |= find(text[: self.letters])
        self.letters = max(self.letters - len(text), 0)


def read_contents(message: Message, entity: Entity) -> Contents:
    """Return what the entity carries; never raises, and says in `complete` where a limit ended the look.

    Marks are looked for in subjects, names of files and the first lines of shown text, those of forwarded messages too.
    A part with several names or types is one attachment for each. What stands inside a CMS is not looked at.
    """
    look = _Look()
    waiting = [(message, entity)]
    while waiting:
        holder, top = waiting.pop()
        waiting += _see_message(holder, top, look)
    unseen = frozenset(Marking) if look.unread else frozenset()
    return Contents(
        attachments=tuple(look.attachments),
        links=frozenset(look.links | ({UNKNOWN_HOST} if look.unfollowed else set())),
        markings=frozenset(look.markings | unseen),
        complete=look.complete and not look.unread and not look.unfollowed,
    )


def _see_message(message: Message, top: Entity, look: _Look) -> list[tuple[Message, Entity]]:
    """See one message; return those inside it."""
    for each in top.header.all("subject"):
        for text in header_readings(each.value):
            look.mark(text, markings_in)
    inside: list[tuple[Message, Entity]] = []
    left = {"text/html": _LINES, "text/plain": _LINES}
    for entity, parent in _leaves(top):
        if entity.media_type in _ENCODED_MESSAGES:
            inside += _opened(message, entity, look)
        attached = _see_file(message, entity, parent, look)
        readable = entity.media_type.startswith(("text/", "multipart/")) and not _is_put_aside(entity)
        if readable and (not attached or entity.media_type in left):
            _see_text(message, entity, look, left)
    return inside


def _leaves(top: Entity) -> Iterator[tuple[Entity, Entity | None]]:
    """Yield what is no multipart, or a multipart without parts, with its parent; not what is inside other messages."""
    waiting: list[tuple[Entity, Entity | None]] = [(top, None)]
    while waiting:
        entity, parent = waiting.pop()
        if entity.children and entity.media_type not in _ENCODED_MESSAGES:
            waiting += [(child, entity) for child in reversed(entity.children)]
        else:
            yield entity, parent


def _opened(message: Message, entity: Entity, look: _Look) -> list[tuple[Message, Entity]]:
    """Return the message inside a part; one in base64, which RFC 2046 5.2.1 forbids and readers open, is decoded."""
    if entity.children:
        return [(message, child) for child in entity.children]
    if entity.body == entity.stop:
        return []
    look.opened -= 1
    octets, whole = look.begin(message, entity, _INSIDE_OCTETS)
    inner = Message.of(octets if b"\r\n" in octets else octets.replace(b"\n", b"\r\n"))
    look.complete = look.complete and whole
    try:
        if octets and look.opened >= 0:
            return [(inner, parse(inner))]
    except MimeError:
        pass
    look.unread = look.unfollowed = True
    return []


def _is_put_aside(entity: Entity) -> bool:
    """Return True if readers show a file, not its text."""
    kinds = {read_parameters(each.value).value for each in entity.header.all("content-disposition")}
    return kinds == {"attachment"}


def _see_file(message: Message, entity: Entity, parent: Entity | None, look: _Look) -> bool:
    """List a part that is a file; return whether it is one."""
    names = names_of(entity)
    for name in names:
        look.mark(name, markings_in_name)
    look.unread = look.unread or len(names) == MOST_NAMES
    text = entity.media_type.startswith(("text/", "multipart/"))
    if (text and not names and not _is_put_aside(entity)) or _is_form(entity, parent):
        return False
    begin, _ = look.begin(message, entity, PREFIX)
    if _is_picture_in_text(entity, parent, begin):
        return False
    found = media_type_of(begin)
    types = types_of(entity)
    pdf = found == PDF or PDF in types or any(each.lower().endswith(".pdf") for each in names)
    signed = pdf and _is_signed_pdf(message, entity, look)
    if found and not any(agrees(each, found) for each in types):
        types = (*types, found)
    size = entity.stop - entity.body
    for name in names or ("",):
        look.complete = look.complete and len(name) <= _NAME
        kept = name if len(name) <= _NAME else f"{name[:120]}…{name[-120:]}"
        look.attachments += (Attachment(kept, each, size, signed) for each in types)
    look.complete = look.complete and look.octets > 0
    return True


def _is_form(entity: Entity, parent: Entity | None) -> bool:
    """Return True for a part that is how a message is protected or reported, no file."""
    if parent is None:
        return entity.media_type in _CMS
    return entity.media_type in _NO_FILES and parent.media_type in _FORMS


def _is_picture_in_text(entity: Entity, parent: Entity | None, begin: bytes) -> bool:
    """Return True for a picture that belongs to HTML, and is one: a logo is no attachment."""
    related = parent is not None and parent.media_type == "multipart/related"
    return related and bool(entity.header.all("content-id")) and not _is_put_aside(entity) and is_picture(begin)


def _is_signed_pdf(message: Message, entity: Entity, look: _Look) -> bool:
    """Return True if a signature's value stands in the octets at either end (ISO 32000-1 12.8.1)."""
    octets, whole = look.begin(message, entity, _PDF_OCTETS)
    if not whole:
        end = decoded_end(message, entity, limit=min(_PDF_OCTETS, look.octets))
        look.octets -= len(end)
        octets += end
    return b"/ByteRange" in octets and re.search(rb"/Sig\b|/DocTimeStamp\b", octets) is not None


def _see_text(message: Message, entity: Entity, look: _Look, left: dict[str, int]) -> None:
    """Look for marks in the first lines of a shown text, and for links in all of it."""
    octets, whole = look.begin(message, entity, min(_TEXT_OCTETS, look.text))
    look.text -= len(octets)
    kind = "text/html" if "text/html" in types_of(entity) else "text/plain"
    charset = entity.parameters.get("charset", "").lower()
    odd = entity.encoding in _OTHER_ENCODINGS or "duplicate_encoding" in entity.defects
    lines = 0
    for text in readings(charset, octets):
        shown = Shown()
        see = see_html if kind == "text/html" else see_plain
        see(text.replace("\r", "\n"), shown, lines=left[kind])
        look.mark("\n".join(shown.lines), markings_in)
        look.links |= shown.hosts
        look.unfollowed = look.unfollowed or shown.links >= MOST_LINKS
        lines = max(lines, len(shown.lines))
    look.unread = look.unread or (odd and bool(octets)) or (not whole and lines < left[kind])
    look.unfollowed = look.unfollowed or odd or not whole
    left[kind] -= lines
