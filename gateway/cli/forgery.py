"""Forged marks on their way to a mailbox: what is sent, by which paths, and what became of it there (RFC 8601 5).

The message is as bold as an attacker would write it; it can only be believed where an installation lets it.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import smtplib
import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.errors import InputError
from gateway.core.message import Message
from gateway.mailbox.finding import sealed_verdict
from gateway.mailbox.keywords import GREEN, IMPERSONATION, VERIFIED, keywords_of, present
from gateway.mime.dates import date_time
from gateway.mime.fields import decode_text, encode_text, fold, read_header
from gateway.tagging.forged import stripped
from gateway.tagging.names import SENDER_FIELD, VERDICT_FIELD
from gateway.tagging.reasons import VERIFIED as WORDS
from gateway.tagging.seal import SealState, check

if TYPE_CHECKING:
    import datetime as dt
    import ssl
    from collections.abc import Iterator, Mapping

    from gateway.core.address import Mailbox
    from gateway.tagging.seal import SealKeys

MARKED_FIELD: Final = "X-Forgery-Test"
_POLL: Final = 0.5
_TIMEOUT: Final = 30.0
_FLAGS: Final = re.compile(rb"FLAGS \(([^)]*)\)")


class Outcome(StrEnum):
    """What became of forged marks on one path."""

    BELIEVED = "believed"
    """They are in the mailbox, and a reader or a program would take them for ours."""
    FLAGGED = "flagged"
    """They are in the mailbox, with the keyword for impersonation, and no green one."""
    STRIPPED = "stripped"
    """The message is in the mailbox without them."""
    BLOCKED = "blocked"
    """The message was refused, or there is no way to hand it over."""
    MISSING = "missing"
    """It was taken, and is not in the mailbox: held, in quarantine, or late."""
    UNTRIED = "untried"
    """Nothing was said about where this path begins."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One path and its outcome."""

    path: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """Where mail can be handed over."""

    address: str
    """HOST:PORT, [IPV6]:PORT or unix:/PATH."""
    security: str = "none"
    """"none", "starttls" or "tls"."""
    lmtp: bool = False
    login: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"Door({self.address})"


@dataclass(frozen=True, slots=True)
class Inbox:
    """The mailbox that is looked into, by its owner's login."""

    mailbox: Mailbox
    host: str
    port: int
    context: ssl.SSLContext | None
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Inbox({self.mailbox})"

    @contextlib.contextmanager
    def open(self) -> Iterator[imaplib.IMAP4]:
        """Log in; raises `OSError` or `imaplib.IMAP4.error`."""
        if self.context is not None:
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(self.host, self.port, ssl_context=self.context, timeout=_TIMEOUT)
        else:
            client = imaplib.IMAP4(self.host, self.port, timeout=_TIMEOUT)
        with client:
            client.login(_quoted(self.user), self.password)
            client.select("INBOX")
            yield client


def letter(*, sender: str, to: str, token: str, authserv_id: str, key_id: str, now: dt.datetime) -> bytes:
    """Return a message that bears every mark of ours, forged as well as can be without a key."""
    at = now.astimezone().isoformat(timespec="seconds")
    claim = encode_text(f"{WORDS}: Kho bạc Nhà nước")
    seal = f"v=1; k={key_id}; d={authserv_id}; t={at}; r={'A' * 12}; b={'A' * 43}="
    return b"".join(
        (
            fold("X-Gateway-Seal", seal.encode()),
            fold("Authentication-Results", f"{authserv_id}; smime=pass".encode()),
            fold(
                VERDICT_FIELD, b"verified; reason=verified; chain=valid; signature=valid; covers=all (" + claim + b")"
            ),
            fold(SENDER_FIELD, claim),
            fold("From", encode_text("Thư thử giả mạo") + f" <{sender}>".encode()),
            fold("To", f"<{to}>".encode()),
            fold("Subject", encode_text(f"[{WORDS}: Kho bạc Nhà nước] Thư thử, xin bỏ qua / a test, please ignore")),
            fold("Date", date_time(now).encode()),
            fold("Message-ID", f"<{token}@{sender.rpartition('@')[2]}>".encode()),
            fold(MARKED_FIELD, token.encode()),
            b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nThu gia, de thu.\r\n",
        )
    )


def hand_over(door: Door, *, sender: str, to: str, message: bytes, context: ssl.SSLContext) -> str | None:
    """Send by SMTP or LMTP; return None where it was taken, else why not."""
    try:
        with _connected(door, context) as client:
            if door.security == "starttls":
                client.starttls(context=context)
            if door.login is not None:
                client.login(*door.login)
            client.sendmail(sender, [to], message)
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        return f"{code} {text.decode(errors='replace')}"
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    except (OSError, smtplib.SMTPException) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _connected(door: Door, context: ssl.SSLContext) -> smtplib.SMTP:
    if door.address.startswith("unix:"):
        return smtplib.LMTP(door.address.removeprefix("unix:"))
    host, _, text = door.address.rpartition(":")
    place = host.strip("[]"), int(text)
    if door.lmtp:
        return smtplib.LMTP(*place, timeout=_TIMEOUT)
    if door.security == "tls":
        return smtplib.SMTP_SSL(*place, timeout=_TIMEOUT, context=context)
    return smtplib.SMTP(*place, local_hostname=socket.getfqdn(), timeout=_TIMEOUT)


def append(inbox: Inbox, message: bytes) -> str | None:
    """Put a message into the mailbox with a green keyword; return None where that was taken, else why not."""
    try:
        with inbox.open() as client:
            kind, said = client.append("INBOX", f"({VERIFIED})", "", message)
    except (OSError, imaplib.IMAP4.error) as error:
        return f"{type(error).__name__}: {error}"
    return None if kind == "OK" else f"{kind} {said[0]!r}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Says what a reader would make of a message."""

    recipient: Mailbox
    keys: SealKeys | None
    authserv_id: str

    def outcome(self, octets: bytes, flags: frozenset[str]) -> Outcome:
        """Return what became of the marks of `letter` in a message as it lies in the mailbox."""
        message = Message.of(octets)
        colors = present(flags)
        try:
            state = check(message, self.recipient, self.keys) if self.keys is not None else SealState.ABSENT
            if state is SealState.GOOD:  # our gateway wrote these marks: they must not say what was forged
                said = keywords_of(*sealed_verdict(message))
                return Outcome.BELIEVED if (said | colors) & GREEN and not _signed(message) else Outcome.STRIPPED
            marks = self._marks(message)
        except InputError:
            marks = True
        if (marks and IMPERSONATION not in colors) or (colors & GREEN and (marks or not _signed(message))):
            return Outcome.BELIEVED
        return Outcome.FLAGGED if marks else Outcome.STRIPPED

    def _marks(self, message: Message) -> bool:
        """Return whether marks of `letter` are left; without keys the gateway's own cannot be told by a seal."""
        if self.keys is not None:
            return bool(stripped(message, authserv_id=self.authserv_id).removed)
        header = read_header(message)
        subjects = "".join(decode_text(each.value) for each in header.all("subject"))
        verdict, _ = sealed_verdict(message)
        return bool(header.all(SENDER_FIELD)) or WORDS in subjects or bool(keywords_of(verdict, ()) & GREEN)


def _signed(message: Message) -> bool:
    """Return whether the gateway signed it on its way out: then a green keyword is one by right."""
    kinds = read_header(message).all("content-type")
    return any(each.value.strip().lower().startswith((b"multipart/signed", b"application/pkcs7")) for each in kinds)


def look(inbox: Inbox, reader: Reader, tokens: Mapping[str, str], *, wait: float, settle: float) -> dict[str, Outcome]:
    """Return the outcome of each path (token -> path) whose message arrived.

    Waits so many seconds for all of them, and for each so many that whoever watches the mailbox needs to color it.
    """
    found: dict[str, Outcome] = {}
    arrived: dict[str, float] = {}
    end = time.monotonic() + wait
    with inbox.open() as client:
        while True:
            client.noop()
            for token, path in tokens.items():
                if found.get(path, Outcome.BELIEVED) is not Outcome.BELIEVED:
                    continue
                at_hand = _fetch(client, token)
                if at_hand is not None:
                    arrived.setdefault(path, time.monotonic())
                    found[path] = reader.outcome(*at_hand)
            now = time.monotonic()
            open_still = [
                path
                for path in tokens.values()
                if path not in arrived or (found[path] is Outcome.BELIEVED and now < arrived[path] + settle)
            ]
            if not open_still or now > end:
                return found
            time.sleep(_POLL)


def _fetch(client: imaplib.IMAP4, token: str) -> tuple[bytes, frozenset[str]] | None:
    _, (numbers, *_) = client.search(None, "HEADER", MARKED_FIELD, token)
    for number in (numbers or b"").split():
        _, data = client.fetch(number.decode(), "(FLAGS BODY.PEEK[])")
        octets = next((bytes(each[1]) for each in data if isinstance(each, tuple)), None)
        said = b" ".join(each if isinstance(each, bytes) else each[0] for each in data if each is not None)
        match = _FLAGS.search(said)
        if octets is not None and match is not None:
            return octets, frozenset(match[1].decode("ascii", "replace").split())
    return None


def clean(inbox: Inbox, tokens: Mapping[str, str]) -> None:
    """Take the test messages out of the mailbox again; raises `OSError` or `imaplib.IMAP4.error`."""
    with inbox.open() as client:
        for token in tokens:
            _, (numbers, *_) = client.search(None, "HEADER", MARKED_FIELD, token)
            for number in (numbers or b"").split():
                client.store(number.decode(), "+FLAGS", r"(\Deleted)")
        client.expunge()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
