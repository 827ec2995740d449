"""Lists of mailboxes (RFC 5322 3.2-3.4, RFC 6532): strict, bounded, and deaf to what encoded words decode to."""

from __future__ import annotations

import contextlib

import pytest

from gateway.mime.mailboxes import AddressError, mailbox_list
from support.pace import soon


def read(value: bytes, *, groups: bool = True) -> list[tuple[str, str]]:
    return [(each.display_name, str(each.mailbox)) for each in mailbox_list(value, groups=groups)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b"  (nobody) ", []),
        (b"a@b.example", [("", "a@b.example")]),
        (b"<a@b.example>", [("", "a@b.example")]),
        (b"Lan <a@b.example>", [("Lan", "a@b.example")]),
        (b"Tran  Thi\tLan <a@b.example>", [("Tran Thi Lan", "a@b.example")]),
        (b'"Tran, Lan" <a@b.example>', [("Tran, Lan", "a@b.example")]),
        (b'"a \\"b\\" \\\\" <a@b.example>', [('a "b" \\', "a@b.example")]),
        ("Nguyễn V. Ánh <a@b.example>".encode(), [("Nguyễn V. Ánh", "a@b.example")]),
        (b"=?utf-8?B?TmfDoA==?= =?utf-8?B?eQ==?= <a@b.example>", [("Ngày", "a@b.example")]),
        (b"=?utf-8?Q?x=40y=2Eexample=2C?= <a@b.example>", [("x@y.example,", "a@b.example")]),
        (b"(x) Lan (y (z)) <a@b.example> (w)", [("Lan", "a@b.example")]),
        (b"a@b.example (Lan)", [("", "a@b.example")]),
        (b'"a b"@c.example', [("", '"a b"@c.example')]),
        (b"a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        ("ánh@ví-dụ.example".encode(), [("", "ánh@ví-dụ.example")]),
        (b"a@b.example,c@d.example", [("", "a@b.example"), ("", "c@d.example")]),
        (
            b"N: a@b.example, L <c@d.example>;, e@f.example",
            [("", "a@b.example"), ("L", "c@d.example"), ("", "e@f.example")],
        ),
        (b"N:;", []),
        (b"a@b.example <a@b.example>", [("a@b.example", "a@b.example")]),
        (b"a@b.example<a@b.example>, c@d.example", [("a@b.example", "a@b.example"), ("", "c@d.example")]),
    ],
)
def test_lists(value: bytes, expected: list[tuple[str, str]]) -> None:
    """Names are decoded for reading, mailboxes are taken as they stand."""
    assert read(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b",",
        b"a@b.example,",
        b"a@b.example,,c@d.example",
        b"a@b.example c@d.example",
        b"a b@c.example",
        b"a@b .example",
        b"a. b@c.example",
        b"a(x)@b.example",
        b"a@(x)b.example",
        b"<a@b.example",
        b"a@b.example>",
        b"<a@b.example>x",
        b"<>",
        b"<a>",
        b"@b.example",
        b"a@",
        b"a@b@c.example",
        b"a@b.example <c@b.example>",
        b"a@b.example <a@c.example>",
        b"a@b.example <a@b.example",
        b"a@b.example Lan <a@b.example>",
        b"a@b.example <a@b.example> c@d.example",
        b"a..b@c.example",
        b".a@c.example",
        b"<@r.example:a@b.example>",
        b"N: a@b.example",
        b"N: M: a@b.example;;",
        b": a@b.example;",
        b"a@b.example;",
        b'"a',
        b"(a",
        b")",
        b"a@[1",
        b"a\\b@c.example",
        b"a\x00@b.example",
        b"a\x7f@b.example",
        b'"a\x00"@b.example',
        b'"a\r\nb"@c.example',
        b"a@b.example\r\n",
        b"a" * 65 + b"@b.example",
        b"a@" + b"b" * 256,
        b"\xff@b.example",
    ],
)
def test_what_could_be_read_in_two_ways_is_an_error(value: bytes) -> None:
    """No source routes, blanks inside addresses, empty members, control characters or broken quotes."""
    with pytest.raises(AddressError):
        read(value)


def test_groups_only_where_they_are_allowed() -> None:
    """RFC 6854 lets From hold a group; a group has no single author, so it is refused there."""
    with pytest.raises(AddressError):
        read(b"N: a@b.example;", groups=False)


def test_depth_and_numbers_are_bounded() -> None:
    """Ten comments deep, 2000 mailboxes, and no more words than those need."""
    assert read(b"(" * 10 + b")" * 10 + b"a@b.example")
    with pytest.raises(AddressError, match="deep"):
        read(b"(" * 11 + b")" * 11 + b"a@b.example")
    one = b'"Tran Van A" <tran.van.a@so.tinh.example>'
    assert len(read(b",".join([one] * 2000))) == 2000
    with pytest.raises(AddressError, match="too many"):
        read(b",".join([one] * 2001))
    with pytest.raises(AddressError, match="too many"):
        read(b"N:" + b"a@b.example," * 20_000 + b"a@b.example;")


HOSTILE = {
    "commas": b",",
    "addresses": b"a@b,",
    "comments": b"()",
    "open_comments": b"(a",
    "quotes": b'""',
    "backslashes": b'"\\',
    "atoms": b"a ",
    "dots": b".",
    "ats": b"a@",
    "domain": b"a@" + b"a." * 100,
    "words": b"=?utf-8?Q?a?= ",
    "punycode": b"=?punycode?Q?" + b"z9" * 100 + b"?= ",
    "new_charsets": b"=?x?Q?a?= ",
    "blanks": b" ",
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_lists_end_soon(kind: str) -> None:
    """A megabyte made to be slow is read or refused within a second of a quiet machine."""
    unit = HOSTILE[kind]
    with soon(3), contextlib.suppress(AddressError):
        read(unit * (1_000_000 // len(unit)) + b" <a@b.example>")
