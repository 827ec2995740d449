"""The settings of the next hops: where they are, TLS towards them, and how long they may take (RFC 5321 4.5.3.2)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated

from pydantic import Field, model_validator

from gateway.config.base import Endpoint, Name, SecretReference, Strict


class HopProtocol(StrEnum):
    """How mail is given to a next hop."""

    SMTP = "smtp"
    LMTP = "lmtp"
    MAILDIR = "maildir"


class HopTls(StrEnum):
    """TLS towards a next hop: not at all, where offered (unverified), required (unverified), required and verified."""

    NONE = "none"
    MAY = "may"
    ENCRYPT = "encrypt"
    VERIFY = "verify"


class HopLogin(Strict):
    """SMTP AUTH at a next hop (PLAIN, only over TLS)."""

    user: str
    password: SecretReference


class Hop(Strict):
    """One next hop."""

    name: Name
    protocol: HopProtocol
    addresses: tuple[Endpoint, ...] = ()
    """Tried in order; for SMTP and LMTP."""
    directory: Path | None = None
    """For maildir: one Maildir per mailbox below it, DIRECTORY/DOMAIN/LOCAL-PART/."""
    tls: HopTls = HopTls.MAY
    tls_ca: Path | None = None
    """PEM bundle for `verify`; the system's own without it."""
    tls_name: str | None = None
    """Name expected in the certificate; the host of the address without it."""
    login: HopLogin | None = None
    max_connections: Annotated[int, Field(ge=1)] = 20
    connect_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds for connecting, banner, EHLO and STARTTLS, each."""
    reply_timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds for the reply to the dot (RFC 5321 4.5.3.2.6); other replies get 300."""

    @model_validator(mode="after")
    def _complete(self) -> Hop:
        if self.protocol is HopProtocol.MAILDIR:
            if self.directory is None or self.addresses:
                raise ValueError("a maildir hop needs directory, and no addresses")
        elif not self.addresses or self.directory is not None:
            raise ValueError("an smtp or lmtp hop needs addresses, and no directory")
        if self.login is not None and self.tls in {HopTls.NONE, HopTls.MAY}:
            raise ValueError("login needs tls encrypt or verify: a password never travels in the clear")
        return self
