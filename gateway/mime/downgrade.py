"""Raw 8-bit header fields turned into ASCII that every mail system takes (RFC 2047, RFC 2231, RFC 1428).

Only fields that hold such octets change. An address that is not ASCII has no ASCII form: that is said, not hidden.
Octets that are no UTF-8 keep their value as charset "unknown-8bit", so that nothing is guessed and nothing is lost.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes

from gateway.core.message import Edit
from gateway.mime.words import encode_text, fold

if TYPE_CHECKING:
    from gateway.core.message import Message
    from gateway.mime.fields import Field, Header

_ADDRESS_FIELDS: Final = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-to", "resent-cc",
     "resent-bcc", "return-path", "disposition-notification-to"}
)  # fmt: skip
_PARAMETER_FIELDS: Final = frozenset({"content-type", "content-disposition"})
_PIECE: Final = re.compile(
    rb'((?>(?:"(?:[^"\\]|\\.)*+(?:"|\Z)|[^"()<>,;:]++)+))'  # 1: words and quoted strings: a phrase, or an address
    rb"|\(((?:[^()\\]|\\.)*+)"  # 2: a comment up to the next parenthesis; behind an inner one, 1 goes on
    rb"|(<[^<>]*>)",  # 3: angle address
    re.DOTALL,
)
_WORD: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)(?:"|\Z)|([^\s"]+)', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_RAW_PARAMETER: Final = re.compile(rb';([ \t]*)([^\s=;"]+)=("(?:[^"\\]|\\.)*"|[^;"]*)', re.DOTALL)


class NotAsciiError(ValueError):
    """An address in the header is not ASCII."""


def eight_bit_fields(header: Header) -> tuple[Field, ...]:
    """Return the fields that hold octets above 127."""
    return tuple(each for each in header.fields if not each.raw.isascii())


def ascii_edits(header: Header) -> tuple[Edit, ...]:
    """Return the edits that make the header ASCII; raises `NotAsciiError` where an address is not."""
    return tuple(Edit(each.start, each.stop, _ascii_field(each)) for each in eight_bit_fields(header))


def downgrade_header(message: Message, header: Header) -> Message | None:
    """Return the message with an ASCII header, None where an address itself is not ASCII (550 5.6.7)."""
    try:
        return message.splice(ascii_edits(header))
    except NotAsciiError:
        return None


def _ascii_field(field: Field) -> bytes:
    value = field.value
    if field.key in _ADDRESS_FIELDS:
        value = _PIECE.sub(_ascii_piece, value)
    elif field.key in _PARAMETER_FIELDS:
        value = _RAW_PARAMETER.sub(_ascii_parameter, value)
    if not value.isascii():
        if field.key in _ADDRESS_FIELDS:
            raise NotAsciiError
        value = _words(value)
    return fold(field.name, value.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" "))


def _ascii_piece(match: re.Match[bytes]) -> bytes:
    """Return a piece of an address field in ASCII; every piece ends where an encoded word may end."""
    if match[0].isascii():
        return match[0]
    if match[2] is not None:
        return b"(" + _words(match[2])
    if match[3] is not None:
        raise NotAsciiError
    words = list(_WORD.finditer(match[1]))
    if any(word[2] is not None and b"@" in word[2] for word in words):
        raise NotAsciiError
    first, last = (next(each for each in order if not each[0].isascii()) for order in (words, reversed(words)))
    phrase = match[1][first.start() : last.end()]
    text = _WORD.sub(lambda word: word[0] if word[1] is None else _QUOTED_PAIR.sub(rb"\1", word[1]), phrase)
    before, after = match[1][: first.start()], match[1][last.end() :]
    return before + b" " * (before[-1:] == b'"') + _words(text) + b" " * (after[:1] == b'"') + after


def _ascii_parameter(match: re.Match[bytes]) -> bytes:
    if match[0].isascii():
        return match[0]
    octets = match[3].strip()
    if octets.startswith(b'"'):
        octets = _QUOTED_PAIR.sub(rb"\1", octets[1:-1])
    charset = b"utf-8" if _is_utf8(octets) else b"unknown-8bit"
    return b";%s%s*=%s''%s" % (match[1], match[2].rstrip(b"*"), charset, quote_from_bytes(octets, safe="").encode())


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _words(octets: bytes) -> bytes:
    """Return octets as encoded words; what stands between them that is ASCII already goes in as well."""
    if _is_utf8(octets):
        return encode_text(octets.decode("utf-8"))
    blocks = [octets[start : start + 36] for start in range(0, len(octets), 36)]
    return b" ".join(b"=?unknown-8bit?B?" + b64encode(block) + b"?=" for block in blocks)
