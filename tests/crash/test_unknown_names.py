"""Names that cannot be looked up: what was answered 250 waits, and arrives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from support.flapping import standing
from support.gateway_process import OURS, Gateway, build_house
from support.hops import FakeHop
from support.load import Load, number_of
from support.peers import free_port, need, short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gateway_process import House

TO: Final = "tai@hopthu.example"
MESSAGES: Final = 20
HOP: Final = "may-chu.hopthu.example"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name."""
    with short_directory("gw-") as directory:
        yield directory


def house_before(directory: Path, hop: str) -> House:
    """A house of two workers that hurry to an address."""
    return build_house(
        directory,
        hops=[{"name": "ngoai", "protocol": "smtp", "addresses": [hop], "tls": "none"}],
        local_domains=[{"domain": OURS, "hop": "ngoai", "recipients": "any"}],
        outbound=[{"domain": "*", "hop": "ngoai"}],
        workers=2,
        spool={"retry_first": 0.2, "retry_most": 0.5, "answer_within": 1.0},
    )


def some(load: Load) -> None:
    """Wait until some more were acknowledged."""
    wanted = len(load.acknowledged) + MESSAGES
    wait_for(lambda: len(load.acknowledged) >= wanted, f"{MESSAGES} acknowledged", seconds=180)


def test_names_cannot_be_looked_up(place: Path) -> None:
    """A next hop whose name nobody knows is a next hop that is away; it is found once somebody does."""
    need("unshare", root=True)
    port, hosts, servers = free_port(), place / "hosts", place / "resolv.conf"
    hosts.write_text("127.0.0.1 localhost\n")
    servers.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")  # where nobody answers
    house = house_before(place, f"{HOP}:{port}")
    world = f'mount --bind {hosts} /etc/hosts && mount --bind {servers} /etc/resolv.conf && exec "$@"'
    running = Gateway(house, before=("unshare", "-m", "sh", "-c", world, "sh"))
    running.start()
    try:
        load = Load([house.port("internal")], TO)
        with standing(port, FakeHop()) as hop:
            with load.running():
                some(load)
            time.sleep(1)
            assert hop.said == []
            hosts.write_text(f"127.0.0.1 localhost {HOP}\n")
            wait_for(lambda: load.acknowledged <= {number_of(each) for each in hop.said}, "what was taken", seconds=180)
        assert running.stop() == 0
    finally:
        if running.process is not None:
            running.kill()
    assert not load.refused
