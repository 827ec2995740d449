"""What runs later: each entry that is due gets one attempt, by the steps of a hand-over, and is settled by its answer.

An entry must never be dropped: it is settled, given back, or stays claimed until the next start. One dead or slow next
hop must not block the others, however much waits for it.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import ServiceError
from gateway.delivery.lanes import Lane, Lanes
from gateway.delivery.passage import Passage
from gateway.delivery.patience import Bell, Patience
from gateway.delivery.schedule import longest_wait
from gateway.delivery.settle import Attempt, Moment, settle, terms_of
from gateway.delivery.settling import PAUSE, store
from gateway.ports import HopError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config.model import SpoolSettings
    from gateway.core.queue import Entry
    from gateway.delivery.ages import Ages
    from gateway.delivery.settle import Settled
    from gateway.ports import Clock, NextHops, Recorder, Routes, Spool

BATCH: Final = 50
"""Entries claimed at a time; not more than `lanes.WAITING`: one claim must not use what is kept for other domains."""
LONGEST_SLEEP: Final = 2.0
"""Seconds after which the store is asked again: an administrator has mail tried at once from another process."""
SHORTEST_SLEEP: Final = 0.05
_BUSY: Final = Attempt({}, "too many next hops hang", tried=False)
LONGEST_ATTEMPT: Final = 3600.0
"""Seconds; hops bound every step themselves, this is for a large message on a slow line that never ends."""


class Dispatcher:
    """Delivers what is in the spool: `run` in a task, `wake` after a commit, `stop` at the end."""

    def __init__(  # noqa: PLR0913 - one argument per room
        self,
        *,
        spool: Spool,
        recorder: Recorder,
        settings: SpoolSettings,
        hostname: str,
        hops: NextHops,
        routes: Routes,
        clock: Clock,
        new_id: Callable[[], str],
        ages: Ages | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Keep the rooms; `jitter` returns numbers in [0, 1)."""
        self._spool = spool
        self._recorder = recorder
        self._settings = settings
        self._hops = hops
        self._clock = clock
        self._new_id = new_id
        self._jitter = jitter
        self._terms, self._ages = terms_of(settings, hostname, routes, ages), ages
        self._wakened = asyncio.Event()
        self._stopping = Bell()
        self._giving_up = Bell()
        self._working: set[asyncio.Task[None]] = set()
        self._lanes = Lanes(lambda: asyncio.get_running_loop().time())
        self._passages: dict[str, Passage] = {}
        self._log = structlog.get_logger("gateway.dispatch")

    def wake(self) -> None:
        """Look for due entries now."""
        self._wakened.set()

    async def run(self) -> None:
        """Dispatch until `stop` is called or the task is canceled; then nothing stays claimed that was not sent."""
        try:
            while not self._stopping.rung:
                self._wakened.clear()
                try:
                    await self._stop_what_is_not_ours()
                    await self._mend_plans()
                    await self._claim_due()
                    await self._sleep()
                except ServiceError as error:
                    self._log.warning("the spool is out of order", error=str(error))
                    await self._rest(PAUSE)
                except Exception:  # noqa: BLE001 - the seam: dispatch outlives its own bugs
                    self._log.exception("fault in dispatch")
                    await self._rest(PAUSE)
        finally:
            if not self._stopping.rung:
                await self.stop(0)

    async def stop(self, seconds: float) -> None:
        """Claim nothing more, give attempts under way `seconds` to end, then give back what has no dot yet."""
        self._stopping.ring()
        self.wake()
        if self._working and seconds > 0:
            await asyncio.wait(self._working, timeout=seconds)
        self._giving_up.ring()
        if self._working:
            await asyncio.wait(self._working, timeout=2 * PAUSE)
        left = tuple(self._working)
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _mend_plans(self) -> None:
        """After the clock went back, and at the start, pull near what it had put off too far while it was ahead."""
        if self._ages is None:
            return
        self._ages.look()
        if self._ages.went_back:
            self._ages.went_back = False  # before: it may go back again meanwhile
            try:
                moved = await self._spool.pull_near(self._clock.now(), longest_wait(self._settings))
            except BaseException:
                self._ages.went_back = True
                raise
            if moved:
                self._log.warning("what a clock that was ahead had put off is tried now", entries=moved)

    async def _claim_due(self) -> None:
        """Claim all that is due and has room at its hop; what has none stays where it is and delays nobody."""
        while not self._stopping.rung:
            claimed = await self._spool.due(self._clock.now(), BATCH, self._lanes.full)
            if not claimed:
                return
            put_off: list[asyncio.Task[None]] = []
            for each in claimed:
                if self._lanes.overruns(each.consignment.hop):
                    put_off.append(self._start(each, _BUSY))
                else:
                    self._start(each, None)
            if put_off:  # what is behind gets its turn all the same
                await asyncio.wait(put_off)

    def _start(self, entry: Entry, without_asking: Attempt | None) -> asyncio.Task[None]:
        """Begin to work on an entry."""
        self._lanes.enter(entry.consignment.hop, entry.consignment.turn_of)
        task = asyncio.get_running_loop().create_task(self._work(entry, without_asking))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task

    async def _work(self, entry: Entry, without_asking: Attempt | None) -> None:
        """Bring one claimed entry to an end of some kind; never raises but when canceled."""
        try:
            attempt = without_asking or await self._attempt(entry)
            if attempt is None:
                await self._spool.release_claim(entry.entry_id)
                return
            moment = Moment(self._clock.now(), self._jitter(), self._new_id())
            settled = settle(entry, attempt, moment, self._terms)
            await store(self._spool, settled, Patience(self._giving_up))
            self._record(settled)
        except asyncio.CancelledError:
            with suppress(ServiceError):
                await self._spool.release_claim(entry.entry_id)
            raise
        except ServiceError:
            self._log.exception("the spool is out of order: the entry stays claimed", entry=entry.entry_id)
        except Exception:  # noqa: BLE001 - the seam: dispatch's own bug costs no entry
            self._log.exception("fault: the entry stays", entry=entry.entry_id)
            await self._set_aside(entry)
        finally:
            if self._lanes.leave(entry.consignment.hop, entry.consignment.turn_of):
                self.wake()

    def _record(self, settled: Settled) -> None:
        """Record what is stored; a recorder that breaks its promise must not bring a settled entry back."""
        if settled.notices or settled.entry.open_indexes:
            self.wake()  # while it was claimed, nobody counted with it
        with suppress(Exception):
            for event in settled.events:
                self._recorder.record(event)

    async def _attempt(self, entry: Entry) -> Attempt | None:
        """Wait for a turn at the hop and try; None if we stop before anything of it was sent."""
        lane = self._lanes[entry.consignment.hop]
        try:
            with Patience(self._stopping):
                await lane.take_turn(entry.consignment.turn_of)
        except TimeoutError:
            return None
        try:
            return await self._ask_and_send(entry, lane)
        finally:
            lane.end_turn()

    async def _ask_and_send(self, entry: Entry, lane: Lane) -> Attempt | None:
        try:
            hop = self._hops.by_name(entry.consignment.hop)
        except KeyError:  # the settings have changed: it may come back until the entry expires
            return Attempt({}, "no such next hop")
        while not hop.usable:  # whoever was let through to try it tells the others whether it is back
            try:
                with Patience(self._stopping):
                    news = await lane.news()
            except TimeoutError:
                return None
            if not news:
                self._lanes.rest(entry.consignment.hop)
                return Attempt({}, "the breaker is open", tried=False)
        passage = self._passages[entry.entry_id] = Passage(hop, entry.consignment, entry.open_indexes)
        try:
            with lane.trying():
                return await self._send(entry, passage, Patience(self._giving_up, LONGEST_ATTEMPT))
        finally:
            del self._passages[entry.entry_id]

    async def _send(self, entry: Entry, passage: Passage, patience: Patience) -> Attempt | None:
        try:
            await passage.ask(patience)
        except HopError as error:
            lost = self._giving_up.rung or not self._spool.holds(entry.entry_id)
            return None if lost else Attempt({}, error.detail)
        if not passage.accepted:
            return passage.refused()
        if not self._spool.holds(entry.entry_id):  # others took us for dead, and have it now
            await passage.abandon()
            return None
        try:
            attempt = await passage.send(patience) or passage.give_up()
        except BaseException:
            await passage.abandon()
            raise
        return attempt if passage.dot_sent or self._spool.holds(entry.entry_id) else None

    async def _stop_what_is_not_ours(self) -> None:
        """Close what has no dot yet of entries that another machine may have taken; a dot's answer is waited for."""
        for entry_id, passage in tuple(self._passages.items()):
            if not passage.dot_sent and not self._spool.holds(entry_id):
                self._log.warning("an entry is not ours any more: its attempt is stopped", entry=entry_id)
                await passage.abandon()

    async def _set_aside(self, entry: Entry) -> None:
        """Put an entry that meets a bug of ours off for the longest interval; a dot may be out."""
        later = self._clock.now() + timedelta(seconds=self._settings.retry_most)
        try:
            await self._spool.settle(replace(entry, next_attempt_at=later, attempts=entry.attempts + 1, dot_sent=True))
        except Exception:  # noqa: BLE001 - the same seam
            self._log.exception("the entry stays claimed until the next start", entry=entry.entry_id)

    async def _sleep(self) -> None:
        """Sleep until the next entry is due or somebody wakes us."""
        full, began = self._lanes.full, asyncio.get_running_loop().time()
        due = await self._spool.next_due(full)
        if full:  # the more there is to pass over, the longer that takes: half of the time at most
            await asyncio.sleep(asyncio.get_running_loop().time() - began)
        seconds = LONGEST_SLEEP if due is None else (due - self._clock.now()).total_seconds()
        await self._rest(min(max(seconds, SHORTEST_SLEEP), LONGEST_SLEEP))

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wakened.wait()
