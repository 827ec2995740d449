"""What was fetched, in memory and on disk, bounded in number and octets; it survives a restart.

One file for each, named by the digest of its question: a line of JSON with where and when it came from, then the
octets. A file that is not whole and exactly as it was written is removed. Nothing here is a secret, and nothing is
believed for being here: age and signature are looked at again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

SKEW: Final = dt.timedelta(minutes=5)
"""That our clock may have been wrong by: what was fetched later than now plus this is as good as absent."""
_NAME: Final = re.compile(r"[0-9a-f]{64}")
_HEAD: Final = 16 * 1024
_VERSION: Final = 1


class Kind(StrEnum):
    """What is kept, each within bounds of its own: what a stranger can make us fetch pushes out nothing else."""

    OCSP = "ocsp"
    LIST = "list"
    ISSUERS = "issuers"


_BOUNDS: Final = {
    Kind.OCSP: (20_000, 64 * 1024 * 1024),
    Kind.LIST: (500, 512 * 1024 * 1024),
    Kind.ISSUERS: (500, 16 * 1024 * 1024),
}
"""Entries and octets on disk, at most."""
_IN_MEMORY: Final = 64 * 1024 * 1024
"""Octets of answers that need not be read again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer that was found fit."""

    kind: Kind
    key: str
    """Of its question: SHA-256, hexadecimal."""
    url: str
    fetched_at: dt.datetime
    """Aware, as the other times."""
    this_update: dt.datetime | None
    next_update: dt.datetime | None
    parts: tuple[bytes, ...]
    """DER: one answer, one list, or certificates."""

    def until(self, max_age: dt.timedelta) -> dt.datetime:
        """Return when it ends to be believed: by age, or by what it says itself."""
        aged = self.fetched_at + max_age
        return aged if self.next_update is None else min(aged, self.next_update)

    def fresh(self, now: dt.datetime, max_age: dt.timedelta) -> bool:
        """Return whether it may be believed at a time."""
        return self.fetched_at <= now + SKEW and now < self.until(max_age)

    @property
    def octets(self) -> int:
        """Length of all parts."""
        return sum(map(len, self.parts))


class Cache:
    """The answers; only `remembered` and `has` are for the event loop, the others read and write files."""

    def __init__(self, directory: Path) -> None:
        """Name the directory; nothing is read before `load`."""
        self._directory = directory
        self._lock = threading.RLock()
        self._sizes: dict[Kind, OrderedDict[str, int]] = {each: OrderedDict() for each in Kind}
        """What is on disk, least recently used first."""
        self._memory: OrderedDict[str, Kept] = OrderedDict()
        self._held = 0

    def load(self) -> None:
        """Make the directory, and see what is in it; raises `OSError` where it cannot be used."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found: list[tuple[float, str, Kind, int]] = []
        with os.scandir(self._directory) as listing:
            for each in listing:
                if not each.is_file(follow_symlinks=False):
                    continue
                kind = _kind_of(self._directory / each.name) if _NAME.fullmatch(each.name) else None
                if kind is None:
                    self._remove(each.name)
                else:
                    status = each.stat(follow_symlinks=False)
                    found.append((status.st_mtime, each.name, kind, status.st_size))
        with self._lock:
            for _, name, kind, size in sorted(found):
                self._sizes[kind][name] = size
            for kind in Kind:
                self._shrink(kind)

    def remembered(self, key: str) -> Kept | None:
        """Return what is in memory; never touches the disk."""
        with self._lock:
            found = self._memory.get(key)
            if found is not None:
                self._memory.move_to_end(key)
            return found

    def has(self, kind: Kind, key: str) -> bool:
        """Return whether something is kept under a key; never touches the disk."""
        with self._lock:
            return key in self._memory or key in self._sizes[kind]

    def read(self, kind: Kind, key: str) -> Kept | None:
        """Return what is kept under a key; a damaged file is removed."""
        found = self.remembered(key)
        if found is not None:
            return found
        with self._lock:
            if key not in self._sizes[kind]:
                return None
            self._sizes[kind].move_to_end(key)
        found = _read(self._directory / key)
        if found is None or found.key != key or found.kind is not kind:
            self._forget(kind, key)
            return None
        self._remember(found)
        return found

    def put(self, kept: Kept) -> None:
        """Keep an answer in the place of an older one; what does not reach the disk is kept in memory only."""
        self._remember(kept)
        octets = _written(kept)
        beside = self._directory / f"{kept.key}.{os.getpid()}-{threading.get_ident()}"
        try:
            beside.write_bytes(octets)
            beside.replace(self._directory / kept.key)
        except OSError:  # a full disk: mail goes on, and the next start fetches again
            with contextlib.suppress(OSError):
                beside.unlink()
            return
        with self._lock:
            self._sizes[kept.kind][kept.key] = len(octets)
            self._sizes[kept.kind].move_to_end(kept.key)
            self._shrink(kept.kind)

    def _remember(self, kept: Kept) -> None:
        with self._lock:
            before = self._memory.pop(kept.key, None)
            self._held += kept.octets - (before.octets if before is not None else 0)
            self._memory[kept.key] = kept
            while self._held > _IN_MEMORY and len(self._memory) > 1:
                _, gone = self._memory.popitem(last=False)
                self._held -= gone.octets

    def _shrink(self, kind: Kind) -> None:
        """Remove what was used least recently, until the bounds of its kind hold."""
        sizes = self._sizes[kind]
        number, octets = _BOUNDS[kind]
        total = sum(sizes.values())
        while sizes and (len(sizes) > number or total > octets):
            key, size = sizes.popitem(last=False)
            total -= size
            self._remove(key)

    def _forget(self, kind: Kind, key: str) -> None:
        with self._lock:
            self._sizes[kind].pop(key, None)
        self._remove(key)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._directory / name).unlink()


def _written(kept: Kept) -> bytes:
    body = b"".join(kept.parts)
    head = {
        "version": _VERSION,
        "kind": kept.kind.value,
        "key": kept.key,
        "url": kept.url,
        "fetched_at": kept.fetched_at.isoformat(),
        "this_update": kept.this_update.isoformat() if kept.this_update is not None else None,
        "next_update": kept.next_update.isoformat() if kept.next_update is not None else None,
        "lengths": [len(each) for each in kept.parts],
    }
    line = json.dumps(head).encode()
    digest = hashlib.sha256(line + b"\n" + body).hexdigest().encode()
    return digest + b" " + line + b"\n" + body


def _read(file: Path) -> Kept | None:
    """Return what a file holds; None for one that is gone or damaged."""
    try:
        octets = file.read_bytes()
    except OSError:
        return None
    digest, _, rest = octets.partition(b" ")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        return None
    line, _, body = rest.partition(b"\n")
    try:
        return _kept(json.loads(line), body)
    except (ValueError, KeyError, TypeError):  # of another version
        return None


def _kept(head: Any, body: bytes) -> Kept:
    if head["version"] != _VERSION or sum(head["lengths"]) != len(body):
        raise ValueError("another version")
    parts, start = [], 0
    for each in head["lengths"]:
        parts.append(body[start : start + each])
        start += each
    this_update, next_update = (
        dt.datetime.fromisoformat(head[name]) if head[name] is not None else None
        for name in ("this_update", "next_update")
    )
    fetched_at = dt.datetime.fromisoformat(head["fetched_at"])
    return Kept(Kind(head["kind"]), head["key"], head["url"], fetched_at, this_update, next_update, tuple(parts))


def _kind_of(file: Path) -> Kind | None:
    """Return what a file is about by its first line; None where that is not ours."""
    try:
        with file.open("rb") as opened:
            line = opened.readline(_HEAD)
        return Kind(json.loads(line.partition(b" ")[2])["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
