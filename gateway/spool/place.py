"""Where the spool lives on disk: made closed to others, and refused where a commit could not be trusted.

A spool must never lie on a network file system: SQLite's shared memory and locks do not hold there.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from gateway.core.errors import ServiceError, SetupError, StorageFullError
from gateway.durable import sync_directory

_LOG: Final = structlog.get_logger("gateway.spool")
_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORKED: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "9p", "virtiofs", "lustre", "gfs2", "ocfs2"}
    | {"beegfs", "beegfs_nodev", "orangefs", "pvfs2", "glusterfs", "gpfs", "fuse"}
)
"""Types whose files other machines may change or whose writes a program answers for; so are all of "fuse.*"."""
_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_OTHERS: Final = 0o077
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Place:
    """The paths of one spool, all on one file system."""

    directory: Path
    database: Path
    lock: Path
    """Whoever writes to the database holds an flock on it."""
    bodies: Path
    """Large bodies by entry id, and the unnamed files they grow in."""
    reserve: Path
    """Room kept back for finishing mail on a full disk."""
    owners: Path
    """One locked file per open store; what a dead one had claimed is free again."""


def prepare_place(directory: Path) -> Place:
    """Make what is missing and return the paths; raises `SetupError` if the directory cannot hold a spool."""
    path = Path(os.path.abspath(directory))  # noqa: PTH100 - links are kept, the administrator knows this name
    names = ("spool.sqlite3", "writer.lock", "bodies", "reserve", "owners")
    place = Place(path, *(path / name for name in names))
    try:
        for each in (place.directory, place.bodies, place.owners):
            _make(each)
        kind = _kind(path)
    except OSError as error:
        raise SetupError(f"{error.filename or path}: the spool cannot be made here: {error.strerror}") from error
    if kind in _NETWORKED or kind.startswith("fuse."):
        raise SetupError(f"{path}: lies on {kind}; a spool needs a local file system")
    if kind in _VOLATILE:
        _LOG.warning("the spool is in memory: a power failure loses mail", directory=str(path), file_system=kind)
    return place


def in_memory(directory: Path) -> str:
    """Return the type of a file system that a power failure empties; "" for others. Raises `OSError`."""
    kind = _kind(directory)
    return kind if kind in _VOLATILE else ""


def _kind(directory: Path) -> str:
    return file_system(_MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"), directory.resolve())


def file_system(mounts: str, directory: Path) -> str:
    """Return the type of the file system a resolved directory lies on, by the text of /proc/self/mountinfo."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        mounted = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields.split(" ")[4])
        if directory.is_relative_to(mounted) and len(mounted) >= best:  # a later mount hides an earlier one
            best, kind = len(mounted), rest.split(" ")[0]
    return kind


def room(directory: Path) -> int:
    """Return the octets that are free for us; raises `OSError`."""
    numbers = os.statvfs(directory)
    return numbers.f_bavail * numbers.f_frsize


def storage_fault(error: OSError, doing: str) -> ServiceError:
    """Return our fault for the system's: `StorageFullError` where room, quota or descriptors are spent."""
    kind = StorageFullError if error.errno in _FULL else ServiceError
    return kind(f"{doing}: {error.strerror}")


def _make(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(directory.parent)
    mode = directory.stat().st_mode
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(directory))
    if mode & _OTHERS:
        directory.chmod(0o700)
