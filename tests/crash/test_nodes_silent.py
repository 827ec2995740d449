"""A node that is silent for longer than its lease under load, stopped whole or cut off from the database, then goes on.

The other node takes it for dead and delivers what it had; nothing is lost, and what arrives twice is counted.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from support.cut_off import cut_off
from support.flapping import flapping
from support.gateway_process import Gateway
from support.load import Load, number_of
from support.nodes import TO, node, trace_of, traces
from support.peers import free_port, short_directory, wait_for
from support.postgres import asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.cut_off import Way
    from support.postgres import Postgres

LEASE: Final = 4.0
"""Seconds; 30 in earnest."""
MESSAGES: Final = 20
"""Acknowledged before, and by the other node alone."""
SECONDS: Final = 180
_SHORT: Final = f"""\
from gateway.spool.pulse import Pace
from gateway.spool.shared_store import PostgresSpool

PostgresSpool.__init__.__kwdefaults__["pace"] = Pace(beat=0.5, lease={LEASE})
"""


@contextmanager
def living(directory: Path, conninfo: str, port: int, place: Path) -> Iterator[Gateway]:
    """Run a node with a short lease; whatever became of it, it is not asked to end in order."""
    running = Gateway(node(directory, conninfo, port), before=("env", f"PYTHONPATH={place}"))
    with running._stack:
        running.start()
        yield running
        running.kill()


def stopped(running: Gateway, _: Way) -> Callable[[], None]:
    """Stop all of a node; return what lets it go on."""
    assert running.process is not None
    running.process.send_signal(signal.SIGSTOP)
    return lambda: running.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]


def parted(_: Gateway, way: Way) -> Callable[[], None]:
    """Cut a node's way to the database; return what mends it."""
    way.cut()
    return way.mend


@pytest.mark.parametrize("silence", [stopped, parted], ids=lambda each: each.__name__)
def test_a_silent_node_comes_back(server: Postgres, silence: Callable[[Gateway, Way], Callable[[], None]]) -> None:
    """Everything that either answered 250 arrives in one form; the one that came back takes and delivers mail again."""
    port, conninfo = free_port(), server.create()
    database = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
    with short_directory("gw-") as directory, cut_off(server.directory, directory) as way, flapping(port) as hop:
        (directory / "sitecustomize.py").write_text(_SHORT)
        through = f"host={directory} user=postgres dbname={database}"
        with (
            living(directory / "a", through, port, directory) as first,
            living(directory / "b", conninfo, port, directory) as second,
        ):
            loads = [
                Load([each.house.port("internal")], TO, senders=3, first=number)
                for each, number in ((first, 1), (second, 10**6))
            ]
            with loads[0].running(), loads[1].running():
                more(loads[0])
                more(loads[1])
                (tokens,) = asked(conninfo, "SELECT array_agg(token) FROM owners")[0]
                go_on = silence(first, way)
                wait_for(lambda: buried(conninfo, tokens), "the other takes it for dead", seconds=SECONDS)
                more(loads[1])
                go_on()
                more(loads[0])
            acknowledged = loads[0].acknowledged | loads[1].acknowledged
            hop.content()
            arrived: set[int] = set()
            until = time.monotonic() + SECONDS
            while not acknowledged <= arrived:
                assert time.monotonic() < until, f"lost: {sorted(acknowledged - arrived)}"
                time.sleep(0.3)
                arrived = {number_of(each) for each in [*hop.said, *hop.silent]}
            lines = first.lines() + second.lines()
    copies = Counter([*hop.said, *hop.silent])
    assert len({number_of(each) for each in copies}) == len(copies), "a letter arrived in two forms"
    doubled, ended = traces(lines)
    twice = {trace_of(each) for each, times in copies.items() if times > 1}
    assert twice & ended <= doubled, "a duplicate was not counted"


def more(load: Load) -> None:
    """Wait for some more acknowledged messages."""
    wanted = len(load.acknowledged) + MESSAGES
    wait_for(lambda: len(load.acknowledged) >= wanted, f"{wanted} messages", seconds=SECONDS)


def buried(conninfo: str, tokens: list[str]) -> bool:
    """Return whether one of the nodes that were there is not any more."""
    (left,) = asked(conninfo, "SELECT count(*) FROM owners WHERE token = ANY(%s)", tokens)[0]
    return bool(left < len(tokens))
