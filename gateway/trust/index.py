"""The record of what was pinned and retired: a file that is only appended to, each line bound to the one before.

Each line holds the SHA-256 of the line before it, so a line that is changed or taken out is noticed at the next one.
Lines cut off at the end are not: whoever must notice that writes down the count and digest that `gateway trust check`
shows. A file that cannot be read as a whole says nothing: what is trusted must not be guessed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from gateway.core.errors import SetupError
from gateway.durable import give, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Action = Literal["added", "retired"]
PinKind = Literal["anchor", "intermediate"]

FIRST: Final = "0" * 64
"""What stands for the line before the first one."""
MAX_NOTE: Final = 500
"""Characters."""
_MAX_OCTETS: Final = 16 * 1024 * 1024
_PATIENCE: Final = 5.0
"""Seconds for which somebody may hold the lock; a writer needs milliseconds."""
_SAFELY: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""A link or a FIFO in the file's place must lead root nowhere, and stop nobody."""
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = ("at", "who", "action", "fingerprint", "kind", "family", "note")


@dataclass(frozen=True, slots=True)
class Line:
    """One act."""

    at: str
    """ISO 8601 with offset."""
    who: str
    action: Action
    fingerprint: str
    """SHA-256 of the certificate's DER, hexadecimal, lower case."""
    kind: PinKind
    family: str
    """Empty where it stands in none."""
    note: str


@dataclass(frozen=True, slots=True)
class Index:
    """All acts in their order."""

    lines: tuple[Line, ...]
    head: str
    """SHA-256 of the last line: with the count, it binds all of them."""

    @property
    def standing(self) -> dict[str, Line]:
        """What was added and not retired since, by fingerprint."""
        found: dict[str, Line] = {}
        for each in self.lines:
            if each.action == "added":
                found[each.fingerprint] = each
            else:
                found.pop(each.fingerprint, None)
        return found


def read_index(path: Path) -> Index:
    """Return the acts in a file; raises `SetupError`, and `FileNotFoundError` where there is none."""
    try:
        with _opened(path, os.O_RDONLY, fcntl.LOCK_SH) as descriptor:
            return _parsed(path, _content(path, descriptor))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error


def append(path: Path, line: Line) -> None:
    """Write one act and return when it survives a power failure; the file is made if need be.

    Raises `SetupError`: nothing is added to a file that cannot be read, and a line that could not be written as a whole
    is taken back.
    """
    make(path)
    try:
        with _opened(path, os.O_RDWR | os.O_APPEND, fcntl.LOCK_EX) as descriptor:
            before = _content(path, descriptor)
            given = {name: getattr(line, name) for name in _FIELDS} | {"before": _parsed(path, before).head}
            octets = json.dumps(given, ensure_ascii=False).encode() + b"\n"
            try:
                written = os.write(descriptor, octets)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, len(before))
                raise
            if written != len(octets):
                os.ftruncate(descriptor, len(before))
                raise SetupError(f"{path}: the disk is full, nothing was noted")
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from error


def make(path: Path) -> None:
    """Make the empty file if there is none; raises `SetupError`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise SetupError(f"{path}: cannot be made: {error.strerror}") from error
    try:
        give(descriptor, path.parent)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


@contextmanager
def _opened(path: Path, flags: int, lock: int) -> Iterator[int]:
    """Open and lock the file, if nobody else could have written or placed it."""
    descriptor = os.open(path, flags | _SAFELY)
    try:
        _lock(path, descriptor, lock)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise SetupError(f"{path}: is not a regular file")
        if status.st_mode & _OTHERS_WRITE:
            raise SetupError(f"{path}: others may write to it; run: chmod 600 {path}")
        if status.st_uid not in {0, os.geteuid(), path.parent.stat().st_uid}:
            raise SetupError(f"{path}: belongs to user {status.st_uid}, neither root nor the gateway's own")
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int, lock: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SetupError(f"{path}: is locked by somebody") from None
            time.sleep(0.05)
        else:
            return


def _content(path: Path, descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        octets = file.read(_MAX_OCTETS + 1)
    if len(octets) > _MAX_OCTETS:
        raise SetupError(f"{path}: is larger than {_MAX_OCTETS} octets")
    return octets


def _parsed(path: Path, octets: bytes) -> Index:
    if octets and not octets.endswith(b"\n"):
        raise SetupError(f"{path}: its last line is cut off")
    lines: list[Line] = []
    head = FIRST
    for number, each in enumerate(octets.split(b"\n")[:-1], 1):
        line, before = _read_line(f"{path}:{number}", each)
        if before != head:
            raise SetupError(f"{path}:{number}: the line before it is not the one it was written behind")
        head = hashlib.sha256(each).hexdigest()
        lines.append(line)
    return Index(tuple(lines), head)


def _read_line(place: str, octets: bytes) -> tuple[Line, str]:
    try:
        given: Any = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{place}: is not a line of this file") from error
    if not isinstance(given, dict) or given.keys() != {*_FIELDS, "before"}:
        raise SetupError(f"{place}: is not a line of this file")
    if {type(each) for each in given.values()} != {str} or _FINGERPRINT.fullmatch(given["fingerprint"]) is None:
        raise SetupError(f"{place}: is not a line of this file")
    if given["action"] not in {"added", "retired"} or given["kind"] not in {"anchor", "intermediate"}:
        raise SetupError(f"{place}: an action or kind that is not known")
    return Line(**{name: given[name] for name in _FIELDS}), given["before"]
