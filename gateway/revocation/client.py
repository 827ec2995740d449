"""One HTTP request to a listed place, bounded in time and octets (RFC 9110, RFC 9112).

The address is looked at when the socket is made, after the name service has answered for the last time: a name that
resolves differently the second time (DNS rebinding) gains nothing. Redirects are not followed, nothing is unpacked, no
cookie, proxy or password of the environment is used.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.core.errors import ServiceError

if TYPE_CHECKING:
    from aiohttp import AddrInfoType

    from gateway.revocation.places import Place, Places

_RESOLVING: Final = 4
"""Threads for the name service, which may hang; the threads that others use must not be taken."""
_ADDRESSES: Final = 8
_WINDOW: Final = 64 * 1024
_OK: Final = 200
_REDIRECTION: Final = 3
_HELD_FACTOR: Final = 2
"""All answers that are being read together take at most twice what one may."""
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "gateway"}


class Blame(Enum):
    """Who is left alone for a while after a failure."""

    SITE = "site"
    """It does not answer."""
    ANSWER = "answer"
    """The site answers, but not with what was asked for."""
    NOBODY = "nobody"
    """We are busy, or nobody was asked."""


class FetchError(ServiceError):
    """Nothing usable came."""

    def __init__(self, reason: str, blame: Blame) -> None:
        super().__init__(reason)
        self.reason = reason
        self.blame = blame


class Client:
    """Asks; used from one event loop, between `start` and `close`."""

    def __init__(self, places: Places, *, timeout: float, max_octets: int) -> None:
        """Take who may be connected to, seconds for one answer, and octets of one."""
        self.use(places, timeout=timeout, max_octets=max_octets)
        self._held = 0
        self._session: aiohttp.ClientSession | None = None

    def use(self, places: Places, *, timeout: float, max_octets: int) -> None:
        """Go by these from the next request on."""
        self._places = places
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._most_held = max_octets * _HELD_FACTOR

    def start(self) -> None:
        """Make the session; within a running event loop."""
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(), socket_factory=self._socket, use_dns_cache=False, limit=0, keepalive_timeout=10
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            connector_owner=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
            requote_redirect_url=False,
            headers=_HEADERS,
        )

    async def close(self) -> None:
        """Let go of every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, place: Place, *, body: bytes | None, kind: str, limit: int) -> bytes:
        """Return the octets of a 200; POST with a body, else GET. Raises `FetchError`, within the time limit.

        `kind` is the media type of the body; `limit` octets are read at most.
        """
        url = URL(place.url, encoded=True)
        if self._session is None or url.host != place.host or url.port != place.port:
            raise FetchError("no_client" if self._session is None else "unclear_url", Blame.NOBODY)
        held = 0
        try:
            async with self._session.request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers={"Content-Type": kind} if body is not None else None,
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                _check(response, limit)
                found: list[bytes] = []
                async for chunk in response.content.iter_chunked(_WINDOW):
                    held += len(chunk)
                    self._held += len(chunk)
                    if held > limit:
                        raise FetchError("too_large", Blame.ANSWER)
                    if self._held > self._most_held:
                        raise FetchError("busy", Blame.NOBODY)
                    found.append(chunk)
                return b"".join(found)
        except TimeoutError as error:
            raise FetchError("no_answer_in_time", Blame.SITE) from error
        except (aiohttp.ClientConnectionError, OSError) as error:
            refused = "not a public address" in str(error)
            raise FetchError("not_a_public_address" if refused else "cannot_connect", Blame.SITE) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise FetchError("malformed_answer", Blame.ANSWER) from error
        finally:
            self._held -= held

    def _socket(self, address: AddrInfoType) -> socket.socket:
        """Return a socket for an address that may be connected to; raises `OSError` for every other."""
        family, kind, protocol, _, target = address
        if not self._places.may_connect(str(target[0])):
            raise OSError(errno.EACCES, f"{target[0]} is not a public address")
        return socket.socket(family, kind, protocol)


def _check(response: aiohttp.ClientResponse, limit: int) -> None:
    """Raise `FetchError` for an answer that is none, by its head."""
    if response.status != _OK:
        redirect = response.status // 100 == _REDIRECTION
        raise FetchError("redirect" if redirect else f"status_{response.status}", Blame.ANSWER)
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise FetchError("compressed", Blame.ANSWER)  # a few octets could become gigabytes
    if (response.content_length or 0) > limit:
        raise FetchError("too_large", Blame.ANSWER)


class _Resolver(AbstractResolver):
    """The system's name service, on threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVING, thread_name_prefix="revocation-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        )
        return [
            ResolveResult(
                hostname=host, host=str(to[0]), port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for kind, _, protocol, _, to in found[:_ADDRESSES]
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
