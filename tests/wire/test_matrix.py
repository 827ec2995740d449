"""Every kind of content with every kind of key, after a real Postfix hop, judged by four other programs.

What Dovecot has is cut by the tests' own splitter, and read by Python's own reader of mail before and after.
"""

from __future__ import annotations

import email
import email.policy
import smtplib
import ssl
from typing import TYPE_CHECKING, Final

import pytest

from support.gateway_process import AUTHORS, LOGIN, root_pem
from support.letters import HEAD, LAN, base64_lines, mail, multipart, text_part
from support.town import OUTSIDE
from support.verifiers import Gpgsm, bouncycastle_verify, nss_verify, openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message

    from support.town import Found, Town

KEYS: Final = ("rsa2048", "rsa3072", "pss", "p256")
_UTF8: Final = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
_HTML: Final = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
_VIETNAMESE: Final = "Kính gửi Quý cơ quan,\r\n\r\nNghiêng nghiêng, khúc khuỷu, ửng hồng.\r\n".encode()
_PDF: Final = base64_lines(b"%PDF-1.7\n" + bytes(range(256)) * 20)
CONTENTS: Final = {
    "plain": mail(text_part("Kinh gui ba Mai,\r\n\r\nDa co ket qua.")),
    "html_alternative": mail(
        multipart("alternative", _UTF8 + _VIETNAMESE, _HTML + b"<p>" + _VIETNAMESE + b"</p>\r\n", boundary="alt")
    ),
    "attachments": mail(
        multipart(
            "mixed",
            _UTF8 + _VIETNAMESE,
            b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n"
            b"Content-Disposition: attachment; filename=a.pdf\r\n\r\n" + _PDF,
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\x01\xff\x80\xfe",
        )
    ),
    "eight_bit": mail(_UTF8 + _VIETNAMESE),
    "flowed": mail(
        b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n\r\n"
        b"Mot dong dai \r\nchay tiep \r\n\r\n-- \r\nLan\r\n"
    ),
    "long_lines": mail(_UTF8 + _VIETNAMESE.replace(b"\r\n", b" ") * 60 + b"\r\n" + b"x" * 5000 + b"\r\n"),
    "trailing_spaces": mail(text_part("mot   \r\nhai\t\r\n \r\nba ")),
    "from_lines": mail(text_part("From nay ve sau\r\n>From do\r\nFrom \r\n.\r\n..\r\nhet")),
    "nested_rfc822": mail(
        multipart(
            "mixed",
            text_part("Chuyen tiep."),
            b"Content-Type: message/rfc822\r\n\r\n" + HEAD + b"MIME-Version: 1.0\r\n" + _UTF8 + _VIETNAMESE,
        )
    ),
    "empty_body": HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n",
    "single_non_text": mail(
        b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + _PDF
    ),
    "vietnamese_file_names": mail(
        multipart(
            "mixed",
            text_part("Xem tep."),
            b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;"
            b" filename*0*=utf-8''Quy%E1%BA%BFt%20%C4%91%E1%BB%8Bnh;\r\n filename*1*=%20s%E1%BB%91%2017.pdf\r\n\r\n"
            + _PDF,
            'Content-Type: image/png; name="Ảnh hiện trường.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode()
            + _PDF,
        )
    ),
}
CASES: Final = [(kind, key) for kind in CONTENTS for key in KEYS]


def letter(kind: str, key: str) -> bytes:
    """Return the content as the holder of this key sends it."""
    return CONTENTS[kind].replace(LAN.encode(), AUTHORS[key].encode())


def box(kind: str, key: str) -> str:
    return f"m-{kind.replace('_', '-')}-{key}@{OUTSIDE}"


@pytest.fixture(scope="module")
def arrived(town: Town) -> Mapping[tuple[str, str], Found]:
    """Everything, sent over one connection with STARTTLS and AUTH, as it lies in the mailboxes."""
    house = town.gate.house
    with smtplib.SMTP("127.0.0.1", house.port("submission"), timeout=120) as client:
        client._host = "localhost"
        client.starttls(context=ssl.create_default_context(cafile=str(house.server_pem)))
        client.login(*LOGIN)
        for kind, key in CASES:
            client.sendmail(AUTHORS[key], [box(kind, key)], letter(kind, key), mail_options=["BODY=8BITMIME"])
    return {(kind, key): town.delivered(box(kind, key), letter(kind, key)) for kind, key in CASES}


@pytest.fixture(scope="module")
def castle(
    arrived: Mapping[tuple[str, str], Found], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[tuple[str, str], bool]:
    """What Bouncy Castle says; one JVM for all."""
    cases = [(each.cut.part, each.cut.cms, root_pem()) for each in arrived.values()]
    return dict(zip(arrived, bouncycastle_verify(cases, tmp_path_factory.mktemp("castle")), strict=True))


@pytest.fixture(scope="module")
def gpgsm() -> Iterator[Gpgsm]:
    """One gpgsm for all."""
    with Gpgsm(root_pem()) as peer:
        yield peer


@pytest.mark.parametrize(("kind", "key"), CASES)
def test_four_verifiers_take_it(
    kind: str,
    key: str,
    arrived: Mapping[tuple[str, str], Found],
    castle: Mapping[tuple[str, str], bool],
    gpgsm: Gpgsm,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """OpenSSL, gpgsm, NSS and Bouncy Castle each say "good" of what the recipient has."""
    found = arrived[kind, key].cut
    tmp = tmp_path_factory.mktemp("judge")
    assert openssl_verify(found.part, found.cms, root_pem(), tmp)
    assert gpgsm.verify(found.part, found.cms)
    assert nss_verify(found.part, found.cms, root_pem(), tmp)
    assert castle[kind, key]


@pytest.mark.parametrize(("kind", "key"), CASES)
def test_the_reader_reads_the_same(kind: str, key: str, arrived: Mapping[tuple[str, str], Found]) -> None:
    """Structure, types, file names and decoded contents are what the client sent."""
    found = arrived[kind, key]
    assert shown(found.cut.part) == shown(found.sent)


@pytest.mark.parametrize(("kind", "key"), CASES)
def test_outer_fields_keep_every_octet(kind: str, key: str, arrived: Mapping[tuple[str, str], Found]) -> None:
    """Every field the client sent, Content-* and MIME-Version aside, stands in the received header as it was."""
    found = arrived[kind, key]
    header = found.sent.partition(b"\r\n\r\n")[0] + b"\r\n"
    for field in header.replace(b"\r\n ", b"\0").replace(b"\r\n\t", b"\1").split(b"\r\n")[:-1]:
        raw = field.replace(b"\0", b"\r\n ").replace(b"\1", b"\r\n\t")
        if not raw.lower().startswith((b"content-", b"mime-version")):
            assert raw + b"\r\n" in found.cut.header


def shown(octets: bytes) -> list[tuple[str, str | None, bytes]]:
    """Return type, file name and decoded content of every part, as Python's reader sees them."""
    tree: Message = email.message_from_bytes(octets, policy=email.policy.default)
    return [
        (part.get_content_type(), part.get_filename(), _content(part))
        for part in tree.walk()
        if part.get_content_type() != "message/rfc822"
    ]


def _content(part: Message) -> bytes:
    if part.is_multipart():
        return b""
    return bytes(part.get_payload(decode=True) or b"").rstrip(b"\r\n")  # type: ignore[arg-type]
