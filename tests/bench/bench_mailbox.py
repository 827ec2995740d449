"""What it costs to watch mailboxes: `PYTHONPATH=tests python tests/bench/bench_mailbox.py [500]`.

Needs root, Dovecot and Pigeonhole. Everything runs on this machine; only the watch's own process tree is measured.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

from support.letters import PLAIN
from support.mailroom import deliver, mailroom
from support.watching import watching

IDLE: Final = 60.0
"""Seconds that nothing happens."""
LIMITS: Final = """
service imap-login {
  client_limit = 2000
  process_limit = 4
}
service imap {
  process_limit = 2000
  client_limit = 20
}
service auth {
  client_limit = 5000
}
default_client_limit = 5000
"""
TICKS: Final = os.sysconf("SC_CLK_TCK")


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


def seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def mebibytes(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main(count: int) -> None:
    """Watch so many mailboxes, leave them alone for one round of checks, then bring mail to each."""
    names = [f"nguoi-{number}@do.example" for number in range(count)]
    with mailroom(LIMITS) as mail:
        begin = time.monotonic()
        with watching(mail.imap_port, *names, liveness=60.0, timeout=30.0) as watch:
            while watch.places() < count:
                time.sleep(0.1)
            say(f"{count} mailboxes connected after {time.monotonic() - begin:.1f} s")
            time.sleep(5)
            before = seconds(watch.pid)
            time.sleep(IDLE)
            used = seconds(watch.pid) - before
            say(f"idle: {mebibytes(watch.pid):.1f} MiB resident, {100 * used / IDLE:.2f} % of a processor")
            others = tree(watch.pid)[1:]
            say(f"its judges: {len(others)} processes, {sum(map(mebibytes, others)):.0f} MiB resident together")
            before, begin = seconds(watch.pid), time.monotonic()
            for name in names:
                deliver(mail, name, PLAIN)
            sent = time.monotonic() - begin
            while watch.looked_at() < count:
                time.sleep(0.1)
            say(f"mail for each: delivered in {sent:.1f} s, judged after {time.monotonic() - begin:.1f} s")
            say(f"{1000 * (seconds(watch.pid) - before) / count:.1f} ms of a processor each")
            say(f"afterwards: {mebibytes(watch.pid):.1f} MiB resident")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
