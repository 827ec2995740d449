"""What an administrator orders: done once, on record with its reason, and never to what somebody works on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core.address import Mailbox
from gateway.core.envelope import Envelope, Recipient
from gateway.core.queue import Kind, RecipientState
from gateway.spool.acts import By
from gateway.spool.changes import Change
from gateway.spool.desk import Outcome
from gateway.spool.orders import Order, Orders
from support.grounds import SQLITE
from support.spooled import LARGE, NOW, entry, octets, plain, with_consignment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from gateway.core.queue import Entry
    from gateway.spool.store import SqlSpool
    from support.grounds import Ground

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BY = By("lan (sudo: minh)", "sửa xong đường truyền", NOW + HOUR)


@pytest.fixture
async def spool(ground: Ground) -> AsyncIterator[SqlSpool]:
    """Return an open spool: that of the running gateway."""
    store = ground.open()
    yield store
    await store.close()


@pytest.fixture
def orders(spool: SqlSpool, ground: Ground) -> Iterator[Orders]:
    """Return the desk beside it."""
    with Orders(ground.settings()) as opened:
        yield opened


def later(entry_id: str, **changes: Any) -> Entry:
    """Return an entry that is due in a day."""
    return entry(entry_id=entry_id, next_attempt_at=NOW + DAY, **changes)


def back(*notices: Entry) -> Callable[[Entry], Sequence[Entry] | None]:
    """Return what gives an entry back with these notices, or cannot."""
    return lambda _: notices or None


async def ids(spool: SqlSpool, at: Any = BY.at) -> list[str]:
    """Claim what is due, and return its ids."""
    return sorted([each.entry_id for each in await spool.due(at, 9999)])


async def test_retry(spool: SqlSpool, orders: Orders) -> None:
    """What waits for its next attempt is due now; nothing else of it is changed."""
    await spool.commit([later("x", attempts=3), later("y")])
    assert orders.may(Order.RETRY, "x") is Outcome.DONE
    assert await ids(spool) == [], "asking changes nothing"
    assert orders.order(Order.RETRY, "x", BY) is Outcome.DONE
    (found,) = await spool.due(BY.at, 9)
    assert plain(found) == plain(replace(later("x", attempts=3), next_attempt_at=BY.at))
    (act,) = orders.acts(entry_id="x")
    assert (act.by, act.what, act.kind) == (BY, "retry", "deliver")


@pytest.mark.parametrize("order", list(Order))
async def test_nothing_to_order(spool: SqlSpool, orders: Orders, order: Order) -> None:
    """Mail that waits for people has no next attempt, what is gone is gone, and neither leaves a record."""
    await spool.commit([entry(kind=Kind.HELD, entry_id="h")])
    expected = Outcome.NOT_FROZEN if order is Order.THAW else Outcome.NOT_MOVING
    assert orders.order(order, "h", BY) is expected
    assert orders.order(order, "nobody", BY) is orders.may(order, "nobody") is Outcome.GONE
    assert orders.acts() == ()


@pytest.mark.parametrize("kind", [Kind.DELIVER, Kind.TO_SIGN, Kind.RELEASED])
async def test_freeze_and_thaw(spool: SqlSpool, orders: Orders, ground: Ground, kind: Kind) -> None:
    """Kept back it is never due, over any restart; thawed it is due at once, with the time left that it had."""
    await spool.commit([entry(entry_id="x", kind=kind), entry(entry_id="y", kind=kind)])
    assert orders.order(Order.FREEZE, "x", BY) is Outcome.DONE
    assert orders.order(Order.FREEZE, "x", BY) is Outcome.FROZEN
    assert orders.order(Order.RETRY, "x", BY) is Outcome.FROZEN
    claim = spool.due if kind is Kind.DELIVER else spool.due_again
    earliest = spool.next_due if kind is Kind.DELIVER else spool.next_due_again
    assert [each.entry_id for each in await claim(NOW + 90 * DAY, 9)] == ["y"]
    assert await earliest() is None
    other = ground.open()
    assert await (other.due if kind is Kind.DELIVER else other.due_again)(NOW + 90 * DAY, 9) == ()
    await other.close()
    assert {each.entry_id: each.frozen_at for each in orders.entries()} == {"x": BY.at, "y": None}
    thawing = replace(BY, at=BY.at + 10 * DAY)
    assert orders.order(Order.THAW, "x", thawing) is Outcome.DONE
    (found,) = await claim(thawing.at, 9)
    assert (found.next_attempt_at, found.expires_at) == (thawing.at, NOW + 5 * DAY + 10 * DAY)
    assert [each.what for each in orders.acts()] == ["freeze", "thaw"]


async def test_freezing_lets_the_attempt_under_way_end(spool: SqlSpool, orders: Orders) -> None:
    """A dot may be out: its answer counts, and there is no further attempt."""
    await spool.commit([entry(entry_id="x"), entry(entry_id="r", kind=Kind.RELEASED)])
    (claimed,) = await spool.due(NOW, 9)
    await spool.due_again(NOW, 9)
    assert orders.order(Order.FREEZE, "x", BY) is Outcome.DONE
    assert orders.order(Order.FREEZE, "r", BY) is Outcome.UNDER_WAY, "it would not be the one that stays"
    await spool.settle(replace(claimed, attempts=1, next_attempt_at=NOW + HOUR))
    assert await ids(spool, NOW + DAY) == []
    assert orders.order(Order.THAW, "x", replace(BY, at=NOW + DAY)) is Outcome.DONE
    assert await ids(spool, NOW + DAY) == ["x"]


async def test_what_is_under_way_is_not_hurried(spool: SqlSpool, orders: Orders) -> None:
    """An entry that somebody sends now would be sent twice."""
    await spool.commit([entry(entry_id="x")])
    await spool.due(NOW, 9)
    assert orders.order(Order.RETRY, "x", BY) is Outcome.UNDER_WAY
    assert orders.reroute("x", lambda _: "other", BY) is Outcome.UNDER_WAY
    assert orders.bounce("x", back(entry(entry_id="n")), BY) is Outcome.UNDER_WAY
    assert orders.order_all(Order.RETRY, None, BY) == 0
    assert orders.acts() == ()


async def test_for_all_mail_of_a_hop(spool: SqlSpool, orders: Orders) -> None:
    """Many at once, in parts: exactly what waits for that hop, and what goes by domain through it."""
    some = [with_consignment(later(f"a{n:04}"), hop="out" if n % 2 else "out@xa.example") for n in range(1100)]
    others = [with_consignment(later("b"), hop="outer"), entry(kind=Kind.HELD, entry_id="h")]
    await spool.commit([*some, *others])
    orders.order(Order.FREEZE, "a0007", BY)
    assert orders.count_meant(Order.RETRY, "out") == 1099
    assert orders.order_all(Order.RETRY, "out", BY) == 1099
    found = await ids(spool)
    assert found == [f"a{n:04}" for n in range(1100) if n != 7]
    parts = [act.detail for act in orders.acts() if act.what == "retry"]
    assert parts == [
        "hop=out entries=500 from=a0000 to=a0500",
        "hop=out entries=500 from=a0501 to=a1000",
        "hop=out entries=99 from=a1001 to=a1099",
    ]


async def test_freeze_and_thaw_all(spool: SqlSpool, orders: Orders) -> None:
    """A whole hop is kept back, and let go."""
    await spool.commit([entry(entry_id=each) for each in ("x", "y")])
    assert orders.order_all(Order.FREEZE, "hop", BY) == 2
    assert await ids(spool) == []
    assert orders.order_all(Order.FREEZE, None, BY) == 0
    assert orders.order_all(Order.THAW, None, BY) == 2
    assert await ids(spool) == ["x", "y"]


async def test_reroute(spool: SqlSpool, orders: Orders) -> None:
    """Sent elsewhere at once, with the same octets; from where and to where is on record."""
    await spool.commit([later("x"), entry(kind=Kind.HELD, entry_id="h")])
    assert orders.reroute("x", lambda _: "other", None) is Outcome.DONE
    assert orders.acts() == (), "asking changes nothing"
    assert orders.reroute("x", lambda _: "other", BY) is Outcome.DONE
    (found,) = await spool.due(BY.at, 9)
    assert plain(found) == plain(with_consignment(replace(later("x"), next_attempt_at=BY.at), hop="other"))
    assert orders.acts()[0].detail == "hop -> other"
    assert orders.reroute("h", lambda _: "other", BY) is Outcome.NOT_ROUTED


async def test_reroute_to_a_hop_for_each_domain(spool: SqlSpool, orders: Orders) -> None:
    """An entry is for one hop: recipients of two domains do not fit into one that carries domains by themselves."""
    envelope = Envelope(Mailbox("a", "b.example"), tuple(Recipient(Mailbox("x", f"{n}.example")) for n in "pq"))
    states = (RecipientState.SENT, RecipientState.READY)
    await spool.commit(
        [
            with_consignment(later("two"), envelope=envelope),
            with_consignment(later("one", states=states), envelope=envelope),
        ]
    )
    assert orders.reroute("two", lambda mailbox: f"mx@{mailbox.domain}", BY) is Outcome.SEVERAL_PLACES
    assert orders.reroute("one", lambda mailbox: f"mx@{mailbox.domain}", BY) is Outcome.DONE
    assert {each.entry_id: each.hop for each in orders.entries()} == {"two": "hop", "one": "mx@q.example"}


@pytest.mark.parametrize("length", [10, LARGE])
@pytest.mark.parametrize("kind", [Kind.DELIVER, Kind.HELD])
async def test_bounce(spool: SqlSpool, orders: Orders, ground: Ground, kind: Kind, length: int) -> None:
    """The notice stands in the place of the entry, in one transaction; bodies come and go with their entries."""
    await spool.commit([later("x", message=octets(10 + LARGE - length), kind=kind)])
    notice = entry(octets(length, 2), entry_id="n")
    assert orders.bounce("x", back(notice), None) is Outcome.DONE
    assert [each.entry_id for each in orders.entries()] == ["x"], "asking changes nothing"
    assert orders.bounce("x", back(notice), BY) is Outcome.DONE
    assert [plain(each) for each in await spool.due(BY.at, 9)] == [plain(notice)]
    assert ground.bodies() == (["n"] if length == LARGE else [])
    (act,) = orders.acts(entry_id="x")
    assert (act.what, act.detail, act.recipients) == ("bounce", "sender told", ("lan@xa.example", "minh@xa.example"))


async def test_nobody_to_tell(spool: SqlSpool, orders: Orders) -> None:
    """Where nobody can be told, a message does not vanish by being returned."""
    await spool.commit([later("x")])
    assert orders.bounce("x", back(), BY) is Outcome.NOBODY_TO_TELL
    assert [each.entry_id for each in orders.entries()] == ["x"]
    assert orders.acts() == ()


@SQLITE
async def test_a_bounce_that_fails_changes_nothing(spool: SqlSpool, orders: Orders, ground: Ground) -> None:
    """Deed, notice and record are one transaction."""
    await spool.commit([later("x")])
    ground.ask("CREATE TRIGGER no_room BEFORE INSERT ON acts BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="database failed"):
        orders.bounce("x", back(entry(entry_id="n")), BY)
    assert [each.entry_id for each in orders.entries()] == ["x"]


async def test_damaged_mail_is_not_returned(spool: SqlSpool, orders: Orders) -> None:
    """What cannot be read can only be removed."""
    await spool.commit([later("x")])
    await spool._writer.submit(Change(damaged=("x",)))
    ground_rows = next(iter(orders.entries()))
    assert ground_rows.kind is Kind.QUARANTINED
    assert orders.over(NOW + 900 * DAY) == orders.about_to_end(NOW + 900 * DAY) == (), "and it does not end by itself"


def end_by(days: float) -> By:
    """Return the gateway itself, some days after the mail came."""
    return By("gateway", "", NOW + days * DAY)


@pytest.mark.parametrize("kind", [Kind.HELD, Kind.QUARANTINED])
async def test_kept_mail_ends_with_notice(spool: SqlSpool, orders: Orders, kind: Kind) -> None:
    """Nothing ends before its days are over, nor before it was said for as long as promised; then it does."""
    await spool.commit([entry(kind=kind, entry_id="x"), entry(entry_id="d")])
    assert orders.about_to_end(NOW + 22 * DAY) == ()
    (found,) = orders.about_to_end(NOW + 23 * DAY)
    assert found.entry_id == "x"
    assert orders.over(NOW + 90 * DAY) == (), "nobody was told"
    assert orders.expire("x", back(), end_by(90)) is Outcome.NOT_KEPT
    orders.noticed([found], NOW + 40 * DAY)
    assert orders.about_to_end(NOW + 41 * DAY) == (), "said once"
    assert orders.over(NOW + 46 * DAY) == ()
    assert orders.expire("x", back(), end_by(46)) is Outcome.NOT_KEPT
    assert [each.entry_id for each in orders.over(NOW + 47 * DAY)] == ["x"]
    assert orders.expire("x", back(), end_by(47)) is Outcome.DONE
    assert orders.expire("x", back(), end_by(47)) is Outcome.GONE
    assert [each.entry_id for each in orders.entries()] == ["d"]
    (act,) = orders.acts()
    assert (act.by.who, act.what, act.detail) == ("gateway", "expire", "nobody told")


async def test_kept_mail_ends_with_a_report(spool: SqlSpool, orders: Orders) -> None:
    """Where somebody answers for the sender, he is told."""
    await spool.commit([entry(kind=Kind.HELD, entry_id="x")])
    orders.noticed(orders.about_to_end(NOW + 23 * DAY), NOW + 23 * DAY)
    assert orders.expire("x", back(entry(entry_id="n")), end_by(30)) is Outcome.DONE
    assert [each.entry_id for each in orders.entries()] == ["n"]
    assert orders.acts()[0].detail == "sender told"


async def test_released_mail_that_is_held_again_is_noticed_again(spool: SqlSpool, orders: Orders) -> None:
    """A word that was said of its former stay does not count."""
    await spool.commit([entry(kind=Kind.HELD, entry_id="x")])
    orders.noticed(orders.about_to_end(NOW + 23 * DAY), NOW + 23 * DAY)
    orders.release("x", replace(BY, at=NOW + 24 * DAY))
    (again,) = await spool.due_again(NOW + 24 * DAY, 9)
    await spool.settle(with_consignment(again, kind=Kind.HELD))
    assert orders.over(NOW + 90 * DAY) == ()
    assert len(orders.about_to_end(NOW + 90 * DAY)) == 1


async def test_releasing_what_was_frozen(spool: SqlSpool, orders: Orders) -> None:
    """Mail that failed while it was frozen moves again when it is released."""
    await spool.commit([entry(entry_id="x")])
    (claimed,) = await spool.due(NOW, 9)
    orders.order(Order.FREEZE, "x", BY)
    await spool.settle(with_consignment(claimed, kind=Kind.QUARANTINED))
    assert orders.release("x", BY) is Outcome.DONE
    assert len(await spool.due_again(BY.at, 9)) == 1


async def test_the_warning_is_remembered(spool: SqlSpool) -> None:
    """When a sender was due to be told is part of an entry's state."""
    await spool.commit([entry(entry_id="x", warned_at=NOW)])
    (found,) = await spool.due(NOW, 9)
    assert found.warned_at == NOW
    await spool.settle(replace(found, warned_at=NOW + HOUR))
    (found,) = await spool.due(NOW, 9)
    assert found.warned_at == NOW + HOUR


async def test_acts_are_a_chain(spool: SqlSpool, orders: Orders) -> None:
    """Every act holds the digest of the one before, so that any known digest proves all acts up to it."""
    await spool.commit([later(each) for each in "xyz"])
    assert orders.prove() == orders.prove("")
    assert (orders.prove().acts, orders.prove().digest) == (0, "")
    orders.order(Order.RETRY, "x", BY)
    first = orders.prove()
    for each in "yz":
        orders.delete(each, BY)
    proof = orders.prove(first.digest)
    assert (proof.acts, proof.broken, proof.contains) == (3, (), True)
    assert proof.digest != first.digest
    assert not orders.prove("0" * 64).contains
    assert [each.entry_id for each in orders.last_acts(2)] == ["y", "z"]


TAMPERING = [
    ("UPDATE acts SET who = 'nobody' WHERE number = 2", (3,)),
    ("UPDATE acts SET why = why || ' ' WHERE number = 1", (2,)),
    ("DELETE FROM acts WHERE number = 2", (3,)),
    ("DELETE FROM acts WHERE number = 1", (2,)),
    ("UPDATE acts SET detail = 'x' WHERE number = 3", (4,)),
    ("UPDATE acts SET number = 9 WHERE number = 4", ()),
]


@SQLITE
@pytest.mark.parametrize(("statement", "broken"), TAMPERING)
async def test_tampering_shows(
    spool: SqlSpool, orders: Orders, ground: Ground, statement: str, broken: tuple[int, ...]
) -> None:
    """Whoever can write to the file cannot change, remove or put in a row without breaking the chain or its end."""
    await spool.commit([later(f"e{n}") for n in range(4)])
    for n in range(4):
        orders.order(Order.RETRY, f"e{n}", BY)
    before = orders.prove()
    for trigger in ("acts_no_update", "acts_no_delete"):
        ground.ask(f"DROP TRIGGER {trigger}")
    ground.ask(statement)
    after = orders.prove(before.digest)
    assert after.broken == broken
    assert after.broken or not after.contains, "the last row is known by a digest noted elsewhere only"


@SQLITE
async def test_opening_again_drops_no_lock(spool: SqlSpool, ground: Ground) -> None:
    """POSIX locks belong to the process: a desk that comes and goes beside the store must not take the store's away."""
    await spool.commit([entry(entry_id="x")])
    inode = (ground.settings().directory / "spool.sqlite3").stat().st_ino

    def locks() -> list[list[str]]:
        rows = [line.split()[1:] for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
        return sorted(row for row in rows if row[0] == "POSIX" and row[4].endswith(f":{inode}"))

    before = locks()
    assert before, "SQLite holds a shared lock as long as the file is open"
    with Orders(ground.settings()) as another:
        assert [each.entry_id for each in another.entries()] == ["x"]
    assert locks() == before
