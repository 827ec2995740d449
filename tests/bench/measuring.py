"""What a run of a benchmark costs: processor time of whole process trees, and their memory, as the kernel has them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cryptography
from cryptography.hazmat.backends.openssl import backend

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LOOK: Final = 0.3
"""Seconds between two looks at what is still at work."""
_REST: Final = 0.05
"""Share of a processor that counts as rest."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of some processes and everything below them."""

    cpu: float
    """Seconds of processor time so far, that of ended children included."""
    resident: int
    """Octets of the largest process (VmHWM): the most it ever had."""


def usage(*pids: int) -> Usage:
    """Return what trees of processes have used until now."""
    found = [each for pid in pids for each in map(_read, tree(pid)) if each is not None]
    return Usage(sum(each.cpu for each in found), max((each.resident for each in found), default=0))


def settled(*pids: int, seconds: float = 60.0) -> Usage:
    """Wait until these rest, so that what they tidy up afterwards counts too; return what they have used until then."""
    until = time.monotonic() + seconds
    while True:
        before = usage(*pids)
        time.sleep(_LOOK)
        after = usage(*pids)
        if after.cpu - before.cpu <= _LOOK * _REST or time.monotonic() > until:
            return after


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


def machine() -> list[tuple[str, str]]:
    """Return what this is measured on, and with which versions."""
    processor = _first(Path("/proc/cpuinfo"), "model name") or platform.machine()
    memory = int(_first(Path("/proc/meminfo"), "MemTotal").split()[0]) / 2**20
    return [
        ("Date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("Version", _said("git", "describe", "--always", "--dirty")),
        ("Machine", f"{os.cpu_count()} x {processor}, {memory:.0f} GiB, Linux {platform.release()}"),
        ("Load at the start", " ".join(f"{each:.1f}" for each in os.getloadavg())),
        ("Python", f"{platform.python_version()}, {_build()}, cryptography {cryptography.__version__}"),
        ("OpenSSL", f"{backend.openssl_version_text()} (cryptography); {_said('openssl', 'version')}"),
        ("Postfix", _said("postconf", "-h", "mail_version")),
    ]


def _build() -> str:
    """Return which interpreter this is: one built with profile-guided optimization takes a tenth less."""
    file = os.path.realpath(sys.executable)
    package = _said("dpkg-query", "-S", file).partition(":")[0]
    if package != "unknown":
        return f"Debian's own ({package} {_said('dpkg-query', '-W', '-f', '${Version}', package)})"
    optimized = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"{file} (built {'with' if optimized else 'without'} profile-guided optimization)"


def _first(file: Path, name: str) -> str:
    lines = file.read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().partition("  ")[0] or "unknown"
