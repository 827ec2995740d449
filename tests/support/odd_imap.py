r"""An IMAP server that says what a test wants: to be slow, silent, malformed or malicious.

    async with odd_imap({"IDLE": Silence()}) as server:
        server.port, server.heard                      # the commands it was given, without their tags

A script maps a command's first words to what is said instead of the usual: octets with %s for the tag, `SILENCE`,
`HANG_UP`, or a function of the command's text that returns one of these.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping


class Odd(Enum):
    """What is no answer."""

    SILENCE = 1
    HANG_UP = 2


SILENCE: Final = Odd.SILENCE
HANG_UP: Final = Odd.HANG_UP
Said = bytes | Odd
_USUAL: Final[Mapping[str, bytes]] = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1 IDLE\r\n%s OK done\r\n",
    "LOGIN": b"%s OK done\r\n",
    "SELECT": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n%s OK done\r\n",
    "UID SEARCH": b"* SEARCH\r\n%s OK done\r\n",
    "IDLE": b"+ idling\r\n",
    "DONE": b"%s OK done\r\n",
    "LOGOUT": b"* BYE\r\n%s OK done\r\n",
}


@dataclass
class OddServer:
    """A server that runs."""

    script: Mapping[str, Said | Callable[[str], Said]]
    heard: list[str] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client."""
        try:
            if await self._say(writer, self._line("GREETING", ""), b"", b"* OK ready\r\n"):
                await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tag = b"?"
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            text = line
            if line != "DONE":
                first, _, text = line.partition(" ")
                tag = first.encode()
            self.heard.append(text)
            name = re.match(r"(UID )?[A-Z]+", text)
            assert name is not None, text
            if not await self._say(writer, self._line(name[0], text), tag, _USUAL.get(name[0], b"%s BAD what\r\n")):
                return
            literal = re.search(r"\{([0-9]+)\}$", text)
            if literal is not None:
                await reader.readexactly(int(literal[1]) + 2)
                await self._say(writer, self._line("LITERAL", text), tag, b"%s OK done\r\n")

    def _line(self, name: str, text: str) -> Said | None:
        said = self.script.get(name)
        return said(text) if callable(said) else said

    async def _say(self, writer: asyncio.StreamWriter, said: Said | None, tag: bytes, usual: bytes) -> bool:
        """Answer; returns False to hang up."""
        if said is HANG_UP:
            return False
        if said is not SILENCE:
            octets = said if isinstance(said, bytes) else usual
            writer.write(octets.replace(b"%s", tag))
            await writer.drain()
        return True


@asynccontextmanager
async def odd_imap(
    script: Mapping[str, Said | Callable[[str], Said]] | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[OddServer]:
    """Run a server on loopback until the context ends."""
    odd = OddServer(script or {})
    server = await asyncio.start_server(odd.serve, "127.0.0.1", 0, ssl=tls)
    odd.port = server.sockets[0].getsockname()[1]
    try:
        yield odd
    finally:
        server.close()
        await server.wait_closed()
