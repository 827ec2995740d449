"""Every setting of `gateway.yaml`, its unit and default; unknown keys are refused.

A secret must never stand in this model itself: passphrases are given by reference (`file:PATH`, `env:NAME`,
`credential:NAME` for systemd credentials) and read only where they are used.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from gateway.config.base import (
    MEBI,
    AuthorPattern,
    ClientName,
    Destination,
    Domain,
    Endpoint,
    Name,
    Network,
    SecretReference,
    Socket,
    Strict,
)
from gateway.config.inbound import TagSettings, TrustSettings, VerifySettings
from gateway.config.keys import STATE_FILE, KeyFile, KeysRevocation
from gateway.config.mailbox import MailboxSettings  # noqa: TC001 - pydantic reads the annotation
from gateway.config.memory import MemorySettings
from gateway.config.senders import SenderSettings
from gateway.config.wishes import WishSettings  # noqa: TC001 - the same

if TYPE_CHECKING:
    from collections.abc import Iterator


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


class RecipientCheck(StrEnum):
    """How inbound forward-paths are checked at RCPT; there is no default."""

    PROBE = "probe"
    TABLE = "table"
    ANY = "any"


class LocalDomain(Strict):
    """A domain whose mail comes in through this gateway."""

    domain: Domain
    hop: Name
    recipients: RecipientCheck
    table: tuple[AuthorPattern, ...] = ()
    """Mailboxes that exist, for `recipients: table`."""

    @model_validator(mode="after")
    def _fits(self) -> LocalDomain:
        if (self.recipients is RecipientCheck.TABLE) != bool(self.table):
            raise ValueError("table lists the mailboxes for recipients: table, and for nothing else")
        return self


class OutboundRoute(Strict):
    """Where outbound mail for a domain goes; the first match wins, "*" is every domain."""

    domain: Destination
    hop: Name


class SpoolSettings(Strict):
    """The durable store."""

    directory: Path
    min_free: Annotated[int, Field(ge=0)] = 256 * MEBI
    """Octets that must stay free on its file system: below it MAIL gets 452 4.3.1."""
    memory_threshold: Annotated[int, Field(ge=4096)] = 256 * 1024
    """Octets above which a body lives in an unlinked file."""
    retry_first: Annotated[float, Field(gt=0)] = 60.0
    """Seconds to the first retry; each next one doubles, with jitter, up to retry_most."""
    retry_most: Annotated[float, Field(gt=0)] = 3600.0
    expire_after: Annotated[float, Field(gt=0)] = 5 * 86400.0
    """Seconds after which a message is given up (RFC 5321 4.5.4.1: 4-5 days)."""
    answer_within: Annotated[float, Field(gt=0)] = 20.0
    """Seconds from the client's dot in which the next hop's answer is waited for."""


class PasswordAuth(Strict):
    """Logins from a file of `login:argon2id-hash:author,author,...` lines."""

    file: Path
    remember: Annotated[float, Field(ge=0)] = 300.0
    """Seconds a success is remembered under a keyed hash; dropped when the file changes."""


class Settings(Strict):
    """The whole of `gateway.yaml`."""

    hostname: Domain
    """Our name in greetings and trace fields."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the listeners, the spool and the load; one for each processor core is as fast as it gets."""
    listeners: Annotated[tuple[Listener, ...], Field(min_length=1)]
    hops: Annotated[tuple[Hop, ...], Field(min_length=1)]
    local_domains: tuple[LocalDomain, ...] = ()
    outbound: tuple[OutboundRoute, ...] = ()
    spool: SpoolSettings
    policies: Path
    """Directory of policy files (`*.yaml`)."""
    auth: PasswordAuth | None = None
    keys: tuple[KeyFile, ...] = ()
    keys_revocation: KeysRevocation = "soft"
    """What is asked about our own keys before they sign; the lists are those of `trust.crls`."""
    keys_state: Path | None = None
    """File of what `gateway keys suspend` and `resume` say; without it keys-state.jsonl in the spool's directory."""
    trust: TrustSettings = TrustSettings()
    agencies: Path | None = None
    """File of agencies (YAML), for names in tags."""
    tags: TagSettings
    verify: VerifySettings = VerifySettings()
    """How inbound signatures are judged."""
    senders: SenderSettings = SenderSettings()
    """Who may send as whom beyond the lists of logins and sources, and what happens to mail that may not."""
    wishes: WishSettings | None = None
    """Subject words and a header field for senders; without it nobody's wish is asked for."""
    mailbox: MailboxSettings | None = None
    """Access to the mail store, for colored tags and copies of sent mail; without it neither happens."""
    memory: MemorySettings = MemorySettings()
    """How much of past mail is remembered, for `gateway policy replay`."""
    max_message_size: Annotated[int, Field(ge=65536)] = 35 * MEBI
    """Octets announced as SIZE, lowered where the next hop takes less."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def keys_state_file(self) -> Path:
        """Where suspensions of keys stand."""
        return self.keys_state or self.spool.directory / STATE_FILE

    @property
    def trust_directory(self) -> Path:
        """What `gateway trust add` took in."""
        return self.trust.store or self.spool.directory / "trust"

    @property
    def revocation_directory(self) -> Path:
        """Where fetched revocation data is kept."""
        return self.spool.directory / "revocation"

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        mistakes = [*self._doubles(), *self._loose_ends(), *self._gaps()]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _doubles(self) -> Iterator[str]:
        """Yield what stands twice, or behind something that leaves it nothing."""
        for kind, names in (
            ("listener", [each.name for each in self.listeners]),
            ("hop", [each.name for each in self.hops]),
            ("key", [each.label for each in self.keys]),
            ("local domain", [each.domain for each in self.local_domains]),
            ("outbound route", domains := [each.domain for each in self.outbound]),
        ):
            for name in sorted({each for each in names if names.count(each) > 1}):
                yield f"{kind} {name!r} is defined twice"
        for name in domains[domains.index("*") + 1 :] if "*" in domains else ():
            yield f'outbound route {name!r} stands behind "*" and is never used'

    def _loose_ends(self) -> Iterator[str]:
        hops = {hop.name for hop in self.hops}
        for domain in self.local_domains:
            if domain.hop not in hops:
                yield f"local domain {domain.domain!r} names the unknown hop {domain.hop!r}"
        for route in self.outbound:
            if route.hop not in hops:
                yield f"outbound route {route.domain!r} names the unknown hop {route.hop!r}"

    def _gaps(self) -> Iterator[str]:
        kinds = {listener.kind for listener in self.listeners}
        if ListenerKind.SUBMISSION in kinds and self.auth is None:
            yield "a submission listener needs auth"
        if ListenerKind.INBOUND in kinds and not self.local_domains:
            yield "an inbound listener needs local_domains"
        if kinds & {ListenerKind.SUBMISSION, ListenerKind.INTERNAL} and not any(r.domain == "*" for r in self.outbound):
            yield 'outbound needs a route for "*"'
