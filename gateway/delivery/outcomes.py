"""What becomes of kept mail: entries that stand for one before, and our own replies to one, by the rules of settling.

Implements `service.again.Outcomes`. Nothing here is stored.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.core.queue import Kind
from gateway.delivery.settle import Attempt, Moment, given_back, new_entry, notice, settle, terms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gateway.config.model import SpoolSettings
    from gateway.core.address import Mailbox
    from gateway.core.message import Message
    from gateway.core.queue import Consignment, Entry
    from gateway.core.reply import Reply
    from gateway.delivery.ages import Ages
    from gateway.delivery.settle import Settled
    from gateway.ports import Clock, Routes


class Outcomes:
    """Knows the schedule of the spool and the way to senders."""

    def __init__(
        self,
        *,
        settings: SpoolSettings,
        hostname: str,
        routes: Routes,
        clock: Clock,
        new_id: Callable[[], str],
        ages: Ages | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Keep what every settlement needs; `jitter` returns numbers in [0, 1)."""
        self._terms = terms_of(settings, hostname, routes, ages)
        self._clock = clock
        self._new_id = new_id
        self._jitter = jitter

    def entries(self, before: Entry, consignments: Sequence[Consignment]) -> tuple[Entry, ...]:
        """Return consignments as entries that stand for the one before, each due at once.

        Mail that waited for its key keeps its age, and whether its sender was warned; what was released begins anew.
        """
        now = self._clock.now()
        fresh = tuple(new_entry(each, self._new_id(), self._terms.settings, now) for each in consignments)
        if before.consignment.kind is Kind.RELEASED:
            return fresh
        since, until, warned = before.received_at, before.expires_at, before.warned_at
        return tuple(replace(each, received_at=since, expires_at=until, warned_at=warned) for each in fresh)

    def told(self, to: Mailbox, make: Callable[[str, datetime], Message], reason: str) -> Entry | None:
        """Return a message of our own that is due at once, made with a fresh token; None where no route leads there."""
        hop = self._terms.route(to)
        if hop is None:
            return None
        token, now = self._new_id(), self._clock.now()
        consignment = notice(to, hop, make(token, now), trace_id=token, reason=reason)
        return new_entry(consignment, token, self._terms.settings, now)

    def given_back(self, entry: Entry, reply: Reply) -> Settled | None:
        """Return what ends an entry with a notice of this permanent reply of ours; None if nobody can be told."""
        return given_back(entry, reply, Moment(self._clock.now(), 0.0, self._new_id()), self._terms)

    def answered(self, before: Entry, reply: Reply) -> Settled:
        """Return what a reply of ours to all its open recipients makes of an entry (`handover.md` row 15)."""
        replies = dict.fromkeys(before.open_indexes, reply)
        moment = Moment(self._clock.now(), self._jitter(), self._new_id())
        return settle(before, Attempt(replies), moment, self._terms)
