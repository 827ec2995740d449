"""What a run of a benchmark costs: processor time of whole process trees, and their memory, as the kernel has them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and everything below it."""

    cpu: float
    """Seconds of processor time so far, that of ended children included."""
    resident: int
    """Octets of the largest process (VmHWM): the most it ever had."""


def usage(pid: int) -> Usage:
    """Return what a process tree has used until now."""
    found = [each for each in (_read(each) for each in tree(pid)) if each is not None]
    return Usage(sum(each.cpu for each in found), max((each.resident for each in found), default=0))


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))) is not None:
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting += parents.get(each, [])
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat behind the name, None for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _read(pid: int) -> Usage | None:
    stat = _stat(pid)
    if stat is None:
        return None
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage(sum(map(int, stat[11:15])) / _TICKS, peak * 1024)
