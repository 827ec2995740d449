"""The part tree (RFC 2046 5.1): delimiters by the octet, defects told, limits that refuse instead of following."""

from __future__ import annotations

import contextlib

import pytest

from gateway.core.message import Message
from gateway.core.octets import WINDOW
from gateway.mime.entity import Entity, parse
from gateway.mime.fields import Limits, MimeError
from support.pace import soon
from support.pieces import apart

HEAD = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'


def tree(octets: bytes, **limits: int) -> Entity:
    return parse(Message.of(octets), limits=Limits(**limits))


def contents(octets: bytes, entity: Entity) -> list[bytes]:
    return [octets[each.start : each.stop] for each in entity.children]


def test_parts_are_the_octets_between_delimiters() -> None:
    """RFC 2046 5.1.1: the CRLF before a delimiter belongs to the delimiter, everything else to a part."""
    octets = HEAD + b"pre\r\n--b\r\nA: 1\r\n\r\none\r\n\r\n--b \t\r\n\r\ntwo\r\n--b--\r\nepi\r\n"
    top = tree(octets)
    assert contents(octets, top) == [b"A: 1\r\n\r\none\r\n", b"\r\ntwo"]
    assert top.preamble is not None
    assert top.epilogue is not None
    assert octets[slice(*top.preamble)] == b"pre"
    assert octets[slice(*top.epilogue)] == b"epi\r\n"
    assert not top.defects
    first, second = top.children
    assert octets[first.body : first.stop] == b"one\r\n"
    assert octets[second.body : second.stop] == b"two"
    assert [each.media_type for each in top.walk()] == ["multipart/mixed", "text/plain", "text/plain"]


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b"--b\r\n--b--\r\n", [b""]),
        (b"--b\r\n\r\n--b--\r\n", [b""]),
        (b"--b\r\n\r\n\r\n--b--\r\n", [b"\r\n"]),
        (b"--b\r\nx\r\n--b--", [b"x"]),
        (b"\r\n--b\r\nx\r\n--b--", [b"x"]),
        (b"--b--\r\n", []),
        (b"--b\r\nx--b\r\ny\r\n--b--\r\n", [b"x--b\r\ny"]),
        (b"--b\r\nx\n--b\ny\r\n--b--\r\n", [b"x\n--b\ny"]),
        (b"--b\r\n --b\r\n--b--\r\n", [b" --b"]),
        (b"--b\r\n--B\r\n--b--\r\n", [b"--B"]),
        (b"--b\r\nx\r\n--b--\r\n--b\r\ny\r\n--b--\r\n", [b"x"]),
    ],
)
def test_delimiters(body: bytes, parts: list[bytes]) -> None:
    """Only a whole line, its case kept, after CRLF, is a delimiter; after the closing one nothing is a part."""
    octets = HEAD + body
    assert contents(octets, tree(octets)) == parts


@pytest.mark.parametrize(
    ("octets", "defect"),
    [
        (HEAD + b"--b\r\n\r\nx\r\n", "no_close_delimiter"),
        (HEAD + b"nothing\r\n", "no_delimiter"),
        (HEAD + b"--b\r\n--bx\r\n--b--\r\n", "near_boundary"),
        (HEAD + b"--b\r\n--b --\r\n--b--\r\n", "near_boundary"),
        (HEAD + b"--b\r\nx\r\n--b--x\r\n", "near_boundary"),
        (HEAD + b"--b\r\nx\r\n--b" + b" " * 300 + b"\r\n--b--\r\n", "near_boundary"),
        (b"Content-Type: multipart/mixed\r\n\r\n--\r\n", "bad_boundary"),
        (b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n', "bad_boundary"),
        (b'Content-Type: multipart/mixed; boundary="b "\r\n\r\n--b \r\n', "bad_boundary"),
        (b'Content-Type: multipart/mixed; boundary="' + b"b" * 71 + b'"\r\n\r\n', "bad_boundary"),
        (b"Content-Type: multipart/mixed; boundary=\xc3\xa0\r\n\r\n", "bad_boundary"),
        (b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\n", "duplicate_content_type"),
        (b"Content-Transfer-Encoding: 7bit\r\ncontent-transfer-encoding: base64\r\n\r\n", "duplicate_encoding"),
        (b"Content-Transfer-Encoding: base64\r\n" + HEAD, "encoded_multipart"),
        (b"Content-Type: html\r\n\r\n", "malformed_content_type"),
        (b"Content-Type: text/a/b\r\n\r\n", "malformed_content_type"),
        (b"Content-Type: text/plain; a=1; a=2\r\n\r\n", "duplicate_parameter"),
        (b"no colon\r\nContent-Type: text/plain\r\n\r\n", "malformed_header"),
    ],
)
def test_defects_are_told(octets: bytes, defect: str) -> None:
    """Whatever readers take apart in different ways is a defect of the entity it stands in."""
    assert defect in tree(octets).defects


def test_sound_structure_has_no_defects() -> None:
    """A defect must mean something: common mail has none."""
    octets = (
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n"
        b"Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\r\nx\r\n--in--\r\n"
        b"--out\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--out--\r\n"
    )
    top = tree(octets)
    assert [each.media_type for each in top.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "message/rfc822",
        "text/plain",
    ]
    assert not any(each.defects for each in top.walk())


def test_default_types() -> None:
    """RFC 2045 5.2 and 2046 5.1.5: text/plain, in a digest message/rfc822; a broken type is text/plain."""
    octets = b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n"
    (part,) = tree(octets).children
    assert part.media_type == "message/rfc822"
    assert part.children[0].header.fields[0].value == b"x"
    assert tree(b"Content-Type: broken\r\n\r\n").media_type == "text/plain"
    assert tree(b"\r\n").encoding == "7bit"


def test_encoded_message_is_a_leaf() -> None:
    """RFC 2046 5.2.1 forbids an encoded message/rfc822; what stands in one is not looked for."""
    octets = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n"
    assert not tree(octets).children


@pytest.mark.parametrize("cut", range(-8, 9))
def test_delimiter_across_a_window_border(cut: int) -> None:
    """Bodies are read in windows; a delimiter that lies across two of them is found like any other."""
    padding = b"x" * (WINDOW - len(HEAD) - len(b"--b\r\n\r\n") + cut)
    octets = HEAD + b"--b\r\n\r\n" + padding + b"\r\n--b\r\n\r\ntwo\r\n--b--\r\n"
    assert contents(octets, tree(octets)) == [b"\r\n" + padding, b"\r\ntwo"]


def test_delimiter_across_spans() -> None:
    """The octets count, not in how many pieces they are held."""
    octets = HEAD + b"pre\r\n--b\r\n\r\none\r\n--b--\r\n"
    whole = tree(octets)
    pieces = apart(octets[index : index + 1] for index in range(len(octets)))
    assert parse(pieces) == whole


def nested(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(depth))
    return head + b"\r\nx\r\n"


def test_limits_refuse() -> None:
    """Depth, parts, fields and header octets: at the limit read, above it refused."""
    assert len(list(tree(nested(3), depth=3).walk())) == 4
    with pytest.raises(MimeError, match="too_deep"):
        tree(nested(4), depth=3)
    with pytest.raises(MimeError, match="too_deep"):
        tree(b"Content-Type: message/rfc822\r\n\r\n" * 4, depth=3)
    parts = HEAD + b"--b\r\n\r\nx\r\n" * 3
    assert len(tree(parts, parts=4).children) == 3
    with pytest.raises(MimeError, match="too_many_parts"):
        tree(parts, parts=3)
    with pytest.raises(MimeError, match="too_many_fields"):
        tree(HEAD + b"--b\r\n" + b"A: 1\r\n" * 6 + b"\r\n", fields=5)
    many = HEAD + (b"--b\r\n" + b"A: 1\r\n" * 900 + b"\r\n") * 25
    with pytest.raises(MimeError, match="too_many_fields"):
        tree(many)  # no section has too many, all of them have
    assert tree(many[: len(many) // 2])
    with pytest.raises(MimeError, match="header_too_large"):
        tree(HEAD + b"--b\r\nA: " + b"x" * 400 + b"\r\n\r\n", header_octets=300)


BLOCK = 1_000_000
HOSTILE = {
    "delimiters": HEAD + b"--b\r\n" * (BLOCK // 5),
    "near_delimiters": HEAD + b"--b\r\n" + b"--bx\r\n" * (BLOCK // 6),
    "padded_delimiters": HEAD + b"--b\r\n\r\n" + (b"--b" + b" " * 255 + b"x\r\n") * (BLOCK // 260),
    "line_ends": HEAD + b"\r\n" * (BLOCK // 2),
    "deep_multiparts": nested(20_000),
    "deep_messages": b"Content-Type: message/rfc822\r\n\r\n" * (BLOCK // 32),
    "deep_and_wide": nested(28)[:-5] + HEAD + (b"--b\r\n\r\n" + b"x" * 900 + b"\r\n") * 960,
    "fields_of_all_parts": HEAD + (b"--b\r\n" + b"a:\r\n" * 999 + b"\r\n") * (BLOCK // 4000),
    "fields": b"a: b\r\n" * (BLOCK // 6),
    "long_field": b"a: " + b"x" * BLOCK,
    "folded_field": b"a: x\r\n" + b" x\r\n" * 60_000 + b"\r\n",
    "parameters": HEAD + (b"--b\r\nContent-Type: a/b" + b";" * 250_000 + b"\r\n\r\n") * 4,
    "continued_parameters": b"Content-Type: a/b" + b";a*1*=%41" * 28_000 + b"\r\n\r\n",
    "quotes": b'Content-Type: a/b; boundary="' + b'\\"' * 100_000 + b"\r\n\r\n",
    "comments": b"Content-Type: a/b " + b"(" * 200_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_structures_end_soon(kind: str) -> None:
    """A megabyte made to be slow is read or refused within a second of a quiet machine: nothing is quadratic."""
    with soon(3), contextlib.suppress(MimeError):
        sum(1 for _ in tree(HOSTILE[kind]).walk())
