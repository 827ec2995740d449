"""One connection: who is admitted, for whom a balancer speaks, and TLS (RFC 5321 3.1; RFC 3207; RFC 8314 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import structlog

from gateway.smtp.flow import Flow
from gateway.smtp.limits import HANDSHAKE_SECONDS, LINGER_SECONDS
from gateway.smtp.presence import is_in, plain_address
from gateway.smtp.proxied import read_header
from gateway.smtp.replies import READY_FOR_TLS, TOO_MANY_CONNECTIONS
from gateway.smtp.tls import client_certificate

if TYPE_CHECKING:
    import asyncio

    from gateway.core.errors import InputError
    from gateway.core.received import ClientCertificate
    from gateway.smtp.surroundings import Surroundings

_LOG: Final = structlog.get_logger("gateway.smtp")


class Connection(Flow):
    """The frame of a session."""

    def __init__(self, around: Surroundings) -> None:
        """Begin without a transport; `connection_made` follows."""
        super().__init__(around)
        self.peer = ""
        """The IP address of the host that is connected to us."""
        self.certificate: ClientCertificate | None = None
        """What the client proved to hold."""

    def refuse(self, error: InputError) -> None:
        """Give the refusal of a line, and count it."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or tell it that there are too many."""
        self._wire = cast("asyncio.Transport", transport)
        try:
            self.address = self.peer = plain_address(transport.get_extra_info("peername"))
        except ValueError:  # gone before it was here
            self.abort()
            return
        self._timer = self.loop.call_later(self.around.listener.command_timeout, self._tick)
        if is_in(self.peer, self.around.listener.proxy_from):
            if self.around.presence.admit_host(self):
                self.wait_for(self._learn_client())
            else:
                self.hang_up()
            return
        if not self.around.presence.admit(self, self.address):
            self._turn_away()
        elif self.around.implicit_tls:
            self.wait_for(self.start_tls())
        else:
            self._welcome()
            self._proceed()

    async def start_tls(self) -> None:
        """Shake hands; where that fails, the connection ends, with the error for whoever wants to know."""
        try:
            await self._shake_hands()
        except Exception:
            self.abort()
            raise
        self.start_over()
        if self.around.implicit_tls:
            self._welcome()

    async def _shake_hands(self) -> None:
        """Secure the connection; what was sent ahead in the clear is dropped (CVE-2011-0411). Raises `OSError`."""
        if self.around.tls is None:
            raise ConnectionAbortedError("no certificate")  # never offered then
        if not self.around.implicit_tls:
            self.say(READY_FOR_TLS)
            self._send()
        if self.blocked:  # asyncio would tell the handshake, not us, that the transport takes more again
            raise ConnectionAbortedError("replies are not read")
        self._input.discard()
        self._resume()  # the handshake reads from it
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
        if secured is None or self.left:
            self.connection_lost(None)
            raise ConnectionResetError("gone during the handshake")
        self._resume()  # what is left behind must not stay paused
        self._wire = secured
        shaken = secured.get_extra_info("ssl_object")
        self.tls = f"{shaken.version()} {shaken.cipher()[0]}"
        self.certificate = client_certificate(shaken)

    def _welcome(self) -> None:
        self.say(self.around.welcome)

    def _turn_away(self) -> None:
        _LOG.warning("too many connections", listener=self.around.listener.name, client=self.address)
        # before a TLS handshake nothing can be said that the client would understand
        self.hang_up(None if self.around.implicit_tls else TOO_MANY_CONNECTIONS)

    async def _learn_client(self) -> None:
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
        if address is not None and not self.left:
            self.address = address
        if not self.around.presence.move(self, self.address):
            self._turn_away()
            return
        self._wire.resume_reading()
        if self.around.implicit_tls:
            await self.start_tls()
        else:
            self._welcome()
