"""Large bodies beside the database: one file per entry, named by its id, complete and durable before it has a name.

A file's row is committed after it and deleted before it: a file without a row is waste, a row without a file is lost
mail and must never be.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from gateway.core.errors import ServiceError
from gateway.spool.bodies import FileBody
from gateway.spool.place import storage_fault

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.message import Message

WASTE_AGE: Final = 3600.0
"""Seconds after which a file that has no row has none coming."""


class BodyFiles:
    """The files of one spool."""

    def __init__(self, directory: Path) -> None:
        """Work in a directory that exists; raises `OSError`."""
        self._path = os.fspath(directory)
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._descriptor)

    def keep(self, entry_id: str, message: Message) -> None:
        """Store a message durably under an id, by linking where it is one whole file; blocks for the disk.

        Keeping the same again is harmless. Raises `StorageFullError` or `ServiceError`: what is there then is waste.
        """
        body = message.spans[0].source if len(message.spans) == 1 else None
        try:
            if not isinstance(body, FileBody) or len(body) != len(message) or not self._link(body, entry_id):
                self._copy(entry_id, message)
        except FileExistsError:  # committed before, or nearly: a name stands for complete octets
            if os.stat(entry_id, dir_fd=self._descriptor).st_size != len(message):
                raise ServiceError("an entry id was used for another body") from None
        except OSError as error:
            raise storage_fault(error, "keeping a body") from error
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise storage_fault(error, "keeping a body") from error

    def open(self, entry_id: str, length: int) -> FileBody:
        """Return the body of an entry; raises `OSError`, or `ValueError` if it has not the length it must have."""
        descriptor = os.open(entry_id, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._descriptor)
        body = FileBody(descriptor, length, linkable=True)
        if os.fstat(descriptor).st_size != length:
            raise ValueError("a body in a file has another length than its row says")
        return body

    def has(self, entry_id: str) -> bool:
        """Return whether there is a file for an id."""
        try:
            os.stat(entry_id, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def remove(self, entry_id: str) -> None:
        """Remove the file of an id, if there is one; what cannot be removed now is waste for `waste`."""
        with contextlib.suppress(OSError):
            os.unlink(entry_id, dir_fd=self._descriptor)

    def waste(self, now: float) -> tuple[str, ...]:
        """Return the names that are older than `WASTE_AGE`: waste, unless the database knows them."""
        # the time of the last change of the inode: naming a body sets it, however long its octets took to arrive
        before = now - WASTE_AGE
        found: list[str] = []
        with os.scandir(self._path) as names:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    if name.stat(follow_symlinks=False).st_ctime < before:
                        found.append(name.name)
        return tuple(found)

    def _link(self, body: FileBody, entry_id: str) -> bool:
        return body.link_into(self._descriptor, entry_id)

    def _copy(self, entry_id: str, message: Message) -> None:
        copy, name = FileBody.unnamed(self._path), ""
        if not copy.linkable:
            copy, name = FileBody.named(self._path)
        try:
            for window in message.windows():
                copy.append(window)
            if not self._link(copy, entry_id):
                raise ServiceError("a body cannot be given a name")
        finally:
            if name:
                self.remove(name)
