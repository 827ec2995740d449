"""Places for octets under way: memory while small, then an unnamed file on the spool's own file system (O_TMPFILE).

A body must never be mapped: writing through a map on a full disk kills the process, write() is told of it. The file of
a large body is later given a name by `link_into`, so that spooling it copies nothing. Where a file system knows no
O_TMPFILE, a file is made, opened and removed again: it works the same, and is copied when it is spooled.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from gateway.core.errors import ServiceError
from gateway.core.octets import MemorySource
from gateway.spool.place import prepare_place, storage_fault

if TYPE_CHECKING:
    from gateway.config.model import SpoolSettings

_NO_UNNAMED: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT})
"""What kernels and file systems without O_TMPFILE answer."""
_DOUBTED: Final = 32 * 1024
"""Octets kept in memory of what is announced as large: an announcement costs its sender nothing, a file costs us."""
_NO_LINK: Final = frozenset({errno.EXDEV, errno.ENOENT, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


class SpoolBodies:
    """Implements `ports.Bodies` on the spool's file system."""

    def __init__(self, settings: SpoolSettings) -> None:
        """Make the spool's directory; raises `SetupError`."""
        self._directory = os.fspath(prepare_place(settings.directory).bodies)
        self._threshold = settings.memory_threshold
        self._budget = Budget(settings.memory_budget)

    def builder(self, announced: int = 0) -> SpoolBuilder:
        """Return an empty place; of what is announced as large no more than a little is in memory first."""
        most = self._threshold if announced <= self._threshold else min(self._threshold, _DOUBTED)
        return SpoolBuilder(self._directory, most, self._budget)


class Budget:
    """Counts octets in memory; giving back is safe at any instant, also from a destructor."""

    __slots__ = ("_limit", "_lock", "_returned", "_spent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spent = 0
        self._lock = threading.Lock()
        self._returned: deque[int] = deque()  # appending is atomic: a destructor must not wait for the lock

    def take(self, octets: int) -> bool:
        """Take octets if there are so many left."""
        with self._lock:
            while self._returned:
                self._spent -= self._returned.popleft()
            if self._spent + octets > self._limit:
                return False
            self._spent += octets
            return True

    def give_back(self, octets: int) -> None:
        """Give back what was taken."""
        if octets:
            self._returned.append(octets)


class SpoolBuilder:
    """A `Builder`; writing raises `StorageFullError`, or `ServiceError` where the disk fails."""

    __slots__ = ("_blocks", "_budget", "_charged", "_directory", "_file", "_finished", "_length", "_threshold")

    def __init__(self, directory: str, threshold: int, budget: Budget) -> None:
        """Begin in memory; `directory` is where a file would be, `threshold` the octets above which there is one."""
        self._directory = directory
        self._threshold = threshold
        self._budget = budget
        self._blocks: list[bytes] = []
        self._charged = 0
        self._length = 0
        self._file: FileBody | None = None
        self._finished = False

    def __del__(self) -> None:
        self._budget.give_back(self._charged)

    def write(self, block: bytes) -> None:
        """Append octets."""
        if self._finished:
            raise ValueError("the builder is finished")
        if self._file is None:
            if self._length + len(block) <= self._threshold and self._budget.take(len(block)):
                self._charged += len(block)
                self._length += len(block)
                self._blocks.append(bytes(block))
                return
            self._file = self._spill()
        self._file.append(block)
        self._length += len(block)

    def finish(self) -> MemorySource | FileBody:
        """Return what was written; the builder takes no more after this."""
        if self._finished:
            raise ValueError("the builder is finished")
        self._finished = True
        if self._file is not None:
            return self._file
        source = _MemoryBody(b"".join(self._blocks), self._budget, self._charged)
        self._charged = 0
        self._blocks.clear()
        return source

    def _spill(self) -> FileBody:
        file = FileBody.unnamed(self._directory)
        for block in self._blocks:
            file.append(block)
        self._blocks.clear()
        self._budget.give_back(self._charged)
        self._charged = 0
        return file


class _MemoryBody(MemorySource):
    """Octets in memory that give their share of the budget back when nobody holds them any more."""

    __slots__ = ("_budget", "_charged")

    def __init__(self, octets: bytes, budget: Budget, charged: int) -> None:
        super().__init__(octets)
        self._budget = budget
        self._charged = charged

    def __del__(self) -> None:
        self._budget.give_back(self._charged)


class FileBody:
    """A `Source` over an open file of the spool; the file is closed when nobody holds it any more.

    The octets stay readable when its name is removed. It grows by `append` until it is first given away.
    """

    __slots__ = ("_descriptor", "_length", "_linkable", "_spoiled")

    def __init__(self, descriptor: int, length: int, *, linkable: bool) -> None:
        """Take over an open descriptor; `linkable` says whether the file can be given a (further) name."""
        self._descriptor = descriptor
        self._length = length
        self._linkable = linkable
        self._spoiled = False

    @classmethod
    def unnamed(cls, directory: str) -> FileBody:
        """Return a new empty file without a name in a directory; raises `StorageFullError` or `ServiceError`."""
        try:
            return cls(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600), 0, linkable=True)
        except OSError as error:
            if error.errno not in _NO_UNNAMED:
                raise storage_fault(error, "making a file for a body") from error
        file, name = cls.named(directory)
        file.forget(directory, name)
        return file

    @classmethod
    def named(cls, directory: str) -> tuple[FileBody, str]:
        """Return a new empty file and its name, which no entry can have; raises as `unnamed` does."""
        name = f".{secrets.token_hex(12)}"
        try:
            path = os.path.join(directory, name)  # noqa: PTH118 - as above
            return cls(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), 0, linkable=True), name
        except OSError as error:
            raise storage_fault(error, "making a file for a body") from error

    def forget(self, directory: str, name: str) -> None:
        """Remove the file's only name: what has lost its last name gets none again."""
        os.unlink(os.path.join(directory, name))  # noqa: PTH108, PTH118 - names stay text on the way of a body
        self._linkable = False

    @property
    def linkable(self) -> bool:
        """False if the file can never be given a name."""
        return self._linkable

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def __len__(self) -> int:
        return self._length

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets of the half-open range, clipped to what exists; raises `OSError` if the disk fails."""
        blocks: list[bytes] = []
        position, end = start, min(stop, self._length)
        while position < end:
            block = os.pread(self._descriptor, end - position, position)
            if not block:
                raise OSError(errno.EIO, "a body became shorter while it was read")
            blocks.append(block)
            position += len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def append(self, block: bytes) -> None:
        """Append octets at the end; raises `StorageFullError` or `ServiceError`."""
        rest = memoryview(block)
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, self._length)
                self._length += written
                rest = rest[written:]
        except OSError as error:
            raise storage_fault(error, "writing a body") from error

    def link_into(self, directory: int, name: str) -> bool:
        """Make the octets durable and give them a name; the caller makes the name durable.

        Returns False where this file cannot get one: copy it then. Raises `FileExistsError` if the name is taken,
        `StorageFullError` or `ServiceError`.
        """
        if self._spoiled:
            raise ServiceError("a body could not be made durable")
        if not self._linkable:
            return False
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._spoiled = True  # the kernel tells of lost pages once; a second fsync would lie
            raise storage_fault(error, "making a body durable") from error
        try:
            # only linkat() follows the link in /proc, and os.link() calls it only when given a directory
            os.link(f"/proc/self/fd/{self._descriptor}", name, src_dir_fd=directory, dst_dir_fd=directory)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise storage_fault(error, "naming a body") from error
        return True
