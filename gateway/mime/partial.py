"""The first and the last octets of a content, with its transfer encoding removed as lenient readers do (RFC 2045 6).

Reads a bounded window of the message, however much of it is no content: what that window hides is said to be hidden.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.core.message import Message
    from gateway.mime.entity import Entity

_SLACK: Final = 4096
_NO_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_MOST_PIECES: Final = 1000
"""Pieces of base64 that end in padding, in one content."""


def decoded_begin(message: Message, entity: Entity, *, limit: int) -> tuple[bytes, bool]:
    """Return the first octets of the content, at most `limit`, and whether they are all of it."""
    room = 3 * limit + _SLACK if entity.encoding in {"base64", "quoted-printable"} else limit
    stop = min(entity.stop, entity.body + room)
    raw = message.read(entity.body, stop)
    whole = stop == entity.stop
    if entity.encoding == "base64":
        octets, read = _base64(raw)
        whole = whole and read
    elif entity.encoding == "quoted-printable":
        octets = binascii.a2b_qp(raw)
    else:
        octets = raw
    return octets[:limit], whole and len(octets) <= limit


def decoded_end(message: Message, entity: Entity, *, limit: int) -> bytes:
    """Return the last octets of the content, at most twice `limit`; an irregular base64 may give others."""
    raw = message.read(max(entity.body, entity.stop - 2 * limit), entity.stop)
    if entity.encoding == "base64":
        clean = raw.translate(None, _NO_BASE64)
        letters = clean.rstrip(b"=")
        last = -(len(clean) - len(letters)) % 4  # letters of the last group, which padding fills up to four
        return _base64(letters[(len(letters) - last) % 4 :])[0]
    if entity.encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw


def _base64(raw: bytes) -> tuple[bytes, bool]:
    """Return base64 decoded, piece by piece where padding stands inside, and whether all of it was read."""
    pieces = re.split(rb"=+", raw.translate(None, _NO_BASE64), maxsplit=_MOST_PIECES)
    read = len(pieces) <= _MOST_PIECES
    return b"".join(_piece(each) for each in pieces[:_MOST_PIECES]), read


def _piece(letters: bytes) -> bytes:
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
