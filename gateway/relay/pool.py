"""The connections to one next hop: some idle, never more than its limit, hosts in order (`handover.md` I4, row 7).

A connection that is not in step - anything unread, anything unanswered - must never be pooled: the next message would
take the answer meant for another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from gateway.ports import HopError, HopTrouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.relay.greeting import Connection, Greeter
    from gateway.relay.replies import Offers

IDLE_SECONDS: Final = 30.0
"""How long a connection may lie idle: hops close idle ones after 60 s or more, mostly 300."""
MOST_SERVED: Final = 100
"""Transactions on one connection."""
WAIT_SECONDS: Final = 30.0
"""How long a message waits for one of `max_connections` to become free."""
AVOID_SECONDS: Final = 30.0
"""How long a host that was in trouble is tried after the others."""
FAREWELL_SECONDS: Final = 2.0


class BusyError(HopError):
    """All connections are taken; says nothing about the hop's health."""


class Pool:
    """Connections to one hop. Each `take` ends in exactly one of `give_back` and `drop`."""

    def __init__(self, greeter: Greeter, endpoints: Sequence[str], most: int) -> None:
        """Keep at most `most` connections open that carry a transaction; connects to nothing yet."""
        self._greeter = greeter
        self._endpoints = tuple(endpoints)
        self._slots = asyncio.Semaphore(most)
        self._idle: list[Connection] = []
        self._taken: set[Connection] = set()
        self._troubled: dict[str, float] = {}
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        self.offers: Offers | None = None
        """What the hop said in its last greeting."""

    async def take(self) -> Connection:
        """Return an idle connection, or a new one; raises `HopError(SITE)`, `BusyError` among them."""
        await self._wait_for_slot()
        try:
            connection = self._pop_idle() or await self._open(self._in_order())
        except BaseException:
            self._slots.release()
            raise
        self._taken.add(connection)
        return connection

    async def another(self, failed: Connection) -> Connection | None:
        """Return a new connection in place of one that failed before anything was accepted; raises `HopError(SITE)`.

        A kept connection that went stale says nothing about its host: all hosts are tried. After a new one, only the
        hosts that come after it are left; None if there are none.
        """
        failed.abort()
        endpoints = self._in_order()
        if not failed.served:
            self._troubled[failed.endpoint] = time.monotonic()
            endpoints = endpoints[endpoints.index(failed.endpoint) + 1 :]
            if not endpoints:
                return None
        connection = await self._open(endpoints)
        self._taken.discard(failed)
        self._taken.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """End the use of a connection that is in step: its transaction is over and every reply was read."""
        self._end(connection)
        connection.served += 1
        if not connection.wire.quiet:
            connection.abort()
        elif connection.served >= MOST_SERVED or self._closed:
            connection.leave()
        else:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
            if self._reaper is None:
                self._reaper = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._reap)

    def drop(self, connection: Connection) -> None:
        """End the use of a connection that is not, or not surely, in step; closes it at once."""
        connection.abort()
        self._end(connection)

    async def close(self) -> None:
        """Say goodbye on idle connections and cut those in use."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        leaving = [*self._idle, *self._taken]
        for each in self._idle:
            each.leave()
        self._idle.clear()
        for each in self._taken:
            each.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                for each in leaving:
                    await each.wire.wait_closed()
        for each in leaving:
            each.abort()

    async def _wait_for_slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise BusyError(HopTrouble.SITE, "all connections are busy") from None

    def _end(self, connection: Connection) -> None:
        if connection not in self._taken:
            raise RuntimeError("a connection is given back once, by who took it")
        self._taken.discard(connection)
        self._slots.release()

    def _pop_idle(self) -> Connection | None:
        """Return the connection used last, if it is still good; the others lie longer and go first."""
        oldest = time.monotonic() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if not connection.wire.quiet:
                connection.abort()
            elif connection.idle_since < oldest:
                connection.leave()
            else:
                return connection
        return None

    def _reap(self) -> None:
        """Close what lies idle too long; called by the loop."""
        self._reaper = None
        now = time.monotonic()
        while self._idle and self._idle[0].idle_since <= now - IDLE_SECONDS:
            connection = self._idle.pop(0)
            connection.leave()
        if self._idle:
            rest = self._idle[0].idle_since + IDLE_SECONDS - now
            self._reaper = asyncio.get_running_loop().call_later(rest, self._reap)

    def _in_order(self) -> tuple[str, ...]:
        """Return the hosts in order, those in trouble a moment ago after the others."""
        fresh = time.monotonic() - AVOID_SECONDS
        return tuple(sorted(self._endpoints, key=lambda each: self._troubled.get(each, fresh - 1) > fresh))

    async def _open(self, endpoints: Sequence[str]) -> Connection:
        """Return a connection to the first host that greets; raises `HopError(SITE)` that names every trouble."""
        if self._closed:
            raise HopError(HopTrouble.SITE, "the gateway is stopping")
        troubles: list[str] = []
        for endpoint in endpoints:
            try:
                connection = await self._greeter.open(endpoint)
            except HopError as error:
                self._troubled[endpoint] = time.monotonic()
                troubles.append(error.detail)
                continue
            self._troubled.pop(endpoint, None)
            self.offers = connection.offers
            return connection
        raise HopError(HopTrouble.SITE, "; ".join(troubles))
