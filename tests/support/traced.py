"""What a trace of system calls says of durability: kill -9 cannot show that (the page cache survives), strace can."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WHOLE: Final = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(?: .*)?")
_BEGUN: Final = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>")
_ENDED: Final = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)(?: .*)?")
_LINK: Final = re.compile(r'\d+<[^>]*>, "/proc/self/fd/(\d+)", \d+<[^>]*/bodies>, "([^"]+)"')


@dataclass(frozen=True)
class Call:
    """One system call that succeeded; begin and end are lines of the trace."""

    thread: int
    name: str
    arguments: str
    result: int
    begin: int
    end: int

    @property
    def syncs(self) -> bool:
        """True for a call that makes a file durable."""
        return self.name in {"fsync", "fdatasync"}

    def on(self, path: str) -> bool:
        """Return whether its first argument is the open file of this path."""
        return re.match(rf"\d+<[^>]*{re.escape(path)}>", self.arguments) is not None


def calls(trace: str) -> list[Call]:
    """Return the calls of a trace by `strace -f -y`, in the order in which they began."""
    begun: dict[str, tuple[int, str]] = {}
    found: list[Call] = []
    for line, text in enumerate(trace.splitlines()):
        if match := _BEGUN.fullmatch(text):
            begun[match[1]] = (line, match[3])
        elif match := _ENDED.fullmatch(text):
            begin, arguments = begun.pop(match[1])
            if int(match[4]) >= 0:
                found.append(Call(int(match[1]), match[2], arguments + match[3], int(match[4]), begin, line))
        elif (match := _WHOLE.fullmatch(text)) and int(match[4]) >= 0:
            found.append(Call(int(match[1]), match[2], match[3], int(match[4]), line, line))
    return sorted(found, key=lambda call: call.begin)


def processes(all_calls: list[Call]) -> dict[int, int]:
    """Return the process of each thread that was begun by another: descriptors mean something in one process only."""
    found: dict[int, int] = {}
    for call in all_calls:
        if call.name.startswith("clone") and "CLONE_THREAD" in call.arguments:
            found[call.result] = found.get(call.thread, call.thread)
    return found


@dataclass(frozen=True)
class Durability:
    """What was acknowledged, and what was not on the disk by then."""

    acknowledged: int
    named: int
    """Names given to files of bodies."""
    threads: frozenset[int]
    """Who acknowledged."""
    wrong: list[str]


def durability(all_calls: list[Call], acknowledgments: Mapping[str, Call], entries: Mapping[str, str]) -> Durability:
    """Judge what was acknowledged, by a word that stands in its rows; `entries` are the ids of their entries."""
    log = [call for call in all_calls if call.on("/spool.sqlite3-wal")]
    links = {match[2]: (call, match[1]) for call in all_calls if (match := _LINK.match(call.arguments))}
    process = processes(all_calls)
    wrong: list[str] = []
    for word, told in acknowledgments.items():
        row = next((call for call in log if call.name == "pwrite64" and word in call.arguments), None)
        if row is None or not any(call.syncs and row.end < call.begin and call.end < told.begin for call in log):
            wrong.append(f"{word}: row")
        if row is not None and (link := links.get(entries[word])) is not None:
            owner = process.get(link[0].thread, link[0].thread)
            own = [call for call in all_calls if process.get(call.thread, call.thread) == owner]
            wrong += [f"{word}: {what}" for what in _body_faults(own, *link, row)]
    threads = frozenset(each.thread for each in acknowledgments.values())
    return Durability(len(acknowledgments), len(links), threads, wrong)


def _body_faults(own: list[Call], link: Call, descriptor: str, row: Call) -> list[str]:
    """Return what its process had not made durable: of a body file when named, of the name when the row was written."""
    file = [call for call in own if call.arguments.startswith(f"{descriptor}<") and call.end < link.begin]
    written = max((call.end for call in file if call.name == "pwrite64"), default=-1)
    faults: list[str] = []
    if written < 0 or not any(call.syncs and call.begin > written for call in file):
        faults.append("body")
    if not any(c.syncs and c.on("/bodies") and link.end < c.begin and c.end < row.begin for c in own):
        faults.append("name of the body")
    return faults


def strace(trace: Path) -> tuple[str, ...]:
    """Return what runs a program and all it starts under watch."""
    watched = "trace=write,sendto,pwrite64,fsync,fdatasync,linkat,clone,clone3"
    return ("strace", "-f", "--seccomp-bpf", "-y", "-s", "4200", "-e", watched, "-e", "signal=none", "-o", str(trace))
