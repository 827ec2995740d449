"""Who is let in next when many come at once: nobody waits for a crowd of somebody else."""

from __future__ import annotations

import asyncio

import pytest

from gateway.service.pace import Pace


async def test_sources_take_turns() -> None:
    """The one message of another source goes on second, whoever came before."""
    pace, gone = Pace(), list[str]()

    async def message(source: str) -> None:
        await pace.turn(source)
        gone.append(source)

    await asyncio.gather(*(message("crowd") for _ in range(5)), message("a"), message("b"))
    assert gone[:3] == ["crowd", "a", "b"]
    assert gone[3:] == ["crowd"] * 4


async def test_the_loop_goes_round_between_two() -> None:
    """What came in meanwhile is served before the next message of a crowd."""
    pace, order = Pace(), list[str]()

    async def message(name: str) -> None:
        await pace.turn("crowd")
        order.append(name)
        asyncio.get_running_loop().call_soon(order.append, f"input after {name}")

    await asyncio.gather(*(message(str(number)) for number in range(4)))
    await asyncio.sleep(0)
    assert order == [text for number in range(4) for text in (str(number), f"input after {number}")]


async def test_who_went_away_holds_nobody_up() -> None:
    """A client that is gone before its turn takes none, and the last one leaves the pace ready for more."""
    pace = Pace()
    waiting = [asyncio.create_task(pace.turn("a")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await waiting[2]
    with pytest.raises(asyncio.CancelledError):
        await waiting[1]
    await asyncio.wait_for(pace.turn("b"), 1)
