"""Keys that sign, and whoever looks at what they signed.

Nothing here does anything; a promise that cannot be said in a type is said in the docstring.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.cms.sign import SigningTemplate
    from gateway.core.address import Mailbox
    from gateway.core.message import Message
    from gateway.pki.certificate import Certificate


class KeyKind(StrEnum):
    """Whose key it is."""

    PERSONAL = "personal"
    ORGANIZATION = "organization"


class SigningKey(Protocol):
    """One key that can sign now, with its prepared template; loading and checking happened before."""

    @property
    def label(self) -> str:
        """The name administrators use."""
        ...

    @property
    def kind(self) -> KeyKind:
        """Personal or organization."""
        ...

    @property
    def certificate(self) -> Certificate:
        """The leaf."""
        ...

    @property
    def addresses(self) -> frozenset[str]:
        """`Mailbox.key`s it may sign for."""
        ...

    @property
    def template(self) -> SigningTemplate:
        """The prepared CMS."""
        ...

    async def sign(self, to_be_signed: bytes) -> bytes:
        """Return the raw signature value; raises `ServiceError` when the key is busy or away."""
        ...


class KeyCatalog(Protocol):
    """All keys this gateway may use. The catalog is replaced as a whole on reload."""

    def by_label(self, label: str) -> SigningKey | None:
        """Return the key of this label."""
        ...

    def for_author(self, mailbox: Mailbox, kind: KeyKind) -> SigningKey | None:
        """Return the key of this kind that may sign for the mailbox: in date first, then the latest expiry."""
        ...

    def unfit(self, key: SigningKey, at: datetime) -> str | None:
        """Return the stable code of why the key may not sign at this time ("expired" ...), or None if it may."""
        ...


class SecondOpinion(Protocol):
    """Another program that verifies what we signed, before it is released; bounded in time and in number at once."""

    async def verify(self, finished: Message, certificate: Certificate) -> str | None:
        """Return None if it finds the signature good and made by the certificate's key, else a stable code.

        The path above the certificate is not its question: who reads the mail has other anchors than we have. Raises
        `ServiceError` where it gives no answer now.
        """
        ...
