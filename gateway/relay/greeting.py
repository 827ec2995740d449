"""From nothing to a connection that takes mail: connect, banner, EHLO or LHLO, STARTTLS, AUTH (RFC 5321 3.1, RFC 3207).

Whatever goes wrong here is the site's trouble and never a message's, a 5xx included (`handover.md` row 7). A password
must never leave over a connection without TLS, nor stand in an error.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import TYPE_CHECKING, Final

from gateway.config.model import HopProtocol, HopTls
from gateway.config.secrets import read_secret
from gateway.core.address import domain_key
from gateway.core.errors import SetupError
from gateway.ports import HopError, HopTrouble
from gateway.relay.replies import Offers, read_reply
from gateway.relay.wire import Wire, WireError, host_of

if TYPE_CHECKING:
    from gateway.config.model import Hop, HopLogin
    from gateway.core.reply import Reply

_NO_EHLO: Final = frozenset({500, 501, 502, 504, 550})
"""Answers to EHLO after which HELO is tried (RFC 5321 3.2)."""
_FAREWELL: Final = b"QUIT\r\n"


class Connection:
    """One connection that takes mail; in the hands of one task at a time."""

    __slots__ = ("endpoint", "idle_since", "offers", "served", "wire")

    def __init__(self, wire: Wire, endpoint: str, offers: Offers) -> None:
        """Take over a wire after its greetings."""
        self.wire = wire
        self.endpoint = endpoint
        self.offers = offers
        self.served = 0
        """Transactions it has carried before."""
        self.idle_since = 0.0

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply; raises `WireError`, or `TimeoutError` after `seconds`."""
        return await read_reply(self.wire, seconds)

    async def final_reply(self, seconds: float) -> Reply:
        """Return the next reply where 3xx would be none: it never means that anything was accepted."""
        reply = await self.reply(seconds)
        if 300 <= reply.code < 400:  # noqa: PLR2004 - RFC 5321 4.2.1
            raise WireError(f"out of step: {reply}")
        return reply

    def abort(self) -> None:
        """Close at once; what was not sent yet never is."""
        self.wire.abort()

    def leave(self) -> None:
        """Say goodbye and close, waiting for nothing."""
        self.wire.close(_FAREWELL)


class Greeter:
    """Opens connections to one configured hop."""

    def __init__(self, hop: Hop, hostname: str) -> None:
        """Read CA file and password; raises `SetupError`."""
        self._hop = hop
        self._hostname = hostname
        self._lmtp = hop.protocol is HopProtocol.LMTP
        self._context = _context(hop)
        self._login = _login(hop.login) if hop.login is not None else None
        if (
            hop.tls is HopTls.VERIFY
            and hop.tls_name is None
            and any(each.startswith("unix:") for each in hop.addresses)
        ):
            raise SetupError(f"hop {hop.name}: tls verify over a UNIX socket needs tls_name")

    async def open(self, endpoint: str) -> Connection:
        """Return a connection that is ready for MAIL; raises `HopError(SITE)`."""
        wire: Wire | None = None
        try:
            async with asyncio.timeout(self._hop.connect_timeout):
                wire = await Wire.connect(endpoint)
            return await self._greet(wire, endpoint)
        except (WireError, TimeoutError) as error:
            if wire is not None:
                wire.abort()
            words = str(error) or "no answer in time"
            raise HopError(HopTrouble.SITE, f"{endpoint}: {words}") from error
        except BaseException:
            if wire is not None:
                wire.abort()
            raise

    async def _greet(self, wire: Wire, endpoint: str) -> Connection:
        banner = await self._reply(wire, "banner", 220)
        self._check_loop(banner)
        offers = await self._hello(wire)
        if self._context is not None and (offers.starttls or self._hop.tls is not HopTls.MAY):
            offers = await self._secure(wire, endpoint, self._context, offers)
        if self._login is not None:
            await self._log_in(wire, self._login, offers)
        if not wire.quiet:
            raise WireError("out of step after its greetings")
        return Connection(wire, endpoint, offers)

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

    async def _secure(self, wire: Wire, endpoint: str, context: ssl.SSLContext, offers: Offers) -> Offers:
        if not offers.starttls:
            raise WireError("TLS is required and not offered")
        wire.write(b"STARTTLS\r\n")
        await self._reply(wire, "STARTTLS", 220)
        name = self._hop.tls_name or (None if endpoint.startswith("unix:") else host_of(endpoint))
        seconds = self._hop.connect_timeout
        async with asyncio.timeout(seconds):
            await wire.start_tls(context, name=name, seconds=seconds)
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


def _context(hop: Hop) -> ssl.SSLContext | None:
    """Return the client side of TLS as the hop wants it, None for no TLS."""
    if hop.tls is HopTls.NONE:
        return None
    if hop.tls is HopTls.VERIFY:
        try:
            context = ssl.create_default_context(cafile=hop.tls_ca)
        except OSError as error:  # SSLError is one
            reason = getattr(error, "reason", None) or error.strerror or "unreadable"
            raise SetupError(f"hop {hop.name}: tls_ca {hop.tls_ca}: {reason}") from error
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context
