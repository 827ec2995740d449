"""One connection: octets in, replies out, TLS, patience and parting (RFC 5321 3.1, 4.5.3.2, 3.8; RFC 2920; RFC 3207).

One task handles a connection from its greeting to its end, and nothing may ever cancel it: a message may be on its way.
The end of the connection shows up where octets are read or written, and only waiting for the client is timed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import structlog

from gateway.core.reply import Reply
from gateway.smtp.data import LineReader, OverlongLineError
from gateway.smtp.limits import (
    BLOCK,
    COMMANDS_PER_TURN,
    HANDSHAKE_SECONDS,
    LINGER_SECONDS,
    PENDING_REPLIES,
    READ_AHEAD,
    SLOWEST,
)
from gateway.smtp.presence import is_in, plain_address
from gateway.smtp.proxied import read_header
from gateway.smtp.replies import DRAINING, READY_FOR_TLS, TIMEOUT, TOO_MANY_CONNECTIONS
from gateway.smtp.tls import client_certificate

if TYPE_CHECKING:
    from gateway.core.errors import InputError
    from gateway.core.received import ClientCertificate
    from gateway.smtp.data import ChunkScanner, DataScanner, DataSink
    from gateway.smtp.surroundings import Surroundings

_LOG: Final = structlog.get_logger("gateway.smtp")
_GONE: Final = (OSError, asyncio.IncompleteReadError)
"""What reading or writing raises when the client is no longer there; `ssl.SSLError` is an `OSError`."""


_wire: Final = lru_cache(maxsize=256)(Reply.wire)
"""Nearly every reply was given before."""


class Connection(asyncio.BufferedProtocol):
    """The frame of a session; `obey` is called for each line.

    What is received lands in one place for all connections of a listener and is copied from there at once: a plain
    protocol is given 256 KiB of fresh memory by asyncio for each segment, which costs more than all that follows.
    """

    def __init__(self, around: Surroundings) -> None:
        """Begin without a transport; `connection_made` follows."""
        self.loop = asyncio.get_running_loop()
        self._input = LineReader(limit=READ_AHEAD, loop=self.loop)
        self.around = around
        self.peer = ""
        """The IP address of the host that is connected to us."""
        self.address = ""
        """The client's; that host's own, unless it is one that may speak for others."""
        self.tls: str | None = None
        """Protocol version and cipher, None in the clear."""
        self.certificate: ClientCertificate | None = None
        """What the client proved to hold."""
        self._wire = cast("asyncio.Transport", None)  # set by connection_made, before anything else runs
        self._out = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = math.inf
        self._unblocked: asyncio.Future[None] | None = None
        """Done when the transport takes more; None while it does."""
        self._writing = False
        self._idle = False
        self._closing = False
        self._gone = False

    # what a session adds

    @property
    def busy(self) -> bool:
        """True if leaving now would cost the client a transaction."""
        raise NotImplementedError

    async def obey(self, line: bytes) -> None:
        """Handle one command line, given with its line end."""
        raise NotImplementedError

    def refuse(self, error: InputError) -> None:
        """Give the refusal of a line, and count it."""
        raise NotImplementedError

    def start_over(self) -> None:
        """Forget everything the client said (RFC 3207 4.2)."""
        raise NotImplementedError

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or tell it that there are too many."""
        self._wire = cast("asyncio.Transport", transport)
        self._input.move_to(self._wire)
        try:
            self.address = self.peer = plain_address(transport.get_extra_info("peername"))
        except ValueError:  # gone before it was here
            self._wire.abort()
            return
        self._timer = self.loop.call_later(self.around.listener.command_timeout, self._tick)
        if is_in(self.peer, self.around.listener.proxy_from):
            if self.around.presence.admit_host(self):
                self._task = self.loop.create_task(self._handle_proxied())
            else:
                self.hang_up()
            return
        if not self.around.presence.admit(self, self.address):
            _LOG.warning("too many connections", listener=self.around.listener.name, client=self.address)
            # before a TLS handshake nothing can be said that the client would understand
            self.hang_up(None if self.around.implicit_tls else TOO_MANY_CONNECTIONS)
            return
        self._task = self.loop.create_task(self._handle_client())

    def connection_lost(self, error: Exception | None) -> None:
        """Let whoever reads or writes find out; nothing is canceled."""
        if self._gone:
            return
        self._gone = True
        if self._timer is not None:
            self._timer.cancel()
        self._input.feed_eof(error)
        self.resume_writing()
        self.around.presence.dismiss(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where octets may land: `buffer_updated` is called before anything else is."""
        del sizehint
        return self.around.landing if self._input.wants_blocks else self.around.landing[:BLOCK]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has landed."""
        self._input.feed_data(self.around.landing[:nbytes])

    def pause_writing(self) -> None:
        """Wait with further replies: the client does not read them."""
        self._unblocked = self._unblocked or self.loop.create_future()

    def resume_writing(self) -> None:
        """Go on."""
        unblocked, self._unblocked = self._unblocked, None
        if unblocked is not None and not unblocked.done():
            unblocked.set_result(None)

    def eof_received(self) -> bool:
        """Answer what was sent before the end; a TLS connection cannot be half-closed."""
        self._input.feed_eof()
        return self.tls is None

    # what a listener calls

    def drain(self) -> None:
        """Leave at once if the client has nothing under way; else after the message (RFC 5321 3.8)."""
        if self._idle:
            self.hang_up(DRAINING)

    def abort(self) -> None:
        """Close now; what is being taken goes on without us."""
        self._closing = True
        with contextlib.suppress(AttributeError):  # Python 3.11.2: a TLS transport that was closed twice
            self._wire.abort()

    # what a session uses

    @property
    def over(self) -> bool:
        """True if one side has ended the connection."""
        return self._gone or self._closing

    @property
    def left(self) -> bool:
        """True if the client is no longer there."""
        return self._gone

    def say(self, *replies: Reply) -> None:
        """Give replies; they go out together with those of other pipelined commands (RFC 2920 3.2)."""
        for reply in replies:
            self._out += _wire(reply)

    def hang_up(self, reply: Reply | None = None) -> None:
        """Say a last word and close; a client that does not listen is cut off."""
        if self._closing:
            return
        self._closing = True
        if reply is not None:
            self.say(reply)
        if self._out:
            self._wire.write(bytes(self._out))
            self._out.clear()
        self._wire.close()
        if not self._gone:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(LINGER_SECONDS, self._wire.abort)

    async def flush(self) -> None:
        """Send what was said; raises `ConnectionError` if nobody is there."""
        if self._out:
            self._wire.write(bytes(self._out))
            self._out.clear()
        if self._unblocked is not None:
            self._writing = True
            self._deadline = self.loop.time() + self.around.listener.command_timeout
            try:
                await self._unblocked
            finally:
                self._writing = False
                self._deadline = math.inf
        if self._gone:
            raise ConnectionResetError("connection lost")

    async def next_line(self) -> bytes:
        """Return the client's next line; a line must be complete within the timeout, however it drips in."""
        if self._input.has_line:
            if len(self._out) > PENDING_REPLIES:
                await self.flush()
            return await self._input.line()
        await self.flush()
        if self.around.presence.draining and not self.busy:
            self.hang_up(DRAINING)
            raise ConnectionAbortedError("draining")
        self._idle = not self.busy
        self._deadline = self.loop.time() + self.around.listener.command_timeout
        try:
            return await self._input.line()
        finally:
            self._idle = False
            self._deadline = math.inf

    async def read_data(self, sink: DataSink, scanner: DataScanner) -> None:
        """Read a message up to its end; the timeout counts from the last octet, and a trickle is not enough."""
        begin = self.loop.time()
        patience = self.around.listener.command_timeout
        rest: bytes | None = None
        try:
            while rest is None:
                slowest = begin + 2 * patience + sink.octets / SLOWEST
                self._deadline = min(self.loop.time() + patience, slowest)
                content, rest = scanner.feed(await self._input.block())
                sink.take(content)
        finally:
            self._deadline = math.inf
        self._input.unread(rest)

    async def read_chunk(self, size: int, sink: DataSink | None, scanner: ChunkScanner) -> None:
        """Read so many octets, into nothing where there is no sink; patient as `read_data`."""
        if self._out:
            await self.flush()  # a client may wait for its RCPT replies before it sends the octets
        begin, left = self.loop.time(), size
        patience = self.around.listener.command_timeout
        try:
            while left:
                slowest = begin + 2 * patience + (size - left) / SLOWEST
                self._deadline = min(self.loop.time() + patience, slowest)
                block = await self._input.block()
                self._input.unread(block[left:])
                block = block[:left]
                left -= len(block)
                if sink is not None:
                    sink.take(scanner.feed(block))
        finally:
            self._deadline = math.inf

    async def start_tls(self) -> None:
        """Shake hands; what was sent ahead in the clear is dropped (CVE-2011-0411). Raises `OSError`."""
        if self.around.tls is None:
            raise ConnectionAbortedError("no certificate")  # never offered then
        if not self.around.implicit_tls:
            self.say(READY_FOR_TLS)
            self._wire.write(bytes(self._out))
            self._out.clear()
        self._input.discard()
        try:
            secured = await self.loop.start_tls(
                self._wire,
                self,
                self.around.tls.current,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=LINGER_SECONDS,
            )
        except OSError:
            self.connection_lost(None)  # after a failed handshake nobody else calls it
            raise
        if secured is None or self._gone:
            self.connection_lost(None)
            raise ConnectionResetError("gone during the handshake")
        self._wire = secured
        self._input.move_to(secured)
        shaken = secured.get_extra_info("ssl_object")
        self.tls = f"{shaken.version()} {shaken.cipher()[0]}"
        self.certificate = client_certificate(shaken)
        self.start_over()

    # inside

    def _tick(self) -> None:
        """Look at the deadline; one timer per connection instead of one per block."""
        now = self.loop.time()
        if now < self._deadline:
            patience = self.around.listener.command_timeout
            self._timer = self.loop.call_at(min(self._deadline, now + patience), self._tick)
        elif self._writing:
            self.abort()  # it does not read what we say: no use to say more
        else:
            self.hang_up(TIMEOUT)

    async def _handle_proxied(self) -> None:
        """Learn whose connection a balancer passes on, then handle it as the client's own."""
        # The header is read off the socket itself. Python 3.11.2 starts to read after connection_made even what was
        # paused there; a task made there runs before anything is read.
        self._wire.pause_reading()
        try:
            address = await read_header(self._wire.get_extra_info("socket"))
        except ConnectionError:  # how balancers look whether we are there
            self.abort()
            return
        except (ValueError, OSError) as error:  # TimeoutError is an OSError
            _LOG.warning("no PROXY header", listener=self.around.listener.name, host=self.peer, error=str(error))
            self.abort()
            return
        if address is not None and not self._gone:
            self.address = address
        if not self.around.presence.move(self, self.address):
            _LOG.warning("too many connections", listener=self.around.listener.name, client=self.address)
            self.hang_up(None if self.around.implicit_tls else TOO_MANY_CONNECTIONS)
            return
        self._wire.resume_reading()
        await self._handle_client()

    async def _handle_client(self) -> None:
        """Greet, and obey until one side has had enough."""
        try:
            if self.around.implicit_tls:
                await self.start_tls()
            self.say(Reply(220, None, (f"{self.around.hostname} ESMTP",)))
            await self._converse()
        except _GONE as error:
            _LOG.debug("connection ended", client=self.address, error=type(error).__name__)
        except Exception:  # noqa: BLE001 - the last seam: one session's fault ends that session alone
            _LOG.exception("fault in a connection", listener=self.around.listener.name, client=self.address)
        finally:
            self.hang_up()

    async def _converse(self) -> None:
        turns = 0
        while not self._closing:
            try:
                line = await self.next_line()
            except OverlongLineError as error:
                self.refuse(error)
            else:
                await self.obey(line)
            turns += 1
            if turns % COMMANDS_PER_TURN == 0:
                await asyncio.sleep(0)
