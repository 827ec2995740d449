"""Header fields as spans of octets, and the author they name (RFC 5322 2.2, 3.6.2; RFC 6532).

A header is read, never re-printed. Whoever is the author is decided fail-closed: one From field with one mailbox.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.errors import InputError
from gateway.core.remembered import remembered
from gateway.mime.mailboxes import AddressError, Named, mailbox_list
from gateway.mime.parameters import parameters
from gateway.mime.words import decode_text, encode_text, fold

if TYPE_CHECKING:
    from gateway.core.address import Mailbox
    from gateway.core.message import Message

__all__ = [
    "DEFAULT_LIMITS",
    "AuthorDefect",
    "Field",
    "Header",
    "Limits",
    "MimeError",
    "author_of",
    "decode_text",
    "encode_text",
    "fold",
    "mailboxes",
    "parameters",
    "read_header",
]

_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DISPUTED: Final = re.compile(r"=\?|[@<>,;:\\].*@")
"""In an address: an encoded word, or in its local part what ends one."""
_MAX_FROM: Final = 8192
"""Octets of a From field: reading a quarter of a megabyte would take half a second, and no name is that long."""
_NAMED: Final = rb"((?:([!-9;-~]+)[ \t]*:)?"
_BY_LF: Final = re.compile(_NAMED + rb"[^\n]*(?:\n[ \t][^\n]*)*\n?)")
_BY_CRLF: Final = re.compile(_NAMED + rb"[^\r]*(?:\r(?!\n(?![ \t]))[^\r]*)*(?:\r\n)?)")
"""A line with those that continue it, and the name if it is a field: ended by any LF, or by CRLF alone."""
_HIDDEN: Final = re.compile(
    rb"(?:[\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9])[ \t]*"
    rb"(?:from|sender|reply-to|to|cc|subject|date|message-id|mime-version|content-[a-z-]{1,30})[ \t]*:",
    re.IGNORECASE,
)
"""A field that matters, behind what only some readers take for the end of a line."""
_EVEN: Final = bytes(set(range(256)) - set(b"\x0b\x0c\x1c\x1d\x1e\xc2\xe2"))
"""Octets with which no such line end begins."""


class MimeError(InputError):
    """A message that cannot be read within the limits; `reason` is a stable code."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may hold before it is refused: octets, or counts."""

    header_octets: int = 256 * 1024
    fields: int = 1000
    depth: int = 30
    parts: int = 1000


DEFAULT_LIMITS: Final = Limits()
_USUAL: Final = 8 * 1024
"""Octets in which most header sections end: of a large message no more is read for each of its parts."""


class Field(NamedTuple):
    """One header field with its place in the message; `raw` holds its octets including the final CRLF."""

    name: str
    start: int
    stop: int
    raw: bytes
    key: str
    """The name in lower case."""

    @property
    def bare(self) -> bool:
        """True if the colon follows the name at once: with a blank between, some readers know no such field."""
        return self.raw.startswith(b":", len(self.name))

    @property
    def value(self) -> bytes:
        """What follows the colon: unfolded, without outer white space."""
        found = self.raw.partition(b":")[2].strip(b" \t\r\n")
        # `in` takes octets for a number first, and then raises and drops an exception (Python 3.11); `find` does not
        return _FOLD.sub(b"", found) if found.find(b"\n") >= 0 else found


@dataclass(frozen=True, slots=True)
class Header:
    """A header section: its fields in order, where the blank line begins, and where the body begins."""

    fields: tuple[Field, ...]
    stop: int
    body: int
    defects: tuple[str, ...] = ()
    _by_key: dict[str, list[Field]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Find fields by name once: they are asked for some fifty times a message."""
        by_key = self._by_key
        for each in self.fields:
            by_key.setdefault(each.key, []).append(each)

    def all(self, name: str) -> tuple[Field, ...]:
        """Return every field of this name, without regard to case."""
        return tuple(self._by_key.get(name.lower(), ()))

    def first(self, name: str) -> Field | None:
        """Return the first field of this name."""
        found = self._by_key.get(name.lower())
        return found[0] if found is not None else None


def read_header(
    message: Message, start: int = 0, stop: int | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> Header:
    """Return the header section that begins at `start`; raises `MimeError` over a limit.

    A line that is neither a field nor a continuation is a defect and belongs to no field; its octets stay. So is a
    field in which some readers see the beginning of another one.
    """
    end = len(message) if stop is None else stop
    most = limits.header_octets + 4
    octets = message.read(start, min(end, start + min(_USUAL, most)))
    if octets.startswith(b"\r\n"):
        return Header((), start, start + 2)
    blank = octets.find(b"\r\n\r\n")
    if blank < 0 and min(most, end - start) > _USUAL:
        octets = message.read(start, min(end, start + most))
        blank = octets.find(b"\r\n\r\n")
    if blank < 0 and len(octets) > limits.header_octets:
        raise MimeError("header_too_large")
    size = blank + 2 if blank >= 0 else len(octets)
    section = octets[:size]
    # a bare LF ends a line where no CR stands alone; where one does, only CRLF
    lines = (_BY_LF if section.count(b"\r") == section.count(b"\r\n") else _BY_CRLF).findall(section)
    if len(lines) > limits.fields and sum(1 for _, name in lines if name) > limits.fields:
        raise MimeError("too_many_fields")
    fields: list[Field] = []
    defects: list[str] = []
    odd = section.translate(None, _EVEN) != b""
    place = start
    for raw, octets_of_name in lines:
        begin, place = place, place + len(raw)
        if octets_of_name:
            name = octets_of_name.decode("ascii")
            fields.append(Field(name, begin, place, raw, name.lower()))
            if odd and _HIDDEN.search(raw) is not None:
                defects.append("hidden_field")
        elif raw:  # the last match is empty
            defects.append("malformed_header_line")
    return Header(tuple(fields), start + size, start + size + (2 if blank >= 0 else 0), tuple(defects[:10]))


class AuthorDefect(StrEnum):
    """Why a message has no single author; stable codes."""

    NO_FROM = "no_from"
    SEVERAL_FROM = "several_from"
    MALFORMED = "malformed_from"
    NO_MAILBOX = "no_from_mailbox"
    SEVERAL_MAILBOXES = "several_from_mailboxes"


def author_of(header: Header) -> Mailbox | AuthorDefect:
    """Return the single mailbox of the single From field, or what is wrong (RFC 5322 3.6.2).

    `From :` with blanks before the colon is a From field to some mail clients and none to others (RFC 5322 4.5.2): it
    counts as one, and as malformed. A malformed line anywhere in the header makes the author undecidable, because
    clients disagree on what such a line is; so do a field behind what some take for a line end in another, a control
    character that an encoded word hides, at which some end the text, an encoded word in the address itself, which some
    decode (Mailsploit), and a quoted local part that holds what ends an address for others (espoofer).
    """
    fields = header.all("from")
    if not fields:
        return AuthorDefect.NO_FROM
    if len(fields) > 1:
        return AuthorDefect.SEVERAL_FROM
    value = fields[0].value
    if header.defects or not fields[0].bare or len(value) > _MAX_FROM:
        return AuthorDefect.MALFORMED
    return _author_in(value)


@remembered(2048, octets=256)  # the same authors write again and again
def _author_in(value: bytes) -> Mailbox | AuthorDefect:
    try:
        found = mailbox_list(value, groups=False)
    except AddressError:
        return AuthorDefect.MALFORMED
    if not found:
        return AuthorDefect.NO_MAILBOX
    if len(found) > 1:
        return AuthorDefect.SEVERAL_MAILBOXES
    mailbox = found[0].mailbox
    disputed = _CONTROL.search(decode_text(value)) is not None or _DISPUTED.search(str(mailbox))
    return AuthorDefect.MALFORMED if disputed else mailbox


def mailboxes(value: bytes) -> tuple[Named, ...]:
    """Return the (display name, mailbox) pairs of an address list; raises `MimeError` where it is malformed."""
    try:
        return mailbox_list(value, groups=True)
    except AddressError as error:
        raise MimeError("malformed_address_list") from error
