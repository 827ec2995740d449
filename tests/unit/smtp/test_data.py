"""Between DATA and its end: any chunking of the same octets is the same message, and only CRLF.CRLF ends it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.errors import InputError, StorageFullError
from gateway.core.octets import MemoryBuilder, MemorySource
from gateway.smtp.data import DataScanner, DataSink, EndlessMessageError, LineReader, OverlongLineError
from gateway.smtp.limits import BLOCK, DRAINED_BEYOND, OVERLONG_LINE, READ_AHEAD, SMALL_SEGMENT
from support.smtp_side import SmallDisk

OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\0", b"\r\n", b"\r\n.", b"\r\n.\r\n"]), max_size=24).map(
    b"".join
)
CUTS = st.lists(st.integers(0, 100), max_size=12)


def scan(octets: bytes, cuts: list[int]) -> tuple[bytes, bytes | None, list[bytes]]:
    """Return content, what follows the end (None without an end), and the pieces the content came in."""
    scanner = DataScanner()
    borders = sorted({0, *(cut for cut in cuts if cut < len(octets)), len(octets)})
    pieces: list[bytes] = []
    for start, stop in pairwise(borders):
        content, rest = scanner.feed(octets[start:stop])
        pieces.append(content)
        if rest is not None:
            return b"".join(pieces), rest + octets[stop:], pieces
    return b"".join(pieces), None, pieces


def by_the_book(octets: bytes) -> tuple[bytes, bytes] | None:
    """Return content and rest as RFC 5321 4.5.2 says it, line by line; None if the end does not come."""
    content = b""
    while True:
        line, end, octets = octets.partition(b"\r\n")
        if not end:
            return None
        if line == b".":
            return content, octets
        content += (line[1:] if line.startswith(b".") else line) + end


@given(OCTETS, CUTS)
@example(b".\r\n", [1, 2])
@example(b"a\r\n.\r\n", [1, 2, 3, 4, 5])
@example(b"\r\n..\r\n.\r\nrest", [3])
@example(b"\r\n.\r.\r\n.\r\n", [4])
def test_any_chunking_gives_what_the_book_says(octets: bytes, cuts: list[int]) -> None:
    """Where blocks end makes no difference: content, dots and rest are those of RFC 5321."""
    content, rest, pieces = scan(octets, cuts)
    expected = by_the_book(octets)
    if expected is None:
        assert rest is None
        whole = by_the_book(octets + b"\r\n.\r\n")
        assert whole is not None
        assert whole[0].startswith(content)
    else:
        assert (content, rest) == expected
    assert not any(one.endswith(b"\r") and other.startswith(b"\n") for one, other in pairwise(pieces))


LOOK_ALIKES = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
    b"\r\n. \r\n", b"\r\n .\r\n", b"\r\n..\r\n", b"\n\n.\n\n", b"\r\r\n.\r\r\n", b"\x85.\x85", b"\x0b.\x0b",
    b"\r\n\xef\xbb\xbf.\r\n",
]  # fmt: skip


@pytest.mark.parametrize("trick", LOOK_ALIKES)
@given(cuts=CUTS)
def test_a_look_alike_ends_nothing(trick: bytes, cuts: list[int]) -> None:
    """No smuggling (CVE-2023-51764 and its kin): what others may take for the end is inside the message."""
    content, rest, _ = scan(b"x" + trick + b"MAIL FROM:<evil@x.example>\r\n.\r\nQUIT\r\n", cuts)
    assert rest == b"QUIT\r\n"
    assert content.endswith(b"MAIL FROM:<evil@x.example>\r\n")


def sunk(*pieces: bytes, limit: int = 10**6) -> bytes | str:
    """Return the content that was taken, or the reason why it was not."""
    sink = DataSink(MemoryBuilder(), limit=limit)
    for piece in pieces:
        sink.take(piece)
    try:
        source = sink.finish()
    except InputError as error:
        return error.reason
    return source.read(0, len(source))


@pytest.mark.parametrize("octets", [b"a\rb", b"a\nb", b"\r\n\n", b"\r\r\n", b"a\0b", b"\n", b"\r", b"\0"])
def test_bare_line_ends_and_nul_are_refused(octets: bytes) -> None:
    """What would end a line for somebody else is not passed on, wherever it stands."""
    assert sunk(octets + b"\r\n") == "bare_line_end"
    assert sunk(b"good\r\n", octets + b"\r\n", b"good\r\n") == "bare_line_end"


@given(OCTETS, CUTS)
def test_what_is_taken_has_clean_lines(octets: bytes, cuts: list[int]) -> None:
    """A scanned message is taken exactly if each CR and LF of it is part of a CRLF and there is no NUL."""
    _, rest, pieces = scan(octets + b"\r\n.\r\n", cuts)
    assert rest is not None
    content = b"".join(pieces)
    bare = content.replace(b"\r\n", b"")
    clean = not any(each in bare for each in (b"\r", b"\n", b"\0"))
    assert sunk(*pieces) == (content if clean else "bare_line_end")


@given(st.lists(st.sampled_from([1, 7, SMALL_SEGMENT - 1, SMALL_SEGMENT, SMALL_SEGMENT + 1, BLOCK]), max_size=9))
def test_large_and_small_segments_keep_their_order(sizes: list[int]) -> None:
    """What is gathered and what is written at once stand in the message as they came."""
    pieces = [bytes([0x41 + number]) * size for number, size in enumerate(sizes)]
    assert sunk(*pieces) == b"".join(pieces)


def test_the_size_limit_is_exact() -> None:
    """The limit counts content octets after the transparency dots: one more is refused, in whatever pieces."""
    assert sunk(b"x" * 98 + b"\r\n", limit=100) == b"x" * 98 + b"\r\n"
    assert sunk(b"x" * 99 + b"\r\n", limit=100) == "too_large"
    assert sunk(*([b"xx"] * 51), limit=100) == "too_large"


def test_a_message_that_is_refused_is_read_to_its_end_but_not_for_ever() -> None:
    """The session stays in step with an honest client; an endless one is cut off."""
    sink = DataSink(MemoryBuilder(), limit=100)
    block = bytes(BLOCK).replace(b"\0", b"x")
    for _ in range(DRAINED_BEYOND // BLOCK):
        sink.take(block)
    with pytest.raises(EndlessMessageError) as caught:
        sink.take(block)
    assert caught.value.reply is not None
    assert str(caught.value.reply).startswith("552 5.3.4")


def test_a_full_disk_is_told_as_such() -> None:
    """452 4.3.1, whether the disk is full in the middle, at the last octets, or at the end."""
    for room, octets in ((10, b"x" * 3 * BLOCK), (BLOCK + 1, b"x" * (BLOCK + 10)), (10, b"x" * 11)):
        sink = DataSink(SmallDisk(room), limit=10**9)
        for start in range(0, len(octets), 1000):
            sink.take(octets[start : start + 1000])
        with pytest.raises(InputError) as caught:
            sink.finish()
        assert caught.value.reason == "storage_full"
        assert str(caught.value.reply).startswith("452 4.3.1")


class FullAtTheEnd(MemoryBuilder):
    """A place whose last octets do not fit."""

    def finish(self) -> MemorySource:
        """Fail."""
        raise StorageFullError("full")


def test_a_disk_that_is_full_at_the_end_is_told_as_such() -> None:
    """What could not be finished was not taken."""
    sink = DataSink(FullAtTheEnd(), limit=100)
    sink.take(b"x\r\n")
    with pytest.raises(InputError) as caught:
        sink.finish()
    assert caught.value.reason == "storage_full"


class Counting(MemoryBuilder):
    """Counts how often it is written to."""

    def __init__(self) -> None:
        """Begin."""
        super().__init__()
        self.writes = 0

    def write(self, block: bytes) -> None:
        """Count."""
        self.writes += 1
        super().write(block)


def test_tiny_pieces_are_gathered() -> None:
    """A client chooses the number of its segments: it does not choose the number of writes."""
    builder = Counting()
    sink = DataSink(builder, limit=10**9)
    for _ in range(BLOCK):
        sink.take(b"xy")
    assert len(sink.finish()) == 2 * BLOCK
    assert builder.writes <= 3


def reader(octets: bytes) -> LineReader:
    """Return a reader that was fed some octets."""
    made = LineReader(limit=READ_AHEAD)
    made.feed(octets)
    return made


def test_lines_and_blocks_of_one_stream() -> None:
    """A line, a message in blocks, what follows it given back, a line: nothing is lost on the way."""
    lines = reader(b"DATA\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n")
    assert lines.line() == b"DATA\r\n"
    assert len(lines) == 18
    content, rest = DataScanner().feed(lines.block())
    assert (content, rest) == (b"x\r\n", b"NOOP\r\nQUIT\r\n")
    assert len(lines) == 0
    lines.unread(rest or b"")
    assert [lines.line(), lines.line(), lines.line()] == [b"NOOP\r\n", b"QUIT\r\n", None]
    assert (lines.block(), len(lines)) == (b"", 0)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_lines_are_the_same_however_they_come(size: int) -> None:
    """Segments end anywhere: in a line, between CR and LF, behind several lines."""
    stream = b"NOOP\r\n\r\nRSET\r\nMAIL FROM:<lan@so.example>\r\nQUIT\r\nDA"
    lines, found = LineReader(limit=READ_AHEAD), []
    for start in range(0, len(stream), size):
        lines.feed(stream[start : start + size])
        while (line := lines.line()) is not None:
            found.append(line)
    assert (b"".join(found), lines.block()) == (stream[:-2], b"DA")
    assert all(each.find(b"\n") == len(each) - 1 for each in found)


def test_what_is_put_back_comes_before_everything_else() -> None:
    """Also before what came meanwhile, behind what was taken."""
    lines = reader(b"NOOP\r\nRSET\r\n")
    assert lines.line() == b"NOOP\r\n"
    lines.unread(b"QUIT\r\n")
    assert lines.block() == b"QUIT\r\nRSET\r\n"


def test_an_overlong_line_is_dropped_whole() -> None:
    """The line after it is the next command; an endless one is not read for ever."""
    for cut in (2 * READ_AHEAD, 3 * READ_AHEAD + 1):
        stream = b"x" * (3 * READ_AHEAD) + b"\r\nNOOP\r\n"
        lines = reader(stream[:cut])
        assert (lines.line(), len(lines)) == (None, 0)
        lines.feed(stream[cut:])
        with pytest.raises(OverlongLineError):
            lines.line()
        assert lines.line() == b"NOOP\r\n"
    lines = reader(b"x" * (READ_AHEAD + 1) + b"\n")
    with pytest.raises(OverlongLineError):
        lines.line()
    lines = reader(b"x" * (OVERLONG_LINE + 2 * READ_AHEAD))
    with pytest.raises(ConnectionAbortedError):
        lines.line()


def test_what_was_sent_ahead_can_be_forgotten() -> None:
    """Nothing said in the clear is a command after the handshake (CVE-2011-0411)."""
    lines = reader(b"RSET\r\nMAIL FROM:<evil@x.example>\r\n")
    lines.line()
    lines.discard()
    assert (lines.line(), lines.block()) == (None, b"")
