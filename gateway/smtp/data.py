"""The message between DATA and its end, read in blocks (RFC 5321 2.3.8, 4.1.1.4, 4.5.2; RFC 1870 6).

Only CRLF.CRLF ends a message: an end that another system would see elsewhere (SMTP smuggling, CVE-2023-51764 and its
kin) must never become a second message here, nor may a bare CR, a bare LF or NUL be passed on.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from gateway.core.errors import InputError, StorageFullError
from gateway.core.message import Message
from gateway.core.octets import Needle
from gateway.core.sevenbit import SevenBitWatch
from gateway.smtp.limits import BLOCK, DRAINED_BEYOND, OVERLONG_LINE, SMALL_SEGMENT
from gateway.smtp.replies import BARE_LINE_END, LINE_TOO_LONG, STORAGE_FULL, too_large

if TYPE_CHECKING:
    from gateway.core.octets import Builder, Source
    from gateway.core.reply import Reply
    from gateway.smtp.room import Share

_END: Final = b"\r\n.\r\n"
_DOT: Final = Needle(_END[:3])
_WHOLE_END: Final = Needle(_END)


class OverlongLineError(InputError):
    """A line is longer than may be read ahead; it has been dropped, up to its end."""


class EndlessMessageError(InputError):
    """A message that cannot be taken does not end either: the connection is closed with the reply."""


class LineReader:
    """The octets a client has sent and nobody has looked at yet: whole lines for commands, blocks for messages.

    Nothing here waits: the connection feeds what landed, and asks again when more has.
    """

    __slots__ = ("_at", "_dropped", "_limit", "octets")

    def __init__(self, *, limit: int) -> None:
        """Begin empty; no line may have more than `limit` octets."""
        self._limit = limit
        self.octets = b""
        """What came last, with what was taken of it already; empty where nothing is left."""
        self._at = 0
        """Where what was not taken yet begins."""
        self._dropped = 0
        """Octets of an overlong line, up to now."""

    def __len__(self) -> int:
        return len(self.octets) - self._at

    def feed(self, octets: bytes) -> None:
        """Take what was received."""
        self.octets = self.octets[self._at :] + octets if self.octets else octets
        self._at = 0

    def line(self) -> bytes | None:
        """Return the next line up to and with its LF, None if its end has not come.

        Raises `OverlongLineError`, or `ConnectionAbortedError` for one that does not end.
        """
        octets, at = self.octets, self._at
        end = octets.find(b"\n", at) + 1
        if not end:
            if len(octets) - at > self._limit:
                self._dropped += len(octets) - at
                self.discard()
                if self._dropped > OVERLONG_LINE:
                    raise ConnectionAbortedError("endless command line")
            return None
        if end == len(octets):
            self.discard()
        else:
            self._at = end
        if self._dropped or end - at - 1 > self._limit:
            self._dropped = 0
            raise OverlongLineError("overlong_line", LINE_TOO_LONG)
        return octets[at:end]

    def block(self) -> bytes:
        """Return all that is here."""
        octets = self.octets[self._at :]
        self.discard()
        return octets

    def unread(self, octets: bytes) -> None:
        """Put octets back before everything else."""
        self.octets, self._at = octets + self.octets[self._at :], 0

    def discard(self) -> None:
        """Forget what is here (RFC 3207 4.2: what came before the handshake was not protected)."""
        self.octets, self._at = b"", 0


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
        octets = self._carry + block if self._carry else block
        dot = _DOT.find(octets)  # of both what must be taken out and the end
        end = dot if dot < 0 or octets.startswith(_END, dot) else _WHOLE_END.find(octets, dot)
        if end >= 0:
            content, rest = octets[: end + 2], octets[end + len(_END) :]
            self._carry = b""
        else:
            cut = len(octets) - _held_back(octets)
            content, rest = octets[:cut], None
            self._carry = octets[cut:]
        if 0 <= dot < len(content) - 2:
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

    __slots__ = ("_builder", "_defect", "_limit", "_pending", "_share", "_watch", "octets")

    def __init__(self, builder: Builder, *, limit: int, share: Share | None = None) -> None:
        """Write to `builder`; `limit` is the most octets a message may have, transparency dots not counted.

        `share` is held until the message has ended.
        """
        self._share = share
        self._builder: Builder | None = builder
        self._defect: _Defect | None = None
        self._limit = limit
        self._pending = bytearray()
        self._watch = SevenBitWatch()
        self.octets = 0

    def take(self, content: bytes) -> None:
        """Append content, never cut between CR and LF; raises `EndlessMessageError`."""
        self.octets += len(content)
        if self._builder is None:
            if self.octets > self._limit + DRAINED_BEYOND:
                raise EndlessMessageError("endless_message", too_large(self.octets, self._limit))
            return
        self._watch.see(content)
        if self.octets > self._limit:
            self._give_up(_Defect.TOO_LARGE)
        elif self._watch.bare:
            self._give_up(_Defect.BARE)
        elif len(content) >= SMALL_SEGMENT and not self._pending:
            self._write(self._builder, content)
        else:
            # tiny segments are gathered: an attacker chooses their number, and each would cost an object or a write()
            self._pending += content
            if len(self._pending) >= BLOCK:
                self._write_pending(self._builder)

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

    def finish(self) -> Message:
        """Return the message; raises `InputError` with the reply if it is not taken."""
        if self._builder is not None and self._pending:
            self._write_pending(self._builder)
        source = self._close()
        if self._share is not None:
            self._share.end()
        match self._defect:
            case None if source is not None:
                return Message.from_source(source, seven_bit_from=self._watch.seven_bit_from)
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

    def _write_pending(self, builder: Builder) -> None:
        pending = bytes(self._pending)
        self._pending.clear()
        self._write(builder, pending)

    def _write(self, builder: Builder, octets: bytes) -> None:
        try:
            builder.write(octets)
        except (OSError, StorageFullError):
            self._give_up(_Defect.FULL)

    def _give_up(self, defect: _Defect) -> None:
        """Drop what was written, and with it its place on the disk."""
        self._defect = defect
        self._builder = None
        self._pending.clear()


class Content(Protocol):
    """A message, or a chunk of one, that is being read."""

    @property
    def octets(self) -> int:
        """How many were read."""
        ...

    def take(self, block: bytes) -> bytes | None:
        """Take a block; return what follows the end, None if that has not come. Raises `EndlessMessageError`."""
        ...


class DottedContent:
    """What follows DATA, up to its dot."""

    __slots__ = ("_scanner", "_sink")

    def __init__(self, sink: DataSink) -> None:
        self._scanner = DataScanner()
        self._sink = sink

    @property
    def octets(self) -> int:
        """How many were read, transparency dots not counted."""
        return self._sink.octets

    def take(self, block: bytes) -> bytes | None:
        """Take a block."""
        content, rest = self._scanner.feed(block)
        self._sink.take(content)
        return rest


class CountedContent:
    """What follows BDAT: so many octets, into nothing where there is no sink."""

    __slots__ = ("_left", "_scanner", "_sink", "octets")

    def __init__(self, size: int, sink: DataSink | None, scanner: ChunkScanner) -> None:
        self._left = size
        self._sink = sink
        self._scanner = scanner
        self.octets = 0

    def take(self, block: bytes) -> bytes | None:
        """Take a block."""
        mine, rest = block[: self._left], block[self._left :]
        self._left -= len(mine)
        self.octets += len(mine)
        if self._sink is not None:
            self._sink.take(self._scanner.feed(mine))
        return None if self._left else rest
