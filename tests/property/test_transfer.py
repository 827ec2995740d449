"""Transfer encodings: whatever goes in comes out, 7-bit safe, the same in any pieces."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.mime.entity import parse
from gateway.mime.fields import MimeError
from gateway.mime.transfer import decode_body, needs_seven_bit, seven_bit
from support.pieces import apart

TRAPS = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b"From ",
        b".",
        b"=",
        b"\xc3\xa0",
        b"\x00",
        b"a",
        b"b" * 74,
        b"c" * 75,
        b"d" * 999,
    ]
)
BODIES = st.one_of(st.binary(max_size=400), st.lists(TRAPS, max_size=40).map(b"".join))
TYPES = st.sampled_from([b"text/plain", b"text/html; charset=utf-8", b"application/pdf", b"image/png"])


@given(TYPES, BODIES, st.data())
def test_leaves_come_back_octet_for_octet(kind: bytes, body: bytes, data: st.DataObject) -> None:
    """For every content: decoded it is the same, encoded it is what every transport leaves alone, in any pieces."""
    octets = b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body
    message = Message.of(octets)
    made = seven_bit(message, parse(message), new_builder=MemoryBuilder)
    entity = parse(made)
    assert decode_body(made, entity, limit=100_000) == body
    assert not needs_seven_bit(made, entity)
    safe = made.octets()
    assert safe.isascii()
    assert b"\0" not in safe
    content = safe[entity.body :]
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|[ \t](?=\r\n|\Z)|(?:\A|\r\n)(?:From |\.(?=\r\n|\Z))", content)
    assert all(len(line) <= 998 for line in safe.split(b"\r\n"))
    if needs_seven_bit(message, parse(message)):
        assert all(len(line) <= 76 for line in content.split(b"\r\n"))
    else:
        assert safe == octets.replace(b"8bit", b"7bit", 1)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=5)))
    pieces = [octets[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    cut = apart(pieces)
    assert seven_bit(cut, parse(cut), new_builder=MemoryBuilder).octets() == safe


@given(
    st.sampled_from([b"base64", b"quoted-printable", b"7bit", b"8bit", b"binary", b"x-odd", b""]),
    st.binary(max_size=300),
)
def test_reading_raises_one_fault(encoding: bytes, body: bytes) -> None:
    """Any encoding of anything is decoded within the limit, or refused."""
    message = Message.of(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body)
    reason = None
    try:
        assert len(decode_body(message, parse(message), limit=150)) <= 150
    except MimeError as error:
        reason = error.reason
    assert reason in {None, "body_too_large", "malformed_base64", "unknown_encoding"}


LINES = st.lists(
    st.sampled_from(
        [
            b"\r\n", b"\r\n", b"a", b"b" * 500, b"b" * 498, b"c" * 997, b"c" * 998, b"c" * 999, b" ", b"\t", b"From ",
            b".", b"\r", b"\n", b"\0", b"\xc3\xa0",
        ]
    ),
    max_size=12,
)  # fmt: skip


def is_fragile(body: bytes, *, unencoded: bool) -> bool:
    """Say of all octets at once what `needs_seven_bit` finds out in windows."""
    lines = body.split(b"\r\n")
    if not body.isascii() or b"\0" in body or b"\r" in b"".join(lines) or b"\n" in b"".join(lines):
        return True
    if max(map(len, lines)) > 998:
        return True
    return unencoded and any(
        line.endswith((b" ", b"\t")) or line.startswith(b"From ") or line == b"." for line in lines
    )


@given(LINES, st.sampled_from([b"7bit", b"8bit", b"binary", b"quoted-printable", b"base64"]))
def test_what_transport_could_change_is_seen_wherever_windows_end(pieces: list[bytes], encoding: bytes) -> None:
    """Neither is anything overlooked that lies across two windows, nor is anything encoded that travels well."""
    head = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    wanted = is_fragile(b"".join(pieces), unencoded=encoding in {b"7bit", b"8bit", b"binary"})
    for message in (apart([head, *pieces]), Message.of(head + b"".join(pieces))):
        assert needs_seven_bit(message, parse(message)) is wanted
