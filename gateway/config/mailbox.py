"""Mailboxes that are watched and written to by IMAP (RFC 9051, RFC 4314): a login for all of them, with few rights.

Whoever holds this login reads the mail of everybody listed: it must not be able to delete, nor travel in the clear.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.config.base import MEBI, AuthorPattern, MailboxKey, SecretReference, Socket, Strict
from gateway.core.errors import ServiceError

if TYPE_CHECKING:
    from gateway.core.address import Mailbox


def _login(text: str) -> str:
    if not text.isascii() or not text.isprintable() or not text.strip():
        raise ValueError("a login is printable ASCII")
    return text


def _folder(text: str) -> str:
    if not text.isascii() or not text.isprintable() or not text or set('%*"\\') & set(text):
        raise ValueError("a folder's name is printable ASCII without % * \" and \\")
    return text


Login = Annotated[str, AfterValidator(_login)]
Folder = Annotated[str, AfterValidator(_folder)]


class SentSettings(Strict):
    """Whose signed mail is filed as a copy in their own mailbox."""

    authors: Annotated[tuple[AuthorPattern, ...], Field(min_length=1)]
    """Mailboxes, or "@domain": their own mail clients must then store no copy."""
    folder: Folder = "Sent"
    max_octets: Annotated[int, Field(ge=65536)] = 35 * MEBI
    """Larger mail gets no copy."""


class MailboxSettings(Strict):
    """Access to the mail store, for colored tags and copies of what was sent."""

    imap: Socket
    tls: Literal["tls", "none"] = "tls"
    """tls: from the first octet, certificate checked; none: on this machine's loopback only."""
    tls_ca: Path | None = None
    """PEM bundle; without it the system's own."""
    login: Login
    """The master user."""
    password: SecretReference
    separator: Annotated[str, Field(min_length=1, max_length=1)] = "*"
    """Between a mailbox and the master user: MAILBOX*LOGIN."""
    watch: tuple[MailboxKey, ...] = ()
    """Mailboxes whose INBOX gets colored tags from `gateway mailbox watch`."""
    watch_file: Path | None = None
    """More of them, one a line; "#" begins a comment."""
    first_days: Annotated[int, Field(ge=0, le=3650)] = 7
    """Days back that are looked at when a mailbox is seen for the first time."""
    first_most: Annotated[int, Field(ge=0, le=100_000)] = 500
    """Messages that are looked at then, the newest ones."""
    max_octets: Annotated[int, Field(ge=65536)] = 35 * MEBI
    """A larger message is not fetched, and never green."""
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    """Messages in memory and logins under way at one time, of all mailboxes together."""
    liveness: Annotated[float, Field(ge=1, le=1740)] = 240.0
    """Seconds of silence after which a connection has to prove itself (RFC 2177: under 29 minutes)."""
    timeout: Annotated[float, Field(gt=0, le=300)] = 30.0
    """Seconds for the answer to one command."""
    state: Path | None = None
    """Directory of how far each mailbox was read; without it `mailbox` in the spool's directory."""
    sent: SentSettings | None = None

    def login_for(self, mailbox: Mailbox) -> str:
        """Return the login for a mailbox; raises `ServiceError` for one that would name another user by itself."""
        if self.separator in str(mailbox):
            raise ServiceError("the mailbox's name holds the separator of master users")
        return f"{mailbox}{self.separator}{self.login}"

    @model_validator(mode="after")
    def _no_clear_password(self) -> MailboxSettings:
        if self.tls == "none":
            host = self.imap.rpartition(":")[0].strip("[]")
            if host != "localhost" and not _loopback(host):
                raise ValueError("without tls the IMAP server must be on this machine's loopback")
        return self


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
