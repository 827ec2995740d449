"""The connections to one next hop: some idle, never more than its limit, places in order (`handover.md` I4, row 7).

A connection that is not in step - anything unread, anything unanswered - must never be pooled: the next message would
take the answer meant for another one. Nor may one that speaks for a client carry another client's mail.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from gateway.ports import HopError, HopTrouble
from gateway.relay.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.queue import Origin
    from gateway.relay.greeting import Connection, Greeter
    from gateway.relay.places import Health, Place, Places
    from gateway.relay.replies import Offers

WAIT_SECONDS: Final = 30.0
"""How long a message waits for one of `max_connections` to become free."""
FAREWELL_SECONDS: Final = 2.0


class BusyError(HopError):
    """All connections are taken; says nothing about the hop's health."""


class Pool:
    """Connections to one hop. Each `take` ends in exactly one of `give_back` and `drop`."""

    def __init__(
        self,
        greeter: Greeter,
        places: Places,
        health: Health,
        *,
        most: int,
        most_served: int,
        idle_seconds: float,
    ) -> None:
        """Keep at most `most` connections open, each for `most_served` transactions; connects to nothing yet."""
        self._greeter = greeter
        self._places = places
        self._health = health
        self._most = most
        self._most_served = most_served
        self._idle_seconds = idle_seconds
        self._using = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: list[Connection] = []
        self._taken: set[Connection] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        self.offers: Offers | None = None
        """What the hop said in its last greeting."""

    @property
    def busy(self) -> bool:
        """True while somebody uses a connection, or waits for one."""
        return self._using > 0

    @property
    def using(self) -> int:
        """How many connections are in use, those that are being opened among them."""
        return self._using

    @property
    def kept(self) -> int:
        """How many connections nobody uses."""
        return len(self._idle)

    async def take(self, client: Origin | None = None) -> Connection:
        """Return a connection that speaks for `client`, kept or new.

        Raises `HopError(SITE)`, `BusyError` among them, or `NowhereError`.
        """
        if self._using < self._most:
            self._using += 1
        else:
            await self._wait_for_place()
        try:
            places = self._health.in_order(await self._places.find())
            connection = self._pop_idle(places[0].endpoint, client)
            if connection is not None and self._greeter.introduces:
                connection = await self._introduced(connection, client)
            if connection is None:
                connection = await self._open(places, client)
        except BaseException:
            self._leave_place()
            raise
        self._taken.add(connection)
        return connection

    async def another(self, failed: Connection, client: Origin | None = None) -> Connection | None:
        """Return a new connection in place of one that failed before anything was accepted; raises `HopError(SITE)`.

        A kept connection that went stale says nothing about its host: all hosts are tried. After a new one, only the
        hosts that come after it are left; None if there are none.
        """
        failed.abort()
        if failed.served:
            places = self._health.in_order(await self._places.find())
        else:
            self._health.fails(failed.place)
            places = failed.others
            if not places:
                return None
        connection = await self._open(places, client)
        self._taken.discard(failed)
        self._taken.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """End the use of a connection that is in step: its transaction is over and every reply was read."""
        self._end(connection)
        self._health.works(connection.place)
        connection.served += 1
        if not connection.wire.quiet:
            connection.abort()
        elif connection.served >= self._most_served or self._closed:
            connection.leave()
        else:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
            if self._reaper is None:
                self._reaper = asyncio.get_running_loop().call_later(self._idle_seconds, self._reap)

    def suspect(self, connection: Connection) -> None:
        """Note that this host did not carry a transaction to its end: the next message tries others first."""
        self._health.fails(connection.place)

    def drop(self, connection: Connection) -> None:
        """End the use of a connection that is not, or not surely, in step; closes it at once."""
        connection.abort()
        self._end(connection)

    def leave_idle(self) -> None:
        """Say goodbye on every connection that nobody uses."""
        for each in self._idle:
            each.leave()
        self._idle.clear()

    async def close(self) -> None:
        """Say goodbye on idle connections and cut those in use."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        leaving = [*self._idle, *self._taken]
        self.leave_idle()
        for each in self._taken:
            each.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                for each in leaving:
                    await each.wire.wait_closed()
        for each in leaving:
            each.abort()

    async def _wait_for_place(self) -> None:
        """Wait until another use ends whose place becomes ours, in the order of asking; raises `BusyError`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it came in the same moment: somebody else must have it
                self._leave_place()
            if isinstance(error, TimeoutError):
                raise BusyError(HopTrouble.SITE, "all connections are busy") from None
            raise

    def _leave_place(self) -> None:
        """End a use: its place becomes that of who waits longest, if anybody does."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._using -= 1

    def _end(self, connection: Connection) -> None:
        if connection not in self._taken:
            raise RuntimeError("a connection is given back once, by who took it")
        self._taken.discard(connection)
        self._leave_place()

    async def _introduced(self, connection: Connection, client: Origin | None) -> Connection | None:
        """Return a kept connection once it speaks for the client; None if it was lost over that."""
        try:
            await self._greeter.introduce(connection, client)
        except (WireError, TimeoutError):
            connection.abort()
            return None
        except BaseException:
            connection.abort()
            raise
        return connection

    def _pop_idle(self, endpoint: str, client: Origin | None) -> Connection | None:
        """Return the connection used last that leads to this very place and may speak for the client, if it is good.

        The others lie longer and go first.
        """
        oldest = time.monotonic() - self._idle_seconds
        for index in range(len(self._idle) - 1, -1, -1):
            connection = self._idle[index]
            if not connection.wire.quiet:
                del self._idle[index]
                connection.abort()
            elif connection.idle_since < oldest:
                del self._idle[index]
                connection.leave()
            elif connection.endpoint == endpoint and self._greeter.may_speak(connection, client):
                del self._idle[index]
                return connection
        return None

    def _reap(self) -> None:
        """Close what lies idle too long; called by the loop."""
        self._reaper = None
        now = time.monotonic()
        while self._idle and self._idle[0].idle_since <= now - self._idle_seconds:
            connection = self._idle.pop(0)
            connection.leave()
        if self._idle:
            rest = self._idle[0].idle_since + self._idle_seconds - now
            self._reaper = asyncio.get_running_loop().call_later(rest, self._reap)

    async def _open(self, places: Sequence[Place], client: Origin | None) -> Connection:
        """Return a connection to the first place that greets; raises `HopError(SITE)` that names every trouble."""
        if self._closed:
            raise HopError(HopTrouble.SITE, "the gateway is stopping")
        while self._idle and len(self._idle) + self._using > self._most:
            self._idle.pop(0).leave()  # to another place, or for another client
        troubles: list[str] = []
        hopeless = all(self._health.state(each) == "resting" for each in places)  # then the hop's own breaker decides
        for index, place in enumerate(places):
            if not self._health.enter(place) and not hopeless:
                troubles.append(f"{place.endpoint}: is given a rest")
                continue
            try:
                connection = await self._greeter.open(place, client)
            except HopError as error:
                self._health.fails(place)
                troubles.append(error.detail)
                continue
            connection.others = tuple(places[index + 1 :])
            self.offers = connection.offers
            return connection
        raise HopError(HopTrouble.SITE, "; ".join(troubles))
