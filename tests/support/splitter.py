"""Cuts a clear-signed message into the octets that were signed and the decoded CMS (RFC 1847 2.1).

Knows nothing of the gateway's own reading of messages, so that a mistake there cannot hide itself in a test.
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple


class Cut(NamedTuple):
    """The pieces of a message; joining them with what the delimiters add gives the message again."""

    header: bytes
    """The outer header section, with the CRLF of its last field."""
    part: bytes
    """What is signed: from behind the first delimiter line to before the CRLF of the second."""
    cms: bytes
    """The decoded signature."""
    boundary: bytes

    @property
    def body(self) -> bytes:
        """The signed part without its own header fields."""
        return body_of(self.part)


def body_of(message: bytes) -> bytes:
    """Return what follows the first blank line; an entity without header fields begins with it."""
    return message[2:] if message.startswith(b"\r\n") else message.partition(b"\r\n\r\n")[2]


def cut(message: bytes) -> Cut:
    """Cut a message whose outermost entity is multipart/signed with two parts; anything else fails an assertion."""
    header, _, rest = message.partition(b"\r\n\r\n")
    unfolded = re.sub(rb"\r\n(?=[ \t])", b"", header)
    types = [line for line in unfolded.split(b"\r\n") if line.lower().startswith(b"content-type:")]
    assert len(types) == 1, types
    assert types[0].partition(b":")[2].strip().lower().startswith(b"multipart/signed"), types
    found = re.search(rb'boundary="([^"]+)"|boundary=([^\s;]+)', types[0], re.IGNORECASE)
    assert found is not None, types
    boundary = found[1] or found[2]
    delimiter = b"\r\n--" + boundary
    pieces = (b"\r\n" + rest).split(delimiter)
    assert len(pieces) == 4, f"{len(pieces) - 2} parts"
    assert pieces[1].startswith(b"\r\n")
    assert pieces[2].startswith(b"\r\n")
    assert pieces[3].startswith(b"--")
    cms = base64.b64decode(body_of(pieces[2][2:]).replace(b"\r\n", b""), validate=True)
    return Cut(header + b"\r\n", pieces[1][2:], cms, boundary)


def flipped(octets: bytes, where: int | None = None) -> bytes:
    """Return the octets with one bit of one changed, by default in the middle; no line end comes or goes."""
    at = len(octets) // 2 if where is None else where
    while octets[at] < 0x21:
        at += 1
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]
