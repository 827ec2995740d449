"""The play: five messages through the real listeners, and what the recipient finds in the mailbox afterwards.

A row is right only if the delivered file says so: the play reads what was delivered, never what the gateway thinks.
"""

from __future__ import annotations

import datetime as dt
import re
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.cms.algorithms import Scheme, raw_sign
from gateway.cms.sign import SigningTemplate
from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder, MemorySource
from gateway.core.verdict import row_of
from gateway.demo.province import DOMAIN, FINANCE, HEALTH, NEIGHBOR_OFFICE, OFFICER, OUTSIDE, Holder, Province
from gateway.mime.fields import decode_text, encode_text, fold, read_header
from gateway.pki.certificate import Certificate
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.sign import Left, content_digest, finish, prepare
from gateway.smime.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.demo.authority import Credential

PATIENCE: Final = 10.0
"""Seconds in which a message must be in its mailbox."""
CITIZEN: Final = f"nguyen.thi.mai@{OUTSIDE}"
_FOR_PROGRAMS: Final = re.compile(r" body\.smime.*|(?<=;) reason=[a-z_]+;[^(]*(?=\()", re.DOTALL)
"""What Authentication-Results and X-Gateway-Verdict say for programs only; a table is for people."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message of the play, and what came of it."""

    sent: str
    expected: str
    verdict: str
    subject: str
    fields: tuple[str, ...]
    file: Path | None

    @property
    def right(self) -> bool:
        """True if the recipient sees what must be seen."""
        return self.verdict == self.expected


def letter(sender: str, to: str, subject: str, text: str) -> bytes:
    """Return an unsigned message as a mail client makes it: UTF-8 text, CRLF."""
    now = format_datetime(dt.datetime.now(dt.UTC))
    head = (
        fold("From", sender.encode()),
        fold("To", f"<{to}>".encode()),
        fold("Subject", encode_text(subject)),
        fold("Date", now.encode()),
        fold("Message-ID", f"<{time.time_ns()}@may-tram.example>".encode()),
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
    )
    return b"".join(head) + text.replace("\n", "\r\n").encode()


def signed(unsigned: bytes, credential: Credential, *, boundary: str = "=_thanh-ha") -> bytes:
    """Return the message signed by somebody who is not our gateway's user, as another gateway would."""
    now = dt.datetime.now(dt.UTC)
    template = SigningTemplate.build(credential.certificate, credential.chain, scheme=Scheme.PKCS1V15, digest="sha256")
    prepared = prepare(
        Message.of(unsigned), now=now, new_message_id=lambda: "<x@may-tram.example>", new_builder=MemoryBuilder
    )
    if isinstance(prepared, Left):
        raise TypeError(prepared.reason)
    to_be_signed = template.to_be_signed(content_digest(prepared, template.digest), now)
    value = raw_sign(credential.key, to_be_signed, scheme=template.scheme, digest=template.digest)
    cms = template.finish(to_be_signed, value)
    return finish(prepared, cms=cms, micalg=template.micalg, boundary=boundary).octets()


def tampered(genuine: bytes, other: bytes) -> bytes:
    """Return a signed message with the signed part of another one, as somebody on the way could change it."""
    delimiter = b"\r\n--=_thanh-ha"
    before, _, *after = genuine.split(delimiter)
    return delimiter.join((before, other.split(delimiter)[1], *after))


class Play:
    """Sends the five messages and reads the mailboxes."""

    def __init__(self, province: Province, *, submission: int, inbound: int) -> None:
        """Take the ports of the running listeners."""
        self._province = province
        self._submission = submission
        self._inbound = inbound

    def rows(self) -> tuple[Row, ...]:
        """Play everything, in order; takes some seconds at most and raises nothing that a row can say."""
        return (self._outbound(), *self._inbound_rows())

    def _outbound(self) -> Row:
        subject = "Kết quả giải quyết hồ sơ số 17/2026"
        message = letter(
            f"{encode_text('Hoàng Thị Lan').decode()} <{OFFICER.mailbox}>",
            CITIZEN,
            subject,
            "Kính gửi bà Mai,\n\nHồ sơ của bà đã có kết quả.\n\nTrân trọng.\n",
        )
        box = self._province.directory / "outside" / OUTSIDE / CITIZEN.partition("@")[0]
        return self._row(
            "Cán bộ Sở Y tế gửi công dân / an officer writes to a citizen",
            "verified",
            box,
            lambda: self._submit(OFFICER, CITIZEN, message),
            self._judged,
        )

    def _inbound_rows(self) -> tuple[Row, ...]:
        office = self._province.credentials[NEIGHBOR_OFFICE.mailbox]
        stranger = self._province.credentials[FINANCE.mailbox]
        box = self._province.directory / "mailboxes" / DOMAIN / HEALTH.mailbox.partition("@")[0]
        shown = encode_text("Văn phòng UBND Thanh Hà").decode()

        def mail(sender: str, subject: str, hour: str = "08:00") -> bytes:
            text = f"Kính gửi Sở Y tế,\n\nMời dự họp giao ban liên tỉnh lúc {hour} ngày 02/12.\n"
            return letter(sender, HEALTH.mailbox, subject, text)

        sender = f"{shown} <{NEIGHBOR_OFFICE.mailbox}>"
        genuine = mail(sender, "Giấy mời họp giao ban")
        later = mail(sender, "Giấy mời họp giao ban", "18:00")
        forged_marks = (
            f"Authentication-Results: mail.{DOMAIN}; smime=pass\r\n"
            f"X-Verified-Sender: {encode_text('Đã xác thực: Văn phòng UBND Thanh Hà').decode()}\r\n"
        ).encode()
        impostor = mail(f"{shown} <vanphong.thanhha@thu-mien-phi.example>", "[Đã xác thực] Chuyển khoản gấp")
        cases = (
            ("Cơ quan khác gửi, chữ ký đúng / validly signed by another agency", "verified", signed(genuine, office)),
            (
                "Như trên, nội dung bị sửa / the same, tampered with",
                "invalid",
                tampered(signed(genuine, office), signed(later, office)),
            ),
            ("Ký bằng khóa của người khác / signed by the wrong person", "signer_mismatch", signed(genuine, stranger)),
            ("Không ký, mạo danh cơ quan / unsigned, claims to be an agency", "unsigned", forged_marks + impostor),
        )
        return tuple(
            self._row(what, expected, box, partial(self._relay, octets), _told) for what, expected, octets in cases
        )

    def _row(
        self, sent: str, expected: str, box: Path, send: Callable[[], None], judge: Callable[[Message], str]
    ) -> Row:
        """Send, wait for the new file, and read from it what its recipient sees."""
        before = _files(box)
        try:
            send()
        except (smtplib.SMTPException, OSError) as error:
            return Row(sent, expected, f"not sent: {error}", "", (), None)
        deadline = time.monotonic() + PATIENCE
        while not (new := _files(box) - before):
            if time.monotonic() > deadline:
                return Row(sent, expected, "not delivered", "", (), None)
            time.sleep(0.02)
        file = new.pop()
        message = Message.from_source(MemorySource(file.read_bytes()))
        header = read_header(message)
        subject = header.first("subject")
        fields = tuple(
            f"{each.name}: {_FOR_PROGRAMS.sub(' ... ', decode_text(each.value)).strip()}"
            for each in header.fields
            if each.key in {"authentication-results", "x-verified-sender", "x-gateway-verdict"}
        )
        return Row(sent, expected, judge(message), decode_text(subject.value) if subject else "", fields, file)

    def _judged(self, message: Message) -> str:
        """Judge outbound mail as its recipient's gateway would."""
        directory = self._province.directory / "trust"
        judgment = verify(
            message,
            trust=TrustAnchors(Certificate.load_all((directory / "root.pem").read_bytes()), (), ()),
            revocation=Revocation.OFF,
            at=dt.datetime.now(dt.UTC),
            untrusted=(),
            crls=(),
        )
        return row_of(judgment.verdict).name

    def _submit(self, holder: Holder, to: str, message: bytes) -> None:
        """Send through submission as a mail client does: STARTTLS, AUTH."""
        context = ssl.create_default_context(cafile=str(self._province.directory / "server.pem"))
        with smtplib.SMTP("127.0.0.1", self._submission, timeout=PATIENCE) as client:
            client._host = "localhost"  # type: ignore[attr-defined]  # noqa: SLF001 - the name to check the certificate for
            client.starttls(context=context)
            client.login(holder.mailbox, self._province.password)
            client.sendmail(holder.mailbox, [to], message, mail_options=["BODY=8BITMIME"])

    def _relay(self, message: bytes) -> None:
        """Send as another mail system does."""
        with smtplib.SMTP("127.0.0.1", self._inbound, timeout=PATIENCE) as client:
            client.sendmail(NEIGHBOR_OFFICE.mailbox, [HEALTH.mailbox], message, mail_options=["BODY=8BITMIME"])


def _told(message: Message) -> str:
    """Return the verdict that our own field tells the recipient; exactly one such field may exist."""
    fields = read_header(message).all("x-gateway-verdict")
    if len(fields) != 1:
        return f"{len(fields)} verdict fields"
    match = re.match(rb"[a-z_]+", fields[0].value)
    return match[0].decode() if match else "unreadable field"


def _files(box: Path) -> set[Path]:
    return set((box / "new").glob("*")) if box.exists() else set()
