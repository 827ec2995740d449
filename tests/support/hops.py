"""A scriptable next hop that speaks real SMTP or LMTP on loopback, for tests (RFC 5321, RFC 2033, RFC 2920, RFC 3207).

    async with FakeHop() as hop:                                  # accepts everything, offers the usual extensions
        hop.port                                                  # or hop.path, with unix=PATH
        hop.answers["RCPT"] = by_address({"b@x.example": "550 5.1.1 unknown"})
        ...
        hop.messages        -> [Taken(lines=("MAIL FROM:<...>", "RCPT TO:<...>", ...), octets=b"...")]

`answers` maps a stage to an answer and may be changed at any time. Stages: BANNER, EHLO (the first line; LHLO too),
HELO, STARTTLS, AUTH, XCLIENT, MAIL, RCPT, DATA, DOT, RSET, QUIT. An answer is

- a text such as "452 4.3.1 full" (several lines: join them with a line feed, as "451-one" and "451 two");
- `Hang(then=...)`: silent until `hop.release()`, then that answer (or nothing, if it is empty);
- `Slow(seconds, then)`: late;  `Drop()`: close the connection instead of answering;
- `Raw(octets)`: exactly these octets;
- `by_address({...}, default)`: by the forward-path (stage RCPT; stage DOT of LMTP, where each recipient has a reply);
- `in_turn(first, second, ..., last)`: one after the other, the last one for ever;
- any function from the command line (DOT: "" in SMTP, the forward-path in LMTP) to one of these.

An answer to DOT that is positive puts the message into `messages`, the octets of one that was not answered (nor ever
will be) go into `unanswered`. `dots` counts every end of data that arrived,
accepted or not. `drop_in_data = N` closes the connection once N octets of content were read. `commands` holds
every command line of every connection, `connections` their number, `open` how many are open now, `seen(verb)`
how often a command came. `content_started` is set when the first DATA was answered 354, `dot_seen` at the first dot.

The double is strict where a client could cheat: content ends at CRLF.CRLF only, and what arrives pipelined before
a reply that must be waited for (DATA, STARTTLS) is recorded in `violations`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KEYWORDS: Final = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
DEFAULTS: Final = {
    "BANNER": "220 fake.example ESMTP",
    "EHLO": "250 fake.example",
    "HELO": "250 fake.example",
    "STARTTLS": "220 2.0.0 go ahead",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go ahead",
    "DOT": "250 2.0.0 queued",
    "RSET": "250 2.0.0 reset",
    "XCLIENT": "220 fake.example ESMTP",
    "NOOP": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


_LINE_LIMIT: Final = 2**26


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing until `FakeHop.release`, then answer `then` if it is not empty."""

    then: str = ""


@dataclass(frozen=True, slots=True)
class Slow:
    """Answer late."""

    seconds: float
    then: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Answer exactly these octets."""

    octets: bytes


Fixed = str | Hang | Slow | Drop | Raw
if TYPE_CHECKING:
    Answer = Fixed | Callable[[str], Fixed]


class Taken(NamedTuple):
    """A message the hop accepted: its MAIL and RCPT lines (all of them, refused ones too) and its exact octets."""

    lines: tuple[str, ...]
    octets: bytes


class _DropNowError(Exception):
    """Ends a session without a word."""


def by_address(answers: Mapping[str, Fixed], default: Fixed = "250 2.1.5 ok") -> Callable[[str], Fixed]:
    """Return an answer that depends on the forward-path, compared as it stands."""
    return lambda line: answers.get(path_of(line), default)


def in_turn(*answers: Fixed) -> Callable[[str], Fixed]:
    """Return an answer that changes from one command to the next; the last one stays."""
    left = list(answers)
    return lambda _line: left.pop(0) if len(left) > 1 else left[0]


def path_of(line: str) -> str:
    """Return what stands in the angle brackets of a MAIL or RCPT line; a line without any is a path itself."""
    return line.partition("<")[2].rpartition(">")[0] if "<" in line else line


def tls_identity(directory: Path, name: str = "fake.example") -> tuple[ssl.SSLContext, Path]:
    """Return a server context with a new self-signed certificate for `name`, and the PEM file that verifies it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=60))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = directory / f"{name}.pem", directory / f"{name}.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


class FakeHop:
    """The double; see the module's docstring."""

    def __init__(
        self,
        *,
        lmtp: bool = False,
        keywords: tuple[str, ...] = KEYWORDS,
        answers: Mapping[str, Answer] | None = None,
        tls: ssl.SSLContext | None = None,
        unix: Path | None = None,
    ) -> None:
        """`keywords` are the EHLO keywords; with `tls` STARTTLS is offered and done; `unix` listens on a path."""
        self.lmtp = lmtp
        self.keywords = keywords
        self.answers: dict[str, Answer] = {**DEFAULTS, **(answers or {})}
        self.tls = tls
        self.path = unix
        self.port = 0
        self.messages: list[Taken] = []
        self.unanswered: list[bytes] = []
        self.commands: list[str] = []
        self.violations: list[str] = []
        self.connections = 0
        self.open = 0
        self.dots = 0
        self.drop_in_data: int | None = None
        self.content_started = asyncio.Event()
        self.dot_seen = asyncio.Event()
        self._released = asyncio.Event()
        self._sessions: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a `stop`, on the same port again."""
        if self.path is not None:
            self._server = await asyncio.start_unix_server(self._accept, str(self.path), limit=_LINE_LIMIT)
            return
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_LINE_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every session, at once."""
        if self._server is not None:
            for each in self._server.sockets:  # what was accepted in this turn has no transport yet, and needs a server
                asyncio.get_running_loop().remove_reader(each)
            await _some_turns()
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        await _some_turns()  # a connection that the kernel gave us already becomes a session
        for each in self._sessions:
            each.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        await _some_turns()  # one that was ending by itself closes its socket

    @property
    def address(self) -> str:
        """The endpoint as the settings want it."""
        return f"unix:{self.path}" if self.path is not None else f"127.0.0.1:{self.port}"

    def release(self) -> None:
        """Let everything that hangs go on; what comes later does not hang any more."""
        self._released.set()

    def seen(self, verb: str) -> int:
        """Return how many commands with this verb came in, over all connections."""
        return sum(line.partition(" ")[0].upper() == verb for line in self.commands)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._sessions.add(task)
            task.add_done_callback(self._sessions.discard)
        self.connections += 1
        self.open += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, _DropNowError, asyncio.CancelledError):
                await _Session(self, reader, writer).run()
        finally:
            self.open -= 1
            writer.close()
            # a session stopped in its TLS handshake is never told of its end: the loop has none to tell
            with contextlib.suppress(OSError, asyncio.CancelledError, TimeoutError):
                async with asyncio.timeout(0.2):
                    await writer.wait_closed()

    async def wait_released(self) -> None:
        """Wait for `release`."""
        await self._released.wait()


async def _some_turns() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


class _Session:
    """One connection to the double."""

    def __init__(self, hop: FakeHop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hop = hop
        self._reader = reader
        self._writer = writer
        self._lines: list[str] = []
        self._accepted: list[str] = []

    async def run(self) -> None:
        """Serve until QUIT, the end of the stream or a scripted drop."""
        await self._answer("BANNER")
        while line := await self._command():
            verb = line.partition(" ")[0].upper()
            match verb:
                case "EHLO" | "LHLO":
                    await self._greet(verb)
                case "STARTTLS":
                    await self._start_tls()
                case "MAIL" | "RCPT":
                    await self._path(verb, line)
                case "DATA":
                    await self._data()
                case "RSET":
                    self._lines, self._accepted = [], []
                    await self._answer("RSET")
                case "HELO" | "AUTH" | "NOOP" | "XCLIENT":
                    await self._answer(verb, line)
                case "QUIT":
                    await self._answer("QUIT")
                    return
                case _:
                    self._writer.write(b"500 5.5.2 what?\r\n")

    async def _command(self) -> str:
        octets = await self._reader.readline()
        if not octets.endswith(b"\r\n"):
            return ""
        line = octets[:-2].decode("utf-8", "surrogateescape")
        self._hop.commands.append(line)
        return line or "?"

    async def _greet(self, verb: str) -> None:
        if (verb == "LHLO") is not self._hop.lmtp:
            self._writer.write(b"500 5.5.1 wrong protocol\r\n")
            return
        first = self._hop.answers["EHLO"]
        starttls = ("STARTTLS",) if self._hop.tls and not self._writer.get_extra_info("ssl_object") else ()
        if not isinstance(first, str) or not first.startswith("250 "):
            await self._answer("EHLO")
            return
        lines = [first[4:], *self._hop.keywords, *starttls]
        last = len(lines) - 1
        self._writer.write(
            b"".join(f"250{' ' if n == last else '-'}{line}\r\n".encode() for n, line in enumerate(lines))
        )

    async def _start_tls(self) -> None:
        self._check_waited("STARTTLS")
        reply = await self._answer("STARTTLS")
        if reply.startswith("220") and self._hop.tls is not None:
            await self._writer.drain()
            await self._writer.start_tls(self._hop.tls)

    async def _path(self, verb: str, line: str) -> None:
        if verb == "MAIL":
            self._lines, self._accepted = [line], []
        else:
            self._lines.append(line)
        if verb == "RCPT" and self._lines[0] in {"", line}:
            self._writer.write(b"503 5.5.1 MAIL first\r\n")
            return
        reply = await self._answer(verb, line)
        if verb == "MAIL" and not reply.startswith("2"):
            self._lines = [""]
        if verb == "RCPT" and reply.startswith("2"):
            self._accepted.append(path_of(line))

    async def _data(self) -> None:
        self._check_waited("DATA")
        if not self._accepted:
            self._writer.write(b"554 5.5.1 no valid recipients\r\n")
            return
        reply = await self._answer("DATA")
        if not reply.startswith("354"):
            return
        self._hop.content_started.set()
        octets = await self._content()
        self._hop.dots += 1
        self._hop.dot_seen.set()
        lines, self._lines = tuple(self._lines), []
        taken = answered = False
        for path in self._accepted if self._hop.lmtp else [""]:
            try:
                reply = await self._answer("DOT", path)
                answered = bool(reply)
            finally:
                if not answered:
                    self._hop.unanswered.append(octets)
            if reply.startswith("2") and not taken:
                taken = True
                self._hop.messages.append(Taken(lines, octets))
        self._accepted = []

    async def _content(self) -> bytes:
        """Read up to CRLF.CRLF and nothing else, undo dot-stuffing."""
        content = bytearray()
        while True:
            line = await self._reader.readuntil(b"\r\n")
            if line == b".\r\n":
                return bytes(content)
            content += line[1:] if line.startswith(b".") else line
            limit = self._hop.drop_in_data
            if limit is not None and len(content) >= limit:
                raise _DropNowError

    def _check_waited(self, verb: str) -> None:
        buffered = bytes(self._reader._buffer)  # type: ignore[attr-defined]
        if buffered:
            self._hop.violations.append(f"after {verb}: {buffered[:80]!r}")

    async def _answer(self, stage: str, line: str = "") -> str:
        """Send the answer of a stage; return its text ("" if nothing was said)."""
        answer = self._hop.answers[stage]
        if callable(answer):
            answer = answer(line)
        match answer:
            case Hang(then):
                await self._writer.drain()
                await self._hop.wait_released()
                text = then
            case Slow(seconds, then):
                await asyncio.sleep(seconds)
                text = then
            case Drop():
                raise _DropNowError
            case Raw(octets):
                self._writer.write(octets)
                return octets.decode("latin-1")
            case _:
                text = answer
        if text:
            self._writer.write(text.replace("\n", "\r\n").encode() + b"\r\n")
            await self._writer.drain()
        return text.rpartition("\n")[2]
