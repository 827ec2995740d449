"""What a message carries, what stands inside its opaque signatures included (RFC 8551 3.5.2).

A signature must never be a cover: who signs opaquely before sending meets the same rules. What is encrypted cannot be
seen, and says so by its form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cms.verify import CmsError, open_signed
from gateway.core.contents import UNKNOWN_HOST, Contents, Marking
from gateway.core.message import Message
from gateway.mime.contents import read_contents
from gateway.mime.entity import parse
from gateway.mime.fields import MimeError
from gateway.mime.transfer import decode_body
from gateway.smime.classify import Form, form_of, is_cms, walk

if TYPE_CHECKING:
    from gateway.mime.entity import Entity

_MOST: Final = 8
"""Signatures that are opened in one message."""
_OCTETS: Final = 36 * 1024 * 1024
"""Of all of them together, decoded: no more than a message may have."""
_SIGNED_DATA: Final = frozenset({Form.OPAQUE_SIGNED, Form.CERTIFICATES_ONLY})
"""The latter is a claim: SignedData so called can hold content all the same."""
_UNSEEN: Final = Contents(links=frozenset({UNKNOWN_HOST}), markings=frozenset(Marking), complete=False)


def read_through(message: Message, entity: Entity) -> Contents:
    """Return what the entity and the signed content in it carry; never raises, and fails closed over a limit.

    Content that is compressed, or that we cannot open and others may, counts as bearing every mark.
    """
    found = read_contents(message, entity)
    waiting = [(message, each) for each in walk(entity) if is_cms(each)]
    left = _OCTETS
    for _ in range(_MOST):
        if not waiting:
            return found
        holder, cms = waiting.pop()
        form = form_of(holder, cms)
        if form in _SIGNED_DATA:
            inner = _opened(holder, cms, left)
            if inner is not None:
                left -= len(inner[0])
                found = _both(found, read_contents(*inner))
                waiting += [(inner[0], each) for each in walk(inner[1]) if is_cms(each)]
                continue
        if form in _SIGNED_DATA or form is Form.COMPRESSED:
            found = _both(found, _UNSEEN)
    return _both(found, _UNSEEN) if waiting else found


def _opened(message: Message, entity: Entity, limit: int) -> tuple[Message, Entity] | None:
    """Return the signed content as a message of its own, None where it cannot be had; without content it is empty."""
    try:
        content = open_signed(decode_body(message, entity, limit=limit)).content or b""
        inner = Message.of(content if b"\r\n" in content else content.replace(b"\n", b"\r\n"))
        return inner, parse(inner)
    except (CmsError, MimeError):
        return None


def _both(one: Contents, other: Contents) -> Contents:
    return Contents(
        attachments=(*one.attachments, *other.attachments),
        links=one.links | other.links,
        markings=one.markings | other.markings,
        complete=one.complete and other.complete,
    )
