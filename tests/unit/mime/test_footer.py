"""Footers: where they stand, what they leave as it was, and every message that gets none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.decision import Footer
from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.mime.entity import Entity, parse
from gateway.mime.footer import NoFooter, add_footer
from gateway.mime.transfer import decode_body, needs_seven_bit
from support.pace import soon

FOOTER = Footer("Thư có chữ ký số của <Sở Y tế>.\n-- \n", "This message is digitally signed.")
PLAIN = "\r\nThư có chữ ký số của <Sở Y tế>.\r\n--\r\nThis message is digitally signed.\r\n".encode()
HTML = (
    b'<p lang="vi">Th&#432; c&#243; ch&#7919; k&#253; s&#7889; c&#7911;a &lt;S&#7903; Y t&#7871;&gt;.<br>--</p>\r\n'
    b'<p lang="en">This message is digitally signed.</p>\r\n'
)
TOP = b"From: a@songlam.example\r\nSubject:  Ke  hoach\r\nMIME-Version: 1.0\r\n"


def footed(octets: bytes, footer: Footer = FOOTER) -> Message | NoFooter:
    message = Message.of(octets)
    return add_footer(message, parse(message), footer, new_builder=MemoryBuilder)


def leaves(message: Message) -> list[Entity]:
    return [each for each in parse(message).walk() if not each.children]


def contents(message: Message) -> list[bytes]:
    return [decode_body(message, each, limit=10_000_000) for each in leaves(message)]


def part(kind: str, body: bytes, encoding: str = "8bit") -> bytes:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


def multipart(kind: str, *parts: bytes, boundary: str = "=_b") -> bytes:
    inside = b"".join(f"--{boundary}\r\n".encode() + each + b"\r\n" for each in parts)
    return (
        f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
        + inside
        + f"--{boundary}--\r\n".encode()
    )


ENCODERS = {
    "8bit": lambda octets: octets,
    "base64": lambda octets: base64.encodebytes(octets).replace(b"\n", b"\r\n"),
    "quoted-printable": lambda octets: b"".join(
        bytes([each]) if each in b"\r\n" or (33 <= each < 127 and each != 61) else b"=%02X" % each for each in octets
    ),
}
WORDS = st.sampled_from(
    ["Kính gửi", " ", "\r\n", "-- \r\n", "bà Mai", "x" * 70, ">", "=", "From ", "<b>", "&amp;", "\t"]
)
TEXTS = st.lists(WORDS, max_size=30).map("".join).map(str.encode)


@given(TEXTS, st.sampled_from(sorted(ENCODERS)), st.sampled_from(["utf-8", 'utf-8"; format="flowed']))
def test_plain_text_only_grows(text: bytes, encoding: str, charset: str) -> None:
    """Decoded, a plain text is what it was with the footer behind it; the header above it stays."""
    octets = TOP + part(f'text/plain; charset="{charset}"', ENCODERS[encoding](text), encoding)
    made = footed(octets)
    if (b"\r\n" + text.rstrip()).endswith(PLAIN.rstrip()):
        return
    assert isinstance(made, Message)
    (content,) = contents(made)
    joint = b"" if not text or text.endswith(b"\r\n") else b"\r\n"
    assert content == text + joint + PLAIN
    assert made.octets().startswith(TOP)
    assert footed(made.octets()) is NoFooter.PRESENT
    if encoding == "8bit":
        assert made.octets() == octets + joint + PLAIN
    else:
        assert made.octets().isascii()
        assert not needs_seven_bit(made, parse(made))


@given(TEXTS, TEXTS, st.sampled_from(sorted(ENCODERS)), st.booleans())
def test_html_only_grows_at_its_end(before: bytes, after: bytes, encoding: str, body: bool) -> None:  # noqa: FBT001 - drawn
    """Decoded, HTML is what it was with the footer before </body>, or at its end; a text beside it gets it too."""
    page = b"<html><body>" + before.replace(b"<", b"") + (b"</body>" + b"</html>" if body else b"")
    page += after.replace(b"<", b"").strip() if body else b""
    octets = TOP + multipart(
        "alternative",
        part("text/plain; charset=us-ascii", b"hi", "7bit"),
        part("text/html; charset=utf-8", ENCODERS[encoding](page), encoding),
    )
    made = footed(octets)
    assert isinstance(made, Message)
    plain, html = contents(made)
    assert plain == b"hi\r\n" + PLAIN
    place = page.find(b"</body>") if body else len(page)
    assert html == page[:place] + HTML + page[place:]
    assert footed(made.octets()) is NoFooter.PRESENT


def test_ascii_becomes_utf8_and_stays_seven_bit() -> None:
    """A 7-bit ASCII text is declared UTF-8 and encoded; its other parameters, and every other field, stay."""
    made = footed(TOP + b'Content-Type: text/plain; charset="US-ASCII"; format=flowed; delsp=yes\r\n\r\nhi \r\nyou\r\n')
    assert isinstance(made, Message)
    octets = made.octets()
    assert octets.startswith(TOP + b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n")
    assert octets.isascii()
    assert contents(made) == [b"hi \r\nyou\r\n" + PLAIN]


def test_a_message_without_mime_becomes_mime() -> None:
    """A bare RFC 5322 message gets the fields its footer needs."""
    made = footed(b"Subject: x\r\n\r\nhi\r\n")
    assert isinstance(made, Message)
    top = parse(made)
    assert (top.parameters["charset"], top.encoding, len(top.header.all("mime-version"))) == (
        "utf-8",
        "quoted-printable",
        1,
    )
    assert contents(made) == [b"hi\r\n" + PLAIN]


def test_an_empty_text_gets_one() -> None:
    """A message with attachments and no word still says that it is signed."""
    made = footed(TOP + part("text/plain; charset=utf-8", b""))
    assert isinstance(made, Message)
    assert contents(made) == [PLAIN]


def test_every_form_of_the_text_and_nothing_else() -> None:
    """In mixed, alternative and related the text and its HTML get the footer; attachments keep every octet."""
    pdf = part('application/pdf; name="a.pdf"', base64.encodebytes(b"%PDF-1.7" * 50).replace(b"\n", b"\r\n"), "base64")
    note = b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=n.txt\r\n\r\nnote\r\n"
    html = part("text/html", b"<body>hi</BODY>\r\n", "7bit")
    logo = b"Content-Type: image/png\r\nContent-ID: <l>\r\n\r\nx"
    octets = TOP + multipart(
        "mixed",
        multipart(
            "alternative",
            part("text/plain; charset=utf-8", b"hi\r\n"),
            multipart("related", html, logo, boundary="=_3"),
            boundary="=_2",
        ),
        pdf,
        note,
    )
    made = footed(octets)
    assert isinstance(made, Message)
    first, second, *rest = contents(made)
    assert first == b"hi\r\n" + PLAIN
    assert second == b"<body>hi" + HTML + b"</BODY>\r\n"
    assert rest == contents(Message.of(octets))[2:]
    assert pdf in made.octets()
    assert note in made.octets()


def test_flowed_text_is_stuffed() -> None:
    """In format=flowed a footer line that begins with a blank, ">" or "From " gets one more blank (RFC 3676 4.4)."""
    octets = TOP + part("text/plain; charset=utf-8; format=flowed", b"hi\r\n")
    made = footed(octets, Footer(">x\n y", "From z"))
    assert isinstance(made, Message)
    assert contents(made) == [b"hi\r\n\r\n >x\r\n  y\r\n From z\r\n"]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (multipart('signed; protocol="application/pkcs7-signature"', part("text/plain", b"x"), b"\r\n"), "signed"),
        (multipart("mixed", multipart("signed", part("text/plain", b"x"), boundary="=_2")), "signed"),
        (part("application/pkcs7-mime", b"x"), "signed"),
        (part("text/plain", b"a\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nx"), "signed"),
        (multipart("encrypted", part("application/pgp-encrypted", b"x")), "signed"),
        (multipart("report", part("text/plain", b"x")), "report"),
        (multipart("alternative", part("text/plain", b"x"), part("text/calendar", b"x")), "calendar"),
        (multipart("mixed", part("text/plain", b"x"), part("text/calendar; name=a.ics", b"x")), "calendar"),
        (
            multipart("mixed", part("text/plain", b"x"), part("application/ms-tnef; name=winmail.dat", b"x")),
            "structure",
        ),
        (multipart("mixed", part("text/plain", b"x"), part("text/html", b"x")), "structure"),
        (multipart("mixed", part("application/pdf", b"x"), part("text/plain", b"x")), "structure"),
        (multipart("digest", part("message/rfc822", b"a: b\r\n\r\nx")), "structure"),
        (multipart("alternative", part("text/plain", b"x"), part("text/enriched", b"x")), "structure"),
        (part("message/rfc822", b"a: b\r\n\r\nx"), "structure"),
        (part("text/plain; name=a.txt", b"x"), "structure"),
        (b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx", "structure"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx", "structure"),
        (part("text/html; charset=utf-8", b"<!-- <body>x</body>"), "structure"),
        (part("text/html; charset=utf-8", b"<style>x</body>"), "structure"),
        (b"Subject: x\r\n", "structure"),
        (part("text/plain; charset=iso-8859-1", b"x"), "charset"),
        (part("text/plain", "chào".encode()), "charset"),
        (part("text/plain; charset*=us-ascii''us-ascii", b"x"), "charset"),
        (part("text/html; charset=utf-16le", b"x"), "charset"),
        (part("text/plain; charset=utf-8", b"x", "x-uuencode"), "encoding"),
        (part("text/plain; charset=utf-8", b"eA==eA==", "base64"), "encoding"),
        (part("text/plain; charset=utf-8", b"x" * (4 * 1024 * 1024 + 1)), "too_large"),
        (
            multipart("alternative", part("text/plain; charset=utf-8", b"x"), part("text/html; charset=utf-7", b"x")),
            "charset",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_gets_none(octets: bytes, reason: str) -> None:
    """Where a footer could do harm there is none in any form of the text, and a stable code says why."""
    assert footed(TOP + octets) == NoFooter(reason)


def test_a_boundary_inside_the_footer_is_no_delimiter() -> None:
    """A footer that holds the line of a boundary is left off: it would end the part."""
    octets = TOP + multipart("mixed", part("text/plain; charset=utf-8", b"x"))
    assert footed(octets, Footer("--=_b", "x")) is NoFooter.STRUCTURE


def test_a_quoted_footer_is_none() -> None:
    """A reply that quotes a letter with the footer gets its own."""
    octets = TOP + part("text/plain; charset=utf-8", b"".join(b"> " + line for line in PLAIN.splitlines(keepends=True)))
    assert isinstance(footed(octets), Message)


@pytest.mark.parametrize(
    "body", [b'<a "' * 200_000, b"<!--" * 200_000, b"<" * 800_000, b"<a>" * 100_000, b'<a ">"' * 100_000]
)
def test_hostile_html_takes_no_time(body: bytes) -> None:
    """HTML that ends nowhere takes time in proportion to its length."""
    with soon(4):
        footed(TOP + part("text/html; charset=utf-8", body))
