"""Lines on their way to standard error: those of one turn of the event loop leave together.

They leave in writes that a pipe takes as one: workers share it, and lines of theirs must not stand inside ours. A line
is held back for that long and no longer, and an error, with all before it, not at all; lines keep their order. What
cannot be written is lost, not raised: no fault of logging reaches the mail. Nothing that must survive a crash may be
told here alone: what is promised to a client stands in the spool.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import select
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_HELD: Final = 256
"""Lines held back in one turn."""
_AT_ONCE: Final = select.PIPE_BUF
"""Octets that are written as a whole or not at all, whoever else writes to the same pipe (POSIX, write)."""


class Stream:
    """Standard error, which is looked up for each write: others may replace it."""

    def __init__(self) -> None:
        """Hold nothing back yet."""
        self.least = logging.INFO
        """The level from which lines are wanted."""
        self._held: list[bytes] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop whose turn it is; it has been asked to flush."""

    def say(self, line: bytes, level: int) -> None:
        """Take a line; never raises."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread beside the loop, or no loop at all: it may be long until somebody comes by
            _write(line)
            return
        self._held.append(line)
        if level >= logging.ERROR or len(self._held) >= _MOST_HELD:
            self.flush()
        elif loop is not self._loop:
            self._loop = loop
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what was held back."""
        held, self._held, self._loop = self._held, [], None
        octets = b"".join(held)
        for each in (octets,) if 0 < len(octets) <= _AT_ONCE else _together(held):
            _write(each)


def _together(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield whole lines in pieces of at most `_AT_ONCE`; only a line that is longer by itself is a longer piece."""
    begin = size = 0
    for index, line in enumerate(lines):
        if size and size + len(line) > _AT_ONCE:
            yield b"".join(lines[begin:index])
            begin, size = index, 0
        size += len(line)
    if size:
        yield b"".join(lines[begin:])


def _write(octets: bytes) -> None:
    with contextlib.suppress(Exception):
        stream = getattr(sys.stderr, "buffer", None)
        if stream is None:
            sys.stderr.write(octets.decode())
        else:
            stream.write(octets)
        sys.stderr.flush()


STREAM: Final = Stream()
"""The one of this process."""
atexit.register(STREAM.flush)
