"""Lists of mailboxes in header fields: a strict lexer of our own (RFC 5322 3.2-3.4, RFC 6532).

Stricter than the obsolete syntax wherever a mail client could be fooled: no source routes, no control characters, no
white space inside an addr-spec. An encoded word is only ever part of a display name, whatever it decodes to.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.address import Mailbox
from gateway.core.remembered import remembered
from gateway.mime.words import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_ATOM: Final = re.compile(rb"[^\x00-\x20\x7f()<>\[\]:;@\\,\".]+")
_QUOTED: Final = re.compile(rb'"(?:[^"\\\x00\r\n]|\\[^\x00\r\n])*"')
_LITERAL: Final = re.compile(rb"\[[^\[\]\\\x00-\x20\x7f]*\]")
_MAX_COMMENT_DEPTH: Final = 10
_MAX_MAILBOXES: Final = 2000
_MAX_TOKENS: Final = 50_000
_MAX_REMEMBERED: Final = 256
"""Octets of a list that is remembered."""
_MAX_ADDRESS_TOKENS: Final = 400
"""No address that `Mailbox` takes has more: 64 octets of local part, 255 of domain."""


class AddressError(ValueError):
    """The octets are no list of mailboxes."""


class Named(NamedTuple):
    """A display name, decoded for reading, and its mailbox."""

    display_name: str
    mailbox: Mailbox


class _Token(NamedTuple):
    kind: str
    """ "atom", "quoted", "literal", or the special character itself."""
    octets: bytes
    blank_before: bool


def _comment(value: bytes, position: int) -> int:
    """Return the position after the comment that begins here."""
    depth = 0
    while position < len(value):
        octet = value[position : position + 1]
        if octet == b"\\":
            position += 1
        elif octet == b"(":
            depth += 1
            if depth > _MAX_COMMENT_DEPTH:
                raise AddressError("comments nested too deep")
        elif octet == b")":
            depth -= 1
            if depth == 0:
                return position + 1
        elif octet in (b"\0", b"\r", b"\n"):
            break
        position += 1
    raise AddressError("comment not closed")


def _tokens(value: bytes) -> Iterator[_Token]:
    """Yield the lexical tokens; comments and blanks only separate."""
    position, blank = 0, False
    while position < len(value):
        octet = value[position : position + 1]
        if octet in (b" ", b"\t"):
            position, blank = position + 1, True
            continue
        if octet == b"(":
            position, blank = _comment(value, position), True
            continue
        kind, match = next(
            ((kind, found) for kind, pattern in _PATTERNS if (found := pattern.match(value, position))), ("", None)
        )
        if match is not None:
            yield _Token(kind, match[0], blank)
            position = match.end()
        elif octet in b"<>:;@,.":
            yield _Token(octet.decode("ascii"), octet, blank)
            position += 1
        else:
            raise AddressError("octet that has no place in an address")
        blank = False


_PATTERNS: Final = (("atom", _ATOM), ("quoted", _QUOTED), ("literal", _LITERAL))


class _Reader:
    """Recursive descent over the tokens; the grammar has no nesting beyond one group."""

    def __init__(self, value: bytes) -> None:
        self._tokens = [*itertools.islice(_tokens(value), _MAX_TOKENS + 1), _Token("end", b"", blank_before=False)]
        self._at = 0
        if len(self._tokens) > _MAX_TOKENS + 1:
            raise AddressError("too many words")

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def take(self, kind: str) -> _Token:
        token = self.next
        if token.kind != kind:
            raise AddressError(f"expected {kind}, found {token.kind}")
        self._at += 1
        return token

    def address(self, *, groups: bool) -> list[Named]:
        """One mailbox, or a group where allowed."""
        begin = self._at
        phrase = self._phrase()
        if self.next.kind == "<":
            self.take("<")
            mailbox = self._addr_spec()
            self.take(">")
            return [Named(phrase, mailbox)]
        if self.next.kind == ":" and phrase:
            if not groups:
                raise AddressError("group")
            self.take(":")
            return self._group()
        self._at = begin
        mailbox = self._addr_spec()
        return [Named("", mailbox) if self.next.kind != "<" else self._named_by_itself(mailbox)]

    def _named_by_itself(self, mailbox: Mailbox) -> Named:
        """`a@b.example <a@b.example>`: programs write it without the quotes it needs; whoever reads it finds one."""
        self.take("<")
        if self._addr_spec().key != mailbox.key:
            raise AddressError("a mailbox in front of another")
        self.take(">")
        return Named(str(mailbox), mailbox)

    def _group(self) -> list[Named]:
        found: list[Named] = []
        while self.next.kind != ";":
            found += self.address(groups=False)
            if self.next.kind == ",":
                self.take(",")
            elif self.next.kind != ";":
                raise AddressError("group not closed")
        self.take(";")
        return found

    def _phrase(self) -> str:
        """Words of a display name; a dot is allowed as in practice ("Nguyễn V. A")."""
        words: list[bytes] = []
        while self.next.kind in {"atom", "quoted", "."}:
            token = self.next
            self._at += 1
            octets = re.sub(rb"\\(.)", rb"\1", token.octets[1:-1]) if token.kind == "quoted" else token.octets
            words.append(b" " * (token.blank_before and bool(words)) + octets)
        return decode_text(b"".join(words))

    def _addr_spec(self) -> Mailbox:
        """local-part "@" domain, without any blank inside."""
        pieces: list[bytes] = []
        while self.next.kind in {"atom", "quoted", "literal", ".", "@"}:
            token = self.next
            if pieces and (token.blank_before or len(pieces) >= _MAX_ADDRESS_TOKENS):
                raise AddressError("blank inside an address, or no end of it")
            pieces.append(token.octets)
            self._at += 1
        try:
            return Mailbox.parse(b"".join(pieces).decode("utf-8"))
        except ValueError as error:
            raise AddressError("not a mailbox") from error


@remembered(2048, octets=_MAX_REMEMBERED)  # the same authors write again and again
def mailbox_list(value: bytes, *, groups: bool) -> tuple[Named, ...]:
    """Return the mailboxes of an address list; raises `AddressError`. Without `groups`, group syntax is an error."""
    reader = _Reader(value)
    if reader.next.kind == "end":
        return ()
    found = reader.address(groups=groups)
    while reader.next.kind == ",":
        reader.take(",")
        found += reader.address(groups=groups)
        if len(found) > _MAX_MAILBOXES:
            raise AddressError("too many mailboxes")
    reader.take("end")
    return tuple(found)
