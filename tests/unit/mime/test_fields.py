"""Header fields as spans, and the author they name (RFC 5322 2.2, 3.6.2, 4.5)."""

from __future__ import annotations

import pytest

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.mime.fields import AuthorDefect, Limits, MimeError, author_of, fold, mailboxes, read_header
from support.pace import soon


def author(header: bytes) -> Mailbox | AuthorDefect:
    return author_of(read_header(Message.of(header + b"\r\n")))


def test_fields_are_spans_of_the_message() -> None:
    """A field's octets are those of the message at its place, continuation lines and final CRLF included."""
    octets = b"A: 1\r\nSubject: mot\r\n\thai\r\n  ba\r\nB:\r\n\r\nbody: none\r\n"
    header = read_header(Message.of(octets))
    assert [each.name for each in header.fields] == ["A", "Subject", "B"]
    assert all(octets[each.start : each.stop] == each.raw for each in header.fields)
    assert b"".join(each.raw for each in header.fields) == octets[: header.stop]
    assert octets[header.stop : header.body] == b"\r\n"
    assert octets[header.body :] == b"body: none\r\n"


def test_unfolding_takes_away_line_ends_only() -> None:
    """RFC 5322 2.2.3: unfolding removes the CRLF before white space, and nothing else."""
    header = read_header(Message.of(b"Subject:  mot\r\n\thai\r\n  ba \r\n\r\n"))
    assert header.fields[0].value == b"mot\thai  ba"


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"A:\r\n mot\r\n", b"mot"),
        (b"A: mot\n\thai\n", b"mot\thai"),
        (b"A: mot\r\n \r\n", b"mot"),
        (b"A:\r\n \r\n", b""),
        (b"A: mot\r\n \r\n\thai\r\n", b"mot \thai"),
        (b"A: mot: hai", b"mot: hai"),
    ],
)
def test_values_are_unfolded_wherever_they_are_folded(raw: bytes, value: bytes) -> None:
    """At the begin, at the end, over lines of blanks, and with bare line feeds."""
    (field,) = read_header(Message.of(raw + b"\r\n" if raw.endswith(b"\r\n") else raw)).fields
    assert field.value == value


def test_names_are_compared_without_case() -> None:
    """RFC 5322 1.2.2: field names do not depend on case; every one of a name is found, in order."""
    header = read_header(Message.of(b"SUBJECT: 1\r\nsubject: 2\r\nSubject-X: 3\r\n\r\n"))
    assert [each.value for each in header.all("Subject")] == [b"1", b"2"]
    assert header.first("sUbJeCt") == header.fields[0]
    assert header.first("From") is None


@pytest.mark.parametrize(
    ("octets", "count", "body"),
    [
        (b"", 0, 0),
        (b"\r\n", 0, 2),
        (b"\r\nFrom: a@b.example\r\n\r\n", 0, 2),
        (b"A: 1", 1, 4),
        (b"A: 1\r\n", 1, 6),
        (b"A: 1\r\n\r\n", 1, 8),
    ],
)
def test_header_without_body_or_body_without_header(octets: bytes, count: int, body: int) -> None:
    """A section may be empty, end with the message, or lack its last line end."""
    header = read_header(Message.of(octets))
    assert (len(header.fields), header.body) == (count, body)
    assert not header.defects


@pytest.mark.parametrize(
    "line",
    [
        b"no colon",
        b" begins with a blank",
        b": no name",
        b"N\xc3\xa0y: x",
        b"Two words: x",
        b"F\x00rom: x",
        b"\x0bA: x",
    ],
)
def test_what_is_no_field_is_a_defect(line: bytes) -> None:
    """A line that is neither a field nor a continuation belongs to none, and is told."""
    header = read_header(Message.of(line + b"\r\nTo: a@b.example\r\n\r\n"))
    assert header.defects == ("malformed_header_line",)
    assert [each.name for each in header.fields] == ["To"]


@pytest.mark.parametrize("end", [b"\x0b", b"\x0c", b"\x1c", b"\x1e", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"])
@pytest.mark.parametrize("name", [b"Subject:", b"reply-to :", b" CONTENT-TYPE:", b"Date\t:"])
def test_a_field_hidden_in_another_is_a_defect(end: bytes, name: bytes) -> None:
    """Some readers end a line there, and show what stands behind; other words behind such an octet are only words."""
    assert read_header(Message.of(b"X-A: a" + end + name + b" b\r\n\r\n")).defects == ("hidden_field",)
    assert read_header(Message.of(b"X-A: a" + end + b"Ghi chu: b\r\n\r\n")).defects == ()
    assert read_header(Message.of(b"X-A: a " + name + b" b\r\n\r\n")).defects == ()


def test_limits_refuse() -> None:
    """What is over a limit is refused, not cut; what is just at it is read."""
    limits = Limits(header_octets=100, fields=3)
    fits = b"A: 1\r\n" * 3
    assert len(read_header(Message.of(fits + b"\r\n"), limits=limits).fields) == 3
    with pytest.raises(MimeError, match="too_many_fields"):
        read_header(Message.of(fits + b"A: 1\r\n\r\n"), limits=limits)
    assert read_header(Message.of(b"A: " + b"x" * 95 + b"\r\n\r\nbody" * 100), limits=limits).fields
    with pytest.raises(MimeError, match="header_too_large"):
        read_header(Message.of(b"A: " + b"x" * 200 + b"\r\n\r\n"), limits=limits)


ONE = [
    b"From: lan@a.example",
    b"FROM:lan@a.example",
    b"fRoM: lan@a.example",
    b"From:\r\n lan@a.example",
    b"From: <lan@a.example>",
    b'From: "boss@b.example" <lan@a.example>',
    b'From: "boss@b.example,"\r\n <lan@a.example>',
    b"From: (boss@b.example) lan@a.example (boss@b.example, )",
    b"From: =?utf-8?Q?boss=40b=2Eexample=2C?= <lan@a.example>",
    b"From: =?utf-8?B?Ym9zc0BiLmV4YW1wbGU8YT4=?= <lan@a.example>",
    b"From: Nguy\xe1\xbb\x85n V. Lan <lan@a.example>",
    b"From: lan@a.example\r\nSender: boss@b.example\r\nReply-To: boss@b.example",
    b"From: lan@a.example\r\nX-From: boss@b.example\r\nFrom-Name: boss@b.example",
    b"Subject: x\r\n From: boss@b.example\r\nFrom: lan@a.example",
]


@pytest.mark.parametrize("header", ONE)
def test_one_author(header: bytes) -> None:
    """Only the one addr-spec of the one From field counts: never a display name, a comment or an encoded word."""
    assert author(header + b"\r\n") == Mailbox("lan", "a.example")


@pytest.mark.parametrize(
    ("header", "defect"),
    [
        (b"Subject: x", AuthorDefect.NO_FROM),
        (b"Sender: lan@a.example", AuthorDefect.NO_FROM),
        (b"From: lan@a.example\r\nFrom: lan@a.example", AuthorDefect.SEVERAL_FROM),
        (b"From: lan@a.example\r\nFROM : boss@b.example", AuthorDefect.SEVERAL_FROM),
        (b"From: lan@a.example\r\nfrom\t: boss@b.example", AuthorDefect.SEVERAL_FROM),
        (b"From : lan@a.example", AuthorDefect.MALFORMED),
        (b"From\t: lan@a.example", AuthorDefect.MALFORMED),
        (b"fROM        : lan@a.example", AuthorDefect.MALFORMED),
        (b" From: boss@b.example\r\nFrom: lan@a.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example\r\nFrom\xc2\xa0: boss@b.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example\r\nFrom\x00: boss@b.example", AuthorDefect.MALFORMED),
        (b"From:", AuthorDefect.NO_MAILBOX),
        (b"From: (lan@a.example)", AuthorDefect.NO_MAILBOX),
        (b"From: lan@a.example, boss@b.example", AuthorDefect.SEVERAL_MAILBOXES),
        (b"From: <lan@a.example>,\r\n <boss@b.example>", AuthorDefect.SEVERAL_MAILBOXES),
        (b"From: lan@a.example\r\nX-A: a\x0bFrom: boss@b.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example\r\nX-A: a\xc2\x85from : boss@b.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example\r\nX-A: a\xe2\x80\xa8 FROM: boss@b.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example,", AuthorDefect.MALFORMED),
        (b"From: ,lan@a.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example;", AuthorDefect.MALFORMED),
        (b"From: Nhom: lan@a.example;", AuthorDefect.MALFORMED),
        (b"From: undisclosed:;", AuthorDefect.MALFORMED),
        (b"From: <lan@a.example> <boss@b.example>", AuthorDefect.MALFORMED),
        (b"From: <lan@a.example> boss@b.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example <boss@b.example>", AuthorDefect.MALFORMED),
        (b"From: <<lan@a.example>>", AuthorDefect.MALFORMED),
        (b"From: <@b.example:lan@a.example>", AuthorDefect.MALFORMED),
        (b"From: <lan@a.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example>", AuthorDefect.MALFORMED),
        (b"From: =?utf-8?B?Ym9zc0BiLmV4YW1wbGUAPGE+?= <lan@a.example>", AuthorDefect.MALFORMED),
        (b"From: =?utf-8?Q?boss=40b.example=0A?= <lan@a.example>", AuthorDefect.MALFORMED),
        (b'From: "=?utf-8?Q?boss=40b.example=0D?=" <lan@a.example>', AuthorDefect.MALFORMED),
        (b"From: lan@a.example (=?utf-8?Q?boss=40b.example=00?=)", AuthorDefect.MALFORMED),
        (b"From: =?utf-8?Q?boss=40b.example?=@a.example", AuthorDefect.MALFORMED),
        (b"From: lan@=?utf-8?Q?b.example?=", AuthorDefect.MALFORMED),
        (b'From: "boss@b.example"@a.example', AuthorDefect.MALFORMED),
        (b'From: "boss@b.example,"@a.example', AuthorDefect.MALFORMED),
        (b'From: "<boss>"@a.example', AuthorDefect.MALFORMED),
        (b"From: <boss@b.example\x00>lan@a.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example\x00@b.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example@b.example", AuthorDefect.MALFORMED),
        (b"From: lan @a.example", AuthorDefect.MALFORMED),
        (b"From: lan@\r\n a.example", AuthorDefect.MALFORMED),
        (b"From: lan@a.example (unclosed", AuthorDefect.MALFORMED),
        (b'From: "unclosed <lan@a.example>', AuthorDefect.MALFORMED),
        (b"From: lan", AuthorDefect.MALFORMED),
        (b"From: <>", AuthorDefect.MALFORMED),
        (b"From: =?utf-8?Q?lan=40a=2Eexample?=", AuthorDefect.MALFORMED),
        (b"From: lan@a.example=?utf-8?Q?=00?=", AuthorDefect.MALFORMED),
        (b"From: lan@a..example", AuthorDefect.MALFORMED),
        (b"From: \xff\xfe@a.example", AuthorDefect.MALFORMED),
        (b"From: " + b"(" * 50 + b")" * 50 + b" lan@a.example", AuthorDefect.MALFORMED),
    ],
)
def test_no_single_author(header: bytes, defect: AuthorDefect) -> None:
    """Whatever two readers could take for two authors is nobody's (Mailsploit; Chen et al. 2020, "espoofer")."""
    assert author(header + b"\r\n") == defect


def test_mailboxes_of_a_malformed_list() -> None:
    """The public reader of address lists speaks of malformed octets in one fault only."""
    assert [str(each.mailbox) for each in mailboxes(b"Nhom: a@b.example, c@d.example;, e@f.example")] == [
        "a@b.example",
        "c@d.example",
        "e@f.example",
    ]
    with pytest.raises(MimeError, match="malformed_address_list"):
        mailboxes(b"a@b.example,,")


def test_fold_keeps_lines_short_and_unfolds_to_the_value() -> None:
    """RFC 5322 2.1.1: lines of at most 78 octets where there is a blank to fold at; unfolding gives the value back."""
    value = b" ".join(b"word%d" % number for number in range(60))
    folded = fold("Subject", value)
    assert folded.endswith(b"\r\n")
    assert max(map(len, folded.split(b"\r\n"))) <= 78
    assert read_header(Message.of(folded + b"\r\n")).fields[0].value == value
    assert fold("Subject", b"") == b"Subject:\r\n"
    long = b"x" * 200
    assert read_header(Message.of(fold("Subject", long) + b"\r\n")).fields[0].value == long


@pytest.mark.parametrize("value", [b"a\r\nBcc: x@y.example", b"a\rb", b"a\nb", b"a\x00b"])
def test_fold_refuses_header_injection(value: bytes) -> None:
    """A value with a line end of its own would be another field."""
    with pytest.raises(ValueError, match="line ends"):
        fold("Subject", value)


def test_a_field_that_nobody_reads_is_not_read() -> None:
    """From is read wherever a header is: a quarter of a megabyte of it must not stop all mail for half a second."""
    for unit in (b"a@b.example, ", b"a:;,", b"<", b"a. ", b"=?utf-8?Q?a?= "):
        with soon(0.15):
            assert author(b"From: " + unit * (250_000 // len(unit)) + b"\r\n") is AuthorDefect.MALFORMED
