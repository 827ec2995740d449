"""How much machine somebody needs, worked out from what was measured; docs/operations.md explains it in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.table import CPU, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.table import Found

FIRST_SEEN: Final = 0.05
"""Share of inbound mail whose certificate was not seen since the start or the last reload."""
BUSY: Final = 0.6
"""Share of a processor that may be at work in the worst minute: the rest is for retries, notices, a lost machine."""
NEEDED: Final = ("out-10k-kept", "out-10k-new", "out-corpus", "in-15k-kept", "in-15k-new", "in-15k-first")


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody who sends and receives mail, half of it each."""

    name: str
    about: str
    rate: float
    """Messages a second in the worst minute."""


PLACES: Final = (
    Place("A province", "burst of 250 messages a second", 250.0),
    Place("A nation", "30 million mails a day, 15 % of them in the busiest hour, twice its average in a burst", 2500.0),
)


def costs(found: Sequence[Found]) -> Mapping[str, float]:
    """Return the medians of all rows that have processor time."""
    told = {row: each.median(row, CPU) for each in found for row in each.samples}
    return {row: value for row, value in told.items() if value is not None}


def section(found: Sequence[Found]) -> str:
    """Return the arithmetic as a section of a document; empty where something was not measured."""
    cost = costs(found)
    if not all(each in cost for each in NEEDED):
        return ""
    size = cost["out-corpus"] - cost["out-10k-kept"]
    out = (cost["out-10k-kept"] + cost["out-10k-new"]) / 2 + size
    known = (cost["in-15k-kept"] + cost["in-15k-new"]) / 2 + size
    inward = (1 - FIRST_SEEN) * known + FIRST_SEEN * (cost["in-15k-first"] + size)
    mean = (out + inward) / 2
    lines = [
        "## How much machine",
        "",
        f"- Outbound {number(out)} CPU-ms: half of the connections kept, half new, and what 95 KB cost more than 10.",
        f"- Inbound {number(inward)} CPU-ms: the same, and {FIRST_SEEN:.0%} of the certificates never seen before.",
        f"- Half of each: {number(mean)} CPU-ms a message; a processor is at work {BUSY:.0%} of the worst minute.",
        "",
        "| Who | Messages a second | Processors like this one | Workers |",
        "|---|--:|--:|--:|",
    ]
    for each in PLACES:
        processors = each.rate * mean / 1000 / BUSY
        least = max(math.ceil(processors), 2)
        lines.append(f"| {each.name}: {each.about} | {each.rate:,.0f} | {number(processors)} | {least} |")
    return "\n".join(lines) + "\n"
