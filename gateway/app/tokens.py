"""Random words for what must be unique, or not be guessed: ids, trace ids, boundaries.

They are made of the kernel's random octets, of which many are asked for at once: each question is a system call.
"""

from __future__ import annotations

import os
from typing import Final

_OCTETS: Final = 12
_AT_ONCE: Final = 64
_ready: Final[list[str]] = []
"""Words that nobody has; taking one is atomic, whatever the thread."""


def new_token() -> str:
    """Return 24 fresh hexadecimal digits, 96 random bits, which nobody else gets."""
    try:
        return _ready.pop()
    except IndexError:
        digits = os.urandom(_OCTETS * _AT_ONCE).hex()
        size = 2 * _OCTETS
        first, *others = [digits[start : start + size] for start in range(0, len(digits), size)]
        _ready.extend(others)
        return first


os.register_at_fork(after_in_child=_ready.clear)  # what the parent is going to give away is not the child's
