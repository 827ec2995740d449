"""Past mail: what was remembered comes back as it was, is forgotten in time, and never stands in the way of mail."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from structlog.testing import capture_logs

from gateway.config.memory import MemorySettings
from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.core.past import PastMessage, PastRuling
from gateway.spool import memory as room
from gateway.spool.memory import PastMail, SqliteMemory
from support.spooled import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW: Final = datetime.now(UTC).replace(microsecond=123457)
EVER: Final = datetime(1990, 1, 1, tzinfo=UTC)
FACTS: Final = {
    "author": "lan@so-y-te.example",
    "subject": "kế hoạch \u200b\x00 'năm' 😀",
    "size": 1234,
    "login": None,
    "traits": ["list"],
    "contents": {"attachments": [["a.pdf", "application/pdf", 9, True]], "complete": False},
}


def past(number: int = 0, at: datetime = NOW) -> PastMessage:
    """Return a message that uses every field."""
    rulings = (PastRuling((0, 2), "quy-tắc", "sign personal clear"), PastRuling((1,), "(default)", "refuse"))
    to = ("a@x.example", "b@y.example", "c@x.example")
    return PastMessage(f"trace{number}", at, Direction.OUTBOUND, FACTS, to, rulings, "d1")


def remembered(directory: Path, *some: PastMessage, days: float = 30, most: int = 1000) -> SqliteMemory:
    """Remember messages and let go."""
    memory = SqliteMemory(settings(directory), MemorySettings(days=days, most=most))
    for each in some:
        memory.remember(each)
    memory.close()
    return memory


def read(directory: Path, since: datetime = EVER) -> list[PastMessage]:
    """Return what is remembered."""
    with PastMail(directory) as mail:
        return [each.past for each in mail.since(since, limit=100_000)]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Keep the writing thread at its first batch until the event is set."""
    go_on = threading.Event()
    store = SqliteMemory._store

    def wait(self: SqliteMemory, some: list[PastMessage]) -> None:
        go_on.wait(60)
        store(self, some)

    monkeypatch.setattr(SqliteMemory, "_store", wait)
    yield go_on
    go_on.set()


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every field, in the order of writing, microseconds and odd characters included."""
    some = [past(number) for number in range(1203)]
    some.append(replace(past(), direction=Direction.INBOUND, rulings=(), recipients=(), facts={}))
    remembered(tmp_path, *some, most=2000)
    assert read(tmp_path) == some


def test_since_and_pages(tmp_path: Path) -> None:
    """Asked for a time, nothing older; pages join without a gap or a double."""
    remembered(tmp_path, *(past(number, NOW - timedelta(hours=50 - number)) for number in range(50)))
    since = NOW - timedelta(hours=20)
    found: list[str] = []
    after = None
    with PastMail(tmp_path) as mail:
        while page := mail.since(since, after=after, limit=7):
            found += [each.past.trace_id for each in page]
            after = page[-1].number
    assert found == [f"trace{number}" for number in range(30, 50)]


def test_written_soon_while_it_runs(tmp_path: Path) -> None:
    """A replay sees mail of a second ago, without a restart."""
    memory = SqliteMemory(settings(tmp_path), MemorySettings())
    memory.remember(past())
    until = time.monotonic() + 60
    while not read(tmp_path):
        assert time.monotonic() < until
        time.sleep(0.05)
    memory.close()


@pytest.mark.parametrize(("days", "most"), [(0, 100), (100, 0)])
def test_off(tmp_path: Path, days: float, most: int) -> None:
    """Turned off, nothing is written, not even a file."""
    remembered(tmp_path, past(), days=days, most=most)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SetupError, match="no past mail"):
        PastMail(tmp_path)


def test_forgets_by_age(tmp_path: Path) -> None:
    """What is older than `days` is gone soon after a start, however much there is."""
    old = [past(number, NOW - timedelta(days=31)) for number in range(room.PRUNING + 10)]
    remembered(tmp_path, *old, past(1), days=60, most=100_000)
    memory = SqliteMemory(settings(tmp_path), MemorySettings(days=30))
    until = time.monotonic() + 60
    while len(read(tmp_path)) > 1:
        assert time.monotonic() < until
        time.sleep(0.1)
    memory.close()
    assert read(tmp_path) == [past(1)]


def test_forgets_by_number(tmp_path: Path) -> None:
    """Beyond `most` the oldest go."""
    memory = SqliteMemory(settings(tmp_path), MemorySettings(most=10))
    for number in range(25):
        memory.remember(past(number))
    memory._awake.set()
    until = time.monotonic() + 60
    while [each.trace_id for each in read(tmp_path)] != [f"trace{number}" for number in range(15, 25)]:
        assert time.monotonic() < until
        time.sleep(0.1)
    memory.close()


def test_full_queue_drops_and_counts(tmp_path: Path, slow: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is slow mail goes on: what does not fit is dropped and counted, and what fits is kept."""
    monkeypatch.setattr(room, "WAITING", 20)
    memory = SqliteMemory(settings(tmp_path), MemorySettings())
    memory.remember(past(0))
    memory._awake.set()
    until = time.monotonic() + 60
    while memory._waiting:  # the first is with the thread that hangs
        assert time.monotonic() < until
        time.sleep(0.01)
    begun = time.monotonic()
    for number in range(1, 31):
        memory.remember(past(number))
    assert time.monotonic() - begun < 30, "never waits"
    assert memory.dropped == 10
    slow.set()
    memory.close()
    assert len(read(tmp_path)) == 21


def test_a_nearly_full_disk_is_left_to_mail(tmp_path: Path) -> None:
    """Below the watermark nothing is remembered, and it is said in the log."""
    spool = settings(tmp_path, min_free=1 << 60)
    with capture_logs() as logs:
        memory = SqliteMemory(spool, MemorySettings())
        memory.remember(past())
        memory.close()
    assert read(tmp_path) == []
    assert memory.dropped == 1
    assert any("too little room" in str(each.get("error")) for each in logs)


def test_a_bug_stops_neither_the_thread_nor_mail(tmp_path: Path) -> None:
    """Facts that cannot be written down cost their batch, and the next is written."""
    with capture_logs() as logs:
        memory = SqliteMemory(settings(tmp_path), MemorySettings())
        memory.remember(replace(past(), facts={"x": object()}))  # type: ignore[dict-item]
        memory._awake.set()
        until = time.monotonic() + 60
        while not memory.dropped:
            assert time.monotonic() < until
            time.sleep(0.01)
        memory.remember(past(7))
        memory.close()
    assert read(tmp_path) == [past(7)]
    assert any(each["event"] == "past mail is not remembered" for each in logs)


def test_two_gateways_write_to_one(tmp_path: Path) -> None:
    """Processes share the memory of a spool."""
    first, second = (SqliteMemory(settings(tmp_path), MemorySettings()) for _ in range(2))
    for number in range(100):
        (first, second)[number % 2].remember(past(number))
    first.close()
    second.close()
    assert sorted(int(each.trace_id[5:]) for each in read(tmp_path)) == list(range(100))


def test_after_closing_nothing_is_taken(tmp_path: Path) -> None:
    """A straggler during shutdown is harmless."""
    memory = remembered(tmp_path, past(1))
    memory.remember(past(2))
    memory.close()
    assert read(tmp_path) == [past(1)]


def test_closed_to_others(tmp_path: Path) -> None:
    """Facts are personal data: only the gateway's user reads them."""
    remembered(tmp_path, past(1))
    assert {each.stat().st_mode & 0o077 for each in tmp_path.iterdir()} == {0}
