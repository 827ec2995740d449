"""Every setting of `gateway.yaml`, its unit and default; unknown keys are refused.

A secret must never stand in this model itself: passphrases are given by reference (`file:PATH`, `env:NAME`,
`credential:NAME` for systemd credentials) and read only where they are used.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from gateway.config.base import MEBI, AuthorPattern, Destination, Domain, Name, SecretReference, Strict
from gateway.config.digest import DigestSettings  # noqa: TC001 - pydantic reads the annotation
from gateway.config.hops import Hop, HopLogin, HopProtocol, HopTls
from gateway.config.inbound import TagSettings, TrustSettings, VerifySettings
from gateway.config.keys import STATE_FILE, KeyFile, KeysRevocation
from gateway.config.listeners import Listener, ListenerKind, ServerTls, Source, TlsMode
from gateway.config.mailbox import MailboxSettings  # noqa: TC001 - pydantic reads the annotation
from gateway.config.memory import MemorySettings
from gateway.config.senders import SenderSettings
from gateway.config.wishes import WishSettings  # noqa: TC001 - the same

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Hop",
    "HopLogin",
    "HopProtocol",
    "HopTls",
    "Listener",
    "ListenerKind",
    "LocalDomain",
    "OutboundRoute",
    "PasswordAuth",
    "RecipientCheck",
    "ServerTls",
    "Settings",
    "Source",
    "SpoolSettings",
    "TlsMode",
]


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
    database: SecretReference | None = None
    """Connection string of a PostgreSQL that several machines share; without it a file in `directory`."""
    min_free: Annotated[int, Field(ge=0)] = 256 * MEBI
    """Octets that must stay free on its file system: below it MAIL gets 452 4.3.1."""
    memory_budget: Annotated[int, Field(ge=4 * MEBI)] = 64 * MEBI
    """Octets that each worker spends on small messages in memory, and again on messages that are being read."""
    memory_threshold: Annotated[int, Field(ge=4096)] = 2 * MEBI
    """Octets above which a body lives in an unlinked file: from 32 KiB on where SIZE says more (RFC 1870)."""
    retry_first: Annotated[float, Field(gt=0)] = 60.0
    """Seconds to the first retry; each next one doubles, with jitter, up to retry_most."""
    retry_most: Annotated[float, Field(gt=0)] = 3600.0
    expire_after: Annotated[float, Field(gt=0)] = 5 * 86400.0
    """Seconds after which a message is given up (RFC 5321 4.5.4.1: 4-5 days)."""
    warn_after: Annotated[float, Field(gt=0)] = 4 * 3600.0
    """Seconds after which the sender of a message that is still tried is told, once, that it is late."""
    kept_days: Annotated[int, Field(ge=1)] = 30
    """Days that held and quarantined mail waits for an administrator; never removed without `kept_notice_days`."""
    kept_notice_days: Annotated[int, Field(ge=1)] = 7
    """Days between the word that kept mail is about to end and its end."""
    digest: DigestSettings | None = None
    """Who is told once a day, by mail, of what is kept; without it nobody."""
    answer_within: Annotated[float, Field(gt=0)] = 20.0
    """Seconds from the client's dot in which the next hop's answer is waited for."""

    @property
    def shared(self) -> bool:
        """True where other machines have the same spool."""
        return self.database is not None


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
            ("listening address", [each.address for each in self.listeners if not each.address.endswith(":0")]),
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
        direct = {hop.name for hop in self.hops if hop.direct}
        for domain in self.local_domains:
            if domain.hop in direct:
                yield f"local domain {domain.domain!r}: its mail exchanger is this gateway, not {domain.hop!r}"
            if domain.hop not in hops:
                yield f"local domain {domain.domain!r} names the unknown hop {domain.hop!r}"
        for route in self.outbound:
            if route.hop not in hops:
                yield f"outbound route {route.domain!r} names the unknown hop {route.hop!r}"
        known = {*(each.domain for each in self.local_domains), *(each.domain for each in self.outbound)}
        for mailbox in self.spool.digest.mailboxes if self.spool.digest is not None else ():
            if not known & {"*", mailbox.rpartition("@")[2]}:
                yield f"no route leads to {mailbox!r}, who is to get a digest"

    def _gaps(self) -> Iterator[str]:
        kinds = {listener.kind for listener in self.listeners}
        if ListenerKind.SUBMISSION in kinds and self.auth is None:
            yield "a submission listener needs auth"
        if ListenerKind.INBOUND in kinds and not self.local_domains:
            yield "an inbound listener needs local_domains"
        if kinds & {ListenerKind.SUBMISSION, ListenerKind.INTERNAL} and not any(r.domain == "*" for r in self.outbound):
            yield 'outbound needs a route for "*"'
