"""The message between DATA and its end, read in blocks (RFC 5321 2.3.8, 4.1.1.4, 4.5.2; RFC 1870 6).

Only CRLF.CRLF ends a message: an end that another system would see elsewhere (SMTP smuggling, CVE-2023-51764 and its
kin) must never become a second message here, nor may a bare CR, a bare LF or NUL be passed on.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Final

from gateway.core.errors import InputError, StorageFullError
from gateway.smtp.limits import BLOCK, DRAINED_BEYOND, OVERLONG_LINE
from gateway.smtp.replies import BARE_LINE_END, LINE_TOO_LONG, STORAGE_FULL, too_large

if TYPE_CHECKING:
    from gateway.core.octets import Builder, Source
    from gateway.core.reply import Reply
    from gateway.smtp.room import Share

_END: Final = b"\r\n.\r\n"


class OverlongLineError(InputError):
    """A line is longer than may be read ahead; it has been dropped, up to its end."""


class EndlessMessageError(InputError):
    """A message that cannot be taken does not end either: the connection is closed with the reply."""


class LineReader(asyncio.StreamReader):
    """The octets a client has sent: whole lines for commands, blocks for messages, and room to give a rest back."""

    _buffer: bytearray
    _paused: bool
    _transport: asyncio.ReadTransport

    @property
    def has_line(self) -> bool:
        """True if a whole line can be had without waiting."""
        return b"\n" in self._buffer

    async def line(self) -> bytes:
        """Return the next line up to and with its LF.

        Raises `OverlongLineError`, `IncompleteReadError` at the end of the connection, or `ConnectionError`.
        """
        dropped = 0
        while True:
            try:
                line = await self.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                dropped += len(await self.readexactly(error.consumed))
                if dropped > OVERLONG_LINE:
                    raise ConnectionAbortedError("endless command line") from error
                continue
            if dropped:
                raise OverlongLineError("overlong_line", LINE_TOO_LONG)
            return line

    async def block(self) -> bytes:
        """Return what is there, at least one octet and at most `BLOCK`; raises as `line` does."""
        block = await self.read(BLOCK)
        if not block:
            raise asyncio.IncompleteReadError(b"", None)
        return block

    def unread(self, octets: bytes) -> None:
        """Put octets back before everything else."""
        self._buffer[:0] = octets

    def discard(self) -> None:
        """Forget everything that was sent ahead (RFC 3207 4.2: what came before the handshake was not protected)."""
        self._buffer.clear()

    def move_to(self, transport: asyncio.ReadTransport) -> None:
        """Take further octets from another transport; the one left behind must not stay paused."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._transport = transport


class DataScanner:
    """Finds the end of a message and takes the transparency dots out, whatever the borders of the blocks.

    Linear in the octets: nothing is looked at more than a constant number of times.
    """

    __slots__ = ("_carry", "_virtual")

    def __init__(self) -> None:
        """Begin at the start of a line, as if a CRLF had come before: ".CRLF" right away is an empty message."""
        self._carry = b"\r\n"
        self._virtual = True

    def feed(self, block: bytes) -> tuple[bytes, bytes | None]:
        """Return the content that is certain by now, and what follows the end (None: the end has not come).

        Content is never cut between CR and LF.
        """
        octets = self._carry + block
        end = octets.find(_END)
        if end >= 0:
            content, rest = octets[: end + 2], octets[end + len(_END) :]
            self._carry = b""
        else:
            cut = len(octets) - _held_back(octets)
            content, rest = octets[:cut], None
            self._carry = octets[cut:]
        if b"\r\n." in content:
            content = content.replace(b"\r\n.", b"\r\n")
        if self._virtual and content:
            self._virtual = False
            content = content[2:]
        return content, rest


class ChunkScanner:
    """Passes the octets of chunks on, never cut between CR and LF, and ends the last line if the client did not."""

    __slots__ = ("_carry", "_last")

    def __init__(self) -> None:
        """Begin an empty message."""
        self._carry = b""
        self._last = b"\r\n"

    def feed(self, block: bytes) -> bytes:
        """Return the content that is certain by now."""
        octets = self._carry + block
        self._carry = b"\r" if octets.endswith(b"\r") else b""
        content = octets[: len(octets) - len(self._carry)]
        self._last = (self._last + content[-2:])[-2:]
        return content

    def end(self) -> bytes:
        """Return what completes the message: an empty one, and one that ends its last line, need nothing."""
        rest, self._carry = self._carry, b""
        return rest or (b"" if self._last == b"\r\n" else b"\r\n")


def _held_back(octets: bytes) -> int:
    """Return how many octets at the end may be the beginning of the end of data."""
    for length in range(len(_END) - 1, 0, -1):
        if octets.endswith(_END[:length]):
            return length
    return 0


class _Defect(Enum):
    """Why a message that is still being read will not be taken."""

    BARE = "bare"
    TOO_LARGE = "too_large"
    FULL = "full"


class DataSink:
    """Writes content to its place until a defect is found, then counts on so that the session stays in step."""

    __slots__ = ("_builder", "_defect", "_limit", "_pending", "_share", "octets")

    def __init__(self, builder: Builder, *, limit: int, share: Share | None = None) -> None:
        """Write to `builder`; `limit` is the most octets a message may have, transparency dots not counted.

        `share` is held until the message has ended.
        """
        self._share = share
        self._builder: Builder | None = builder
        self._defect: _Defect | None = None
        self._limit = limit
        self._pending = bytearray()
        self.octets = 0

    def take(self, content: bytes) -> None:
        """Append content; raises `EndlessMessageError`."""
        self.octets += len(content)
        if self._builder is None:
            if self.octets > self._limit + DRAINED_BEYOND:
                raise EndlessMessageError("endless_message", too_large(self.octets, self._limit))
            return
        if self.octets > self._limit:
            self._give_up(_Defect.TOO_LARGE)
        elif _has_bare(content):
            self._give_up(_Defect.BARE)
        else:
            # tiny segments are gathered: an attacker chooses their number, and each would cost an object or a write()
            self._pending += content
            if len(self._pending) >= BLOCK:
                self._write(self._builder)

    @property
    def refusal(self) -> Reply | None:
        """Why the message will not be taken; None while nothing is wrong with it."""
        match self._defect:
            case None:
                return None
            case _Defect.TOO_LARGE:
                return too_large(self.octets, self._limit)
            case _Defect.BARE:
                return BARE_LINE_END
            case _Defect.FULL:
                return STORAGE_FULL

    def finish(self) -> Source:
        """Return what was written; raises `InputError` with the reply if the message is not taken."""
        if self._builder is not None and self._pending:
            self._write(self._builder)
        source = self._close()
        if self._share is not None:
            self._share.end()
        match self._defect:
            case None if source is not None:
                return source
            case _Defect.TOO_LARGE:
                raise InputError("too_large", too_large(self.octets, self._limit))
            case _Defect.BARE:
                raise InputError("bare_line_end", BARE_LINE_END)
            case _:
                raise InputError("storage_full", STORAGE_FULL)

    def _close(self) -> Source | None:
        try:
            return self._builder.finish() if self._builder is not None else None
        except (OSError, StorageFullError):
            self._give_up(_Defect.FULL)
            return None

    def _write(self, builder: Builder) -> None:
        try:
            builder.write(bytes(self._pending))
        except (OSError, StorageFullError):
            self._give_up(_Defect.FULL)
        self._pending.clear()

    def _give_up(self, defect: _Defect) -> None:
        """Drop what was written, and with it its place on the disk."""
        self._defect = defect
        self._builder = None
        self._pending.clear()


def _has_bare(content: bytes) -> bool:
    """True if content holds NUL, or a CR or LF that is not part of a CRLF."""
    pairs = content.count(b"\r\n")
    return content.count(b"\n") != pairs or content.count(b"\r") != pairs or b"\0" in content
