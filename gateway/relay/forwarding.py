"""Telling a next hop whose mail we pass on: PROXY protocol version 2, and Postfix's XCLIENT.

An address that we do not know must never be made up: the hop is told that the connection speaks for ourselves.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.core.queue import Origin

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_LOCAL, _PROXY = 0x20, 0x21
_STREAM_4, _STREAM_6 = 0x11, 0x21
_PLAIN: Final = frozenset(range(0x21, 0x7F)) - frozenset(b"+=[")
_UNAVAILABLE: Final = "[UNAVAILABLE]"
_NO_PORT: Final = 65535
"""Stands for the client's port, which nobody kept: 0 is refused by some."""


def proxy_header(client: str | None, peer: tuple[str, int] | None) -> bytes:
    """Return the header for a client's address; where it, or the hop's own, is not known, for ourselves (LOCAL)."""
    if client is None or peer is None:
        return SIGNATURE + struct.pack("!BBH", _LOCAL, 0, 0)
    source, destination = ip_address(client), ip_address(peer[0])
    if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
        family, octets = _STREAM_4, source.packed + destination.packed
    else:
        family, octets = _STREAM_6, _six(source.packed) + _six(destination.packed)
    octets += struct.pack("!HH", _NO_PORT, peer[1])
    return SIGNATURE + struct.pack("!BBH", _PROXY, family, len(octets)) + octets


def _six(packed: bytes) -> bytes:
    return packed if len(packed) > 4 else bytes(10) + b"\xff\xff" + packed  # noqa: PLR2004 - octets of IPv4


def xclient_command(client: Origin | None, offered: Collection[str]) -> bytes:
    """Return the command with those attributes that the hop takes; a name in DNS is never claimed.

    None is a client whose address the hop cannot take.
    """
    attributes = {
        "ADDR": _address(client.client) if client is not None else _UNAVAILABLE,
        "NAME": _UNAVAILABLE,
        "LOGIN": _xtext(client.login) if client is not None and client.login else _UNAVAILABLE,
    }
    words = [f"{name}={value}" for name, value in attributes.items() if name in offered]
    return " ".join(["XCLIENT", *words]).encode() + b"\r\n"


def _address(text: str) -> str:
    address = ip_address(text)
    return str(address) if isinstance(address, IPv4Address) else f"IPV6:{address}"


def _xtext(text: str) -> str:
    """Return text as xtext (RFC 3461 4): what could end a word or a line cannot stand in it."""
    return "".join(chr(octet) if octet in _PLAIN else f"+{octet:02X}" for octet in text.encode())
