"""Room kept back on the spool's disk, so that mail can still be finished when the disk is full.

Without it a full disk would stop not only new mail: what was delivered could not be marked so, and would be sent again.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

RESERVE: Final = 8 * 1024 * 1024
"""Octets: what the log may grow by until it starts anew, and the database by what is in the log."""


class Reserve:
    """A file of zeros, shared by all processes; each method is called inside the turn."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises `OSError`."""
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)

    def close(self) -> None:
        """Let go of the file; the room stays kept."""
        os.close(self._descriptor)

    def hold(self) -> bool:
        """Keep the room back if it is there; returns whether it is kept."""
        if os.fstat(self._descriptor).st_size >= RESERVE:
            return True
        try:
            os.posix_fallocate(self._descriptor, 0, RESERVE)
        except OSError:
            self.spend()
            return False
        return True

    def spend(self) -> bool:
        """Free the room; returns False if there was none."""
        with contextlib.suppress(OSError):
            held = os.fstat(self._descriptor).st_size > 0
            os.ftruncate(self._descriptor, 0)
            return held
        return False
