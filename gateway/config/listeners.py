"""The settings of the listening sockets: who may talk to them, TLS, bounds of a session (RFC 5321, RFC 6409)."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gateway.config.base import AuthorPattern, ClientName, Name, Network, Socket, Strict


class TlsMode(StrEnum):
    """How a listener uses TLS."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class ServerTls(Strict):
    """A listener's certificate (PEM with chain) and key (PEM)."""

    mode: TlsMode
    certificate: Path | None = None
    key: Path | None = None
    required: bool = True
    """Refuse MAIL before TLS (530 5.7.0). Only for mode starttls."""
    client_ca: Path | None = None
    """PEM bundle: clients are asked for a certificate from these. One from anybody else ends the handshake."""

    @model_validator(mode="after")
    def _complete(self) -> ServerTls:
        if self.mode is not TlsMode.NONE and (self.certificate is None or self.key is None):
            raise ValueError("certificate and key are needed for TLS")
        if self.mode is TlsMode.NONE and self.client_ca is not None:
            raise ValueError("client_ca needs TLS")
        return self


class ListenerKind(StrEnum):
    """Who may talk to a listener, and which half of the gateway it feeds."""

    SUBMISSION = "submission"
    """Authenticated people and programs (RFC 6409): outbound."""
    INTERNAL = "internal"
    """Listed hosts that cannot log in: outbound."""
    INBOUND = "inbound"
    """Other mail systems: inbound."""


class Source(Strict):
    """A listed internal host, network or holder of a client certificate, and the authors it may send as."""

    name: Name
    networks: tuple[Network, ...] = ()
    """Where it sends from; with certificates, empty is anywhere."""
    certificates: tuple[ClientName, ...] = ()
    """It must show one of these; for a listener with `client_ca`."""
    authors: tuple[AuthorPattern, ...]

    @model_validator(mode="after")
    def _known(self) -> Source:
        if not self.networks and not self.certificates:
            raise ValueError("a source is known by its networks, certificates, or both")
        return self


def _trusted(text: str) -> str:
    """Check a network whose hosts are believed: "everybody" is a mistake."""
    if ip_network(text).prefixlen == 0:
        raise ValueError("everybody could claim any address")
    return text


Trusted = Annotated[Network, AfterValidator(_trusted)]
PerMinute = Annotated[int, Field(ge=1)] | None


class RateLimits(Strict):
    """How much may be sent in a minute, and at once; None is any number. Each worker counts for itself."""

    client_messages: PerMinute = None
    """MAIL commands from one IPv4 address or one IPv6 /64; more are answered 450 4.7.1."""
    client_recipients: PerMinute = None
    """RCPT commands; more are answered 452 4.7.1."""
    login_messages: PerMinute = None
    """The same for one login, from wherever."""
    login_recipients: PerMinute = None


class Listener(Strict):
    """One listening socket."""

    name: Name
    kind: ListenerKind
    address: Socket
    """Where to listen; port 0 is any free one. No UNIX socket: SMTP clients are told apart by their IP address."""
    tls: ServerTls = ServerTls(mode=TlsMode.NONE)
    auth_without_tls: bool = False
    """Offer AUTH on a connection without TLS: for loopback and tests only."""
    sources: tuple[Source, ...] = ()
    """For kind internal: who may connect."""
    proxy_from: tuple[Trusted, ...] = ()
    """Balancers that begin every connection with a PROXY header (version 1 or 2), which tells the client's address."""
    xclient_from: tuple[Trusted, ...] = ()
    """Hosts that may tell the client's address with XCLIENT."""
    rates: RateLimits = RateLimits()
    max_connections: Annotated[int, Field(ge=1)] = 500
    max_connections_per_client: Annotated[int, Field(ge=1)] = 50
    max_recipients: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Forward-paths per transaction; more are answered 452 4.5.3."""
    command_timeout: Annotated[float, Field(gt=0)] = 300.0
    """Seconds without any octet from the client; RFC 5321 4.5.3.2.7 asks for at least 300."""

    @model_validator(mode="after")
    def _fits(self) -> Listener:
        if self.kind is ListenerKind.INTERNAL and not self.sources:
            raise ValueError("a listener of kind internal needs sources")
        if self.kind is not ListenerKind.INTERNAL and self.sources:
            raise ValueError("sources belong to a listener of kind internal")
        if self.kind is not ListenerKind.INTERNAL and self.tls.client_ca is not None:
            raise ValueError("client_ca belongs to a listener of kind internal")
        if self.tls.client_ca is None and any(each.certificates for each in self.sources):
            raise ValueError("sources with certificates need client_ca under tls")
        return self
