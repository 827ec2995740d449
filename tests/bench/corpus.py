"""Letters as an office sends them, made from nothing but a seed: the same ones on every machine, 95 KB on average.

Of ten letters three are plain text, three have an HTML twin, one shows an image, three bring a document along.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from support.letters import LAN, base64_lines, multipart

if TYPE_CHECKING:
    from collections.abc import Sequence

SENTENCES: Final = (
    "Căn cứ Luật Giao dịch điện tử và kế hoạch công tác năm của Ủy ban nhân dân tỉnh Sông Lam;",
    "Văn phòng đề nghị các đơn vị báo cáo kết quả thực hiện trước ngày 25 hằng tháng.",
    ".Hồ sơ kèm theo gồm: tờ trình, dự thảo quyết định, bảng tổng hợp ý kiến góp ý.",
    "> Trong quá trình thực hiện nếu có vướng mắc, đề nghị phản ánh để được hướng dẫn.",
    "The minutes of the meeting are attached; please confirm by Friday.",
    "",
    "Trân trọng cảm ơn sự phối hợp của quý cơ quan./.",
)
DOCUMENTS: Final = (42_000, 125_000, 470_000)
"""Octets of the documents, before base64."""
LARGE: Final = (11_000_000, 17_400_000)
"""Smallest and largest document of the large letters: 15 to 24 MB as sent."""
_HEAD: Final = (
    f"From: =?UTF-8?Q?Ho=C3=A0ng_Th=E1=BB=8B_Lan?= <{LAN}>\r\nTo: <dan@ngoai.example>\r\n"
    "Subject: =?UTF-8?B?QsOhbyBjw6FvIGvhur90IHF14bqj?= so {number}\r\nDate: {date}\r\n"
    "Message-ID: <{number}.kho@may-lan.soyte.songlam.example>\r\nX-Mailer: Thunderbird\r\nMIME-Version: 1.0\r\n"
)


def letters(count: int, *, date: str) -> list[bytes]:
    """Return so many letters."""
    return [_head(number, date) + _entity(number) for number in range(count)]


def large(count: int, *, date: str) -> list[bytes]:
    """Return letters with one big document each."""
    least, most = LARGE
    sizes = [least + (most - least) * number // max(count - 1, 1) for number in range(count)]
    return [
        _head(number, date) + multipart("mixed", _text(_dice(number), 900), _document(_dice(number), size))
        for number, size in enumerate(sizes)
    ]


def with_document(count: int, octets: int, *, date: str) -> list[bytes]:
    """Return letters with one document each, of about so many octets as sent."""
    return [
        _head(number, date) + multipart("mixed", _text(_dice(number), 900), _document(_dice(number), octets * 57 // 78))
        for number in range(count)
    ]


def mean(messages: Sequence[bytes]) -> float:
    """Return the average of their octets."""
    return sum(map(len, messages)) / len(messages)


def _head(number: int, date: str) -> bytes:
    return _HEAD.format(number=number, date=date).encode()


def _dice(number: int) -> random.Random:
    return random.Random(number)  # noqa: S311 - the same letters each time


def _entity(number: int) -> bytes:
    dice, kind = _dice(number), number % 10
    text = _text(dice, 400 + dice.randrange(4000))
    both = multipart("alternative", text, _html(dice, 2000 + dice.randrange(9000)), boundary=f"hai-{number}")
    if kind < 3:
        return text
    if kind < 6:
        return both
    if kind == 6:
        picture = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <dau>\r\n\r\n"
        return multipart("related", both, picture + base64_lines(dice.randbytes(12_000)))
    return multipart("mixed", both, _document(dice, DOCUMENTS[kind - 7]))


def _lines(dice: random.Random, octets: int) -> list[str]:
    found: list[str] = []
    while octets > 0:
        found.append(dice.choice(SENTENCES))
        octets -= len(found[-1].encode()) + 2
    return found


def _text(dice: random.Random, octets: int) -> bytes:
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head + "\r\n".join([*_lines(dice, octets), ""]).encode()


def _html(dice: random.Random, octets: int) -> bytes:
    head = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><body>\r\n"
    paragraphs = "\r\n".join(f"<p style='margin:0'>{line}</p>" for line in _lines(dice, octets))
    return head + paragraphs.encode() + b"\r\n</body></html>\r\n"


def _document(dice: random.Random, octets: int) -> bytes:
    head = (
        "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        "Content-Disposition: attachment;\r\n filename*=UTF-8''B%C3%A1o%20c%C3%A1o.pdf\r\n\r\n"
    )
    return head.encode() + base64_lines(b"%PDF-1.7\n" + dice.randbytes(octets) + b"\n%%EOF\n")
