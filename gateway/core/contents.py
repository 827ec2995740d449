"""What a message carries, as far as policies ask: attachments, links, security markings. Claims of its sender.

Texts are decoded and compared as `policy.model.folded` does; nothing of the content itself is kept beyond them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Marking(StrEnum):
    """A mark of state secrecy, with or without diacritics (Law 29/2018/QH14 on the protection of state secrets)."""

    MAT = "mat"
    TOI_MAT = "toi_mat"
    TUYET_MAT = "tuyet_mat"


class Wish(StrEnum):
    """What an authenticated sender asks for by a subject word or header field."""

    SIGN = "sign"
    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One part that is shown as a file."""

    name: str
    """Decoded, "" without one."""
    media_type: str
    octets: int
    """As transferred."""
    signed_pdf: bool
    """A PDF that holds a signature field value (/ByteRange); nobody has verified it."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found within the limits; `complete` is False where a limit ended the look."""

    attachments: tuple[Attachment, ...] = ()
    links: frozenset[str] = frozenset()
    """Hosts that links in shown text lead to, lower case, A-labels; `UNKNOWN_HOST` where a limit ended the look."""
    markings: frozenset[Marking] = frozenset()
    """Every mark where text stayed unread: what was not looked at counts as there."""
    complete: bool = True


UNKNOWN_HOST: Final = "*"
NOTHING: Final = Contents()
