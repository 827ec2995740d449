"""Two whole gateways on one PostgreSQL: one dies for good, the database crashes, the next hop is never well for long.

What either answered 250 arrives, whole and as it was sent; what arrives twice is counted by one of them.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from support.flapping import flapping
from support.gateway_process import OURS, House, build_house, gateway
from support.load import Load, number_of
from support.peers import free_port, short_directory, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from support.postgres import Postgres

TO: Final = "tai@hopthu.example"
MESSAGES: Final = 120
"""Acknowledged between two misfortunes."""
SECONDS: Final = 180
"""The lease is 30 s; what comes back then has to get through a hop in a bad mood."""

_TRACE: Final = re.compile(rb"\tid (\w+)")


def node(directory: Path, conninfo: str, port: int) -> House:
    """Make one of the machines."""
    directory.mkdir(mode=0o700)
    secret = directory / "database"
    secret.touch(mode=0o600)
    secret.write_text(conninfo)
    (directory / "kho").mkdir(mode=0o700)
    return build_house(
        directory,
        hops=[
            {"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{port}"], "tls": "none"},
            {"name": "kho", "protocol": "maildir", "directory": "kho"},
        ],
        local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
        outbound=[{"domain": "*", "hop": "ngoai"}],
        spool={"database": f"file:{secret}", "retry_first": 0.2, "retry_most": 0.5, "answer_within": 1.0},
    )


def trace_of(octets: bytes) -> str:
    """Return the trace id of a letter that arrived."""
    match = _TRACE.search(octets)
    assert match is not None
    return match[1].decode()


def traces(lines: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the trace ids of messages that were said to be doubled maybe, and of those whose end was said."""
    doubled = {each["trace_id"] for each in lines if each.get("possible_duplicate") or each.get("after_unanswered_dot")}
    return doubled, {each["trace_id"] for each in lines if each.get("event") in {"delivered", "handed_over"}}


def test_a_node_dies_and_the_database_crashes(server: Postgres) -> None:
    """Nothing acknowledged by either is lost, half or altered."""
    port, conninfo = free_port(), server.create()
    with short_directory("gw-") as directory, flapping(port) as hop:
        first, second = (node(directory / name, conninfo, port) for name in ("a", "b"))
        load = Load([first.port("internal"), second.port("internal")], TO, senders=6)

        def more() -> None:
            wanted = len(load.acknowledged) + MESSAGES
            wait_for(lambda: len(load.acknowledged) >= wanted, f"{wanted} messages", seconds=SECONDS)

        with gateway(first) as dying, gateway(second) as living:
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
