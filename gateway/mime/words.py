"""Encoded words: header text between octets and characters (RFC 2047).

Decoding is for reading only: what it returns must never be written back into a message in place of the original octets.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from typing import Final

_WORD: Final = re.compile(rb"=\?([!-)+->@-~]{1,64}?)(?:\*[A-Za-z0-9-]*)?\?([BbQq])\?([!->@-~]*)\?=")
_BETWEEN: Final = re.compile(rb"(?<=\?=)[ \t\r\n]+(?==\?)")
_CHARSET: Final = re.compile(
    r"utf[-_]?8|utf[-_]?7|utf[-_]?(?:16|32)(?:[-_]?[bl]e)?|iso[-_]?8859[-_]\d{1,2}|latin[-_]?\d{1,2}|l[1-9]"
    r"|(?:windows[-_]?|cp)(?:125\d|874|932|936|949|950)|ms9(?:32|36|49|50)|koi8-[rtu]"
    r"|(?:x-)?(?:gb2312|gbk|gb18030|hz-gb-2312|big5(?:-?hkscs)?|euc-?(?:jp|kr|cn)|s(?:hift)?[-_]?jis)"
    r"|iso-2022-(?:jp(?:-[123])?|kr)|tis-620|ks_c_5601-1987|mac(?:-?roman|-?cyrillic|intosh)",
    re.IGNORECASE,
)
"""Charsets that mail is written in. Python knows others that are none: some take quadratic time, and each unknown name
that a stranger invents would be looked for on disk and remembered for ever."""
_LINE: Final = 78
"""Octets of a line (RFC 5322 2.1.1)."""
_WORD_OF_FIELD: Final = re.compile(rb"[ \t]*[^ \t]+")
_MAX_WORD_OCTETS: Final = 42
"""Octets of UTF-8 in one encoded word: 56 characters of base64, with its frame under 75 (RFC 2047 2)."""


def decode_text(value: bytes) -> str:
    """Return header text for reading: encoded words decoded, raw UTF-8 accepted; never raises."""
    if value.find(b"=?") < 0:  # not `in`: with octets Python 3.11 asks by way of an exception
        return value.decode("utf-8", "replace")
    joined = _BETWEEN.sub(b"", value)
    segments: list[tuple[str, list[bytes]]] = []  # neighboring words of one charset may split a character
    position, after_word = 0, False
    for match in _WORD.finditer(joined):
        octets = _word_octets(match[2], match[3])
        if octets is None:
            continue
        if match.start() > position:
            segments.append(("utf-8", [joined[position : match.start()]]))
            after_word = False
        charset = match[1].decode("ascii").lower()
        if after_word and segments[-1][0] == charset:
            segments[-1][1].append(octets)
        else:
            segments.append((charset, [octets]))
        position, after_word = match.end(), True
    if position < len(joined):
        segments.append(("utf-8", [joined[position:]]))
    return "".join([text_in(charset, b"".join(blocks)) for charset, blocks in segments])


def _word_octets(encoding: bytes, text: bytes) -> bytes | None:
    """Return the octets of one encoded word, None where it is not one."""
    try:
        if encoding in b"Bb":
            return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
        return binascii.a2b_qp(text, header=True)
    except (binascii.Error, ValueError):
        return None


def reads(charset: str) -> bool:
    """Return True if this is a charset that `text_in` knows; else it takes octets for UTF-8."""
    return _CHARSET.fullmatch(charset) is not None


def text_in(charset: str, octets: bytes) -> str:
    """Return octets as text in a charset somebody named, as UTF-8 where we do not read it; never raises."""
    codec = charset.lower().removeprefix("x-") if reads(charset) else "utf-8"
    try:
        return octets.decode(codec, "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")


def encode_text(text: str) -> bytes:
    """Return the text as ASCII header octets, with encoded words where it is not printable ASCII; not folded.

    ASCII text that looks like an encoded word is encoded too, so that reading gives the same text back.
    """
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text.encode("ascii")
    octets, words, start = text.encode("utf-8", "replace"), [], 0
    while len(octets) - start > _MAX_WORD_OCTETS:
        stop = start + _MAX_WORD_OCTETS
        while octets[stop] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a character (RFC 2047 5: a word holds whole ones)
            stop -= 1
        words.append(octets[start:stop])
        start = stop
    words.append(octets[start:])
    return b" ".join(b"=?utf-8?B?" + b64encode(each) + b"?=" for each in words)


def fold(name: str, value: bytes) -> bytes:
    """Return a complete header field with CRLF, folded at blanks so that lines stay within 78 octets where possible.

    `value` must be free of CR and LF; raises `ValueError` otherwise, because anything else would be header injection.
    """
    if b"\r" in value or b"\n" in value or b"\0" in value:
        raise ValueError("a field value cannot hold line ends")
    value = value.strip(b" \t")
    field = name.encode("ascii") + b":" + (b" " + value if value else b"")
    lines: list[bytes] = []
    start, least = 0, len(name) + 1  # nothing is folded in the name
    while len(field) - start > _LINE and least < len(field):
        stop = start + _LINE + 1
        cut = max(field.rfind(b" ", least + 1, stop), field.rfind(b"\t", least + 1, stop))
        while cut > least and field[cut - 1] in b" \t":
            cut -= 1
        if cut <= least:  # a word that is longer than a line
            cut = _end_of_word(field, least)
        while cut < len(field) and field.endswith(b":", 0, cut):
            cut = _end_of_word(field, cut)
        if cut == len(field):
            break
        lines.append(field[start:cut])
        start = least = cut
    lines.append(field[start:])
    return b"\r\n".join(lines) + b"\r\n"


def _end_of_word(field: bytes, position: int) -> int:
    """Return where the next word ends; the field ends with one."""
    match = _WORD_OF_FIELD.match(field, position)
    return match.end() if match is not None else len(field)
