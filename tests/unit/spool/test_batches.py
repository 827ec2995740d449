"""What waits to be written is taken in batches, and what comes meanwhile waits for the next time."""

from __future__ import annotations

from collections import deque

from gateway.spool.batches import batches


def test_only_what_waits_now_is_taken() -> None:
    """However much comes while a batch is written: it would be a commit for each few rows otherwise."""
    waiting = deque(range(7))
    found = []
    for some in batches(waiting, 3):
        found.append(some)
        waiting.append(7)
    assert found == [[0, 1, 2], [3, 4, 5], [6]]
    assert waiting == deque([7, 7, 7])


def test_who_stops_leaves_the_rest() -> None:
    """A batch that cannot be written ends it; what was not taken out still waits."""
    waiting = deque(range(7))
    assert next(batches(waiting, 3)) == [0, 1, 2]
    assert waiting == deque([3, 4, 5, 6])
