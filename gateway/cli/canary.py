"""`gateway canary`: send a message along the real path to a mailbox we can read, and say what became of it.

Exit codes: 0 it arrived verified and whole, 1 it did not, 2 the call is wrong. Passwords come from files, never from
arguments; a message that was found is removed from the mailbox unless it is to be kept.
"""

from __future__ import annotations

import base64
import datetime as dt
import imaplib
import secrets
import smtplib
import ssl
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated, Final

import typer

from gateway.cli.call import complain, say_json, stop
from gateway.cli.screen import show
from gateway.cli.survival import Survival, survival
from gateway.config.secrets import read_private
from gateway.config.trust import read_certificates
from gateway.core.address import Mailbox
from gateway.core.errors import InputError, SetupError
from gateway.mime.dates import date_time
from gateway.mime.fields import encode_text, fold
from gateway.pki.path import Revocation, TrustAnchors

_POLL: Final = 1.0
_TEXT: Final = """\
Kính gửi Quý cơ quan,

Đây là thư thử đường truyền của cổng thư điện tử. Dòng này có dấu cách ở cuối.  \n\
From đứng đầu dòng.
.
..hai chấm
{long}
Nghiêng nghiêng, khúc khuỷu, ửng hồng.
"""
_HTML: Final = "<html><body><p>Thư thử đường truyền, xin bỏ qua. / A test message, please ignore.</p></body></html>\n"


class Security(StrEnum):
    """How a connection is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class _Account:
    """A server and who logs in there."""

    server: str
    security: Security
    user: str | None
    password: str
    context: ssl.SSLContext

    def __repr__(self) -> str:
        return f"_Account({self.server})"

    @property
    def place(self) -> tuple[str, int]:
        host, _, port = self.server.rpartition(":")
        return host.strip("[]"), int(port)


def canary(  # noqa: PLR0913, PLR0917 - one argument per option
    to: Annotated[str, typer.Option("--to", help="The mailbox to write to, which we can read.")],
    server: Annotated[str, typer.Option("--server", help="The gateway's submission listener, HOST:PORT.")],
    sender: Annotated[str, typer.Option("--from", help="The author, whose key signs.")],
    trust: Annotated[list[Path], typer.Option("--trust", help="Trust anchors, PEM or DER.")],
    user: Annotated[str | None, typer.Option("--user", help="Login; none for a listed internal host.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="File with its password.")] = None,
    security: Annotated[Security, typer.Option("--security", help="Of the submission.")] = Security.STARTTLS,
    ca: Annotated[Path | None, typer.Option("--ca", help="PEM file to check servers by; else the system's.")] = None,
    imap: Annotated[str | None, typer.Option("--imap", help="Where the mailbox is read, HOST:PORT.")] = None,
    imap_user: Annotated[str | None, typer.Option("--imap-user", help="Login there; the mailbox without.")] = None,
    imap_password_file: Annotated[Path | None, typer.Option("--imap-password-file", help="Its password.")] = None,
    imap_security: Annotated[Security, typer.Option("--imap-security", help="Of IMAP.")] = Security.TLS,
    maildir: Annotated[Path | None, typer.Option("--maildir", help="Or read this Maildir.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for it.", min=1)] = 120.0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it in the mailbox.")] = False,  # noqa: FBT002 - a flag
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Send a signed message along the real path, and say whether every octet survived."""
    try:
        _check(to, sender, imap, maildir)
        context = _context(ca)
        anchors = read_certificates(trust)
        submission = _Account(server, security, user, _password(password_file), context)
        inbox = _Account(imap or "", imap_security, imap_user or to, _password(imap_password_file), context)
    except SetupError as error:
        stop(2, *error.mistakes)
    token = secrets.token_hex(8)
    message = letter(sender, to, token, dt.datetime.now(dt.UTC))
    begin = time.monotonic()
    try:
        _send(submission, sender, to, message)
        if maildir is not None:
            received = _from_maildir(maildir, token, timeout, keep=keep)
        else:
            received = _from_imap(inbox, token, timeout, keep=keep)
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
        stop(1, f"did not get through: {error}")
    if received is None:
        stop(1, f"did not arrive within {timeout:g} s")
    seconds = time.monotonic() - begin
    try:
        found = survival(
            message,
            received,
            trust=TrustAnchors(anchors, (), ()),
            revocation=Revocation.OFF,
            at=dt.datetime.now(dt.UTC),
        )
    except InputError as error:
        stop(1, f"what arrived cannot be read: {error.reason}")
    _report(to, found, seconds, as_json=as_json)
    raise typer.Exit(0 if found.whole else 1)


def _check(to: str, sender: str, imap: str | None, maildir: Path | None) -> None:
    if (imap is None) == (maildir is None):
        raise SetupError("say where the mailbox is read: either --imap HOST:PORT or --maildir DIR")
    for text in (to, sender):
        try:
            Mailbox.parse(text)
        except ValueError:
            raise SetupError(f"{text}: not a mailbox") from None


def _password(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return read_private(path).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SetupError(f"{path}: not UTF-8") from None


def _context(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except OSError as error:
        raise SetupError(f"{ca}: no certificate can be read: {error.strerror or 'not PEM'}") from error


def letter(sender: str, to: str, token: str, now: dt.datetime) -> bytes:
    """Return a message with everything that systems on the way are known to damage."""
    text = _TEXT.format(long="x" * 1200).replace("\n", "\r\n").encode()
    picture = base64.encodebytes(bytes(range(256)) * 8).replace(b"\n", b"\r\n")
    line = f"--=_canary-{token}\r\n".encode()
    head = (
        fold("From", encode_text("Thư thử của cổng") + f" <{sender}>".encode()),
        fold("To", f"<{to}>".encode()),
        fold("Subject", encode_text(f"Thư thử đường truyền, xin bỏ qua {token}")),
        fold("Date", date_time(now).encode()),
        fold("Message-ID", f"<{token}@canary.{sender.rpartition('@')[2]}>".encode()),
        fold("X-Canary", token.encode()),
        f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_canary-{token}"\r\n\r\n'.encode(),
    )
    eight_bit = b"charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    parts = (
        line + b"Content-Type: text/plain; " + eight_bit + text,
        line + b"Content-Type: text/html; " + eight_bit + _HTML.replace("\n", "\r\n").encode(),
        line
        + b"Content-Type: application/octet-stream; name=canary.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + picture,
    )
    return b"".join((*head, *parts, line[:-2] + b"--\r\n"))


def _send(account: _Account, sender: str, to: str, message: bytes) -> None:
    host, port = account.place
    if account.security is Security.TLS:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=60, context=account.context)
    else:
        connection = smtplib.SMTP(host, port, timeout=60)
    with connection as client:
        if account.security is Security.STARTTLS:
            client.starttls(context=account.context)
        if account.user is not None:
            client.login(account.user, account.password)
        client.sendmail(sender, [to], message, mail_options=["BODY=8BITMIME"])


def _from_imap(account: _Account, token: str, seconds: float, *, keep: bool) -> bytes | None:
    """Return the message from INBOX, None if it is not there in time."""
    host, port = account.place
    if account.security is Security.TLS:
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, port, ssl_context=account.context, timeout=60)
    else:
        client = imaplib.IMAP4(host, port, timeout=60)
    with client:
        if account.security is Security.STARTTLS:
            client.starttls(account.context)
        client.login(account.user or "", account.password)
        deadline = time.monotonic() + seconds
        while True:
            client.select("INBOX")
            _, (numbers, *_) = client.search(None, "HEADER", "X-Canary", token)
            for number in (numbers or b"").split():
                _, data = client.fetch(number.decode(), "(BODY.PEEK[])")
                octets = next(bytes(each[1]) for each in data if isinstance(each, tuple))
                if not keep:
                    client.store(number.decode(), "+FLAGS", r"(\Deleted)")
                    client.expunge()
                return octets
            if time.monotonic() > deadline:
                return None
            time.sleep(_POLL)


def _from_maildir(directory: Path, token: str, seconds: float, *, keep: bool) -> bytes | None:
    """Return the message from a Maildir, None if it is not there in time."""
    deadline = time.monotonic() + seconds
    while True:
        for file in (*directory.glob("new/*"), *directory.glob("cur/*")):
            octets = file.read_bytes()
            if f"\nX-Canary: {token}".encode() in octets:
                if not keep:
                    file.unlink()
                return octets if b"\r\n" in octets else octets.replace(b"\n", b"\r\n")
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL / 4)


def _report(to: str, found: Survival, seconds: float, *, as_json: bool) -> None:
    if as_json:
        shown = {"to": to, "whole": found.whole, "seconds": round(seconds, 3), **asdict(found)}
        say_json(shown)
        return
    lines = [("Kết luận / verdict", f"{found.verdict} ({found.reason})"), ("Sau / after", f"{seconds:.1f} s")]
    lines += [("Hỏng / damaged", f"{each.vietnamese} / {each.english}") for each in found.damages]
    lines += [("Qua / through", each) for each in found.stations]
    show(
        to,
        vietnamese="Thư tới nơi nguyên vẹn." if found.whole else "Thư tới nơi KHÔNG nguyên vẹn.",
        english="The message arrived whole." if found.whole else "The message did NOT arrive whole.",
        color="bold green" if found.whole else "bold red",
        lines=lines,
    )
    if not found.whole and not found.damages:
        complain("it is whole, but not verified")
