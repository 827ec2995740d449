"""Octets under way: in memory while small, then in a file nobody else can see, and never more than there is room."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.core.errors import ServiceError, StorageFullError
from gateway.core.octets import MemorySource
from gateway.spool import bodies
from gateway.spool.bodies import Budget, FileBody, SpoolBodies, SpoolBuilder
from gateway.spool.files import BodyFiles
from support.spooled import fill, octets, settings

if TYPE_CHECKING:
    from gateway.core.octets import Source

THRESHOLD = 4096
DOUBTED = 32 * 1024
MOST = 100_000


def open_files() -> set[str]:
    """Return what this process has open."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def build(directory: Path, content: bytes, block: int) -> Source:
    """Return content as a source, written in blocks."""
    builder = SpoolBodies(settings(directory, memory_threshold=THRESHOLD)).builder()
    for start in range(0, len(content), block):
        builder.write(content[start : start + block])
    return builder.finish()


@pytest.mark.parametrize("block", [1, 1000, THRESHOLD, 100_000])
@pytest.mark.parametrize("length", [0, 1, THRESHOLD - 1, THRESHOLD, THRESHOLD + 1, 50_000])
def test_any_blocks_make_the_same_octets(tmp_path: Path, length: int, block: int) -> None:
    """Whatever the blocks, a body above the threshold is in a file, others in memory, and reads the same."""
    content = octets(length)
    source = build(tmp_path, content, block)
    assert isinstance(source, FileBody if length > THRESHOLD else MemorySource)
    assert len(source) == length
    assert source.read(0, length + 5) == content
    for start, stop in ((3, 7), (length - 2, length + 2), (length, length + 1), (5, 5), (4000, 4200)):
        assert source.read(max(start, 0), stop) == content[max(start, 0) : stop]


@pytest.mark.parametrize("announced", [0, 1, MOST, MOST + 1, 50_000_000])
def test_what_is_announced_as_large_takes_little_memory(tmp_path: Path, announced: int) -> None:
    """Above 32 KiB it is in a file; a letter that is small whatever was announced is in memory, as any other."""
    place = SpoolBodies(settings(tmp_path, memory_threshold=MOST))
    for length in (10, DOUBTED, DOUBTED + 1, MOST, MOST + 1):
        source = fill(place.builder(announced), octets(length)).spans[0].source
        assert isinstance(source, FileBody if length > (DOUBTED if announced > MOST else MOST) else MemorySource)
        assert source.read(0, length) == octets(length)
    assert len(place.builder(announced).finish()) == 0


def test_a_low_threshold_holds_whatever_is_announced(tmp_path: Path) -> None:
    """An announcement never puts more into memory."""
    place = SpoolBodies(settings(tmp_path, memory_threshold=THRESHOLD))
    assert isinstance(fill(place.builder(50_000_000), octets(THRESHOLD + 1)).spans[0].source, FileBody)


def test_a_file_under_way_has_no_name_and_goes_with_its_source(tmp_path: Path) -> None:
    """After a crash nothing of a message that was not accepted is left; the descriptor is closed with the source."""
    before = open_files()
    source = build(tmp_path, octets(50_000), 1000)
    assert list((tmp_path / "bodies").iterdir()) == []
    assert len(open_files() - before) >= 1
    del source
    gc.collect()
    assert open_files() <= before


def test_a_builder_ends_with_finish(tmp_path: Path) -> None:
    """A source never changes while anybody holds it."""
    for length in (10, THRESHOLD + 1):
        builder = SpoolBodies(settings(tmp_path, memory_threshold=THRESHOLD)).builder()
        builder.write(bytes(length))
        builder.finish()
        with pytest.raises(ValueError, match="finished"):
            builder.write(b"x")
        with pytest.raises(ValueError, match="finished"):
            builder.finish()


def test_memory_is_bounded_and_given_back(tmp_path: Path) -> None:
    """Beyond the budget small bodies go into files too; what dies, finished or not, gives its share back."""
    budget = Budget(1000)
    directory = str(tmp_path)

    def source(length: int) -> Source:
        builder = SpoolBuilder(directory, THRESHOLD, budget)
        builder.write(bytes(length))
        return builder.finish()

    first, second = source(600), source(400)
    assert isinstance(first, MemorySource)
    assert isinstance(second, MemorySource)
    assert isinstance(source(1), FileBody)
    del first
    assert isinstance(source(600), MemorySource)
    abandoned = SpoolBuilder(directory, THRESHOLD, budget)
    abandoned.write(bytes(600))
    assert isinstance(source(1), FileBody)
    abandoned.write(bytes(1))  # this one moved out of memory
    assert isinstance(source(600), MemorySource)
    other = SpoolBuilder(directory, THRESHOLD, budget)
    other.write(bytes(600))
    del other
    assert isinstance(source(600), MemorySource)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
def test_no_room_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A full disk, a spent quota and no descriptor are all 452 4.3.1."""

    def fail(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    builder = SpoolBodies(settings(tmp_path, memory_threshold=THRESHOLD)).builder()
    builder.write(octets(THRESHOLD))
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        with pytest.raises(StorageFullError):
            builder.write(b"x")
    builder.write(b"x")  # the first block is still there
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(StorageFullError):
        builder.write(b"y")


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """write() may take less than it is given."""
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, block, at: whole(descriptor, block[:777], at))
    source = build(tmp_path, octets(50_000), 10_000)
    assert source.read(0, 50_000) == octets(50_000)


def test_a_disk_that_fails_is_no_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO is passing trouble, and is not called a lack of room."""

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    builder = SpoolBodies(settings(tmp_path, memory_threshold=THRESHOLD)).builder()
    builder.write(octets(THRESHOLD + 1))
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(ServiceError) as caught:
        builder.write(b"x")
    assert not isinstance(caught.value, StorageFullError)


def test_a_body_whose_sync_failed_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reports lost pages once: a second fsync that succeeds proves nothing."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    message = fill(SpoolBodies(settings(tmp_path)).builder(), octets(300_000))
    files = BodyFiles(tmp_path / "bodies")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(ServiceError):
            files.keep("one", message)
    with pytest.raises(ServiceError, match="durable"):
        files.keep("one", message)
    assert not files.has("one")
    files.close()


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EISDIR])
def test_file_systems_without_unnamed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Without O_TMPFILE a body lives in a removed file, and is copied under its name when it is kept."""
    really = os.open

    def refuse(path: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(code, os.strerror(code))
        return really(path, flags, *rest, dir_fd=dir_fd)

    place = SpoolBodies(settings(tmp_path))
    monkeypatch.setattr(bodies.os, "open", refuse)
    content = octets(300_000)
    message = fill(place.builder(), content)
    assert list((tmp_path / "bodies").iterdir()) == []
    files = BodyFiles(tmp_path / "bodies")
    files.keep("one", message)
    files.keep("one", message)
    assert [(path.name, path.read_bytes() == content) for path in (tmp_path / "bodies").iterdir()] == [("one", True)]
    files.close()
