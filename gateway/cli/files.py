"""Files named on the command line as messages (RFC 5322 2.1).

A message is never read into memory as a whole, and no file given is ever changed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

from gateway.core.message import Message
from gateway.core.octets import WINDOW

STANDARD_INPUT: Final = "-"
_STRAY: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\x00")


class FileSource:
    """A `Source` over a file that nobody writes to any more; has a descriptor of its own while it lives."""

    __slots__ = ("_descriptor", "_length")

    def __init__(self, file: BinaryIO) -> None:
        """Take an open file, which the caller closes; its size is taken now."""
        self._length = os.fstat(file.fileno()).st_size
        self._descriptor = os.dup(file.fileno())

    def __del__(self) -> None:
        os.close(self._descriptor)

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets of the half-open range, clipped to what exists."""
        blocks: list[bytes] = []
        position, end = start, min(stop, self._length)
        while position < end:
            block = os.pread(self._descriptor, end - position, position)
            if not block:
                raise OSError("the file became shorter while it was read")
            blocks.append(block)
            position += len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)


class FileBuilder:
    """A `Builder` over an unlinked temporary file, for what does not belong into memory."""

    __slots__ = ("_file",)

    def __init__(self) -> None:
        """Make the file; it vanishes with the last reference to its source."""
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the builder

    def __del__(self) -> None:
        self._file.close()

    def write(self, block: bytes) -> None:
        """Append octets; raises `OSError` when the disk is full."""
        self._file.write(block)

    def finish(self) -> FileSource:
        """Return everything written."""
        self._file.flush()
        return FileSource(self._file)


def read_message(name: str) -> Message:
    """Return the message in a file, or on standard input for "-", as it would be on the wire.

    A file without any CRLF gets one for each LF; a file that has some is taken as it is, bare LF and all: they are
    what somebody wants to know about. Raises `OSError`.
    """
    if name == STANDARD_INPUT:
        source = _copied(sys.stdin.buffer)
    else:
        with Path(name).open("rb") as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            source = FileSource(file) if regular else _copied(file)  # a pipe has no size, and would look empty
    message = Message.from_source(source)
    if message.find(b"\r\n") >= 0 or message.find(b"\n") < 0:
        return message
    wire = FileBuilder()
    for window in message.windows():
        wire.write(window.replace(b"\n", b"\r\n"))
    return Message.from_source(wire.finish())


def _copied(stream: BinaryIO) -> FileSource:
    """Return what a stream holds; what arrives by a pipe can be read once only."""
    copy = FileBuilder()
    shutil.copyfileobj(stream, copy, WINDOW)
    return copy.finish()


def canonical(message: Message) -> bool:
    """Return whether every line ends in CRLF, with no CR, LF or NUL anywhere else: what a transport leaves alone."""
    carry = b""
    for window in message.windows():
        block = carry + window
        carry = b"\r" if block.endswith(b"\r") else b""
        if _STRAY.search(block.removesuffix(b"\r")):
            return False
    return not carry
