"""Messages of the kinds that offices really send, and S/MIME around them, made without `email` (RFC 5322, RFC 8551).

Every person, mailbox and agency here is invented. `signed` goes through `smime.sign`; `clear` and `opaque` put a CMS
around octets by hand, so that a test can build what our own signer never would.
"""

from __future__ import annotations

import base64
import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.cms.algorithms import Scheme, raw_sign
from gateway.cms.sign import SigningTemplate
from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.demo.authority import Authority, Credential, shared_key
from gateway.pki.certificate import Certificate
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.sign import Left, content_digest, finish, prepare
from gateway.smime.verify import verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.verdict import Judgment

NOW: Final = dt.datetime(2026, 11, 24, 1, 30, tzinfo=dt.UTC)
LAN: Final = "hoang.lan@soyte.songlam.example"
BINH: Final = "tran.binh@sotaichinh.songlam.example"
SUBJECT: Final = "=?UTF-8?B?S+G6v3QgcXXhuqMgZ2nhuqNpIHF1eeG6v3QgaOG7kyBzxqE=?="
HEAD: Final = (
    f"From: =?UTF-8?Q?Ho=C3=A0ng_Th=E1=BB=8B_Lan?= <{LAN}>\r\n"
    "To: Nguyen Thi Mai <nguyen.thi.mai@hopthu.example>\r\n"
    f"Subject: {SUBJECT}\r\n"
    "Date: Tue, 24 Nov 2026 08:29:00 +0700\r\n"
    "Message-ID: <2026.17@may-lan.soyte.songlam.example>\r\n"
).encode()
TEXT: Final = "Kính gửi bà Mai,\r\n\r\nHồ sơ của bà đã có kết quả.\r\n\r\nTrân trọng.\r\n"
PLAIN: Final = (
    HEAD
    + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + TEXT.encode()
)
ASCII: Final = HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nKinh gui ba Mai,\r\n\r\nDa co ket qua.\r\n"


@lru_cache(maxsize=4)
def authority(family: int = 0) -> Authority:
    """Return a shared authority."""
    return Authority(NOW, family=family)


@lru_cache(maxsize=8)
def lan(shape: str = "rsa2048") -> Credential:
    """Return the credential of the author of every letter here."""
    return authority().issue("Hoàng Thị Lan", LAN, key=shared_key(shape, 1))  # type: ignore[arg-type]


@lru_cache(maxsize=8)
def binh() -> Credential:
    """Return a credential of somebody else, from the same authority."""
    return authority().issue("Trần Văn Bình", BINH, key=shared_key("p256", 2))


@lru_cache(maxsize=8)
def template(credential: Credential, *, scheme: Scheme | None = None, digest: str | None = None) -> SigningTemplate:
    """Return the template that fits the credential's key."""
    size = credential.key.key_size
    ecdsa = scheme is None and size < 1024
    chosen = scheme or (Scheme.ECDSA if ecdsa else Scheme.PKCS1V15)
    hashed = digest or ("sha384" if size == 384 else "sha256")
    return SigningTemplate.build(credential.certificate, credential.chain, scheme=chosen, digest=hashed)


def signed(
    message: bytes,
    credential: Credential,
    *,
    scheme: Scheme | None = None,
    digest: str | None = None,
    boundary: str = "=_lan0123456789",
    at: dt.datetime = NOW,
) -> bytes:
    """Return the message signed as the gateway signs it, at some moment."""
    chosen = template(credential, scheme=scheme, digest=digest)
    prepared = prepare(
        Message.of(message), now=at, new_message_id=lambda: "<made@here.example>", new_builder=MemoryBuilder
    )
    assert not isinstance(prepared, Left), prepared.reason
    attributes = chosen.to_be_signed(content_digest(prepared, chosen.digest), at)
    value = raw_sign(credential.key, attributes, scheme=chosen.scheme, digest=chosen.digest)
    cms = chosen.finish(attributes, value)
    return finish(prepared, cms=cms, micalg=chosen.micalg, boundary=boundary).octets()


def detached(part: bytes, credential: Credential) -> bytes:
    """Return a detached CMS (DER) over exactly these octets."""
    chosen = template(credential)
    attributes = chosen.to_be_signed(Message.of(part).digest(chosen.digest), NOW)
    return chosen.finish(attributes, raw_sign(credential.key, attributes, scheme=chosen.scheme, digest=chosen.digest))


def base64_lines(octets: bytes) -> bytes:
    """Return base64 in lines that end in CRLF."""
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def clear_entity(part: bytes, cms: bytes, *, boundary: str = "outer", protocol: str = "pkcs7-signature") -> bytes:
    """Return a multipart/signed entity, header included, around any part and any CMS."""
    line = b"--" + boundary.encode()
    return b"".join(
        (
            f'Content-Type: multipart/signed; protocol="application/{protocol}"; micalg=sha-256; '
            f'boundary="{boundary}"\r\n\r\n'.encode(),
            line + b"\r\n" + part + b"\r\n" + line + b"\r\n",
            b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            base64_lines(cms) + line + b"--\r\n",
        )
    )


def clear(part: bytes, credential: Credential, *, head: bytes = HEAD, boundary: str = "outer") -> bytes:
    """Return a clear-signed message around a part (header and body of an entity)."""
    return head + b"MIME-Version: 1.0\r\n" + clear_entity(part, detached(part, credential), boundary=boundary)


def opaque_entity(cms: bytes, *, smime_type: str = "signed-data") -> bytes:
    """Return an application/pkcs7-mime entity around any CMS."""
    return (
        f"Content-Type: application/pkcs7-mime; smime-type={smime_type}; name=smime.p7m\r\n".encode()
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64_lines(cms)
    )


def multipart(kind: str, *parts: bytes, boundary: str = "mixed", parameters: str = "") -> bytes:
    """Return a multipart entity around parts that are given with their headers."""
    line = b"--" + boundary.encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"{parameters}\r\n\r\n'.encode()
    return head + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def text_part(text: str, *, subtype: str = "plain") -> bytes:
    """Return a small ASCII text part."""
    return f"Content-Type: text/{subtype}; charset=us-ascii\r\n\r\n{text}\r\n".encode()


def mail(entity: bytes, *, head: bytes = HEAD) -> bytes:
    """Return a message: header fields, then an entity with its own Content-* fields."""
    return head + b"MIME-Version: 1.0\r\n" + entity


def judged(
    message: bytes | Message,
    *,
    trust: TrustAnchors | None = None,
    revocation: Revocation = Revocation.OFF,
    at: dt.datetime = NOW,
    untrusted: Sequence[bytes] = (),
    crls: Sequence[bytes] = (),
) -> Judgment:
    """Judge a message against the shared authority."""
    anchors = trust or TrustAnchors((Certificate.load(authority().root),), (), ())
    return verify(
        Message.of(message) if isinstance(message, bytes) else message,
        trust=anchors,
        revocation=revocation,
        at=at,
        untrusted=tuple(Certificate.load(each) for each in untrusted),
        crls=crls,
    )


@lru_cache(maxsize=1)
def real_life() -> dict[str, bytes]:
    """Return messages by what is special about them; each is canonical CRLF, and From is always Lan."""
    vietnamese = "Tiếng Việt có dấu: ửng hồng, nghiêng, khuỷu.\r\n"
    html = f"<html><body><p>{vietnamese.strip()}</p></body></html>\r\n"
    part = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    html_part = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    both = multipart("alternative", part + vietnamese.encode(), html_part + html.encode(), boundary="alt")
    pdf = base64_lines(b"%PDF-1.7\n" + bytes(range(256)) * 30)
    attachment = (
        b'Content-Type: application/pdf; name="=?UTF-8?B?UXV54bq/dCDEkeG7i25oLnBkZg==?="\r\n'
        b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; "
        b"filename*=utf-8''Quy%E1%BA%BFt%20%C4%91%E1%BB%8Bnh.pdf\r\n\r\n" + pdf
    )
    calendar = (
        b"Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:H\xe1\xbb\x8dp giao ban\r\nEND:VEVENT\r\n"
        b"END:VCALENDAR\r\n"
    )
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + PLAIN
    tnef = b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    flowed = b"Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\nDong nay \r\ntiep tuc \r\n-- \r\nLan\r\n"
    raw_header = HEAD.replace(SUBJECT.encode(), "Kết quả hồ sơ".encode())
    return {
        "plain_8bit": PLAIN,
        "plain_ascii": ASCII,
        "no_mime": HEAD + b"\r\nKhong co MIME.\r\n",
        "no_mime_8bit": HEAD + b"\r\n" + vietnamese.encode(),
        "no_date_no_id": b"\r\n".join(HEAD.split(b"\r\n")[:3]) + b"\r\n\r\nNgan.\r\n",
        "empty_body": HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n",
        "header_only": HEAD,
        "no_final_line_end": ASCII + b"het",
        "flowed": mail(flowed),
        "long_lines": mail(part + b"a" * 3000 + b"\r\n" + b"b" * 999 + b"\r\n"),
        "traps": mail(text_part("From dau dong\r\n.\r\ncach cuoi dong  \r\n..\r\n--outer\r\nhet")),
        "alternative": mail(both),
        "attachment": mail(multipart("mixed", both, attachment)),
        "calendar": mail(multipart("mixed", both, calendar)),
        "forwarded": mail(multipart("mixed", text_part("Xem thu kem."), forwarded)),
        "only_forwarded_marked": mail(b"Content-Type: message/rfc822; forwarded=yes\r\n\r\n" + ASCII),
        "winmail": mail(multipart("mixed", text_part("Xem tep."), tnef + base64_lines(bytes(range(200))))),
        "binary_leaf": mail(
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\xff\x80"
        ),
        "raw_utf8_subject": raw_header + b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nNgan.\r\n",
        "quoted_printable": mail(
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            b"Ti=E1=BA=BFng Vi=E1=BB=87t =\r\nd=C3=A0i.\r\n"
        ),
        "related_html": mail(
            multipart("related", html_part + html.encode(), attachment, parameters='; type="text/html"')
        ),
    }
