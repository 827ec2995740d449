"""Where may be asked: URLs against the list of hosts, addresses against what is public (RFC 3986, RFC 6890, RFC 6052).

A URL in a certificate is its author's: it must never lead to a host that is not listed, nor a listed name, by way of
the name service, to an address inside our own networks. What two readers could read differently is refused.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL: Final = 2048
"""Characters."""
_URL: Final = re.compile(
    r"(https?)://([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?((?:[/?][!$%&'()*+,./:;=?@\w~-]*)?)",
    re.IGNORECASE | re.ASCII,
)
"""No userinfo, no fragment, no backslash, nothing outside ASCII."""
_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65535
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""NAT64: the last four octets are an IPv4 address (RFC 6052 2.1)."""
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_TUNNELED: Final = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
"""6to4 and Teredo: an IPv4 address within, which nobody needs for this."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that may be asked."""

    url: str
    host: str
    """Lower case, without port."""
    port: int

    @property
    def site(self) -> str:
        """Host and port: what answers or does not."""
        return f"{self.host}:{self.port}"


class Places:
    """The listed hosts and networks."""

    __slots__ = ("_exact", "_networks", "_suffixes")

    def __init__(self, hosts: Sequence[str], networks: Sequence[str]) -> None:
        """Take hosts as `FetchSettings.hosts` has them, and networks that count as public."""
        names = [each.lower() for each in hosts]
        self._exact = frozenset(each for each in names if not each.startswith("*."))
        self._suffixes = tuple(each[1:] for each in names if each.startswith("*."))
        self._networks = tuple(ipaddress.ip_network(each) for each in networks)

    def of(self, url: str) -> Place | None:
        """Return the place that a URL names, if it may be asked."""
        match = _URL.fullmatch(url) if len(url) <= MAX_URL else None
        if match is None:
            return None
        scheme, host, port, rest = match[1].lower(), match[2].lower(), match[3], match[4]
        usual = _PORTS[scheme]
        number = int(port) if port else usual
        if not 0 < number <= _MAX_PORT or not self._listed(host, number, usual=number in _PORTS.values()):
            return None
        path = rest if rest.startswith("/") else f"/{rest}"
        return Place(f"{scheme}://{host}{'' if number == usual else f':{number}'}{path}", host.strip("[]"), number)

    def _listed(self, host: str, port: int, *, usual: bool) -> bool:
        names = [f"{host}:{port}", *([host] if usual else [])]
        return any(name in self._exact or name.endswith(self._suffixes) for name in names)

    def may_connect(self, text: str) -> bool:
        """Return whether an address, as the name service gave it, is public or listed."""
        try:
            address = _inner(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        return _public(address) or any(address in each for each in self._networks if each.version == address.version)


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in _UNICAST and not any(address in each for each in _TUNNELED)
