"""Doubles for what a hand-over and dispatch speak to, in simulated time, with a switch that kills the process.

    world = World(scripts={"out": [Script(rcpt=(250, 550), dot=(250,))]})
    reply, process = handed(world, consignment(2))

A `World` is what outlives a process: the store on disk, what next hops have delivered, the time. A `Process` is one
life of the gateway in it: real `Handover` and `Dispatcher`, and doubles that die with it. Every effect is a numbered
step; at the step `die_at` the process dies, before the effect. Nothing really sleeps.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway.config.model import SpoolSettings
from gateway.core.address import NULL_PATH, Mailbox, NullPath
from gateway.core.queue import NOWHERE, Consignment, Entry, Full, Kind
from gateway.delivery.dispatch import Dispatcher
from gateway.delivery.handover import Handover
from gateway.ports import HopError, HopTrouble
from support.scripts import Dot, Limits, Script, answer
from support.simulated import LOOP

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from gateway.core.address import ReversePath
    from gateway.core.envelope import Envelope
    from gateway.core.events import Event, Stage
    from gateway.core.message import Message
    from gateway.core.queue import Origin
    from gateway.core.reply import Reply

T = TypeVar("T")

START: Final = dt.datetime(2026, 3, 2, 8, 0, tzinfo=dt.UTC)
SETTINGS: Final = SpoolSettings(directory=Path("/nowhere"))


class Died(BaseException):
    """The process was killed: no handler for errors sees this."""


class World:
    """What outlives a process."""

    def __init__(
        self,
        scripts: Mapping[str, Sequence[Script]] | None = None,
        *,
        lmtp: bool = False,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        commit_faults: Sequence[Exception | None] = (),
        settle_faults: Sequence[Exception | None] = (),
        settings: SpoolSettings = SETTINGS,
    ) -> None:
        self.scripts = {name: list(each) for name, each in (scripts or {}).items()}
        self.lmtp = lmtp
        self.limits = limits
        self.settings = settings
        self.commit_faults = list(commit_faults)
        self.keep_anyway = False
        """A commit that raises has happened all the same (its outcome was unknown)."""
        self.settle_faults = list(settle_faults)
        self.unusable: set[str] = set()
        self.disk: dict[str, Entry] = {}
        self.delivered: Counter[str] = Counter()
        self.dots: list[Dot] = []
        self.notices: list[bytes] = []
        self.steps: list[str] = []
        self.die_at: int | None = None
        self.at_step: Callable[[int], None] | None = None
        self.ids = 0
        self.lives = 0
        self.attempts: list[tuple[float, str]] = []
        self.answered_after = 0.0
        """Seconds of the last hand-over, for tests that measure them."""
        LOOP.moment = 0.0

    def simulate(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run work in simulated time."""
        return LOOP.run_until_complete(work())

    def now(self) -> dt.datetime:
        return START + dt.timedelta(seconds=LOOP.moment)

    def new_id(self) -> str:
        self.ids += 1
        return f"id{self.ids}"

    def process(self) -> Process:
        """Start the gateway."""
        self.lives += 1
        return Process(self)

    def failures(self) -> set[str]:
        """Return the recipients of which a delivered notice says that they failed."""
        found: set[str] = set()
        for each in self.notices:
            found |= {
                match[1].decode() for match in re.finditer(rb"Final-Recipient: rfc822; (\S+)\r\nAction: failed", each)
            }
        return found

    def kept(self, *kinds: Kind) -> list[Entry]:
        """Return the entries on disk of these kinds."""
        return [each for each in self.disk.values() if each.consignment.kind in kinds]


class Process:
    """One life of the gateway."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False
        self.events: list[Event] = []
        self.spool = MemorySpool(self)
        self.hops: dict[str, ScriptedHop] = {}
        self.dispatcher = Dispatcher(
            spool=self.spool,
            recorder=self,
            settings=world.settings,
            hostname="gw.example",
            hops=self,
            routes=self,
            clock=world,
            new_id=world.new_id,
            jitter=lambda: 0.5,
        )
        self.woken = 0
        self.handover = Handover(
            hops=self,
            spool=self.spool,
            recorder=self,
            clock=world,
            settings=world.settings,
            hostname="gw.example",
            new_id=world.new_id,
            routes=self,
            on_committed=self._wake,
            jitter=lambda: 0.5,
        )
        self.death = asyncio.Event()

    async def accept(self, consignments: Sequence[Consignment]) -> Reply:
        """Hand over as the listener does: an acceptance is a task of its own, which its client's end does not end."""
        return await asyncio.shield(asyncio.create_task(self.handover.hand_over(consignments)))

    def _wake(self) -> None:
        self.woken += 1
        self.dispatcher.wake()

    def step(self, name: str) -> None:
        """Pass one numbered step, or die before it; whoever is dead does nothing any more."""
        world = self.world
        if self.dead:
            raise Died(name)
        if world.die_at == len(world.steps):
            self.dead = True
            self.death.set()
            raise Died(name)
        world.steps.append(name)
        if world.at_step is not None:
            world.at_step(len(world.steps))

    def record(self, event: Event) -> None:
        self.events.append(event)

    def stages(self) -> list[Stage]:
        return [each.stage for each in self.events]

    def by_name(self, name: str) -> ScriptedHop:
        if name not in self.hops:
            self.hops[name] = ScriptedHop(self, name)
        return self.hops[name]

    def inbound(self, mailbox: Mailbox) -> str | None:
        return "home" if mailbox.domain == "so-a.example" else None

    def outbound(self, mailbox: Mailbox) -> str | None:
        return None if mailbox.domain == "nowhere.example" else "out"

    def through(self, hop: str, mailbox: Mailbox) -> str:
        return hop


class MemorySpool:
    """Implements `ports.Spool` over the world's disk; claims die with the process."""

    below_watermark = False

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self.claims: set[str] = set()

    async def commit(self, entries: Sequence[Entry]) -> None:
        self._process.step("commit")
        await asyncio.sleep(0.002)
        fault = self._world.commit_faults.pop(0) if self._world.commit_faults else None
        if fault is None or self._world.keep_anyway:
            for each in entries:
                self._world.disk.setdefault(each.entry_id, each)
        if fault is not None:
            raise fault
        self._process.step("committed")

    async def commit_claimed(self, entries: Sequence[Entry]) -> None:
        self.claims |= {each.entry_id for each in entries}
        await self.commit(entries)

    def holds(self, entry_id: str) -> bool:
        return entry_id in self.claims

    async def settle(self, entry: Entry, notices: Sequence[Entry] = ()) -> None:
        self._process.step("settle")
        await asyncio.sleep(0.002)
        fault = self._world.settle_faults.pop(0) if self._world.settle_faults else None
        if fault is not None:
            raise fault
        if entry.entry_id not in self._world.disk:
            raise AssertionError("an entry that is not there was settled")
        done = entry.consignment.kind is Kind.DELIVER and not entry.open_indexes
        if done:
            del self._world.disk[entry.entry_id]
        else:
            self._world.disk[entry.entry_id] = entry
        for each in notices:
            self._world.disk[each.entry_id] = each
        self.claims.discard(entry.entry_id)
        self._process.step("settled")

    async def due(self, now: dt.datetime, limit: int, full: Full = NOWHERE) -> tuple[Entry, ...]:
        await asyncio.sleep(0)
        ready = [each for each in self._open(full) if each.next_attempt_at <= now]
        chosen = tuple(sorted(ready, key=lambda each: each.next_attempt_at)[:limit])
        self.claims |= {each.entry_id for each in chosen}
        return chosen

    async def release_claim(self, entry_id: str) -> None:
        self._process.step("release")
        self.claims.discard(entry_id)

    async def next_due(self, full: Full = NOWHERE) -> dt.datetime | None:
        return min((each.next_attempt_at for each in self._open(full)), default=None)

    async def pull_near(self, now: dt.datetime, longest: dt.timedelta) -> int:
        far = [each for each in self._open() if each.next_attempt_at > now + longest]
        for each in far:
            self._world.disk[each.entry_id] = replace(each, next_attempt_at=now)
        return len(far)

    async def count(self) -> Mapping[str, int]:
        return Counter(str(each.consignment.kind) for each in self._world.disk.values())

    def _open(self, full: Full = NOWHERE) -> list[Entry]:
        return [
            each
            for each in self._world.disk.values()
            if each.consignment.kind is Kind.DELIVER
            and each.open_indexes
            and each.entry_id not in self.claims
            and each.consignment.hop not in full.hops
            and (each.consignment.hop, each.consignment.turn_of) not in full.turns
        ]


class ScriptedHop:
    """Implements `ports.NextHop`: one script per transaction, then everything is accepted."""

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.name = name

    @property
    def usable(self) -> bool:
        return self.name not in self.process.world.unusable

    @property
    def per_recipient(self) -> bool:
        return self.process.world.lmtp

    async def begin(self, client: Origin | None = None) -> ScriptedTransaction:
        world = self.process.world
        self.process.step(f"begin {self.name}")
        world.attempts.append((LOOP.moment, self.name))
        waiting = world.scripts.get(self.name)
        script = waiting.pop(0) if waiting else Script(rcpt=(), dot=())
        if script.begin == "trouble":
            raise HopError(HopTrouble.SITE, "connection refused")
        if script.begin == "hang":
            await asyncio.sleep(3600)
        return ScriptedTransaction(self, script, accepts_all=not script.dot)

    async def known_limits(self) -> Limits | None:
        return self.process.world.limits


class ScriptedTransaction:
    """Implements `ports.Transaction`."""

    def __init__(self, hop: ScriptedHop, script: Script, *, accepts_all: bool) -> None:
        self._process = hop.process
        self._world = hop.process.world
        self._script = script
        self._accepts_all = accepts_all
        self._reverse_path: ReversePath = NULL_PATH
        self._accepted: list[str] = []
        self.given: Envelope | None = None
        self._announced: int | None = None
        self._abandoned = False
        self._dot = Dot(())
        self._news = asyncio.Event()
        self._here = False
        self.given_up = False
        self.dot_sent = False

    @property
    def limits(self) -> Limits:
        return self._world.limits

    async def envelope(self, envelope: Envelope, *, size: int | None = None) -> tuple[Reply, ...]:
        self._process.step("envelope")
        self._reverse_path = envelope.reverse_path
        self.given = envelope
        self._announced = size
        codes = (*self._script.rcpt, *(250,) * len(envelope.recipients))[: len(envelope.recipients)]
        for recipient, code in zip(envelope.recipients, codes, strict=True):
            if code < 300:
                self._accepted.append(str(recipient.mailbox))
        return tuple(answer(code, "rcpt") for code in codes)

    async def content(self, message: Message) -> tuple[Reply, ...] | None:
        if not self.dot_sent:
            await self._carry(message)
        if not await self._answered():
            return None
        codes = self._codes()
        replies = tuple(answer(code, "dot") for code in codes[: len(self._accepted)])
        self._process.step("answer")
        self._dot.answered |= set(self._accepted[: len(replies)])
        if len(replies) < len(self._accepted):
            raise HopError(HopTrouble.LOST_AFTER_DOT, "connection lost", replies)
        return replies

    async def _carry(self, message: Message) -> None:
        self._process.step("content")
        assert self._announced == len(message), "the size announced is not the size sent"
        await asyncio.sleep(0.002)
        if self._script.data == "lost":
            raise HopError(HopTrouble.SITE, "connection lost")
        if self._script.data == "hang":
            await asyncio.sleep(3600)
        if self._abandoned:
            raise HopError(HopTrouble.SITE, "abandoned")
        self.dot_sent = True
        self._dot = Dot(tuple(self._accepted))
        self._process.step("dot")
        self._take(self._dot, self._codes(), message)
        if self._script.delay:
            LOOP.call_later(self._script.delay, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        self._here = True
        self._news.set()

    async def _answered(self) -> bool:
        """Wait for the answer, or for whoever pauses us; returns whether it is here."""
        await self._news.wait()
        self._news.clear()
        return self._here

    def pause(self) -> bool:
        if self.dot_sent:
            self._news.set()
        return self.dot_sent

    def give_up(self) -> tuple[Reply, ...]:
        self.given_up = True
        return ()

    def _codes(self) -> tuple[int, ...]:
        if self._accepts_all:
            return (250,) * len(self._accepted)
        if not self._world.lmtp and self._script.dot != (0,):
            return self._script.dot * len(self._accepted)
        return tuple(code for code in self._script.dot if code)

    def _take(self, dot: Dot, codes: tuple[int, ...], message: Message) -> None:
        if isinstance(self._reverse_path, NullPath):
            self._world.notices.append(message.octets())
            return
        self._world.dots.append(dot)
        for index, name in enumerate(self._accepted):
            if (codes[index] < 300) if index < len(codes) else self._script.taken:
                self._world.delivered[name] += 1

    async def abandon(self) -> None:
        if self.dot_sent:
            raise AssertionError("abandoned behind the dot")
        self._abandoned = True


def handed(world: World, *consignments: Consignment, wait: float = 0.0) -> tuple[Reply, Process]:
    """Hand over, let `wait` simulated seconds pass, and return the reply and the process."""

    async def work() -> tuple[Reply, Process]:
        process = world.process()
        began = LOOP.time()
        reply = await process.handover.hand_over(consignments)
        world.answered_after = LOOP.time() - began
        if wait:
            await asyncio.sleep(wait)
        return reply, process

    return world.simulate(work)


def out(**script: Any) -> World:
    """Return a world whose hop does this in the first transaction."""
    return World({"out": [Script(**script)]})


def only_entry(world: World) -> Any:
    """Return the one entry on disk."""
    (entry,) = world.disk.values()
    return entry
