"""Content-Transfer-Encodings: read, and made 7-bit safe before a signature (RFC 2045 6, RFC 8551 3.1).

Only leaves that transport could damage are encoded; every other octet stays. What somebody else signed or encrypted is
never touched: where it is not 7-bit safe itself, `CannotEncode` says so.
"""

from __future__ import annotations

import binascii
import re
import struct
from enum import Enum
from typing import TYPE_CHECKING, Final

from gateway.core.errors import InputError
from gateway.core.message import Message
from gateway.core.octets import linear_pattern
from gateway.core.sevenbit import SevenBitWatch
from gateway.mime.downgrade import NotAsciiError, ascii_edits, downgrade_header
from gateway.mime.fields import MimeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway.core.octets import Builder
    from gateway.mime.entity import Entity

__all__ = [
    "CannotEncode",
    "Foreign",
    "base64_lines",
    "decode_body",
    "downgrade_header",
    "needs_seven_bit",
    "seven_bit",
]

_UNENCODED: Final = frozenset({"7bit", "8bit", "binary"})
_OPAQUE: Final = frozenset(
    {
        "multipart/signed",
        "multipart/encrypted",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
        "application/pgp-encrypted",
    }
)
_LINE_TRAP: Final = linear_pattern(rb"\r\n(?:From |\.\r\n)")
"""Begins with a literal of octets that are rare: RE2 looks for these with vector instructions."""
_PGP_INLINE: Final = (b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP MESSAGE-----")
_EIGHT_BIT: Final = bytes(range(128, 256))
_BLOCK: Final = 64 * 1024
_BASE64_LINE: Final = 57
_BASE64_BLOCK: Final = _BASE64_LINE * 4096
_LINES_AT_ONCE: Final = 128
"""Few enough for formats of that many to be compiled once, and kept."""
_MAX_LINE: Final = 76
"""Octets of an encoded line (RFC 2045 6.7, 6.8)."""
_SOFT_BREAK: Final = b"=\r\n"
_NO_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_STRANGE: Final = re.compile(rb"[^\t\x20-\x3c\x3e-\x7e]+")
_QUOTED: Final = tuple(b"=%02X" % octet for octet in range(256))


class Foreign(Enum):
    """What becomes of octets above 127 inside something that somebody else signed: there they cannot be encoded."""

    REFUSE = "refuse"
    KEEP = "keep"
    """They stay, and with them the message is 8-bit: for a way on which every system takes that (RFC 6152)."""


class CannotEncode(InputError):  # noqa: N818 - reads as what it says
    """The entity cannot be made 7-bit safe without changing what somebody else signed."""


def decode_body(message: Message, entity: Entity, *, limit: int) -> bytes:
    """Return an entity's content with its transfer encoding removed, at most `limit` octets; raises `MimeError`.

    Base64 is read as mail systems do: characters outside the alphabet are skipped, but padding inside is an error.
    """
    if entity.stop - entity.body > 2 * limit + 1024:
        raise MimeError("body_too_large")
    if entity.encoding == "base64":
        octets = _from_base64(message.slice(entity.body, entity.stop))
        if len(octets) > limit:
            raise MimeError("body_too_large")
        return octets
    octets = message.read(entity.body, entity.stop)
    if entity.encoding == "quoted-printable":
        octets = binascii.a2b_qp(octets)
    elif entity.encoding not in _UNENCODED | {""}:
        raise MimeError("unknown_encoding")
    if len(octets) > limit:
        raise MimeError("body_too_large")
    return octets


def _from_base64(body: Message) -> bytes:
    """Decode in windows: the letters of a big body are never in memory beside its octets."""
    pieces: list[bytes] = []
    carry = b""
    padded = False
    try:
        for window in body.windows():
            letters = window.translate(None, _NO_BASE64)
            if padded and letters:
                raise MimeError("malformed_base64")  # something after the padding
            clean = carry + letters
            whole = len(clean) - len(clean) % 4
            padded = b"=" in clean[:whole]
            if padded:
                whole = 0  # the end, if there is nothing after it
            pieces.append(binascii.a2b_base64(clean[:whole], strict_mode=True))
            carry = clean[whole:]
        pieces.append(binascii.a2b_base64(carry, strict_mode=True))
    except binascii.Error as error:
        raise MimeError("malformed_base64") from error
    return b"".join(pieces)


def needs_seven_bit(message: Message, entity: Entity) -> bool:
    """True if transport could change a leaf or a part header of the entity."""
    return any(
        not _ascii_header(message, each) or (not each.children and _fragile(message, each)) for each in entity.walk()
    )


def _ascii_header(message: Message, entity: Entity) -> bool:
    return message.read(entity.start, entity.body).isascii()


def _fragile(message: Message, entity: Entity) -> bool:
    """True if transport could change the content: see `_carried`; what is encoded has no traps."""
    content = message.slice(entity.body, entity.stop)
    unencoded = entity.encoding in _UNENCODED
    if not _carried(content, eight_bit=False, trapped=unencoded):
        return True
    size = len(content)
    return unencoded and (b"\r\n" + content.read(max(size - 3, 0), size)).endswith((b" ", b"\t", b"\r\n."))


def _carried(content: Message, *, eight_bit: bool, trapped: bool) -> bool:
    """True if transport takes the octets as they are: 7bit or 8bit data (RFC 2045 2), if `trapped` without a trap.

    That is what transport may eat or add to: blanks at a line's end, "From " at its begin, a lone dot.
    """
    watch = None if content.seven_bit else SevenBitWatch()
    before = b"\r\n"  # as if a line end stood before the content
    held = b""  # a CR whose LF may come with the next window
    for window in content.windows() if watch is not None or trapped else ():
        block = held + window
        held = b"\r" if block.endswith(b"\r") else b""
        block = block[: len(block) - len(held)]
        if watch is not None:
            if not (eight_bit or block.isascii()):
                return False  # said before anything else is looked for: most text is so
            watch.see(block)
            if not watch.eight_bit:
                return False
        if trapped:
            before += block
            if _trapped(before):
                return False
            before = before[-8:]
    return content.read(len(content) - 1, len(content)) != b"\r"


def _trapped(octets: bytes) -> bool:
    """True if there are blanks before a line end, or a line that transport changes behind one."""
    # blanks are frequent, and RE2 stops at each; most texts hold no tab, which is known at once
    return (
        octets.find(b" \r\n") >= 0
        or (b"\t" in octets and octets.find(b"\t\r\n") >= 0)
        or _LINE_TRAP.search(octets) is not None
    )


def seven_bit(
    message: Message, entity: Entity, *, new_builder: Callable[[], Builder], foreign: Foreign = Foreign.REFUSE
) -> Message:
    """Return the entity's octets made 7-bit safe; the same spans where nothing needs to change.

    With `Foreign.KEEP` what somebody else signed may be 8-bit, in lines that transport takes; the rest is made safe.
    Raises `CannotEncode`, and whatever the builder raises when its place is full.
    """
    replacements: list[tuple[int, int, Message]] = []
    _collect(message, entity, new_builder, replacements, foreign=foreign, top=True)
    if not replacements:
        return message.slice(entity.start, entity.stop)
    pieces: list[Message] = []
    position = entity.start
    for start, stop, octets in sorted(replacements, key=lambda each: (each[0], each[1])):
        pieces += (message.slice(position, start), octets)
        position = stop
    pieces.append(message.slice(position, entity.stop))
    return Message.join(pieces)


def _collect(
    message: Message,
    entity: Entity,
    new_builder: Callable[[], Builder],
    replacements: list[tuple[int, int, Message]],
    *,
    foreign: Foreign,
    top: bool,
) -> None:
    """Add what must be replaced in this entity and below it."""
    if not top and _is_opaque(message, entity):
        if needs_seven_bit(message, entity) and (
            foreign is Foreign.REFUSE
            or not _carried(message.slice(entity.start, entity.stop), eight_bit=True, trapped=True)
        ):
            raise CannotEncode("signed_part_not_seven_bit")
        return
    if not _ascii_header(message, entity):
        try:
            replacements += ((each.start, each.stop, Message.of(each.octets)) for each in ascii_edits(entity.header))
        except NotAsciiError as error:
            raise CannotEncode("address_not_ascii") from error
    if entity.children:
        _collect_parts(message, entity, new_builder, replacements, foreign)
    elif _fragile(message, entity):
        if entity.encoding not in _UNENCODED:
            raise CannotEncode("encoded_part_not_seven_bit")
        encoding, content = _encoded(message, entity, new_builder)
        replacements += _encoding_edits(entity, encoding)
        replacements.append((entity.body, entity.stop, content))
    elif entity.encoding in {"8bit", "binary"}:
        replacements += _encoding_edits(entity, b"7bit")


def _collect_parts(
    message: Message,
    entity: Entity,
    new_builder: Callable[[], Builder],
    replacements: list[tuple[int, int, Message]],
    foreign: Foreign,
) -> None:
    """The same for the parts of a multipart, or the message in a message/rfc822."""
    if entity.encoding in {"8bit", "binary"} and foreign is Foreign.REFUSE:
        replacements += _encoding_edits(entity, b"7bit")
    for child in entity.children:
        _collect(message, child, new_builder, replacements, foreign=foreign, top=False)
    for between in (entity.preamble, entity.epilogue):
        if between is not None and between[0] < between[1] and not message.read(*between).isascii():
            raise CannotEncode("text_beside_parts_not_seven_bit")


def _is_opaque(message: Message, entity: Entity) -> bool:
    """True for what somebody else signed or encrypted: S/MIME, PGP/MIME, inline PGP."""
    if entity.media_type in _OPAQUE:
        return True
    return not entity.children and message.read(entity.body, min(entity.stop, entity.body + 256)).lstrip().startswith(
        _PGP_INLINE
    )


def _encoding_edits(entity: Entity, encoding: bytes) -> Iterable[tuple[int, int, Message]]:
    """Yield the change of the Content-Transfer-Encoding field, at its place or at the header's end."""
    field = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    present = entity.header.all("content-transfer-encoding")
    if not present:
        end = b"" if entity.body > entity.header.stop else b"\r\n"
        yield entity.header.stop, entity.header.stop, Message.of(field + end)
    for index, each in enumerate(present):
        yield each.start, each.stop, Message.of(field if index == 0 else b"")


def _encoded(message: Message, entity: Entity, new_builder: Callable[[], Builder]) -> tuple[bytes, Message]:
    """Encode a leaf's content: text as quoted-printable while at most a quarter is 8-bit, anything else as base64."""
    content = message.slice(entity.body, entity.stop)
    encoding, blocks = b"base64", _base64(content)
    if entity.media_type.startswith(("text/", "message/")):
        strange = sum([len(window) - len(window.translate(None, _EIGHT_BIT)) for window in content.windows()])
        if 4 * strange <= len(content):
            encoding, blocks = b"quoted-printable", _quoted_printable(content)
    if message.in_one_piece:  # all that is made of it is in proportion to it, as its copies are
        return encoding, Message.of(b"".join(blocks))
    builder = new_builder()
    for block in blocks:
        builder.write(block)
    return encoding, Message.from_source(builder.finish())


def _base64(content: Message) -> Iterator[bytes]:
    """Yield the content as base64 in lines, a whole number of them from each block."""
    for start in range(0, len(content), _BASE64_BLOCK):
        yield base64_lines(content.read(start, start + _BASE64_BLOCK))


def base64_lines(octets: bytes) -> bytes:
    """Return base64 in lines of 76, each ending in CRLF."""
    step = _BASE64_LINE * _LINES_AT_ONCE
    return b"".join([_base64_lines(octets[start : start + step]) for start in range(0, len(octets), step)])


def _base64_lines(octets: bytes) -> bytes:
    letters = binascii.b2a_base64(octets, newline=False)
    whole = len(letters) // _MAX_LINE
    lines = struct.unpack_from(b"76s" * whole, letters)  # cuts them all in one call
    rest = letters[whole * _MAX_LINE :]
    return b"\r\n".join((*lines, rest, b"") if rest else (*lines, b""))


def _quoted_printable(content: Message) -> Iterator[bytes]:
    """Yield the content as quoted-printable: line ends stay, lines of at most 76 octets, no transport trap left."""
    carry = b""
    for window in content.windows(_BLOCK):
        octets = carry + window
        cut = octets.rfind(b"\r\n") + 2
        if cut > 1:
            yield b"".join(_quoted_line(line, end=b"\r\n") for line in octets[: cut - 2].split(b"\r\n"))
        elif len(octets) > _BLOCK:  # one line over a whole block: break it softly, never inside CRLF
            cut = len(octets) - octets.endswith(b"\r")
            yield _quoted_line(octets[:cut], end=_SOFT_BREAK)
        else:
            cut = 0
        carry = octets[cut:]
    yield _quoted_line(carry, end=b"")


def _quoted_line(line: bytes, *, end: bytes) -> bytes:
    """Quote one line and break it softly (RFC 2045 6.7); written out, because `binascii.b2a_qp` makes 78 of 76."""
    text = _STRANGE.sub(_quote, line)
    if text[-1:] in (b" ", b"\t"):
        text = text[:-1] + _QUOTED[text[-1]]
    room = _MAX_LINE - (end == _SOFT_BREAK)
    pieces: list[bytes] = []
    start = 0
    while True:
        lead = b""
        if text.startswith(b"From ", start) or (text.endswith(b".") and len(text) - start == 1):
            lead = _QUOTED[text[start]]
            start += 1
        if len(lead) + len(text) - start <= room:
            return _SOFT_BREAK.join([*pieces, lead + text[start:]]) + end
        cut = start + _MAX_LINE - 1 - len(lead)
        equals = text.rfind(b"=", cut - 2, cut)
        cut = equals if equals >= 0 else cut
        pieces.append(lead + text[start:cut])
        start = cut


def _quote(match: re.Match[bytes]) -> bytes:
    return b"".join(map(_QUOTED.__getitem__, match[0]))
