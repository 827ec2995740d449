"""What a client sends ahead is bounded, and its octets are its own: many sessions land in one place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.smtp.data import LineReader
from gateway.smtp.limits import READ_AHEAD
from support.smtp_side import House, call, listener, tls_files

if TYPE_CHECKING:
    from pathlib import Path


class Transport(asyncio.ReadTransport):
    """Remembers whether it is to read."""

    reading = True

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


def attached() -> tuple[LineReader, Transport]:
    """Return a reader of a transport."""
    reader, transport = LineReader(limit=READ_AHEAD, loop=asyncio.get_running_loop()), Transport()
    reader.move_to(transport)
    return reader, transport


async def test_nobody_reads_ahead_without_end() -> None:
    """While the session does other things, what is sent stays with the client; it goes on when all was taken."""
    reader, transport = attached()
    reader.feed_data(b"NOOP\r\n" * (READ_AHEAD // 6))
    assert transport.reading
    reader.feed_data(b"NOOP\r\n")
    assert not transport.reading
    for _ in range(READ_AHEAD // 6 + 1):
        assert await reader.line() == b"NOOP\r\n"
    waiting = asyncio.create_task(reader.line())
    await asyncio.sleep(0)
    assert transport.reading
    reader.feed_data(b"QUIT\r\n")
    assert await waiting == b"QUIT\r\n"


async def test_a_second_segment_before_the_session_woke_is_counted() -> None:
    """A session that was woken and has not run yet does not wait any more."""
    reader, transport = attached()
    waiting = asyncio.create_task(reader.block())
    await asyncio.sleep(0)
    reader.feed_data(b"x")
    assert not reader.wants_blocks
    reader.feed_data(b"x" * (READ_AHEAD + 1))
    assert not transport.reading
    assert (await waiting, await reader.block()) == (b"x", b"x" * (READ_AHEAD + 1))


async def test_a_session_that_waits_for_a_block_gets_it_whole() -> None:
    """Only while it does is there room for a large one; a line is never taken for a block."""
    reader, _ = attached()
    reader.feed_data(b"a")
    assert await reader.block() == b"a"
    for awaited, wanted in ((reader.block, b"bc\r\n"), (reader.line, b"bc\r\n")):
        waiting = asyncio.create_task(awaited())
        await asyncio.sleep(0)
        assert reader.wants_blocks is (awaited == reader.block)
        reader.feed_data(b"bc\r\n")
        assert await waiting == wanted
        assert not reader.wants_blocks


async def test_a_transport_that_is_left_is_not_left_paused() -> None:
    """The handshake reads from it; the new one is read from the start."""
    reader, old = attached()
    reader.feed_data(b"x" * (READ_AHEAD + 1))
    assert not old.reading
    new = Transport()
    reader.move_to(new)
    assert (old.reading, new.reading) == (True, True)


async def test_why_a_connection_ended_is_told_to_who_reads() -> None:
    """An error is raised as it is, also for whoever was waiting already; it does not become an end of the stream."""
    reader, _ = attached()
    waiting = asyncio.create_task(reader.line())
    await asyncio.sleep(0)
    reader.feed_eof(ConnectionResetError("reset"))
    reader.feed_eof()
    for read in (waiting, reader.block(), reader.line()):
        with pytest.raises(ConnectionResetError, match="reset"):
            await read


async def test_an_end_is_no_block() -> None:
    """Whoever waits for octets when the client leaves is told so, and given none."""
    reader, _ = attached()
    waiting = asyncio.create_task(reader.block())
    await asyncio.sleep(0)
    reader.feed_eof()
    with pytest.raises(asyncio.IncompleteReadError):
        await waiting


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
async def test_no_session_gets_the_octets_of_another(tmp_path: Path, *, tls: bool) -> None:
    """Messages that arrive in alternating pieces, of any size, are each their sender's to the octet."""
    settings = listener(tls=tls_files(tmp_path, "implicit")) if tls else listener()
    house, sessions = House(settings=settings), 8
    wanted = {
        f"lan{each}@so.example": f"From: {each}\r\n\r\n".encode() + b"%d\r\n" % each * 9000 for each in range(sessions)
    }
    async with house.serving() as server:

        async def one(sender: str, content: bytes) -> None:
            async with call(server, tls=tls) as talker:
                await talker.envelope(sender)
                for start in range(0, len(content), 1777):
                    await talker.raw(content[start : start + 1777])
                    await asyncio.sleep(0)
                assert (await talker.ask("."))[:3] == "250"

        async with asyncio.TaskGroup() as group:
            for sender, content in wanted.items():
                group.create_task(one(sender, content))
    assert {
        str(each.arrival.envelope.reverse_path): each.arrival.message.octets() for each in house.intake.taken
    } == wanted
