"""A disk that is full, a directory that will not do, what crashes left behind: said clearly, and nothing half-done."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pysqlite3 import dbapi2
from sqlalchemy import event
from structlog.testing import capture_logs

from gateway.core.errors import SetupError, StorageFullError
from gateway.spool.database import is_sound
from gateway.spool.files import WASTE_AGE
from gateway.spool.place import file_system
from gateway.spool.schema import VERSION
from gateway.spool.store import ROOM_SECONDS, SqliteSpool
from support.programs import command, environment
from support.spooled import LARGE, NOW, entry, octets, plain, sent, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[SqliteSpool]:
    """Return an open spool."""
    store = SqliteSpool(settings(tmp_path))
    yield store
    await store.close()


def program(name: str, *arguments: object, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run one of the spool's test programs to its end."""
    line = [*before, *command(name, *arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, env=environment())


async def test_a_full_database(spool: SqliteSpool, tmp_path: Path) -> None:
    """SQLITE_FULL is `StorageFullError`: nothing is kept, what fits is stored beside it, room mends it."""
    pages = {"most": 40}

    @event.listens_for(spool._database._engine, "checkout")
    def limit(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages['most']}")

    big = [entry(octets(200_000, number)) for number in range(3)]
    small = [entry(octets(1000, number)) for number in range(10)]
    outcomes = await asyncio.gather(
        *(spool.commit([each]) for each in (*big[:2], *small, big[2])), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [StorageFullError] * 2 + [type(None)] * 10 + [StorageFullError]
    with pytest.raises(StorageFullError):  # neither the file nor its neighbor in the same commit stays
        await spool.commit([entry(octets(LARGE)), big[0]])
    assert list((tmp_path / "bodies").iterdir()) == []
    assert await spool.count() == {"deliver": 10}
    pages["most"] = 100_000
    await spool.commit(big)
    assert sorted(map(repr, map(plain, await spool.due(NOW, 99)))) == sorted(map(repr, map(plain, (*small, *big))))


def test_a_full_disk(tmp_path: Path) -> None:
    """On a disk that is really full each way of storing says so, keeps nothing, and works when there is room."""
    mount = f'mount -t tmpfs -o size=32m none {tmp_path} && exec "$@"'
    done = program("spool_full.py", tmp_path, before=("unshare", "-rm", "sh", "-c", mount, "sh"))
    assert (done.returncode, done.stdout.splitlines()[-1:], done.stderr) == (0, ["done"], "")


async def test_the_watermark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MAIL is stopped while less than `min_free` is free, and while nobody knows; asked at most once a second."""
    spool = SqliteSpool(settings(tmp_path, min_free=1 << 60))
    assert spool.below_watermark
    await spool.close()
    spool = SqliteSpool(settings(tmp_path, min_free=1))
    assert not spool.below_watermark
    asked: list[object] = []

    def fail(path: object) -> None:
        asked.append(path)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "statvfs", fail)
    assert not spool.below_watermark
    assert not asked
    later = time.monotonic() + ROOM_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert spool.below_watermark
    assert spool.below_watermark
    assert len(asked) == 1
    monkeypatch.undo()
    await spool.close()


async def test_a_full_disk_is_said_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail that is turned away for want of room is an error in the log, once, and so is its end a line."""
    spool = SqliteSpool(settings(tmp_path, min_free=1 << 60))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with capture_logs() as said:
        for _ in range(2):
            assert spool.below_watermark
            now += ROOM_SECONDS
        spool._min_free = 1
        assert not spool.below_watermark
    monkeypatch.undo()
    await spool.close()
    assert [(each["log_level"], each["event"]) for each in said] == [
        ("error", "too little room on the spool's disk: no mail is taken"),
        ("info", "there is room on the spool's disk again: mail is taken"),
    ]
    assert {each["directory"] for each in said} == {str(tmp_path)}


async def test_files_without_a_row_are_removed_in_time(spool: SqliteSpool, tmp_path: Path) -> None:
    """Only what is older than an hour and has no row: a younger one may be getting its row now."""
    kept = entry(octets(LARGE))
    await spool.commit([kept])
    for name in ("stranger", ".half"):
        (tmp_path / "bodies" / name).write_bytes(b"x")
        os.utime(tmp_path / "bodies" / name, (0, 0))  # how long the octets took to come does not matter
    names = {"stranger", ".half", kept.entry_id}
    spool.tidy(time.time() + WASTE_AGE - 60)
    assert {path.name for path in (tmp_path / "bodies").iterdir()} == names
    spool.tidy(time.time() + WASTE_AGE + 60)
    assert {path.name for path in (tmp_path / "bodies").iterdir()} == {kept.entry_id}


async def test_room_is_given_back(spool: SqliteSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst the database shrinks: an empty queue must not keep the disk under the watermark."""
    monkeypatch.setattr("gateway.spool.store.SPARE_PAGES", 100)
    burst = [entry(octets(200_000)) for _ in range(50)]
    await spool.commit(burst)
    await asyncio.gather(*(spool.settle(sent(each)) for each in burst))
    for _ in range(3):
        spool.tidy(0.0)
    await spool.close()
    assert (tmp_path / "spool.sqlite3").stat().st_size < 1_000_000


async def test_claims_of_the_dead_are_free(spool: SqliteSpool, tmp_path: Path) -> None:
    """What a killed process had claimed is due again, at the next tidying or start; its lock file goes."""
    await spool.commit([entry(), entry()])
    done = program("spool_claims.py", tmp_path)
    assert (done.returncode, done.stdout) == (-9, "1\n"), done.stderr
    assert len(await spool.due(NOW, 9)) == 1
    assert len(list((tmp_path / "owners").iterdir())) == 2
    spool.tidy(0.0)
    (found,) = await spool.due(NOW, 9)
    assert found.dot_sent, "nobody knows whether a dot is out"
    assert len(list((tmp_path / "owners").iterdir())) == 1


async def test_claims_whose_owner_has_no_file_are_free(spool: SqliteSpool, tmp_path: Path) -> None:
    """A spool restored from a copy is not stuck with claims of another life."""
    await spool.commit([entry()])
    await spool.due(NOW, 1)
    await asyncio.to_thread(spool._writer.close)
    spool._helpers.shutdown()
    for path in (tmp_path / "owners").iterdir():
        path.unlink()
    again = SqliteSpool(settings(tmp_path))
    assert len(await again.due(NOW, 1)) == 1
    await again.close()


async def test_due_is_answered_by_an_index(spool: SqliteSpool, tmp_path: Path) -> None:
    """Finding what is due must not read a queue of 100,000."""
    queries: list[str] = []

    @event.listens_for(spool._database._engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        queries.append(statement)

    await spool.due(NOW, 5)
    await spool.next_due()
    database = dbapi2.connect(tmp_path / "spool.sqlite3")
    selects = [query for query in queries if "next_attempt_at" in query]
    assert len(selects) == 2
    for query in selects:
        plan = database.execute(f"EXPLAIN QUERY PLAN {query}", (1,) * query.count("?")).fetchall()
        assert "entries_due" in plan[0][3]
        assert len(plan) == 1, plan
    database.close()


async def test_only_the_owner_may_look(tmp_path: Path) -> None:
    """The directory is 0700 and each file 0600, whatever the umask and though it was there before."""
    directory = tmp_path / "a" / "spool"
    directory.mkdir(parents=True, mode=0o755)
    before = os.umask(0)
    try:
        spool = SqliteSpool(settings(directory))
        await spool.commit([entry(), entry(octets(LARGE))])
    finally:
        os.umask(before)
    paths = [directory, *directory.rglob("*")]
    assert {f"{path.stat().st_mode:o}" for path in paths} == {"40700", "100600"}
    assert len(paths) >= 8
    await spool.close()


async def test_a_newer_spool_is_left_alone(tmp_path: Path) -> None:
    """A database of a later version, or of something else, is refused and not touched."""
    await SqliteSpool(settings(tmp_path)).close()
    database = dbapi2.connect(tmp_path / "spool.sqlite3")
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(SetupError, match="newer version"):
        SqliteSpool(settings(tmp_path))
    database = dbapi2.connect(tmp_path / "spool.sqlite3")
    database.execute("PRAGMA user_version = 0")
    database.close()
    with pytest.raises(SetupError, match="not a spool"):
        SqliteSpool(settings(tmp_path))
    (tmp_path / "spool.sqlite3").write_bytes(b"junk" * 2000)
    with pytest.raises(SetupError, match="not a database"):
        SqliteSpool(settings(tmp_path))
    assert (tmp_path / "spool.sqlite3").read_bytes() == b"junk" * 2000


def test_a_place_that_will_not_do(tmp_path: Path) -> None:
    """A file where the directory must be is named in the mistake."""
    (tmp_path / "spool").write_bytes(b"")
    with pytest.raises(SetupError, match=str(tmp_path / "spool")):
        SqliteSpool(settings(tmp_path / "spool"))


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_versions_that_lose_commits(version: tuple[int, ...], *, sound: bool) -> None:
    """Each line of SQLite has the WAL-reset defect up to its own fix."""
    assert is_sound(version) is sound


MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /srv rw - nfs4 server:/srv rw
31 30 0:41 / /srv/my\040spool rw,relatime - xfs /dev/vdb rw
32 22 0:42 / /mnt rw - tmpfs none rw
33 22 0:43 / /mnt rw shared:7 - fuse.sshfs far: rw
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var/spool", "ext4"),
        ("/", "ext4"),
        ("/srv", "nfs4"),
        ("/srvx", "ext4"),
        ("/srv/a", "nfs4"),
        ("/srv/my spool/x", "xfs"),
        ("/mnt/x", "fuse.sshfs"),
    ],
)
def test_file_systems(directory: str, kind: str) -> None:
    """The mount nearest to the directory counts, the later of two at one place; blanks are written in octal."""
    assert file_system(MOUNTS, Path(directory)) == kind


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's shared memory and locks do not hold there."""
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr("gateway.spool.place._MOUNTS", mounts)
    for kind in ("nfs4", "cifs", "fuse.sshfs"):
        mounts.write_text(f"22 1 254:0 / / rw - {kind} x rw\n")
        with pytest.raises(SetupError, match=kind):
            SqliteSpool(settings(tmp_path / "spool"))


async def test_a_spool_survives_its_own_restart_many_times(tmp_path: Path) -> None:
    """Opening, changing and closing again and again neither loses nor doubles."""
    original = entry()
    for attempt in range(5):
        spool = SqliteSpool(settings(tmp_path))
        if attempt == 0:
            await spool.commit([original])
        (claimed,) = await spool.due(NOW, 9)
        assert claimed.attempts == attempt
        await spool.settle(dataclasses.replace(claimed, attempts=attempt + 1))
        await spool.close()
