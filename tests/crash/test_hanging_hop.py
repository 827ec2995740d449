"""Ten thousand letters wait for a next hop that takes connections and never says a word: nobody else waits for them."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from support.flapping import standing
from support.gateway_process import OURS, build_house, gateway
from support.grounds import SqliteGround
from support.hops import FakeHop
from support.peers import free_port, short_directory, wait_for
from support.spooled import entry, with_consignment

if TYPE_CHECKING:
    from pathlib import Path

BACKLOG: Final = 10_000
MOST: Final = 250
"""Of it, what one hop may hold in memory."""


async def fill(directory: Path, at: dt.datetime) -> None:
    """Put the backlog into the spool, and behind it one letter for the hop that is well; all are due."""
    spool = SqliteGround(directory).open()
    life = {"received_at": at, "next_attempt_at": at, "expires_at": at + dt.timedelta(days=5)}
    for start in range(0, BACKLOG, 500):
        waiting = (entry(entry_id=f"t{start + n}", **life) for n in range(500))
        await spool.commit([with_consignment(each, hop="treo") for each in waiting])
    live = entry(entry_id="live", **life)
    await spool.commit([replace(with_consignment(live, hop="khoe"), next_attempt_at=at + dt.timedelta(seconds=1))])
    await spool.close()


def test_ten_thousand_wait_for_a_hop_that_hangs() -> None:
    """The letter behind them arrives while not one of them was put off, given up or written again."""
    port = free_port()
    at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    with (
        short_directory("gw-") as directory,
        standing(port, FakeHop()) as hop,
        socket.create_server(("127.0.0.1", 0), backlog=64) as silent,
    ):
        house = build_house(
            directory,
            hops=[
                {
                    "name": name,
                    "protocol": "smtp",
                    "addresses": [f"127.0.0.1:{where}"],
                    "tls": "none",
                    "connect_timeout": 600,  # a start does not wait for it either
                }
                for name, where in (("treo", silent.getsockname()[1]), ("khoe", port))
            ],
            local_domains=[{"domain": OURS, "hop": "khoe", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "treo"}],
        )
        ground = SqliteGround(directory / "spool")
        asyncio.run(fill(directory / "spool", at))
        (written,) = ground.ask("SELECT min(next_attempt_at) FROM entries")
        with gateway(house) as running:
            wait_for(lambda: len(hop.said) == 1, "the letter behind the backlog", seconds=180)
            running.wait_for_event("delivered", entry="live", seconds=180)
            (touched,) = ground.ask(
                "SELECT count(*), sum(next_attempt_at <> (SELECT min(next_attempt_at) FROM entries)), sum(attempts), "
                "sum(claimed_by IS NOT NULL) FROM entries"
            )
            assert touched[:3] == (BACKLOG, 0, 0)
            assert 0 < touched[3] <= MOST
            assert not running.events("deferred")
            running.kill()  # its ten attempts would be waited for
        assert ground.ask("SELECT min(next_attempt_at) FROM entries") == [written]
