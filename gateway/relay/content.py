"""A message as it goes through DATA: blocks with dots doubled at line starts, then the end of data (RFC 5321 4.5.2).

Nothing here may look at lines one by one: a message of 50 MB in short lines costs what one in long lines does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core.octets import WINDOW, Needle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core.message import Message

END_OF_DATA: Final = b".\r\n"

_DOT: Final = Needle(b"\n.")


def blocks(message: Message, *, window: int = WINDOW) -> Iterator[bytes]:
    """Yield the octets to send, in blocks of about `window`, without the end of data: see `end_of_data`."""
    pending: list[bytes] = []
    size = 0
    before = b"\r\n"
    for octets in message.windows(window):
        pending.append(octets)
        size += len(octets)
        if size >= window:
            block = b"".join(pending)
            yield stuffed(block, before)
            pending, size, before = [], 0, block[-1:]
    if pending:
        yield stuffed(b"".join(pending), before)


def stuffed(octets: bytes, before: bytes) -> bytes:
    r"""Return the octets with the dot doubled at every line start; `before` are octets that come before them.

    A dot after a bare LF is doubled too. Canonical messages have none, but if one ever came this far, a lenient hop
    that takes LF . CRLF for the end of data must not be made to see two messages (SMTP smuggling).
    """
    doubled = octets.replace(b"\n.", b"\n..") if _DOT.find(octets) >= 0 else octets
    return b"." + doubled if octets.startswith(b".") and before.endswith(b"\n") else doubled


def end_of_data(message: Message) -> bytes:
    """Return the octets that end the data: a final line end where the message has none, then the dot."""
    size = len(message)
    return END_OF_DATA if not size or message.read(size - 2, size) == b"\r\n" else b"\r\n" + END_OF_DATA
