"""Messages made to cost whoever reads them much, each by another idea; none of them is large but one.

Every certificate and name is invented.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gateway.demo.authority import Credential, make_key
from support.letters import HEAD, base64_lines, clear
from support.tree import root

if TYPE_CHECKING:
    from collections.abc import Mapping

_PART = b"Content-Type: text/plain\r\n\r\nMoi hop luc 8 gio.\r\n"
_OPEN = bytes.fromhex("308006092a864886f70d010702a08030800201013100308006092a864886f70d010701a080")
"""An opaque SignedData up to its content, of indefinite lengths."""


def opaque(der: bytes) -> bytes:
    """Return a message that is one S/MIME body."""
    fields = b"MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n"
    return HEAD + fields + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(der)


def bag() -> bytes:
    """Return a message with six layers of three authorities of one name and key: 729 paths, none to an anchor."""
    now = dt.datetime.now(dt.UTC)
    span = {"start": now - dt.timedelta(days=9), "end": now + dt.timedelta(days=9)}
    top, layer = root("Không ai", start=span["start"], end=span["end"]), []
    above = top
    for depth in range(6):
        key = make_key("p256")
        made = [above.issue(f"Tầng {depth}", key=key, ca=True, key_ids=False, **span) for _ in range(3)]
        layer += made
        above = made[0]
    leaf = above.issue("Kẻ lạ", key_ids=False, **span)
    return clear(_PART, Credential(leaf.key, leaf.certificate.der, tuple(each.certificate.der for each in layer)))


def messages() -> Mapping[str, bytes]:
    """Return one message of each idea, by its name."""
    return {
        "bag": bag(),
        "chunks": opaque(_OPEN + b"\x24\x80" + b"\x04\x01a" * 60_000 + b"\x00\x00" * 6),
        "deep": opaque(_OPEN + b"\x24\x80" * 60_000),
        "values": opaque(_OPEN + b"\x00\x00" * 3 + b"\xa0\x80" + b"\x30\x03\x02\x01\x01" * 30_000),
        "parts": HEAD
        + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + b"--b\r\n\r\n\r\n" * 10_000,
        "nested": b"".join(
            b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (depth, depth) for depth in range(1_000)
        ),
        "header": b"From: " + b"a," * 90_000 + b"\r\n" + HEAD + b"\r\nx\r\n",
    }


def large() -> bytes:
    """Return an opaque message of 20 MB of content in small pieces."""
    return opaque(_OPEN + b"\x24\x80" + (b"\x04\x82\x04\x00" + b"a" * 1024) * 14_000 + b"\x00\x00" * 6)
