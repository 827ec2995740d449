"""How long a client waits for the answer to its dot at half load, and how much of that the gateway adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.bench_mail import WARMING, look, ours, own, signed
from bench.sending import run
from bench.table import RATE, Row
from bench.targets import BESIDE, TO, plain_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.sending import Load
    from bench.table import Sample, Scale

SESSIONS: Final = 50
"""Enough that nobody waits for a free one: letters come when they come."""
LETTERS: Final = 10_240
_HALVES: Final = 0.5
_MEDIAN: Final = 0.5
_SLOWEST: Final = 0.99


def rows() -> list[Row]:
    """Return what is measured."""
    through, first = own(LETTERS), own(LETTERS, TO, f"dan@{BESIDE}")
    return [
        Row("latency-through", "cut-through, 1 worker, half load", lambda scale: _measure(scale, through)),
        Row("latency-spool", "spool first (two next hops), 1 worker, half load", lambda scale: _measure(scale, first)),
    ]


def _measure(scale: Scale, load: Load) -> Iterator[Sample]:
    """Find out how much the gateway can do, then send half of that to it, and to the next hop directly."""
    with ours(1) as target, plain_sink() as hop:
        look(target, load, signed)
        run(target, load, count=WARMING, sessions=4)
        most = run(target, load, count=scale.count, sessions=scale.sessions).rate
        for _ in range(scale.repeat):
            rate, count = most * _HALVES, scale.of(0.5)
            here = run(target, load, count=count, sessions=SESSIONS, rate=rate).sent
            there = run(hop, load, count=count, sessions=SESSIONS, rate=rate).sent
            yield {
                RATE: rate,
                "p50 ms": here.latency(_MEDIAN),
                "p99 ms": here.latency(_SLOWEST),
                "hop p50 ms": there.latency(_MEDIAN),
                "hop p99 ms": there.latency(_SLOWEST),
                "added p50 ms": here.latency(_MEDIAN) - there.latency(_MEDIAN),
                "added p99 ms": here.latency(_SLOWEST) - there.latency(_SLOWEST),
            }
