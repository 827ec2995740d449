"""Signatures seen before: a replay is found, whatever else happens, and mail never waits for it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from structlog.testing import capture_logs

from gateway.config.inbound import VerifySettings
from gateway.core.errors import ServiceError, SetupError
from gateway.core.sighting import Contact, Recollection, Repeat, Sighting
from gateway.spool import seen
from gateway.spool import sightings as room
from gateway.spool.marks import digest
from gateway.spool.place import prepare_place
from gateway.spool.seen import open_seen
from gateway.spool.sightings import NoSightings, SqliteSightings
from support.spooled import settings
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

NOW: Final = datetime.now(UTC)
LETTER: Final = Sighting(NOW, ("a1",), "<1@x.example>", "Wed, 04 Mar 2026 12:00:00 +0700", "Mời họp", None, ())
OTHER: Final = replace(LETTER, subject="Chuyển tiền")
FROM_LAN: Final = replace(LETTER, author="lan@x.example", certificates=("c1",))


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no answer be unknown because the machine is busy; a test of the patience sets its own."""
    monkeypatch.setattr(room, "PATIENCE", 60.0)


@asynccontextmanager
async def opened(directory: Path, *, days: int = 400, most: int = 1000, **spool: Any) -> AsyncIterator[SqliteSightings]:
    """Open the memory beside a spool, and let go."""
    found = SqliteSightings(settings(directory, **spool), VerifySettings(replay_days=days, replay_most=most))
    try:
        yield found
    finally:
        await asyncio.to_thread(found.close)


async def ready(sightings: SqliteSightings) -> None:
    """Wait until the past has been read through."""
    await until(lambda: sightings._sieve is not None)


async def repeat(sightings: SqliteSightings, sighting: Sighting) -> Repeat:
    """Return what a signature is told to be."""
    return (await sightings.see(sighting)).repeat


def rows(directory: Path, table: str) -> int:
    """Return how many rows were written."""
    database = open_seen(prepare_place(directory))
    with database.cursor() as cursor:
        (found,) = cursor.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 - ours
    database.close()
    return int(found[0])


def files(directory: Path) -> list[tuple[int, bytes]]:
    """Return what others may do with each file, and its octets."""
    return [(each.stat().st_mode & 0o077, each.read_bytes()) for each in directory.iterdir() if each.is_file()]


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Keep whoever reads the tables waiting until the event is set; the past counts as not read through."""
    go_on = threading.Event()

    def wait(*given: Any) -> Any:
        go_on.wait(60)
        return seen.ask(*given)

    monkeypatch.setattr("gateway.spool.sightings.ask", wait)
    monkeypatch.setattr(room, "STALE", 0.0)
    yield go_on
    go_on.set()


@pytest.mark.parametrize("read_through", [True, False])
async def test_a_signature_under_another_subject_is_told(tmp_path: Path, *, read_through: bool) -> None:
    """The first message counts, for ever: later ones never take its place."""
    async with opened(tmp_path) as sightings:
        if read_through:
            await ready(sightings)
        assert await repeat(sightings, LETTER) is Repeat.NEW
        assert await repeat(sightings, LETTER) is Repeat.SAME
        for changed in (OTHER, replace(LETTER, date="x"), replace(LETTER, message_id="<2@x.example>"), OTHER):
            assert await repeat(sightings, changed) is Repeat.OTHER
        assert await repeat(sightings, replace(LETTER, subject="[ds] Mời họp")) is Repeat.LIST_COPY
        assert await repeat(sightings, LETTER) is Repeat.SAME
        assert await repeat(sightings, replace(OTHER, signatures=("a2",))) is Repeat.NEW


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Nor does what was replayed before it count as the first."""
    async with opened(tmp_path) as sightings:
        await sightings.see(FROM_LAN)
        await sightings.see(OTHER)
    for wait in (True, False):
        async with opened(tmp_path) as sightings:
            if wait:
                await ready(sightings)
            assert await repeat(sightings, OTHER) is Repeat.OTHER
            assert await sightings.see(FROM_LAN) == Recollection(Repeat.SAME, Contact.KNOWN)


async def test_of_two_at_once_one_is_first(tmp_path: Path) -> None:
    """Before anything is written, and before the tables have answered."""
    async with opened(tmp_path) as sightings:
        many = [replace(LETTER, subject=f"Số {number}") for number in range(50)]
        told = await asyncio.gather(*(repeat(sightings, each) for each in many))
        assert told == [Repeat.NEW, *[Repeat.OTHER] * 49]
        await ready(sightings)
        told = await asyncio.gather(*(repeat(sightings, replace(each, signatures=("b",))) for each in (*many, many[0])))
        assert told == [Repeat.NEW, *[Repeat.OTHER] * 49, Repeat.SAME]


async def test_of_two_at_once_both_hear_of_the_past(tmp_path: Path) -> None:
    """The second does not take the first one's word for what the tables have not told yet."""
    async with opened(tmp_path) as sightings:
        await sightings.see(LETTER)
    async with opened(tmp_path) as sightings:
        told = await asyncio.gather(*(repeat(sightings, each) for each in (OTHER, OTHER, LETTER)))
        assert told == [Repeat.OTHER, Repeat.OTHER, Repeat.SAME]


async def test_another_process_hears_of_it(tmp_path: Path) -> None:
    """Of its own accord, whichever of them was asked before."""
    async with opened(tmp_path) as first, opened(tmp_path) as second:
        await ready(first)
        await ready(second)
        assert await repeat(first, LETTER) is Repeat.NEW
        await until(lambda: digest("a1") in second._sieve)  # type: ignore[operator]
        assert await repeat(second, OTHER) is Repeat.OTHER
        assert await repeat(second, LETTER) is Repeat.SAME


async def test_every_signature_is_looked_at(tmp_path: Path) -> None:
    """A new signer beside a replayed signature makes nothing new of it."""
    async with opened(tmp_path) as sightings:
        assert await repeat(sightings, replace(LETTER, signatures=("a", "b"))) is Repeat.NEW
        assert await repeat(sightings, replace(OTHER, signatures=("c", "b"))) is Repeat.OTHER
        assert await repeat(sightings, replace(LETTER, signatures=("b", "d", "b"))) is Repeat.SAME
        assert await repeat(sightings, replace(LETTER, subject="x", signatures=("c",))) is Repeat.OTHER


async def test_a_signature_without_a_digest_is_not_new(tmp_path: Path) -> None:
    """All that have none would be one; and nothing could ever be told of them."""
    async with opened(tmp_path) as sightings:
        for signatures in ((), ("",)):
            assert await repeat(sightings, replace(LETTER, signatures=signatures)) is Repeat.UNKNOWN
        assert await repeat(sightings, replace(OTHER, signatures=("", "a"))) is Repeat.NEW
        assert sightings.unknown == 2


async def test_contacts(tmp_path: Path) -> None:
    """First contact, known, a changed key once, and nobody where the certificate does not name the author."""

    async def told(sightings: SqliteSightings, number: int, **changed: Any) -> Contact:
        return (await sightings.see(replace(FROM_LAN, signatures=(f"s{number}",), **changed))).contact

    async with opened(tmp_path) as sightings:
        assert await told(sightings, 1) is Contact.FIRST
        assert await told(sightings, 2) is Contact.KNOWN
        assert await told(sightings, 3, author="minh@x.example") is Contact.FIRST
        assert await told(sightings, 4, author=None) is Contact.UNKNOWN
        assert await told(sightings, 5, certificates=()) is Contact.UNKNOWN
    async with opened(tmp_path) as sightings:
        assert await told(sightings, 6, certificates=("c2",)) is Contact.CHANGED
        assert await told(sightings, 7, certificates=("c1", "c2")) is Contact.KNOWN
        assert await told(sightings, 8, certificates=("c1", "c3")) is Contact.CHANGED
        assert await told(sightings, 9, certificates=("c3",)) is Contact.KNOWN
    assert rows(tmp_path, "contacts") == 4


async def test_two_first_contacts_at_once(tmp_path: Path) -> None:
    """One of them is the first."""
    async with opened(tmp_path) as sightings:
        some = [replace(FROM_LAN, signatures=(f"s{number}",)) for number in range(3)]
        told = [each.contact for each in await asyncio.gather(*map(sightings.see, some))]
        assert told == [Contact.FIRST, Contact.KNOWN, Contact.KNOWN]


@pytest.mark.parametrize(("days", "most"), [(0, 100), (100, 0)])
async def test_off(tmp_path: Path, days: int, most: int) -> None:
    """Turned off, nothing is written, not even a file; nor is anything where nothing may be noted."""
    async with opened(tmp_path, days=days, most=most) as sightings:
        for each in (LETTER, OTHER):
            assert await sightings.see(each) == Recollection(Repeat.NEW, Contact.UNKNOWN)
            assert await NoSightings().see(each) == Recollection(Repeat.NEW, Contact.UNKNOWN)
    assert files(tmp_path) == []


async def test_a_slow_disk_is_not_waited_for(
    tmp_path: Path, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mail goes on with "unknown", which is no word for new; once the disk answers the first message still counts."""
    async with opened(tmp_path) as sightings:
        with capture_logs() as logs, monkeypatch.context() as patched:
            patched.setattr(room, "PATIENCE", 0.25)
            told = await asyncio.gather(*(repeat(sightings, each) for each in (LETTER, OTHER)))
            assert told == [Repeat.UNKNOWN, Repeat.UNKNOWN]
            assert not stuck.is_set()
        assert [each["event"] for each in logs] == ["signatures seen give no answer"]
        assert sightings.unknown == 2
        stuck.set()
        assert await repeat(sightings, OTHER) is Repeat.OTHER
        assert await repeat(sightings, LETTER) is Repeat.SAME
    async with opened(tmp_path) as sightings:
        assert await repeat(sightings, OTHER) is Repeat.OTHER


async def test_a_new_signature_needs_no_disk(
    tmp_path: Path, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by memory alone; only the author's certificates are not known."""
    monkeypatch.setattr(room, "STALE", 60.0)
    async with opened(tmp_path) as sightings:
        await ready(sightings)
        assert await repeat(sightings, LETTER) is Repeat.NEW
        assert await repeat(sightings, OTHER) is Repeat.OTHER
        monkeypatch.setattr(room, "PATIENCE", 0.25)
        told = await sightings.see(replace(FROM_LAN, signatures=("a2",)))
        assert told == Recollection(Repeat.NEW, Contact.UNKNOWN)
        stuck.set()


async def test_who_hangs_up_takes_nobody_with_them(tmp_path: Path, stuck: threading.Event) -> None:
    """A client that goes away while its message waits does not spoil the answer for the others."""
    async with opened(tmp_path) as sightings:
        gone = asyncio.create_task(sightings.see(LETTER))
        other = asyncio.create_task(repeat(sightings, OTHER))
        await asyncio.sleep(0)
        gone.cancel()
        stuck.set()
        assert await other is Repeat.OTHER


async def test_a_full_disk_is_told_as_unknown(tmp_path: Path) -> None:
    """What will not be remembered is not called new, and what memory knows is told; nothing is written."""
    with capture_logs() as logs:
        async with opened(tmp_path, min_free=1 << 60) as sightings:
            assert await repeat(sightings, LETTER) is Repeat.NEW
            await until(lambda: sightings._failing)
            assert await repeat(sightings, OTHER) is Repeat.OTHER
            assert await repeat(sightings, replace(LETTER, signatures=("a2",))) is Repeat.UNKNOWN
            assert await repeat(sightings, replace(OTHER, signatures=("a2",))) is Repeat.OTHER
    assert any("too little room" in str(each.get("error")) for each in logs)
    assert rows(tmp_path, "signatures") == 0


async def test_what_could_not_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first message is the first one in the tables too."""
    monkeypatch.setattr(room, "RETRY_SECONDS", 0.05)
    store, full = SqliteSightings._store, True

    def store_or_not(*given: Any) -> None:
        if full:
            raise ServiceError("full")
        store(*given)

    monkeypatch.setattr(SqliteSightings, "_store", store_or_not)
    async with opened(tmp_path) as sightings:
        await sightings.see(LETTER)
        await until(lambda: sightings._failing)
        await sightings.see(OTHER)
        full = False
        await until(lambda: not sightings._failing)
        assert await repeat(sightings, replace(LETTER, signatures=("a2",))) is Repeat.NEW
    async with opened(tmp_path) as sightings:
        assert await repeat(sightings, LETTER) is Repeat.SAME


async def test_broken_tables_raise_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the database is "unknown", said in the log."""
    monkeypatch.setattr(room, "PATIENCE", 0.25)
    with capture_logs() as logs:
        async with opened(tmp_path) as sightings:
            database = open_seen(prepare_place(tmp_path))
            with database.turn(), database.writing() as connection:
                connection.exec_driver_sql("DROP TABLE signatures")
            database.close()
            await until(lambda: sightings._sieve is None)
            assert await repeat(sightings, LETTER) is Repeat.UNKNOWN
            await until(lambda: sightings._failing)
    assert any(each["event"] == "signatures seen are in trouble" for each in logs)


async def test_too_many_at_once_are_told_as_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can fill the memory of the process."""
    monkeypatch.setattr(room, "WAITING", 5)
    monkeypatch.setattr(SqliteSightings, "_write", lambda *_: None)
    async with opened(tmp_path) as sightings:
        await ready(sightings)
        told = [await repeat(sightings, replace(LETTER, signatures=(f"s{number}",))) for number in range(8)]
        assert told == [Repeat.NEW] * 5 + [Repeat.UNKNOWN] * 3


async def test_what_memory_let_go_is_in_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory holds the latest ones only, and more signatures than that in one message are no fault."""
    monkeypatch.setattr(room, "RECENT", 2)
    async with opened(tmp_path) as sightings:
        for number in range(10):
            await sightings.see(replace(FROM_LAN, signatures=(f"s{number}",), author=f"a{number}@x.example"))
        assert max(len(sightings._signatures), len(sightings._authors)) <= 3
        await ready(sightings)
        await until(lambda: all(digest(f"s{number}") in sightings._sieve for number in range(10)))  # type: ignore[operator]
        told = await sightings.see(replace(FROM_LAN, subject="x", signatures=("s0",), author="a0@x.example"))
        assert told == Recollection(Repeat.OTHER, Contact.KNOWN)
        assert await repeat(sightings, replace(LETTER, signatures=("s0", "new", "s9"))) is Repeat.SAME


async def test_forgets_by_age_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the settings nothing is kept: it says who wrote to whom, and when."""
    old = NOW - timedelta(days=500)
    async with opened(tmp_path, days=3650) as sightings:
        for number in range(30):
            await sightings.see(replace(FROM_LAN, at=old, signatures=(f"s{number}",), author=f"a{number}@x.example"))
        await sightings.see(replace(FROM_LAN, signatures=("young",)))
    assert (rows(tmp_path, "signatures"), rows(tmp_path, "contacts")) == (31, 31)
    monkeypatch.setattr("gateway.spool.seen.PRUNING", 7)
    async with opened(tmp_path, days=400) as sightings:
        await sightings.see(replace(LETTER, signatures=("wake",)))
        await until(lambda: rows(tmp_path, "signatures") == 2)
        assert rows(tmp_path, "contacts") == 1
    async with opened(tmp_path, most=1) as sightings:
        await sightings.see(replace(LETTER, signatures=("last",)))
        await until(lambda: rows(tmp_path, "signatures") == 1)
        assert await repeat(sightings, replace(OTHER, signatures=("last",))) is Repeat.OTHER


def test_a_file_that_is_none_of_ours_is_a_mistake_at_the_start(tmp_path: Path) -> None:
    """It is told before any mail comes, with its name; nothing of it is overwritten."""
    (tmp_path / "sightings.sqlite3").write_bytes(b"x" * 5000)
    with pytest.raises(SetupError, match=r"sightings\.sqlite3: signatures seen cannot be opened"):
        SqliteSightings(settings(tmp_path), VerifySettings())
    assert (tmp_path / "sightings.sqlite3").read_bytes() == b"x" * 5000


async def test_after_closing_nothing_is_told(tmp_path: Path) -> None:
    """A straggler during shutdown hears "unknown", at once."""
    async with opened(tmp_path) as sightings:
        sightings._closed.set()
        assert await sightings.see(FROM_LAN) == Recollection(Repeat.UNKNOWN, Contact.UNKNOWN)


async def test_closed_to_others_and_without_content(tmp_path: Path) -> None:
    """Only the gateway's user reads it, and no address, subject or Message-ID stands in it."""
    async with opened(tmp_path) as sightings:
        await sightings.see(replace(FROM_LAN, subject="[ds] Tuyệt mật"))
    found = files(tmp_path)
    assert {mode for mode, _ in found} == {0}
    octets = b"".join(each for _, each in found)
    for text in ("lan@x.example", "<1@x.example>", "mật", "04 Mar"):
        assert text.encode() not in octets
