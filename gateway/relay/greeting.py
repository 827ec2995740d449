"""From nothing to a connection that takes mail: connect, banner, EHLO or LHLO, STARTTLS, AUTH (RFC 5321 3.1, RFC 3207).

Whatever goes wrong here is the site's trouble and never a message's, a 5xx included (`handover.md` row 7). A password
must never leave over a connection without TLS, nor stand in an error.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Final

from gateway.config.hops import ForwardClient, HopProtocol, HopTls
from gateway.config.secrets import read_secret
from gateway.core.address import domain_key
from gateway.core.errors import SetupError
from gateway.ports import HopError, HopTrouble
from gateway.relay.forwarding import proxy_header, xclient_command
from gateway.relay.replies import Offers, read_reply
from gateway.relay.tls import client_context, is_pinned
from gateway.relay.wire import Wire, WireError

if TYPE_CHECKING:
    import ssl

    from gateway.config.hops import Hop, HopLogin
    from gateway.core.queue import Origin
    from gateway.core.reply import Reply
    from gateway.relay.places import Place

_NO_EHLO: Final = frozenset({500, 501, 502, 504, 550})
"""Answers to EHLO after which HELO is tried (RFC 5321 3.2)."""
_FAREWELL: Final = b"QUIT\r\n"


class Connection:
    """One connection that takes mail; in the hands of one task at a time."""

    __slots__ = ("client", "idle_since", "offers", "others", "place", "served", "wire")

    def __init__(self, wire: Wire, place: Place, offers: Offers, client: Origin | None) -> None:
        """Take over a wire after its greetings."""
        self.wire = wire
        self.place = place
        self.offers = offers
        self.client = client
        """For whom the hop was told we speak; None for ourselves."""
        self.others: tuple[Place, ...] = ()
        """The places that were to be tried after this one."""
        self.served = 0
        """Transactions it has carried before."""
        self.idle_since = 0.0

    @property
    def endpoint(self) -> str:
        """The address it leads to."""
        return self.place.endpoint

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply; raises `WireError`, or `TimeoutError` after `seconds`."""
        return await read_reply(self.wire, seconds)

    def abort(self) -> None:
        """Close at once; what was not sent yet never is."""
        self.wire.abort()

    def leave(self) -> None:
        """Say goodbye and close, waiting for nothing."""
        self.wire.close(_FAREWELL)


class Greeter:
    """Opens connections to one configured hop."""

    def __init__(self, hop: Hop, hostname: str) -> None:
        """Read CA file, certificate and password; raises `SetupError`."""
        self._hop = hop
        self._hostname = hostname
        self._lmtp = hop.protocol is HopProtocol.LMTP
        self.introduces: Final = hop.forward_client is ForwardClient.XCLIENT
        """Whether a kept connection must be told for whom it speaks."""
        self._context = client_context(hop)
        self._login = _login(hop.login) if hop.login is not None else None
        if (
            hop.tls is HopTls.VERIFY
            and hop.tls_name is None
            and any(each.address.startswith("unix:") for each in hop.addresses or ())
        ):
            raise SetupError(f"hop {hop.name}: tls verify over a UNIX socket needs tls_name")

    async def open(self, place: Place, client: Origin | None = None) -> Connection:
        """Return a connection that is ready for MAIL, speaking for `client`; raises `HopError(SITE)`."""
        told = None if self._hop.forward_client is ForwardClient.NONE else client
        wire: Wire | None = None
        try:
            async with asyncio.timeout(self._hop.connect_timeout):
                wire = await Wire.connect(place.endpoint)
            if self._hop.forward_client is ForwardClient.PROXY:
                wire.write(proxy_header(told.client if told is not None else None, wire.peer))
            connection = await self._greet(wire, place)
            await self._introduce(connection, told)
        except (WireError, TimeoutError) as error:
            if wire is not None:
                wire.abort()
            words = str(error) or "no answer in time"
            raise HopError(HopTrouble.SITE, f"{place.endpoint}: {words}") from error
        except BaseException:
            if wire is not None:
                wire.abort()
            raise
        return connection

    def may_speak(self, connection: Connection, client: Origin | None) -> bool:
        """Return whether a kept connection can be made to speak for this client."""
        match self._hop.forward_client:
            case ForwardClient.NONE:
                return True
            case ForwardClient.PROXY:
                return _same(connection.client, client)
            case ForwardClient.XCLIENT:
                return client is not None or connection.client is None

    async def introduce(self, connection: Connection, client: Origin | None) -> None:
        """Let a kept connection speak for this client; raises `WireError` or `TimeoutError`, and it is lost then."""
        if self.introduces:
            await self._introduce(connection, client)

    async def _introduce(self, connection: Connection, client: Origin | None) -> None:
        if self.introduces and not _same(connection.client, client):
            await self._xclient(connection, client)
        connection.client = client

    async def _xclient(self, connection: Connection, client: Origin | None) -> None:
        """Tell the hop whose mail follows, and greet it anew: it has forgotten us."""
        if client is None:
            raise WireError("a connection that speaks for a client cannot speak for us again")
        if not connection.offers.xclient:
            raise WireError("XCLIENT is required and not offered")
        connection.wire.write(xclient_command(client, connection.offers.xclient))
        reply = await self._reply(connection.wire, "XCLIENT")
        if reply.code == 501:  # noqa: PLR2004 - a Postfix without IPv6 takes no such address: nobody's then, and not ours
            connection.wire.write(xclient_command(None, connection.offers.xclient))
            reply = await self._reply(connection.wire, "XCLIENT")
        if reply.code != 220:  # noqa: PLR2004 - it greets anew
            raise WireError(f"XCLIENT: {reply}")
        connection.offers = await self._hello(connection.wire)
        if not connection.wire.quiet:
            raise WireError("out of step after XCLIENT")

    async def _greet(self, wire: Wire, place: Place) -> Connection:
        banner = await self._reply(wire, "banner", 220)
        self._check_loop(banner)
        offers = await self._hello(wire)
        if self._context is not None and (offers.starttls or self._hop.tls is not HopTls.MAY):
            offers = await self._secure(wire, place, self._context, offers)
        if self._login is not None:
            await self._log_in(wire, self._login, offers)
        if not wire.quiet:
            raise WireError("out of step after its greetings")
        return Connection(wire, place, offers, None)

    async def _hello(self, wire: Wire) -> Offers:
        verb = "LHLO" if self._lmtp else "EHLO"
        wire.write(f"{verb} {self._hostname}\r\n".encode())
        reply = await self._reply(wire, verb)
        if reply.code in _NO_EHLO and not self._lmtp:
            wire.write(f"HELO {self._hostname}\r\n".encode())
            self._check_loop(await self._reply(wire, "HELO", 250))
            return Offers()
        if reply.code != 250:  # noqa: PLR2004 - RFC 5321 4.1.1.1
            raise WireError(f"{verb}: {reply}")
        self._check_loop(reply)
        return Offers.read(reply)

    async def _secure(self, wire: Wire, place: Place, context: ssl.SSLContext, offers: Offers) -> Offers:
        if not offers.starttls:
            raise WireError("TLS is required and not offered")
        wire.write(b"STARTTLS\r\n")
        await self._reply(wire, "STARTTLS", 220)
        seconds = self._hop.connect_timeout
        async with asyncio.timeout(seconds):
            await wire.start_tls(context, name=place.host, seconds=seconds)
        if self._hop.tls_pins and not is_pinned(wire.certificate, self._hop.tls_pins):
            raise WireError("its certificate is none of tls_pins")
        return await self._hello(wire)  # what was said before TLS counts for nothing (RFC 3207 4.2)

    async def _log_in(self, wire: Wire, login: _Login, offers: Offers) -> None:
        if not wire.encrypted:
            raise WireError("AUTH needs TLS")
        if not offers.auth_plain:
            raise WireError("AUTH PLAIN is not offered")
        wire.write(login.command())
        await self._reply(wire, "AUTH", 235)

    async def _reply(self, wire: Wire, stage: str, wanted: int | None = None) -> Reply:
        """Return a reply of the greetings; raises `WireError` if it is not the wanted one."""
        try:
            reply = await read_reply(wire, self._hop.connect_timeout)
        except TimeoutError:
            raise WireError(f"{stage}: no answer in time") from None
        except WireError as error:
            raise WireError(f"{stage}: {error}") from error
        if wanted is not None and reply.code != wanted:
            raise WireError(f"{stage}: {reply}")
        return reply

    def _check_loop(self, greeting: Reply) -> None:
        """Raise `WireError` if the hop bears our own name: mail would go round and round.

        We serve no LMTP: a mail store on this machine may well bear the machine's name.
        """
        name = greeting.lines[0].partition(" ")[0]
        if domain_key(name.rstrip(".")) == domain_key(self._hostname) and not self._lmtp:
            raise WireError(f"greets with our own name {name}: mail loops back to us")


class _Login:
    """The one AUTH command of a hop; no `repr` shows it."""

    __slots__ = ("_command",)

    def __init__(self, user: str, password: bytes) -> None:
        response = base64.b64encode(b"\0" + user.encode() + b"\0" + password)
        self._command = b"AUTH PLAIN " + response + b"\r\n"

    def command(self) -> bytes:
        return self._command


def _login(settings: HopLogin) -> _Login:
    password = read_secret(settings.password)
    if b"\0" in password or "\0" in settings.user:
        raise SetupError(f"{settings.password}: user and password hold no NUL (RFC 4616)")
    return _Login(settings.user, password)


def _same(told: Origin | None, client: Origin | None) -> bool:
    """Return whether the hop would be told the same of both."""
    if told is None or client is None:
        return told is client
    return (told.client, told.login) == (client.client, client.login)
