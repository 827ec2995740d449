"""A program that makes pairs of spool writers for a test to kill; it has imported everything once for all of them.

For each line "NAME FILE FILE" on standard input it forks one writer per file, which acknowledges into it, says their
process ids on one line, waits until they are dead and says so. Its argument is the spool's directory.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from support.spool_writer import main


def write(name: str, said: str) -> None:
    """Store messages until killed, as a process of its own."""
    os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY, 0o600), 1)
    asyncio.run(main(Path(sys.argv[1]), name, 0))


def herd() -> None:
    """Serve one line after the other."""
    for line in sys.stdin:
        name, *files = line.split()
        writers: list[int] = []
        for index, said in enumerate(files):
            if (writer := os.fork()) == 0:
                write(f"{name}x{index}", said)
                os._exit(1)
            writers.append(writer)
        os.write(1, " ".join(map(str, writers)).encode() + b"\n")
        for writer in writers:
            os.waitpid(writer, 0)
        os.write(1, b"dead\n")


herd()
