"""A spool of an older version is opened as it is, and everything in it is delivered.

`vectors/spool/v1.sqlite3` was written by the code of version 1 (commit e9cb48d) from `support.spooled`: `rich()`,
`bare()`, a usual entry, one held and one quarantined. `v2.sqlite3` (commit d7e7635) has the same, one entry whose
sender was warned, one that was released, and the record of that and of a removal.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pysqlite3 import dbapi2

from gateway.core.errors import SetupError
from gateway.core.queue import Kind
from gateway.spool.acts import By
from gateway.spool.desk import Desk
from gateway.spool.orders import Orders
from gateway.spool.schema import VERSION
from gateway.spool.store import SqliteSpool
from support.grounds import DATABASE_ERRORS, SHARED
from support.spooled import NOW, bare, entry, octets, plain, rich, sent, settings

if TYPE_CHECKING:
    from support.grounds import Ground

OLD: Final = Path(__file__).parents[2] / "vectors/spool"
LATER: Final = NOW + timedelta(days=30)
USUAL: Final = (
    "From: Lan <lan.hoang@soyte.songlam.example>\r\nSubject: =?utf-8?q?C=C3=B4ng_v=C4=83n?=\r\n\r\nNội dung.\r\n"
)


@pytest.fixture(params=["v1", "v2"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a directory with a spool of an older version."""
    shutil.copy(OLD / f"{request.param}.sqlite3", tmp_path / "spool.sqlite3")
    return tmp_path


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Return a directory with a spool of version 2."""
    shutil.copy(OLD / "v2.sqlite3", tmp_path / "spool.sqlite3")
    return tmp_path


def asked(directory: Path, question: str) -> list[tuple[object, ...]]:
    """Return what SQL says of a spool that nobody has open."""
    connection = dbapi2.connect(directory / "spool.sqlite3")
    try:
        return list(connection.execute(question))
    finally:
        connection.close()


async def opened(directory: Path) -> None:
    """Open the spool once and close it."""
    await SqliteSpool(settings(directory)).close()


async def test_everything_is_there_and_is_delivered(place: Path) -> None:
    """Each entry of the old version comes out field for field, and can be settled; its origin is not known."""
    spool = SqliteSpool(settings(place))
    due = {each.entry_id: each for each in await spool.due(LATER, 10)}
    usual = due["usual1"]
    assert {name: plain(due[name]) for name in ("Rich_entry-1", "b")} == {
        "Rich_entry-1": plain(rich()),
        "b": plain(bare()),
    }
    assert plain(usual) == plain(entry(USUAL.encode(), entry_id="usual1"))
    assert usual.consignment.origin is None
    for each in due.values():
        await spool.settle(sent(each))
    counted = {**await spool.count()}
    counted.pop("released", None)
    assert counted == {"held": 1, "quarantined": 1}
    await spool.close()


async def test_what_was_held_can_be_released(place: Path) -> None:
    """Held mail of the old version is let go by the new one."""
    await opened(place)
    with Desk(settings(place)) as desk:
        desk.release("held1", By("lan", "duyệt", NOW))
    spool = SqliteSpool(settings(place))
    (found,) = [each for each in await spool.due_again(NOW, 10) if each.entry_id == "held1"]
    await spool.close()
    assert found.consignment.kind is Kind.RELEASED
    assert found.consignment.message.octets() == USUAL.encode()


async def test_new_mail_goes_in_beside_it(place: Path) -> None:
    """The migrated tables take what the new version writes."""
    spool = SqliteSpool(settings(place))
    before = dict(await spool.count())
    await spool.commit([entry(octets(10))])
    assert await spool.count() == {**before, "deliver": before["deliver"] + 1}
    await spool.close()


async def test_a_migrated_spool_is_a_new_one(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Columns, indexes and triggers are those of a spool made new: there is one schema, not one per history."""
    fresh = tmp_path_factory.mktemp("fresh")
    await opened(place)
    await opened(fresh)
    objects = "SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name"
    assert asked(place, objects) == asked(fresh, objects)
    for table in ("entries", "recipients", "bodies", "acts"):
        columns = f"PRAGMA table_info({table})"
        assert asked(place, columns) == asked(fresh, columns), table
    indexes = "SELECT name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') ORDER BY name"
    assert asked(place, indexes) == asked(fresh, indexes)
    assert asked(place, "PRAGMA user_version") == [(VERSION,)]


async def test_opening_again_changes_nothing(place: Path) -> None:
    """The way up is taken once."""
    await opened(place)
    before = asked(place, "SELECT * FROM sqlite_schema")
    await opened(place)
    assert asked(place, "SELECT * FROM sqlite_schema") == before


async def test_a_newer_version_is_refused(place: Path) -> None:
    """What a newer version wrote is left alone."""
    await opened(place)
    connection = dbapi2.connect(place / "spool.sqlite3")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(SetupError, match="newer version"):
        SqliteSpool(settings(place))
    with pytest.raises(SetupError, match="newer version"):
        Desk(settings(place))


async def test_acts_of_version_2_become_a_chain(second: Path) -> None:
    """What was done stays as it was written, is proven from now on, and can be changed no more than before."""
    await opened(second)
    with Orders(settings(second)) as desk:
        released, removed = desk.acts()
        assert (released.by, released.what, released.entry_id) == (By("lan", "đã duyệt", NOW), "release", "held2")
        assert (removed.by.who, removed.what, removed.entry_id) == ("minh (sudo: lan)", "delete", "held3")
        known = desk.prove()
        assert (known.acts, known.broken) == (2, ())
        desk.delete("held1", By("lan", "", NOW))
        proof = desk.prove(known.digest)
    assert (proof.acts, proof.broken, proof.contains) == (3, (), True)
    assert asked(second, "SELECT number, previous IS NULL FROM acts") == [(1, 1), (2, 0), (3, 0)]
    with pytest.raises(dbapi2.DatabaseError, match="stays on record"):
        asked(second, "UPDATE acts SET previous = NULL")


async def test_nobody_is_warned_twice_for_an_upgrade(second: Path) -> None:
    """Version 2 did not remember whom it had warned: it is told by the age that a pause had reached."""
    spool = SqliteSpool(settings(second))
    warned = {each.entry_id for each in await spool.due(LATER, 10) if each.warned_at is not None}
    await spool.close()
    assert warned == {"late1"}


async def test_mail_of_version_4_has_its_turns(place: Path) -> None:
    """Whose turn an entry takes is known of those as well that came before anybody asked: folded, as dispatch does."""
    await opened(place)
    spool = SqliteSpool(settings(place))
    due = await spool.due(LATER, 10)
    await spool.close()
    turns = dict(asked(place, "SELECT entry_id, turn_of FROM entries"))
    assert turns["Rich_entry-1"] == "sở.example"
    assert {each.entry_id: each.consignment.turn_of for each in due}.items() <= turns.items()


BACK_TO_2: Final = (
    "ALTER TABLE acts DISABLE TRIGGER acts_only_grow",
    "DROP INDEX entries_due",
    "DROP INDEX entries_again",
    "DROP INDEX entries_turns",
    *(
        f"ALTER TABLE entries DROP COLUMN {name}"
        for name in ("frozen_at", "warned_at", "noticed_at", "turn_of", "recollection")
    ),
    *(f"ALTER TABLE acts DROP COLUMN {name}" for name in ("detail", "previous")),
    "CREATE INDEX entries_due ON entries (next_attempt_at, entry_id) WHERE kind = 'deliver' AND claimed_by IS NULL",
    "CREATE INDEX entries_again ON entries (next_attempt_at, entry_id) WHERE kind = 'released' AND claimed_by IS NULL",
    "ALTER TABLE acts ENABLE TRIGGER acts_only_grow",
    "DROP TABLE gazette",
    "ALTER TABLE owners DROP COLUMN said",
    "UPDATE spool_version SET version = 2",
)
"""What versions 3 to 6 added to a shared spool, taken away again."""


@SHARED
async def test_a_shared_spool_of_version_2(ground: Ground) -> None:
    """The same way is taken in PostgreSQL: columns, indexes, the chain, and the record that only grows."""
    spool = ground.open()
    await spool.commit([entry(kind=Kind.HELD, entry_id=each) for each in "xy"])
    await spool.close()
    with Orders(ground.settings()) as desk:
        desk.release("x", By("lan", "duyệt", NOW))
        desk.delete("y", By("lan", "", NOW))
    shape = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        (
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY 1, 2"
        ),
    )
    new = [ground.ask(each) for each in shape]
    for statement in BACK_TO_2:
        ground.ask(statement)
    assert [ground.ask(each) for each in shape] != new
    with Orders(ground.settings()) as desk:
        proof = desk.prove()
        assert (proof.acts, proof.broken) == (2, ())
    assert [ground.ask(each) for each in shape] == new
    assert ground.ask("SELECT version FROM spool_version") == [(VERSION,)]
    assert ground.ask("SELECT DISTINCT turn_of FROM entries") == [("so-noi-vu.example",)]
    assert ground.ask("SELECT number, previous IS NULL FROM acts ORDER BY number") == [(1, True), (2, False)]
    with pytest.raises(DATABASE_ERRORS, match="stays on record"):
        ground.ask("UPDATE acts SET previous = NULL")
