"""A spool of version 3, 4 or 5, in a file or a shared database, goes on in every part: queued, claimed, frozen, kept.

`vectors/spool/v3` and `v4` were written by the code of these versions (commits 13e8970 and cc6a447): `.sqlite3` is the
file as it was, `.sql` comes from `pg_dump --inserts`, without comments. Beside what `v2` has there are `frozen1`,
`thawed1`, `tosign1`, and `claimed1`, whose holder was killed; the end of `quarantined1` was announced. In `v4.sql`
a key is suspended on all machines. `v5` is `v4` as the code of version 5 (commit cd11a1b) took it over.
"""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.queue import Full, Kind
from gateway.sharing.decrees import suspended
from gateway.spool.acts import By
from gateway.spool.opening import open_gazette
from gateway.spool.orders import Order, Orders
from gateway.spool.schema import VERSION
from support.grounds import SHARED, SqliteGround
from support.spooled import NOW, bare, entry, plain, rich, sent

if TYPE_CHECKING:
    from gateway.core.queue import Entry
    from gateway.spool.store import SqlSpool
    from support.grounds import Ground

OLD: Final = Path(__file__).parents[2] / "vectors/spool"
LATER: Final = NOW + timedelta(days=30)
USUAL: Final = (
    "From: Lan <lan.hoang@soyte.songlam.example>\r\nSubject: =?utf-8?q?C=C3=B4ng_v=C4=83n?=\r\n\r\nNội dung.\r\n"
).encode()
MOVING: Final = {"Rich_entry-1", "b", "usual1", "late1", "thawed1", "claimed1"}
"""What is delivered by itself."""
SHAPE: Final = (
    (
        "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name "
        "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    ),
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT tgname, tgenabled::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname LIKE '%\\_%' ORDER BY 1",
    "SELECT attrelid::regclass::text, attname, attstorage::text FROM pg_attribute WHERE attname = 'octets' ORDER BY 1",
)
"""What tables are like."""
SECONDS: Final = 30
"""More than anything here takes on a machine that is busy with other things."""


@pytest.fixture(params=["v3", "v4", "v5"])
def old(request: pytest.FixtureRequest, ground: Ground) -> Ground:
    """Return a place with a spool of an older version."""
    if isinstance(ground, SqliteGround):
        shutil.copy(OLD / f"{request.param}.sqlite3", ground.settings().directory / "spool.sqlite3")
    else:
        ground.ask((OLD / f"{request.param}.sql").read_text(encoding="utf-8"))
    return ground


async def delivered(spool: SqlSpool, expected: set[str]) -> dict[str, Entry]:
    """Claim what is due until all that is expected came: what the dead held comes once they are taken for dead."""
    found: dict[str, Entry] = {}
    async with asyncio.timeout(SECONDS):
        while not expected <= found.keys():
            found |= {each.entry_id: each for each in await spool.due(LATER, 10)}
            await asyncio.sleep(0.05)
    return found


async def test_what_moves_is_delivered(old: Ground) -> None:
    """Field for field; what was being delivered when its holder died counts as maybe sent; nobody is warned twice."""
    spool = old.open()
    found = await delivered(spool, MOVING)
    assert {name: plain(found[name]) for name in ("Rich_entry-1", "b", "usual1")} == {
        "Rich_entry-1": plain(rich()),
        "b": plain(bare()),
        "usual1": plain(entry(USUAL, entry_id="usual1")),
    }
    assert {
        name: each.consignment.message.octets() for name, each in found.items() if name not in {"Rich_entry-1", "b"}
    } == (dict.fromkeys(MOVING - {"Rich_entry-1", "b"}, USUAL))
    assert {name for name, each in found.items() if each.dot_sent} == {"Rich_entry-1", "claimed1"}
    assert {name: each.warned_at for name, each in found.items() if each.warned_at} == {
        "late1": NOW + timedelta(hours=4)
    }
    for each in found.values():
        await spool.settle(sent(each))
    assert found.keys() == MOVING
    assert await spool.count() == {"deliver": 1, "held": 1, "quarantined": 1, "released": 1, "to_sign": 1}
    assert {each.entry_id for each in await spool.due_again(LATER, 10)} == {"held2", "tosign1"}
    await spool.close()


async def test_a_full_hop_holds_nothing_else_up(old: Ground) -> None:
    """What came before anybody asked whose turn it is has one all the same."""
    spool = old.open()
    full = Full(turns=frozenset({("hop", "so-noi-vu.example")}))
    found = {each.entry_id for each in await spool.due(LATER, 10, full)}
    assert found - {"b"} == {"Rich_entry-1"}  # b is for no hop at all, which nothing is outside of tests
    await spool.close()


async def test_frozen_mail_stays_until_it_is_thawed(old: Ground) -> None:
    """And has then as much time left as when it was frozen."""
    with Orders(old.settings()) as desk:
        (frozen,) = [each for each in desk.entries() if each.frozen_at is not None]
        assert (frozen.entry_id, frozen.frozen_at) == ("frozen1", NOW + timedelta(hours=1))
        desk.order(Order.THAW, "frozen1", By("lan", "", NOW + timedelta(days=10)))
    spool = old.open()
    found = await delivered(spool, {"frozen1"})
    await spool.close()
    assert found["frozen1"].expires_at == NOW + timedelta(days=15, hours=-1)


async def test_kept_mail_can_be_let_go_and_ends(old: Ground) -> None:
    """Held mail is released as it was; what was announced ends without being announced again."""
    with Orders(old.settings()) as desk:
        assert {each.entry_id for each in desk.about_to_end(LATER)} == {"held1"}
        assert {each.entry_id for each in desk.over(NOW + timedelta(days=33))} == {"quarantined1"}
        desk.release("held1", By("lan", "duyệt", NOW))
    spool = old.open()
    (found,) = [each for each in await spool.due_again(NOW, 10) if each.entry_id == "held1"]
    await spool.close()
    assert found.consignment.kind is Kind.RELEASED
    assert found.consignment.message.octets() == USUAL


async def test_the_chain_of_acts_goes_on(old: Ground) -> None:
    """What was on record is proven, and so is what comes after it."""
    with Orders(old.settings()) as desk:
        before = desk.prove()
        assert (before.acts, before.broken) == (5, ())
        assert [each.what for each in desk.last_acts(5)] == ["release", "delete", "freeze", "freeze", "thaw"]
        desk.delete("held1", By("lan", "", NOW))
        proof = desk.prove(before.digest)
    assert (proof.acts, proof.broken, proof.contains) == (6, (), True)


@SHARED
async def test_a_shared_spool_is_as_one_made_new(old: Ground) -> None:
    """Columns, indexes and triggers; what administrators changed for all machines still holds."""
    with open_gazette(old.settings()) as gazette:
        past = gazette.past()
    assert old.ask("SELECT version FROM spool_version") == [(VERSION,)]
    was_4 = bool(past)
    assert list(suspended(past)) == (["so-y-te"] if was_4 else [])
    migrated = [old.ask(each) for each in SHAPE]
    old.ask("DROP SCHEMA public CASCADE")
    old.ask("CREATE SCHEMA public")
    with open_gazette(old.settings(), make=True):
        assert [old.ask(each) for each in SHAPE] == migrated
