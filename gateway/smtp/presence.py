"""Who is here: open sessions, connections per client, and messages that are being taken (RFC 5321 3.8).

A message being taken must never be forgotten because its client left.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Protocol

from gateway.core.received import site_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence


class Guest(Protocol):
    """An open connection, as far as the listener cares."""

    def drain(self) -> None:
        """Close when nothing is under way: at once, or after the message that is."""
        ...

    def abort(self) -> None:
        """Close now, whatever is under way."""
        ...


class Presence:
    """The count of one listener's guests and of the messages it is taking."""

    def __init__(self, *, most: int, most_per_client: int) -> None:
        """Admit at most `most` connections, and `most_per_client` from one IPv4 address or IPv6 /64."""
        self.draining = False
        self._most = most
        self._most_per_client = most_per_client
        self._guests: dict[Guest, str] = {}
        self._per_client: Counter[str] = Counter()
        self._acceptances: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def admit(self, guest: Guest, address: str) -> bool:
        """Count a new connection in; False if there are too many."""
        site = site_of(address)
        if len(self._guests) >= self._most or self._per_client[site] >= self._most_per_client:
            return False
        self._guests[guest] = site
        self._per_client[site] += 1
        return True

    def admit_host(self, guest: Guest) -> bool:
        """Count a connection in whose client is not known yet; False if there are too many in all."""
        if len(self._guests) >= self._most:
            return False
        self._guests[guest] = ""
        self._per_client[""] += 1
        return True

    def move(self, guest: Guest, address: str) -> bool:
        """Count a connection for the client that it turned out to be; False if that one has too many."""
        site = site_of(address)
        if guest not in self._guests or self._guests[guest] == site:
            return guest in self._guests
        if self._per_client[site] >= self._most_per_client:
            return False
        self._forget(self._guests[guest])
        self._guests[guest] = site
        self._per_client[site] += 1
        return True

    def dismiss(self, guest: Guest) -> None:
        """Count a connection out; harmless for one that was not admitted."""
        site = self._guests.pop(guest, None)
        if site is not None:
            self._forget(site)
        self._changed.set()

    def _forget(self, site: str) -> None:
        self._per_client[site] -= 1
        if not self._per_client[site]:
            del self._per_client[site]

    def take(self, acceptance: Coroutine[object, object, None]) -> None:
        """Run an acceptance to its end as a task of its own, whatever becomes of the client."""
        task = asyncio.get_running_loop().create_task(acceptance)
        self._acceptances.add(task)
        task.add_done_callback(self._taken)

    def _taken(self, task: asyncio.Task[None]) -> None:
        self._acceptances.discard(task)
        self._changed.set()

    def drain(self) -> None:
        """Ask every guest to leave when it is done."""
        self.draining = True
        for guest in tuple(self._guests):
            guest.drain()

    def abort(self) -> None:
        """Close every connection; messages being taken go on."""
        for guest in tuple(self._guests):
            guest.abort()

    async def emptied(self) -> None:
        """Wait until no guest is here and no message is being taken."""
        while self._guests or self._acceptances:
            self._changed.clear()
            await self._changed.wait()

    def __len__(self) -> int:
        return len(self._guests)

    @property
    def taking(self) -> int:
        """The number of messages being taken."""
        return len(self._acceptances)


def plain_address(peername: object) -> str:
    """Return the IP address of a socket's peer, an IPv4 one as such whatever the listener; raises `ValueError`."""
    if not isinstance(peername, tuple) or not peername:
        raise ValueError("no peer address")
    return _plain(str(peername[0]))


@lru_cache(maxsize=4096)
def _plain(address: str) -> str:
    parsed = ip_address(address.partition("%")[0])
    return str((parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed)


def is_in(address: str, networks: Sequence[str]) -> bool:
    """Return whether an address is in one of the networks."""
    return bool(networks) and any(ip_address(address) in ip_network(each) for each in networks)
