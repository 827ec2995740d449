"""Messages that are held apart, as large ones are: a small one of `Message.join` is one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.message import Message, Span
from gateway.core.octets import MemorySource

if TYPE_CHECKING:
    from collections.abc import Iterable


def apart(pieces: Iterable[bytes]) -> Message:
    """Return a message of one source for each piece, whatever its size; each border is one of windows, too."""
    return Message(tuple(Span(MemorySource(each), 0, len(each)) for each in pieces if each))


def together(pieces: Iterable[bytes]) -> Message:
    """Return the same octets as a small message is held: in one piece."""
    return Message.of(b"".join(pieces))
