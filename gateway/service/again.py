"""Kept mail that is due goes through the journey again: what was released, and what waits for its key.

| what the journey answers | released | waiting for its key |
|---|---|---|
| entries | stand for the old one, in one transaction | the same |
| policy refuses, the sender may not, no route | the sender is told (DSN) | the same |
| no signature is possible | held again, with the reason | as the rule says; suspended: held |
| the key is busy or away, a fault of ours | tried again by the schedule; told when late, and when given up | the same |
| nobody can be told (`<>`, NOTIFY=NEVER, mail from outside) | kept for an administrator | the same |

An entry must never be lost, nor stand beside what became of it: one transaction replaces the one by the others.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from gateway.core.envelope import Direction
from gateway.core.errors import InputError, ServiceError
from gateway.core.events import Event, Stage
from gateway.core.queue import Kind
from gateway.core.reply import Reply
from gateway.mime.fields import MimeError
from gateway.service.arrivals import open_arrival
from gateway.service.kept import Kept, ListenerGoneError
from gateway.tagging import strip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gateway.core.events import Fact
    from gateway.core.queue import Consignment, Entry
    from gateway.ports import Clock, Copies, KeptMail, Recorder
    from gateway.service.intake import Journey

BATCH: Final = 8
"""Entries that are claimed, and worked on, at a time."""
LONGEST_SLEEP: Final = 2.0
"""Seconds after which the store is asked again: an administrator lets mail go from another process."""
PAUSE: Final = 2.0
"""Seconds of rest after trouble with the store."""
LATER: Final = timedelta(hours=1)
"""How long an entry waits that meets a bug of ours."""

_AWAY: Final = Reply.of(451, "4.7.0", "Khóa ký chưa dùng được, sẽ thử lại / the signing key is busy or away")
_FAULT: Final = Reply.of(451, "4.3.0", "Lỗi tạm thời, sẽ thử lại / temporary fault, we try again")


class After(Protocol):
    """What became of an entry without being handed on."""

    @property
    def entry(self) -> Entry:
        """The entry from now on."""
        ...

    @property
    def notices(self) -> tuple[Entry, ...]:
        """What its sender is told."""
        ...

    @property
    def events(self) -> tuple[Event, ...]:
        """What to record once both are stored."""
        ...


class Outcomes(Protocol):
    """What delivery knows and the journey does not: schedules and notices."""

    def entries(self, before: Entry, consignments: Sequence[Consignment]) -> tuple[Entry, ...]:
        """Return consignments as entries that stand for the one before; each is due at once."""
        ...

    def answered(self, before: Entry, reply: Reply) -> After:
        """Return what a reply of ours to all its open recipients makes of an entry."""
        ...


class Again:
    """Takes kept mail on: `run` in a task, `wake` to look now, `stop` at the end."""

    def __init__(  # noqa: PLR0913 - one argument per room
        self,
        *,
        spool: KeptMail,
        journey: Journey,
        outcomes: Outcomes,
        clock: Clock,
        recorder: Recorder,
        hostname: str,
        on_committed: Callable[[], None],
        copies: Copies | None = None,
    ) -> None:
        """Keep the rooms; `journey` is asked for its world each time, `on_committed` wakes whoever delivers.

        `copies` gets what is sent at last.
        """
        self._copies = copies
        self._spool = spool
        self._journey = journey
        self._outcomes = outcomes
        self._clock = clock
        self._recorder = recorder
        self._hostname = hostname
        self._on_committed = on_committed
        self._wakened = asyncio.Event()
        self._stopping = False
        self._working: asyncio.Future[list[None]] | None = None
        self._log = structlog.get_logger("gateway.again")

    def wake(self) -> None:
        """Look for due entries now."""
        self._wakened.set()

    async def run(self) -> None:
        """Take on what is due, until `stop` is called or the task is canceled."""
        while not self._stopping:
            self._wakened.clear()
            try:
                due = await self._spool.next_due_again()
                if due is not None and due <= self._clock.now():
                    await self._work_on(await self._spool.due_again(self._clock.now(), BATCH))
                else:
                    await self._sleep(due)
            except ServiceError as error:
                self._log.warning("the spool is out of order", error=str(error))
                await self._rest(PAUSE)
            except Exception:  # noqa: BLE001 - the seam: this loop outlives its own bugs
                self._log.exception("fault while taking kept mail on")
                await self._rest(PAUSE)

    async def stop(self, seconds: float) -> None:
        """Claim nothing more, and give what is under way `seconds` to end; it is whole, or as it was before."""
        self._stopping = True
        self.wake()
        if self._working is not None and not self._working.done():
            await asyncio.wait({self._working}, timeout=seconds)
            self._working.cancel()
            await asyncio.wait({self._working}, timeout=PAUSE)

    async def _work_on(self, entries: Sequence[Entry]) -> None:
        self._working = asyncio.gather(*(self._work(each) for each in entries))
        try:
            await asyncio.wait({self._working})
        finally:
            self._working.cancel()  # harmless to what has ended

    async def _work(self, entry: Entry) -> None:
        """Bring one claimed entry to an end of some kind; never raises but when canceled."""
        trace_id = entry.consignment.trace_id
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                await self._replace(entry, await self._travel(entry))
            except asyncio.CancelledError:
                with suppress(ServiceError):
                    await self._spool.release_claim(entry.entry_id)
                raise
            except ServiceError as error:
                self._log.warning("the spool is out of order", entry=entry.entry_id, error=str(error))
                await self._put_off(entry)
            except Exception:  # noqa: BLE001 - the seam: a bug of ours costs no entry
                self._log.exception("fault: the entry stays", entry=entry.entry_id)
                await self._put_off(entry)

    async def _travel(self, entry: Entry) -> tuple[Consignment, ...] | Reply:
        """Return what the journey makes of an entry; a reply of 4xx asks for another try."""
        world = self._journey.world
        kept = Kept(entry, self._clock.now(), self._hostname)
        raw = entry.consignment.message
        try:
            if entry.consignment.direction is Direction.INBOUND:
                clean = strip(raw, authserv_id=world.tags.authserv_id)
                opened = open_arrival(clean, kept.trace)
                judged = clean if kept.has_trace else raw  # what has our trace has our marks as well
                return await self._journey.inbound.consign(world, kept.relayed(), judged, opened)
            trace, came = kept.parted()
            opened = open_arrival(strip(came, authserv_id=world.tags.authserv_id), trace)
            submission = kept.submission(self._journey.doors, world.accounts)
            return await self._journey.outbound.consign(world, submission, opened)
        except ListenerGoneError as error:
            reason = f"listener_gone {error} is not in the settings any more"
            return (replace(entry.consignment, kind=Kind.HELD, reason=reason),)
        except MimeError as error:
            return Reply.of(554, "5.6.0", f"Cấu trúc thư vượt giới hạn / message structure: {error.reason}")
        except InputError as error:
            return error.reply or Reply.of(554, "5.6.0", f"Thư không đọc được / cannot read: {error.reason}")
        except ServiceError:
            self._log.exception("service fault")
            return _FAULT

    async def _replace(self, entry: Entry, result: tuple[Consignment, ...] | Reply) -> None:
        """Store what became of an entry, and record it."""
        if isinstance(result, Reply):
            await self._end(entry, result)
            return
        if not result:
            await self._hold(entry, "nobody_left everybody has it already")
            return
        kinds = {each.kind for each in result}
        if kinds == {Kind.TO_SIGN}:
            waiting = replace(entry.consignment, reason=result[0].reason)
            await self._end(replace(entry, consignment=waiting), _AWAY)
        elif kinds <= {Kind.HELD, Kind.QUARANTINED}:
            await self._hold(entry, result[0].reason)
        else:
            entries = self._outcomes.entries(entry, _still_released(entry, result))
            await self._spool.exchange(entry.entry_id, entries)
            self._note(entry, tuple(each.entry_id for each in entries), "")
            self._on_committed()
            if self._copies is not None:
                self._copies.file(result)

    async def _end(self, entry: Entry, reply: Reply) -> None:
        """Store what a reply of ours makes of an entry: put off, given up with a notice, or kept for people."""
        after = self._outcomes.answered(entry, reply)
        if after.entry.open_indexes or after.entry.consignment.kind is Kind.QUARANTINED:
            await self._spool.settle(after.entry, after.notices)
        elif after.notices:
            await self._spool.exchange(entry.entry_id, after.notices)
        else:
            await self._hold(entry, f"refused {reply}")
            return
        self._note(entry, tuple(each.entry_id for each in after.notices), str(reply))
        for event in after.events:
            self._recorder.record(event)
        if after.notices:
            self._on_committed()

    async def _hold(self, entry: Entry, reason: str) -> None:
        """Keep an entry as it is, for an administrator."""
        kind = Kind.HELD if entry.consignment.direction is Direction.OUTBOUND else Kind.QUARANTINED
        await self._spool.settle(replace(entry, consignment=replace(entry.consignment, kind=kind, reason=reason)))
        facts: dict[str, Fact] = {"entry": entry.entry_id, "reason": reason}
        stage = Stage.HELD if kind is Kind.HELD else Stage.QUARANTINED
        self._recorder.record(Event(stage, entry.consignment.trace_id, facts))

    def _note(self, entry: Entry, became: tuple[str, ...], reason: str) -> None:
        facts: dict[str, Fact] = {
            "entry": entry.entry_id,
            "kind": str(entry.consignment.kind),
            "became": became,
            "reason": reason,
        }
        self._recorder.record(Event(Stage.AGAIN, entry.consignment.trace_id, facts))

    async def _put_off(self, entry: Entry) -> None:
        """Let an entry wait that met a bug of ours or trouble with the store."""
        try:
            later = self._clock.now() + LATER
            await self._spool.settle(replace(entry, next_attempt_at=later, attempts=entry.attempts + 1))
        except Exception:  # noqa: BLE001 - the same seam
            self._log.exception("the entry stays claimed until the next start", entry=entry.entry_id)

    async def _sleep(self, due: datetime | None) -> None:
        seconds = LONGEST_SLEEP if due is None else (due - self._clock.now()).total_seconds()
        await self._rest(min(max(seconds, 0.05), LONGEST_SLEEP))

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wakened.wait()


def _still_released(entry: Entry, result: tuple[Consignment, ...]) -> tuple[Consignment, ...]:
    """Return what the journey made of an entry; what waits for a key meanwhile is not held a second time."""
    kind = entry.consignment.kind
    return tuple(replace(each, kind=kind) if each.kind is Kind.TO_SIGN else each for each in result)
