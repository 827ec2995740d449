"""Who is next at a hop: sender domains in turn, each in the order of claiming (`delivery/lanes.py`)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gateway.delivery import lanes
from gateway.delivery.lanes import Lane, Lanes

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep queues short, so that few entries fill them."""
    monkeypatch.setattr(lanes, "ACTIVE", 2)
    monkeypatch.setattr(lanes, "WAITING", 6)


async def served(order: Iterable[str], *, leaving: frozenset[int] = frozenset()) -> list[str]:
    """Let entries named `domain number` wait behind a full lane; return the order in which they had their turns."""
    lane, found = Lane(), []

    async def one(name: str) -> None:
        await lane.take_turn(name.split(maxsplit=1)[0])
        found.append(name)
        lane.end_turn()

    for _ in range(lanes.ACTIVE):
        await lane.take_turn("first")
    tasks = []
    for name in order:
        tasks.append(asyncio.create_task(one(name)))
        await asyncio.sleep(0)
    for index in leaving:
        tasks[index].cancel()
    for _ in range(lanes.ACTIVE):
        lane.end_turn()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(lanes.ACTIVE):  # no turn was lost on the way
        await asyncio.wait_for(lane.take_turn("last"), 1)
    return found


async def test_domains_take_turns() -> None:
    """A hundred letters of one agency before three of another: these are the second, fourth and sixth or so."""
    many = [f"a {n}" for n in range(100)]
    few = [f"b {n}" for n in range(3)]
    found = await served(many + few)
    assert [found.index(each) for each in few] == pytest.approx([1, 3, 5], abs=1)


async def test_order_within_a_domain() -> None:
    """What one sender sent first is tried first, however many others there are."""
    names = [f"{domain} {n:02}" for n in range(20) for domain in "abc"]
    found = await served(names)
    assert sorted(found) == sorted(names)
    for domain in "abc":
        own = [each for each in found if each.startswith(domain)]
        assert own == sorted(own)


async def test_who_stops_waiting_takes_no_turn_with_it() -> None:
    """Entries that are given up while they wait are passed over, and no turn is lost."""
    found = await served([f"a {n}" for n in range(6)] + ["b 0"], leaving=frozenset({0, 3, 6}))
    assert found == ["a 1", "a 2", "a 4", "a 5"]


async def test_a_turn_that_comes_as_its_owner_leaves() -> None:
    """A turn given in the moment of giving up is somebody else's."""
    lane = Lane()
    for _ in range(lanes.ACTIVE):
        await lane.take_turn("a")
    leaving = asyncio.create_task(lane.take_turn("a"))
    await asyncio.sleep(0)
    lane.end_turn()
    leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving
    assert leaving.cancelled()
    await asyncio.wait_for(lane.take_turn("b"), 1)


def filled(made: Lanes, hop: str, domain: str, most: int = 99) -> int:
    """Let entries of a domain in as long as there is room; return how many came in."""
    entered = 0
    while hop not in made.full.hops and (hop, domain) not in made.full.turns and entered < most:
        made.enter(hop, domain)
        entered += 1
    return entered


def test_room_for_those_with_less_than_their_share() -> None:
    """A lane that one domain has filled has room for a few of each other one, up to a bound in all."""
    made = Lanes(lambda: 0.0)
    assert filled(made, "h", "a") == lanes.ACTIVE + lanes.WAITING
    assert [filled(made, "h", domain) for domain in "bc"] == [lanes.WAITING // 2, lanes.WAITING // 3]
    assert sum(filled(made, "h", f"d{n}") for n in range(99)) == lanes.WAITING - 3 - 2
    assert made.full.hops == {"h"}
    assert made.leave("h", "a"), "there is room for those with less"
    assert filled(made, "h", "a") == 0
    assert filled(made, "h", "e") == 1
    assert filled(made, "other", "a") == lanes.ACTIVE + lanes.WAITING, "what fills one hop is nothing to another"


def test_room_is_told_of_when_it_comes() -> None:
    """Whoever leaves a full lane says so once, not each time: claiming one by one is dear."""
    made = Lanes(lambda: 0.0)
    most = filled(made, "h", "a")
    assert [made.leave("h", "a") for _ in range(most)] == [True] + [False] * (most - 1)
    assert len(made) == 0
    assert not made.full


def test_a_crowd_makes_room_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """With much inside in all, a hop has only what it tries; with twice as much, one; the end of that is told."""
    monkeypatch.setattr(lanes, "CROWD", 12)
    made = Lanes(lambda: 0.0)
    assert [filled(made, f"h{n}", "a") for n in range(8)] == [8, 4, 2, 2, 2, 2, 2, 2]
    assert made.overruns("h0")
    assert not made.overruns("new")
    assert made.full.hops == {f"h{n}" for n in range(8)}
    while made.full:
        last = made.leave(min(made.full.hops), "a")
    assert last, "the end of the crowd is told"


def test_a_hop_rests_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hop that let nobody in is left out, then tried again; the number of those that are named is bounded."""
    monkeypatch.setattr(lanes, "RESTING", 2)
    now = 0.0
    made = Lanes(lambda: now)
    for hop in ("a", "b", "c"):
        made.rest(hop)
    assert made.full.hops == {"a", "b"}
    now = lanes.REST
    assert not made.full
