"""Who holds a claim, and whether they live: each open store locks a file of its own, and the kernel unlocks it.

A claim must never end by the clock: a hop may take ten minutes to answer a dot, and a claim that ended before it would
deliver twice. It ends when its holder says so, or is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Owner:
    """One open store, alive until `close` or the death of the process."""

    def __init__(self, directory: Path) -> None:
        """Make and lock a file of our own; raises `OSError`. The caller holds the writers' lock."""
        self._directory = directory
        self.token = secrets.token_hex(12)
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        self._descriptor = os.open(directory / self.token, flags, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def fresh(self) -> bool:
        """True: the kernel lets nobody take us for dead."""
        return True

    @property
    def reachable(self) -> bool:
        """True: the database is in our own process."""
        return True

    def came(self) -> None:
        """Do nothing: each process looks by itself."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Do nothing: nobody tells us."""

    def close(self) -> None:
        """Die."""
        with contextlib.suppress(OSError):
            (self._directory / self.token).unlink()
        os.close(self._descriptor)

    def lives(self, token: str) -> bool:
        """Return whether the owner of this token is alive; the caller holds the writers' lock."""
        return lives(self._directory, token)

    def bury(self) -> None:
        """Remove the files of the dead; the caller holds the writers' lock and has freed what they had claimed."""
        for name in os.listdir(self._directory):  # noqa: PTH208 - names are what is asked for
            if not self.lives(name):
                with contextlib.suppress(OSError):
                    (self._directory / name).unlink()


def lives(directory: Path, token: str) -> bool:
    """Return whether the owner of a token is alive; the caller holds the writers' lock."""
    if Path(token).name != token:
        return False
    try:
        descriptor = os.open(directory / token, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
