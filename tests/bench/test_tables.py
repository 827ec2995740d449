"""What the benchmarks print is what was measured."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from bench.corpus import large, letters, mean
from bench.generator import pack, unpack
from bench.sizing import NEEDED, section
from bench.table import CPU, RATE, Found, Group, Row, Scale, markdown
from gateway.core.message import Message
from gateway.mime.entity import parse

if TYPE_CHECKING:
    from pathlib import Path

TABLES = importlib.import_module("bench.__main__")


def found(**costs: float) -> Found:
    """Return what a table of rows with these costs would have."""
    rows = tuple(Row(name, "x", lambda _: iter(())) for name in costs)
    made = Found(Group("Title", "", rows, next(iter(costs))))
    for name, cost in costs.items():
        made.samples[name] = [{CPU: cost, RATE: 100.0}, {CPU: cost * 3, RATE: 300.0}, {CPU: cost * 2, RATE: 200.0}]
    return made


def test_a_row_shows_median_range_and_ratio() -> None:
    """Medians, the smallest and largest in brackets, and how many times the row that the table is held against."""
    lines = markdown(found(peer=1.0, ours=0.5)).splitlines()
    assert "| Row | What | CPU-ms | msgs/s | / peer |" in lines
    assert "| `ours` | x | 1.00 [0.50-1.50] | 200 [100-300] | 0.50 |" in lines


def test_a_row_without_figures_is_named() -> None:
    """What could not be measured is said, not left out."""
    made = found(peer=1.0, ours=0.5)
    del made.samples["ours"]
    made.trouble["ours"] = "not measured: TimeoutError"
    assert "not measured: TimeoutError" in markdown(made)


def test_rows_have_names_of_their_own() -> None:
    """A row is asked for by its name, and every table is held against one of its own rows."""
    groups = TABLES.groups()
    names = [row.name for group in groups for row in group.rows]
    assert len(set(names)) == len(names)
    assert set(NEEDED) <= set(names)
    assert all(group.against in {"", *(row.name for row in group.rows)} for group in groups)


def test_the_sum_for_a_machine() -> None:
    """Rate x cost / 1000 / 0.6, and nothing at all where a row is missing."""
    measured = Found(Group("x", "", ()))
    measured.samples.update({name: [{CPU: 1.2}] for name in NEEDED})
    told = section([measured])
    assert "| 250 | 0.50 | 2 |" in told
    assert "| 2,500 | 5.00 | 5 |" in told
    del measured.samples[NEEDED[-1]]
    assert section([measured]) == ""


def test_letters_are_the_same_everywhere() -> None:
    """Real MIME, made from a seed: 95 KB on average, give or take five, and 15 to 24 MB for the large ones."""
    made = letters(100, date="Wed, 25 Nov 2026 08:00:00 +0700")
    assert made == letters(100, date="Wed, 25 Nov 2026 08:00:00 +0700")
    assert 90_000 < mean(made) < 100_000
    assert {len(parse(Message.of(each)).children) for each in made} == {0, 2}
    sizes = [len(each) for each in large(2, date="x")]
    assert [round(each / 1e6) for each in sizes] == [15, 24]


@pytest.mark.parametrize("message", [b"x\r\n", b".a\r\n..b\r\n.\r\n", b"\r\n.\r\n"], ids=["plain", "dots", "blank"])
def test_what_is_packed_is_sent(message: bytes, tmp_path: Path) -> None:
    """Dots are stuffed, and nothing else is changed (RFC 5321 4.5.2)."""
    file = tmp_path / "pack"
    pack([message, message], file)
    first, second = unpack(file)
    lines = first.removesuffix(b".\r\n").split(b"\r\n")
    assert first == second
    assert b"\r\n".join(each.removeprefix(b".") for each in lines) == message
    assert not any(each == b"." for each in lines)


def test_a_scale_sends_at_least_one_message_a_session() -> None:
    """Twenty sessions with two messages would measure connecting."""
    assert Scale(100, 1, 20).of(0.01) == 20
