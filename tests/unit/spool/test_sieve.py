"""The sieve: no member is ever taken for a stranger, and few strangers for members."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st

from gateway.spool import sieve as room
from gateway.spool.marks import Mark
from gateway.spool.place import prepare_place
from gateway.spool.seen import News, open_seen, write
from gateway.spool.sieve import Keeper, Sieve

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from gateway.spool.database import Database

NOBODY: Final = Mark(b"x" * 16, b"")


def numbered(number: int) -> bytes:
    """Return the digest of a number."""
    return hashlib.sha256(b"%d" % number).digest()[:16]


@given(st.lists(st.binary(min_size=16, max_size=16)), st.integers(0, 50))
def test_a_member_is_always_known(members: list[bytes], capacity: int) -> None:
    """However full it is: a replay must not look new."""
    sieve = Sieve(capacity)
    for each in members:
        sieve.add(each)
    assert all(each in sieve for each in members)
    assert sieve.full is (len(members) >= capacity)


def test_few_strangers_are_looked_up() -> None:
    """With as many members as it has room for."""
    sieve = Sieve(5_000)
    assert numbered(1) not in sieve
    for number in range(5_000):
        sieve.add(numbered(number))
    assert sum(numbered(number) in sieve for number in range(5_000, 15_000)) < 150


def shown(keeper: Keeper) -> Sieve | None:
    """Return what is shown now."""
    return keeper.sieve


def add(database: Database, *numbers: int) -> None:
    """Write signatures."""
    with database.turn(), database.writing() as connection:
        write(connection, [News((numbered(each),), NOBODY, None, (), 1) for each in numbers])


def test_it_is_not_shown_before_everything_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a sieve would call half of the past new; then it follows what any process writes."""
    monkeypatch.setattr(room, "PAGE", 10)
    monkeypatch.setattr(room, "GATHERING", 0.0)
    database = open_seen(prepare_place(tmp_path))
    add(database, *range(25))
    with database.cursor() as cursor:
        keeper = Keeper(cursor)
        keeper.work()
        keeper.work()
        assert shown(keeper) is None
        keeper.work()
        sieve = shown(keeper)
        assert sieve is not None
        assert all(numbered(each) in sieve for each in range(25))
        add(database, 25, 26)
        keeper.work()
        assert numbered(26) in sieve
    database.close()


def test_a_full_one_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves a sieve: with the years it would know everybody. The new one is shown when it is complete."""
    monkeypatch.setattr(room, "LEAST_ROOM", 4)
    monkeypatch.setattr(room, "GATHERING", 0.0)
    database = open_seen(prepare_place(tmp_path))
    add(database, 0)
    with database.cursor() as cursor:
        keeper = Keeper(cursor)
        keeper.work()
        first = shown(keeper)
        add(database, *range(1, 6))
        keeper.work()
        assert shown(keeper) is None
        keeper.work()
        second = shown(keeper)
        assert second is not None
        assert second is not first
        assert all(numbered(each) in second for each in range(6))
        assert not second.full
    database.close()
