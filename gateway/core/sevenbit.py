"""Are octets 7bit data (RFC 2045 2.7)? Watched while they go by, at about half a nanosecond an octet."""

from __future__ import annotations

import io
from typing import Final

MAX_LINE: Final = 998
"""Octets without CRLF (RFC 5322 2.1.1)."""
_REACH: Final = MAX_LINE + 2
"""Octets of the longest line with its CRLF."""
_CRLF_ONLY: Final = (None, "\r\n")
_CR: Final = 0x0D
_LF: Final = 0x0A
"""As numbers: whether octets are in octets is asked by way of an exception (Python 3.11), a number is looked for."""


class SevenBitWatch:
    """Sees octets in order, in blocks that are never cut between CR and LF, and knows what all of them are.

    The line ends are told apart by Python's own newline decoder, in one pass: counting each kind takes three.
    """

    __slots__ = ("_line", "_line_ends", "_nul", "_seen", "_short", "ascii", "seven_bit_from")

    def __init__(self) -> None:
        self.ascii = True
        """No octet above 127 was seen."""
        self.seven_bit_from = 0
        """From where on all was 7bit data, if nothing is bare, but for a line begun before: files behind a text are."""
        self._line_ends = io.IncrementalNewlineDecoder(None, translate=False)
        self._nul = False
        self._short = True
        self._line = 0
        """Octets of the line that has begun."""
        self._seen = 0

    def see(self, block: bytes) -> None:
        """Look at further octets."""
        text = block.decode("latin-1")
        self._line_ends.decode(text, final=True)  # a CR at the end has no LF
        if "\0" in text:
            self._nul = True
        if not text.isascii():
            self.ascii = False
            self.seven_bit_from = self._seen + _after_eight_bit(block)
        self._line = _last_line(block, self._line)
        self._seen += len(block)
        if self._line > MAX_LINE:
            self._short = False
            self._line = 0
            self.seven_bit_from = self._seen

    @property
    def bare(self) -> bool:
        """True if NUL was seen, or a CR or LF that is not part of a CRLF."""
        return self._nul or self._line_ends.newlines not in _CRLF_ONLY

    @property
    def eight_bit(self) -> bool:
        """True if all was 8bit data (RFC 2045 2.8): nothing bare, no line of more than 998 octets."""
        return self._short and not self.bare

    @property
    def seven_bit(self) -> bool:
        """True if all was 7bit data: that, and no octet above 127."""
        return self.ascii and self.eight_bit


def has_lone_line_end(octets: bytes) -> bool:
    """Return True if a CR or LF is not part of a CRLF: of what is small and looked at once.

    Octets without their pairs are made three times as fast as CR and LF are counted.
    """
    rest = octets.replace(b"\r\n", b"")
    return _CR in rest or _LF in rest


def _after_eight_bit(block: bytes) -> int:
    """Return where the first line begins behind the last octet above 127, of which there is one; or the block's end."""
    last, behind = 0, len(block)
    while behind - last > 1:  # nothing looks backwards for a class of octets: halve what it may be in
        middle = (last + behind) // 2
        if block[middle:behind].isascii():
            behind = middle
        else:
            last = middle
    end = block.find(b"\r\n", last)
    return end + 2 if end >= 0 else len(block)


def _last_line(block: bytes, begun: int) -> int:
    """Return the octets of the line in which a block ends, `begun` of them before it; of a longer one that is too long.

    Leaps from the last line end within reach to the next: most lines are never looked at.
    """
    size, position, end = len(block), -begun, 0
    if size - position > MAX_LINE:
        end = block.rfind(b"\r\n", 0, position + _REACH)
        while end >= 0 and size - (position := end + 2) > MAX_LINE:
            end = block.rfind(b"\r\n", position, position + _REACH)
        if end < 0:
            return MAX_LINE + 1
    end = block.rfind(b"\r\n", max(position, 0))
    return size - (end + 2 if end >= 0 else position)
