"""A bound on the processor time that hostile input may take: what it guards against takes minutes, not twice as long.

with soon(3):
parse(hostile)
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


@contextmanager
def soon(seconds: float) -> Iterator[None]:
    """Fail if the block takes more processor time than this."""
    begin = time.process_time()
    yield
    taken = time.process_time() - begin
    assert taken < seconds * (_TRACED if sys.gettrace() is not None else 1), f"{taken:.1f} s"
