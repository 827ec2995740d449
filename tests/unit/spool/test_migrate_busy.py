"""The first machine that is upgraded changes the tables while the others work with them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from gateway.core.errors import SetupError
from gateway.spool import postgres
from gateway.spool.opening import open_gazette
from gateway.spool.schema import VERSION
from support.grounds import SHARED, SharedGround
from support.postgres import wait_until

if TYPE_CHECKING:
    from support.grounds import Ground

pytestmark = SHARED
DUMP: Final = Path(__file__).parents[2] / "vectors/spool/v3.sql"
WAITS: Final = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%')"


def upgrade(ground: Ground) -> None:
    """Open the spool as whatever comes first on an upgraded machine does."""
    with open_gazette(ground.settings(), make=True):
        pass


async def test_an_older_process_that_stores_and_claims(ground: Ground) -> None:
    """It has the entries and wants its owner, we have owners and want the entries: we are ended, and begin again."""
    assert isinstance(ground, SharedGround)
    ground.ask(DUMP.read_text(encoding="utf-8"))
    with psycopg.connect(ground.conninfo) as older:
        older.execute("UPDATE public.entries SET attempts = attempts WHERE entry_id = 'usual1'")
        older.execute("SET deadlock_timeout = '60s'")  # whoever looks first is the one that is ended: not this one
        upgrading = asyncio.create_task(asyncio.to_thread(upgrade, ground))
        await asyncio.to_thread(wait_until, ground.conninfo, WAITS, 30.0)
        await asyncio.to_thread(older.execute, "SELECT token FROM public.owners FOR KEY SHARE")
        older.commit()
        await upgrading
    assert ground.ask("SELECT version FROM spool_version") == [(VERSION,)]


async def test_somebody_who_holds_the_tables_for_long(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump, an administrator's shell: the start fails, says why, and has changed nothing."""
    assert isinstance(ground, SharedGround)
    ground.ask(DUMP.read_text(encoding="utf-8"))
    limits = dict(postgres._LIMITS) | {"lock_timeout": "200ms"}
    monkeypatch.setattr(postgres, "_LIMITS", tuple(limits.items()))
    with psycopg.connect(ground.conninfo) as dump:
        dump.execute("SELECT count(*) FROM public.entries")
        with pytest.raises(SetupError, match="somebody holds its tables"):
            upgrade(ground)
    assert ground.ask("SELECT version FROM spool_version") == [(3,)]
    upgrade(ground)
    assert ground.ask("SELECT version FROM spool_version") == [(VERSION,)]
