"""The spool's disk fills up, turns read-only or loses its power under load: what was answered 250 is still there."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from support.disk import disk
from support.flapping import standing
from support.gateway_process import OURS, Gateway, build_house
from support.hops import FakeHop
from support.load import Load, number_of
from support.peers import free_port, short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    import pytest

    from support.disk import Disk
    from support.gateway_process import House

TO: Final = "tai@hopthu.example"
MESSAGES: Final = 60
_UNSOUND: Final = """\
from gateway.spool import database

database.PRAGMAS = tuple(each.replace("= FULL", "= OFF") for each in database.PRAGMAS)
"""


@contextmanager
def house_on_a_disk(port: int) -> Iterator[tuple[House, Disk]]:
    """A house of two workers whose spool has a disk of its own."""
    with short_directory("gw-") as directory:
        house = build_house(
            directory,
            hops=[{"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{port}"], "tls": "none"}],
            local_domains=[{"domain": OURS, "hop": "ngoai", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ngoai"}],
            workers=2,
            spool={"retry_first": 0.2, "retry_most": 0.5, "answer_within": 1.0},
        )
        with disk(directory / "spool") as small:
            yield house, small


@contextmanager
def running_in(house: House) -> Iterator[Gateway]:
    """Run the gateway, whose log is judged by nobody, and end it roughly."""
    running = Gateway(house)
    try:
        running.start()
        yield running
    finally:
        running.kill()


def more(load: Load) -> None:
    """Wait until that many more were acknowledged."""
    wanted = len(load.acknowledged) + MESSAGES
    wait_for(lambda: len(load.acknowledged) >= wanted, f"{MESSAGES} acknowledged", seconds=180)


def arrived(house: House, port: int, expected: AbstractSet[int], *, seconds: float = 180) -> set[int]:
    """Start the gateway with its next hop there, and return what of the expected arrives in that time."""
    with standing(port, FakeHop()) as hop, running_in(house):
        until = time.monotonic() + seconds
        while not expected <= (found := {number_of(each) for each in hop.said}) and time.monotonic() < until:
            time.sleep(0.2)
    return found


def test_the_power_fails() -> None:
    """Every message that was answered 250 is there when the power comes back.

    What is answered while it is cut does not count: no machine answers without power, and an ext4 that is shut down
    lets an fdatasync that is under way return 0 for octets that are never written. Without the gateway, of four threads
    that append and sync 15 lost what was called safe in 60 such cuts, always their last octets (Linux 6.18).
    """
    port = free_port()
    with house_on_a_disk(port) as (house, small):
        load = Load([house.port("internal")], TO)
        with running_in(house), load.running():
            more(load)
            safe = frozenset(load.acknowledged)
            small.cut_power()
            before, begun = len(load.acknowledged), load.begun
            wait_for(lambda: load.begun >= begun + 5 * load.senders, "more attempts", seconds=180)
            assert len(load.acknowledged) - before <= load.senders, "what was on its way, and nothing else"
        small.mount_again()
        assert safe <= arrived(house, port, safe)


def test_without_syncing_the_power_takes_mail_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: where the log is not synced, mail that was answered 250 is gone."""
    (tmp_path / "sitecustomize.py").write_text(_UNSOUND)
    port = free_port()
    with house_on_a_disk(port) as (house, small):
        load = Load([house.port("internal")], TO)
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))
            with running_in(house), load.running():
                more(load)
                small.cut_power()
        small.mount_again()
        assert not load.acknowledged <= arrived(house, port, load.acknowledged, seconds=10)


def test_the_disk_turns_read_only() -> None:
    """Nobody is answered 250 any more; what was before the disk broke is delivered after the repair.

    What is answered while it breaks does not count. An ext4 that aborts its journal lets an fdatasync that is under way
    return 0 for octets that are never written, at most one in each thread, and answers EIO or EROFS to all later ones.
    Without the gateway: four threads that append and sync lost what was called safe in 19 of 40 such aborts, SQLite
    with synchronous = FULL lost its last commit in 5 of 40, always about when `mount` returned (Linux 6.18). No
    program can know of it (decision 33).
    """
    port = free_port()
    with house_on_a_disk(port) as (house, small):
        load = Load([house.port("internal")], TO)
        with running_in(house), load.running():
            more(load)
            safe = frozenset(load.acknowledged)
            small.break_down()
            before, begun = len(load.acknowledged), load.begun
            wait_for(lambda: load.begun >= begun + 5 * load.senders, "more attempts", seconds=180)
            assert len(load.acknowledged) - before <= load.senders, "what was on its way, and nothing else"
        small.mount_again()
        assert safe <= arrived(house, port, safe)


def test_the_disk_is_full_for_a_while() -> None:
    """452 4.3.1 while there is no room, 250 again by itself afterwards, and nothing is lost."""
    port = free_port()
    with house_on_a_disk(port) as (house, small):
        load = Load([house.port("internal")], TO)
        with running_in(house), load.running():
            more(load)
            small.fill()
            wait_for(lambda: load.refused[452] > 20, "refusals", seconds=180)
            small.make_room()
            more(load)
        assert set(load.refused) <= {452}
        assert load.acknowledged <= arrived(house, port, load.acknowledged)
