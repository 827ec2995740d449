"""What goes through the journey again is claimed once, and is replaced by what became of it in one step."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.core.queue import Kind, Origin
from gateway.core.sighting import Contact, Recollection, Repeat
from support.spooled import LARGE, NOW, entry, octets, plain, sent, with_consignment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.spool.store import SqlSpool
    from support.grounds import Ground

SOON = timedelta(minutes=1)


@pytest.fixture
async def spool(ground: Ground) -> AsyncIterator[SqlSpool]:
    """Return an open spool."""
    store = ground.open()
    yield store
    await store.close()


async def test_origin_is_kept(spool: SqlSpool) -> None:
    """Who submitted what is held is there when it is released, names with any character."""
    origin = Origin("submission", "nguyễn 'x'", "2001:db8::1")
    original = with_consignment(entry(kind=Kind.TO_SIGN), origin=origin)
    await spool.commit([original])
    (back,) = await spool.due_again(NOW, 9)
    assert plain(back) == plain(original)
    assert back.consignment.origin == origin


async def test_what_was_known_of_its_signatures_is_kept(spool: SqlSpool) -> None:
    """Every answer of the memory comes back as it was, and so does none at all."""
    found = [Recollection(*each) for each in itertools.product(Repeat, Contact)]
    some = [with_consignment(entry(kind=Kind.RELEASED), recollection=each) for each in (*found, None)]
    await spool.commit(some)
    back = {each.entry_id: each.consignment.recollection for each in await spool.due_again(NOW, 99)}
    assert back == {each.entry_id: each.consignment.recollection for each in some}
    assert len(back) == len(found) + 1


@pytest.mark.parametrize("kind", list(Kind))
async def test_each_kind_has_one_way_out(spool: SqlSpool, kind: Kind) -> None:
    """Dispatch never loads what is raw, and the journey never what is finished; what is held is for people only."""
    await spool.commit([entry(kind=kind)])
    delivered, again = await spool.due(NOW, 9), await spool.due_again(NOW, 9)
    assert len(delivered) == (kind is Kind.DELIVER)
    assert len(again) == (kind in {Kind.RELEASED, Kind.TO_SIGN})


async def test_claimed_once(spool: SqlSpool, ground: Ground) -> None:
    """Two gateways on one spool never take the same entry; a claim given back is free again."""
    await spool.commit([entry(kind=Kind.RELEASED, entry_id="r"), entry(kind=Kind.TO_SIGN, next_attempt_at=NOW + SOON)])
    other = ground.open()
    assert len(await spool.due_again(NOW, 9)) == 1
    assert await other.due_again(NOW, 9) == ()
    assert await other.next_due_again() == NOW + SOON
    await spool.release_claim("r")
    assert len(await other.due_again(NOW, 9)) == 1
    await other.close()


async def test_next_due_again_is_apart_from_delivery(spool: SqlSpool) -> None:
    """Neither of the two loops wakes for the other's entries."""
    await spool.commit([entry(next_attempt_at=NOW + SOON)])
    assert await spool.next_due_again() is None
    await spool.commit([entry(kind=Kind.TO_SIGN, next_attempt_at=NOW)])
    assert (await spool.next_due(), await spool.next_due_again()) == (NOW + SOON, NOW)


@pytest.mark.parametrize("length", [10, LARGE])
async def test_exchange(spool: SqlSpool, ground: Ground, length: int) -> None:
    """The old entry and its body are gone, the new ones are there, whether their octets are its own or others."""
    old = entry(octets(length), kind=Kind.RELEASED)
    await spool.commit([old])
    (claimed,) = await spool.due_again(NOW, 9)
    same = with_consignment(claimed, kind=Kind.DELIVER)
    new = [replace(same, entry_id="new1"), entry(octets(length, 2), entry_id="new2")]
    await spool.exchange(old.entry_id, new)
    assert await spool.count() == {"deliver": 2}
    assert ground.bodies() == (["new1", "new2"] if length == LARGE else [])
    assert [plain(each) for each in await spool.due(NOW, 9)] == [plain(each) for each in new]


@pytest.mark.parametrize("length", [10, LARGE])
async def test_exchange_again_stores_nothing(spool: SqlSpool, length: int) -> None:
    """Tried again after a commit whose outcome was unknown, an exchange brings back nothing that was delivered."""
    await spool.commit([entry(octets(length), kind=Kind.RELEASED, entry_id="old")])
    new = entry(octets(length), entry_id="new")
    await spool.exchange("old", [new])
    await spool.settle(sent(new))
    await spool.exchange("old", [new])
    assert await spool.count() == {}
    assert await spool.due(NOW, 9) == ()


async def test_exchange_for_nothing_is_refused(spool: SqlSpool) -> None:
    """What is exchanged for nothing would be lost."""
    await spool.commit([entry(kind=Kind.RELEASED, entry_id="old")])
    with pytest.raises(ValueError, match="at least one"):
        await spool.exchange("old", [])
    assert await spool.count() == {"released": 1}


async def test_a_failed_exchange_changes_nothing(spool: SqlSpool) -> None:
    """A new entry that must not be written down leaves the old one as it was."""
    await spool.commit([entry(kind=Kind.RELEASED, entry_id="old")])
    with pytest.raises(ValueError, match="entry id"):
        await spool.exchange("old", [entry(), entry(entry_id="../x")])
    assert await spool.count() == {"released": 1}


async def test_others_in_the_group_are_not_touched(spool: SqlSpool) -> None:
    """An exchange for an entry that is gone does not keep the commits beside it from being stored."""
    await asyncio.gather(
        *(spool.commit([entry(entry_id=f"e{number}")]) for number in range(5)),
        spool.exchange("nowhere", [entry(entry_id="never")]),
    )
    assert {each.entry_id for each in await spool.due(NOW, 99)} == {f"e{number}" for number in range(5)}
