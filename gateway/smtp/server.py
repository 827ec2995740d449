"""A listening socket and its sessions: start, drain, close (RFC 5321 3.1, 3.8; RFC 8314; RFC 9325).

A draining server takes no new sessions and never drops a message it has begun to take.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.config.model import ListenerKind, TlsMode
from gateway.core.errors import SetupError
from gateway.smtp.presence import Presence
from gateway.smtp.rates import Rates
from gateway.smtp.session import Session
from gateway.smtp.submission import SubmissionSession
from gateway.smtp.surroundings import Surroundings
from gateway.smtp.tls import ServerContext

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from gateway.config.model import Listener
    from gateway.ports import Bodies, Clock, Intake, Passwords, Spool
    from gateway.smtp.room import Room

_BACKLOG: Final = 512


class Server:
    """A listener that is open."""

    def __init__(self, server: asyncio.Server, around: Surroundings) -> None:
        """Use `serve`."""
        self.name = around.listener.name
        self._tls = around.tls
        self._server = server
        self._presence = around.presence
        self.sockets: tuple[socket.socket, ...] = tuple(server.sockets)
        self.port: int = self.sockets[0].getsockname()[1]

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._presence)

    def reload_tls(self) -> None:
        """Read certificate and key again, for handshakes from now on; raises `SetupError` and keeps the old ones."""
        if self._tls is not None:
            self._tls.reload()

    async def drain(self, timeout: float) -> int:  # noqa: ASYNC109 - the caller's budget, not a cancellation
        """Take no new sessions and let the open ones finish; idle ones get 421 4.3.2.

        Returns the number of messages still being taken when the time was up: 0 is a clean end. Sessions still open
        then are closed; a message being taken goes on.
        """
        self._server.close()
        self._presence.drain()
        try:
            async with asyncio.timeout(timeout):
                await self._presence.emptied()
        except TimeoutError:
            self._presence.abort()
        return self._presence.taking

    def close(self) -> None:
        """Stop listening and close every connection now."""
        self._server.close()
        self._presence.abort()


async def serve(  # noqa: PLR0913 - one argument per port and per fact of the house
    listener: Listener,
    *,
    intake: Intake,
    passwords: Passwords | None,
    bodies: Bodies,
    spool: Spool | None,
    hostname: str,
    max_message_size: Callable[[], int],
    clock: Clock,
    new_trace_id: Callable[[], str],
    shared: bool,
    room: Room,
) -> Server:
    """Open a listener; `shared` lets other processes of ours listen at the same port. Listeners share one `room`.

    Raises `SetupError` if its address, certificate or key does not work.
    """
    host, port = _host_and_port(listener)
    presence = Presence(most=listener.max_connections, most_per_client=listener.max_connections_per_client)
    around = Surroundings(
        listener=listener,
        hostname=hostname,
        intake=intake,
        passwords=passwords,
        bodies=bodies,
        spool=spool,
        max_message_size=max_message_size,
        clock=clock,
        new_trace_id=new_trace_id,
        presence=presence,
        tls=None if listener.tls.mode is TlsMode.NONE else ServerContext(listener.tls),
        rates=Rates(listener.rates),
        room=room,
    )
    session = SubmissionSession if listener.kind is ListenerKind.SUBMISSION else Session
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: session(around), host, port, backlog=_BACKLOG, reuse_address=True, reuse_port=shared
        )
    except OSError as error:
        raise SetupError(f"listener {listener.name}: cannot listen on {listener.address}: {error.strerror}") from error
    return Server(server, around)


def _host_and_port(listener: Listener) -> tuple[str, int]:
    host, _, port = listener.address.rpartition(":")
    if host == "unix":
        raise SetupError(f"listener {listener.name}: write HOST:PORT; SMTP clients are told apart by their IP address")
    return host.strip("[]"), int(port)
