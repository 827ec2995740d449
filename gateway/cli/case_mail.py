"""The messages of test cases: from a few words of what matters to octets as a mail client writes them (RFC 5322, 2045).

Every name and text of a case is put where a real client puts it; what a form needs beside that is a token of it, enough
to be recognized and no more.
"""

from __future__ import annotations

import mimetypes
from base64 import encodebytes
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from gateway.mime.fields import encode_text, fold

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

_BOUNDARY: Final = "=_phan"
_LINE: Final = "Kính gửi Quý cơ quan, đây là nội dung thử nghiệm quy định thư.\n"
_CMS_PREFIX: Final = {
    "opaque_signed": ("signed-data", "06092a864886f70d010702"),
    "encrypted": ("enveloped-data", "06092a864886f70d010703"),
    "compressed": ("compressed-data", "060b2a864886f70d0109100109"),
    "certificates_only": ("certs-only", "06092a864886f70d010702"),
}
_WRAPPED: Final = {
    "clear_signed": ("signed", "application/pkcs7-signature"),
    "pgp_signed": ("signed", "application/pgp-signature"),
    "other_signed": ("signed", "application/x-khac"),
    "pgp_encrypted": ("encrypted", "application/pgp-encrypted"),
    "other_encrypted": ("encrypted", "application/x-khac"),
}
_ARMOR: Final = "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"


@dataclass(frozen=True, slots=True)
class File:
    """An attachment: its name, and whether it is to look like a signed PDF."""

    name: str
    signed_pdf: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """What a case says of its message; texts as a reader sees them."""

    sender: str | None
    """`Name <mailbox>` or a mailbox; None leaves From out."""
    subject: str = ""
    text: str = ""
    attachments: tuple[File, ...] = ()
    form: str = "plain"
    traits: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    octets: int = 0
    """The text is filled up until the message has at least so many."""


def compose(mail: Mail, *, to: str, at: dt.datetime) -> bytes:
    """Return the message, canonical; `at` (aware) is its Date."""
    named = [("From", _address(mail.sender))] if mail.sender is not None else []
    head = [
        *named,
        ("To", f"<{to}>".encode()),
        ("Subject", encode_text(mail.subject)),
        ("Date", format_datetime(at).encode()),
        ("Message-ID", b"<truong-hop@may-tram.example>"),
        ("MIME-Version", b"1.0"),
    ]
    if "auto_reply" in mail.traits:
        head.append(("Auto-Submitted", b"auto-replied"))
    if "list" in mail.traits:
        head.append(("List-Id", b"<danh-sach.may-tram.example>"))
    head += [(name, encode_text(text)) for name, text in mail.headers.items()]
    fields = b"".join(fold(name, value) for name, value in head)
    return fields + _entity(mail, mail.octets - len(fields))


def _address(sender: str) -> bytes:
    name, bracket, rest = sender.rpartition("<")
    return encode_text(name.strip()) + b" <" + rest.encode() if bracket and name.strip() else sender.encode()


def _entity(mail: Mail, octets: int) -> bytes:
    """Return the rest of the header, the blank line and the body."""
    if mail.form in _CMS_PREFIX:
        return _cms(*_CMS_PREFIX[mail.form])
    text = mail.text or _LINE
    if mail.form == "pgp_inline":
        text = _ARMOR + text
    text += _LINE * (max(octets, 0) // len(_LINE.encode()) + 1 if octets > 0 else 0)
    parts = [_text(text), *(_file(each) for each in mail.attachments)]
    if "calendar" in mail.traits:
        parts.append(_part("text/calendar; charset=utf-8; method=REQUEST", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"))
    if "tnef" in mail.traits:
        parts.append(_part('application/ms-tnef; name="winmail.dat"', b"\x78\x9f\x3e\x22"))
    if mail.traits & {"report", "mdn"}:
        kind = "disposition-notification" if "mdn" in mail.traits else "delivery-status"
        return _multipart(f"report; report-type={kind}", [*parts, _part(f"message/{kind}", b"Reporting-UA: thu\r\n")])
    inner = parts[0] if len(parts) == 1 else _multipart("mixed", parts)
    if mail.form in _WRAPPED:
        subtype, protocol = _WRAPPED[mail.form]
        outer = f'{subtype}; protocol="{protocol}"; micalg=sha-256'
        return _multipart(outer, [inner, _part(protocol, b"MIAG")], boundary="=_ngoai")
    return inner


def _multipart(subtype: str, parts: list[bytes], *, boundary: str = _BOUNDARY) -> bytes:
    head = f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'.encode()
    lines = b"".join(f"\r\n--{boundary}\r\n".encode() + each for each in parts)
    return head + lines + f"\r\n--{boundary}--\r\n".encode()


def _text(text: str) -> bytes:
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head + text.replace("\n", "\r\n").encode()


def _file(file: File) -> bytes:
    """Return an attachment with its name as clients write it: an encoded word where it is not ASCII."""
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    content = b"%PDF-1.7\n<< /Type /Sig /ByteRange [0 10 20 30] >>\n" if file.signed_pdf else b"%PDF-1.7\n"
    name = f'"{file.name}"' if file.name.isascii() else f'"{encode_text(file.name).decode()}"'
    return _part(f"{kind}; name={name}", content, f"Content-Disposition: attachment; filename={name}\r\n")


def _part(kind: str, content: bytes, more: str = "") -> bytes:
    head = f"Content-Type: {kind}\r\n{more}Content-Transfer-Encoding: base64\r\n\r\n".encode()
    return head + encodebytes(content).replace(b"\n", b"\r\n")


def _cms(smime_type: str, oid: str) -> bytes:
    value = bytes.fromhex(oid)
    return _part(
        f"application/pkcs7-mime; smime-type={smime_type}; name=smime.p7m", b"\x30" + bytes([len(value)]) + value
    )
