"""The settings of the next hops: where they are, TLS towards them, and how long they may take (RFC 5321 4.5.3.2, 5.1).

What would send mail or a password in the clear against the administrator's intention must be refused here.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, field_validator, model_validator

from gateway.config.base import Endpoint, Name, Network, SecretReference, Socket, Strict

MX: Final = "mx"
"""In place of addresses: the mail exchangers of each recipient's domain."""


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


class ForwardClient(StrEnum):
    """How a next hop is told the address of our client."""

    NONE = "none"
    XCLIENT = "xclient"
    """Postfix's extension: kept connections serve every client."""
    PROXY = "proxy"
    """PROXY protocol version 2 before the first octet: a connection serves one client only."""


def _pin(text: str) -> str:
    kind, _, digits = text.partition(":")
    digits = digits.replace(":", "").lower()
    if kind not in {"sha256", "spki"} or re.fullmatch(r"[0-9a-f]{64}", digits) is None:
        raise ValueError("write sha256:FINGERPRINT of the certificate, or spki:FINGERPRINT of its public key")
    return f"{kind}:{digits}"


Pin = Annotated[str, AfterValidator(_pin)]


class HopLogin(Strict):
    """SMTP AUTH at a next hop (PLAIN, only over TLS)."""

    user: str
    password: SecretReference


class HopAddress(Strict):
    """One address of a next hop; a plain text is one whose place in the list is its priority."""

    address: Endpoint
    priority: Annotated[int, Field(ge=0, le=65535)] | None = None
    """The lowest comes first; those of one priority share the load. Without it: the place in the list."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Share of the messages among those of one priority."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> HopAddress:
        if self.weight != 1 and self.priority is None:
            raise ValueError("weight shares the load among addresses of one priority: write the priority too")
        return self


class Hop(Strict):
    """One next hop."""

    name: Name
    protocol: HopProtocol
    addresses: tuple[HopAddress, ...] | None = ()
    """For SMTP and LMTP; None stands for "mx": the mail exchangers of each recipient's domain."""
    mx_port: Annotated[int, Field(ge=1, le=65535)] = 25
    mx_servers: tuple[Socket, ...] = ()
    """DNS servers to ask, IP:PORT; without them those of the system (/etc/resolv.conf)."""
    mx_private: tuple[Network, ...] = ()
    """Networks that are not public and yet may hold mail exchangers; others are refused."""
    directory: Path | None = None
    """For maildir: one Maildir per mailbox below it, DIRECTORY/DOMAIN/LOCAL-PART/."""
    tls: HopTls = HopTls.MAY
    tls_ca: Path | None = None
    """PEM bundle for `verify`; the system's own without it."""
    tls_name: str | None = None
    """Name expected in the certificate; the host of the address without it."""
    tls_pins: tuple[Pin, ...] = ()
    """The hop must show a certificate, or a public key, with one of these SHA-256 fingerprints."""
    tls_certificate: Path | None = None
    """Our certificate, PEM with its chain, for hops that ask for one; together with `tls_key`."""
    tls_key: Path | None = None
    login: HopLogin | None = None
    forward_client: ForwardClient = ForwardClient.NONE
    max_connections: Annotated[int, Field(ge=1)] = 20
    max_messages: Annotated[int, Field(ge=1)] = 100
    """Transactions on one connection."""
    idle_timeout: Annotated[float, Field(gt=0)] = 30.0
    """Seconds a connection is kept for the next message."""
    connect_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds for connecting, banner, EHLO and STARTTLS, each; with "mx" also for the look-up."""
    reply_timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds for the reply to the dot (RFC 5321 4.5.3.2.6); other replies get 300."""

    @property
    def direct(self) -> bool:
        """True if mail goes to the mail exchangers of each recipient's domain."""
        return self.addresses is None

    @field_validator("addresses", mode="before")
    @classmethod
    def _mx(cls, value: Any) -> Any:
        if value == MX:
            return None
        return tuple(value) if isinstance(value, list) else 0 if value is None else value  # 0: no list

    @model_validator(mode="after")
    def _complete(self) -> Hop:
        if self.protocol is HopProtocol.MAILDIR:
            if self.directory is None or self.addresses != ():
                raise ValueError("a maildir hop needs directory, and no addresses")
        elif self.addresses == () or self.directory is not None:
            raise ValueError("an smtp or lmtp hop needs addresses, and no directory")
        if self.addresses is None and self.protocol is not HopProtocol.SMTP:
            raise ValueError('addresses: "mx" is for protocol smtp')
        return self

    @model_validator(mode="after")
    def _secure(self) -> Hop:
        unsure = self.tls in {HopTls.NONE, HopTls.MAY}
        if self.login is not None and unsure:
            raise ValueError("login needs tls encrypt or verify: a password never travels in the clear")
        if self.login is not None and self.forward_client is ForwardClient.XCLIENT:
            raise ValueError("login does not go with forward_client xclient: the hop forgets it with every client")
        if self.tls_pins and unsure:
            raise ValueError("tls_pins need tls encrypt or verify: otherwise mail could go out without TLS")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if self.addresses is None and (self.tls_name is not None or self.tls_pins or self.login is not None):
            raise ValueError('with addresses: "mx" every domain has hosts of its own: no tls_name, tls_pins, login')
        return self
