"""BDAT: exact octets, the limits of DATA, and nothing in a chunk that could become a command (RFC 3030)."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from gateway.core.errors import StorageFullError
from support.smtp_side import House, SmallDisk, call, listener, tls_files

if TYPE_CHECKING:
    from pathlib import Path

    from support.smtp_side import Talker

LETTER = b"Subject: x\r\n\r\none\r\n.\r\n..two\r\nMAIL FROM:<smuggled@b.example>\r\n"


async def begin(talker: Talker) -> None:
    """Say MAIL and RCPT."""
    assert (await talker.ask("MAIL FROM:<lan@so.example>"))[:3] == "250"
    assert (await talker.ask("RCPT TO:<mai@hop.example>"))[:3] == "250"


def chunks(octets: bytes, *cuts: int) -> bytes:
    """Return the octets as chunks, cut at some places, the last one with LAST."""
    ends = (0, *cuts, len(octets))
    parts = [octets[a:b] for a, b in itertools.pairwise(ends)]
    words = [""] * (len(parts) - 1) + [" LAST"]
    return b"".join(
        b"BDAT %d%b\r\n%b" % (len(part), word.encode(), part) for part, word in zip(parts, words, strict=True)
    )


async def test_the_octets_are_the_clients_wherever_they_are_cut() -> None:
    """No dot is taken out, no line ends a message, and every border of chunks gives the same message."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        for cut in range(len(LETTER) + 1):
            await begin(talker)
            await talker.raw(chunks(LETTER, cut))
            assert (await talker.hear())[-1] == f"250 2.0.0 {cut} octets received"
            assert (await talker.hear())[-1] == "250 2.0.0 taken"
    assert set(house.intake.octets) == {LETTER}


async def test_everything_in_one_write() -> None:
    """MAIL, RCPT, BDAT and the next MAIL may come together (RFC 3030 4.2)."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        envelope = b"MAIL FROM:<lan@so.example>\r\nRCPT TO:<mai@hop.example>\r\n"
        await talker.raw((envelope + chunks(LETTER, 5, 5, 30)) * 2 + b"QUIT\r\n")
        heard = await talker.hear_all()
        assert [each[:3] for each in heard] == ["250"] * 12 + ["221"]
    assert house.intake.octets == [LETTER, LETTER]


@pytest.mark.parametrize(("octets", "taken"), [(b"", b""), (b"x", b"x\r\n"), (b"x\r\n", b"x\r\n")])
async def test_the_last_line_ends(octets: bytes, taken: bytes) -> None:
    """A message without a final line end gets one, as it would on any way through DATA; an empty one stays empty."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await begin(talker)
        await talker.raw(chunks(octets))
        assert (await talker.hear())[-1] == "250 2.0.0 taken"
    assert house.intake.octets == [taken]


@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"a\r\n.\n", b"end\r"])
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
async def test_bare_line_ends_are_refused(octets: bytes, cut: int) -> None:
    """What DATA refuses BDAT refuses too, across the borders of chunks; the session stays in step."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await begin(talker)
        await talker.raw(chunks(octets, cut) + b"NOOP\r\n")
        heard = [(await talker.hear())[-1][:9] for _ in range(3)]
        assert "550 5.6.0" in heard
        assert heard[-1] == "250 2.0.0"
        assert "250 2.0.0 taken" not in heard
    assert house.intake.taken == []


async def test_a_refused_chunk_ends_the_message() -> None:
    """After a chunk is refused the others are read and refused, LAST too, until RSET (RFC 3030 2)."""
    house = House(limit=65536)
    async with house.serving() as server, call(server) as talker:
        await begin(talker)
        await talker.raw(chunks(b"x" * 70_000, 66_000, 67_000))
        assert [(await talker.hear())[-1][:9] for _ in range(3)] == ["552 5.3.4", "503 5.5.1", "503 5.5.1"]
        assert (await talker.ask("DATA"))[:9] == "503 5.5.1"
        assert (await talker.ask("RSET"))[:3] == "250"
        await begin(talker)
        await talker.raw(chunks(LETTER))
        assert (await talker.hear())[-1] == "250 2.0.0 taken"
    assert house.intake.octets == [LETTER]


async def test_chunks_nobody_asked_for_are_no_commands() -> None:
    """Without a transaction or a recipient the octets are read and dropped."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        smuggled = chunks(b"MAIL FROM:<a@b.example>\r\n\r\n")
        await talker.raw(smuggled)
        assert (await talker.hear())[-1][:9] == "503 5.5.1"
        assert (await talker.ask("MAIL FROM:<lan@so.example>"))[:3] == "250"
        await talker.raw(smuggled)
        assert (await talker.hear())[-1][:9] == "503 5.5.1"
        assert (await talker.ask("NOOP"))[:3] == "250"
    assert house.intake.taken == []


@pytest.mark.parametrize(
    "line",
    ["BDAT", "BDAT x", "BDAT -1 LAST", "BDAT 5 LASt x", "BDAT 0x5", "BDAT ٣", f"BDAT {10**12}", "BDAT 5" + " " * 600],
)
async def test_a_chunk_of_unknown_size_ends_the_connection(line: str) -> None:
    """Nobody knows where the next command begins."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await begin(talker)
        await talker.raw(line.encode() + b"\r\nNOOP\r\n")
        heard = await talker.hear_all()
        assert len(heard) == 1
        assert heard[0][0] == "5"
    assert house.intake.taken == []


async def test_data_and_chunks_do_not_mix() -> None:
    """DATA after BDAT is out of order (RFC 3030 2), and BINARYMIME, which is not offered, is refused."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        assert (await talker.ask("MAIL FROM:<lan@so.example> BODY=BINARYMIME"))[:9] == "501 5.5.4"
        await begin(talker)
        await talker.raw(b"BDAT 3\r\nx\r\n")
        assert (await talker.hear())[-1][:3] == "250"
        assert (await talker.ask("DATA"))[:9] == "503 5.5.1"
        await talker.raw(b"BDAT 0 LAST\r\n")
        assert (await talker.hear())[-1] == "250 2.0.0 taken"
    assert house.intake.octets == [b"x\r\n"]


async def test_a_full_disk_is_452() -> None:
    """At the first chunk, or when it fills while chunks come: nothing is kept."""
    house = House()
    house.bodies.make = lambda: SmallDisk(100_000)
    async with house.serving() as server, call(server) as talker:
        await begin(talker)
        await talker.raw(chunks(b"x" * 200_000, 150_000))
        assert [(await talker.hear())[-1][:9] for _ in range(2)] == ["452 4.3.1", "503 5.5.1"]

        def nothing() -> SmallDisk:
            raise StorageFullError("full")

        house.bodies.make = nothing
        assert (await talker.ask("RSET"))[:3] == "250"
        await begin(talker)
        await talker.raw(chunks(LETTER))
        assert (await talker.hear())[-1][:9] == "452 4.3.1"
    assert house.intake.taken == []


async def test_a_client_that_leaves_inside_a_chunk_leaves_nothing() -> None:
    """Half a chunk is no message, with LAST or without."""
    house = House()
    async with house.serving() as server:
        for word in (b"", b" LAST"):
            async with call(server) as talker:
                await begin(talker)
                await talker.raw(b"BDAT 1000%b\r\nhalf" % word)
                talker.writer.write_eof()
                assert (await talker.hear_all()) == []
        await asyncio.sleep(0.05)
    assert house.intake.taken == []


async def test_thousands_of_chunks_are_no_idle_commands() -> None:
    """An honest client may send small chunks of a large message; empty ones for ever end the session."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await begin(talker)
        await talker.raw(b"".join(b"BDAT 1024\r\n" + b"x" * 1022 + b"\r\n" for _ in range(900)))
        for _ in range(900):
            assert (await talker.hear())[-1][:3] == "250"
        await talker.raw(b"BDAT 0 LAST\r\n")
        assert (await talker.hear())[-1] == "250 2.0.0 taken"
        await begin(talker)
        await talker.raw(b"BDAT 0\r\n" * 1100)
        assert (await talker.hear_all())[-1][:9] == "421 4.7.0"


@pytest.mark.parametrize("piece", [1, 7, 61])
async def test_however_the_octets_arrive(piece: int) -> None:
    """Pieces of the network's choosing change nothing, and the command behind the last chunk is the next command."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await begin(talker)
        octets = chunks(LETTER, 3, 14, 40) + b"QUIT\r\n"
        for start in range(0, len(octets), piece):
            await talker.raw(octets[start : start + piece])
            await asyncio.sleep(0.001)
        assert [each[:3] for each in await talker.hear_all()] == ["250"] * 4 + ["221"]
    assert house.intake.octets == [LETTER]


async def test_a_chunk_where_tls_is_required_ends_the_connection(tmp_path: Path) -> None:
    """It is refused before it is read: what follows must not be taken for commands."""
    house = House(settings=listener(tls=tls_files(tmp_path, "starttls").model_dump()))
    async with house.serving() as server, call(server) as talker:
        await talker.raw(b"BDAT 6 LAST\r\nNOOP\r\n")
        assert [each[:9] for each in await talker.hear_all()] == ["530 5.7.0"]
    assert house.intake.taken == []
