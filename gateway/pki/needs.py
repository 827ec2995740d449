"""What is missing to judge certificates, and what was found of it (RFC 5280 4.2.2.1 and 6.3, RFC 6960).

Everything here names places that a stranger's certificate chose: whoever fetches decides where it goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """One certificate of a candidate path whose revocation state is to be found out; both as DER."""

    certificate: bytes
    issuer: bytes
    ocsp: tuple[str, ...]
    """URLs of responders, in the certificate's order."""
    lists: tuple[str, ...]
    """URLs of revocation lists, in the certificate's order."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What somebody would have to fetch; bounded in number."""

    issuers: tuple[str, ...] = ()
    """URLs of certificates that may complete a path (caIssuers)."""
    statuses: tuple[Asked, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.issuers or self.statuses)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was fetched, or was still fresh in a cache; DER. It is checked where it is used, like a stranger's."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    """OCSPResponse."""
    troubles: tuple[str, ...] = ()
    """"HOST: what went wrong", for logs."""
    until: datetime | None = None
    """When the first of it will be too old to be believed from a cache; None: what rests on it is not to be kept."""


NOTHING_FOUND = Evidence()
