"""Turns: no source can make the mail of another wait for its own."""

from __future__ import annotations

import asyncio

import pytest

from gateway.judging import turns
from gateway.judging.turns import MOST_OF_ONE, BusyError, Turns


class Bench:
    """Runs pieces of work that end when they are told to, and keeps the order in which they began."""

    def __init__(self, places: int, *, patience: float = 5.0) -> None:
        self.now = 0.0
        self.turns = Turns(places, patience=patience, clock=lambda: self.now)
        self.begun: list[str] = []
        self._ends: dict[str, list[asyncio.Event]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, source: str, count: int = 1) -> None:
        for _ in range(count):
            self.tasks.append(asyncio.create_task(self._work(source)))
        await asyncio.sleep(0)

    async def _work(self, source: str) -> None:
        async with self.turns.turn(source):
            self.begun.append(source)
            end = asyncio.Event()
            self._ends.setdefault(source, []).append(end)
            await end.wait()

    async def finish(self, source: str) -> None:
        """Let the oldest piece of work of a source end."""
        self._ends[source].pop(0).set()
        for _ in range(5):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for each in self.tasks:
            each.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_flood_does_not_get_in_front_of_another_source() -> None:
    """The honest message comes next, however many of somebody else's came before it."""
    bench = Bench(2)
    await bench.ask("flood", 50)
    assert bench.begun == ["flood"]  # one place stays free for others
    await bench.ask("honest")
    assert bench.begun == ["flood", "honest"]
    await bench.close()


async def test_sources_take_turns() -> None:
    """Round robin: one message each, not one source after the other."""
    bench = Bench(1)
    await bench.ask("busy")
    await bench.ask("a", 3)
    await bench.ask("b", 3)
    for source in ("busy", "a", "b", "a", "b", "a"):
        await bench.finish(source)
    assert bench.begun == ["busy", "a", "b", "a", "b", "a", "b"]
    await bench.close()


async def test_suspects_come_after_everybody_else_and_never_take_every_place() -> None:
    """Whoever's mail was killed waits for those whose was not; one place is never theirs."""
    bench = Bench(2)
    for name in ("x", "y"):
        bench.turns.suspect(name)
    await bench.ask("x")
    await bench.ask("y")
    assert bench.begun == ["x"]
    await bench.ask("honest")
    assert bench.begun == ["x", "honest"]
    await bench.ask("honest too")
    await bench.finish("x")
    assert bench.begun == ["x", "honest", "honest too"]
    await bench.finish("honest")
    assert bench.begun[-1] == "y"
    await bench.close()


async def test_suspicion_wears_off() -> None:
    """After a while a source is like any other."""
    bench = Bench(2)
    bench.turns.suspect("x")
    assert bench.turns.suspected("x")
    bench.now = turns.SUSPECT_SECONDS + 1
    assert not bench.turns.suspected("x")
    await bench.close()


async def test_one_source_may_wait_with_so_many_messages_only() -> None:
    """More of them get no turn, at once."""
    bench = Bench(1)
    await bench.ask("flood", MOST_OF_ONE + 1)
    with pytest.raises(BusyError):
        async with bench.turns.turn("flood"):
            pass
    await bench.close()


async def test_beyond_the_overall_bound_the_longest_queue_loses_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends most pays for it, not who comes last."""
    monkeypatch.setattr(turns, "MOST", 10)
    bench = Bench(1)
    await bench.ask("busy")
    await bench.ask("flood", 10)
    await bench.ask("honest")
    await asyncio.sleep(0.01)
    lost = [each for each in bench.tasks if each.done()]
    assert lost == [bench.tasks[10]]
    assert isinstance(lost[0].exception(), BusyError)
    await bench.finish("busy")
    await bench.finish("flood")
    assert bench.begun == ["busy", "flood", "honest"]
    await bench.close()


async def test_nobody_waits_for_ever() -> None:
    """After the patience there is no turn any more, and the place in the queue is gone."""
    bench = Bench(1, patience=0.02)
    await bench.ask("a")
    with pytest.raises(BusyError):
        async with bench.turns.turn("b"):
            pass
    await bench.ask("c")
    await bench.finish("a")
    assert bench.begun == ["a", "c"]
    await bench.close()


async def test_whoever_goes_away_gives_the_place_back() -> None:
    """A task that is cancelled, waiting or at work, leaves no place taken."""
    bench = Bench(1)
    await bench.ask("a")
    await bench.ask("b")
    bench.tasks[1].cancel()
    bench.tasks[0].cancel()
    await asyncio.gather(*bench.tasks, return_exceptions=True)
    await bench.ask("c")
    assert bench.begun == ["a", "c"]
    await bench.close()
