"""What waits to be written behind everybody's back, some at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

T = TypeVar("T")


def batches(waiting: deque[T], most: int) -> Iterator[list[T]]:
    """Take out all that waits now, at most so many at a time.

    What comes meanwhile is gathered first, or each commit would have a few rows.
    """
    left = len(waiting)
    while left:
        some = [waiting.popleft() for _ in range(min(most, left))]
        left -= len(some)
        yield some
