"""The octets of one connection to a next hop: lines in, blocks out, TLS in between (RFC 5321 4.5.3.1, RFC 3207).

Nothing here may wait without a bound set by its caller, or keep more than a bounded number of octets a peer sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    import ssl

MOST_LINE: Final = 2048
"""Octets of one reply line; RFC 5321 4.5.3.1.5 asks for 512, real hops exceed it."""
MOST_LINES: Final = 100
"""Lines of one reply; a longer one is no reply."""
MOST_UNREAD: Final = 256 * 1024
"""Octets kept unread; a peer that sends more is read no further. The longest reply fits, and those to one batch of
commands."""
LANDING: Final = 4096
"""Octets taken off the socket at once; a plain protocol is given 256 KiB of fresh memory by asyncio for each reply."""
SHUTDOWN_SECONDS: Final = 2.0

_RESOLUTION: Final = 0.01
"""Seconds by which a timer may fire early."""


class WireError(Exception):
    """The connection gave what we wait for neither now nor later: closed, broken, or talking nonsense."""


class Wire(asyncio.BufferedProtocol):
    """One connection; used by one task at a time. Whoever is done with it calls `abort` or `close`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._landing = memoryview(bytearray(LANDING))  # what TLS fills piece by piece
        self._buffer = bytearray()
        self._lines: list[bytes] = []  # of the next reply, as far as they were looked at: none is looked at twice
        self._looked = 0
        self._waiting: asyncio.Future[None] | None = None  # done as soon as nobody waits any more
        self._write_paused = False
        self._read_paused = False
        self._lost: str | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = math.inf
        self._closed = asyncio.Event()

    @classmethod
    async def connect(cls, endpoint: str) -> Wire:
        """Connect to `HOST:PORT`, `[IPV6]:PORT` or `unix:/PATH`; raises `WireError`."""
        loop = asyncio.get_running_loop()
        try:
            if endpoint.startswith("unix:"):
                _, wire = await loop.create_unix_connection(cls, endpoint.removeprefix("unix:"))
                return wire
            transport, wire = await loop.create_connection(cls, host_of(endpoint), int(endpoint.rpartition(":")[2]))
        except (OSError, ValueError, OverflowError) as error:
            raise WireError(f"cannot connect: {_words(error)}") from error
        # a reply may be waited for ten minutes: a peer that vanished without a word must be noticed
        cast("socket.socket", transport.get_extra_info("socket")).setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; called by the loop."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - as the loop calls it
        """Return where octets go; called by the loop."""
        return self._landing

    def buffer_updated(self, nbytes: int) -> None:
        """Keep what came, and wake who waits for it; called by the loop."""
        self._buffer += self._landing[:nbytes]
        if len(self._buffer) > MOST_UNREAD and not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()
        self.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end; called by the loop."""
        if self._lost is None:
            self._lost = "connection closed" if exc is None else f"connection lost: {_words(exc)}"
        self._ended()
        self.wake()

    def pause_writing(self) -> None:
        """Let `drain` wait; called by the loop."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Let `drain` go on; called by the loop."""
        self._write_paused = False
        self.wake()

    @property
    def quiet(self) -> bool:
        """True if the connection stands and the peer has said nothing that was not read."""
        return not self._buffer and not self._read_paused and self.alive

    @property
    def alive(self) -> bool:
        """True if the connection stands, as far as we know."""
        transport = self._transport
        return self._lost is None and transport is not None and not transport.is_closing()

    @property
    def encrypted(self) -> bool:
        """True after a TLS handshake."""
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is not None

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate, DER, None without TLS."""
        shaken = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return shaken.getpeercert(binary_form=True) if shaken is not None else None

    @property
    def tls(self) -> str | None:
        """Protocol version and cipher, None in the clear."""
        shaken = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return f"{shaken.version()} {shaken.cipher()[0]}" if shaken is not None else None

    @property
    def peer(self) -> tuple[str, int] | None:
        """IP address and port of the other side; None over a UNIX socket."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return (str(name[0]).partition("%")[0], int(name[1])) if isinstance(name, tuple) else None

    @property
    def unread(self) -> int:
        """How many octets wait to be read."""
        return len(self._buffer)

    def take_reply(self) -> list[bytes] | None:
        """Return the lines of the next reply without their line ends, None if not all of them have come.

        Raises `WireError` for what is too long to be one. A bare LF ends a line too: nothing of ours depends on it,
        and old hops send it.
        """
        buffer, lines, start = self._buffer, self._lines, self._looked
        if not buffer:  # as mostly just behind a command
            return None
        while (end := buffer.find(b"\n", start, start + MOST_LINE)) >= 0:
            line = bytes(buffer[start:end]).removesuffix(b"\r")
            lines.append(line)
            start = end + 1
            if line[3:4] != b"-":
                del buffer[:start]
                self._lines, self._looked = [], 0
                return lines
            if len(lines) == MOST_LINES:
                raise WireError("a reply with too many lines")
        if len(buffer) - start >= MOST_LINE:
            raise WireError("reply line too long")
        self._looked = start
        return None

    def limit(self, seconds: float) -> None:
        """Let `arrival` and `drain` raise `TimeoutError` when they still wait after so many seconds from now."""
        self._deadline = asyncio.get_running_loop().time() + seconds

    def _wait(self) -> asyncio.Future[None]:
        """Return what `wake` ends, and see to it that somebody looks when the time is over.

        One timer serves a connection for long: it is set anew only when it fires, or when it would fire too late.
        """
        if self._deadline < self._looks_at:
            if self._timer is not None:
                self._timer.cancel()
            self._look_at(self._deadline)
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def _look_at(self, moment: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(moment, self._expire)
        self._looks_at = moment

    def _expire(self) -> None:
        """End the waiting whose time is over; called by the loop."""
        self._timer, self._looks_at = None, math.inf
        waiting = self._waiting
        if waiting is None or waiting.done():
            return  # if what came in this very moment is not enough, whoever waits again sets the timer again
        if asyncio.get_running_loop().time() + _RESOLUTION < self._deadline:
            self._look_at(self._deadline)
        else:
            waiting.set_exception(TimeoutError())

    def arrival(self) -> asyncio.Future[None]:
        """Return what is done when something more came, or `wake` was called; raises `WireError` if nothing will come.

        Its result is a `TimeoutError` as `limit` says.
        """
        if self._lost is not None or self._transport is None:
            raise WireError(self._lost or "not connected")
        if self._read_paused:
            self._read_paused = False
            self._transport.resume_reading()
        return self._wait()

    def wake(self) -> None:
        """End the waiting of `arrival` or `drain`, as if something had happened: both look again."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def write(self, octets: bytes) -> None:
        """Hand octets to the socket; raises `WireError` if the connection is gone."""
        transport = self._transport
        if self._lost is not None or transport is None or transport.is_closing():
            raise WireError(self._lost or "connection closed")
        transport.write(octets)

    async def drain(self) -> None:
        """Wait until the socket takes more; raises `WireError` if the connection is gone, or `TimeoutError`."""
        while self._write_paused and self._lost is None:
            await self._wait()
        if self._lost is not None:
            raise WireError(self._lost)

    async def start_tls(self, context: ssl.SSLContext, *, name: str | None, seconds: float) -> None:
        """Do the TLS handshake; raises `WireError`, and the connection is gone then.

        What was received before must have been read: octets injected before the handshake would otherwise be taken
        for protected ones (CVE-2011-0411 and its kin).
        """
        transport = self._transport
        if transport is None or not self.quiet:
            self.abort()
            raise WireError("octets injected before the TLS handshake")
        try:
            # the handshake's own limit must not fire before the caller's, whose error is the readable one
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                context,
                server_hostname=name,
                ssl_handshake_timeout=seconds + 1,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except (OSError, ValueError) as error:  # SSLError is an OSError
            self._fail(transport, f"TLS handshake failed: {_words(error)}")
            raise WireError(self._lost or "") from error
        except asyncio.CancelledError:
            self._fail(transport, "TLS handshake given up")
            raise
        if secured is None:
            self._fail(transport, "connection lost in the TLS handshake")
            raise WireError(self._lost or "")
        self._transport = secured

    def _fail(self, transport: asyncio.Transport, words: str) -> None:
        """End a connection whose handshake failed: the loop tells the TLS layer of the end, but not us."""
        self._lost = self._lost or words
        transport.abort()
        self._ended()

    def _ended(self) -> None:
        self._closed.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._looks_at = None, math.inf

    def abort(self) -> None:
        """Close at once; octets not sent yet are dropped, an end of data among them."""
        self._lost = self._lost or "connection closed by us"
        if self._transport is not None:
            self._transport.abort()

    def close(self, farewell: bytes = b"") -> None:
        """Send `farewell` and close, waiting for nothing."""
        if self._transport is None or self._transport.is_closing():
            return  # closed twice, a TLS transport of Python 3.11.2 can no longer be aborted
        with contextlib.suppress(WireError):
            self.write(farewell)
        self._transport.close()

    async def wait_closed(self) -> None:
        """Wait until the loop has let go of the connection."""
        await self._closed.wait()


def host_of(endpoint: str) -> str:
    """Return the host of `HOST:PORT` or `[IPV6]:PORT`."""
    return endpoint.rpartition(":")[0].removeprefix("[").removesuffix("]")


def _words(error: BaseException) -> str:
    """Return the cause in words; libraries' texts hold addresses and certificate trouble, no secrets."""
    return (
        getattr(error, "verify_message", "") or getattr(error, "strerror", None) or str(error) or type(error).__name__
    )
