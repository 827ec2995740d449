"""Files with signatures of their own: PDF of the shape that signing tools write, CMS beside and around files."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOM: Final = 12_000
"""Hexadecimal digits kept free for a signature."""


def pdf(
    sign: Callable[[bytes], bytes], *, before: bytes = b"%PDF-1.7\n", after: bytes = b"", room: int = _ROOM
) -> bytes:
    """Return a small PDF signed as a whole; `sign` makes a detached CMS over what it is given."""
    tail = b">>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n" + after
    form = b"1 0 obj\n<</Type/Catalog/AcroForm<</SigFlags 3/Fields[2 0 R]>>>>\nendobj\n"
    form += b"3 0 obj\n<</Type/Sig/SubFilter/ETSI.CAdES.detached/ByteRange [0 %010d %010d %010d]/Contents "
    start = len(before) + len(form % (0, 0, 0))
    head = before + form % (start, start + room + 2, len(tail))
    digits = sign(head + tail).hex().encode()
    return head + b"<" + digits.ljust(room, b"0") + b">" + tail


def file_part(name: str, octets: bytes, *, kind: str = "application/octet-stream") -> bytes:
    """Return an attachment."""
    return (
        f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + base64.encodebytes(octets).replace(b"\n", b"\r\n")
