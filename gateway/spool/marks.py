"""What is kept of a signature and of the message it came with: digests, in which no content can be read.

One signature never speaks for two messages: another Message-ID, Date or Subject is another message, but for one prefix
in brackets, which lists put in front of subjects.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.core.sighting import Repeat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.core.sighting import Sighting

_PREFIX: Final = re.compile(r"\[[^\[\]]{1,40}\] ?(?=.)")
"""What a list puts in front; longer ones could tell a story of their own."""
_OCTETS: Final = 16
"""Of a digest: nobody finds a second message for one of 128 bits."""
_GRAVEST: Final = (Repeat.OTHER, Repeat.UNKNOWN, Repeat.LIST_COPY, Repeat.SAME, Repeat.NEW)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a message is known by."""

    whole: bytes
    """Of Message-ID, Date and Subject; empty for a message without Message-ID, which is never the same as another."""
    bare: bytes
    """The same with one prefix taken off the subject; empty where it has none."""

    @classmethod
    def of(cls, sighting: Sighting) -> Mark:
        """Return what a message is known by."""
        if not sighting.message_id:
            return cls(b"", b"")
        match = _PREFIX.match(sighting.subject)
        head = sighting.message_id, sighting.date
        bare = digest(*head, sighting.subject[match.end() :]) if match is not None else b""
        return cls(digest(*head, sighting.subject), bare)

    def after(self, first: Mark) -> Repeat:
        """Return what a message with the same signature as an earlier one is to that."""
        if self.whole and self.whole == first.whole:
            return Repeat.SAME
        copy = (self.bare and self.bare == first.whole) or (first.bare and first.bare == self.whole)
        return Repeat.LIST_COPY if copy else Repeat.OTHER


def digest(*texts: str) -> bytes:
    """Return what stands for some texts, which may hold anything a header field can."""
    pieces: list[bytes] = []
    for each in texts:
        octets = each.encode("utf-8", "surrogatepass")
        pieces += (b"%d:" % len(octets), octets)
    return hashlib.sha256(b"".join(pieces)).digest()[:_OCTETS]


@lru_cache(maxsize=1024)
def digest_of_known(text: str) -> bytes:
    """Return `digest` of what comes again with each message of a sender: a mailbox, a certificate's fingerprint."""
    return digest(text)


def gravest(repeats: Iterable[Repeat]) -> Repeat:
    """Return the one of several signatures' answers that counts for their message."""
    return min(repeats, key=_GRAVEST.index)
