"""What one message may cost the process that judges it, and how that process says that it was too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OUT_OF_MEMORY: Final = 77
"""Exit code."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one message."""

    seconds: float
    """Of processor time."""
    memory: int
    """Octets of address space on top of what the process starts with."""
