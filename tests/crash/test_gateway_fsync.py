"""The whole gateway, several workers, under strace: what a client hears acknowledged was on the disk before."""

from __future__ import annotations

import json
import os
import re
import smtplib
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from support.gateway_process import OURS, build_house, run_command
from support.letters import LAN
from support.load import letter
from support.peers import child, free_port, need, short_directory, wait_for, wait_until_up
from support.traced import Durability, calls, durability, strace

if TYPE_CHECKING:
    from pathlib import Path

_TWO_WORKERS: Final = """\
11 clone3({flags=CLONE_VM|CLONE_THREAD}, 88 <unfinished ...>
12 pwrite64(7</s/bodies/#1 (deleted)>, "octets", 6, 0) = 6
11 <... clone3 resumed> => {parent_tid=[12]}, 88) = 12
21 clone3({flags=CLONE_VM|CLONE_THREAD} => {parent_tid=[22]}, 88) = 22
12 fsync(7</s/bodies/#1 (deleted)>) = 0
OTHER pwrite64(7</s/bodies/#2 (deleted)>, "octets", 6, 0) = 6
11 linkat(3</s/bodies>, "/proc/self/fd/7", 3</s/bodies>, "entry", AT_SYMLINK_FOLLOW) = 0
12 fsync(3</s/bodies>) = 0
12 pwrite64(5</s/spool.sqlite3-wal>, "word", 4, 0) = 4
12 fdatasync(5</s/spool.sqlite3-wal>) = 0
11 sendto(9<socket>, "250 2.0.0 word accepted") = 23
"""

MESSAGES: Final = 28
WORKERS: Final = 2
_TOLD: Final = re.compile(r'\d+<[^>]*>, "250 2\.0\.0 (\w+) accepted')
_UNSOUND: Final = """\
from gateway.spool import database

database.PRAGMAS = tuple(each.replace("= FULL", "= OFF") for each in database.PRAGMAS)
"""


def send(port: int, numbers: list[int]) -> None:
    """Send letters, each in a session of its own."""
    for number in numbers:
        with smtplib.SMTP("127.0.0.1", port, timeout=120) as client:
            client.sendmail(LAN, ["tai@hopthu.example"], letter(number))


def watched(directory: Path, environment: dict[str, str]) -> Durability:
    """Let a gateway take mail for a next hop that is away, and judge what it did."""
    house = build_house(
        directory,
        hops=[{"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{free_port()}"], "tls": "none"}],
        local_domains=[{"domain": OURS, "hop": "ngoai", "recipients": "any"}],
        outbound=[{"domain": "*", "hop": "ngoai"}],
        workers=WORKERS,
    )
    log, trace = directory / "gateway.log", directory / "trace"
    with ExitStack() as stack:
        command = (*strace(trace), *run_command(house.config))
        process = stack.enter_context(child(command, output=log, env={**os.environ, **environment}))
        wait_until_up(process, "the gateway", tuple(house.ports.values()), log)
        wait_for(lambda: log.read_text().count('"listening"') == WORKERS * len(house.ports), "all workers", seconds=90)
        senders = [
            threading.Thread(target=send, args=(house.port("internal"), list(range(first, MESSAGES + 1, 4))))
            for first in range(1, 5)
        ]
        for each in senders:
            each.start()
        for each in senders:
            each.join()
        wait_for(lambda: log.read_text().count('"answered"') == MESSAGES, "the record")
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"spooled"' in line]
    all_calls = calls(trace.read_text(encoding="utf-8", errors="replace"))
    told = {match[1]: call for call in all_calls if call.name == "sendto" and (match := _TOLD.match(call.arguments))}
    return durability(all_calls, told, {line["trace_id"]: line["entry"] for line in lines})


def test_what_a_client_hears_is_on_the_disk() -> None:
    """In either worker: body, its name, the row and the log are synced; only then the client hears 250."""
    need("strace")
    with short_directory("gw-") as directory:
        found = watched(directory, {})
    assert (found.acknowledged, found.named, found.wrong) == (MESSAGES, MESSAGES // 7, [])
    assert len(found.threads) == WORKERS


def test_a_log_that_is_not_synced_is_noticed(tmp_path: Path) -> None:
    """The check itself can fail: with `synchronous` off clients hear 250 too early."""
    (tmp_path / "sitecustomize.py").write_text(_UNSOUND)
    with short_directory("gw-") as directory:
        found = watched(directory, {"PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))})
    assert found.acknowledged == MESSAGES
    assert len([each for each in found.wrong if each.endswith("row")]) > MESSAGES // 2


@pytest.mark.parametrize(("other", "wrong"), [("22", []), ("11", ["word: body"])])
def test_a_descriptor_is_known_by_its_process(other: str, wrong: list[str]) -> None:
    """What another worker writes under the same number says nothing of this one's file; what a thread of it does."""
    all_calls = calls(_TWO_WORKERS.replace("OTHER", other))
    assert durability(all_calls, {"word": all_calls[-1]}, {"word": "entry"}).wrong == wrong
