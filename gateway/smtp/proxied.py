"""The client's address from a balancer before us: PROXY protocol, versions 1 and 2, read off the bare socket.

It is read before the connection is, so that not one octet of a TLS handshake behind it is taken away. Whoever is not
listed is never asked for it: it could claim any address.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from gateway.smtp.presence import plain_address

HEADER_SECONDS: Final = 5.0
"""Seconds a balancer may take; it sends the header at once."""
MOST_HEADER: Final = 2048
"""Octets, extensions included, which are not looked at."""
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_MOST_LINE: Final = 107
_AGAIN_SECONDS: Final = 0.01
_FAMILIES: Final = {0x11: 4, 0x21: 16}
"""Address family and TCP -> octets of an address."""


@dataclass(frozen=True, slots=True)
class Header:
    """A complete header."""

    length: int
    address: str | None
    """The client's IP address; None: the balancer speaks for itself (a health check)."""


def parse(octets: bytes) -> Header | None:
    """Return the header that the octets begin with, None if more are needed; raises `ValueError` if it is none."""
    if octets.startswith(_SIGNATURE):
        return _second(octets)
    if _SIGNATURE.startswith(octets) or (len(octets) < 6 and b"PROXY ".startswith(octets)):  # noqa: PLR2004 - its length
        return None
    if not octets.startswith(b"PROXY "):
        raise ValueError("no PROXY header")
    line, end, _ = octets[:_MOST_LINE].partition(b"\r\n")
    if not end:
        if len(octets) >= _MOST_LINE:
            raise ValueError("an endless PROXY header")
        return None
    return Header(len(line) + 2, _first(line))


def _first(line: bytes) -> str | None:
    words = line.decode("ascii", "replace").split(" ")
    if words[1] == "UNKNOWN":
        return None
    family, source, destination, *ports = words[1:]
    versions = {"TCP4": 4, "TCP6": 6}
    addresses = ip_address(source), ip_address(destination)
    if len(ports) != 2 or not all(each.isascii() and each.isdecimal() for each in ports):  # noqa: PLR2004 - two ends
        raise ValueError("ports")
    if any(each.version != versions.get(family) for each in addresses):
        raise ValueError("address of another family")
    return plain_address((source, 0))


def _second(octets: bytes) -> Header | None:
    if len(octets) < 16:  # noqa: PLR2004 - the fixed part
        return None
    command, family, length = struct.unpack_from("!BBH", octets, 12)
    if command not in {0x20, 0x21} or 16 + length > MOST_HEADER:
        raise ValueError("another version, or too long")
    if len(octets) < 16 + length:
        return None
    if command == 0x20 or family == 0:  # noqa: PLR2004 - LOCAL
        return Header(16 + length, None)
    size = _FAMILIES.get(family)
    if size is None or length < 2 * size + 4:
        raise ValueError("no TCP addresses")
    return Header(16 + length, plain_address((str(ip_address(octets[16 : 16 + size])), 0)))


async def read_header(connected: socket.socket) -> str | None:
    """Take the header off a socket that nobody else reads; return the client's address as `Header` has it.

    Raises `ValueError` if there is none, `OSError` at the end of the connection, `TimeoutError`.
    """
    mine = connected.dup()
    try:
        mine.setblocking(False)
        async with asyncio.timeout(HEADER_SECONDS):
            while True:
                await _readable(mine)
                octets = mine.recv(MOST_HEADER, socket.MSG_PEEK)
                if not octets:
                    raise ConnectionResetError("gone before its header")
                header = parse(octets)
                if header is not None:
                    mine.recv(header.length)
                    return header.address
                if len(octets) >= MOST_HEADER:
                    raise ValueError("an endless PROXY header")
                await asyncio.sleep(_AGAIN_SECONDS)  # what was looked at stays readable
    finally:
        mine.close()


async def _readable(mine: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(mine.fileno(), lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(mine.fileno())
