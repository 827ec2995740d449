"""Words that are given once: to whichever thread, and on whichever side of a fork."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

from gateway.app.tokens import new_token


def test_a_token_is_given_once() -> None:
    """Also where several threads ask, and far beyond what is asked of the kernel at once."""
    with ThreadPoolExecutor(8) as threads:
        found = [each for some in threads.map(lambda _: [new_token() for _ in range(2000)], range(8)) for each in some]
    assert len(set(found)) == 16_000
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in found)


def test_a_child_has_none_of_its_parents() -> None:
    """A process that is forked while words lie ready makes its own."""
    new_token()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, " ".join(new_token() for _ in range(100)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        theirs = set(pipe.read().decode().split())
    os.waitpid(child, 0)
    assert len(theirs) == 100
    assert theirs.isdisjoint({new_token() for _ in range(1000)})
