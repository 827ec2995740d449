"""What a message costs, in a measure that is the same on every machine; `make bench-costs` writes it down anew.

The processor time of all the gateway's processes for one message, divided by that of `calibrate`, in thousandths.
Never wall time. The least of a few rounds: what disturbs a machine makes work dearer, never cheaper.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import mail
from bench.bench_mail import look, own, signed, tagged
from bench.sending import Load, run
from bench.targets import INBOUND, running_gateway
from support.gateway_process import NEIGHBOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE: Final = Path(__file__).with_name("costs.json")
FACTOR: Final = 2.0
"""A message that costs so many times what is written down is too dear."""
MESSAGES: Final = 150
ROUNDS: Final = 2
OCTETS: Final = 10_240
_SESSIONS: Final = 8
_WARMING: Final = 24
LOADS: Final[Mapping[str, tuple[str, Load, Callable[[bytes], None]]]] = {
    "outbound": ("internal", own(OCTETS), signed),
    "inbound": ("inbound", Load(NEIGHBOR, (INBOUND,), made=mail.Known(OCTETS)), tagged),
}
"""By direction: the listener, what is sent there, and what must have become of it."""


def calibrated() -> float:
    """Return the seconds of processor time that `calibrate` takes now."""
    script = Path(__file__).with_name("calibrate.py")
    return float(subprocess.run((sys.executable, str(script)), check=True, capture_output=True, timeout=120).stdout)


def measured(*, rounds: int = ROUNDS, messages: int = MESSAGES, before: tuple[str, ...] = ()) -> dict[str, float]:
    """Return what a message of each direction costs; `before` is what runs the gateway, instead of itself."""
    found: dict[str, list[float]] = {name: [] for name in LOADS}
    with ExitStack() as stack:
        at = stack.enter_context(running_gateway(before=before))
        for listener, load, proof in LOADS.values():
            look(at(listener), load, proof)
            run(at(listener), load, count=_WARMING, sessions=4)
        unit = calibrated()
        for _ in range(rounds):
            figures = {
                name: run(at(listener), load, count=messages, sessions=_SESSIONS).cpu
                for name, (listener, load, _) in LOADS.items()
            }
            last, unit = unit, calibrated()
            for name, cpu in figures.items():
                found[name].append(cpu / min(last, unit))
    return {name: min(each) for name, each in found.items()}


def written() -> dict[str, float]:
    """Return what is written down."""
    return {name: float(value) for name, value in json.loads(FILE.read_bytes()).items()}


def too_dear(now: Mapping[str, float], then: Mapping[str, float]) -> dict[str, float]:
    """Return how many times what is written down those directions cost that cost too much."""
    return {name: now[name] / then[name] for name in then if now[name] > FACTOR * then[name]}


def main() -> None:
    """Measure, and write it down."""
    found = {name: round(value, 2) for name, value in measured().items()}
    sys.stdout.write(f"was {written() if FILE.exists() else 'unknown'}, is {found}\n")
    FILE.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
