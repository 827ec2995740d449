"""The mail exchangers of a domain, looked up in DNS (RFC 5321 5.1, RFC 7505, RFC 8767).

An answer is data of strangers: it must never lead to us, to a private network that nobody allowed, nor to more hosts
than are worth trying. Only what DNS says for sure is said to a sender; everything else is tried again.
"""

from __future__ import annotations

import asyncio
import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver

from gateway.core.address import domain_key
from gateway.core.errors import SetupError
from gateway.core.reply import Reply
from gateway.ports import HopError, HopTrouble
from gateway.relay.places import NowhereError, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from ipaddress import IPv4Address

    from gateway.config.hops import Hop

MOST_EXCHANGERS: Final = 10
"""Hosts that are looked at, the most preferred ones; no message waits for more."""
MOST_ADDRESSES: Final = 2
"""Addresses of each family and host."""
SHORTEST_TTL: Final = 60.0
NOTHING_TTL: Final = 300.0
"""How long "there is no such record" stands."""
LONGEST_TTL: Final = 3600.0
STALE_SECONDS: Final = 24 * 3600.0
"""How long an answer that has run out serves while nobody gives a new one."""

_NULL_MX: Final = Reply.of(556, "5.1.10", "Tên miền này không nhận thư / the domain takes no mail (null MX)")
_NO_DOMAIN: Final = Reply.of(550, "5.1.2", "Không có tên miền này / no such domain")
_NO_HOST: Final = Reply.of(550, "5.4.4", "Tên miền không có máy chủ thư / the domain has no mail server")
_PRIVATE: Final = Reply.of(
    550, "5.4.4", "Máy chủ thư của tên miền ở mạng riêng / the domain's mail servers are in private networks only"
)
_LOOP: Final = Reply.of(554, "5.4.6", "Thư sẽ quay vòng / mail for this domain would come back to us")


class _UnknownError(Exception):
    """DNS gave no answer that counts, now."""


class Lookup:
    """Asks DNS for one hop of the configuration; shared by all its domains."""

    def __init__(self, hop: Hop, hostname: str) -> None:
        """Take the resolvers of the hop, or the system's; raises `SetupError`. Nobody is asked yet."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not hop.mx_servers)
        except dns.exception.DNSException as error:
            raise SetupError(f"hop {hop.name}: no DNS server: {error}") from error
        if hop.mx_servers:
            self._resolver.nameservers = [_server(each) for each in hop.mx_servers]
        self._seconds = hop.connect_timeout
        self._port = hop.mx_port
        self._ours = domain_key(hostname)
        self._private = tuple(ip_network(each) for each in hop.mx_private)

    async def places(self, domain: str) -> tuple[tuple[Place, ...], float]:
        """Return the places for a domain, and for how many seconds they stand.

        Raises `NowhereError` for what DNS says for sure, `HopError(SITE)` for everything else.
        """
        if domain.startswith("["):
            raise NowhereError(_NO_DOMAIN)  # address literals go to nobody (RFC 5321 4.1.3 lets a site decide)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._places(domain)
        except (_UnknownError, TimeoutError) as error:
            raise HopError(HopTrouble.SITE, f"MX of {domain}: {error or 'no answer in time'}") from error

    async def _places(self, domain: str) -> tuple[tuple[Place, ...], float]:
        exchangers, seconds = await self._exchangers(domain)
        found = await asyncio.gather(*(self._addresses(host) for _, host in exchangers), return_exceptions=True)
        places: list[Place] = []
        private = False
        unknown: BaseException | None = None
        for (preference, host), answer in zip(exchangers, found, strict=True):
            if isinstance(answer, BaseException):
                if not isinstance(answer, _UnknownError):
                    raise answer
                unknown = answer
                continue
            addresses, stands = answer
            seconds = min(seconds, stands)
            public = [each for each in addresses if self._allowed(each)]
            private = private or len(public) < len(addresses)
            places += (self._place(each, host, preference) for each in public)
        if places:
            return tuple(places), min(max(seconds, SHORTEST_TTL), LONGEST_TTL)
        if unknown is not None:
            raise unknown
        raise NowhereError(_PRIVATE if private else _NO_HOST)

    async def _exchangers(self, domain: str) -> tuple[list[tuple[int, str]], float]:
        """Return preferences and hosts, the most preferred first, without those that are not before us."""
        answer = await self._ask(domain, "MX")
        if answer is None:
            raise NowhereError(_NO_DOMAIN)
        records = sorted((each.preference, each.exchange.to_text(omit_final_dot=True)) for each in answer[0])
        if not records:
            if domain_key(domain) == self._ours:
                raise NowhereError(_LOOP)
            return [(0, domain)], answer[1]  # RFC 5321 5.1: the domain itself
        if len(records) == 1 and records[0][1] in {"", "."}:
            raise NowhereError(_NULL_MX)
        ours = [preference for preference, host in records if _key(host) == self._ours]
        before = [each for each in records if each[1] not in {"", "."} and (not ours or each[0] < min(ours))]
        if ours and not before:
            raise NowhereError(_LOOP)
        return before[:MOST_EXCHANGERS], answer[1]

    async def _addresses(self, host: str) -> tuple[list[IPv4Address | IPv6Address], float]:
        answers = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"), return_exceptions=True)
        addresses: list[IPv4Address | IPv6Address] = []
        seconds = LONGEST_TTL
        for answer in answers:
            if isinstance(answer, BaseException):
                continue
            if answer is not None:
                addresses += [ip_address(each.address) for each in tuple(answer[0])[:MOST_ADDRESSES]]
                seconds = min(seconds, answer[1])
        if not addresses:  # that one family has none says nothing while the other is not known
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        return addresses, seconds

    async def _ask(self, name: str, kind: str) -> tuple[Iterable[Any], float] | None:
        """Return the records and their TTL; None if the name does not exist, no records if it has none."""
        try:
            answer = await self._resolver.resolve(
                dns.name.from_text(name), kind, raise_on_no_answer=False, lifetime=self._seconds, search=False
            )
        except dns.resolver.NXDOMAIN:
            return None
        except (UnicodeError, dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong):
            return None
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise _UnknownError(f"{name} {kind}: {type(error).__name__}") from error
        if answer.rrset is None:
            return (), NOTHING_TTL
        return answer.rrset, float(answer.rrset.ttl)

    def _allowed(self, address: IPv4Address | IPv6Address) -> bool:
        plain = (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
        return (plain.is_global and not plain.is_multicast) or any(plain in each for each in self._private)

    def _place(self, address: IPv4Address | IPv6Address, host: str, preference: int) -> Place:
        """Return the place; IPv4 first at one preference, since a machine without IPv6 finds out at once anyway."""
        six = isinstance(address, IPv6Address)
        text = f"[{address}]:{self._port}" if six else f"{address}:{self._port}"
        return Place(text, host, 2 * preference + six)


def _key(host: str) -> str:
    try:
        return domain_key(host)
    except ValueError:
        return host.lower()


def _server(text: str) -> dns.nameserver.Nameserver:
    host, _, port = text.rpartition(":")
    try:
        return dns.nameserver.Do53Nameserver(str(ip_address(host.strip("[]"))), int(port))
    except ValueError:
        raise SetupError(f"mx_servers {text}: write IP:PORT") from None


class MxPlaces:
    """Implements `Places` for one domain; callers that come first share one question."""

    def __init__(self, lookup: Lookup, domain: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask nobody yet; `clock` counts seconds."""
        self._lookup = lookup
        self._domain = domain
        self._clock = clock
        self._places: tuple[Place, ...] = ()
        self._until = 0.0
        self._asking: asyncio.Task[Sequence[Place]] | None = None

    async def find(self) -> Sequence[Place]:
        """Return where the domain's mail goes, from memory while the answer stands."""
        if self._places and self._clock() < self._until:
            return self._places
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
            self._asking.add_done_callback(_read)
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Sequence[Place]:
        try:
            self._places, seconds = await self._lookup.places(self._domain)
        except NowhereError:
            self._places = ()
            raise
        except HopError:
            if not self._places or self._clock() - self._until > STALE_SECONDS:
                raise
            return self._places
        self._until = self._clock() + seconds
        return self._places


def _read(task: asyncio.Task[Sequence[Place]]) -> None:
    if not task.cancelled():
        task.exception()  # whoever waits has it; one that stopped waiting must not leave it unread
