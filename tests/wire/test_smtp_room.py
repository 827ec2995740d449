"""The budget for messages that are being read: who waits, who is asked to come back, and that room is given back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.smtp.room import READING, Room
from support.smtp_side import House, call

if TYPE_CHECKING:
    from support.smtp_side import Talker

ENVELOPE = ("MAIL FROM:<lan@so.example>", "RCPT TO:<mai@hop.example>", "DATA")


async def ready(talker: Talker) -> str:
    """Ask for a DATA; return the reply to it."""
    await talker.say(*ENVELOPE)
    return [(await talker.hear())[-1] for _ in range(3)][-1][:9]


async def test_beyond_the_budget_a_client_waits_for_its_turn() -> None:
    """The third message of two that fit gets its 354 when one of them has ended, and nobody is refused."""
    house = House(room=Room(2 * READING))
    async with house.serving() as server, call(server) as a, call(server) as b, call(server) as c:
        assert (await ready(a))[:3] == "354"
        assert (await ready(b))[:3] == "354"
        waiting = asyncio.create_task(ready(c))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await b.raw(b"x\r\n.\r\n")
        assert (await b.hear())[-1][:3] == "250"
        assert (await waiting)[:3] == "354"


async def test_who_waits_too_long_is_asked_to_come_back() -> None:
    """452 4.3.1, and the session goes on; chunks are read to their end all the same."""
    house = House(room=Room(READING, patience=0.1))
    async with house.serving() as server, call(server) as a, call(server) as b:
        assert (await ready(a))[:3] == "354"
        assert await ready(b) == "452 4.3.1"
        await b.raw(b"BDAT 6 LAST\r\nNOOP\r\n")
        assert (await b.hear())[-1][:9] == "452 4.3.1"
        await a.raw(b"x\r\n.\r\n")
        assert (await a.hear())[-1][:3] == "250"
        assert (await b.ask("RSET"))[:3] == "250"
        assert (await ready(b))[:3] == "354"


@pytest.mark.parametrize("end", ["end", "reset", "gone", "refused", "chunks", "chunk_refused", "helo"])
async def test_whatever_ends_a_message_gives_its_room_back(end: str) -> None:
    """Room that leaks would end all mail some day."""
    house = House(room=Room(READING, patience=30.0), limit=65536)
    async with house.serving() as server:
        for _ in range(3):
            async with call(server) as talker:
                if end in {"reset", "chunks", "chunk_refused", "helo"}:
                    await talker.say(*ENVELOPE[:2])
                    await talker.raw(b"BDAT 2\r\n\r\n" if end != "chunk_refused" else b"BDAT 2\r\n\n\n")
                    replies = [(await talker.hear())[-1][:3] for _ in range(3)]
                    assert replies == ["250", "250", "550" if end == "chunk_refused" else "250"]
                    if end == "chunks":
                        await talker.raw(b"BDAT 0 LAST\r\n")
                        assert (await talker.hear())[-1][:3] == "250"
                    elif end in {"reset", "helo"}:
                        assert (await talker.ask("RSET" if end == "reset" else "HELO x"))[:3] == "250"
                else:
                    assert (await ready(talker))[:3] == "354"
                    if end != "gone":
                        await talker.raw(b"x" * (70_000 if end == "refused" else 1) + b"\r\n.\r\n")
                        assert (await talker.hear())[-1][:3] == ("552" if end == "refused" else "250")
                if end != "gone":
                    async with call(server) as other:
                        assert (await ready(other))[:3] == "354"
            await asyncio.sleep(0.05)
