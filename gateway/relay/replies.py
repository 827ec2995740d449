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

MOST_LINES: Final = 100
"""Lines of one reply; a longer one is no reply."""
MOST_TEXT: Final = 400
"""Octets of one line that are kept: replies travel on to our own clients, with a code and a status before them."""

_LINE: Final = re.compile(rb"[2-5][0-9]{2}(?:[ -]|$)")


async def read_reply(wire: Wire, seconds: float) -> Reply:
    """Return the next reply; raises `WireError` when there will be none, `TimeoutError` when not in time."""
    line = wire.take_line()  # of several commands in one write the replies come together
    if line is not None and line[3:4] != b"-":
        return _parsed_line(line)
    wire.limit(seconds)
    if line is None:
        line = await wire.line()
        if line[3:4] != b"-":
            return _parsed_line(line)
    lines = [line]
    while line[3:4] == b"-":
        if len(lines) >= MOST_LINES:
            raise WireError("a reply with too many lines")
        line = await wire.line()
        lines.append(line)
    return _parsed(lines)


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
