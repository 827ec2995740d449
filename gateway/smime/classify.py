"""What form of protection a message claims, and what kind of mail it is (RFC 1847, RFC 8551 3, RFC 3156, RFC 3834).

A form is a claim, never a finding: nothing here may be taken for a check, and no body is ever decoded as a whole.
"""

from __future__ import annotations

import binascii
import re
import string
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gateway.core.octets import linear_pattern
from gateway.mime.partial import decoded_begin

if TYPE_CHECKING:
    from gateway.core.message import Message
    from gateway.mime.entity import Entity

SIGNATURE_TYPES: Final = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
CMS_TYPES: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_PREFIX: Final = 2048
"""Octets of a body that sniffing may look at."""
_FIRST_LINES: Final = 10
"""Lines in which inline PGP must begin: a quoted block further down is somebody else's."""
_CMS_OIDS: Final = {
    bytes.fromhex("06092a864886f70d010702"): "signed-data",
    bytes.fromhex("06092a864886f70d010703"): "enveloped-data",
    bytes.fromhex("06092a864886f70d010704"): "enveloped-data",  # signedAndEnvelopedData (RFC 2315)
    bytes.fromhex("06092a864886f70d010706"): "enveloped-data",  # encryptedData: no smime-type of its own
    bytes.fromhex("060b2a864886f70d0109100117"): "authenveloped-data",
    bytes.fromhex("060b2a864886f70d0109100109"): "compressed-data",
}

_SEALED: Final = re.compile(
    b"|".join(re.escape(oid[2:]) for oid, name in _CMS_OIDS.items() if name != "signed-data"), re.DOTALL
)
"""Object identifiers without tag and length, which BER lets anybody write in several ways."""
_PGP_TYPES: Final = frozenset({"application/pgp-encrypted", "application/pgp"})
"""Parts that readers decrypt wherever they stand: Exchange takes multipart/encrypted apart, and they mend it."""
_ARMOR: Final = b"-----BEGIN PGP MESSAGE-----"
_SEALED_TEXT: Final = re.compile(
    rb"(?:(?:^|\r)[ \t\x0b\x0c\x80-\xbf\xc2\xe2\xef]*|>)"
    + _ARMOR
    + rb"|(?:^|\r)begin [0-7]{3,4} [^\r\n]{0,200}\.[Pp]7[Mm]\b",
    re.MULTILINE,
)
"""Some read a CR as a line end; in front may stand blanks and what shows nothing (U+00A0, U+200B, U+FEFF)."""
_MARKUP: Final = rb"""<!--(?s:.)*?-->|<(?:[^>"']|"[^"]*"|'[^']*')*>|<[^>]*>"""
_HTML_BLANK: Final = (
    rb"(?:[\s\xa0]|\xc2\xa0|&nbsp;?|&#0*(?:9|10|13|32|160);?|&#[xX]0*(?:9|[aAdD]|20|[aA]0);?|" + _MARKUP + rb")+"
)


def _in_html(line: bytes) -> Any:
    """Return what finds a line that readers of HTML show, with whatever tags, comments and entities in it (RE2)."""
    letters = [
        _HTML_BLANK if octet == b" "[0] else rb"(?:\x%02x|&#0*%d;?|(?i:&#x0*%x;?))" % (octet, octet, octet)
        for octet in line
    ]
    return linear_pattern((rb"(?:" + _MARKUP + rb")*").join(letters))


_HTML_BEGIN: Final[Any] = _in_html(_ARMOR)
_HTML_END: Final[Any] = _in_html(b"-----END PGP MESSAGE-----")
_TEXT_OCTETS: Final = 256 * 1024
"""Of a text, decoded, in which ciphertexts are looked for."""
_NAMED_AS_CMS: Final = re.compile(rb"pkcs7-mime|\.p7m", re.IGNORECASE)
_EQUALS: Final = ord("=")
_NEAR_TOP: Final = 48
"""Octets of a CMS in which its content type stands."""


class Form(StrEnum):
    """How a message is protected, as it claims at its top."""

    PLAIN = "plain"
    CLEAR_SIGNED = "clear_signed"
    """multipart/signed with a CMS signature."""
    OPAQUE_SIGNED = "opaque_signed"
    """CMS SignedData that holds the content."""
    ENCRYPTED = "encrypted"
    """CMS EnvelopedData or AuthEnvelopedData."""
    COMPRESSED = "compressed"
    CERTIFICATES_ONLY = "certificates_only"
    """CMS SignedData that only carries certificates (RFC 8551 3.8)."""
    PGP_SIGNED = "pgp_signed"
    PGP_ENCRYPTED = "pgp_encrypted"
    PGP_INLINE = "pgp_inline"
    OTHER_SIGNED = "other_signed"
    """multipart/signed of a protocol unknown here, or a detached signature by itself."""
    OTHER_ENCRYPTED = "other_encrypted"


LEFT_ALONE: Final = frozenset(Form) - {Form.PLAIN, Form.COMPRESSED, Form.CERTIFICATES_ONLY}
"""Forms that somebody else made with a key: not one octet of their bodies may change."""

_TNEF: Final = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_BY_SMIME_TYPE: Final = {
    "signed-data": Form.OPAQUE_SIGNED,
    "signed-receipt": Form.OPAQUE_SIGNED,
    "enveloped-data": Form.ENCRYPTED,
    "authenveloped-data": Form.ENCRYPTED,
    "compressed-data": Form.COMPRESSED,
    "certs-only": Form.CERTIFICATES_ONLY,
}
_SIGNED_PROTOCOLS: Final = {"application/pgp-signature": Form.PGP_SIGNED}
_ENCRYPTED_PROTOCOLS: Final = {"application/pgp-encrypted": Form.PGP_ENCRYPTED}


@dataclass(frozen=True, slots=True)
class Traits:
    """What kind of mail it is, as far as senders mark it; each is a claim of the sender."""

    report: bool
    """multipart/report (RFC 6522), disposition notifications included."""
    mdn: bool
    """A message disposition notification (RFC 8098)."""
    auto_submitted: bool
    """Auto-Submitted other than "no" (RFC 3834)."""
    list_mail: bool
    """List-Id (RFC 2919) or Precedence: list."""
    calendar: bool
    """Holds text/calendar (RFC 5545)."""
    tnef: bool
    """Holds winmail.dat."""


def walk(entity: Entity) -> list[Entity]:
    """Return the entity and everything below it, depth first; iterative, since the depth is an attacker's choice.

    Whole: a generator that is left early is closed by an exception, which costs more than the parts that nobody asks
    for.
    """
    found: list[Entity] = []
    waiting = [entity]
    while waiting:
        current = waiting.pop()
        found.append(current)
        if current.children:
            waiting.extend(reversed(current.children))
    return found


def form_of(message: Message, entity: Entity) -> Form:
    """Return the form that the top of `entity` claims, or PLAIN."""
    if entity.media_type == "multipart/signed":
        return _signed_form(entity)
    if entity.media_type == "multipart/encrypted":
        return _ENCRYPTED_PROTOCOLS.get(_token(entity, "protocol"), Form.OTHER_ENCRYPTED)
    if is_cms(entity):
        return _cms_form(message, entity)
    if entity.media_type in SIGNATURE_TYPES:  # a signature that has lost what it signs: to sign it again says nothing
        return Form.OTHER_SIGNED
    return Form.PGP_INLINE if _begins_with_pgp(message, entity) else Form.PLAIN


def _signed_form(entity: Entity) -> Form:
    protocol = _token(entity, "protocol")
    if protocol in SIGNATURE_TYPES or any(child.media_type in SIGNATURE_TYPES for child in entity.children):
        return Form.CLEAR_SIGNED
    return _SIGNED_PROTOCOLS.get(protocol, Form.OTHER_SIGNED)


def is_cms(entity: Entity) -> bool:
    """Return True if the body is CMS by its type, or by a file name where the type says nothing (RFC 8551 3.2.1)."""
    if entity.media_type in CMS_TYPES:
        return True
    return entity.media_type == "application/octet-stream" and file_name(entity).lower().endswith(".p7m")


def is_signature(entity: Entity) -> bool:
    """Return True for a detached CMS signature by its type, or by a file name where the type says nothing."""
    if entity.media_type in SIGNATURE_TYPES:
        return True
    return entity.media_type == "application/octet-stream" and file_name(entity).lower().endswith(".p7s")


def file_name(entity: Entity) -> str:
    """Return the name in Content-Type or Content-Disposition, "" without one; never more than a hint."""
    if "name" in entity.parameters:
        return entity.parameters["name"]
    field = entity.header.first("content-disposition")
    match = re.search(rb'filename\*?=\s*"?([^";]{1,255})', field.value, re.IGNORECASE) if field is not None else None
    return match[1].decode("utf-8", "replace").strip() if match is not None else ""


def _cms_form(message: Message, entity: Entity) -> Form:
    """What the octets begin with counts before what the parameter claims: readers decode, they do not believe."""
    claimed = _BY_SMIME_TYPE.get(_token(entity, "smime-type"))
    found = _BY_SMIME_TYPE.get(_sniff(decoded_prefix(message, entity)))
    if found is Form.OPAQUE_SIGNED and claimed is Form.CERTIFICATES_ONLY:
        return claimed
    if found is Form.OPAQUE_SIGNED and claimed is None and file_name(entity).lower().endswith(".p7c"):
        return Form.CERTIFICATES_ONLY
    if found is None and entity.media_type == "application/octet-stream":
        return Form.PLAIN
    return found or claimed or Form.OPAQUE_SIGNED


def holds_signed_data(message: Message, entity: Entity) -> bool:
    """Return True if the octets, as they are decoded, begin as a SignedData does; what is claimed does not count."""
    return _sniff(decoded_prefix(message, entity)) == "signed-data"


def seems_sealed(message: Message, entity: Entity) -> bool:
    """Return True for a leaf that some reader could take for a ciphertext, however type and encoding are spelled."""
    if entity.children or entity.media_type.startswith("multipart/"):
        return False
    if entity.media_type in _PGP_TYPES:
        return True
    raw = message.read(entity.body, min(entity.stop, entity.body + _PREFIX))
    if _SEALED.search(raw, 0, _NEAR_TOP) or _SEALED.search(_from_letters(raw, _NEAR_TOP), 0, _NEAR_TOP):
        return True
    if _EQUALS in raw and _SEALED.search(binascii.a2b_qp(raw), 0, _NEAR_TOP):
        return True
    fields = (*entity.header.all("content-type"), *entity.header.all("content-disposition"))
    named = any(_NAMED_AS_CMS.search(field.value) for field in fields)
    return (named or is_cms(entity)) and not holds_signed_data(message, entity)


def holds_sealed_text(message: Message, entity: Entity) -> bool:
    """Return True for a text in which some reader finds a ciphertext and shows what is in it (EFAIL).

    Plug-ins for PGP decrypt a block wherever it stands in plain text or HTML; uuencoded files become parts.
    """
    if not entity.media_type.startswith("text/") or entity.children:
        return False
    octets = decoded_begin(message, entity, limit=_TEXT_OCTETS)[0].replace(b"\0", b"")  # as in UTF-16
    if entity.media_type != "text/plain":
        begin = _HTML_BEGIN.search(octets)
        if begin is not None and _HTML_END.search(octets, begin.end()) is not None:
            return True  # no line of HTML tells where one begins on the screen
    if octets.find(_ARMOR) < 0 and octets.find(b"begin ") < 0:
        return False
    return _SEALED_TEXT.search(octets) is not None


def _token(entity: Entity, name: str) -> str:
    return entity.parameters.get(name, "").strip().lower()


def decoded_prefix(message: Message, entity: Entity) -> bytes:
    """Return the first octets of a body, transfer-decoded as far as that goes; wrong encodings end it early."""
    raw = message.read(entity.body, min(entity.stop, entity.body + _PREFIX))
    if entity.encoding == "base64":
        return _from_letters(raw)
    if entity.encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw


_NO_LETTERS: Final = bytes(set(range(256)) - set(string.ascii_letters.encode() + string.digits.encode() + b"+/"))


def _from_letters(raw: bytes, most: int = _PREFIX) -> bytes:
    """Return base64 decoded as far as there are whole groups, whatever stands between its letters; so many octets."""
    letters = raw.translate(None, _NO_LETTERS)[: most // 3 * 4]
    return binascii.a2b_base64(letters[: len(letters) // 4 * 4])


def _sniff(octets: bytes) -> str:
    """Return the smime-type of a ContentInfo by its contentType (RFC 5652 3), "" if it is none."""
    if octets[:1] != b"\x30" or len(octets) < 2:  # noqa: PLR2004 - tag and length
        return ""
    length = octets[1]
    start = 2 + (length & 0x7F if length & 0x80 else 0)
    return next((name for oid, name in _CMS_OIDS.items() if octets.startswith(oid, start)), "")


def _begins_with_pgp(message: Message, entity: Entity) -> bool:
    """Return True if the first text that is shown begins with an armor line (RFC 9580 6.2)."""
    for each in walk(entity):
        if each.media_type.startswith("text/") and not each.children:
            armor = (b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP MESSAGE-----")
            return _armored(decoded_prefix(message, each), *armor)
    return False


def _armored(octets: bytes, *armor: bytes) -> bool:
    """Return True if one of the first lines is one of these."""
    if octets.find(b"-----BEGIN PGP ") < 0:
        return False
    return any(line.rstrip() in armor for line in octets.split(b"\n", _FIRST_LINES)[:_FIRST_LINES])


def traits_of(message: Message, entity: Entity) -> Traits:
    """Return what kind of mail it is; looks at headers and types only."""
    del message  # kept in the signature: later marks (document numbers) are found in bodies
    header = entity.header
    submitted = [re.split(rb"[;(\s]", each.value.strip().lower())[0] for each in header.all("auto-submitted")]
    precedence = [each.value.strip().lower() for each in header.all("precedence")]
    parts = walk(entity)
    kinds = {each.media_type for each in parts}
    report = entity.media_type == "multipart/report"
    return Traits(
        report=report,
        mdn=report and _token(entity, "report-type") == "disposition-notification",
        auto_submitted=not {b"no", b""}.issuperset(submitted),
        list_mail=bool(header.all("list-id")) or b"list" in precedence,
        calendar="text/calendar" in kinds,
        tnef=not _TNEF.isdisjoint(kinds) or "winmail.dat" in [file_name(each).lower() for each in parts],
    )
