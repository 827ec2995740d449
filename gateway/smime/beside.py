"""Where signatures stand in a message whose top is none, and what stands beside them (RFC 1847, RFC 8551 3).

None of this can be verified. Here it only gets its name, so that neither a list's footer is called an attack, nor an
attack a footer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.mime.fields import MimeError
from gateway.mime.transfer import decode_body
from gateway.smime.classify import CMS_TYPES, SIGNATURE_TYPES, Form, form_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core.message import Message
    from gateway.mime.entity import Entity

_MOST_MARKUP: Final = 8
"""Unsigned HTML parts that are looked into."""
_MARKUP_OCTETS: Final = 256 * 1024
WRAPS: Final = frozenset({"message/rfc822", "message/global", "message/news"})
"""Types whose body is a message."""


@dataclass(frozen=True, slots=True)
class Place:
    """A signature shown as part of a message, below these parents, outermost first."""

    parents: tuple[Entity, ...]
    entity: Entity


def places(message: Message, top: Entity) -> Iterator[Place]:
    """Yield signatures that are shown as part of this message; attachments, and messages inside, are not."""
    waiting: list[tuple[tuple[Entity, ...], Entity]] = [((), top)]
    while waiting:
        parents, entity = waiting.pop()
        if entity is not top and entity.media_type in CMS_TYPES | {"multipart/signed"}:
            if form_of(message, entity) in {Form.CLEAR_SIGNED, Form.OPAQUE_SIGNED} and not attached(entity):
                yield Place(parents, entity)
            continue
        if entity.media_type.startswith("multipart/"):
            waiting.extend(((*parents, entity), child) for child in reversed(entity.children))


def attached(entity: Entity) -> bool:
    """Return True for what the sender called an attachment, and nothing else as well."""
    fields = entity.header.all("content-disposition")
    return len(fields) == 1 and re.match(rb"\s*attachment\b", fields[0].value, re.IGNORECASE) is not None


def why_unsigned(top: Entity) -> str:
    """Return the reason for a message in which no signature is shown as part of it."""
    if not any(_is_signature(each) for each in walk(top)):
        return "no_signature"
    inside = any(_is_signature(each) for wrapped in walk(top) if wrapped.media_type in WRAPS for each in walk(wrapped))
    return "signed_message_inside" if inside else "signed_inside_attachment"


def _is_signature(entity: Entity) -> bool:
    return entity.media_type == "multipart/signed" or entity.media_type in CMS_TYPES | SIGNATURE_TYPES


def why_partial(message: Message, top: Entity, place: Place) -> str:
    """Return what kind of unsigned content stands beside the one signed part.

    HTML that nobody signed can fetch the signed part (`cid:`), hide it, or put itself in front of it (Müller et al.
    2019, M2 and M3), wherever it stands.
    """
    kinds = {each.media_type for each in place.parents}
    if "multipart/alternative" in kinds:
        return "alternative_to_signed"
    markup = list(islice(_unsigned_markup(top, place.entity), _MOST_MARKUP))
    if any(_fetches_parts(message, each) for each in markup):
        return "fetched_by_unsigned"
    if "multipart/related" in kinds:
        return "related_to_signed"
    if markup:
        return "markup_beside_signed"
    parent = place.parents[0]
    first = len(place.parents) == 1 and parent.children[0] is place.entity
    footers = parent.children[1:]
    if first and all(each.media_type == "text/plain" for each in footers):
        return "footer_outside" if footers else "wrapped"
    return "part_beside_signed" if first else "text_before_signed"


def _unsigned_markup(top: Entity, signed: Entity) -> Iterator[Entity]:
    waiting = [top]
    while waiting:
        current = waiting.pop()
        if current is signed:
            continue
        if current.media_type in {"text/html", "application/xhtml+xml"} and not attached(current):
            yield current
        waiting.extend(reversed(current.children))


def _fetches_parts(message: Message, markup: Entity) -> bool:
    """Return True for HTML that names parts by their Content-ID; what cannot be decoded is taken to do so."""
    try:
        text = decode_body(message, markup, limit=_MARKUP_OCTETS)
    except MimeError:
        return True
    return re.search(rb"\b[cm]id\s*(?::|&#)", text, re.IGNORECASE) is not None
