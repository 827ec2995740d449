"""The Received field (RFC 5321 4.4): what a client claims never leaves its place."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.core.address import Mailbox
from gateway.core.envelope import Envelope, Recipient
from gateway.core.message import Message
from gateway.core.received import Arrival, Client
from gateway.mime.fields import read_header
from gateway.mime.trace import trace_field

AT = dt.datetime(2026, 11, 24, 8, 29, 5, tzinfo=dt.timezone(dt.timedelta(hours=7)))


def field(
    *recipients: str,
    address: str = "192.0.2.7",
    name: str = "may-lan.example",
    tls: str | None = None,
    at: dt.datetime = AT,
) -> bytes:
    client = Client("submission", address, name, "ESMTPSA", tls)
    envelope = Envelope(Mailbox.parse("lan@a.example"), tuple(Recipient(Mailbox.parse(each)) for each in recipients))
    return trace_field(Arrival("t-17", at, client, envelope, Message.of(b"")), "gateway.example")


def test_field_is_one_folded_ascii_field() -> None:
    """RFC 5321 4.4: from, by, with, id, for, date; one field that ends in CRLF."""
    octets = field("binh@b.example", tls="TLSv1.3 TLS_AES_256_GCM_SHA384")
    header = read_header(Message.of(octets + b"\r\n"))
    assert not header.defects
    (received,) = header.fields
    assert received.raw == octets
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    assert b" ".join(received.value.split()) == (
        b"from may-lan.example ([192.0.2.7]) by gateway.example with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384) "
        b"id t-17 for <binh@b.example>; Tue, 24 Nov 2026 08:29:05 +0700"
    )


@pytest.mark.parametrize(
    "name",
    [
        "evil\r\nBcc: x@y.example",
        "evil (spf=pass)",
        "a b",
        "",
        "[192.0.2.1] by mx",
        "việt.example",
        "-x",
        "x" * 300,
        "a\x00",
        "a;",
        "[::1",
    ],
)
def test_greeting_stays_in_its_place(name: str) -> None:
    """What is neither a domain nor an address literal is not repeated."""
    assert field("b@b.example", name=name).startswith(b"Received: from unknown ([192.0.2.7])\r\n")


@pytest.mark.parametrize("name", ["a", "a.example", "MAIL_1.a.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
def test_greeting_that_is_a_name(name: str) -> None:
    """What is one stands there as it was given."""
    assert field("b@b.example", name=name).startswith(f"Received: from {name} (".encode())


def test_address_literals() -> None:
    """RFC 5321 4.1.3: IPv6 has its tag."""
    assert b"([IPv6:2001:db8::7])" in field("b@b.example", address="2001:db8:0:0:0:0:0:7")


def test_tls_text_stays_in_its_place() -> None:
    """Nothing that the TLS library says can close the comment."""
    assert b"(TLSv1.3 x Bcc x)\r\n" in field("b@b.example", tls="TLSv1.3 x)\r\n Bcc: (x")


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (AT + dt.timedelta(microseconds=999_999), b"Tue, 24 Nov 2026 08:29:05 +0700"),
        (AT + dt.timedelta(seconds=1), b"Tue, 24 Nov 2026 08:29:06 +0700"),
        (AT.astimezone(dt.UTC), b"Tue, 24 Nov 2026 01:29:05 +0000"),
        (AT + dt.timedelta(days=1), b"Wed, 25 Nov 2026 08:29:05 +0700"),
    ],
)
def test_each_second_is_written_in_its_zone(at: dt.datetime, written: bytes) -> None:
    """The same moment in another zone, and the moments around it, have their own words, whatever was written before."""
    field("b@b.example")
    assert field("b@b.example", at=at).endswith(b";\r\n\t" + written + b"\r\n")


def test_blind_copies_are_not_given_away() -> None:
    """Of several recipients none is named, and none whose mailbox needs SMTPUTF8."""
    assert b"for <" not in field("b@b.example", "c@c.example")
    assert b"for <" not in field("ánh@b.example")
    assert b"for <" in field("b@b.example")
