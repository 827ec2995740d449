"""What small files have in common: replaced as a whole, the gateway's own whoever made them, durable where asked."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def replace_file(path: Path, octets: bytes, *, durable: bool) -> None:
    """Write a file whole or not at all, closed to others, in the place of the one before; raises `OSError`.

    When it returns the file survives a power failure if it is to be `durable`; otherwise the disk is not waited for.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            give(descriptor, path.parent)
            if durable:
                os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    if durable:
        sync_directory(path.parent)


def give(descriptor: int, directory: Path) -> None:
    """Let what root makes belong to the directory's owner: the gateway must be able to read it."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_directory(directory: Path) -> None:
    """Return when the names in a directory survive a power failure; raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
