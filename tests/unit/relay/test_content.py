"""Octets on their way through DATA: dots, ends, windows, and no more in memory than a few of them."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message import Message
from gateway.relay.content import blocks, end_of_data
from support.hops import FakeHop
from support.pieces import apart
from support.way_out import carry, path

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.relay.hop import SmtpHop

    HopTo = Callable[..., SmtpHop]


@pytest.mark.parametrize(
    "octets",
    [b"", b"\r\n", b".", b".\r\n", b"..\r\n.", b"a\r\n.\r\nb\r\n", b".\r\n.\r\n.\r\n", b"no end", b"\r\n\r\n.a\r\n"],
)
async def test_dots_survive(hop_to: HopTo, octets: bytes) -> None:
    """A line that begins with a dot arrives as it was, and never ends the data (RFC 5321 4.5.2)."""
    async with FakeHop() as fake:
        await carry(await hop_to(fake).begin(), Message.of(octets))
        ended = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
        assert fake.messages[0].octets == ended
        assert fake.dots == 1


@given(st.lists(st.sampled_from([b".", b"\r\n", b"a", b"\n", b"\r"]), max_size=30), st.integers(1, 7))
def test_windows_do_not_matter(pieces: list[bytes], window: int) -> None:
    """However the octets are cut, the wire sees the same, and the end of data once, at the end."""
    message = apart(pieces)
    whole = Message.of(message.octets())
    sent = b"".join(blocks(message, window=window)) + end_of_data(message)
    assert sent == b"".join(blocks(whole)) + end_of_data(whole)
    assert (b"\r\n" + sent).find(b"\r\n.\r\n") == len(sent) - 3
    assert (b"\n" + sent).find(b"\n.\r\n") == len(sent) - 3


class Endless:
    """A source of 25 MB that exists only while it is read."""

    line = b"x" * 74 + b"\r\n"

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.read_to = 0

    def __len__(self) -> int:
        return self.lines * 76

    def read(self, start: int, stop: int) -> bytes:
        """Return octets of the range."""
        self.read_to = max(self.read_to, stop)
        offset = start % 76
        return (self.line * ((stop - start) // 76 + 2))[offset : offset + stop - start]


class Sink:
    """A hop that counts and hashes the content, and reads nothing of it before it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.digest = hashlib.sha256()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one message."""
        writer.write(b"220 sink.example\r\n")
        while not (line := await reader.readline()).startswith(b"DATA"):
            writer.write(b"250 sink.example\r\n" if line else b"")
        writer.write(b"354 go\r\n")
        await self.go.wait()
        tail = b""
        while not tail.endswith(b"\r\n.\r\n"):
            block = await reader.read(65536)
            self.digest.update(block)
            tail = (tail + block)[-5:]
        writer.write(b"250 2.0.0 queued\r\n")
        await reader.read()
        writer.close()


async def test_25_megabytes_wait_for_the_hop_and_not_in_memory(hop_to: HopTo) -> None:
    """Back-pressure: a hop that does not read stops us reading the body; memory holds a few windows."""
    source = Endless(25 * 1024 * 1024 // 76)
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    async with server:
        hop = hop_to(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        transaction = await hop.begin()
        await transaction.envelope(path())
        tracemalloc.start()
        try:
            task = asyncio.create_task(transaction.content(Message.from_source(source)))
            await asyncio.sleep(0.3)
            assert source.read_to < 16 * 1024 * 1024  # what the kernel's socket buffers take, and two windows
            assert not transaction.dot_sent
            sink.go.set()
            assert (await task)[0].code == 250
            assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
        finally:
            tracemalloc.stop()
        expected = hashlib.sha256(Endless.line * source.lines + b".\r\n").hexdigest()
        assert sink.digest.hexdigest() == expected
        await hop.close()
