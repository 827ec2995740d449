"""The short mail that tells a sender what happened to a message that did go out, but not as asked (RFC 3834).

It is machine-made: null reverse-path, `Auto-Submitted`, and nothing of the message but its subject and Message-ID.
"""

from __future__ import annotations

from base64 import encodebytes
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Envelope, Notify, Recipient
from gateway.core.message import Message
from gateway.mime.fields import decode_text, encode_text, fold

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.mime.fields import Header

_TEXT = """\
Kính gửi Ông/Bà,

Thư dưới đây đã được chuyển đi nhưng KHÔNG có chữ ký số, vì {vietnamese}.

    Tiêu đề: {subject}
    Mã thư:  {message_id}

Vui lòng liên hệ quản trị thư điện tử của đơn vị nếu thư này cần chữ ký.

--
The message named above was sent WITHOUT a digital signature, because {english}.
Please ask your mail administrator if it needs one.
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """A finished notice and the envelope it travels in."""

    envelope: Envelope
    message: Message


def unsigned_notice(
    to: Mailbox, header: Header, *, hostname: str, now: datetime, token: str, vietnamese: str, english: str
) -> Notice:
    """Return the notice that a message was sent unsigned; `token` makes its Message-ID unique."""
    subject_field, id_field = header.first("subject"), header.first("message-id")
    subject = decode_text(subject_field.value)[:200] if subject_field else "(không có / none)"
    message_id = id_field.value.decode("utf-8", "replace")[:200] if id_field else "(không có / none)"
    text = _TEXT.format(vietnamese=vietnamese, english=english, subject=subject, message_id=message_id)
    head = (
        fold("From", encode_text("Cổng thư điện tử") + f" <postmaster@{hostname}>".encode()),
        fold("To", f"<{to}>".encode("ascii", "replace")),
        fold("Subject", encode_text("Thư đã gửi không có chữ ký số / sent without a signature")),
        fold("Date", format_datetime(now).encode()),
        fold("Message-ID", f"<{token}@{hostname}>".encode()),
        fold("Auto-Submitted", b"auto-replied"),
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    )
    return Notice(
        Envelope(NULL_PATH, (Recipient(to, frozenset[Notify]()),)),
        Message.of(b"".join(head) + _base64_lines(text)),
    )


def _base64_lines(text: str) -> bytes:
    """Return the text as base64 with CRLF line ends inside and outside."""
    return encodebytes(text.replace("\n", "\r\n").encode()).replace(b"\n", b"\r\n")
