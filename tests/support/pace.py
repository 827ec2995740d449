"""Bounds on the processor time that hostile input may take: what they guard against takes minutes, not twice as long.

with soon(3):
    parse(hostile)

`spent` tells what another process took; what others take of the machine is in neither.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRACED: Final = 5
"""How many times slower code may be while coverage counts its lines."""


def spent(pid: int) -> float:
    """Return the seconds of processor time that a process has taken (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2)


@contextmanager
def soon(seconds: float) -> Iterator[None]:
    """Fail if the block takes more processor time than this."""
    begin = time.process_time()
    yield
    taken = time.process_time() - begin
    assert taken < seconds * (_TRACED if sys.gettrace() is not None else 1), f"{taken:.1f} s"
