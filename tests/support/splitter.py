"""Cuts a clear-signed message as any stranger would: the exact octets that were signed, and the CMS (RFC 1847 2.1).

Made by searching for octets, without `gateway.mime`, so that a fault of the gateway's own parser cannot hide itself.
"""

from __future__ import annotations

import base64
import re
from typing import Final, NamedTuple

_BOUNDARY: Final = re.compile(rb'(?i)content-type:\s*multipart/signed;.*?boundary=(?:"([^"]+)"|([^";\s]+))')


class Cut(NamedTuple):
    """The pieces of a message."""

    header: bytes
    """The outer header section, with the CRLF of its last field."""
    part: bytes
    """What is signed: from behind the first delimiter line to before the CRLF of the second."""
    cms: bytes
    """The decoded signature, DER or BER."""

    @property
    def body(self) -> bytes:
        """The signed part without its own header fields."""
        return body_of(self.part)


def body_of(message: bytes) -> bytes:
    """Return what follows the first blank line; an entity without header fields begins with it."""
    return message[2:] if message.startswith(b"\r\n") else message.partition(b"\r\n\r\n")[2]


def cut(message: bytes) -> Cut:
    """Cut a message whose outermost entity is multipart/signed with two parts; anything else fails an assertion."""
    head, blank, body = message.partition(b"\r\n\r\n")
    assert blank, "no blank line"
    unfolded = re.sub(rb"\r\n(?=[ \t])", b"", head)
    fields = [line for line in unfolded.split(b"\r\n") if line.lower().startswith(b"content-type:")]
    assert len(fields) == 1, fields
    found = _BOUNDARY.match(fields[0])
    assert found is not None, fields
    delimiter = b"\r\n--" + (found[1] or found[2])
    pieces = re.split(re.escape(delimiter) + rb"(?:--)?[ \t]*\r\n", b"\r\n" + body)
    assert len(pieces) in {3, 4}, f"{len(pieces)} pieces"
    part, signature = pieces[1], pieces[2]
    signature_head, blank, encoded = signature.partition(b"\r\n\r\n")
    assert blank, "no blank line in the signature part"
    assert b"base64" in signature_head.lower(), signature_head
    return Cut(head + b"\r\n", part, base64.b64decode(b"".join(encoded.split()), validate=True))


def split(message: bytes) -> tuple[bytes, bytes]:
    """Return the signed part, without the CRLF that belongs to the delimiter, and the signature (DER or BER)."""
    found = cut(message)
    return found.part, found.cms


def flipped(octets: bytes, position: int | None = None) -> bytes:
    """Return the octets with the lowest bit of one of them turned: of the first visible one behind the middle."""
    if position is None:
        position = len(octets) // 2
        while octets[position] <= 0x20:
            position += 1
    return octets[:position] + bytes([octets[position] ^ 1]) + octets[position + 1 :]
