"""What a next hop says, read from its wire: replies of bounded length, and the keywords of its greeting (RFC 5321 4.2).

Nothing that is not a complete, well-formed reply may be taken for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.core.reply import Reply
from gateway.relay.wire import WireError

if TYPE_CHECKING:
    from gateway.relay.wire import Wire

MOST_TEXT: Final = 400
"""Octets of one line that are kept: replies travel on to our own clients, with a code and a status before them."""

_LINE: Final = re.compile(rb"[2-5][0-9]{2}(?:[ -]|$)")


def reply_here(wire: Wire) -> Reply | None:
    """Return the next reply if all of it is here; raises `WireError` for what is none."""
    lines = wire.take_reply()
    if lines is None:
        return None
    return _parsed_line(lines[0]) if len(lines) == 1 else _parsed(lines)


async def reply_to_come(wire: Wire, seconds: float) -> Reply:
    """Return the next reply, of which some is still to come; raises `WireError` when it will not.

    Raises `TimeoutError` when not in time.
    """
    wire.limit(seconds)
    while True:
        await wire.arrival()
        if (reply := reply_here(wire)) is not None:
            return reply


async def read_reply(wire: Wire, seconds: float) -> Reply:
    """Return the next reply; raises `WireError` when there will be none, `TimeoutError` when not in time."""
    return reply_here(wire) or await reply_to_come(wire, seconds)


@lru_cache(maxsize=256)
def _parsed_line(line: bytes) -> Reply:
    """Return the reply this line is; remembered, since a hop says the same few things all day."""
    return _parsed([line])


def _parsed(lines: list[bytes]) -> Reply:
    if any(_LINE.match(line) is None or line[:3] != lines[0][:3] for line in lines):
        raise WireError("not a reply")
    return Reply.parse(int(lines[0][:3]), tuple(_text(line[4:]) for line in lines))


def _text(octets: bytes) -> str:
    """Return the text of a line; what is not UTF-8 becomes question marks, so that it does not grow."""
    return octets[:MOST_TEXT].decode("utf-8", "replace").replace("\ufffd", "?")


@dataclass(frozen=True, slots=True)
class Offers:
    """What a hop offers; implements `ports.HopLimits`. Without arguments: what every hop takes (HELO)."""

    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    declares_size: bool = False
    """SIZE, with or without a limit."""
    pipelining: bool = False
    starttls: bool = False
    auth_plain: bool = False
    xclient: frozenset[str] = frozenset()
    """The attributes it takes with XCLIENT; empty if it does not offer it."""

    @classmethod
    def read(cls, greeting: Reply) -> Offers:
        """Return what the reply to EHLO or LHLO offers."""
        words = [line.upper().split() for line in greeting.lines[1:]]
        keywords = {each[0]: each[1:] for each in words if each}
        size = next(iter(keywords.get("SIZE", ())), "")
        return cls(
            size=(int(size) or None) if re.fullmatch(r"[0-9]{1,20}", size) else None,
            eight_bit="8BITMIME" in keywords,
            smtputf8="SMTPUTF8" in keywords,
            dsn="DSN" in keywords,
            declares_size="SIZE" in keywords,
            pipelining="PIPELINING" in keywords,
            starttls="STARTTLS" in keywords,
            auth_plain="PLAIN" in keywords.get("AUTH", ()),
            xclient=frozenset(keywords.get("XCLIENT", ())),
        )
