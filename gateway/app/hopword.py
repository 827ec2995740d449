"""What a running gateway knows of its next hops, left beside its state: `gateway.hops-N.json`, one file of each worker.

It must never be why mail waits: it is written in a thread, and what cannot be written is left out. Whoever reads it is
told how old it is, and believes only what the gateway wrote that runs now.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import time
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.durable import replace_file
from gateway.relay.condition import Condition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.app.presence import Present, Running
    from gateway.ports import Clock
    from gateway.relay.hop import Hops

LOOK: Final = 1.0
"""Seconds between two looks for a breaker that opened or closed; no more often is anything written."""
EVERY: Final = 30.0
"""Seconds after which it is written again, whatever happened."""
STALE: Final = 3 * EVERY
"""Seconds after which nothing was heard: a worker that hangs, or a disk that is full."""
MOST_HOPS: Final = 200
"""Of a gateway that sends directly, others choose how many: those that rest come first, then the last used."""
_MOST_OCTETS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Word:
    """What one worker said of its next hops."""

    gateway: int
    """Process that holds `gateway.pid`: the worker's supervisor, or the worker itself."""
    worker: int
    """Which one, from 0."""
    at: dt.datetime
    """When, aware."""
    hops: tuple[Condition, ...]
    left_out: int
    """Hops that were too many to be told of."""

    def age(self, now: dt.datetime) -> float:
        """Return how many seconds ago it was said; as many before, where the clock was set back meanwhile."""
        return abs((now - self.at).total_seconds())


class HopWords:
    """Leaves word of the next hops now and then."""

    def __init__(self, hops: Hops, directory: Path, present: Present, clock: Clock) -> None:
        """Write nothing yet."""
        self._hops = hops
        self._file = directory / _name(present.worker)
        self._present = present
        self._clock = clock

    async def run(self) -> None:
        """Leave word until the task is canceled: at once, each time a breaker opened or closed, and every 30 s."""
        said, due = None, 0.0
        while True:
            if (resting := self._resting()) != said or time.monotonic() >= due:
                said, due = resting, time.monotonic() + EVERY
                with contextlib.suppress(OSError):  # the next word will do
                    await asyncio.to_thread(replace_file, self._file, _written(self.word()), durable=False)
            await asyncio.sleep(LOOK)

    def word(self) -> Word:
        """Return what is known now."""
        found = sorted(self._hops.watched(), key=lambda each: not each.resting)
        told = tuple(each.condition() for each in islice(found, MOST_HOPS))
        return Word(self._present.pid, self._present.worker, self._clock.now(), told, len(found) - len(told))

    def _resting(self) -> frozenset[str]:
        return frozenset(each.name for each in self._hops.watched() if each.resting)


def words_of(running: Running) -> Iterator[Word]:
    """Yield the last word of each worker of a gateway that runs, however old it is. Raises `OSError`."""
    for path in sorted(running.directory.glob(_name("*"))):
        with path.open("rb") as file:
            word = _read(file.read(_MOST_OCTETS))
        if word is not None and word.gateway == running.pid:
            yield word


def _name(worker: int | str) -> str:
    return f"gateway.hops-{worker}.json"


def _written(word: Word) -> bytes:
    return json.dumps(asdict(word) | {"at": word.at.isoformat(timespec="milliseconds")}).encode("ascii")


def _read(octets: bytes) -> Word | None:
    """Return a word from its JSON, None for anything else."""
    try:
        match json.loads(octets):
            case {"gateway": int(pid), "worker": int(worker), "at": str(at), "hops": list(hops), "left_out": int(left)}:
                when = dt.datetime.fromisoformat(at)
                told = tuple(_condition(each) for each in hops)
                return Word(pid, worker, when, told, left) if when.tzinfo is not None else None
    except ValueError:
        pass
    return None


def _condition(given: object) -> Condition:
    """Return a hop's condition; raises `ValueError`."""
    match given:
        case {
            "hop": str(hop),
            "resting": bool(resting),
            "seconds": int() | float() as seconds,
            "rest": int() | float() as rest,
            "using": int(using),
            "kept": int(kept),
            "most": int(most),
            "trouble": str(trouble),
            "trouble_seconds": (None | int() | float()) as ago,
        }:
            return Condition(hop, resting, seconds, rest, using, kept, most, trouble, ago)
    raise ValueError("not a hop")
