"""A footer at the end of the text a reader sees, before anything is signed (RFC 2045 6, RFC 2046 5.1, RFC 3676 4.3).

The content apart from the footer is the same after decoding; where that cannot be promised there is no footer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.decision import Footer
    from gateway.core.message import Message
    from gateway.core.octets import Builder
    from gateway.mime.entity import Entity


class NoFooter(StrEnum):
    """Why a message got no footer; stable codes."""

    SIGNED = "signed"
    """Signed or encrypted by somebody else, S/MIME or PGP."""
    STRUCTURE = "structure"
    """No text at its begin, a report, a calendar, a list of parts we do not know, or defects in its structure."""
    CHARSET = "charset"
    """The part's charset cannot carry the footer without changing the rest."""
    ENCODING = "encoding"
    """The part's transfer encoding is unknown or broken."""
    TOO_LARGE = "too_large"
    PRESENT = "present"
    """It is there already."""


def add_footer(
    message: Message, entity: Entity, footer: Footer, *, new_builder: Callable[[], Builder]
) -> Message | NoFooter:
    """Return the message with the footer in each form of its text, or why it has none; `entity` is all of it."""
    return NoFooter.STRUCTURE
