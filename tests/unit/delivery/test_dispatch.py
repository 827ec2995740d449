"""Dispatch: entries that are due are tried once each, fairly between hops, never dropped (`delivery/dispatch.py`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.core.address import Mailbox
from gateway.core.errors import ServiceError
from gateway.core.events import Stage
from gateway.core.queue import Kind, RecipientState
from gateway.delivery import dispatch, lanes
from gateway.delivery.settle import new_entry
from support.consigning import consignment
from support.handing import SETTINGS, START, Limits, Process, Script, World
from support.simulated import LOOP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.core.queue import Entry


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep queues short, so that few entries fill them."""
    monkeypatch.setattr(lanes, "ACTIVE", 2)
    monkeypatch.setattr(lanes, "WAITING", 3)
    monkeypatch.setattr(dispatch, "BATCH", 2)


def put(world: World, count: int = 1, *, hop: str = "out", name: str = "e", first: int = 0) -> Entry:
    """Put an entry into the store, due at once."""
    entry = new_entry(consignment(count, hop=hop, first=first), name, SETTINGS, START)
    world.disk[name] = entry
    return entry


def dispatched(world: World, seconds: float, then: Callable[[Process], Awaitable[None]] | None = None) -> Process:
    """Run dispatch for some simulated seconds."""

    async def work() -> Process:
        process = world.process()
        running = asyncio.create_task(process.dispatcher.run())
        await asyncio.sleep(seconds)
        await (then(process) if then else process.dispatcher.stop(0))
        await asyncio.wait({running}, timeout=10)
        assert running.done()
        return process

    return world.simulate(work)


def test_delivers_and_forgets() -> None:
    """What is due is delivered and gone; what is kept for people is not touched, not even loaded."""
    world = World()
    put(world, 3)
    world.disk["h"] = new_entry(consignment(kind=Kind.HELD, first=7), "h", SETTINGS, START)
    process = dispatched(world, 1)
    assert list(world.disk) == ["h"]
    assert sum(world.delivered.values()) == 3
    assert process.stages() == [Stage.DELIVERED]


def test_retries_until_it_works() -> None:
    """After each failure the pause doubles, and only open recipients are tried again."""
    world = World({"out": [Script(begin="trouble"), Script(rcpt=(250, 450)), Script(dot=(450,))]})
    put(world, 2)
    dispatched(world, 1000)
    assert world.delivered == {"r0@noi-b.example": 1, "r1@noi-b.example": 1}
    assert not world.disk
    gaps = [after[0] - before[0] for before, after in zip(world.attempts, world.attempts[1:], strict=False)]
    assert gaps == pytest.approx([60 * 0.875, 120 * 0.875, 240 * 0.875], abs=1)


def test_wakes_for_new_mail_and_notices() -> None:
    """A commit wakes dispatch at once, and so does the notice it makes itself."""
    world = World({"out": [Script(dot=(550,))]})

    async def later(process: Process) -> None:
        put(world)
        process.dispatcher.wake()
        await asyncio.sleep(0.5)
        await process.dispatcher.stop(1)

    dispatched(world, 30, later)
    assert not world.disk
    assert world.failures() == {"r0@noi-b.example"}
    assert LOOP.time() < 32


def test_a_dead_hop_does_not_block_the_others() -> None:
    """Five hundred older entries for a hop that hangs: the one behind is tried at once, and they stay untouched."""
    world = World({"dead": [Script(begin="hang")] * 500})
    for n in range(500):
        put(world, hop="dead", name=f"d{n}")
    put(world, name="live", first=50)
    world.disk["live"] = replace(world.disk["live"], next_attempt_at=START + timedelta(seconds=1))

    async def after(process: Process) -> None:
        assert len(process.spool.claims) <= lanes.ACTIVE + lanes.WAITING + dispatch.BATCH
        await process.dispatcher.stop(0)

    dispatched(world, 1.1, after)
    assert world.delivered == {"r50@noi-b.example": 1}
    assert len(world.attempts) == 2 + 1, "two slots of the dead hop, and the live one"
    assert all(each.next_attempt_at == START for each in world.disk.values())
    assert world.steps.count("settle") == 1, "what waits costs nothing"


def test_a_hop_that_wakes_up_gets_what_waited() -> None:
    """As soon as a full hop moves again, more is claimed for it, without waiting for the clock."""
    world = World({"slow": [Script(delay=1.0)] * 2})
    for n in range(40):
        put(world, hop="slow", name=f"s{n}", first=n)
    dispatched(world, 1.2)
    assert not world.disk


def test_an_open_breaker_rests_its_hop() -> None:
    """Behind a hop whose breaker is open others are delivered at once; of its own mail a little is looked at."""
    world = World()
    world.unusable.add("dead")
    for n in range(100):
        put(world, hop="dead", name=f"d{n}")
    put(world, name="live", first=50)
    world.disk["live"] = replace(world.disk["live"], next_attempt_at=START + timedelta(seconds=0.1))

    async def back(process: Process) -> None:
        assert world.delivered == {"r50@noi-b.example": 1}
        assert world.steps.count("settle") <= 1 + 2 * 2 * dispatch.BATCH
        world.unusable.clear()
        await asyncio.sleep(70)
        await process.dispatcher.stop(0)

    dispatched(world, 2.5, back)
    assert not world.disk, "once the hop is well all of it goes"


@pytest.mark.parametrize("back", [True, False], ids=["back", "still down"])
def test_one_tries_a_hop_and_tells_the_others(back: bool) -> None:  # noqa: FBT001 - a parameter
    """While one is let through an open breaker, others that are due wait for its end: then they go, or are put off."""
    world = World({"out": [Script(delay=1.0)]})
    put(world, name="first", first=99)

    async def probed(process: Process) -> None:
        world.unusable.add("out")
        for n in range(lanes.ACTIVE + 2):
            put(world, name=f"d{n}", first=n)
        process.dispatcher.wake()
        await asyncio.sleep(0.7)
        assert len(process.spool.claims) == lanes.ACTIVE + 2 + 1
        if back:
            world.unusable.clear()
        await asyncio.sleep(0.5)
        await process.dispatcher.stop(1)

    dispatched(world, 0.1, probed)
    assert world.delivered["r99@noi-b.example"] == 1
    assert len(world.attempts) == (lanes.ACTIVE + 2 + 1 if back else 1)
    assert [each.next_attempt_at > START for each in world.disk.values()] == [True] * (0 if back else lanes.ACTIVE + 2)


def test_stopping_while_one_tries_a_hop() -> None:
    """What waits for the end of another's attempt is given back as it was when the gateway stops."""
    world = World({"out": [Script(begin="hang")]})
    put(world, name="first", first=99)

    async def stopped(process: Process) -> None:
        world.unusable.add("out")
        put(world, name="second")
        process.dispatcher.wake()
        await asyncio.sleep(0.5)
        await process.dispatcher.stop(3)
        assert not process.spool.claims

    dispatched(world, 0.1, stopped)
    assert [each.next_attempt_at for each in world.disk.values()] == [START] * 2


def test_when_very_many_hang_others_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what there is room for in all, a hop has one entry in work, and more of its mail is put off."""
    monkeypatch.setattr(lanes, "CROWD", 10)
    world = World({f"dead{n}": [Script(begin="hang")] * 2 for n in range(30)})
    for n in range(60):
        put(world, hop=f"dead{n // 2}", name=f"d{n}")
    put(world, name="live", first=70)
    world.disk["live"] = replace(world.disk["live"], next_attempt_at=START + timedelta(seconds=0.1))

    async def after(process: Process) -> None:
        assert len(process.spool.claims) <= 2 * lanes.CROWD + 20
        await process.dispatcher.stop(0)

    dispatched(world, 1, after)
    assert world.delivered == {"r70@noi-b.example": 1}
    put_off = [each for each in world.disk.values() if each.next_attempt_at > START]
    assert len(put_off) == 20
    assert all(each.attempts == 0 for each in put_off)


def test_a_burst_for_a_fast_hop_is_not_put_off() -> None:
    """While a hop takes what it gets, claiming waits for it: nothing comes back a minute later."""
    world = World()
    for n in range(200):
        put(world, name=f"e{n}", first=n)
    dispatched(world, 2)
    assert not world.disk
    assert len(world.attempts) == 200


def test_hops_that_have_nothing_left_are_forgotten() -> None:
    """With direct sending each domain that was ever written to is a hop: what is kept of one must end with its mail."""
    world = World()
    for n in range(30):
        put(world, hop=f"hop{n % 3}", name=f"e{n}", first=n)
    process = dispatched(world, 2)
    assert not world.disk
    assert len(process.dispatcher._lanes) == 0


def test_a_slow_hop_does_not_block_the_others() -> None:
    """A hop that needs half a second each keeps the others waiting for a second at most, not for its whole backlog."""
    world = World({"slow": [Script(delay=0.5)] * 500})
    for n in range(100):
        put(world, hop="slow", name=f"s{n}")
    put(world, name="live", first=50)
    world.disk["live"] = replace(world.disk["live"], next_attempt_at=START + timedelta(seconds=0.1))
    dispatched(world, 1.5)
    assert world.delivered["r50@noi-b.example"] == 1


def test_a_canceled_claim_gives_back_its_batch() -> None:
    """Entries that are claimed but wait for their turn when dispatch is canceled do not stay claimed."""
    world = World({"dead": [Script(begin="hang")] * 500})
    for n in range(20):
        put(world, hop="dead", name=f"d{n}")

    async def work() -> None:
        process = world.process()
        running = asyncio.create_task(process.dispatcher.run())
        await asyncio.sleep(0.5)
        assert len(process.spool.claims) == 6
        running.cancel()
        await asyncio.wait({running})
        assert not process.spool.claims

    world.simulate(work)
    assert all(each.next_attempt_at == START for each in world.disk.values())


def test_attempts_at_a_hop_are_bounded() -> None:
    """Never more than the bound run at one hop; the others wait their turn and are all delivered."""
    world = World({"out": [Script(delay=10.0)] * 5})
    for n in range(5):
        put(world, name=f"e{n}", first=n)
    dispatched(world, 5, lambda process: _check_two(world, process))
    assert len(world.delivered) == 2, "the others were given back when dispatch stopped"


async def _check_two(world: World, process: Process) -> None:
    assert len(world.attempts) == 2
    await process.dispatcher.stop(20)
    assert len(world.disk) == 3
    assert not process.spool.claims


def test_an_open_breaker_is_not_tried() -> None:
    """While the breaker is open the entry is put off without asking."""
    world = World()
    world.unusable.add("out")
    put(world)
    dispatched(world, 1)
    assert not world.attempts
    assert world.disk["e"].next_attempt_at > START


def test_stopping_gives_back_what_has_no_dot() -> None:
    """At the end an attempt without a dot is ended and its claim given back: the next start takes it at once."""
    world = World({"out": [Script(begin="hang")]})
    before = put(world)
    process = dispatched(world, 5, lambda process: process.dispatcher.stop(3))
    assert LOOP.time() == pytest.approx(8, abs=0.2)
    assert world.disk["e"] == before
    assert not process.spool.claims


def test_stopping_behind_a_dot() -> None:
    """A dot that is unanswered at the end is settled as such, to be counted when it is tried again."""
    world = World({"out": [Script(delay=500.0)]})
    put(world)
    dispatched(world, 5, lambda process: process.dispatcher.stop(3))
    assert world.disk["e"].dot_sent
    assert world.disk["e"].attempts == 1


def test_canceling_is_stopping() -> None:
    """A canceled `run` leaves nothing claimed."""
    world = World({"out": [Script(begin="hang")]})
    before = put(world)

    async def work() -> None:
        process = world.process()
        running = asyncio.create_task(process.dispatcher.run())
        await asyncio.sleep(1)
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
        assert not process.spool.claims

    world.simulate(work)
    assert world.disk["e"] == before


def test_a_bug_costs_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault inside is logged; the entry stays, is not tried in a loop, and other entries go on."""
    world = World()
    put(world, name="bad", hop="bad")
    put(world, name="good", first=1)
    real = Process.by_name

    def by_name(self: Process, name: str) -> object:
        if name == "bad":
            raise RuntimeError("a bug")
        return real(self, name)

    monkeypatch.setattr(Process, "by_name", by_name)
    dispatched(world, 300)
    assert list(world.disk) == ["bad"]
    assert world.disk["bad"].next_attempt_at == START + timedelta(seconds=SETTINGS.retry_most)
    assert world.disk["bad"].states == (RecipientState.READY,)


def test_a_bug_in_settling_costs_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a fault that meets every entry leaves them where they are."""
    world = World()
    put(world)

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(dispatch, "settle", broken)
    dispatched(world, 300)
    assert world.disk["e"].dot_sent, "what was sent may have arrived"


def test_a_hop_that_left_the_settings() -> None:
    """Mail for a hop that is no longer configured waits until it expires."""
    world = World()
    put(world, hop="gone")

    async def work() -> None:
        process = world.process()

        def by_name(_name: str) -> object:
            raise KeyError("gone")

        process.by_name = by_name  # type: ignore[method-assign, assignment]
        running = asyncio.create_task(process.dispatcher.run())
        await asyncio.sleep(1)
        await process.dispatcher.stop(0)
        await running

    world.simulate(work)
    assert world.disk["e"].attempts == 1
    assert world.disk["e"].next_attempt_at < START + timedelta(seconds=61)
    assert not world.disk["e"].dot_sent


def test_the_store_is_out_of_order() -> None:
    """An answer that was read is stored as soon as the store is back: no second delivery."""
    world = World(settle_faults=[ServiceError("locked")] * 5)
    put(world)
    dispatched(world, 60)
    assert not world.disk
    assert sum(world.delivered.values()) == 1


def test_claiming_outlives_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trouble or a bug while claiming is logged, and dispatch goes on after a pause."""
    world = World()
    put(world)
    faults: list[Exception] = [ServiceError("locked"), RuntimeError("a bug")]

    async def due(self: object, now: object, limit: int, full: object) -> tuple[Entry, ...]:
        if faults:
            raise faults.pop()
        return await real(self, now, limit)  # type: ignore[arg-type]

    from support.handing import MemorySpool  # noqa: PLC0415 - patched here only

    real = MemorySpool.due
    monkeypatch.setattr(MemorySpool, "due", due)
    dispatched(world, 10)
    assert not world.disk


def test_what_no_longer_fits_fails() -> None:
    """A message that the hop cannot carry any more has failed, and the sender is told."""
    world = World(limits=Limits(size=20))
    put(world)
    process = dispatched(world, 1)
    assert not world.delivered
    assert process.stages()[:2] == [Stage.FAILED, Stage.NOTIFIED]
    assert process.events[0].facts["code"] == 552


def test_one_agency_does_not_block_another_at_the_same_hop() -> None:
    """Behind three hundred letters of one domain at a slow hop, a letter of another has its turn within seconds."""
    world = World({"out": [Script(delay=0.5)] * 500})
    for n in range(300):
        put(world, name=f"e{n}", first=n)
    put(world, name="other", first=400)
    other = world.disk["other"]
    envelope = replace(other.consignment.envelope, reverse_path=Mailbox("van-thu", "so-khac.example"))
    world.disk["other"] = replace(
        other,
        consignment=replace(other.consignment, envelope=envelope),
        next_attempt_at=START + timedelta(seconds=0.1),
    )
    dispatched(world, 4)
    assert world.delivered["r400@noi-b.example"] == 1
    assert sum(world.delivered.values()) < 20
