"""What is measured: the gateway as it ships, and what Debian offers in its place; each with the next hop behind it.

Every target takes mail from loopback without a login and hands it on to `sink`, which answers and keeps nothing.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.gateway_process import AUTHORS, OURS, build_house, gateway
from support.peers import child, free_port, need, short_directory, wait_until_up
from support.postfix import postfix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OUTSIDE: Final = "ngoai.example"
TO: Final = f"dan@{OUTSIDE}"
INBOUND: Final = f"van-thu@{OURS}"


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes mail at a port."""

    port: int
    pid: int
    idle: Callable[[], bool]
    """Returns whether everything that was taken has been handed on."""


@contextmanager
def sink(directory: Path) -> Iterator[int]:
    """Run a next hop that takes everything; gives its port."""
    need("smtp-sink")
    port = free_port()
    command = ("smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "1000")
    with child(command, output=directory / "sink.log") as process:
        wait_until_up(process, "the sink", (port,), directory / "sink.log")
        yield port


@contextmanager
def the_gateway(*, listener: str = "internal", workers: int = 1, **settings: object) -> Iterator[Target]:
    """Run the gateway with everything on: policies, sender checks, self-check, events, one line per step in the log."""
    with short_directory("gb-") as directory, sink(directory) as hop:
        house = build_house(
            directory,
            hops=[{"name": "ra", "protocol": "smtp", "addresses": [f"127.0.0.1:{hop}"], "tls": "none"}],
            local_domains=[{"domain": OURS, "hop": "ra", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ra"}],
            **({"workers": workers} if workers > 1 else {}),
            **settings,
        )
        _let_all_send(house.config)
        with gateway(house) as running:
            assert running.process is not None
            yield Target(house.port(listener), running.process.pid, lambda: True)


def _let_all_send(config: Path) -> None:
    """Let the listed host send as every author of the house, so that each kind of key can be measured."""
    document = json.loads(config.read_text(encoding="utf-8"))
    for each in document["listeners"]:
        each["max_connections_per_client"] = 500
        for source in each.get("sources", ()):
            source["authors"] = sorted({*source["authors"], *AUTHORS.values()})
    config.write_text(json.dumps(document), encoding="utf-8")


@contextmanager
def plain_postfix() -> Iterator[Target]:
    """Run a Postfix that only relays."""
    route = "smtp:[127.0.0.1]:{}"
    with short_directory("gb-") as directory, sink(directory) as hop, postfix({OUTSIDE: route.format(hop)}) as it:
        yield Target(it.port, _master(it.directory), lambda: not it.queue())


def _master(directory: Path) -> int:
    return int((directory / "queue/pid/master.pid").read_text().split()[0])
