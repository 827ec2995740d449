"""Many messages over a few kept connections: each hears the answers to itself, and arrives whole or not at all."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.message import Message
from gateway.ports import HopError
from support.way_out import path

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.reply import Reply
    from gateway.relay.hop import SmtpHop

    HopTo = Callable[..., SmtpHop]

MESSAGES: Final = 60
VERDICTS: Final = ("250 2.0.0", "250 2.0.0", "250 2.0.0", "450 4.2.0", "550 5.1.1")


class Echo:
    """An honest hop: each answer names the message it is about, and leaves in pieces of any size."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nothing secret
        self.taken: dict[str, bytes] = {}
        """Contents by the names of their messages; the answer to the dot was positive."""
        self.without_recipient = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client."""
        await self._say(writer, "220 echo.example")
        name, accepted = "", False
        while line := (await reader.readline()).decode():
            verb = line[:4].upper()
            if verb == "EHLO":
                await self._say(writer, "250-echo.example", "250-SIZE 50000000", "250 PIPELINING")
            elif verb == "MAIL":
                name, accepted = line.partition("<")[2].partition("@")[0], False
                await self._verdict(writer, name)
            elif verb == "RCPT":
                accepted = await self._verdict(writer, name) or accepted
            elif verb == "DATA":
                await self._data(reader, writer, name, accepted=accepted)
            elif verb == "QUIT":
                break
            else:
                await self._say(writer, f"250 2.0.0 {name} reset")
        writer.close()

    async def _data(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, *, accepted: bool
    ) -> None:
        if not accepted and self.random.random() < 0.5:
            await self._say(writer, f"503 5.5.1 {name} nobody")
            return
        if accepted and self.random.random() < 0.2:
            await self._say(writer, f"451 4.3.0 {name} not now")
            return
        await self._say(writer, f"354 {name} go on")
        content = b""
        while (line := await reader.readline()) not in {b".\r\n", b""}:
            content += line
        if not line:
            return
        self.without_recipient += not accepted
        if await self._verdict(writer, name, before=lambda: self.taken.__setitem__(name, content)):
            return

    async def _verdict(
        self, writer: asyncio.StreamWriter, name: str, before: Callable[[], object] = lambda: None
    ) -> bool:
        said = self.random.choice(VERDICTS)
        if said.startswith("250"):
            before()
        await self._say(writer, f"{said} {name}")
        return said.startswith("250")

    async def _say(self, writer: asyncio.StreamWriter, *lines: str) -> None:
        octets = "".join(f"{each}\r\n" for each in lines).encode()
        while octets:
            size = self.random.choice([1, 3, 20, 200])
            writer.write(octets[:size])
            octets = octets[size:]
            await asyncio.sleep(0)


async def attempt(hop: SmtpHop, number: int, chance: random.Random) -> tuple[Reply, ...] | None:
    """Take one message there; return the answers to its content, None if it was not sent, or not to the end."""
    name, content = f"m{number}", Message.of(b"Subject: m%d\r\n\r\n" % number + b"m%d\r\n" % number * (number * 50))
    transaction = await hop.begin()
    envelope = path(
        *(f"{name}.{each}@hopthu.example" for each in range(chance.choice([1, 1, 1, 2, 3]))),
        sender=f"{name}@so.example",
    )
    step = chance.random()
    replies = await transaction.envelope(envelope, size=len(content) if step < 0.9 else None)
    assert all(name in each.text.split() for each in replies), (name, replies)
    if not any(each.positive for each in replies) or step < 0.15:
        await transaction.abandon()
        return None
    if step < 0.3:
        sending = asyncio.create_task(transaction.content(content))
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
        return None if sending.cancelled() or sending.exception() else sending.result()
    replies = await transaction.content(content)
    assert all(name in each.text.split() for each in replies), (name, replies)
    return replies


@pytest.mark.parametrize("seed", range(8))
async def test_each_message_hears_of_itself(hop_to: HopTo, seed: int) -> None:
    """Refused, abandoned and canceled ones between them put nobody out of step, and no octet into another's content."""
    echo, chance = Echo(seed), random.Random(seed)  # noqa: S311 - nothing secret
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with server:
        hop = hop_to(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", max_connections=3)

        async def one(number: int) -> None:
            try:
                said = await attempt(hop, number, random.Random(seed * 1000 + number))  # noqa: S311 - nothing secret
            except HopError as error:
                pytest.fail(f"m{number}: {error.detail}")
            if said is not None and said[0].positive:
                confirmed.add(f"m{number}")

        confirmed: set[str] = set()
        numbers = list(range(MESSAGES))
        chance.shuffle(numbers)
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(one(number))
        await hop.close()
    assert confirmed
    assert confirmed <= echo.taken.keys()
    assert not echo.without_recipient
    for name, content in echo.taken.items():
        number = int(name[1:])
        assert content == b"Subject: m%d\r\n\r\n" % number + b"m%d\r\n" % number * (number * 50)
