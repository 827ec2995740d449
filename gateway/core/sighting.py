"""A signature seen on a message, and what was known of it before: so that one cannot speak for another message.

An S/MIME signature covers neither Message-ID nor Date nor Subject: whoever has a signed message can send its signed
part again under other ones (RFC 8551 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Sighting:
    """One arrival of a message whose signature is good."""

    at: datetime
    signatures: tuple[str, ...]
    """`Signer.signature_digest` of each signer."""
    message_id: str
    date: str
    subject: str
    """The three as text, decoded, white space collapsed, a line for each field of the name; "" where there is none."""
    author: str | None
    """`Mailbox.key` of the author that the certificates name; None where they name another."""
    certificates: tuple[str, ...]
    """`Signer.fingerprint` of each signer."""


class Repeat(Enum):
    """How the signature relates to what was seen before."""

    NEW = "new"
    SAME = "same"
    """The same message again: for other recipients, by another way, or sent once more."""
    LIST_COPY = "list_copy"
    """The same message, its Subject with a list's prefix."""
    OTHER = "other"
    """Another message under the same signature: a replay."""
    UNKNOWN = "unknown"
    """The memory could not be asked."""


class Contact(Enum):
    """How the certificate relates to those seen for this author before."""

    FIRST = "first"
    KNOWN = "known"
    CHANGED = "changed"
    """The author is known with other certificates."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Recollection:
    """What the memory says about a sighting."""

    repeat: Repeat
    contact: Contact
