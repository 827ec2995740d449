"""A clock that jumps ends no mail and holds none up (`delivery/ages.py`, `settle`, dispatch, `Spool.pull_near`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from gateway.core.queue import RecipientState
from gateway.delivery.ages import AFTER_JUMP, AFTER_START, JUMP, SLIGHT, Ages
from gateway.delivery.dispatch import Dispatcher
from gateway.delivery.schedule import longest_wait
from gateway.delivery.settle import Attempt, Moment, new_entry, settle, terms_of
from support.consigning import consignment
from support.handing import SETTINGS, START, Process, Script, World

YEAR: Final = timedelta(days=365)
DAY: Final = timedelta(days=1)
MOST: Final = SETTINGS.expire_after


class Wrong:
    """A clock that can be set, and seconds that pass whatever it says."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self.passed = 0.0

    def now(self) -> datetime:
        return START + self.ahead + timedelta(seconds=self.passed)

    def counted(self) -> float:
        return self.passed


@pytest.fixture
def clock() -> Wrong:
    """Return a clock that is right."""
    return Wrong()


def watched(clock: Wrong, most: float = MOST) -> Ages:
    """Return who watches it, long after the start."""
    ages = Ages(clock, most=most, counted=clock.counted)
    clock.passed += AFTER_START
    ages.look()
    ages.went_back = False
    return ages


def test_a_clock_that_is_right(clock: Wrong) -> None:
    """Ages are believed; a clock that is adjusted little by little stays believed."""
    ages = watched(clock)
    for _ in range(100):
        clock.passed += 5
        clock.ahead += timedelta(seconds=2)
        assert ages.believed(START - DAY)
    assert not ages.went_back
    assert not ages.doubtful


def test_after_the_start(clock: Wrong) -> None:
    """What came before the start is old only when the clock had its time to be set; what came since, at once."""
    ages = Ages(clock, most=MOST, counted=clock.counted)
    assert ages.went_back, "plans are looked through at every start"
    assert not ages.believed(START - DAY)
    assert ages.believed(START)
    clock.passed = AFTER_START
    assert ages.believed(START - DAY)


@pytest.mark.parametrize("jump", [YEAR, DAY, -DAY, -YEAR], ids=str)
def test_a_jump(clock: Wrong, jump: timedelta) -> None:
    """Nothing that came before is old for a day, whatever the clock says; what came after it is told by itself."""
    ages = watched(clock)
    before = clock.now()
    clock.ahead = jump
    clock.passed += 1
    assert ages.believed(before) is (jump < timedelta(0)), "after a jump back it is in the future: old it is not"
    assert ages.doubtful
    assert ages.went_back is (jump < timedelta(0))
    assert ages.believed(clock.now())
    clock.passed += AFTER_JUMP
    assert ages.believed(before)
    assert not ages.doubtful


def test_a_machine_that_is_stood_still_each_night(clock: Wrong) -> None:
    """A pause of a minute makes a clock jump; mail is given up all the same, as much too early at most."""
    ages = watched(clock)
    before = clock.now()
    for _ in range(10):
        clock.passed += AFTER_JUMP - 60
        clock.ahead += timedelta(seconds=60)
        assert ages.believed(before)
        assert not ages.doubtful
    assert not ages.went_back


def test_a_clock_that_is_led_astray_by_little_steps(clock: Wrong) -> None:
    """Steps that are slight one by one are not slight together; a step back always has plans looked through."""
    ages = watched(clock)
    before = clock.now()
    clock.ahead -= timedelta(seconds=2 * JUMP)
    assert ages.believed(before - DAY)
    assert ages.went_back
    for _ in range(3):
        clock.passed += 5
        clock.ahead += timedelta(seconds=SLIGHT / 2)
        ages.look()
    assert not ages.believed(before)
    assert ages.doubtful


def test_doubt_is_shorter_than_a_life(clock: Wrong) -> None:
    """Where mail lives for an hour, nobody waits for a day."""
    ages = watched(clock, most=3600.0)
    before = clock.now()
    clock.ahead = YEAR
    assert not ages.believed(before)
    clock.passed += 3600
    assert ages.believed(before)


@pytest.mark.parametrize("tried", [True, False])
def test_nothing_is_given_up_or_late_after_a_jump(clock: Wrong, tried: bool) -> None:  # noqa: FBT001 - a case
    """An entry that looks a year old is tried again by the usual schedule, and nobody is told anything."""
    ages = watched(clock)
    entry = new_entry(consignment(2), "e", SETTINGS, clock.now())
    terms = terms_of(SETTINGS, "gw.example", Process(World()), ages)
    clock.passed += 60
    clock.ahead = YEAR
    attempt = Attempt({}, "refused", tried=tried)
    settled = settle(entry, attempt, Moment(clock.now(), 0.0, "n"), terms)
    assert set(settled.entry.states) == {RecipientState.READY}
    assert settled.entry.next_attempt_at == clock.now() + timedelta(seconds=SETTINGS.retry_first)
    assert settled.notices == ()
    assert settled.entry.warned_at is None
    clock.passed += AFTER_JUMP
    given_up = settle(settled.entry, attempt, Moment(clock.now(), 0.0, "n"), terms)
    assert set(given_up.entry.states) == {RecipientState.FAILED}


def dispatching(process: Process, clock: Wrong, ages: Ages) -> Dispatcher:
    """Return a dispatcher that has this clock."""
    return Dispatcher(
        spool=process.spool,
        recorder=process,
        settings=SETTINGS,
        hostname="gw.example",
        hops=process,
        routes=process,
        clock=clock,
        new_id=process.world.new_id,
        ages=ages,
        jitter=lambda: 0.5,
    )


def test_a_clock_that_goes_back_while_plans_are_mended() -> None:
    """Plans are looked through once more: those that the first look had passed may be too far away by now."""
    world = World()
    clock = Wrong()

    async def work() -> None:
        process = world.process()
        ages = Ages(clock, most=MOST, counted=clock.counted)
        mended: list[datetime] = []
        pull_near = process.spool.pull_near

        async def slow(now: datetime, longest: timedelta) -> int:
            if not mended:
                clock.ahead = -DAY
                ages.look()
            mended.append(now)
            return await pull_near(now, longest)

        process.spool.pull_near = slow  # type: ignore[method-assign]
        dispatcher = dispatching(process, clock, ages)
        running = asyncio.create_task(dispatcher.run())
        await asyncio.sleep(10)
        assert mended == [START, START - DAY]
        await dispatcher.stop(0)
        await running

    world.simulate(work)


def test_plans_of_a_clock_that_was_ahead_are_mended() -> None:
    """Dispatch tries at once what was put off for a year, at its start and when the clock goes back; no sooner."""
    world = World({"out": [Script(begin="trouble")] * 2})
    near = START + longest_wait(SETTINGS)
    for name, at in (("far", START + YEAR), ("near", near), ("frozen", START)):
        world.disk[name] = replace(new_entry(consignment(), name, SETTINGS, START), next_attempt_at=at)
    del world.disk["frozen"]
    clock = Wrong()

    async def work() -> None:
        process = world.process()
        ages = Ages(clock, most=MOST, counted=clock.counted)
        dispatcher = dispatching(process, clock, ages)
        running = asyncio.create_task(dispatcher.run())
        await asyncio.sleep(1)
        assert len(world.attempts) == 1
        assert world.disk["near"].next_attempt_at == near
        world.disk["far"] = replace(world.disk["far"], next_attempt_at=START + 2 * YEAR)
        await asyncio.sleep(10)
        assert len(world.attempts) == 1, "nobody looks for it while the clock is steady"
        clock.ahead = -DAY
        await asyncio.sleep(5)
        assert len(world.attempts) == 3, "of a day too late and a year too late"
        await dispatcher.stop(0)
        await running

    world.simulate(work)
