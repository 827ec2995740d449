"""Waiting that ends by a moment or a bell, and what becomes of what was waited for."""

from __future__ import annotations

import asyncio

import pytest

from gateway.delivery.patience import Bell, Patience, outlived
from support.simulated import LOOP


def test_time_ends_a_bound_step_and_cancels_it() -> None:
    """Whoever is bound is canceled at the moment, and the waiting ends with `TimeoutError`."""
    seen: list[str] = []

    async def step() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append("canceled")
            raise

    async def work() -> float:
        began = LOOP.time()
        with pytest.raises(TimeoutError):
            await Patience(Bell(), 5).bound(step())
        return round(LOOP.time() - began, 6)

    assert LOOP.run_until_complete(work()) == 5
    assert seen == ["canceled"]


def test_a_bell_ends_what_is_bound_and_what_waits() -> None:
    """Both end when it rings, also in the very moment in which their time is over; a task waited for goes on."""

    async def work(seconds: float | None, rings_after: float) -> tuple[float, bool, bool]:
        bell = Bell()
        patience = Patience(bell, seconds)
        LOOP.call_later(rings_after, bell.ring)
        began = LOOP.time()
        task = LOOP.create_task(asyncio.sleep(100))
        done, bound = await asyncio.gather(
            patience.wait(task), patience.bound(asyncio.sleep(100)), return_exceptions=True
        )
        taken = LOOP.time() - began
        assert isinstance(bound, TimeoutError)
        going_on = not task.done()
        task.cancel()
        return round(taken, 6), bool(done), going_on  # the clock of the loop goes on from test to test

    assert LOOP.run_until_complete(work(None, 3)) == (3, False, True)
    assert LOOP.run_until_complete(work(9, 3)) == (3, False, True)
    assert LOOP.run_until_complete(work(3, 3)) == (3, False, True)
    assert LOOP.run_until_complete(work(3, 9)) == (3, False, True)


def test_patience_that_is_over_begins_nothing() -> None:
    """A step is not even started; a task that is done counts as done all the same."""

    async def never() -> None:
        raise AssertionError("it was started")

    async def work() -> None:
        bell = Bell()
        bell.ring()
        bell.ring()
        patience = Patience(bell)
        assert patience.over
        with pytest.raises(TimeoutError):
            await patience.bound(never())
        done = LOOP.create_task(asyncio.sleep(0))
        await done
        assert await patience.wait(done)
        waiting = LOOP.create_task(asyncio.sleep(100))
        assert not await patience.wait(waiting)
        waiting.cancel()

    LOOP.run_until_complete(work())


def test_a_step_that_ends_in_time_is_not_canceled_later() -> None:
    """Its result is returned, its errors are raised, and nothing is left that could strike whoever waited."""

    async def step(error: Exception | None) -> str:
        await asyncio.sleep(1)
        if error is not None:
            raise error
        return "done"

    async def work() -> str:
        bell = Bell()
        patience = Patience(bell, 2)
        found = await patience.bound(step(None))
        with pytest.raises(LookupError):
            await Patience(bell, 2).bound(step(LookupError()))
        bell.ring()
        await asyncio.sleep(50)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return found

    assert LOOP.run_until_complete(work()) == "done"


def test_canceled_from_outside_it_is_no_timeout() -> None:
    """Whoever waits is canceled: the bound step with it, the task waited for or outlived without it."""

    async def work() -> None:
        inner = LOOP.create_task(asyncio.sleep(5, "late"))
        patience = Patience(Bell(), 50)
        for each in (patience.wait(inner), patience.bound(asyncio.sleep(100)), outlived(inner)):
            waiting = LOOP.create_task(each)
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert not inner.done()
        assert await outlived(inner) == "late"

    LOOP.run_until_complete(work())


def test_what_is_outlived_gives_its_error() -> None:
    """Errors of the task are raised to whoever waits, its cancellation too."""

    async def fails() -> None:
        await asyncio.sleep(1)
        raise LookupError

    async def work() -> None:
        with pytest.raises(LookupError):
            await outlived(LOOP.create_task(fails()))
        task = LOOP.create_task(asyncio.sleep(100))
        LOOP.call_later(1, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await outlived(task)

    LOOP.run_until_complete(work())
