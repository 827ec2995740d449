"""What a reader may be told about a message: a closed union, and the one table of its precedence and RFC 8601 result.

A verdict has no truth value: code must `match` on it, so that no state is ever taken for green by accident.
`chain` and `signature` (the facts about certification path and octets) are reported beside the verdict, never instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn

from gateway.core.address import Mailbox

if TYPE_CHECKING:
    from datetime import datetime


class ChainState(StrEnum):
    """What path validation said about the signers' certificates, whoever the author is."""

    VALID = "valid"
    INVALID = "invalid"
    INDETERMINATE = "indeterminate"
    NONE = "none"


class SignatureState(StrEnum):
    """What the octets and the public key say, whoever the signer is."""

    VALID = "valid"
    INVALID = "invalid"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Signer:
    """One signer as shown to people and programs; every text is a claim of its certificate."""

    subject: str
    issuer: str
    serial: str
    """Hexadecimal, upper case, no separators."""
    addresses: tuple[str, ...]
    """rfc822Name and SmtpUTF8Mailbox names, then the legacy e-mail attributes of the subject."""
    agency: str | None
    claimed_signing_time: datetime | None
    algorithm: str
    """Such as "RSA-2048 PKCS#1 v1.5 SHA-256"."""
    fingerprint: str
    """SHA-256 of the certificate's DER, hexadecimal, lower case."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Common parts: a stable machine `reason` code and the signers as far as they are known."""

    reason: str
    signers: tuple[Signer, ...] = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has no truth value: match on it")


@dataclass(frozen=True, slots=True)
class Invalid(_Verdict):
    """Octets or CMS broken: digest, signature, attributes."""


@dataclass(frozen=True, slots=True)
class Unreadable(_Verdict):
    """Over a limit, or malformed beyond judging."""


@dataclass(frozen=True, slots=True)
class Encrypted(_Verdict):
    """Enveloped at the top: nothing to judge."""


@dataclass(frozen=True, slots=True)
class NotTrusted(_Verdict):
    """The path failed definitively: unknown root, expired, revoked, usage, weak key or digest."""


@dataclass(frozen=True, slots=True)
class Indeterminate(_Verdict):
    """Data missing: no path material, no fresh revocation answer."""


@dataclass(frozen=True, slots=True)
class Partial(_Verdict):
    """A good signature covers only a part of what is shown."""


@dataclass(frozen=True, slots=True)
class SignerMismatch(_Verdict):
    """A good signature, not by the author."""


@dataclass(frozen=True, slots=True)
class Replayed(_Verdict):
    """A signature seen before on another message."""


@dataclass(frozen=True, slots=True)
class VerifiedLesser(_Verdict):
    """By a delegate, the same agency's mailbox, or a successor domain."""


@dataclass(frozen=True, slots=True)
class Verified(_Verdict):
    """Every numbered condition holds; `author`, of the one From field, is named by a signer's certificate."""

    author: Mailbox | None = None

    def __post_init__(self) -> None:
        if self.author is None or not any(
            _names(address, self.author) for signer in self.signers for address in signer.addresses
        ):
            raise ValueError("Verified needs a signer whose certificate names the author")


def _names(address: str, author: Mailbox) -> bool:
    try:
        return Mailbox.parse(address).key == author.key
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Unsigned(_Verdict):
    """No signature."""


Verdict = (
    Invalid
    | Unreadable
    | Encrypted
    | NotTrusted
    | Indeterminate
    | Partial
    | SignerMismatch
    | Replayed
    | VerifiedLesser
    | Verified
    | Unsigned
)


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One row of the table: the name in JSON, and the RFC 8601 `smime=` result. Rows stand in order of precedence."""

    kind: type[_Verdict]
    name: str
    result: str


VERDICTS: Final = (
    VerdictRow(Invalid, "invalid", "fail"),
    VerdictRow(Unreadable, "unreadable", "permerror"),
    VerdictRow(Encrypted, "encrypted", "permerror"),
    VerdictRow(NotTrusted, "not_trusted", "policy"),
    VerdictRow(Indeterminate, "indeterminate", "temperror"),
    VerdictRow(Partial, "partial", "neutral"),
    VerdictRow(SignerMismatch, "signer_mismatch", "policy"),
    VerdictRow(Replayed, "replayed", "policy"),
    VerdictRow(VerifiedLesser, "verified_lesser", "policy"),
    VerdictRow(Verified, "verified", "pass"),
    VerdictRow(Unsigned, "unsigned", "none"),
)


def row_of(verdict: Verdict) -> VerdictRow:
    """Return the verdict's row of the table."""
    return next(row for row in VERDICTS if row.kind is type(verdict))


@dataclass(frozen=True, slots=True)
class Judgment:
    """The whole answer about one message: the verdict, and the facts it was drawn from."""

    verdict: Verdict
    chain: ChainState
    signature: SignatureState
    covers_everything_shown: bool
    headers_signed: bool
    """True only where header fields inside the signed part equal the outer ones (RFC 9788)."""
    author: Mailbox | None
    """The single mailbox of the single From field, None where there is no such thing."""
