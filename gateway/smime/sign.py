"""Turn a message into multipart/signed around one signature (RFC 1847 2.1, RFC 8551 3.1 and 3.5.3, RFC 9788).

Prepare, let the key sign, finish: between the two nothing may touch the entity, and what somebody else signed or
encrypted is never touched at all.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.message import Message
from gateway.mime.dates import date_time
from gateway.mime.downgrade import downgrade_header
from gateway.mime.entity import parse, parse_under
from gateway.mime.fields import Field, fold, read_header
from gateway.mime.transfer import Foreign, base64_lines, seven_bit
from gateway.smime.classify import LEFT_ALONE, form_of, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from gateway.cms.sign import SigningTemplate
    from gateway.core.octets import Builder
    from gateway.mime.entity import Entity
    from gateway.mime.fields import Header
    from gateway.smime.classify import Form

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
_BESIDE_VERSION: Final = re.compile(rb"\([^()]*\)|\s")
"""What may stand around the version number (RFC 2045 4)."""
_BLIND: Final = frozenset({"bcc", "resent-bcc"})
_PREAMBLE: Final = b"This is an S/MIME signed message\r\n"
_SIGNATURE_HEADER: Final = (
    b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
    b"Content-Description: S/MIME Cryptographic Signature\r\n"
    b"\r\n"
)
_UTF8: Final = codecs.getincrementaldecoder("utf-8")
_TRIES: Final = 3
PROTECTED: Final = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
     "comments", "keywords"}
)  # fmt: skip
"""Fields of the author that header protection copies (RFC 5322 3.6, RFC 9788 2.2): no trace field, never Bcc."""
_COPIED: Final = frozenset({"hp", "protected-headers"})


class Body(StrEnum):
    """What octets may stand in what is signed; named as RFC 6152 and RFC 3030 name them."""

    SEVEN_BIT = "7bit"
    EIGHT_BIT = "8bit"
    """Only what somebody else signed may hold octets above 127; for a way on which every system takes them."""
    BINARY = "binary"
    """Nothing is encoded: for the opaque form, whose octets no transport sees."""


class NoBoundaryError(ValueError):
    """No boundary that was tried fits."""


@dataclass(frozen=True, slots=True)
class Left:
    """The message must stay as it is, octet for octet; `reason` is a stable code."""

    reason: str


class Prepared(NamedTuple):
    """A message taken apart for signing; the entity's octets are final."""

    outer: bytes
    """Header fields that stay outside, each ending in CRLF: all but Content-*, Bcc and a broken MIME-Version."""
    entity: Message
    """What the signature covers: Content-* fields, blank line, body; CRLF, 7-bit as far as `body` says."""
    boundaries: tuple[str, ...]
    """Boundaries used inside: the outer one must not begin with any of them."""
    body: Body = Body.SEVEN_BIT
    protected: bool = False
    """Copies of header fields stand inside."""


def prepare(  # noqa: PLR0913 - one argument for each thing that is known elsewhere
    message: Message,
    *,
    now: datetime,
    new_message_id: Callable[[], str],
    new_builder: Callable[[], Builder],
    body: Body = Body.SEVEN_BIT,
    protect: Collection[str] = (),
    known: tuple[Entity, Form] | None = None,
    above: bytes = b"",
) -> Prepared | Left:
    """Take a message apart; `now` (aware) and `new_message_id` (with brackets) fill in for missing Date and Message-ID.

    The message must be canonical (every line ends in CRLF). Fields named in `protect` (lower case) are copied inside
    with hp="clear", where the Content-Type is one that another parameter can be added to. `known` is the message's part
    tree with what `form_of` says of it, where somebody has asked; `above` are fields, each ending in CRLF, that come to
    stand above all of the message's. Raises `MimeError` over a limit, and `CannotEncode`
    where octets that `body` does not allow stand inside something that somebody else signed.
    """
    if known is None:
        entity = parse(message)
        form = form_of(message, entity)
    else:
        entity, form = known
    if form in LEFT_ALONE:
        return Left(f"already_{form}")
    outer, authors = _outer(message, entity.header, above=above, date=now, new_message_id=new_message_id)
    content = message.slice(entity.body, entity.stop)
    fields, charset = _with_charset(content, entity)
    found: tuple[Message, Entity] | None = None
    if protect and not _COPIED & entity.parameters.keys():
        found = _part(content, entity, _with_copies(authors, fields, protect))
        if not _says_the_same(entity, charset, found[1]):
            found = None
    signed, tree = found or _part(content, entity, fields)
    if body is not Body.BINARY:
        foreign = Foreign.KEEP if body is Body.EIGHT_BIT else Foreign.REFUSE
        signed = seven_bit(signed, tree, new_builder=new_builder, foreign=foreign)
    boundaries = {each.parameters["boundary"] for each in walk(tree) if "boundary" in each.parameters}
    return Prepared(outer, signed, tuple(sorted(boundaries)), body, found is not None)


def _part(content: Message, entity: Entity, fields: list[bytes]) -> tuple[Message, Entity]:
    """Return an entity with these header fields and the message's body, and its part tree."""
    # a message that ends inside its header section, or in a last line without CRLF, is completed before signing: a
    # transport would do it afterwards (RFC 5321 4.1.1.4) and break the signature
    size = len(content)
    missing = (b"\r\n",) if size and content.read(size - 2, size) != b"\r\n" else ()
    signed = Message.join((b"".join((*fields, b"\r\n")), content, *missing))
    return signed, parse(signed) if missing else parse_under(signed, entity)


def _with_copies(authors: list[Field], fields: list[bytes], protect: Collection[str]) -> list[bytes]:
    """Return the fields after copies of outer ones, ASCII where that can be, and hp on Content-Type (RFC 9788 5.2)."""
    copies = b"".join(_without_traps(each) for each in authors if each.key in protect)
    if not copies.isascii():
        raw = Message.of(copies)
        ascii_copies = downgrade_header(raw, read_header(raw))
        if ascii_copies is None:
            return fields
        copies = ascii_copies.octets()
    marked = [
        each.rstrip(b"; \t\r\n") + b';\r\n hp="clear"\r\n' if each.lower().startswith(b"content-type:") else each
        for each in fields
    ]
    return [copies, *marked]


def _says_the_same(entity: Entity, charset: str, copied: Entity) -> bool:
    """True if the part with copies is read as the message's own part, but for hp and a charset that was missing."""
    wanted = dict(entity.parameters)
    if charset:
        wanted["charset"] = charset
    parameters = dict(copied.parameters)
    return (
        parameters.pop("hp", "") == "clear"
        and parameters == wanted
        and (copied.media_type, copied.encoding) == (entity.media_type, entity.encoding)
        and not copied.defects
        and set(entity.defects) <= {"malformed_header"}  # what is malformed stays outside
    )


def _outer(
    message: Message, header: Header, *, above: bytes, date: datetime, new_message_id: Callable[[], str]
) -> tuple[bytes, list[Field]]:
    """Return what stays outside, in its own octets and order, completed with what is missing; and its fields."""
    versions = header.all("mime-version")
    sound = len(versions) == 1 and _BESIDE_VERSION.sub(b"", versions[0].value) == b"1.0"
    gone = {"mime-version", *_BLIND} if not sound else _BLIND
    fields: list[Field] = []
    octets = message.read(0, header.stop)
    pieces = [above]  # what is no field stays where it is
    position = 0
    for each in header.fields:
        if each.key.startswith("content-") or each.key in gone:
            pieces.append(octets[position : each.start])
            position = each.stop
        else:
            fields.append(each)
    kept = b"".join((*pieces, octets[position:]))
    if kept and not kept.endswith(b"\r\n"):
        kept += b"\r\n"
    added: list[Field] = []
    if header.first("date") is None:
        added.append(_field("Date", date_time(date)))
    if header.first("message-id") is None:
        added.append(_field("Message-ID", new_message_id()))
    if not sound:
        added.append(_field("MIME-Version", "1.0"))
    return kept + b"".join(each.raw for each in added), fields + added


def _field(name: str, value: str) -> Field:
    raw = f"{name}: {value}\r\n".encode()
    return Field(name, 0, len(raw), raw, name.lower())


def _with_charset(content: Message, entity: Entity) -> tuple[list[bytes], str]:
    """Return the Content-* fields' octets, and the charset given to a text that names none: the one it is in.

    Without MIME a reader guesses; inside a signed part there must be nothing to guess. Text that is neither ASCII nor
    UTF-8 is declared "unknown-8bit" (RFC 1428 3): naming one of the old Vietnamese charsets would be a guess of ours.
    """
    fields = [each for each in entity.header.fields if each.key.startswith("content-")]
    raw = [_without_traps(each) for each in fields]
    types = [index for index, each in enumerate(fields) if each.key == "content-type"]
    if len(types) > 1 or entity.media_type != "text/plain" or "charset" in entity.parameters:
        return raw, ""
    if not types:
        charset = _charset(content)
        return [f"Content-Type: text/plain; charset={charset}\r\n".encode(), *raw], charset
    if entity.encoding in {"7bit", "8bit", "binary"} and not entity.defects:
        charset = _charset(content)
        if charset != "us-ascii":
            head = raw[types[0]].rstrip(b"; \t\r\n")
            raw[types[0]] = head + f";\r\n charset={charset}\r\n".encode()
            return raw, charset
    return raw, ""


def _without_traps(field: Field) -> bytes:
    """Return a field that goes inside: its own octets, folded anew where blanks stand at the end of a line.

    Outside they do no harm; inside some transports eat them, and with them the signature.
    """
    raw = field.raw if field.raw.endswith(b"\r\n") else field.raw + b"\r\n"
    return fold(field.name, field.value) if raw.find(b" \r\n") >= 0 or raw.find(b"\t\r\n") >= 0 else raw


def _charset(content: Message) -> str:
    if content.seven_bit or all(map(bytes.isascii, content.windows())):
        return "us-ascii"
    decoder = _UTF8()
    try:
        for window in content.windows():
            decoder.decode(window)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "unknown-8bit"
    return "utf-8"


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
    if boundary.startswith(prepared.boundaries):
        raise ValueError("boundary begins with an inner one")
    if prepared.entity.read(0, len(delimiter)) == delimiter or prepared.entity.find(b"\r\n" + delimiter) >= 0:
        raise ValueError("boundary occurs inside")
    head = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        b' micalg=%s; boundary="%s"\r\n' % (micalg.encode(), boundary.encode())
    )
    if prepared.body is not Body.SEVEN_BIT:
        head += b"Content-Transfer-Encoding: 8bit\r\n"
    head += b"\r\n"
    return Message.join(
        (
            prepared.outer + head + _PREAMBLE + b"\r\n" + delimiter + b"\r\n",
            prepared.entity,
            b"\r\n" + delimiter + b"\r\n" + _SIGNATURE_HEADER + base64_lines(cms) + b"\r\n" + delimiter + b"--\r\n",
        )
    )


def finish_clear(prepared: Prepared, *, cms: bytes, micalg: str, new_token: Callable[[], str]) -> Message:
    """Return the message finished with a fresh boundary; the first one practically always fits.

    `new_token` returns random ASCII that nobody else can guess. Raises `NoBoundaryError`.
    """
    for _ in range(_TRIES):
        try:
            return finish(prepared, cms=cms, micalg=micalg, boundary=f"=_{new_token()}")
        except ValueError:
            continue
    raise NoBoundaryError("no boundary fits")


def overhead(template: SigningTemplate) -> int:
    """Return how many octets signing with this key adds at most to a message that is 7-bit already."""
    fixed = 1024  # header fields that may be missing, boundaries of 70 octets, the signature part's own header
    return fixed + len(base64_lines(bytes(template.overhead)))
