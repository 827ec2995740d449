"""Transfer encodings (RFC 2045 6): read within limits; written so that every octet comes back, at any window border."""

from __future__ import annotations

import binascii
import itertools
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message import Message
from gateway.core.octets import WINDOW, MemoryBuilder
from gateway.mime.entity import parse
from gateway.mime.fields import MimeError
from gateway.mime.transfer import CannotEncode, decode_body, needs_seven_bit, seven_bit
from support.pace import soon
from support.pieces import apart

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
BLOB = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
LIMIT = 64 * 1024 * 1024


def encoded(octets: bytes | Message) -> bytes:
    message = Message.of(octets) if isinstance(octets, bytes) else octets
    entity = parse(message)
    result = seven_bit(message, entity, new_builder=MemoryBuilder)
    octets = result.octets()
    again = parse(result)
    assert not needs_seven_bit(result, again), "what was made safe must be safe"
    return octets


def decoded(octets: bytes) -> bytes:
    message = Message.of(octets)
    return decode_body(message, parse(message), limit=LIMIT)


def changed(octets: bytes) -> bool:
    message = Message.of(octets)
    assert needs_seven_bit(message, parse(message)) is (encoded(octets) != octets.replace(b"8bit", b"7bit", 1))
    return encoded(octets).split(b"\r\n\r\n", 1)[1] != octets.split(b"\r\n\r\n", 1)[1]


# --- what is fragile ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"plain\r\n",
        b"no last line end",
        b"a" * 998 + b"\r\n" + b"b" * 998,
        b"..\r\n.a\r\na.\r\n",
        b" From here\r\n>From there\r\nfrom\r\nFromage\r\n",
        b"blank before\r\n \tline\r\n",
        b"\x0c\x1b[1m\x7f\r\n",
    ],
)
def test_what_transport_leaves_alone_keeps_its_octets(body: bytes) -> None:
    """Nothing is encoded without need: the signer's client wrote these octets."""
    assert not changed(TEXT + body)


@pytest.mark.parametrize(
    "body",
    [
        b"\xc3\xa0\r\n",
        b"a\x00b\r\n",
        b"a" * 999 + b"\r\n",
        b"a" * 999,
        b"x\r\n" + b"a" * 999 + b"\r\n",
        b"blank \r\nx\r\n",
        b"tab\t\r\nx\r\n",
        b" \r\n",
        b"blank at the end ",
        b"From the start\r\n",
        b"x\r\nFrom a line\r\n",
        b".\r\nx\r\n",
        b"x\r\n.\r\nx",
        b"x\r\n.",
        b".",
        b"lone\nLF\r\n",
        b"lone\rCR\r\n",
        b"at the end\r",
        b"\r\r\n",
        b"\n",
    ],
)
def test_what_transport_could_change_is_encoded(body: bytes) -> None:
    """RFC 8551 3.1.3, RFC 3676 4.2, RFC 5321 4.5.2: 8 bits, NUL, long lines, lone CR or LF, blanks, "From ", a dot."""
    assert changed(TEXT + body)
    assert decoded(encoded(TEXT + body)) == body


BORDER_TRAPS = (b"x \r\n", b"x\t\r\n", b"\r\nFrom x", b"\r\n.\r\n", b"\xc3\xa0", b"a\rb", b"a\nb", b"\x00")


@pytest.mark.parametrize("trap", BORDER_TRAPS)
def test_traps_across_a_window_border(trap: bytes) -> None:
    """A trap that lies across two windows is seen at every cut."""
    line = b"a" * 70 + b"\r\n"
    lead = (line * (WINDOW // len(line) + 1))[: WINDOW - 100]
    for cut in range(len(trap) + 1):
        fill = b"\r\n" + b"b" * (WINDOW - len(lead) - 2 - cut)
        assert changed(TEXT + lead + fill + trap + b"\r\n"), cut


@pytest.mark.parametrize("shift", [-3, -2, -1, 0, 1, 2])
def test_line_lengths_across_a_window_border(shift: int) -> None:
    """A CRLF that lies across two windows ends its line: two lines of 998 are not one of 1996."""
    lines = b"c" * 998 + b"\r\n"
    count = WINDOW // len(lines)
    short = WINDOW - count * len(lines) - 2 + shift
    body = b"d" * short + b"\r\n" + lines * (count + 2)
    assert not changed(TEXT + body)
    longer = b"d" * short + b"\r\n" + lines * count + b"c" + lines
    assert changed(TEXT + longer)


def test_same_answer_in_any_pieces() -> None:
    """How a message is held in spans never changes what is fragile."""
    for body in (b"a\r\nb \r\nc\r\n", b"a\r\nFrom b\r\n", b"a\r\n.\r\n", b"fine\r\nlines\r\n", b"x\ry\r\n"):
        octets = TEXT + body
        pieces = apart(octets[index : index + 1] for index in range(len(octets)))
        assert needs_seven_bit(pieces, parse(pieces)) is needs_seven_bit(Message.of(octets), parse(Message.of(octets)))
        assert encoded(pieces) == encoded(octets)


# --- the encoders ---


def lines_of(octets: bytes) -> Iterable[bytes]:
    return octets.split(b"\r\n\r\n", 1)[1].split(b"\r\n")


@pytest.mark.parametrize(
    "body",
    [
        "Tiếng Việt\r\n".encode() + b"plain text\r\n" * 3,
        b"a=b\xc3\xa0" + b"x" * 40 + b"\r\n",
        b"x" * 3000 + b"\r\n" + b"y" * 76 + b"\r\n" + b"z" * 77,
        b"x" * 74 + b"=" + b"x" * 3 + b"\r\n" + b"x" * 75 + b"=\r\n" + b"x" * 73 + b"=x\xff\r\n",
        b"trailing \r\n\t\r\n \r\n",
        b"From x\r\n.\r\nFrom y" + b"z" * 76 + b"From z" + b"\r\n",
        b"x" * 75 + b"From z" + b"x" * 1000,
        b"x" * 75 + b"." + b"\r\n" + b"y" * 998 + b"\xff",
        b"a\nb\rc\x00d\r\n",
        b"no end \xff".ljust(60, b"."),
    ],
)
def test_quoted_printable_is_exact(body: bytes) -> None:
    """RFC 2045 6.7: every octet comes back, lines stay within 76, line ends stay line ends, no trap is left."""
    octets = encoded(TEXT + body)
    assert b"Content-Transfer-Encoding: quoted-printable\r\n" in octets
    assert decoded(octets) == body
    for line in lines_of(octets):
        assert len(line) <= 76
        assert re.fullmatch(rb"(?:[\t\x20-\x3c\x3e-\x7e]|=[0-9A-F]{2})*=?", line)
        assert not line.endswith((b" ", b"\t"))
        assert not line.startswith(b"From ")
        assert line != b"."


@pytest.mark.parametrize("size", [64 * 1024 - 1, 64 * 1024 + 1, 2 * 64 * 1024, WINDOW + 1])
@pytest.mark.parametrize(
    "line", [b"x" * 60 + b"\xc3\xa0\r\n", b"=" * 20 + b" \r\n", b"x", b"xxxxx=xxxxx\xff", b"\r", b"a \t"]
)
def test_quoted_printable_over_block_borders(size: int, line: bytes) -> None:
    """Lines longer than a block, CRLF across blocks and characters across blocks come back exactly."""
    body = (b"\xff" + line * (size // len(line) + 1))[:size]
    octets = encoded(TEXT + body)
    assert decoded(octets) == body
    assert max(map(len, lines_of(octets))) <= 76


@pytest.mark.parametrize("lead", [51, 52, 53])
def test_soft_break_between_blocks_has_its_room(lead: int) -> None:
    """The "=" at the end of a block's last line is within the 76, too: with 52 octets to quote it is the 77th."""
    body = b"\xff" * lead + b"x" * (3 * 64 * 1024)
    octets = encoded(TEXT + body)
    assert decoded(octets) == body
    assert max(map(len, lines_of(octets))) == 76


def test_line_end_between_blocks_stays_a_line_end() -> None:
    """RFC 2045 6.7 (4): a CRLF of the text is a line break, even where it lies across two blocks."""
    octets = encoded(TEXT + b"\xff" + b"x" * (2 * 64 * 1024 - 2) + b"\r\n" + b"y" * 10)
    assert octets.endswith(b"\r\n" + b"y" * 10)
    assert b"=0D" not in octets


@pytest.mark.parametrize(
    "size", [1, 2, 3, 56, 57, 58, 5699, 5700, 5701, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 5]
)
def test_base64_is_exact(size: int) -> None:
    """RFC 2045 6.8: every octet comes back, lines of 76, padding at the end only, at any border of blocks."""
    body = (bytes(range(256)) * (size // 256 + 1))[:size].replace(b"\x01", b"\xff")
    octets = encoded(BLOB + body + b"\xff")
    assert b"Content-Transfer-Encoding: base64\r\n" in octets
    content = octets.split(b"\r\n\r\n", 1)[1]
    assert content == b"".join(
        binascii.b2a_base64((body + b"\xff")[start : start + 57], newline=False) + b"\r\n"
        for start in range(0, size + 1, 57)
    )
    assert decoded(octets) == body + b"\xff"


def test_text_with_many_8_bit_octets_is_base64() -> None:
    """Where quoted-printable would be much longer than the text, nobody could read it anyway."""
    assert b"base64" in encoded(TEXT + "ửửử ".encode() * 30)
    assert b"quoted-printable" in encoded(TEXT + "một hai ba bon nam sau bay tam\r\n".encode() * 30)


# --- headers and parts ---


def test_encoding_field() -> None:
    """One Content-Transfer-Encoding says what is there now; every other octet of the header stays."""
    octets = encoded(
        b"X-A:  1 \r\ncontent-transfer-encoding: 8bit\r\nContent-Type: text/plain\r\n\r\n\xc3\xa0 aaaa\r\n"
    )
    assert octets.startswith(
        b"X-A:  1 \r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain\r\n\r\n=C3=A0"
    )
    octets = encoded(b"Content-Type: text/plain\r\n\r\n\xc3\xa0 aaaa\r\n")
    assert octets.startswith(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
    assert encoded(TEXT + b"ascii\r\n") == TEXT.replace(b"8bit", b"7bit") + b"ascii\r\n"


def test_only_fragile_parts_change() -> None:
    """Preamble, delimiters, sound parts and their headers keep every octet; outer encodings follow (RFC 2045 6.4)."""
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\npre\r\n--b  \r\n"
        b"X-Odd:  kept \r\n\r\nsound\r\n--b\r\nContent-Type: text/plain\r\n\r\n\xc3\xa0 aaaaaaa\r\n--b--\r\nepi\r\n"
    )
    assert encoded(octets) == octets.replace(b"8bit", b"7bit").replace(
        b"text/plain\r\n\r\n\xc3\xa0", b"text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A0"
    )


def test_part_headers_are_made_ascii() -> None:
    """A raw 8-bit file name inside would be changed, or refused, by the next hop."""
    octets = encoded(
        b'Content-Type: application/pdf; name="\xc4\x91.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==\r\n'
    )
    assert octets == (
        b"Content-Type: application/pdf; name*=utf-8''%C4%91.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==\r\n"
    )


FOREIGN = b"Content-Type: %s\r\n\r\n\xc3\xa0\r\n"


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (FOREIGN % b"multipart/signed; boundary=s", "signed_part_not_seven_bit"),
        (FOREIGN % b"application/pkcs7-mime", "signed_part_not_seven_bit"),
        (b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n\xc3\xa0\r\n", "signed_part_not_seven_bit"),
        (
            b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n\xc3\xa0",
            "encoded_part_not_seven_bit",
        ),
        (b"Content-Type: message/rfc822\r\n\r\nTo: \xc3\xa0@b.example\r\n\r\n", "address_not_ascii"),
    ],
)
def test_what_somebody_else_signed_is_refused(part: bytes, reason: str) -> None:
    """What cannot be made safe without changing what others signed, encoded or addressed is refused."""
    octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part + b"\r\n--b--\r\n"
    message = Message.of(octets)
    with pytest.raises(CannotEncode, match=reason):
        seven_bit(message, parse(message), new_builder=MemoryBuilder)


def test_signed_parts_that_are_safe_stay() -> None:
    """Somebody else's signed part that is safe already keeps every octet, blanks at line ends excepted."""
    part = b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n"
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part + b"\r\n--b\r\n\r\n\xc3\xa0 a\r\n--b--\r\n"
    )
    assert part in encoded(octets)


def test_text_beside_the_parts() -> None:
    """A preamble cannot be encoded: 8-bit octets there are refused."""
    message = Message.of(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\xc3\xa0\r\n--b\r\n\r\nx\r\n--b--\r\n")
    with pytest.raises(CannotEncode, match="text_beside_parts_not_seven_bit"):
        seven_bit(message, parse(message), new_builder=MemoryBuilder)


# --- reading ---


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        (b"7bit", b"a=41\r\n", b"a=41\r\n"),
        (b"", b"a\r\n", b"a\r\n"),
        (b"BASE64", b"QUJ\r\n D!R-A==\r\n", b"ABCD"),
        (b"base64 (note)", b"QQ==", b"A"),
        (b"quoted-printable", b"a=41=\r\nb =\r\n=3D", b"aAb ="),
        (b"quoted-printable", b"=C3=A0=0D=0A", b"\xc3\xa0\r\n"),
    ],
)
def test_decode(encoding: bytes, body: bytes, content: bytes) -> None:
    """RFC 2045 6.7 and 6.8, read as mail systems do."""
    assert decoded(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body) == content


@given(
    st.binary(max_size=40),
    st.lists(st.integers(0, 60), max_size=8),
    st.sampled_from([b"", b"\r\n", b"=", b"=\r\nQQ=="]),
)
def test_base64_is_read_alike_wherever_windows_end(octets: bytes, cuts: list[int], after: bytes) -> None:
    """A window's border between letters, before or inside padding changes nothing; what follows padding is an error."""
    letters = binascii.b2a_base64(octets, newline=False) + after
    head = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    borders = sorted({0, len(letters), *(each for each in cuts if each < len(letters))})
    pieces = [letters[start:stop] for start, stop in itertools.pairwise(borders)]
    message = apart((head, *pieces))
    whole = Message.of(head + letters)
    found = []
    for each in (message, whole):
        try:
            found.append(decode_body(each, parse(each), limit=LIMIT))
        except MimeError as error:
            found.append(error.reason)
    assert found[0] == found[1]
    assert found[0] in (octets, "malformed_base64")
    assert (found[0] == octets) == (not after.strip() or octets == b"" == found[0])


@pytest.mark.parametrize("body", [b"Q", b"QQ=", b"QQ==QQ==", b"Q=Q=", b"====", b"QQ==x"])
def test_broken_base64_is_an_error(body: bytes) -> None:
    """Padding inside, or octets behind it, are read in two ways by others: never a prefix in silence."""
    with pytest.raises(MimeError, match="malformed_base64"):
        decoded(b"Content-Transfer-Encoding: base64\r\n\r\n" + body)


def test_unknown_encoding_and_limits() -> None:
    """What cannot be decoded, or decodes to too much, is refused before it takes room."""
    with pytest.raises(MimeError, match="unknown_encoding"):
        decoded(b"Content-Transfer-Encoding: x-uuencode\r\n\r\nx")
    message = Message.of(b"\r\n" + b"x" * 100)
    assert len(decode_body(message, parse(message), limit=100)) == 100
    for limit in (99, 1):
        with pytest.raises(MimeError, match="body_too_large"):
            decode_body(message, parse(message), limit=limit)
    with pytest.raises(MimeError, match="body_too_large"):
        decode_body(Message.of(b"\r\n" + b"x" * 5000), parse(Message.of(b"\r\n" + b"x" * 5000)), limit=100)


MEGABYTE = 1_000_000
SLOW = [b"=" * MEGABYTE, b"\xff" * MEGABYTE, b"\r" * MEGABYTE, b" \r\n" * (MEGABYTE // 3), b"\xff" + b"x" * MEGABYTE]


@pytest.mark.parametrize("body", SLOW, ids=["equals", "8bit", "cr", "blanks", "line"])
@pytest.mark.parametrize("head", [TEXT, BLOB])
def test_encoding_is_linear(head: bytes, body: bytes) -> None:
    """A megabyte of the worst content is encoded in less than a second of a quiet machine."""
    with soon(3):
        message = Message.of(head + body)
        seven_bit(message, parse(message), new_builder=MemoryBuilder)
