"""Turn a message into multipart/signed around one signature (RFC 1847 2.1, RFC 8551 3.1 and 3.5.3).

Prepare, let the key sign, finish: between the two nothing may touch the entity, and what somebody else signed or
encrypted is never touched at all.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from gateway.cms.verify import CmsError, check_signer, open_signed
from gateway.core.message import Edit, Message
from gateway.mime.entity import Entity, parse
from gateway.mime.fields import read_header
from gateway.mime.transfer import seven_bit
from gateway.smime.classify import LEFT_ALONE, form_of, walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gateway.cms.sign import SigningTemplate
    from gateway.core.octets import Builder
    from gateway.mime.fields import Field, Header
    from gateway.pki.certificate import Certificate

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
_BLIND: Final = frozenset({"bcc", "resent-bcc"})
_PREAMBLE: Final = b"This is an S/MIME signed message\r\n"
_SIGNATURE_HEADER: Final = (
    b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
    b"Content-Description: S/MIME Cryptographic Signature\r\n"
    b"\r\n"
)
_BASE64_LINE: Final = 57
"""Octets in one line of 76 base64 letters."""


@dataclass(frozen=True, slots=True)
class Left:
    """The message must stay as it is, octet for octet; `reason` is a stable code."""

    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message taken apart for signing; the entity's octets are final."""

    outer: bytes
    """Header fields that stay outside, each ending in CRLF: all but Content-*, Bcc and a broken MIME-Version."""
    entity: Message
    """What the signature covers: Content-* fields, blank line, body; 7-bit, CRLF."""
    boundaries: tuple[str, ...]
    """Boundaries used inside: the outer one must not begin with any of them."""


def prepare(message: Message, *, now: datetime, message_id: str, new_builder: Callable[[], Builder]) -> Prepared | Left:
    """Take a message apart; `now` (aware) and `message_id` (with brackets) fill in for missing Date and Message-ID.

    The message must be canonical (every line ends in CRLF). Raises `MimeError` over a limit, and `CannotEncode` where
    8-bit octets stand inside something that somebody else signed.
    """
    entity = parse(message)
    form = form_of(message, entity)
    if form in LEFT_ALONE:
        return Left(f"already_{form}")
    moved = [field for field in entity.header.fields if field.key.startswith("content-")]
    signed = Message.join(
        (
            b"".join(_with_charset(message, entity, moved)),
            b"\r\n",
            message.slice(entity.body, entity.stop),
            # a message that ends inside its header section, or in a last line without CRLF, is completed before
            # signing: a transport would do it afterwards (RFC 5321 4.1.1.4) and break the signature
            *_missing_end(message, entity),
        )
    )
    tree = parse(signed)
    encoded = seven_bit(signed, tree, new_builder=new_builder)
    boundaries = {each.parameters["boundary"] for each in walk(tree) if "boundary" in each.parameters}
    outer = _outer(message, entity.header, date=now, message_id=message_id)
    return Prepared(outer, encoded, tuple(sorted(boundaries)))


def _missing_end(message: Message, entity: Entity) -> tuple[bytes, ...]:
    end = len(message)
    return (b"\r\n",) if entity.body < end and message.read(end - 2, end) != b"\r\n" else ()


def _outer(message: Message, header: Header, *, date: datetime, message_id: str) -> bytes:
    """Return the fields that stay outside, in their own octets and order, completed with what is missing."""
    versions = header.all("mime-version")
    sound = len(versions) == 1 and re.sub(rb"\([^()]*\)|\s", b"", versions[0].value) == b"1.0"
    edits = [
        Edit(field.start, field.stop, b"")
        for field in header.fields
        if field.key.startswith("content-") or field.key in _BLIND or (field.key == "mime-version" and not sound)
    ]
    kept = message.slice(0, header.stop).splice(edits).octets()
    if kept and not kept.endswith(b"\r\n"):
        kept += b"\r\n"
    added = b""
    if header.first("date") is None:
        added += f"Date: {date_time(date)}\r\n".encode()
    if header.first("message-id") is None:
        added += f"Message-ID: {message_id}\r\n".encode()
    if not sound:
        added += b"MIME-Version: 1.0\r\n"
    return kept + added


def date_time(moment: datetime) -> str:
    """Return an aware moment as RFC 5322 3.3 writes it, in UTC."""
    utc = moment.astimezone(UTC)
    return f"{_DAYS[utc.weekday()]}, {utc.day} {_MONTHS[utc.month - 1]} {utc:%Y %H:%M:%S} +0000"


def _with_charset(message: Message, entity: Entity, fields: list[Field]) -> list[bytes]:
    """Return the Content-* fields' octets; a text that names no charset gets the one it is in.

    Without MIME a reader guesses; inside a signed part there must be nothing to guess. Text that is neither ASCII nor
    UTF-8 is declared "unknown-8bit" (RFC 1428 3): naming one of the old Vietnamese charsets would be a guess of ours.
    """
    raw = [field.raw if field.raw.endswith(b"\r\n") else field.raw + b"\r\n" for field in fields]
    types = [index for index, field in enumerate(fields) if field.key == "content-type"]
    if len(types) > 1 or entity.media_type != "text/plain" or "charset" in entity.parameters:
        return raw
    if not types:
        charset = _charset(message, entity)
        return [f"Content-Type: text/plain; charset={charset}\r\n".encode(), *raw]
    if entity.encoding in {"7bit", "8bit", "binary"} and not entity.defects:
        charset = _charset(message, entity)
        if charset != "us-ascii":
            head = raw[types[0]].rstrip(b"; \t\r\n")
            raw[types[0]] = head + f";\r\n charset={charset}\r\n".encode()
    return raw


def _charset(message: Message, entity: Entity) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    ascii_only = True
    body = message.slice(entity.body, entity.stop)
    try:
        for window in body.windows():
            if ascii_only and window.isascii():
                continue
            ascii_only = False
            decoder.decode(window)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "unknown-8bit"
    return "us-ascii" if ascii_only else "utf-8"


def content_digest(prepared: Prepared, digest: str) -> bytes:
    """Return the hash of what is signed; `digest` is a `hashlib` name."""
    return prepared.entity.digest(digest)


def finish(prepared: Prepared, *, cms: bytes, micalg: str, boundary: str) -> Message:
    """Return the finished message around a detached signature (DER).

    Raises `ValueError` if the boundary is malformed, is a prefix of a line inside, or begins with a boundary that is
    used inside: either makes some reader see other parts than were signed. Give another one then.
    """
    if _BOUNDARY.fullmatch(boundary) is None:
        raise ValueError("not a boundary")
    delimiter = b"--" + boundary.encode()
    if any(boundary.startswith(each) for each in prepared.boundaries):
        raise ValueError("boundary begins with an inner one")
    if prepared.entity.read(0, len(delimiter)) == delimiter or prepared.entity.find(b"\r\n" + delimiter) >= 0:
        raise ValueError("boundary occurs inside")
    head = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        b' micalg=%s; boundary="%s"\r\n\r\n' % (micalg.encode(), boundary.encode())
    )
    return Message.join(
        (
            prepared.outer + head + _PREAMBLE + b"\r\n" + delimiter + b"\r\n",
            prepared.entity,
            b"\r\n" + delimiter + b"\r\n" + _SIGNATURE_HEADER + _base64_lines(cms) + b"\r\n" + delimiter + b"--\r\n",
        )
    )


def _base64_lines(octets: bytes) -> bytes:
    """Return base64 in lines of 76, each ending in CRLF."""
    return b"".join(
        base64.b64encode(octets[start : start + _BASE64_LINE]) + b"\r\n"
        for start in range(0, len(octets), _BASE64_LINE)
    )


def overhead(template: SigningTemplate) -> int:
    """Return how many octets signing with this key adds at most to a message that is 7-bit already."""
    fixed = 1024  # header fields that may be missing, boundaries of 70 octets, the signature part's own header
    return fixed + len(_base64_lines(bytes(template.overhead)))


def check_own_work(finished: Message, *, certificate: Certificate) -> str | None:
    """Check a finished message with eyes of its own; return None if it is good, else a stable code.

    Splits by searching for the boundary, not with `mime.entity`, and verifies with the certificate's public key, so
    that a fault in what made the message cannot hide itself.
    """
    header = read_header(finished)
    types = header.all("content-type")
    match = re.search(rb'boundary="([^"]{1,70})"\Z', types[0].value) if len(types) == 1 else None
    if match is None or len(header.all("mime-version")) != 1:
        return "header"
    delimiter = b"\r\n--" + match[1]
    first = finished.find(delimiter + b"\r\n", header.stop)
    start = first + len(delimiter) + 2
    stop = finished.find(delimiter + b"\r\n", start)
    close = finished.find(delimiter + b"--\r\n", start)
    if not 0 <= first < stop < close or close + len(delimiter) + 4 != len(finished):
        return "structure"
    if finished.find(delimiter, start, stop) >= 0:
        return "boundary_inside"
    body = finished.find(b"\r\n\r\n", stop) + 4
    try:
        data = open_signed(base64.b64decode(finished.read(body, close), validate=False))
    except (CmsError, binascii.Error):
        return "cms"
    if data.content is not None or len(data.signers) != 1:
        return "cms"
    signer = data.signers[0]
    if signer.certificate((certificate,)) is None:
        return "certificate"
    digest = finished.slice(start, stop).digest(signer.digest)
    return check_signer(signer, content_digest=digest, certificate=certificate)
