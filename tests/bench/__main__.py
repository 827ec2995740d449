"""Everything that is measured: `make bench`, or with fewer messages, or some rows only.

    make bench ROWS="out-10k-kept postfix-10k-kept"        # prints, writes nothing
    make bench QUICK=1                                      # a few minutes; says so in what it writes

Figures are medians of the runs, the smallest and largest in brackets. CPU-ms: user and system time of all processes of
what is measured, for one message. Generators, next hops and the harness are other processes, on the same processors.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import bench_inside, bench_latency, bench_mail, bench_nodes, bench_scale
from bench.measuring import machine
from bench.peers import SIGH, SIGH_PUBLISHED
from bench.sizing import section
from bench.table import Found, Group, Scale, line, markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WHOLE: Final = Scale(count=2000, repeat=3, sessions=20)
_HOW: Final = """\
Written by `make bench` (as root; `make bench QUICK=1` for a few minutes; `make bench ROWS="..."` prints some rows and
writes nothing). Nothing here is typed by hand."""
_COLUMNS: Final = """\
Medians of the runs, smallest and largest in brackets. **CPU-ms**: user and system time of all processes of what is
measured, for one message: what to compare. **msgs/s**: from the first connection to the last hand-over; generator and
next hop are on the same processors. **MiB**: the most that the largest of its processes ever had."""
_SWITCHED: Final = """\
Switched on in every row of the gateway: policies, the checks of who may send, the reading again of what was signed (one
in a hundred by OpenSSL too), events (one line for each step), past mail, revocation by pinned lists (`hard` inbound,
`soft` for our keys), signatures seen before, judging in processes of their own, fsync before 250 wherever mail goes to
the spool. Off: seals, and TLS but where it is said. One delivered message of each row of
mail was looked at before the row was measured: signatures by OpenSSL, a DKIM stamp and plain mail for being there."""
QUICK: Final = Scale(count=400, repeat=1, sessions=20)


def groups() -> list[Group]:
    """Return all tables."""

    def rows(found: Iterable[bench_mail.MailRow]) -> tuple[bench_mail.Row, ...]:
        return tuple(each.row() for each in found)

    return [
        Group(
            "Outbound, 10 KB, RSA-2048, beside others",
            f"smtp-source, 20 sessions. {SIGH_PUBLISHED if not SIGH else ''}".strip(),
            rows(bench_mail.peer_rows()),
            "postfix-10k-kept",
        ),
        Group("Outbound, other ways in and out", "", rows(bench_mail.way_rows()), "out-10k-own"),
        Group("Outbound, other keys and sizes", "", rows(bench_mail.size_rows())),
        Group(
            "Inbound, 15 KB, RSA-2048",
            "Verified, tagged, handed on; every message differs from every other one.",
            rows(bench_mail.inbound_rows()),
        ),
        Group("First seen, inside a judge", "", tuple(bench_inside.rows())),
        Group(
            "Latency",
            "From the dot to its answer, 50 sessions at a steady rate; added: less what the next hop takes directly.",
            tuple(bench_latency.rows()),
        ),
        Group("Much of everything", "Outbound, 10 KB, kept.", rows(bench_scale.rows()), "rules-10"),
        Group(
            "Two machines on one PostgreSQL",
            "Every message spool first, two deliveries each. Active: the database's processes at work, on average;"
            " waits: the share of these that wait for a lock, or for the disk.",
            tuple(bench_nodes.rows()),
            "node-1",
        ),
    ]


def measured(chosen: Sequence[Group], scale: Scale) -> Iterator[Found]:
    """Measure tables row by row, and say each as soon as it is there; a row that fails is named and left out."""
    for group in chosen:
        found = Found(group)
        for row in group.rows:
            try:
                samples = list(row.measure(scale))
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the others are measured
                traceback.print_exc()
                found.trouble[row.name] = f"not measured: {type(error).__name__}"
                continue
            found.samples[row.name] = samples
            sys.stdout.write(line(row, samples) + "\n")
            sys.stdout.flush()
        yield found


def document(found: Sequence[Found], told: Sequence[tuple[str, str]]) -> str:
    """Return docs/benchmarks.md; `told` is what there is to know about machine and run."""
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in told)]
    told_of = [_HOW, "\n".join(table), _COLUMNS, _SWITCHED, *map(markdown, found), section(found)]
    return "# Benchmarks\n\n" + "\n\n".join(each.strip() for each in told_of if each) + "\n"


def main() -> None:
    """Measure what is asked for."""
    asked = argparse.ArgumentParser(description="see the module")
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--write", type=Path, help="file to write all tables to")
    asked.add_argument("--note", default="", help="what to say of the run, e.g. that the machine was busy")
    for name in ("count", "repeat", "sessions"):
        asked.add_argument(f"--{name}", type=int)
    asked.add_argument("rows", nargs="*", help="names of rows; without any, all")
    given = asked.parse_args()
    base = QUICK if given.quick else WHOLE
    scale = Scale(given.count or base.count, given.repeat or base.repeat, given.sessions or base.sessions)
    chosen = [_only(each, frozenset(given.rows), quick=given.quick) for each in groups()]
    told, began = machine(), time.monotonic()
    found = list(measured([each for each in chosen if each.rows], scale))
    if given.write is not None:
        runs = f"{scale.repeat} run(s) of {scale.count} messages (rows of large or costly mail: fewer)"
        told.append(("This run", f"{runs}, {(time.monotonic() - began) / 60:.0f} minutes. {given.note}".strip()))
        given.write.write_text(document(found, told), encoding="utf-8")


def _only(group: Group, names: frozenset[str], *, quick: bool) -> Group:
    """Return the rows of a table that were asked for."""
    kept = tuple(each for each in group.rows if each.name in names or (not names and not (quick and each.long)))
    return Group(group.title, group.about, kept, group.against)


if __name__ == "__main__":
    main()
