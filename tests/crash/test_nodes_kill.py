"""Two whole gateways on one PostgreSQL: one dies for good, the database crashes, the next hop is never well for long.

What either answered 250 arrives, whole and as it was sent; what arrives twice is counted by one of them.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from support.flapping import flapping
from support.gateway_process import gateway
from support.load import Load, number_of
from support.nodes import TO, node, trace_of, traces
from support.peers import free_port, short_directory, wait_for

if TYPE_CHECKING:
    from support.postgres import Postgres

MESSAGES: Final = 120
"""Acknowledged between two misfortunes."""
SECONDS: Final = 180
"""The lease is 30 s; what comes back then has to get through a hop in a bad mood."""


def test_a_node_dies_and_the_database_crashes(server: Postgres) -> None:
    """Nothing acknowledged by either is lost, half or altered."""
    port, conninfo = free_port(), server.create()
    with short_directory("gw-") as directory, flapping(port) as hop:
        first, second = (node(directory / name, conninfo, port) for name in ("a", "b"))
        load = Load([first.port("internal"), second.port("internal")], TO, senders=6)

        def more() -> None:
            wanted = len(load.acknowledged) + MESSAGES
            wait_for(lambda: len(load.acknowledged) >= wanted, f"{wanted} messages", seconds=SECONDS)

        with gateway(first, outages=True) as dying, gateway(second, outages=True) as living:
            with load.running():
                more()
                server.crash()
                more()
                dying.kill()
                killed = time.monotonic()
                more()
            hop.content()
            arrived: set[int] = set()
            while not load.acknowledged <= arrived:
                assert time.monotonic() < killed + SECONDS, f"lost: {sorted(load.acknowledged - arrived)}"
                time.sleep(0.5)
                arrived = {number_of(each) for each in [*hop.said, *hop.silent]}
            lines = dying.lines() + living.lines()
    copies = Counter([*hop.said, *hop.silent])  # two forms of one letter would have two trace ids
    assert len({number_of(each) for each in copies}) == len(copies), "a letter arrived in two forms"
    doubled, ended = traces(lines)
    twice = {trace_of(each) for each, times in copies.items() if times > 1}
    assert twice & ended <= doubled, "a duplicate was not counted"
