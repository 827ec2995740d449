"""Encoded words (RFC 2047): read leniently, written so that they read back, bounded in time."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.words import decode_text, encode_text, fold, reads, text_in


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?Q?a_b=20c=C3=A0?=", "a b cà"),
        (b"=?UTF-8?b?w6A=?=", "à"),
        (b"=?utf-8*vi?B?w6A=?=", "à"),
        (b"=?iso-8859-1?q?=E9?=", "é"),
        (b"=?windows-1258?Q?Ti=EA=ECng?=", "Tiê\u0301ng"),
        (b"a =?utf-8?Q?b?= c", "a b c"),
        (b"=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
        (b"=?utf-8?Q?a?=\r\n\t =?iso-8859-1?Q?=E9?=", "aé"),
        (b"=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
        ("thô à".encode(), "thô à"),
        (b"=?utf-8?B?w6A?=", "à"),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (b"=?utf-8?B?!!!?=", "=?utf-8?B?!!!?="),
        (b"=?utf-8?Q?unclosed", "=?utf-8?Q?unclosed"),
        (b"=?utf-8?Q??=", ""),
        (b"\xff", "\ufffd"),
    ],
)
def test_decode(value: bytes, text: str) -> None:
    """RFC 2047 6.2: white space between words goes; what is no word stays as it is."""
    assert decode_text(value) == text


@pytest.mark.parametrize("split", [1, 2])
def test_a_character_split_between_words_is_one(split: int) -> None:
    """RFC 2047 5 forbids it and mailers do it: neighboring words of one charset are joined before decoding."""
    octets = "ử".encode()
    words = [b"=?utf-8?B?" + b64encode(part) + b"?=" for part in (octets[:split], octets[split:])]
    assert decode_text(b" ".join(words)) == "ử"
    assert decode_text(b"x".join(words)) != "ử"


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "unicode_escape", "rot13", "zlib_codec", "undefined", "no-such"]
)
def test_charsets_that_mail_is_not_written_in(charset: str) -> None:
    """Python's own codecs are no charsets: some are quadratic, some interpret; the octets are read as UTF-8."""
    assert decode_text(b"=?" + charset.encode() + b"?Q?" + rb"\x41-z9" + b"?=") == r"\x41-z9"
    assert text_in(charset, "à".encode()) == "à"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_is_written_reads_back(text: str) -> None:
    """Any text comes back; words are ASCII, of at most 75 octets, and split no character."""
    octets = encode_text(text)
    assert octets.isascii()
    assert b"\r" not in octets
    assert b"\n" not in octets
    assert decode_text(octets) == text
    for word in re.findall(rb"=\?[^ ]*\?=", octets) if "=?" not in text else []:
        assert len(word) <= 75
        decode_text(word).encode()


@pytest.mark.parametrize("charset", ["UTF-16-BE", "utf_16_le", "utf-32be", "UTF_8", "latin_1", "windows_1258"])
def test_charsets_by_other_names(charset: str) -> None:
    """A charset is read by every name that readers take for it: else a text could be hidden from us alone."""
    assert reads(charset)
    assert text_in(charset, "[a]".encode(charset)) == "[a]"


def test_ascii_stays() -> None:
    """What needs no word gets none, unless it looks like one."""
    assert encode_text("Ket qua, 17/2026") == b"Ket qua, 17/2026"
    assert decode_text(encode_text("=?utf-8?Q?a?=")) == "=?utf-8?Q?a?="


@given(st.binary(max_size=300))
def test_reading_never_raises(value: bytes) -> None:
    """Whatever a stranger writes is text of some kind."""
    decode_text(value)
    decode_text(b"=?" + value + b"?=")


def _folded(name: str, value: bytes) -> bytes:
    """Fold word by word: what `fold` must do, spelled out."""
    lines, line = [], name.encode() + b":"
    for word in re.findall(rb"[ \t]*[^ \t]+", b" " + value.strip(b" \t")):
        if len(line) + len(word) > 78 and not line.endswith(b":"):
            lines.append(line)
            line = b""
        line += word
    return b"\r\n".join([*lines, line]) + b"\r\n"


@given(
    st.sampled_from(["A", "Subject", "X-Gateway-Verdict", "X" * 77, "X" * 80]),
    st.lists(
        st.sampled_from(
            [b" ", b" ", b"\t", b"  ", b" " * 90, b":", b"x:", b";", b"abcdef", b"z" * 76, b"z" * 77, b"z" * 90]
        )
    ),
)
def test_a_field_is_folded_word_by_word(name: str, pieces: list[bytes]) -> None:
    """Lines hold as many words as fit, a word is never cut, and no line ends in a colon where one can be avoided."""
    assert fold(name, b"".join(pieces)) == _folded(name, b"".join(pieces))
