"""Header fields inside the signed part against those outside (RFC 9788, RFC 8551 3.1).

An outer field is signed only where an equal copy stands inside; nothing here may make a signature better than it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.mime.fields import AuthorDefect, author_of, decode_text

if TYPE_CHECKING:
    from gateway.core.address import Mailbox
    from gateway.mime.entity import Entity
    from gateway.mime.fields import Header

_SHOWN: Final = ("from", "sender", "reply-to", "to", "cc", "subject", "date")
"""Fields a reader sees or answers to: each must be the same inside and outside, or missing in both."""


def protected_header(payload: Entity) -> Header | None:
    """Return the header that stands inside the signature and is meant for the whole message, None without one.

    RFC 9788 marks it with `hp`, its drafts with `protected-headers`. A payload that is one message/rfc822 stands for
    the whole message unless it says `forwarded=yes` (RFC 8551 3.1).
    """
    if payload.parameters.keys() & {"hp", "protected-headers"}:
        return payload.header
    if payload.media_type in {"message/rfc822", "message/global"} and payload.children:
        forwarded = payload.parameters.get("forwarded", "no").strip().lower() == "yes"
        return None if forwarded else payload.children[0].header
    return None


def names_other_author(payload: Entity, author: Mailbox | None) -> bool:
    """Return True if a From field inside, marked as protected or not, is anything but this one author."""
    inner = protected_header(payload)
    headers = [payload.header] if inner is None or inner is payload.header else [payload.header, inner]
    return any(_differs(header, author) for header in headers if header.all("from"))


def _differs(header: Header, author: Mailbox | None) -> bool:
    found = author_of(header)
    return isinstance(found, AuthorDefect) or author is None or found.key != author.key


def headers_match(outer: Header, inner: Header) -> bool:
    """Return True if all that a reader sees of the header is the same inside and outside, From included."""
    if not inner.all("from"):
        return False
    names = _SHOWN + (("message-id",) if inner.all("message-id") else ())
    return all(_texts(outer, name) == _texts(inner, name) for name in names)


def _texts(header: Header, name: str) -> list[str]:
    return sorted(" ".join(decode_text(field.value).split()) for field in header.all(name))
