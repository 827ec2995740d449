"""A running gateway whose database is away: what is stopped on this machine alone must not make it run in circles."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from gateway.app import following
from gateway.app.following import Following
from gateway.config.load import parse_settings
from gateway.core.errors import GatewayError
from gateway.keys.suspensions import append
from gateway.sharing.following import catch_up
from gateway.spool.shared_store import PostgresSpool
from support.grounds import SharedGround
from support.postgres import asked

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from gateway.config.model import Settings
    from gateway.sharing.copies import Texts
    from support.postgres import Postgres

SETTINGS = f"""\
hostname: mail.tinh.example
listeners: [{{name: in, kind: inbound, address: "127.0.0.1:0"}}]
hops: [{{name: boxes, protocol: maildir, directory: mail}}]
local_domains: [{{domain: tinh.example, hop: boxes, recipients: any}}]
spool: {{directory: spool, database: 'env:{SharedGround.VARIABLE}', min_free: 0}}
policies: policies
tags: {{authserv_id: mail.tinh.example}}
"""
AWAY = "what was changed for all machines is not known now"


async def test_a_key_stopped_here_while_the_database_is_away(
    server: Postgres, conninfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told to the others when they can be told: one look and one line each time, not hundreds a second."""
    monkeypatch.setattr(following, "_EVERY", 0.01)
    settings = parse_settings("gateway.yaml", SETTINGS, directory=tmp_path)
    spool = PostgresSpool(settings.spool)
    followed = Following(settings, spool, None, _nothing)
    await followed.start()
    shut(server, conninfo)
    append(settings.keys_state_file, "suspend", "k", who="an", reason="mất thẻ", now=dt.datetime.now(dt.UTC))
    with capture_logs() as said:
        running = asyncio.create_task(followed.run())
        while not (tried := sum(each["event"] == AWAY for each in said)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        monkeypatch.setattr(following, "_EVERY", 3600.0)
        for _ in range(5):  # each takes as long as a look of the gateway's; one more of these may have begun before
            await asyncio.to_thread(_look, settings, spool)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    await spool.close()
    assert sum(each["event"] == AWAY for each in said) < tried + 5


def shut(server: Postgres, conninfo: str) -> None:
    """Let nobody into a database, and send away whoever is there."""
    name = conninfo.rpartition("dbname=")[2]
    every = server.conninfo("postgres")
    asked(every, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    asked(every, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)


def _look(settings: Settings, spool: PostgresSpool) -> None:
    with suppress(GatewayError):
        catch_up(settings, spool.gazette, _load)


def _load(_: Settings, __: Path, ___: Texts) -> None:
    """Take any policy."""


async def _nothing() -> None:
    """Read nothing again."""
