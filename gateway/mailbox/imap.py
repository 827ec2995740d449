"""One IMAP connection (RFC 9051, RFC 2177 IDLE) by aioimaplib, whose defects end here.

That library notices no lost connection, waits for ever where a server closes, sends arguments as they are, and writes
mail into debug lines: here every wait ends, every argument is quoted or a number, and its log is off below warning.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aioimaplib.aioimaplib import IMAP4ClientProtocol, quoted

from gateway.core.errors import ServiceError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Collection, Iterator, Sequence

    from aioimaplib.aioimaplib import Response

T = TypeVar("T")

AT_A_TIME: Final = 100
"""Messages named in one FETCH: the library reads the lines of an answer recursively."""
_EXISTS: Final = b" EXISTS\r\n"
_BEGIN: Final = re.compile(rb"[0-9]+ FETCH \(")
_UID: Final = re.compile(rb"\bUID ([0-9]{1,10})\b")
_SIZE: Final = re.compile(rb"\bRFC822\.SIZE ([0-9]{1,15})\b")
_FLAGS: Final = re.compile(rb"\bFLAGS \(([^()]*)\)")
_VALIDITY: Final = re.compile(rb"\[UIDVALIDITY ([0-9]{1,10})\]")
_PERMANENT: Final = re.compile(rb"\[PERMANENTFLAGS \(([^()]*)\)\]")

logging.getLogger("aioimaplib").setLevel(logging.WARNING)


class RefusedError(ServiceError):
    """The server said NO or BAD; the connection is good."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the mail store is."""

    host: str
    port: int
    context: ssl.SSLContext | None
    """None: no TLS."""
    timeout: float
    """Seconds for the answer to one command."""


@dataclass(frozen=True, slots=True)
class Selected:
    """What the server says of a folder."""

    validity: int
    """UIDVALIDITY: UIDs mean nothing under another one."""
    permanent: frozenset[str]
    """Flags that may be changed for good."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One message as far as it was asked for."""

    uid: int
    size: int
    flags: frozenset[str]


class _Protocol(IMAP4ClientProtocol):  # type: ignore[misc]  # the library has no types
    """Notices what the library does not: the end of the connection, and mail that is announced at any time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.lost: asyncio.Future[None] = loop.create_future()
        self.arrived = asyncio.Event()
        self._tail = b""

    def data_received(self, d: bytes) -> None:
        if _EXISTS in self._tail + d[: len(_EXISTS)] or _EXISTS in d:
            self.arrived.set()
        self._tail = d[-len(_EXISTS) :]
        try:
            super().data_received(d)
        except Exception:  # noqa: BLE001 - whatever a server can make the library trip over ends this connection only
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.lost.done():
            self.lost.set_result(None)


class Imap:
    """A session; every method raises `ServiceError` where the connection is of no use any more."""

    def __init__(self, protocol: _Protocol, timeout: float) -> None:
        """Take a connected protocol; `connect` makes one."""
        self._protocol = protocol
        self._timeout = timeout

    @classmethod
    async def connect(cls, server: Server) -> Imap:
        """Return a greeted connection."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(server.timeout):
                _, protocol = await loop.create_connection(
                    lambda: _Protocol(loop), server.host, server.port, ssl=server.context
                )
        except OSError as error:  # TimeoutError is one
            raise ServiceError(f"no connection: {type(error).__name__}") from error
        imap = cls(protocol, server.timeout)
        try:
            await imap._wait(protocol.wait("AUTH|NONAUTH"))
        except BaseException:
            imap.abort()
            raise
        return imap

    async def login(self, user: str, password: str) -> None:
        """Log in; raises `RefusedError` where the server does not want us."""
        await self._ask(self._protocol.login(quoted(user), password), "LOGIN")

    async def select(self, folder: str) -> Selected:
        """Open a folder for reading and for flags."""
        lines = await self._ask(self._protocol.select(quoted(folder)), "SELECT")
        said = b"\n".join(each for each in lines if isinstance(each, bytes))
        validity, permanent = _VALIDITY.search(said), _PERMANENT.search(said)
        if validity is None:
            raise ServiceError("SELECT: no UIDVALIDITY")
        return Selected(int(validity[1]), _words(permanent[1] if permanent is not None else b""))

    async def search(self, *criteria: str) -> tuple[int, ...]:
        """Return the UIDs of messages, in order; the criteria are ours."""
        lines = await self._ask(self._protocol.search(*criteria, charset=None, by_uid=True), "SEARCH")
        numbers = (int(word) for line in lines[:-1] for word in bytes(line).split() if word.isdigit())
        return tuple(sorted(set(numbers)))

    async def list(self, uids: Sequence[int]) -> tuple[Listed, ...]:
        """Return size and flags of at most `AT_A_TIME` messages; those that are gone are left out."""
        found: list[Listed] = []
        lines = await self._fetch(",".join(map(str, uids[:AT_A_TIME])), "(UID RFC822.SIZE FLAGS)")
        for head, _ in _answers(lines):
            uid, size, flags = _UID.search(head), _SIZE.search(head), _FLAGS.search(head)
            if uid is not None and size is not None and flags is not None and int(uid[1]) in uids:
                found.append(Listed(int(uid[1]), int(size[1]), _words(flags[1])))
        return tuple(found)

    async def octets(self, uid: int, most: int) -> bytes | None:
        """Return a message without marking it as read, at most so many octets of it; None if it is gone."""
        lines = await self._fetch(str(uid), f"(UID BODY.PEEK[]<0.{most}>)")
        for head, literals in _answers(lines):
            found = _UID.search(head)
            if found is not None and int(found[1]) == uid and literals:
                return literals[0]
        return None

    async def add(self, uid: int, keywords: Collection[str]) -> frozenset[str] | None:
        """Set keywords and return the flags that the server then reports, None if it reports none."""
        return await self._store(uid, "+FLAGS", keywords)

    async def remove(self, uid: int, keywords: Collection[str]) -> frozenset[str] | None:
        """Take keywords off, as `add` sets them."""
        return await self._store(uid, "-FLAGS", keywords)

    async def append(self, folder: str, octets: bytes, flags: str) -> None:
        """Put a message into a folder that exists."""
        await self._ask(self._protocol.append(octets, quoted(folder), flags), "APPEND", seconds=4 * self._timeout)

    def forget_arrivals(self) -> None:
        """Begin to wait for mail that is announced from now on."""
        self._protocol.arrived.clear()

    async def idle(self, seconds: float) -> None:
        """Return once mail is announced, or after so much silence, when the connection has proved to live.

        Returns at once where it was announced since `forget_arrivals`, in whatever answer.
        """
        protocol = self._protocol
        idling = asyncio.ensure_future(protocol.idle())
        begun = asyncio.ensure_future(protocol.wait_for_idle_response())
        arrived = asyncio.ensure_future(protocol.arrived.wait())
        try:
            await _first((idling, begun, protocol.lost), self._timeout)
            if not begun.done():
                raise ServiceError("IDLE: not taken up")
            await _first((idling, arrived, protocol.lost), seconds)
            if not idling.done() and not protocol.lost.done():
                protocol.idle_done()
            await self._wait(asyncio.shield(idling))
        finally:
            for each in (idling, begun, arrived):
                _drop(each)
        while not protocol.idle_queue.empty():
            protocol.idle_queue.get_nowait()

    async def close(self) -> None:
        """Say good-bye where somebody listens, and let go."""
        with contextlib.suppress(ServiceError):
            await self._wait(self._protocol.logout(), seconds=min(2.0, self._timeout))
        self.abort()

    def abort(self) -> None:
        """Let go at once, also of what the library began: its tasks hold a lock that others wait for to be canceled."""
        for each in tuple(self._protocol.tasks):
            each.cancel()
        if self._protocol.transport is not None:
            self._protocol.transport.abort()

    async def _fetch(self, uids: str, parts: str) -> Sequence[bytes | bytearray]:
        seconds = 4 * self._timeout
        return await self._ask(self._protocol.fetch(uids, parts, by_uid=True), "FETCH", seconds=seconds)

    async def _store(self, uid: int, change: str, keywords: Collection[str]) -> frozenset[str] | None:
        work = self._protocol.store(str(uid), change, f"({' '.join(sorted(keywords))})", by_uid=True)
        for head, _ in _answers(await self._ask(work, "STORE")):
            found, flags = _UID.search(head), _FLAGS.search(head)
            if found is not None and int(found[1]) == uid and flags is not None:
                return _words(flags[1])
        return None

    async def _ask(
        self, work: Awaitable[Response], what: str, *, seconds: float | None = None
    ) -> Sequence[bytes | bytearray]:
        """Return the lines of an answer; raises `RefusedError` for NO and BAD, and never shows what was asked."""
        response = await self._wait(work, seconds=seconds)
        if response.result != "OK":
            raise RefusedError(f"{what}: the server says {response.result}")
        lines: Sequence[bytes | bytearray] = response.lines
        return lines

    async def _wait(self, work: Awaitable[T], *, seconds: float | None = None) -> T:
        """Return what comes of a command, unless the connection ends first or the time is over: then it is let go."""
        task = asyncio.ensure_future(work)
        try:
            await _first((task, self._protocol.lost), seconds if seconds is not None else self._timeout)
            if task.done():
                return task.result()
        except Exception as error:
            self.abort()
            raise ServiceError(f"IMAP: {type(error).__name__}") from error
        finally:
            _drop(task)
        self.abort()
        raise ServiceError("connection lost" if self._protocol.lost.done() else "no answer in time")


async def _first(futures: Collection[asyncio.Future[Any]], seconds: float) -> None:
    """Return when one of them is done, or the time is over."""
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _drop(future: asyncio.Future[Any]) -> None:
    """Cancel what nobody waits for any more; its end is not waited for, since the library may hold that up."""
    future.cancel()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())


def _answers(lines: Sequence[bytes | bytearray]) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
    """Yield each FETCH answer: its text, literals left out, and its literals."""
    head, literals = b"", []
    for line in lines[:-1]:
        if isinstance(line, bytearray):
            literals.append(bytes(line))
            continue
        if _BEGIN.match(line) and head:
            yield head, tuple(literals)
            head, literals = b"", []
        head += b" " + line
    if head:
        yield head, tuple(literals)


def _words(text: bytes) -> frozenset[str]:
    return frozenset(text.decode("ascii", "replace").split())
