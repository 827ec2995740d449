"""What was acknowledged was on the disk before: kill -9 cannot show that (the page cache survives), strace can."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.programs import command, environment

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = 24
_WHOLE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(?: .*)?")
_BEGUN = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>")
_ENDED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)(?: .*)?")
_LINK = re.compile(r'\d+<[^>]*>, "/proc/self/fd/(\d+)", \d+<[^>]*/bodies>, "([^"]+)"')


@dataclass(frozen=True)
class Call:
    """One system call that succeeded; begin and end are lines of the trace."""

    name: str
    arguments: str
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
                found.append(Call(match[2], arguments + match[3], begin, line))
        elif (match := _WHOLE.fullmatch(text)) and int(match[4]) >= 0:
            found.append(Call(match[2], match[3], line, line))
    return sorted(found, key=lambda call: call.begin)


def violations(trace: str) -> tuple[int, int, list[str]]:
    """Return how many acknowledgments and names of body files there are, and what was not durable when it had to be."""
    all_calls = calls(trace)
    log = [call for call in all_calls if call.on("/spool.sqlite3-wal")]
    acknowledgments = {
        match[1]: call
        for call in all_calls
        if call.name == "write" and (match := re.match(r'1<[^>]*>, "kept ([^"\\]+)', call.arguments))
    }
    links = {match[2]: (call, match[1]) for call in all_calls if (match := _LINK.match(call.arguments))}
    wrong: list[str] = []
    for entry_id, told in acknowledgments.items():
        row = next((call for call in log if call.name == "pwrite64" and entry_id in call.arguments), None)
        if row is None or not any(call.syncs and row.end < call.begin and call.end < told.begin for call in log):
            wrong.append(f"{entry_id}: row")
        if row is not None and entry_id in links:
            wrong += [f"{entry_id}: {what}" for what in _body_faults(all_calls, *links[entry_id], row)]
    return len(acknowledgments), len(links), wrong


def _body_faults(all_calls: list[Call], link: Call, descriptor: str, row: Call) -> list[str]:
    """Return what was not durable of a body file when it got its name, and of the name when the row was written."""
    file = [call for call in all_calls if call.arguments.startswith(f"{descriptor}<") and call.end < link.begin]
    written = max((call.end for call in file if call.name == "pwrite64"), default=-1)
    faults: list[str] = []
    if written < 0 or not any(call.syncs and call.begin > written for call in file):
        faults.append("body")
    if not any(c.syncs and c.on("/bodies") and link.end < c.begin and c.end < row.begin for c in all_calls):
        faults.append("name of the body")
    return faults


def traced(directory: Path, way: str) -> str:
    """Return the trace of a program that stores messages."""
    trace = directory / "trace"
    watched = "trace=write,pwrite64,fsync,fdatasync,linkat"
    strace = ["strace", "-f", "-y", "-s", "4200", "-e", watched, "-e", "signal=none", "-o", str(trace)]
    program = command("spool_writer.py", directory / "spool", "traced", MESSAGES, way)
    done = subprocess.run(
        [*strace, *program], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return trace.read_text(encoding="utf-8", errors="replace")


def test_an_acknowledged_message_is_on_the_disk(tmp_path: Path) -> None:
    """Body synced, then named, the name synced, then the row, the log synced; only then the acknowledgment."""
    acknowledged, named, wrong = violations(traced(tmp_path, "sound"))
    assert (acknowledged, named) == (MESSAGES, 4)
    assert wrong == []


@pytest.mark.parametrize("way", ["OFF", "NORMAL"])
def test_a_log_that_is_not_synced_is_noticed(tmp_path: Path, way: str) -> None:
    """The check itself can fail: with a lesser `synchronous` rows are acknowledged too early."""
    acknowledged, _, wrong = violations(traced(tmp_path, way))
    assert acknowledged == MESSAGES
    assert len([each for each in wrong if each.endswith("row")]) > MESSAGES // 2


def test_a_body_that_is_not_synced_is_noticed(tmp_path: Path) -> None:
    """The same for bodies and their names."""
    _, named, wrong = violations(traced(tmp_path, "no_fsync"))
    assert len([each for each in wrong if each.endswith(": body")]) == named == 4
    assert len([each for each in wrong if each.endswith("name of the body")]) == named
