"""The mail server in front of us: whose word about SPF, DKIM and DMARC counts, and who shares fairly with whom.

Only where a message really came from that server does its name mean anything (RFC 8601 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from typing import TYPE_CHECKING, Self

from gateway.core.address import NullPath, domain_key
from gateway.core.boundary import NOTHING_SAID, BoundaryResults
from gateway.core.received import parsed_address, site_of
from gateway.tagging.results import boundary

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    from gateway.config.inbound import BoundarySettings
    from gateway.core.received import Arrival, Client
    from gateway.mime.fields import Header


@dataclass(frozen=True, slots=True)
class Boundary:
    """The server in front of us."""

    authserv_id: str
    clients: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def of(cls, settings: BoundarySettings | None) -> Self | None:
        """Return what the settings say; None where nobody stands in front of us."""
        return cls(settings.authserv_id, tuple(map(ip_network, settings.clients))) if settings is not None else None

    def sent(self, client: Client) -> bool:
        """Return whether this client is that server."""
        address = _plain(client.address)
        return any(address.version == each.version and address in each for each in self.clients)


def not_passed(boundary: Boundary | None, client: Client) -> tuple[str, ...]:
    """Return the names of servers that this client's mail has not passed: fields that bear them are forged."""
    return (boundary.authserv_id,) if boundary is not None and not boundary.sent(client) else ()


def results_of(server: Boundary | None, client: Client, header: Header) -> BoundaryResults:
    """Return what the server in front of us says of a message; nothing where it did not come from there."""
    if server is None or not server.sent(client):
        return NOTHING_SAID
    return boundary(header, server.authserv_id)


def source_of(arrival: Arrival, boundary: Boundary | None) -> str:
    """Return who shares with others fairly: the client; behind the server in front of us, the sender's domain there."""
    client = _source(arrival.client.address)
    if boundary is None or not boundary.sent(arrival.client):
        return client
    path = arrival.envelope.reverse_path
    return f"{client} {'<>' if isinstance(path, NullPath) else domain_key(path.domain)}"


@lru_cache(maxsize=4096)
def _source(address: str) -> str:
    return site_of(str(_plain(address)))


def _plain(text: str) -> IPv4Address | IPv6Address:
    address = parsed_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
