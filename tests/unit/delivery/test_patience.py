"""Waiting that ends by a moment or a bell, and what becomes of what was waited for."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gateway.delivery.patience import Bell, Patience
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
        with pytest.raises(TimeoutError), Patience(Bell(), 5):
            await step()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0, "who is bound by others, too, must not be taken for canceled"
        return round(LOOP.time() - began, 6)

    assert LOOP.run_until_complete(work()) == 5
    assert seen == ["canceled"]


@pytest.mark.parametrize(("seconds", "rings_after", "taken"), [(None, 3, 3), (9, 3, 3), (3, 3, 3), (3, 9, 3)])
def test_a_bell_ends_what_is_bound_too(seconds: float | None, rings_after: float, taken: float) -> None:
    """Whichever comes first, also in the very moment in which the time is over."""

    async def work() -> float:
        bell = Bell()
        LOOP.call_later(rings_after, bell.ring)
        began = LOOP.time()
        with pytest.raises(TimeoutError), Patience(bell, seconds):
            await asyncio.sleep(100)
        await asyncio.sleep(0)  # nothing of it is left that would cancel this
        return round(LOOP.time() - began, 6)  # the clock of the loop goes on from test to test

    assert LOOP.run_until_complete(work()) == taken


def test_each_has_its_own_end() -> None:
    """One timer serves many, whoever came first and whoever left meanwhile."""

    async def one(bell: Bell, seconds: float, lasts: float) -> float:
        began = LOOP.time()
        with suppress(TimeoutError), Patience(bell, seconds):
            await asyncio.sleep(lasts)
        return round(LOOP.time() - began, 6)

    async def work() -> list[float]:
        bell = Bell()
        early = asyncio.gather(one(bell, 20, 1), one(bell, 30, 100), one(bell, 5, 100), one(bell, 600, 400))
        await asyncio.sleep(2)
        late = asyncio.gather(one(bell, 20, 100), one(bell, 1, 100), one(bell, 40, 39))
        return [*await early, *await late]

    assert LOOP.run_until_complete(work()) == [1, 30, 5, 400, 20, 1, 39]


def test_what_is_paused_is_not_canceled() -> None:
    """Who can end by itself is asked to, and its result is what it returns; who cannot is canceled."""
    asked: list[bool] = []

    async def paused(*, can: bool, seconds: float | None) -> str:
        news, bell = asyncio.Event(), Bell()
        if seconds is None:
            bell.ring()

        def pause() -> bool:
            asked.append(can)
            if can:
                news.set()
            return can

        async def step() -> str:
            await news.wait()
            return "paused"

        with Patience(bell, seconds).or_pause(pause):
            return await step()

    async def work() -> None:
        for seconds in (5, None):
            assert await paused(can=True, seconds=seconds) == "paused"
            with pytest.raises(TimeoutError):
                await paused(can=False, seconds=seconds)

    LOOP.run_until_complete(work())
    assert asked == [True, False, True, False]


def test_patience_that_is_over_begins_nothing() -> None:
    """A step is not even started."""

    async def never() -> None:
        raise AssertionError("it was started")

    async def work() -> None:
        bell = Bell()
        bell.ring()
        bell.ring()
        patience = Patience(bell)
        assert patience.over
        with pytest.raises(TimeoutError), patience:
            await never()

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
        with patience:
            found = await step(None)
        with pytest.raises(LookupError), Patience(bell, 2):
            await step(LookupError())
        bell.ring()
        await asyncio.sleep(50)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return found

    assert LOOP.run_until_complete(work()) == "done"


def test_canceled_from_outside_it_is_no_timeout() -> None:
    """Whoever waits is canceled: the bound step with it, also if its time is over in the same moment."""

    async def wait(bell: Bell) -> None:
        with Patience(bell, 50):
            await asyncio.sleep(100)

    async def work(*, late: bool) -> None:
        bell = Bell()
        waiting = LOOP.create_task(wait(bell))
        await asyncio.sleep(0)
        if late:
            bell.ring()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    LOOP.run_until_complete(work(late=False))
    LOOP.run_until_complete(work(late=True))
