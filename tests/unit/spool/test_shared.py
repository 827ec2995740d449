"""Machines that share a PostgreSQL: what is answered is there, and each entry has one owner that lives."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from gateway.core.errors import ServiceError, SetupError, StorageFullError
from gateway.core.queue import Kind
from gateway.spool import postgres as postgres_module
from gateway.spool.acts import By
from gateway.spool.bodies import FileBody
from gateway.spool.database import OutageError, UncertainCommitError
from gateway.spool.desk import Desk
from gateway.spool.pulse import Pace
from gateway.spool.schema import VERSION
from gateway.spool.shared_store import PostgresSpool
from support.grounds import DATABASE_ERRORS, PACE, SHARED, SharedGround
from support.spooled import LARGE, NOW, entry, octets, plain, sent, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

    from gateway.core.queue import Entry
    from support.grounds import Ground
    from support.postgres import Postgres

pytestmark = SHARED
SECONDS = 20
"""More than anything here takes on a machine that is busy with other things."""
_COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, collation_name FROM information_schema.columns "
    "WHERE table_schema = 'public' ORDER BY 1, 2"
)
SHAPE = (
    _COLUMNS,
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
)
"""What tables are like."""
BACK_TO_2 = (
    "DROP INDEX entries_turns",
    "ALTER TABLE entries DROP COLUMN frozen_at, DROP COLUMN warned_at, DROP COLUMN noticed_at",
    "ALTER TABLE entries DROP COLUMN turn_of, DROP COLUMN recollection",
    "ALTER TABLE acts DROP COLUMN detail, DROP COLUMN previous",
    "DROP INDEX IF EXISTS entries_due, entries_again",
    "CREATE INDEX entries_due ON entries (next_attempt_at, entry_id) WHERE kind = 'deliver' AND claimed_by IS NULL",
    "CREATE INDEX entries_again ON entries (next_attempt_at) WHERE kind IN ('released', 'to_sign')",
    "INSERT INTO acts SELECT n, 0, 'lan', 'delete', '', 'x', 'held', '', '', '[]', 0 FROM generate_series(1, 2) n",
    "DROP TABLE gazette",
    "ALTER TABLE owners DROP COLUMN said",
    "UPDATE spool_version SET version = 2",
)


@pytest.fixture
async def spool(ground: Ground) -> AsyncIterator[PostgresSpool]:
    """Return an open spool."""
    store = ground.open()
    assert isinstance(store, PostgresSpool)
    yield store
    await store.close()


async def claimed(spool: PostgresSpool, seconds: float = SECONDS) -> tuple[Entry, ...]:
    """Return what is due as soon as something is."""
    async with asyncio.timeout(seconds):
        while not (found := await spool.due(NOW, 99)):  # noqa: ASYNC110 - the store tells nobody of it
            await asyncio.sleep(0.05)
    return found


def cut(spool: PostgresSpool, after: str, times: int = 1) -> list[str]:
    """Cut the writer's connection `times` just before ("before") or just after ("after") the server commits."""
    cuts: list[str] = []
    engine = spool._database._engine
    really = engine.dialect.do_commit

    def commit(connection: Any) -> None:
        if len(cuts) == times or threading.current_thread().name == "spool-pulse":
            really(connection)
            return
        cuts.append(after)
        if after == "after":
            really(connection)
        connection.dbapi_connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    engine.dialect.do_commit = commit
    return cuts


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("length", [10, LARGE])
async def test_a_commit_whose_answer_is_lost(spool: PostgresSpool, ground: Ground, when: str, length: int) -> None:
    """Row 20: it is tried again with the same id until its outcome is known; it is there once, whole."""
    cuts = cut(spool, when)
    original = entry(octets(length))
    await spool.commit([original])
    assert cuts == [when]
    assert [plain(each) for each in await spool.due(NOW, 9)] == [plain(original)]
    assert ground.ask("SELECT count(*) FROM recipients") == [(2,)]


async def test_what_was_delivered_meanwhile_does_not_come_back(spool: PostgresSpool, ground: Ground) -> None:
    """A commit that had come through is not done again, though its entry was delivered and is gone."""
    database = spool._database
    done: list[int] = []

    def work(connection: Connection) -> str:
        done.append(1)
        connection.execute(text("UPDATE spool_version SET version = version"))
        return "first"

    cuts = cut(spool, "after")
    assert await asyncio.to_thread(database.transact, work) == "first"
    assert (cuts, done) == (["after"], [1])
    cuts = cut(spool, "before")
    assert await asyncio.to_thread(database.transact, work) == "first"
    assert (cuts, done) == (["before"], [1, 1, 1])


async def test_claims_survive_a_lost_answer(spool: PostgresSpool) -> None:
    """Claims whose commit's answer was lost are known all the same: no entry lies claimed by nobody who knows."""
    await spool.commit([entry() for _ in range(3)])
    cut(spool, "after")
    found = await spool.due(NOW, 9)
    assert len(found) == 3
    assert all(spool.holds(each.entry_id) for each in found)


async def test_patience_ends(spool: PostgresSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the outcome stays unknown the client gets 451; while the database is away nobody waits for it again."""
    monkeypatch.setattr(postgres_module, "PATIENCE", 4.0)
    cut(spool, "before", times=1000)
    began = time.monotonic()
    with pytest.raises(UncertainCommitError):
        await spool.commit([entry()])
    first = time.monotonic() - began
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(UncertainCommitError):
            await spool.commit([entry()])
    assert time.monotonic() - began < 3 * first < SECONDS


async def test_a_server_that_is_away(
    spool: PostgresSpool, ground: Ground, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New mail is refused at once, MAIL too; when the server is back everything works, and nothing was lost."""
    monkeypatch.setattr(postgres_module, "PATIENCE", 0.5)
    first, last = entry(), entry()
    await spool.commit([first])
    assert not spool.below_watermark
    with capture_logs():
        await asyncio.to_thread(server.stop)
        try:
            with pytest.raises(OutageError):
                await spool.commit([entry()])
            with pytest.raises(ServiceError):
                await spool.count()
            async with asyncio.timeout(SECONDS):
                while not spool.below_watermark or spool._owner.fresh:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)
        finally:
            await asyncio.to_thread(server.start)
        async with asyncio.timeout(SECONDS):
            while spool.below_watermark:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
    await spool.commit([last])
    assert {each.entry_id for each in await claimed(spool)} == {first.entry_id, last.entry_id}


async def test_a_full_disk_of_the_server(spool: PostgresSpool, ground: Ground) -> None:
    """The server's "disk full" is `StorageFullError`; what fits is stored beside it."""
    ground.ask(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.length > 1000 THEN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END IF; "
        "RETURN NEW; END $$"
    )
    ground.ask("CREATE TRIGGER full_disk BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION full_disk()")
    outcomes = await asyncio.gather(
        *(spool.commit([entry(octets(length))]) for length in (10, 2000, 20, LARGE)), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [type(None), StorageFullError, type(None), StorageFullError]
    assert await spool.count() == {"deliver": 2}


async def test_another_machine_delivers_large_mail(spool: PostgresSpool, tmp_path: Path) -> None:
    """The body comes out of the database, into a file without a name on the machine that sends it."""
    original = entry(octets(3 * 256 * 1024 + 5))
    await spool.commit([original])
    other = PostgresSpool(settings(tmp_path / "other", database=f"env:{SharedGround.VARIABLE}"), pace=PACE)
    (found,) = await other.due(NOW, 9)
    assert plain(found) == plain(original)
    assert isinstance(found.consignment.message.spans[0].source, FileBody)
    assert list((tmp_path / "other" / "bodies").iterdir()) == []
    await other.close()


async def test_no_room_to_send_large_mail_from(spool: PostgresSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds no room goes back untouched; what needs none is delivered meanwhile."""
    large, small = entry(octets(LARGE)), entry()
    await spool.commit([large, small])

    def full(_: str) -> FileBody:
        raise StorageFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(FileBody, "unnamed", full)
        assert [each.entry_id for each in await spool.due(NOW, 9)] == [small.entry_id]
        with pytest.raises(StorageFullError):
            await spool.due(NOW, 9)
    assert [each.entry_id for each in await spool.due(NOW, 9)] == [large.entry_id]


async def test_claims_of_the_silent_are_free(spool: PostgresSpool, ground: Ground) -> None:
    """Who is silent for the lease is dead: what it had claimed comes back, as mail that may have been sent."""
    await spool.commit([entry(), entry(kind=Kind.RELEASED)])
    ground.ask("INSERT INTO owners VALUES ('silent', 'node', clock_timestamp())")
    ground.ask("UPDATE entries SET claimed_by = 'silent'")
    began = time.monotonic()
    assert await spool.due(NOW, 9) == ()
    (found,) = await claimed(spool)
    assert time.monotonic() - began >= PACE.lease - PACE.beat
    assert found.dot_sent
    (again,) = await spool.due_again(NOW, 9)
    assert not again.dot_sent
    assert ground.ask("SELECT count(*) FROM owners") == [(1,)]


async def test_a_clock_that_jumps_kills_nobody(spool: PostgresSpool, ground: Ground) -> None:
    """An owner that looks silent by the database's clock, but goes on beating, keeps its claims."""
    await spool.commit([entry()])
    ground.ask("INSERT INTO owners VALUES ('slow clock', 'node', clock_timestamp() - interval '1 hour')")
    ground.ask("UPDATE entries SET claimed_by = 'slow clock'")
    until = time.monotonic() + 2 * PACE.lease
    while time.monotonic() < until:
        ground.ask("UPDATE owners SET seen_at = seen_at + interval '1 second' WHERE token = 'slow clock'")
        assert await spool.due(NOW, 9) == ()
        await asyncio.sleep(PACE.beat)


async def test_claims_of_nobody_are_free(spool: PostgresSpool, ground: Ground) -> None:
    """A database restored from a copy is not stuck with claims of another life."""
    await spool.commit([entry()])
    ground.ask("UPDATE entries SET claimed_by = 'nobody'")
    assert len(await claimed(spool)) == 1


async def test_who_was_taken_for_dead_knows_it(spool: PostgresSpool, ground: Ground) -> None:
    """Its old claims are not its own any more, it cannot claim under its old name, and it lives on under a new one."""
    await spool.commit([entry(), entry()])
    (old,) = await spool.due(NOW, 1)
    assert spool.holds(old.entry_id)
    token = spool._owner.token
    with capture_logs() as logs:
        ground.ask("DELETE FROM owners")
        async with asyncio.timeout(SECONDS):
            while spool._owner.token == token:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
    assert [each["log_level"] for each in logs] == ["error"]
    assert not spool.holds(old.entry_id)
    found = await claimed(spool)
    assert all(spool.holds(each.entry_id) for each in found)


async def test_nobody_claims_under_a_dead_name(spool: PostgresSpool, ground: Ground) -> None:
    """Between its death and its knowing of it an owner gets nothing: nobody would free that."""
    await spool.commit([entry()])
    spool._owner._beat_at = time.monotonic() + 3600
    await asyncio.sleep(2 * PACE.beat)
    ground.ask("DELETE FROM owners")
    assert await spool.due(NOW, 9) == ()
    assert ground.ask("SELECT count(*) FROM entries WHERE claimed_by IS NOT NULL") == [(0,)]


async def test_claims_are_doubted_before_others_take_them(ground: Ground) -> None:
    """Whoever cannot say that it lives stops believing in its claims before the lease is over."""
    pace = Pace()
    assert pace.beat < pace.trusted < pace.lease
    assert PACE.trusted < PACE.lease


async def test_a_settled_claim_of_another_stays(spool: PostgresSpool, ground: Ground) -> None:
    """The outcome of one that was taken for dead is written down, and does not end the claim of who has it now."""
    await spool.commit([entry()])
    (mine,) = await spool.due(NOW, 9)
    other = ground.open()
    ground.ask(f"UPDATE entries SET claimed_by = '{other._owner.token}'")  # noqa: S608 - our own token
    await spool.settle(dataclasses.replace(mine, attempts=1))
    assert await spool.due(NOW, 9) == ()
    await spool.settle(sent(mine))
    assert await spool.count() == {}
    await other.close()


async def test_others_are_woken(spool: PostgresSpool, ground: Ground) -> None:
    """Who waits for work hears of new mail and of released mail within a moment; nobody wakes itself."""
    other = ground.open()
    woken: dict[str, asyncio.Event] = {"other": asyncio.Event(), "self": asyncio.Event()}
    other.watch(woken["other"].set)
    spool.watch(woken["self"].set)
    async with asyncio.timeout(SECONDS):
        await spool.commit([entry(kind=Kind.HELD, entry_id="x")])
        await woken["other"].wait()
        assert not woken["self"].is_set()
        with Desk(ground.settings()) as desk:
            desk.release("x", By("lan", "", NOW))
        await woken["self"].wait()
    await other.close()


async def test_many_machines_share(spool: PostgresSpool, ground: Ground) -> None:
    """Stores that claim, give back and settle at the same time never hold one entry twice, and finish all."""
    others = [ground.open() for _ in range(3)]
    count = 300
    await spool.commit([entry(entry_id=f"e{number}") for number in range(count)])
    held: set[str] = set()
    finished: list[str] = []

    async def work(store: Any) -> None:
        while len(finished) < count:
            for each in await store.due(NOW, 7):
                assert each.entry_id not in held
                held.add(each.entry_id)
                await asyncio.sleep(0)
                held.discard(each.entry_id)
                if hash(each.entry_id) % 3 == 0 and each.attempts == 0:
                    await store.settle(dataclasses.replace(each, attempts=1))
                else:
                    await store.settle(sent(each))
                    finished.append(each.entry_id)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(each) for each in (spool, *others)))
    assert sorted(finished) == sorted(f"e{number}" for number in range(count))
    assert await spool.count() == {}
    for each in others:
        await each.close()


async def test_numbers_are_never_shared(spool: PostgresSpool, ground: Ground) -> None:
    """Machines that store at the same time give their entries different numbers."""
    other = ground.open()
    originals = [entry(octets(50, number)) for number in range(200)]
    stores = (spool, other)
    await asyncio.gather(*(stores[index % 2].commit([each]) for index, each in enumerate(originals)))
    assert ground.ask("SELECT count(DISTINCT number), count(*) FROM entries") == [(200, 200)]
    assert {repr(plain(each)) for each in await spool.due(NOW, 999)} == {repr(plain(each)) for each in originals}
    await other.close()


async def test_closing_frees_at_once(spool: PostgresSpool, ground: Ground) -> None:
    """Whoever ends in order leaves nothing to a lease, and nothing that looks as if it had been sent."""
    await spool.commit([entry()])
    other = ground.open()
    assert len(await other.due(NOW, 9)) == 1
    await other.close()
    (found,) = await spool.due(NOW, 9)
    assert not found.dot_sent


def test_due_is_answered_by_an_index(ground: Ground) -> None:
    """Finding what is due must not read a queue of 100,000."""
    spool = ground.open()
    asyncio.run(spool.close())
    ground.ask(
        "INSERT INTO entries (number, entry_id, kind, next_attempt_at, received_at, expires_at, attempts, dot_sent, "
        "replies, hop, reason, direction, trace_id, answered_for, eight_bit, smtputf8, length, in_file) "
        "SELECT n, 'e' || n, 'deliver', n, 0, 0, 0, 0, 0, '', '', 'outbound', '', 1, 0, 0, 0, 0 "
        "FROM generate_series(1, 20000) n"
    )
    ground.ask("ANALYZE entries")
    (due,) = ground.ask(
        "SELECT indexdef FROM pg_indexes WHERE indexname = 'entries_due'",
    )
    where = str(due[0]).split(" WHERE ")[1]
    plan = ground.ask(
        f"EXPLAIN SELECT entry_id FROM entries WHERE {where} AND next_attempt_at <= 900000 "  # noqa: S608 - ours
        "ORDER BY next_attempt_at, entry_id LIMIT 50 FOR UPDATE SKIP LOCKED"
    )
    assert "entries_due" in str(plan)
    assert "Sort" not in str(plan)


async def test_a_server_that_could_lose_mail_is_refused(server: Postgres, ground: Ground) -> None:
    """Without fsync, or without whole pages, there is no 250."""
    for setting in ("fsync=off", "full_page_writes=off"):
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start, setting)
        try:
            with pytest.raises(SetupError, match="lose mail"):
                ground.open()
        finally:
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)


@pytest.mark.parametrize(("given", "found"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
async def test_every_connection_is_durable(server: Postgres, ground: Ground, given: str, found: str) -> None:
    """Whatever the server's default, a commit waits for the disk; who wants more than that gets it."""
    (name,) = ground.ask("SELECT current_database()")[0]
    ground.ask(f"ALTER DATABASE {name} SET synchronous_commit = {given}")
    spool = ground.open()
    seen: list[str] = []

    def look(connection: Connection) -> None:
        seen.append(connection.execute(text("SHOW synchronous_commit")).scalar_one())

    spool._database.transact(look)
    await spool.close()
    assert seen == [found]


async def test_only_utf8(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ground: Ground) -> None:
    """A database that cannot hold every address is refused."""
    conninfo = server.create(options="ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    monkeypatch.setenv(SharedGround.VARIABLE, conninfo)
    with pytest.raises(SetupError, match="UTF8"):
        ground.open()


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("hunter2hunter2", "no connection string"),
        (
            "host=/nowhere password=hunter2hunter2",
            r"cannot be used now: .*OperationalError \(No such file or directory\)",
        ),
        ("postgresql://u:hunter2hunter2@[::1", "no connection string"),
    ],
)
async def test_the_secret_is_never_said(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, secret: str, words: str
) -> None:
    """Whatever is wrong with the connection string, nothing of it is in the mistake or in the log."""
    monkeypatch.setenv(SharedGround.VARIABLE, secret)
    with capture_logs() as logs, pytest.raises(SetupError, match=words) as caught:
        ground.open()
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "hunter2" not in str(chain)
        chain = chain.__cause__
    assert "hunter2" not in repr(logs)


async def test_a_database_that_does_not_exist(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why nobody lets us in is said, of the usual reasons; names are not."""
    monkeypatch.setenv(SharedGround.VARIABLE, f"{os.environ[SharedGround.VARIABLE]} dbname=hunter2")
    with pytest.raises(SetupError, match=r"OperationalError \(does not exist\)") as caught:
        ground.open()
    assert "hunter2" not in str(caught.value)


async def test_a_newer_version_is_refused(ground: Ground) -> None:
    """What a newer version wrote, or somebody else, is left alone."""
    await ground.open().close()
    assert ground.ask("SELECT version FROM spool_version") == [(VERSION,)]
    ground.ask("UPDATE spool_version SET version = version + 1")
    with pytest.raises(SetupError, match="newer version"):
        ground.open()
    with pytest.raises(SetupError, match="newer version"):
        Desk(ground.settings())
    ground.ask("DROP TABLE spool_version")
    with pytest.raises(SetupError, match="not a spool"):
        ground.open()


async def test_an_older_version_is_brought_up_to_date(ground: Ground, server: Postgres) -> None:
    """What is in tables of version 2 is delivered, and the tables are then as if made new."""
    spool = ground.open()
    original = entry(octets(LARGE))
    await spool.commit([original])
    await spool.close()
    made_new = [ground.ask(question) for question in SHAPE]
    for statement in BACK_TO_2:
        ground.ask(statement)
    assert [ground.ask(question) for question in SHAPE] != made_new
    spool = ground.open()
    assert [ground.ask(question) for question in SHAPE] == made_new
    assert ground.ask("SELECT version FROM spool_version") == [(VERSION,)]
    assert ground.ask("SELECT number, previous IS NULL FROM acts ORDER BY number") == [(1, True), (2, False)]
    with pytest.raises(DATABASE_ERRORS, match="stays on record"):
        ground.ask("DELETE FROM acts")
    assert [plain(each) for each in await spool.due(NOW, 9)] == [plain(original)]
    await spool.close()


async def test_no_spool_no_desk(ground: Ground) -> None:
    """No tables are made by looking."""
    with pytest.raises(SetupError, match="holds no spool"):
        Desk(ground.settings())
    assert ground.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


async def test_many_start_at_once(ground: Ground) -> None:
    """Machines that find an empty database at the same time make one spool."""
    spools = await asyncio.gather(*(asyncio.to_thread(ground.open) for _ in range(4)))
    await asyncio.gather(*(each.commit([entry()]) for each in spools))
    assert await spools[0].count() == {"deliver": 4}
    for each in spools:
        await each.close()


async def test_marks_do_not_pile_up(spool: PostgresSpool, ground: Ground) -> None:
    """Each writer leaves one mark, and those of the dead are removed in time."""
    for _ in range(20):
        await spool.commit([entry()])
    assert ground.ask("SELECT count(*) < 3 FROM commits") == [(True,)]
    ground.ask("INSERT INTO commits VALUES ('old', clock_timestamp() - interval '2 hours')")
    spool._database.forget_old_marks()
    assert ground.ask("SELECT count(*) FROM commits WHERE mark = 'old'") == [(0,)]
