"""Sends what smtp-source cannot: messages that all differ, after STARTTLS and a login, at a given rate, with latencies.

    PYTHONPATH=tests python -m bench.generator < job.json > sent.json

A process of its own, so that its cost is in nobody's figures. Messages are read and made ready (dots stuffed) before
the clock starts. MAIL, RCPT and DATA go out in one write. Any refusal ends the run: half a load is no measurement.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE: Final = 300.0
"""Seconds for one reply."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be sent."""

    port: int
    pack: str
    """File of messages, made by `pack`."""
    count: int
    """More than there are in the file: they are sent again from the first."""
    sender: str
    to: tuple[str, ...]
    sessions: int
    kept: bool
    """All on the connections that were opened first, or a new one for each message."""
    rate: float = 0.0
    """Messages a second, of all sessions together; 0: as fast as they are taken."""
    trusted: str = ""
    """Certificate (PEM) of a server named localhost; empty: no STARTTLS."""
    login: tuple[str, str] | tuple[()] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """How it went."""

    seconds: float
    """From the first connection to the last reply."""
    latencies: tuple[float, ...] = ()
    """Seconds from the dot to its reply, sorted."""

    def latency(self, share: float) -> float:
        """Return how long this share of the messages took at most, in milliseconds."""
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)] * 1000


class RefusedError(RuntimeError):
    """The server said no."""


def pack(messages: Sequence[bytes], file: Path) -> None:
    """Write messages to a file that `unpack` reads."""
    with file.open("wb") as out:
        for each in messages:
            out.write(len(each).to_bytes(8, "big") + each)


def unpack(file: Path) -> Iterator[bytes]:
    """Yield the messages as they go over the wire, final dot included."""
    with file.open("rb") as packed:
        while length := packed.read(8):
            message = packed.read(int.from_bytes(length, "big"))
            stuffed = message.replace(b"\r\n.", b"\r\n..")
            yield (b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n"


class Talk(asyncio.Protocol):
    """One connection; replies come out in the order they came in."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._buffer = b""
        self._replies: deque[bytes] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Cut the octets into replies; lines with a hyphen behind the code belong to the one that ends it."""
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        self._replies.extend(line for line in lines if line[3:4] != b"-")
        self._wake()

    def connection_lost(self, _: Exception | None) -> None:
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done() and (self._replies or self._lost):
            self._waiting.set_result(None)

    async def expect(self, first: bytes) -> None:
        """Wait for one reply; raises `RefusedError` unless its code begins so."""
        while not self._replies:
            if self._lost:
                raise RefusedError("the connection was closed")
            self._waiting = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(PATIENCE):
                await self._waiting
        if not (reply := self._replies.popleft()).startswith(first):
            raise RefusedError(reply.decode(errors="replace"))

    async def ask(self, line: bytes, first: bytes = b"2") -> None:
        """Send a command and wait for its reply."""
        self.transport.write(line + b"\r\n")
        await self.expect(first)


class Sender:
    """All sessions of one job."""

    def __init__(self, job: Job, messages: Sequence[bytes]) -> None:
        self._job = job
        self._messages = messages
        self._turn = iter(range(job.count))
        self._paths = b"\r\n".join(
            (f"MAIL FROM:<{job.sender}>".encode(), *(f"RCPT TO:<{each}>".encode() for each in job.to), b"DATA")
        )
        self._context = ssl.create_default_context(cafile=job.trusted) if job.trusted else None
        self._latencies: list[float] = []

    async def run(self) -> Sent:
        """Send everything."""
        self._began = time.perf_counter()
        async with asyncio.TaskGroup() as sessions:
            for _ in range(min(self._job.sessions, self._job.count)):
                sessions.create_task(self._session())
        return Sent(time.perf_counter() - self._began, tuple(sorted(self._latencies)))

    async def _session(self) -> None:
        talk: Talk | None = None
        for number in self._turn:
            if self._job.rate:
                await asyncio.sleep(self._began + number / self._job.rate - time.perf_counter())
            talk = talk or await self._connect()
            await self._send(talk, self._messages[number % len(self._messages)])
            if not self._job.kept:
                talk = await self._leave(talk)
        if talk is not None:
            await self._leave(talk)

    async def _connect(self) -> Talk:
        loop = asyncio.get_running_loop()
        transport, talk = await loop.create_connection(Talk, "127.0.0.1", self._job.port)
        await talk.expect(b"220")
        await talk.ask(b"EHLO tai.example")
        if self._context is not None:
            await talk.ask(b"STARTTLS")
            upgraded = await loop.start_tls(transport, talk, self._context, server_hostname="localhost")
            assert upgraded is not None
            talk.transport = upgraded
            await talk.ask(b"EHLO tai.example")
        if self._job.login:
            plain = "\0".join(("", *self._job.login)).encode()
            await talk.ask(b"AUTH PLAIN " + base64.b64encode(plain), b"235")
        return talk

    async def _send(self, talk: Talk, message: bytes) -> None:
        talk.transport.write(self._paths + b"\r\n")
        for _ in range(1 + len(self._job.to)):
            await talk.expect(b"2")
        await talk.expect(b"354")
        talk.transport.write(message)
        began = time.perf_counter()
        await talk.expect(b"250")
        self._latencies.append(time.perf_counter() - began)

    async def _leave(self, talk: Talk) -> None:
        await talk.ask(b"QUIT")
        talk.transport.close()


def main() -> None:
    """Do the job on standard input and say how it went on standard output."""
    told = json.load(sys.stdin)
    job = Job(**{**told, "to": tuple(told["to"]), "login": tuple(told["login"])})
    sent = asyncio.run(Sender(job, list(unpack(Path(job.pack)))).run())
    json.dump(asdict(sent), sys.stdout)


if __name__ == "__main__":
    main()
