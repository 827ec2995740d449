"""What waits for people: kept mail and its end, said in the log days before, on record, told to whoever can be told.

Frozen mail that everybody forgot is said in the log once a day, and owners get a digest once a day (`digests`).

Nothing ends that was not said to end `kept_notice_days` before, whatever stood still meanwhile. Any number of gateways
may look at the same time: what one has ended is gone for the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.envelope import Direction
from gateway.core.errors import GatewayError
from gateway.delivery.returning import kept_too_long
from gateway.spool.acts import By
from gateway.spool.desk import Outcome
from gateway.spool.orders import Orders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.app.digests import Digests
    from gateway.config.model import SpoolSettings
    from gateway.core.events import Event
    from gateway.core.queue import Entry
    from gateway.delivery.ages import Ages
    from gateway.delivery.outcomes import Outcomes
    from gateway.ports import Clock, Recorder
    from gateway.spool.desk import Listed

EVERY: Final = 3600.0
"""Seconds between two looks."""
_WHO: Final = "gateway"


class Keeping:
    """Looks after kept mail: `run` in a task, or `look` once."""

    def __init__(
        self,
        settings: SpoolSettings,
        *,
        outcomes: Outcomes,
        clock: Clock,
        recorder: Recorder,
        on_committed: Callable[[], None],
        ages: Ages | None = None,
        digests: Digests | None = None,
    ) -> None:
        """Keep the rooms; `on_committed` wakes whoever delivers. Without `digests` nobody gets one.

        Nothing ends by an age that `ages` does not believe; without it the clock is believed.
        """
        self._ages = ages
        self._settings = settings
        self._outcomes = outcomes
        self._clock = clock
        self._recorder = recorder
        self._on_committed = on_committed
        self._digests = digests
        self._log = structlog.get_logger("gateway.keeping")

    async def run(self) -> None:
        """Look now and then, until the task is canceled."""
        while True:
            try:
                if await asyncio.to_thread(self.look):
                    self._on_committed()
            except GatewayError as error:
                self._log.warning("kept mail could not be looked after", error=str(error))
            except Exception:  # noqa: BLE001 - the seam: mail must not wait for ever because of a bug of ours
                self._log.exception("fault while looking after kept mail")
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        if self._digests is None:
            return EVERY
        return min(EVERY, self._digests.wait(self._clock.now()).total_seconds() + 1)

    def look(self) -> int:
        """Say what will end or was forgotten, end what is over, send digests; returns the number of messages. Blocks.

        The order matters: a digest says when something ends, and never of what has ended.
        """
        with Orders(self._settings) as orders:
            self._announce(orders)
            self._remind(orders)
            ended = self._end(orders) if self._ages is None or not self._ages.doubtful else 0
            return ended + (self._digests.send(orders, self._clock.now()) if self._digests is not None else 0)

    def _announce(self, orders: Orders) -> None:
        now = self._clock.now()
        while found := orders.about_to_end(now):
            for each in found:  # said before it is remembered: twice is better than not at all
                self._say("kept mail will end", each, days=self._settings.kept_notice_days)
            orders.noticed(found, now)

    def _remind(self, orders: Orders) -> None:
        now = self._clock.now()
        while found := orders.forgotten(now):
            for each in found:
                since = each.frozen_at.isoformat() if each.frozen_at is not None else ""
                self._say("mail is still frozen", each, frozen_at=since)
            orders.noticed(found, now)

    def _end(self, orders: Orders) -> int:
        reports = 0
        by = By(_WHO, f"{self._settings.kept_days} days", self._clock.now())
        while found := orders.over(by.at):
            ended = 0
            for each in found:
                events: list[Event] = []
                told = orders.expire(each.entry_id, self._giving_back(each, events), by) is Outcome.DONE
                if told:
                    ended += 1
                    reports += bool(events)
                    self._say("kept mail has ended", each, reported=bool(events))
                    for event in events:
                        self._recorder.record(event)
            if not ended:  # claimed or damaged: next time
                break
        return reports

    def _giving_back(self, listed: Listed, events: list[Event]) -> Callable[[Entry], Sequence[Entry] | None]:
        """Return what tells the sender of held mail; `events` has what to record once that is stored."""

        def give_back(entry: Entry) -> Sequence[Entry] | None:
            events.clear()
            if listed.direction is not Direction.OUTBOUND:
                return None
            settled = self._outcomes.given_back(entry, kept_too_long(self._settings.kept_days))
            if settled is None:
                return None
            events.extend(settled.events)
            return settled.notices

        return give_back

    def _say(self, what: str, each: Listed, **facts: object) -> None:
        self._log.warning(
            what,
            trace_id=each.trace_id,
            entry=each.entry_id,
            kind=each.kind.value,
            reason=each.reason,
            received_at=each.received_at.isoformat(),
            **facts,
        )
