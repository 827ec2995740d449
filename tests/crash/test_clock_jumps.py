"""A clock that jumps by days and by a year, there and back, under load: nothing is lost, given up or left lying.

The machine is shared, so its clock stays right; what jumps is what the gateway's own process is told (`time.time` and
`SystemClock`), by a file that says how far it is ahead. Clocks that only count stay right, as in earnest.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from support.flapping import standing
from support.gateway_process import Gateway, gateway, house_towards
from support.hops import FakeHop
from support.load import Load, number_of
from support.peers import free_port, short_directory, wait_for

if TYPE_CHECKING:
    from pathlib import Path

TO: Final = "tai@hopthu.example"
DAY: Final = 86_400
JUMPS: Final = (DAY, 0, -DAY, 0, 365 * DAY)
"""How far the clock is ahead, one after the other; seconds."""
MESSAGES: Final = 15
"""Acknowledged while the clock is right."""
SECONDS: Final = 180
_WRONG: Final = """\
import datetime, os, time

right = time.time

def ahead():
    with open(os.environ["CLOCK_AHEAD"]) as file:
        return float(file.read() or 0)

time.time = lambda: right() + ahead()

from gateway.app.application import SystemClock

SystemClock.now = lambda _: datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ahead())
"""


class Clock:
    """What the gateway takes for the present."""

    def __init__(self, directory: Path) -> None:
        """Begin right."""
        self._file, self._place = directory / "ahead", directory / "wrong"
        self._place.mkdir()
        (self._place / "sitecustomize.py").write_text(_WRONG)
        self.set(0)

    @property
    def before(self) -> tuple[str, ...]:
        """What runs a program by this clock."""
        return ("env", f"PYTHONPATH={self._place}", f"CLOCK_AHEAD={self._file}")

    def set(self, seconds: float) -> None:
        """Let it be ahead."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self._file)


def deferred(running: Gateway) -> int:
    """Return how many attempts have failed."""
    return len(running.events("deferred"))


def test_the_clock_jumps_there_and_back() -> None:
    """While it jumps the hop refuses; once the hop is well and the clock is right all that was acknowledged arrives."""
    port = free_port()
    with short_directory("gw-") as directory, standing(port, FakeHop(answers={"RCPT": "451 4.3.0 not now"})) as hop:
        house = house_towards(
            directory,
            port,
            spool={"retry_first": 0.3, "retry_most": 0.5, "answer_within": 1.0},
        )
        clock = Clock(directory)
        load = Load([house.port("internal")], TO)
        with gateway(house, before=clock.before) as running:
            with load.running():
                wait_for(lambda: len(load.acknowledged) >= MESSAGES, "mail", seconds=SECONDS)
                for number, ahead in enumerate(JUMPS, 1):
                    clock.set(ahead)
                    wait_for(lambda n=number: jumps(running) >= n, f"jump {number} is seen", seconds=SECONDS)  # type: ignore[misc]
                    tried = deferred(running)
                    wait_for(lambda n=tried: deferred(running) > n + 20, "attempts go on", seconds=SECONDS)  # type: ignore[misc]
            clock.set(0)  # what was tried last is planned for next year
            hop.answers(RCPT="250 2.1.5 ok")
            arrived: set[int] = set()
            until = time.monotonic() + SECONDS
            while not load.acknowledged <= arrived:
                assert time.monotonic() < until, f"lost: {sorted(load.acknowledged - arrived)}"
                time.sleep(0.3)
                arrived = {number_of(each) for each in hop.said}
            assert len(hop.said) == len(arrived), "nothing arrives twice"
            for stage in ("failed", "notified", "quarantined"):
                assert not running.events(stage), f"{stage}: by a clock that was wrong"
        assert not list((directory / "kho").rglob("*.*")), "nobody was told that his mail is late or was given up"


def jumps(running: Gateway) -> int:
    """Return how many jumps were logged."""
    return sum("the clock has jumped" in str(each.get("event")) for each in running.lines())
