"""`kill -9` of workers and their supervisor at any instant under load, before a next hop that is never well for long.

What was answered 250 arrives, whole and as it was sent; what arrives twice had a dot nobody heard answered, and the
gateway has counted it.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from support.flapping import MOODS, flapping
from support.gateway_process import Gateway, gateway, house_towards
from support.load import Load, number_of
from support.peers import free_port, short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TO: Final = "tai@hopthu.example"
MESSAGES: Final = 500
WORKERS: Final = 2
LIVES: Final = 3
"""How often the supervisor is started."""
KILLS: Final = 2
"""Workers killed in each of its lives."""
SECONDS: Final = 300
"""In which everything comes to pass that is waited for, on a machine that is busy with other things."""
_TRACE: Final = re.compile(rb"\tid (\w+)")


def moment(least: float, most: float) -> float:
    """Return some seconds; when to die is no secret."""
    return random.uniform(least, most)  # noqa: S311


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_a_worker(running: Gateway) -> None:
    """Kill one of them, whatever it does."""
    assert running.process is not None
    alive = children(running.process.pid)
    if alive:
        os.kill(random.choice(alive), signal.SIGKILL)  # noqa: S311


def kill_the_supervisor(running: Gateway) -> None:
    """Kill it; its workers notice and drain, and most are killed in the midst of that."""
    assert running.process is not None
    running.process.kill()
    time.sleep(moment(0.0, 0.6))
    running.kill()


def traces_of(arrived: Iterable[bytes]) -> dict[int, tuple[str, int]]:
    """Return by number the trace id of what arrived and how often; copies of one message are alike to the octet."""
    counted = Counter(arrived)
    found: dict[int, tuple[str, int]] = {}
    for octets, times in counted.items():
        number = number_of(octets)
        assert number not in found, f"letter {number} arrived in two forms"
        match = _TRACE.search(octets)
        assert match is not None
        found[number] = (match[1].decode(), times)
    return found


def uncounted(copies: dict[int, tuple[str, int]], lines: Sequence[dict[str, Any]]) -> tuple[list[int], list[int]]:
    """Return the numbers of what arrived twice and was not said to; and those whose end nobody was left to record."""
    counted, ended = set(), set()
    for line in lines:
        if line.get("possible_duplicate") or line.get("after_unanswered_dot"):
            counted.add(line["trace_id"])
        if line.get("event") in {"delivered", "handed_over"}:
            ended.add(line["trace_id"])
    twice = {number: trace for number, (trace, times) in copies.items() if times > 1 and trace not in counted}
    return (
        [number for number, trace in twice.items() if trace in ended],
        [number for number, trace in twice.items() if trace not in ended],
    )


def test_workers_and_supervisor_are_killed() -> None:
    """Nothing acknowledged is lost, half or altered, and no duplicate goes uncounted."""
    port = free_port()
    with short_directory("gw-") as directory, flapping(port) as hop:
        house = house_towards(
            directory,
            port,
            workers=WORKERS,
            spool={"retry_first": 0.2, "retry_most": 0.5, "answer_within": 1.0},
        )
        load = Load([house.port("internal")], TO, senders=6)
        with gateway(house) as running:
            with load.running():
                for _ in range(LIVES):
                    for _ in range(KILLS):
                        time.sleep(moment(0.5, 2.5))
                        kill_a_worker(running)
                    time.sleep(moment(0.5, 1.5))
                    kill_the_supervisor(running)
                    running.start()
                wait_for(lambda: len(load.acknowledged) >= MESSAGES, f"{MESSAGES} messages", seconds=SECONDS)
                wait_for(lambda: hop.moods == MOODS.keys() and bool(hop.silent), "all moods", seconds=SECONDS)
            hop.content()
            wait_for(lambda: load.acknowledged <= traces_of(hop.said).keys(), "what was acknowledged", seconds=SECONDS)
        copies = traces_of([*hop.said, *hop.silent])
        unsaid, unrecorded = uncounted(copies, running.lines())
    assert unsaid == []
    assert len(unrecorded) <= LIVES * (KILLS + WORKERS), "more than died between a settlement and its event"
    assert sum(times - 1 for _, times in copies.values()) > 0, "the hop's moods must lead to duplicates"
