"""The administrator's desk: what is there is listed, what is done is on record, what is under way is left alone."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.core.errors import ServiceError, SetupError
from gateway.core.queue import Kind, RecipientState
from gateway.spool.acts import By
from gateway.spool.changes import UNREADABLE, Change
from gateway.spool.desk import Desk, Outcome
from support.grounds import DATABASE_ERRORS, SHARED, SQLITE
from support.spooled import LARGE, NOW, entry, octets, plain, rich, settings, with_consignment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gateway.spool.store import SqlSpool
    from support.grounds import Ground

BY = By("lan (sudo: minh)", "đã duyệt", NOW + timedelta(days=9))


@pytest.fixture
async def spool(ground: Ground) -> AsyncIterator[SqlSpool]:
    """Return an open spool: that of the running gateway."""
    store = ground.open()
    yield store
    await store.close()


@pytest.fixture
def desk(spool: SqlSpool, ground: Ground) -> Iterator[Desk]:
    """Return a desk beside it."""
    with Desk(ground.settings()) as opened:
        yield opened


async def test_lists_in_the_order_of_coming(spool: SqlSpool, desk: Desk) -> None:
    """All kinds or some, in pages of any size; a page begins behind a place, not at an offset that moves."""
    kinds = (Kind.HELD, Kind.DELIVER)
    await spool.commit([entry(kind=kinds[number % 2], entry_id=f"e{number:05}") for number in range(1203)])
    found = list(desk.entries())
    assert [each.entry_id for each in found] == [f"e{number:05}" for number in range(1203)]
    held = [each for each in found if each.kind is Kind.HELD]
    assert list(desk.entries(kinds=frozenset({Kind.HELD}))) == held
    assert list(desk.entries(kinds=frozenset({Kind.HELD}), after=held[500].number)) == held[501:]
    assert list(desk.entries(after=found[-1].number)) == []


async def test_says_what_is_known_without_octets(spool: SqlSpool, desk: Desk) -> None:
    """Every field of an entry but its content, state per recipient, claim included."""
    original = rich()
    await spool.commit([original])
    (found,) = desk.entries()
    assert (found.entry_id, found.trace_id, found.hop) == ("Rich_entry-1", "0123abcd", "hop-2")
    assert found.reverse_path == original.consignment.envelope.reverse_path
    assert [mailbox for mailbox, _ in found.recipients] == [
        each.mailbox for each in original.consignment.envelope.recipients
    ]
    assert tuple(state for _, state in found.recipients) == original.states
    assert (found.received_at, found.next_attempt_at) == (original.received_at, original.next_attempt_at)
    assert not found.claimed
    await spool.due(NOW + timedelta(days=1), 1)
    assert next(desk.entries()).claimed
    loaded = desk.load("Rich_entry-1")
    assert loaded is not None
    assert plain(loaded) == plain(original)


async def test_finds_by_the_beginning_of_an_id(spool: SqlSpool, desk: Desk) -> None:
    """A prefix finds exactly the ids that begin so; no character of an id is a pattern."""
    await spool.commit([entry(entry_id=each) for each in ("ab", "ab1", "ab_", "aB2", "abz", "ac", "-x")])
    assert [each.entry_id for each in desk.find("ab", 9)] == ["ab", "ab1", "ab_", "abz"]
    assert [each.entry_id for each in desk.find("ab_", 9)] == ["ab_"]
    assert [each.entry_id for each in desk.find("ab", 2)] == ["ab", "ab1"]
    assert desk.find("%", 9) == ()


@pytest.mark.parametrize("kind", [Kind.HELD, Kind.QUARANTINED])
async def test_release(spool: SqlSpool, desk: Desk, kind: Kind) -> None:
    """What waits for an administrator goes through the journey again, due at once, with a lifetime of its own."""
    await spool.commit([entry(octets(50), kind=kind, entry_id="x", attempts=7, dot_sent=True)])
    assert desk.may_release("x") is Outcome.DONE
    assert await spool.due_again(BY.at, 9) == (), "asking changes nothing"
    assert desk.release("x", BY) is Outcome.DONE
    (found,) = await spool.due_again(BY.at, 9)
    assert (found.consignment.kind, found.attempts, found.dot_sent) == (Kind.RELEASED, 0, False)
    assert (found.next_attempt_at, found.expires_at) == (BY.at, BY.at + timedelta(days=5))
    assert found.consignment.message.octets() == octets(50)


async def test_released_for_whom_it_did_not_reach(spool: SqlSpool, desk: Desk) -> None:
    """Undeliverable mail is tried again for those that failed; who has it already does not get it twice."""
    states = (RecipientState.SENT, RecipientState.FAILED)
    await spool.commit([entry(kind=Kind.QUARANTINED, entry_id="x", states=states)])
    assert desk.release("x", BY) is Outcome.DONE
    (found,) = await spool.due_again(BY.at, 9)
    assert found.states == (RecipientState.SENT, RecipientState.READY)


@pytest.mark.parametrize("kind", [Kind.DELIVER, Kind.TO_SIGN, Kind.RELEASED])
async def test_only_what_waits_for_people_is_released(spool: SqlSpool, desk: Desk, kind: Kind) -> None:
    """An entry that moves by itself is left alone, and released once only."""
    original = entry(kind=kind, entry_id="x")
    await spool.commit([original])
    assert desk.may_release("x") is Outcome.NOT_KEPT
    assert desk.release("x", BY) is Outcome.NOT_KEPT
    assert desk.acts() == ()
    loaded = desk.load("x")
    assert loaded is not None
    assert plain(loaded) == plain(original)


async def test_what_is_gone_is_said_to_be_gone(spool: SqlSpool, desk: Desk) -> None:
    """Two administrators at once: the second is told, and nothing is put on record."""
    await spool.commit([entry(kind=Kind.HELD, entry_id="x")])
    assert desk.delete("x", BY) is Outcome.DONE
    assert desk.delete("x", BY) is Outcome.GONE
    assert desk.release("x", BY) is Outcome.GONE
    assert desk.may_release("x") is Outcome.GONE
    assert len(desk.acts()) == 1


async def test_damaged_entries_are_not_released(spool: SqlSpool, desk: Desk) -> None:
    """What cannot be read can be seen and removed, and is not sent in circles."""
    await spool.commit([entry(kind=Kind.HELD, entry_id="x")])
    await spool._writer.submit(Change(damaged=("x",)))
    assert next(desk.entries()).reason == UNREADABLE
    assert desk.release("x", BY) is Outcome.UNREADABLE
    assert desk.delete("x", BY) is Outcome.DONE


@pytest.mark.parametrize("length", [10, LARGE])
@pytest.mark.parametrize("kind", list(Kind))
async def test_delete(spool: SqlSpool, desk: Desk, ground: Ground, kind: Kind, length: int) -> None:
    """Entries of any kind can be removed; rows, recipients and body are gone, neighbors stay."""
    neighbor = entry(octets(length, 2), entry_id="y")
    await spool.commit([entry(octets(length), kind=kind, entry_id="x"), neighbor])
    assert desk.delete("x", BY) is Outcome.DONE
    assert [each.entry_id for each in desk.entries()] == ["y"]
    assert ground.bodies() == (["y"] if length == LARGE else [])
    assert [plain(each) for each in await spool.due(NOW, 9)] == [plain(neighbor)]


async def test_nothing_under_way_is_touched(spool: SqlSpool, desk: Desk) -> None:
    """What a running gateway has claimed is neither released nor removed: its outcome would be lost or come twice."""
    await spool.commit([entry(entry_id="x"), entry(kind=Kind.RELEASED, entry_id="r")])
    await spool.due(NOW, 9)
    await spool.due_again(NOW, 9)
    assert desk.delete("x", BY) is Outcome.UNDER_WAY
    assert desk.delete("r", BY) is Outcome.UNDER_WAY
    assert desk.acts() == ()
    await spool.release_claim("x")
    assert desk.delete("x", BY) is Outcome.DONE


async def test_claims_of_the_dead_hold_nobody_up(spool: SqlSpool, desk: Desk, ground: Ground) -> None:
    """After a crash, before the next start, an entry that the dead had claimed can be removed."""
    await spool.commit([entry(entry_id="x")])
    ground.ask("UPDATE entries SET claimed_by = 'nobody'")
    assert desk.delete("x", BY) is Outcome.DONE


async def test_acts_are_on_record(spool: SqlSpool, desk: Desk) -> None:
    """Who, when, what, why and to what stays when the entry is gone; nothing of the content is in it."""
    states = (RecipientState.SENT, RecipientState.FAILED)
    await spool.commit([entry(kind=Kind.HELD, entry_id="x", states=states), entry(kind=Kind.HELD, entry_id="y")])
    desk.release("x", BY)
    later = replace(BY, at=BY.at + timedelta(hours=1), why="")
    desk.delete("x", later)
    first, second = desk.acts(entry_id="x")
    assert (first.by, first.what, first.kind, first.trace_id) == (BY, "release", "held", "trace")
    assert (first.reverse_path, first.recipients) == ("van-thu@so-noi-vu.example", ("minh@xa.example",))
    assert (second.by, second.what, second.kind) == (later, "delete", "released")
    assert desk.acts() == (first, second)
    assert desk.acts(entry_id="y") == ()


@pytest.mark.parametrize("statement", ["UPDATE acts SET who = 'x'", "DELETE FROM acts"])
async def test_the_record_only_grows(spool: SqlSpool, desk: Desk, ground: Ground, statement: str) -> None:
    """SQL refuses to change what was done or to remove it."""
    await spool.commit([entry(kind=Kind.HELD, entry_id="x")])
    desk.delete("x", BY)
    with pytest.raises(DATABASE_ERRORS, match="stays on record"):
        ground.ask(statement)
    assert len(desk.acts()) == 1


@SQLITE
async def test_an_act_without_its_record_is_undone(spool: SqlSpool, desk: Desk, ground: Ground) -> None:
    """Record and deed are one transaction: where one fails, neither happened."""
    await spool.commit([entry(kind=Kind.HELD, entry_id="x")])
    ground.ask("CREATE TRIGGER no_room BEFORE INSERT ON acts BEGIN SELECT RAISE(ABORT, 'no'); END")
    for act in (desk.release, desk.delete):
        with pytest.raises(ServiceError, match="database failed"):
            act("x", BY)
    assert await spool.count() == {"held": 1}


@SHARED
async def test_a_shared_act_without_its_record_is_undone(spool: SqlSpool, desk: Desk, ground: Ground) -> None:
    """The same where machines share the record."""
    await spool.commit([entry(kind=Kind.HELD, entry_id="x")])
    ground.ask("ALTER TABLE acts ADD CHECK (what = '')")
    for act in (desk.release, desk.delete):
        with pytest.raises(ServiceError, match="database failed"):
            act("x", BY)
    assert await spool.count() == {"held": 1}


async def test_beside_a_busy_gateway(spool: SqlSpool, ground: Ground) -> None:
    """Releases from another thread and commits of the gateway take turns; each entry ends where it should."""
    held = [entry(kind=Kind.HELD, entry_id=f"h{number}") for number in range(40)]
    await spool.commit(held)

    def let_go() -> None:
        with Desk(ground.settings()) as other:
            outcomes = [other.release(each.entry_id, BY) for each in held]
            assert set(outcomes) == {Outcome.DONE}

    thread = threading.Thread(target=let_go)
    thread.start()
    taken: set[str] = set()
    while thread.is_alive() or len(taken) < len(held):
        await asyncio.gather(*(spool.commit([entry()]) for _ in range(5)))
        for each in await spool.due_again(BY.at, 9):
            assert each.entry_id not in taken
            taken.add(each.entry_id)
            deliverable = with_consignment(each, kind=Kind.DELIVER)
            await spool.exchange(each.entry_id, [replace(deliverable, entry_id=f"n{each.entry_id}")])
    thread.join()
    counted = await spool.count()
    assert set(counted) == {"deliver"}
    assert len([each for each in await spool.due(BY.at, 9999) if each.entry_id.startswith("nh")]) == len(held)


def test_no_spool_no_desk(tmp_path: Path) -> None:
    """A wrong configuration is told, and no spool is made by looking."""
    with pytest.raises(SetupError, match="holds no spool"):
        Desk(settings(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
