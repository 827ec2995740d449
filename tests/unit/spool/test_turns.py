"""Claims that pass over what has no room: right, and at a cost that does not grow with what is passed over."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.queue import Full, Kind
from gateway.spool.schema import stamp
from support.grounds import SHARED, SQLITE
from support.spooled import NOW, entry, sent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gateway.core.queue import Entry
    from gateway.spool.store import SqlSpool
    from support.grounds import Ground

FEW: Final = 100
MANY: Final = 5_000
"""Enough for fifty times the reading, if anything is read that was to be passed over."""


def to(hop: str, domain: str | None = "so.example", *, due: datetime = NOW, **changes: Any) -> Entry:
    """Return an entry for a hop from a sender domain, None for a notice."""
    made = entry(next_attempt_at=due, **changes)
    sender = NULL_PATH if domain is None else Mailbox("a", domain)
    envelope = replace(made.consignment.envelope, reverse_path=sender)
    return replace(made, consignment=replace(made.consignment, hop=hop, envelope=envelope))


def later(seconds: float) -> datetime:
    """Return a time after NOW."""
    return NOW + timedelta(seconds=seconds)


async def claimed(spool: SqlSpool, limit: int, **full: frozenset[Any]) -> list[str]:
    """Return the ids of what is claimed."""
    return sorted(each.entry_id for each in await spool.due(later(10), limit, Full(**full)))


async def test_what_is_full_is_passed_over(ground: Ground) -> None:
    """Whole hops, and single domains at a hop; what is not due, claimed or frozen stays as well."""
    spool = ground.open()
    await spool.commit(
        [
            *(to("a", f"d{n}.example", entry_id=f"a{n}") for n in range(5)),
            *(to("b", domain, entry_id=f"b{n}") for n, domain in enumerate(("x.example", "Y.Example", "ĐẤT.example"))),
            to("b", None, entry_id="b-notice"),
            to("c", due=later(1), entry_id="c1"),
            to("c", due=later(20), entry_id="c2"),
            to("d", due=later(15), entry_id="d1"),
        ]
    )
    ground.ask("UPDATE entries SET frozen_at = 1 WHERE entry_id = 'a4'")
    turns = frozenset({("b", "x.example"), ("b", "đất.example")})
    assert await spool.next_due(Full(frozenset({"a", "b", "c"}))) == later(15)
    assert await spool.next_due(Full(frozenset({"a", "b"}), turns)) == later(1)
    assert await spool.next_due(Full(frozenset({"a", "c", "d"}), turns)) == NOW
    assert await spool.next_due(Full(frozenset("abcd"))) is None
    assert await claimed(spool, 50, hops=frozenset("abc")) == []
    assert await claimed(spool, 50, hops=frozenset("a"), turns=turns) == ["b-notice", "b1", "c1"]
    assert await claimed(spool, 50, hops=frozenset("a"), turns=turns) == []
    assert await claimed(spool, 50, hops=frozenset("b")) == ["a0", "a1", "a2", "a3"]
    assert await claimed(spool, 50) == ["b0", "b2"]
    await spool.close()


async def test_turns_share_a_claim(ground: Ground) -> None:
    """Beside a full hop the oldest come first, and none takes a claim for itself alone."""
    spool = ground.open()
    many = [to("a", f"d{n % 2}.example", due=later(-5), entry_id=f"a{n:02}") for n in range(40)]
    await spool.commit([*many, to("b", entry_id="b"), to("full", entry_id="f")])
    first = await claimed(spool, 6, hops=frozenset({"full"}))
    assert first == ["a00", "a01", "a02", "a03", "b"]
    assert len(await claimed(spool, 1, hops=frozenset({"full"}))) == 1
    await spool.close()


async def test_a_new_hop_is_another_turn(ground: Ground) -> None:
    """Whoever gives an entry to another hop takes it out of what is passed over."""
    spool = ground.open()
    one = to("a", entry_id="x")
    await spool.commit([one])
    await spool.settle(replace(one, consignment=replace(one.consignment, hop="b")))
    assert await claimed(spool, 9, hops=frozenset({"b"})) == []
    assert await claimed(spool, 9, hops=frozenset({"a"})) == ["x"]
    await spool.close()


@contextmanager
def steps(spool: SqlSpool) -> Iterator[list[int]]:
    """Count what SQLite does, in hundreds of instructions of its machine, whoever asks."""
    counted = [0]

    def tick() -> int:
        counted[0] += 1
        return 0

    def watch(connection: Any, *_: Any) -> None:
        connection.set_progress_handler(tick, 100)

    engine = spool._database._engine  # type: ignore[attr-defined]
    event.listen(engine, "checkout", watch)
    try:
        yield counted
    finally:
        event.remove(engine, "checkout", watch)


async def work_of(spool: SqlSpool) -> int:
    """Return what claiming beside a full hop costs, and claiming by age, and asking when something is due."""
    full = Full(frozenset({"dead"}), frozenset({("slow", "a.example")}))
    live = to("live", "b.example")
    with steps(spool) as counted:
        for _ in range(10):
            await spool.commit([live])
            assert await spool.next_due(full) == NOW
            (found,) = await spool.due(NOW, 50, full)
            assert found.entry_id == live.entry_id
            await spool.settle(sent(found))
            assert await spool.next_due(full) is None
            oldest = await spool.due(NOW, 5)
            for each in oldest:
                await spool.release_claim(each.entry_id)
            assert await spool.next_due() == NOW
    return counted[0]


@SQLITE
async def test_a_backlog_costs_nothing(ground: Ground) -> None:
    """Beside fifty times as much mail for hops that are full, the database does the same work."""
    spool = ground.open()
    work = []
    for count in (FEW, MANY - FEW):
        await spool.commit(
            [to(("dead", "slow")[n % 2], ("a.example", f"s{n}.example")[n % 2 == 0]) for n in range(count)]
        )
        work.append(await work_of(spool))
    assert work[1] <= 2 * work[0] + 2, work
    await spool.close()


@SQLITE
async def test_plans_of_sqlite(ground: Ground) -> None:
    """Nothing of what claims or asks reads a table, and nothing is sorted but the turns themselves."""
    said = await plans(ground, "EXPLAIN QUERY PLAN ")
    for statement, plan in said:
        for step in plan:
            assert not step.startswith("SCAN entries") or "USING" in step, (statement, plan)
            assert (
                "USING INDEX" in step
                or "COVERING" in step
                or "entries" not in step
                or "SET" in step
                or ("INTEGER PRIMARY KEY" in step)
            ), (statement, plan)


@SHARED
async def test_plans_of_postgres(ground: Ground) -> None:
    """The same there, though it knows nothing yet of what is in the table, and once it knows."""
    for _ in range(2):
        for statement, plan in await plans(ground, "EXPLAIN "):
            text = "\n".join(plan)
            assert "Seq Scan" not in text, (statement, plan)
            assert "Bitmap" not in text, (statement, plan)
            age = "hop" not in statement
            assert ("entries_due" in text) is age, (statement, plan)
            assert ("entries_turns" in text) is not age, (statement, plan)
        ground.ask("ANALYZE")


async def plans(ground: Ground, word: str) -> list[tuple[str, list[str]]]:
    """Return the statements that read for claims, each with its plan."""
    spool = ground.open()
    if sum((await spool.count()).values()) == 0:
        await spool.commit([to(f"h{n % 9}", f"s{n % 99}.example") for n in range(3_000)])
    asked: list[tuple[str, list[str]]] = []
    engine = spool._database._engine  # type: ignore[attr-defined]

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        reads = statement.lstrip().startswith(("SELECT entries.", "WITH RECURSIVE"))
        if reads and "next_attempt_at" in statement and "entries.reverse_local" not in statement:
            cursor.execute(word + statement, parameters)
            asked.append((statement, [str(row[-1]) for row in cursor.fetchall()]))

    event.listen(engine, "before_cursor_execute", explain)
    full = Full(frozenset({"h1"}), frozenset({("h2", "s2.example")}))
    await spool.next_due()
    await spool.next_due(full)
    for found in (await spool.due(NOW, 5), await spool.due(NOW, 5, full)):
        for each in found:
            await spool.release_claim(each.entry_id)
    event.remove(engine, "before_cursor_execute", explain)
    await spool.close()
    assert len(asked) >= 5
    return asked


async def test_what_is_planned_too_far_away_is_pulled_near(ground: Ground) -> None:
    """It is due at once, of both kinds that move; what is near, frozen or claimed keeps its time."""
    spool = ground.open()
    far = {"due": later(1000), "expires_at": later(9e6)}
    await spool.commit([to("a", entry_id=f"far{n}", **far) for n in range(1100)])
    await spool.commit(
        [
            to("a", due=later(60), entry_id="near"),
            to("a", entry_id="frozen", **far),
            to("a", entry_id="claimed", due=NOW),
            to("a", kind=Kind.RELEASED, entry_id="again", **far),
        ]
    )
    ground.ask("UPDATE entries SET frozen_at = 1 WHERE entry_id = 'frozen'")
    (claimed,) = await spool.due(NOW, 9)
    ground.ask(f"UPDATE entries SET next_attempt_at = {stamp(later(1000))} WHERE entry_id = 'claimed'")  # noqa: S608
    assert await spool.pull_near(NOW, timedelta(seconds=60)) == 1101
    assert await spool.pull_near(NOW, timedelta(seconds=60)) == 0
    planned = dict(ground.ask("SELECT entry_id, next_attempt_at FROM entries"))
    assert {planned.pop(f"far{n}") for n in range(1100)} == {stamp(NOW)}
    assert planned == {
        "near": stamp(later(60)),
        "frozen": stamp(later(1000)),
        "claimed": stamp(later(1000)),
        "again": stamp(NOW),
    }
    await spool.settle(sent(claimed))
    await spool.close()
