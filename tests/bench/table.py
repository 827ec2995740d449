"""Rows of figures: what can be measured, what came out, and how it is printed."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Sample = dict[str, float]
"""One run: figures by column; a column's name has its unit."""
CPU: Final = "CPU-ms"
RATE: Final = "msgs/s"
MEMORY: Final = "MiB"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is sent."""

    count: int
    """Messages of a run, for rows whose messages are small."""
    repeat: int
    sessions: int

    def of(self, share: float) -> int:
        """Return a share of the count, so many at least as there are sessions."""
        return max(int(self.count * share), self.sessions)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    name: str
    about: str
    measure: Callable[[Scale], Iterator[Sample]]
    long: bool = False
    """A quick run leaves it out, unless it is asked for by name."""


@dataclass(frozen=True, slots=True)
class Group:
    """One table."""

    title: str
    about: str
    rows: tuple[Row, ...]
    against: str = ""
    """Row whose CPU-ms the others are divided by."""


@dataclass(slots=True)
class Found:
    """What came out of one group."""

    group: Group
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    """By row, in the order they were measured."""
    trouble: dict[str, str] = field(default_factory=dict)
    """Why a row has no figures."""

    def columns(self) -> list[str]:
        """Return the names of all columns, in the order they first came."""
        return list(dict.fromkeys(name for each in self.samples.values() for sample in each for name in sample))

    def median(self, row: str, column: str) -> float | None:
        """Return the median of a row's runs, None where it was not measured."""
        values = [sample[column] for sample in self.samples.get(row, ()) if column in sample]
        return statistics.median(values) if values else None

    def ratio(self, row: str) -> float | None:
        """Return how many times the processor time of the row that this group is held against."""
        own, other = self.median(row, CPU), self.median(self.group.against, CPU)
        return own / other if own is not None and other else None


def number(value: float) -> str:
    """Return a figure with three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(samples: Sequence[Mapping[str, float]], column: str) -> str:
    """Return the median of some runs, with the smallest and the largest."""
    values = [each[column] for each in samples if column in each]
    if not values:
        return ""
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} [{number(min(values))}-{number(max(values))}]"


def markdown(found: Found) -> str:
    """Return a group as a section of a document."""
    columns, against = found.columns(), found.group.against if found.median(found.group.against, CPU) else ""
    head = ["Row", "What", *columns, *([f"/ {against}"] if against else [])]
    lines = [f"## {found.group.title}", "", *([found.group.about, ""] if found.group.about else [])]
    lines += ["| " + " | ".join(head) + " |", "|---|---|" + "--:|" * (len(head) - 2)]
    for row in found.group.rows:
        if row.name in found.trouble:
            lines.append(f"| `{row.name}` | {row.about} | {found.trouble[row.name]} |" + " |" * (len(head) - 3))
        elif row.name in found.samples:
            cells = [cell(found.samples[row.name], column) for column in columns]
            ratio = found.ratio(row.name)
            more = [f"{ratio:.2f}" if ratio is not None else ""] if against else []
            lines.append(f"| `{row.name}` | {row.about} | " + " | ".join([*cells, *more]) + " |")
    return "\n".join(lines) + "\n"


def line(row: Row, samples: Sequence[Mapping[str, float]]) -> str:
    """Return a row for somebody who watches."""
    columns = dict.fromkeys(name for each in samples for name in each)
    return f"{row.name:24} " + "   ".join(f"{cell(samples, column)} {column}" for column in columns)
