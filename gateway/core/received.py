"""What an SMTP session hands over: who sent it, through which listener, the envelope and the exact octets.

Only a `Submission` can reach an outbound signing decision: the type is the proof that somebody answered for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.envelope import Envelope
    from gateway.core.message import Message
    from gateway.core.queue import Kind
    from gateway.core.sighting import Recollection


_SITE: Final = 64
"""Bits of the IPv6 network that one site holds: it can choose the rest freely (RFC 6177)."""


parsed_address: Final = lru_cache(maxsize=4096)(ip_address)
"""Returns an IP address as a value, parsed once: a client sends many messages."""


@lru_cache(maxsize=4096)
def site_of(address: str) -> str:
    """Return whom an IP address is counted for: itself, or the IPv6 network that one site holds."""
    parsed = parsed_address(address)
    return str(ip_network((parsed, _SITE), strict=False)) if isinstance(parsed, IPv6Address) else address


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate of a TLS client."""

    fingerprint: str
    """SHA-256 of the DER, hexadecimal, lower case."""
    names: tuple[str, ...]
    """DNS names and mailboxes of its subjectAltName, as they are compared: "dns:host", "email:mailbox"."""

    @property
    def every_name(self) -> frozenset[str]:
        """All that it may be listed by."""
        return frozenset((f"sha256:{self.fingerprint}", *self.names))


@dataclass(frozen=True, slots=True)
class Client:
    """The other end of the session, as far as we saw it; `greeted_as` is only what it claimed."""

    listener: str
    address: str
    """IP address without port."""
    greeted_as: str
    protocol: str
    """RFC 3848 keyword for the Received field: ESMTP, ESMTPS, ESMTPSA, ..."""
    tls: str | None = None
    """Protocol version and cipher, None without TLS."""
    certificate: ClientCertificate | None = None
    """What the client proved to hold in the handshake; its issuer was checked there."""


class Standing(StrEnum):
    """How much is known of a submitter."""

    KNOWN = "known"
    UNLISTED = "unlisted"
    """A host of an internal network that nobody listed: it may send as nobody."""
    RIGHTS_UNKNOWN = "rights_unknown"
    """It logged in, but what it may send as cannot be looked up now."""


@dataclass(frozen=True, slots=True)
class Submitter:
    """Whoever answers for a submission: an authenticated login, or a listed internal source."""

    name: str
    authors: frozenset[str]
    """`Mailbox.key`s it may send as; an entry "@domain" stands for the whole domain."""
    standing: Standing = Standing.KNOWN

    def may_send_as(self, key: str) -> bool:
        """Return True if the mailbox with this key is listed, itself or by its domain."""
        return key in self.authors or f"@{key.rpartition('@')[2]}" in self.authors


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as received: `message` is canonical CRLF on the wire, already free of bare CR, LF and NUL."""

    trace_id: str
    at: datetime
    """Time of the end of data, aware, UTC."""
    client: Client
    envelope: Envelope
    message: Message


@dataclass(frozen=True, slots=True)
class Submission:
    """An arrival that somebody known answers for: outbound."""

    arrival: Arrival
    submitter: Submitter
    again: Kind | None = None
    """What it was kept as, when it goes through the journey again: RELEASED or TO_SIGN."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """An arrival from another mail system: inbound, and nobody answers for it."""

    arrival: Arrival
    again: Kind | None = None
    """As in `Submission`: RELEASED."""
    recollection: Recollection | None = None
    """As in `Consignment`: what was known of its signatures when it came."""


Received = Submission | Relayed
