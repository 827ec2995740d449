"""Header text as one reader or another decodes it: as RFC 2047 says, carelessly, and again and again.

A reader may know a charset that we do not, and one in which no octet means what it means in ASCII (EBCDIC, UTF-16 by an
odd name, what PHP calls HTML-ENTITIES): of such a word nobody here can say what is shown.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from gateway.mime.words import decode_text, reads, text_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_LAYERS: Final = 4
"""Encoded words inside encoded words are read so deep."""
_LOOSE: Final = re.compile(rb"=\?[ \t\r\n]*([^?]{0,80})\?[ \t\r\n]*([BbQq])[ \t\r\n]*\?([^?]*)\?=")
_ON_ASCII: Final = re.compile(
    r"(?:us-)?ascii|ansi_x3\.4-19(?:68|86)|(?:x-)?unknown(?:-8bit)?|x-user-defined|iso-8859-\d{1,2}-[ei]"
    r"|viscii(?:1\.1-1)?|x-viet-\w+|tcvn(?:-?5712(?:-?1)?)?|x-mac-\w+|(?:ibm|cp)-?[478]\d\d|windows-31j",
    re.IGNORECASE,
)
"""Charsets that we do not read, and in which a letter of ASCII is that letter."""


def readings(value: bytes) -> Iterator[str]:
    """Yield the texts that one reader or another shows of an unfolded value, each once."""
    known: set[str] = set()
    for octets in (value, _LOOSE.sub(_strict_word, _as_utf8(value))):
        text = decode_text(octets)
        for _ in range(_MOST_LAYERS):
            if text not in known:
                known.add(text)
                yield text
            if "=?" not in text:
                break
            text = decode_text(text.encode("utf-8", "replace"))


def is_undecidable(value: bytes, shown: Iterable[str]) -> bool:
    """Return True where a word, or a word in a word, is in a charset that may show anything to who knows it.

    `shown` are the readings of the value.
    """
    if value.find(b"=?") < 0:
        return False
    deeper = [each.encode("utf-8", "replace") for each in shown if "=?" in each]
    names = {_charset(match) for octets in (value, *deeper) for match in _LOOSE.finditer(octets)}
    return any(not reads(each) and _ON_ASCII.fullmatch(each) is None for each in names)


def _as_utf8(octets: bytes) -> bytes:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1258", "replace").encode()  # what readers here guess of octets without a charset
    return octets


def _charset(match: re.Match[bytes]) -> str:
    return match[1].partition(b"*")[0].strip(b' \t\r\n"').decode("ascii", "replace")


def _strict_word(match: re.Match[bytes]) -> bytes:
    """Return an encoded word as strict readers take it, for one that only careless readers would decode."""
    text, charset = match[3], _charset(match)
    if match[2] in b"Bb":
        octets = b"".join(map(_from_base64, re.split(b"=+", text)))  # some go on behind the padding
    else:
        octets = binascii.a2b_qp(text, header=True)
    octets = text_in(charset, octets).encode("utf-8", "replace") if reads(charset) else _as_utf8(octets)
    return b"=?utf-8?B?" + b64encode(octets) + b"?="


def _from_base64(text: bytes) -> bytes:
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", text)
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
