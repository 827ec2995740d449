"""Cut-through or spool first: the moment in which responsibility changes hands (the decision table of `handover.md` 1).

A 2xx leaves here only when a next hop has accepted every recipient, or when all that is left is committed. After
either, nothing changes the answer. Before either, whatever goes wrong keeps nothing. Once a dot is out, no other
attempt is made until its answer is known or the entry is committed.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.core.envelope import Direction
from gateway.core.errors import ServiceError, StorageFullError
from gateway.core.events import Event, Stage
from gateway.core.queue import Kind
from gateway.core.reply import Reply
from gateway.delivery.passage import Passage, fit
from gateway.delivery.patience import Bell, Patience
from gateway.delivery.settle import (
    Attempt,
    Moment,
    Settled,
    accepted,
    new_entry,
    owes_success,
    settle,
    terms_of,
)
from gateway.delivery.settling import PAUSE, store
from gateway.ports import HopError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from gateway.config.model import SpoolSettings
    from gateway.core.events import Fact
    from gateway.core.queue import Consignment, Entry
    from gateway.delivery.ages import Ages
    from gateway.ports import Clock, NextHop, NextHops, Recorder, Routes, Spool

READING: Final = 600.0
"""Seconds a dot's answer is waited for after the commit (RFC 5321 4.5.3.2.6)."""
LAST_PATIENCE: Final = 470.0
"""Seconds a client waits for the dot's answer when the commit failed: it gives up itself after ten minutes (row 11)."""

_FAULT: Final = Reply.of(451, "4.3.0", "Lỗi tạm thời, xin gửi lại sau / temporary fault, please try again")
_FULL: Final = Reply.of(452, "4.3.1", "Hết chỗ lưu tạm, xin gửi lại sau / out of storage, please try again")


class Handover:
    """Implements `ports.HandOver`."""

    def __init__(  # noqa: PLR0913 - one argument per room
        self,
        *,
        hops: NextHops,
        spool: Spool,
        recorder: Recorder,
        clock: Clock,
        settings: SpoolSettings,
        hostname: str,
        new_id: Callable[[], str],
        routes: Routes,
        on_committed: Callable[[], None],
        ages: Ages | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Keep the rooms; `on_committed` wakes whoever dispatches, `jitter` returns numbers in [0, 1)."""
        self._hops = hops
        self._spool = spool
        self._recorder = recorder
        self._clock = clock
        self._settings = settings
        self._new_id = new_id
        self._on_committed = on_committed
        self._jitter = jitter
        self._terms = terms_of(settings, hostname, routes, ages)
        self._closing = Bell()
        self._giving_up = Bell()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._log = structlog.get_logger("gateway.handover")

    async def hand_over(self, consignments: Sequence[Consignment]) -> Reply:
        """Hand over or commit everything, and return the reply to the client's dot.

        Raises what is a bug of ours only while nothing is handed over or committed (row 18).
        """
        if not consignments:
            raise ValueError("nothing to hand over")
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only tasks hand over")
        self._under_way.add(task)
        try:
            patience = Patience(self._closing, self._settings.answer_within)
            now = self._clock.now()
            if len(consignments) == 1 and consignments[0].kind is Kind.DELIVER:
                return await self._through(consignments[0], now, patience)
            return await self._spool_first(tuple([self._entry(each, now) for each in consignments]), patience)
        finally:
            self._ended(task)

    def _entry(self, consignment: Consignment, now: datetime) -> Entry:
        """Return a consignment as an entry with an id of its own; most never need one."""
        return new_entry(consignment, self._new_id(), self._settings, now)

    async def drain(self, seconds: float) -> None:
        """End waiting for next hops at once, as if the budget were spent; let dots be answered for `seconds` more.

        What is unanswered then is settled as such, to be tried again by whoever starts next.
        """
        self._closing.ring()
        await self._wait_for_all(seconds)
        self._giving_up.ring()
        await self._wait_for_all(2 * PAUSE)
        if left := tuple(self._under_way):
            for each in left:
                each.cancel()  # was answered, and its entry is due as soon as we are gone; or nobody gets an answer
            await asyncio.wait(left)  # not for what begins meanwhile: nobody would cancel it

    async def close(self) -> None:
        """Drain without waiting."""
        await self.drain(0)

    async def _wait_for_all(self, seconds: float) -> None:
        """Wait until nothing is under way, also of what begins meanwhile, for some seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._under_way:
                    self._idle.clear()
                    await self._idle.wait()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not self._under_way:
            self._idle.set()

    async def _spool_first(self, entries: tuple[Entry, ...], patience: Patience) -> Reply:
        """Commit everything in one transaction, for dispatch at once (row 3)."""
        refusal = await self._cannot_travel(entries, patience)
        if refusal is not None:
            return refusal
        fault = await self._commit(entries)
        if fault is not None:
            return fault
        self._quietly(self._note_kept, entries)
        self._quietly(self._on_committed)
        return _taken(entries)

    async def _cannot_travel(self, entries: tuple[Entry, ...], patience: Patience) -> Reply | None:
        """Return why one of several parts can never be carried by its hop, as far as the hops are known (row 19)."""
        for entry in entries:
            consignment = entry.consignment
            if consignment.kind is not Kind.DELIVER:
                continue
            hop = self._hops.by_name(consignment.hop)
            if not hop.usable:
                continue
            try:
                with patience:
                    limits = await hop.known_limits()
            except TimeoutError:
                continue
            fitting = fit(consignment.envelope, consignment.message, limits) if limits is not None else None
            if isinstance(fitting, Reply):
                return fitting
        return None

    async def _through(self, consignment: Consignment, now: datetime, patience: Patience) -> Reply:
        """One next hop for everybody: let its answer be ours, or commit before the dot (rows 1, 4-11, 13, 14, 16)."""
        hop = self._hops.by_name(consignment.hop)
        if not hop.usable:
            return await self._keep(self._entry(consignment, now), Attempt({}, "the breaker is open", tried=False))
        passage = Passage(hop, consignment, range(len(consignment.envelope.recipients)))
        try:
            await passage.ask(patience)
        except HopError as error:
            return await self._keep(self._entry(consignment, now), Attempt({}, error.detail))
        try:
            if not passage.accepted:
                attempt = passage.refused()
            elif _must_commit_first(consignment, passage, hop):
                return await self._commit_then_send(self._entry(consignment, now), passage)
            elif (sent := await passage.send(patience)) is None:
                return await self._outlast(self._entry(consignment, now), passage)
            else:
                attempt = sent
        except BaseException:
            await passage.abandon()
            raise
        return self._passed_back(consignment, attempt) or await self._keep(self._entry(consignment, now), attempt)

    async def _commit_then_send(self, entry: Entry, passage: Passage) -> Reply:
        """Commit and claim, then send on the same connection, behind the client's back (rows 4, 14, 16)."""
        if await self._commit_claimed(entry) is not None:
            await passage.abandon()
            await self._give_back(entry)
            return _FULL
        self._quietly(self._note_kept, (entry,))
        if self._spool.holds(entry.entry_id):
            self._finish_later(entry, passage)
        else:  # others took us for dead in this moment, and have it now
            await passage.abandon()
        return _taken((entry,))

    async def _outlast(self, entry: Entry, passage: Passage) -> Reply:
        """The dot is out and the client cannot be kept waiting: commit, and go on listening (rows 9 and 11)."""
        if await self._commit_claimed(entry) is None:
            self._quietly(self._note_kept, (entry,))
            self._finish_later(entry, passage)
            return _taken((entry,))
        patience = Patience(self._giving_up, max(LAST_PATIENCE - self._settings.answer_within, 0))
        attempt = await passage.send(patience) or passage.give_up()
        reply = await self._conclude(entry, attempt)
        await self._give_back(entry)
        return reply

    async def _conclude(self, entry: Entry, attempt: Attempt) -> Reply:
        return self._passed_back(entry.consignment, attempt) or await self._keep(entry, attempt)

    def _passed_back(self, consignment: Consignment, attempt: Attempt) -> Reply | None:
        """Make the hop's answers the client's where they speak for everybody, else the message is kept (rows 1, 5, 6).

        The attempt was for all recipients.
        """
        given = list(attempt.replies.values())
        if len(given) < len(consignment.envelope.recipients):
            return None
        first = attempt.replies[0]
        count = len([each for each in given if accepted(each)])
        if count == len(given):
            self._quietly(self._note_handed_over, consignment, attempt, first)
            return taken((consignment,))
        all_permanent = all(each.permanent for each in given)
        all_transient = not count and not any(each.permanent for each in given)
        if all_permanent or (all_transient and not consignment.answered_for):
            self._quietly(self._note_handed_over, consignment, attempt, first)
            return _passed_on(first)
        return None

    async def _keep(self, entry: Entry, attempt: Attempt) -> Reply:
        """Commit what the attempt left, with the notices owed for what failed (rows 4, 6, 7, 8, 10)."""
        settled = self._settle(entry, attempt)
        fault = await self._commit((settled.entry, *settled.notices))
        if fault is not None:
            if not attempt.unanswered:
                return fault
            self._quietly(self._note_lost, entry, attempt)
            return _FAULT
        self._quietly(self._note_kept, (entry,))
        self._quietly(self._record, settled)
        self._quietly(self._on_committed)
        return _taken((entry,))

    async def _commit(self, entries: tuple[Entry, ...]) -> Reply | None:
        """Commit; returns the refusal if nothing is kept."""
        return await self._insist(self._spool.commit, entries)

    async def _commit_claimed(self, entry: Entry) -> Reply | None:
        """Commit an entry around its dot, as sent and as ours alone: who else comes by it knows that we are dead."""
        return await self._insist(self._spool.commit_claimed, (replace(entry, dot_sent=True),))

    async def _insist(
        self, commit: Callable[[Sequence[Entry]], Awaitable[None]], entries: tuple[Entry, ...]
    ) -> Reply | None:
        """Commit; an unknown outcome is asked for once more (row 20)."""
        for last in (False, True):
            try:
                await commit(entries)
            except StorageFullError:
                return _FULL
            except Exception:  # noqa: BLE001 - whatever the store's trouble is, a dot that is out must be heard
                self._log.exception("commit failed", entries=[each.entry_id for each in entries])
                if last:
                    return _FAULT
            else:
                return None
        raise AssertionError("two attempts are two answers")

    def _finish_later(self, entry: Entry, passage: Passage) -> None:
        """Let the dot's answer settle the committed entry, whoever waits for us."""
        task = asyncio.get_running_loop().create_task(self._finish_somehow(entry, passage))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    async def _finish(self, entry: Entry, passage: Passage) -> None:
        """Send and listen for the rest, then settle; `entry` is as nobody has tried it, not as it was committed."""
        attempt = await passage.send(Patience(self._giving_up, READING)) or passage.give_up()
        settled = self._settle(entry, attempt)
        await store(self._spool, settled, Patience(self._giving_up))
        self._record(settled)
        self._on_committed()

    async def _finish_somehow(self, entry: Entry, passage: Passage) -> None:
        """Finish; a fault in it is ours, and gives the entry to dispatch."""
        try:
            await self._finish(entry, passage)
        except Exception:  # noqa: BLE001 - the seam behind the commit: nobody is left to tell
            self._log.exception("fault after the commit: the entry stays", entry=entry.entry_id)
            await self._give_back(entry)

    async def _give_back(self, entry: Entry) -> None:
        """Let dispatch have what we had claimed; a commit that failed may have kept it all the same."""
        with suppress(ServiceError):  # then it stays claimed until the next start
            await self._spool.release_claim(entry.entry_id)
        self._quietly(self._on_committed)

    def _settle(self, entry: Entry, attempt: Attempt) -> Settled:
        return settle(entry, attempt, Moment(self._clock.now(), self._jitter(), self._new_id()), self._terms)

    def _quietly(self, step: Callable[..., None], *arguments: object) -> None:
        """Do what must not change an answer that is given already (I2)."""
        try:
            step(*arguments)
        except Exception:  # noqa: BLE001 - the seam of row 18: 250 stays 250
            self._log.exception("fault after responsibility was taken")

    def _record(self, settled: Settled) -> None:
        for event in settled.events:
            self._recorder.record(event)

    def _note_kept(self, entries: tuple[Entry, ...]) -> None:
        stages = {Kind.HELD: Stage.HELD, Kind.QUARANTINED: Stage.QUARANTINED}
        for entry in entries:
            consignment = entry.consignment
            facts: dict[str, Fact] = {
                "entry": entry.entry_id,
                "kind": str(consignment.kind),
                "hop": consignment.hop,
                "recipients": len(entry.states),
                "reason": consignment.reason,
            }
            self._recorder.record(Event(stages.get(consignment.kind, Stage.SPOOLED), consignment.trace_id, facts))

    def _note_handed_over(self, consignment: Consignment, attempt: Attempt, reply: Reply) -> None:
        facts: dict[str, Fact] = {
            "done": accepted(reply),
            "hop": consignment.hop,
            "ours": not attempt.remote,
            "recipients": len(consignment.envelope.recipients),
            "code": reply.code,
            "status": reply.status,
            "text": reply.text,
        }
        self._recorder.record(Event(Stage.HANDED_OVER, consignment.trace_id, facts))

    def _note_lost(self, entry: Entry, attempt: Attempt) -> None:
        """Count what the next hop may have although we refuse it (row 11)."""
        facts: dict[str, Fact] = {
            "hop": entry.consignment.hop,
            "text": attempt.trouble,
            "possible_duplicate": len(attempt.unanswered),
        }
        self._recorder.record(Event(Stage.DEFERRED, entry.consignment.trace_id, facts))


def _must_commit_first(consignment: Consignment, passage: Passage, hop: NextHop) -> bool:
    """True if the dot's answer cannot be the client's: it would not speak for everybody, or we owe a report."""
    count = len(consignment.envelope.recipients)
    mixed = len(passage.accepted) < count
    several_replies = hop.per_recipient and count > 1
    return mixed or several_replies or owes_success(consignment, range(count), hop_reports=passage.reports_success)


def _taken(entries: tuple[Entry, ...]) -> Reply:
    return taken([each.consignment for each in entries])


def taken(consignments: Sequence[Consignment]) -> Reply:
    """Return the 250: with our id, and with the news for a sender of ours whose mail is held (row 3).

    A stranger is not told: it would learn which of its imitations somebody looks at.
    """
    trace_id = consignments[0].trace_id
    held = len([each for each in consignments if each.kind is Kind.HELD and each.direction is Direction.OUTBOUND])
    if not held:
        return Reply(250, "2.0.0", (f"{trace_id} accepted",))
    if held == len(consignments):
        return Reply.of(250, "2.0.0", f"{trace_id} thư được giữ lại chờ duyệt / held for approval")
    return Reply.of(250, "2.0.0", f"{trace_id} một phần được giữ lại chờ duyệt / held for approval in part")


def _passed_on(reply: Reply) -> Reply:
    """Return a hop's refusal as ours: same class and enhanced code; a 421 would end our client's session as well."""
    if not (reply.transient or reply.permanent):
        return _FAULT
    code = 451 if reply.code == 421 else reply.code  # noqa: PLR2004 - RFC 5321 3.8
    return Reply.of(code, reply.status or f"{code // 100}.0.0", reply.text[:1000])
