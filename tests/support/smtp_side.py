"""The other sides of an SMTP session: doubles of the ports it speaks to, and a client that speaks line by line."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.config.model import Listener, ServerTls, TlsMode
from gateway.core.errors import StorageFullError
from gateway.core.octets import MemoryBuilder
from gateway.core.received import Submitter
from gateway.core.reply import Reply
from gateway.smtp.room import Room
from gateway.smtp.server import Server, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gateway.core.address import Mailbox
    from gateway.core.octets import Builder
    from gateway.core.received import Client, Received

NOW: Final = dt.datetime(2026, 11, 24, 1, 30, tzinfo=dt.UTC)
TAKEN: Final = Reply.of(250, "2.0.0", "taken")
LOGIN: Final = "hoang.lan"
LONG: Final = 60.0
"""Seconds in which everything that is waited for comes, on a machine that is busy with other things."""
PASSWORD: Final = b"mat-khau \xc4\x91\xc3\xbang"


class FixedClock:
    """A clock that stands still."""

    def now(self) -> dt.datetime:
        """Return the same moment for ever."""
        return NOW


@dataclass
class Intake:
    """Takes everything, and remembers it; `gate` closed keeps an acceptance waiting."""

    outbound: bool = False
    reply: Reply = TAKEN
    refused: dict[str, Reply] = field(default_factory=dict)
    unauthorized: Reply | None = None
    fault: BaseException | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    taken: list[Received] = field(default_factory=list)
    finished: int = 0

    def __post_init__(self) -> None:
        """Open the gate."""
        self.gate.set()

    def authorize(self, listener: str, client: Client, login: str | None) -> Submitter | Reply | None:
        """Answer as told."""
        if self.unauthorized is not None:
            return self.unauthorized
        return Submitter(login or client.address, frozenset()) if self.outbound else None

    def recipient(self, listener: str, mailbox: Mailbox) -> Reply | None:
        """Refuse the mailboxes that are to be refused."""
        return self.refused.get(str(mailbox))

    async def accept(self, received: Received) -> Reply:
        """Take the message once the gate is open."""
        self.taken.append(received)
        self.started.set()
        await self.gate.wait()
        self.finished += 1
        if self.fault is not None:
            raise self.fault
        return self.reply

    @property
    def octets(self) -> list[bytes]:
        """The messages taken."""
        return [each.arrival.message.octets() for each in self.taken]


class SmallDisk(MemoryBuilder):
    """A place that is full after some octets."""

    def __init__(self, room: int) -> None:
        """Have room for `room` octets."""
        super().__init__()
        self.room = room

    def write(self, block: bytes) -> None:
        """Append, or raise."""
        self.room -= len(block)
        if self.room < 0:
            raise StorageFullError("full")
        super().write(block)


@dataclass
class Bodies:
    """Makes places in memory, as large as told."""

    make: Callable[[], Builder] = MemoryBuilder
    announced: list[int] = field(default_factory=list)

    def builder(self, announced: int = 0) -> Builder:
        """Return a place."""
        self.announced.append(announced)
        return self.make()


@dataclass
class Passwords:
    """Knows one login; `busy` answers nothing."""

    busy: bool = False
    fault: Exception | None = None
    seen: list[tuple[str, bytes]] = field(default_factory=list)

    async def check(self, login: str, password: bytes) -> bool | None:
        """Compare."""
        self.seen.append((login, password))
        if self.fault is not None:
            raise self.fault
        return None if self.busy else (login, password) == (LOGIN, PASSWORD)


@dataclass
class Disk:
    """The spool, as far as a session asks it."""

    below_watermark: bool = False


@lru_cache(maxsize=1)
def certificate() -> tuple[bytes, bytes]:
    """Return a self-signed certificate for localhost and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        built.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def tls_files(directory: Path, mode: str, *, required: bool = True) -> ServerTls:
    """Return settings for a server certificate that lies in the directory."""
    for name, octets in zip(("server.pem", "server.key"), certificate(), strict=True):
        (directory / name).write_bytes(octets)
        (directory / name).chmod(0o600)
    return ServerTls(
        mode=TlsMode(mode),
        certificate=directory / "server.pem",
        key=directory / "server.key",
        required=required,
    )


def trusting() -> ssl.SSLContext:
    """Return a client's context that trusts the certificate."""
    return ssl.create_default_context(cadata=certificate()[0].decode())


def listener(**facts: object) -> Listener:
    """Return the settings of an inbound listener on loopback, with some facts changed."""
    return Listener.model_validate({"name": "in", "kind": "inbound", "address": "127.0.0.1:0", **facts})


@dataclass
class House:
    """All that a server is given; change what a test needs."""

    settings: Listener = field(default_factory=listener)
    intake: Intake = field(default_factory=Intake)
    passwords: Passwords | None = None
    bodies: Bodies = field(default_factory=Bodies)
    disk: Disk = field(default_factory=Disk)
    limit: int = 1_000_000
    room: Room = field(default_factory=lambda: Room(2**26))
    ids: int = 0

    def new_id(self) -> str:
        """Return the next trace id."""
        self.ids += 1
        return f"trace-{self.ids}"

    async def open(self) -> Server:
        """Start the server."""
        return await serve(
            self.settings,
            intake=self.intake,
            passwords=self.passwords,
            bodies=self.bodies,
            spool=self.disk,  # type: ignore[arg-type]  # the only part a session uses
            hostname="gateway.example",
            max_message_size=lambda: self.limit,
            clock=FixedClock(),
            new_trace_id=self.new_id,
            shared=False,
            room=self.room,
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        """Run the server for the length of a block; it must be empty soon after."""
        server = await self.open()
        try:
            yield server
        finally:
            server.close()
            self.intake.gate.set()
            assert await server.drain(LONG) == 0
            assert server.connections == 0


class Talker:
    """A client that says exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use `call`."""
        self.reader = reader
        self.writer = writer

    async def say(self, *lines: bytes | str) -> None:
        """Send lines, each with CRLF, in one write."""
        await self.raw(b"".join((each.encode() if isinstance(each, str) else each) + b"\r\n" for each in lines))

    async def raw(self, octets: bytes) -> None:
        """Send octets."""
        self.writer.write(octets)
        await self.writer.drain()

    async def hear(self, seconds: float = LONG) -> list[str]:
        """Return the lines of one reply; raises `EOFError` if the connection is closed."""
        lines: list[str] = []
        async with asyncio.timeout(seconds):
            while True:
                line = await self.reader.readline()
                if not line:
                    raise EOFError(lines)
                assert line.endswith(b"\r\n"), line
                lines.append(line[:-2].decode())
                if lines[-1][3:4] != "-":
                    return lines

    async def ask(self, *lines: bytes | str) -> str:
        """Send lines and return the last line of the one reply."""
        await self.say(*lines)
        return (await self.hear())[-1]

    async def envelope(self, sender: str = "lan@so.example", *recipients: str, parameters: str = "") -> None:
        """Say MAIL, RCPT and DATA, all of which must be taken."""
        assert (await self.ask(f"MAIL FROM:<{sender}>{parameters}"))[:3] == "250"
        for each in recipients or ("mai@hop.example",):
            assert (await self.ask(f"RCPT TO:<{each}>"))[:3] == "250"
        assert (await self.ask("DATA"))[:3] == "354"

    async def hear_all(self) -> list[str]:
        """Return the lines of all replies up to the end of the connection."""
        lines: list[str] = []
        with suppress(EOFError, ConnectionError):
            while True:
                lines += await self.hear()
        return lines

    async def flood(self, octets: bytes, times: int, *, pause: float = 0.0) -> None:
        """Send octets again and again, whatever is said; raises `ConnectionError` if the other side closes."""
        for _ in range(times):
            await self.raw(octets)
            await asyncio.sleep(pause)

    async def closed(self, seconds: float = LONG) -> bool:
        """Wait for the other side to close; False if it says more first."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    async def start_tls(self) -> None:
        """Shake hands."""
        await self.writer.start_tls(trusting(), server_hostname="localhost")

    async def leave(self) -> None:
        """Close."""
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


@asynccontextmanager
async def call(
    server: Server, *, greet: str | None = "EHLO may-lan.example", tls: bool = False
) -> AsyncIterator[Talker]:
    """Connect, take the greeting, say EHLO."""
    secured = {"ssl": trusting(), "server_hostname": "localhost"} if tls else {}
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**20, **secured)  # type: ignore[arg-type]
    talker = Talker(reader, writer)
    try:
        assert (await talker.hear())[0] == "220 gateway.example ESMTP"
        if greet is not None:
            assert (await talker.ask(greet))[:3] == "250"
        yield talker
    finally:
        await talker.leave()
