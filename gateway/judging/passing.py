"""Messages and answers between the gateway and a judge's process, over one socket (SCM_RIGHTS, unix(7)).

What lives in a file is passed as a descriptor that can only be read; only small octets are copied. The other side of
an answer is not believed: its length is bounded before it is read.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.message import Message, Span
from gateway.core.octets import WINDOW, FileBacked, MemorySource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.octets import Source

MOST_ANSWER: Final = 1024 * 1024
"""Octets of one answer."""
MOST_FILES: Final = 8
"""Descriptors with one request."""
REQUEST: Final = struct.Struct(">II")
"""Octets of the words, and of what follows them."""
ANSWER: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message ready to be passed; `pieces` says how it is put together again."""

    pieces: tuple[tuple[int, int, int], ...]
    """(number of the file, start, stop) for each span; the number -1 stands for the octets beside the files."""
    octets: bytes
    files: tuple[int, ...]
    """Open descriptors."""

    def close(self) -> None:
        """Let go of the descriptors."""
        for each in self.files:
            os.close(each)


def parcel(message: Message) -> Parcel:
    """Return a message as it is passed; blocks for the disk where it must be copied. Raises `OSError`."""
    if len(message) <= WINDOW:
        return Parcel(((-1, 0, len(message)),), message.octets(), ())
    sources = {id(each.source): each.source for each in message.spans}
    if len(sources) > MOST_FILES or not all(isinstance(each, FileBacked) for each in sources.values()):
        return Parcel(((0, 0, len(message)),), b"", (_copied(message),))
    number = {key: index for index, key in enumerate(sources)}
    files: list[int] = []
    try:
        for source in sources.values():
            files.append(_reading(source))  # noqa: PERF401 - what was opened must be closed if the next one fails
    except OSError:
        for each in files:
            os.close(each)
        raise
    pieces = tuple((number[id(each.source)], each.start, each.stop) for each in message.spans)
    return Parcel(pieces, b"", tuple(files))


def _reading(source: Source) -> int:
    """Return a descriptor of the same file that nobody can write by: what was judged is what is delivered."""
    assert isinstance(source, FileBacked)  # noqa: S101 - the caller saw it
    return os.open(f"/proc/self/fd/{source.fileno()}", os.O_RDONLY | os.O_CLOEXEC)


def _copied(message: Message) -> int:
    descriptor = os.memfd_create("message", os.MFD_CLOEXEC)
    try:
        for window in message.windows():
            rest = memoryview(window)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        reading = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(descriptor)
    return reading


class _Passed:
    """A `Source` over a descriptor that was passed here."""

    __slots__ = ("_descriptor", "_length")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._length = os.fstat(descriptor).st_size

    def __len__(self) -> int:
        return self._length

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def read(self, start: int, stop: int) -> bytes:
        blocks: list[bytes] = []
        position, end = start, min(stop, self._length)
        while position < end:
            block = os.pread(self._descriptor, end - position, position)
            if not block:
                raise OSError("a body became shorter while it was read")
            blocks.append(block)
            position += len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def unparcel(pieces: Sequence[Sequence[int]], octets: bytes, files: Sequence[int]) -> Message:
    """Return the message that was passed, and own its descriptors from now on."""
    inline = MemorySource(octets)
    sources = [_Passed(each) for each in files]
    spans = (
        Span(inline if number < 0 else sources[number], start, stop) for number, start, stop in pieces if start < stop
    )
    return Message(tuple(spans))


def receive(channel: socket.socket) -> tuple[bytes, bytes, tuple[int, ...]] | None:
    """Return one request, its words, what follows them and its descriptors; None at the end. Blocks."""
    head, files, _, _ = socket.recv_fds(channel, REQUEST.size, MOST_FILES)
    rest = _exactly(channel, REQUEST.size - len(head)) if head else None
    if rest is None:
        return None
    words_length, octets_length = REQUEST.unpack(head + rest)
    words, octets = _exactly(channel, words_length), _exactly(channel, octets_length)
    return (words, octets, tuple(files)) if words is not None and octets is not None else None


def _exactly(channel: socket.socket, length: int) -> bytes | None:
    buffer = bytearray(length)
    view = memoryview(buffer)
    while view:
        count = channel.recv_into(view)
        if not count:
            return None
        view = view[count:]
    return bytes(buffer)
