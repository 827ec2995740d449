"""Header fields inside the signed part against those outside (RFC 9788, RFC 8551 3.1).

An outer field is signed only where an equal copy stands inside; nothing here may make a signature better than it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.mime.dates import date_of
from gateway.mime.fields import AuthorDefect, author_of, decode_text
from gateway.mime.mailboxes import AddressError, mailbox_list
from gateway.smime.beside import WRAPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core.address import Mailbox
    from gateway.mime.entity import Entity
    from gateway.mime.fields import Header

_SHOWN: Final = ("from", "sender", "reply-to", "to", "cc", "subject", "date")
"""Fields a reader sees or answers to: each must be the same inside and outside, or missing in both."""


_CLAIMED: Final = ("from", "sender", "reply-to", "subject")
"""Fields by which a message says who speaks, to whom an answer goes, and on what."""
_OF_PEOPLE: Final = frozenset({"from", "sender", "reply-to", "to", "cc"})
_MAX_PEOPLE: Final = 16 * 1024
"""Octets of the lists of one name that are taken apart: a letter to 200 has less."""
_MOST_TWINS: Final = 4
"""Fields of one name that may be one: more are not looked at."""
_MAX_COMPARED: Final = 64 * 1024
"""Octets of inner fields that are decoded for one message."""
_BLANKS: Final = re.compile(r"[ \t\r\n]+")
"""What folding may change; other blanks are text."""
_MARKS: Final = frozenset({"hp", "protected-headers"})
_DISPUTES: Final = frozenset(
    {
        "ambiguous_parameter",
        "bad_boundary",
        "duplicate_encoding",
        "duplicate_parameter",
        "encoded_multipart",
        "no_delimiter",
    }
)
"""Defects by which readers come to different parts."""
_COMPOSITE: Final = re.compile(rb"\b(?:message|multipart)[ \t]*/", re.IGNORECASE)
"""A second type in the place of parameters."""
ONE_IS_SHOWN: Final = frozenset({"multipart/alternative", "multipart/related"})
"""Types of whose parts a reader shows one: what it shows stands alone (RFC 2046 5.1.4, RFC 2387)."""
_WRAPS: Final = WRAPS | {"message/partial"}
"""Types whose body begins with a header that some reader shows in place of the outer one (RFC 2046 5.2)."""


def protected_headers(payload: Entity) -> tuple[Header, ...]:
    """Return the headers that stand inside the signature and are meant for the whole message.

    RFC 9788 marks one with `hp`, its drafts with `protected-headers`. A payload that is one message/rfc822 stands for
    the whole message unless it says `forwarded=yes` (RFC 8551 3.1), whatever marks it bears beside that: each reader
    knows one of these.
    """
    found = [payload.header] if payload.parameters.keys() & _MARKS else []
    if payload.media_type in {"message/rfc822", "message/global"} and payload.children:
        forwarded = payload.parameters.get("forwarded", "no").strip().lower() == "yes"
        found += [] if forwarded else [payload.children[0].header]
    return tuple(found)


def names_other_author(payload: Entity, author: Mailbox | None) -> bool:
    """Return True if a From field inside, marked as protected or not, is anything but this one author."""
    headers = (payload.header, *protected_headers(payload))
    return any(_differs(each, author) for each in headers if each.first("from") is not None)


def _differs(header: Header, author: Mailbox | None) -> bool:
    found = author_of(header)
    return isinstance(found, AuthorDefect) or author is None or found.key != author.key


def headers_match(outer: Header, inner: Header) -> bool:
    """Return True if all that a reader sees of the header is the same inside and outside, From included."""
    if not inner.all("from"):
        return False
    names = _SHOWN + (("message-id",) if inner.all("message-id") else ())
    return all(_texts(outer, name) == _texts(inner, name) for name in names)


def changed_fields(outer: Header, payload: Entity) -> tuple[str, ...]:
    """Return the names of the shown fields that are other ones outside than the signer protected inside.

    RFC 9788 (`hp`) protects all fields there are: what stands outside only was added later, but for Date, which a
    submission server may add. Its drafts, and a message/rfc822 as payload, protect what they repeat.
    """
    found = []
    for inner in protected_headers(payload):
        every = "hp" in payload.parameters and inner is payload.header
        for name in _SHOWN:
            added = every and name != "date" and bool(outer.all(name))
            if (inner.all(name) or added) and _texts(outer, name) != _texts(inner, name):
                found.append(name)
    return tuple(dict.fromkeys(found))


def disputed_fields(header: Header) -> tuple[str, ...]:
    """Return the names of the shown fields that stand there twice with different texts (RFC 5322 3.6: once).

    Readers show the first, the last or both: nobody can say what is on the screen beside a signature.
    """
    names = [each.key for each in header.fields]
    several = [name for name in _SHOWN if names.count(name) > 1]
    return tuple(name for name in several if len(header.all(name)) > _MOST_TWINS or len(set(_texts(header, name))) > 1)


def _texts(header: Header, name: str) -> list[str]:
    """Return what readers see of the fields of a name, each as a text to be compared.

    Mail systems quote names anew, fold lists anew and write a date in another zone: what is shown stays the same.
    """
    moment = date_of(header) if name == "date" else None  # None for two of them as well
    if moment is not None:
        return [moment.isoformat()]
    values = [field.value for field in header.all(name)]
    read = _people if name in _OF_PEOPLE and sum(map(len, values)) <= _MAX_PEOPLE else _text
    return sorted(map(read, values))


def _text(value: bytes) -> str:
    return _BLANKS.sub(" ", decode_text(value)).strip(" ")


@lru_cache(maxsize=32)
def _people(value: bytes) -> str:
    """Return names and mailboxes of a list; as it stands where some reader may show more: groups, comments, faults.

    Remembered, as each layer of a message is compared with the same fields outside.
    """
    if b"(" in value or b":" in value:
        return _text(value)
    try:
        found = mailbox_list(value, groups=False)
    except AddressError:
        return _text(value)
    return repr([(_BLANKS.sub(" ", each.display_name).strip(" "), each.mailbox.key) for each in found])


def inner_difference(outer: Header, top: Entity) -> str | None:
    """Return the stable code of how what is inside contradicts the outer header, None where nothing does.

    The author of `top` may not be the one who answers for it: what stands inside may be shown under the signature of
    the one who does. So a message at the top, whatever its `forwarded` says (RFC 8551 3.1: some readers do not ask),
    must have the outer From, Sender, Reply-To and Subject, and be readable; a part that is marked as bearing protected
    fields (RFC 9788) may leave some out, and have no other. Messages that are attached beside something else are not
    looked into.
    """
    comparison = _Comparison(outer)
    waiting = [top]
    while waiting:
        current = waiting.pop()
        if is_disputed(current):
            return "structure_disputed"
        if current.media_type in _WRAPS:
            if not current.children or current.children[0].header.defects:
                return "inner_unreadable"
            inner = current.children[0]
            found = comparison.difference(inner.header, _CLAIMED)
            waiting.append(inner)
        else:
            marked = bool(current.parameters.keys() & _MARKS)
            said = tuple(name for name in _CLAIMED if marked and current.header.all(name))
            found = comparison.difference(current.header, said)
            waiting.extend(_shown(current))
        if found is not None:
            return found
    return None


class _Comparison:
    """Compares header sections with the outer one; how much is decoded is not for the sender to say."""

    def __init__(self, outer: Header) -> None:
        self._outer = outer
        self._texts: dict[str, list[str]] = {}
        self._left = _MAX_COMPARED

    def difference(self, inner: Header, names: tuple[str, ...]) -> str | None:
        """Return the stable code of the first of these fields that is another one than outside."""
        for name in names:
            self._left -= sum(len(field.raw) for field in inner.all(name))
            if self._left < 0:
                return "inner_unreadable"
            if name not in self._texts:
                self._texts[name] = _texts(self._outer, name)
            if self._texts[name] != _texts(inner, name):
                return f"inner_{name.replace('-', '_')}_differs"
        return None


def is_disputed(entity: Entity) -> bool:
    """Return True where some reader may find a message, or parts, that another does not see there."""
    fields = entity.header.all("content-type")
    if len(fields) > 1:
        return True
    if "malformed_content_type" in entity.defects:
        return any(word in fields[0].value.lower() for word in (b"message", b"multipart"))
    if entity.media_type.startswith(("multipart/", "message/")):
        return not _DISPUTES.isdisjoint(entity.defects)
    return "malformed_parameters" in entity.defects and _COMPOSITE.search(fields[0].value) is not None


def _shown(entity: Entity) -> Iterator[Entity]:
    """Yield the parts that a reader may show as the message itself, or as its text."""
    alone = len(entity.children) == 1 or entity.media_type in ONE_IS_SHOWN
    for index, child in enumerate(entity.children):
        signed = entity.media_type == "multipart/signed" and index == 0
        if alone or signed or not child.media_type.startswith("message/"):
            yield child
