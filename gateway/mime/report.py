"""Delivery status notifications: what became of a message, for people and machines (RFC 3461, RFC 3464, RFC 6522).

Everything in one is 7-bit, but for a message that is returned whole and is not. What a peer, a sender or a message
gave us must never end a line, or stand where a machine reads a field of ours.
"""

from __future__ import annotations

import binascii
import re
from base64 import encodebytes
from dataclasses import dataclass
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.envelope import Ret
from gateway.core.local import in_words
from gateway.core.message import Message
from gateway.mime.fields import MimeError, decode_text, encode_text, fold, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gateway.core.address import Mailbox
    from gateway.core.envelope import Recipient
    from gateway.core.reply import Reply

MOST_RETURNED: Final = 64 * 1024
"""Octets of a message that are sent back whole where RET=FULL asks for it; of a larger one only its header is."""
MOST_HEADER: Final = 32 * 1024
"""Octets of a header section that are sent back."""
_EIGHT_BIT: Final = b"Content-Transfer-Encoding: 8bit\r\n"
_CONTENT: Final = (b"\r\nContent-Type: message/rfc822\r\n", b"\r\nContent-Type: message/global\r\n")
_BOUNDARY: Final = re.compile(rb'boundary="(=_[^"\r\n]+)"\r\n\r\n')
_PARTS: Final = 3
_MOST_LINE: Final = 998  # RFC 5322 2.1.1
_MOST_FIELD: Final = 900
_MOST_SHOWN: Final = 300


class Action(StrEnum):
    """What became of a recipient (RFC 3464 2.3.3), worst first."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a notification says about one recipient."""

    recipient: Recipient
    action: Action
    status: str
    """RFC 3463; of the class that goes with the action (a delay or an expiry: 4)."""
    reply: Reply | None = None
    """What the next hop said, or what we found ourselves."""
    remote: str = ""
    """Name of the next hop that gave the reply; "" if the reply is our own."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that one notification needs."""

    to: Mailbox
    hostname: str
    arrived_at: datetime
    now: datetime
    retry_until: datetime
    token: str
    """Fresh random ASCII: Message-ID and boundary are made of it."""
    envid: str | None
    ret: Ret | None
    message: Message
    outcomes: tuple[Outcome, ...]

    @property
    def action(self) -> Action:
        """The worst of all."""
        return next(action for action in Action if any(each.action is action for each in self.outcomes))


_SUBJECTS: Final = {
    Action.FAILED: "Thư KHÔNG chuyển được / mail NOT delivered",
    Action.DELAYED: "Thư đến chậm, đang thử lại / mail delayed, still trying",
    Action.RELAYED: "Thư đã chuyển tiếp / mail relayed",
    Action.DELIVERED: "Thư đã vào hộp thư / mail delivered",
}
_WORDS: Final = {
    Action.FAILED: (
        "Thư dưới đây KHÔNG chuyển được tới người nhận sau, và sẽ không được thử lại:",
        "The message below could NOT be delivered to these recipients, and will not be tried again:",
    ),
    Action.DELAYED: (
        "Thư dưới đây CHƯA chuyển được tới người nhận sau. Hệ thống tiếp tục thử đến {until}; không cần gửi lại:",
        "The message below is NOT YET delivered to these recipients. We try until {until}; do not send it again:",
    ),
    Action.RELAYED: (
        "Thư dưới đây đã được chuyển tiếp cho người nhận sau; máy chủ kế tiếp không báo kết quả cuối cùng:",
        "The message below was passed on for these recipients; the next server does not report final delivery:",
    ),
    Action.DELIVERED: (
        "Thư dưới đây đã vào hộp thư của người nhận sau:",
        "The message below was put into the mailboxes of these recipients:",
    ),
}
_REASONS: Final = (
    (r"5\.1\.[0-9]+", "địa chỉ người nhận không đúng hoặc không tồn tại", "the address is wrong or does not exist"),
    (r"[45]\.2\.2", "hộp thư của người nhận đã đầy", "the recipient's mailbox is full"),
    (r"5\.2\.3|[45]\.3\.4", "thư quá lớn đối với máy chủ nhận", "the message is too large for the receiving server"),
    (r"5\.7\.[0-9]+", "máy chủ nhận từ chối thư theo quy định của họ", "the receiving server's rules refuse it"),
    (r"[45]\.4\.7", "hết thời hạn mà vẫn chưa chuyển được", "the time allowed for delivery is over"),
    (r"[45]\.4\.[0-9]+", "chưa kết nối được với máy chủ nhận", "the receiving server cannot be reached"),
    (
        r"5\.6\.[0-9]+",
        "máy chủ nhận không nhận được dạng thư này",
        "the receiving server cannot take this kind of mail",
    ),
    (r"4\.[0-9.]+", "máy chủ nhận tạm thời chưa nhận được thư", "the receiving server cannot take it for now"),
    (r"5\.[0-9.]+", "máy chủ nhận từ chối thư", "the receiving server refuses it"),
)


def delivery_report(report: Report) -> Message:
    """Return the complete notification, header and body, with CRLF; raises `ValueError` without outcomes.

    It is ASCII unless it returns a whole message that is not; then it needs 8BITMIME, and nothing more.
    """
    if not report.outcomes:
        raise ValueError("a notification is about somebody")
    boundary = f"=_{report.token}"
    returned = _returned(report)
    head = (
        fold("From", encode_text("Cổng thư điện tử") + f" <postmaster@{report.hostname}>".encode()),
        fold("To", f"<{report.to}>".encode() if report.to.ascii else b"undisclosed-recipients:;"),
        fold("Subject", encode_text(_SUBJECTS[report.action])),
        fold("Date", format_datetime(report.now).encode()),
        fold("Message-ID", f"<{report.token}@{report.hostname}>".encode()),
        b"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
        b"" if returned.isascii() else _EIGHT_BIT,
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n\r\n'.encode(),
    )
    parts = (_for_people(report), _for_machines(report), returned)
    delimiter = f"--{boundary}\r\n".encode()
    body = b"".join(delimiter + each + b"\r\n" for each in parts)
    return Message.of(b"".join(head) + body + f"--{boundary}--\r\n".encode())


def _for_people(report: Report) -> bytes:
    """Return the text part: Vietnamese, then English."""
    subject, message_id = _named(report.message)
    vietnamese, english = ["Kính gửi Ông/Bà,", ""], ["--", "", "Dear Sir or Madam,", ""]
    until = in_words(report.retry_until)
    for action in Action:
        outcomes = [each for each in report.outcomes if each.action is action]
        if outcomes:
            first, second = _WORDS[action]
            vietnamese += [first.format(until=until), "", *_lines(outcomes, 1, "Lý do", "Máy chủ trả lời"), ""]
            english += [second.format(until=until), "", *_lines(outcomes, 2, "Reason", "The server said"), ""]
    vietnamese += [f"    Tiêu đề: {subject}", f"    Mã thư:  {message_id}", ""]
    vietnamese += ["Nếu cần trợ giúp, xin chuyển nguyên thư báo này cho quản trị thư điện tử của đơn vị.", ""]
    english += [f"    Subject:    {subject}", f"    Message-ID: {message_id}", ""]
    english += ["If you need help, please forward this whole report to your mail administrator.", ""]
    text = "\r\n".join(vietnamese + english).encode("utf-8", "replace")
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encodebytes(
        text
    ).replace(b"\n", b"\r\n")


def _lines(outcomes: Iterable[Outcome], language: int, reason: str, said: str) -> Iterable[str]:
    """Yield the lines about recipients; `language` is the column of the reasons."""
    for each in outcomes:
        yield f"    {shown(str(each.recipient.mailbox))}"
        if each.action in {Action.FAILED, Action.DELAYED}:
            ours = _our_words(each, language)
            words = next((row[language] for row in _REASONS if re.fullmatch(row[0], each.status)), each.status)
            yield f"        {reason}: {ours or words}."
            if each.reply is not None and not ours:
                yield f"        {said}: {shown(str(each.reply))}"


def _our_words(outcome: Outcome, language: int) -> str:
    """Return the reason in one language where the reply is our own and gives it in both, "" otherwise."""
    if outcome.reply is None or outcome.remote:
        return ""
    vietnamese, both, english = outcome.reply.text.partition(" / ")
    return shown((vietnamese, english)[language - 1]) if both else ""


def _named(message: Message) -> tuple[str, str]:
    """Return the subject and the Message-ID of a message, for reading."""
    try:
        header = read_header(message)
    except MimeError:
        return "?", "?"
    subject, message_id = header.first("subject"), header.first("message-id")
    return (
        shown(decode_text(subject.value)) if subject else "(không có / none)",
        shown(message_id.value.decode("utf-8", "replace")) if message_id else "(không có / none)",
    )


def _for_machines(report: Report) -> bytes:
    """Return the message/delivery-status part (RFC 3464 2)."""
    lines = [_field("Reporting-MTA", f"dns; {report.hostname}")]
    if report.envid is not None:
        lines.insert(0, _field("Original-Envelope-Id", _from_xtext(report.envid)))
    lines.append(_field("Arrival-Date", format_datetime(report.arrived_at)))
    for each in report.outcomes:
        lines.append(b"\r\n")
        if each.recipient.orcpt is not None:
            lines.append(_field("Original-Recipient", _original(each.recipient.orcpt)))
        lines += [
            _field("Final-Recipient", _typed(each.recipient.mailbox)),
            _field("Action", each.action),
            _field("Status", each.status),
        ]
        if each.reply is not None and each.remote:
            lines.append(_field("Remote-MTA", f"x-hop; {each.remote}"))
            lines.append(_field("Diagnostic-Code", f"smtp; {each.reply}"))
        lines.append(_field("Last-Attempt-Date", format_datetime(report.now)))
        if each.action is Action.DELAYED:
            lines.append(_field("Will-Retry-Until", format_datetime(report.retry_until)))
    return b"Content-Type: message/delivery-status\r\n\r\n" + b"".join(lines)


def _returned(report: Report) -> bytes:
    """Return the part with the message or its header (RFC 3461 4.3: whole only for failures, and if asked)."""
    message = report.message
    if report.ret is Ret.FULL and report.action is Action.FAILED and len(message) <= MOST_RETURNED:
        whole = _whole(message.octets())
        if whole is not None:
            return whole
    return _header_of(message.read(0, MOST_HEADER))


def _whole(octets: bytes) -> bytes | None:
    """Return the part with a message, None where no part can hold it.

    Octets above 127 need 8BITMIME (RFC 6152); in its header they need a type of their own as well (RFC 6532 3.7).
    """
    if b"\0" in octets or max(map(len, octets.split(b"\r\n"))) > _MOST_LINE:
        return None
    if octets.isascii():
        return b"Content-Type: message/rfc822\r\n\r\n" + octets
    header = octets.partition(b"\r\n\r\n")[0]
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return None
    kind = b"rfc822" if header.isascii() else b"global"
    return b"Content-Type: message/" + kind + b"\r\n" + _EIGHT_BIT + b"\r\n" + octets


def without_content(notification: Message) -> Message | None:
    """Return a notification of ours with the header of the message it returns whole; None if it returns none.

    For a next hop that cannot carry it, or does not take such content.
    """
    octets = notification.octets()
    boundary = _BOUNDARY.search(octets)
    if boundary is None:
        return None
    delimiter = b"--" + boundary[1]
    head, *parts, end = octets.split(delimiter)
    if len(parts) != _PARTS or not parts[2].startswith(_CONTENT):
        return None
    content = parts[2].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    returned = b"\r\n" + _header_of(content[:MOST_HEADER]) + b"\r\n"
    return Message.of(delimiter.join((head.replace(_EIGHT_BIT, b"", 1), *parts[:2], returned, end)))


def _header_of(header: bytes) -> bytes:
    """Return the part with the header of a message that begins so."""
    end = header.find(b"\r\n\r\n")
    # without a blank line in reach the section is cut behind its last whole line
    header = header[: end + 2] if end >= 0 else header[: header.rfind(b"\r\n") + 2]
    if _seven_bit(header):
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + header
    return (
        b"Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + binascii.b2a_qp(header, istext=True)
    )


def _seven_bit(octets: bytes) -> bool:
    """True if the octets may stand in a part without encoding (RFC 2045 2.7)."""
    return octets.isascii() and b"\0" not in octets and max(map(len, octets.split(b"\r\n"))) <= _MOST_LINE


def _field(name: str, value: str) -> bytes:
    """Return a field of the machines' part: printable ASCII, bounded, anything else as question marks."""
    plain = re.sub(r"[^\x20-\x7e]", "?", value[:_MOST_FIELD])
    return fold(name, plain.encode("ascii"))


def _typed(mailbox: Mailbox) -> str:
    r"""Return an address with its type; beyond ASCII as utf-8-addr-xtext, `\x{1EA1}` (RFC 6533 3)."""
    text = str(mailbox)
    return f"rfc822; {text}" if text.isascii() else f"utf-8; {_embedded(text)}"


def _original(orcpt: str) -> str:
    r"""Return an ORCPT as it is reported: without xtext, or for `utf-8` with everything beyond as `\x{...}`.

    What a sender wrote in that form already stays as it is (RFC 6533 3).
    """
    kind, _, address = orcpt.partition(";")
    if kind.lower() != "utf-8":
        return f"{kind};{_from_xtext(address)}"
    pieces = re.split(r"(\\x\{[0-9A-F]{2,6}\})", address)
    return f"{kind};" + "".join(each if place % 2 else _embedded(each) for place, each in enumerate(pieces))


def _embedded(text: str) -> str:
    """Return text as utf-8-addr-xtext: characters that are no QCHAR by their numbers (RFC 6533 3)."""
    return re.sub(r"[^!-*,-<>-\[\]-~]", lambda found: f"\\x{{{ord(found[0]):02X}}}", text)


def _from_xtext(text: str) -> str:
    """Return what xtext stands for (RFC 3461 4)."""
    return re.sub(r"\+([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text)


def shown(text: str) -> str:
    """Return text for people on one bounded line: no control characters, none that turn the direction of others."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", " ", text)[:_MOST_SHOWN]
