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
    from collections.abc import Mapping
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
    san_addresses: tuple[str, ...] = ()
    """Those of `addresses` in the subjectAltName: where there are any, the others do not count (RFC 8550 3)."""
    family: str | None = None
    """Name of the family of trust anchors that the path leads to, None without a good path."""
    signature_digest: str = ""
    """SHA-256, hexadecimal, lower case, of what no stranger can change in the signature: it is known again by it."""
    timestamped_at: datetime | None = None
    """Aware time of a valid timestamp over the signature value (RFC 3161), at which the certificate was judged."""

    @property
    def legacy_addresses(self) -> tuple[str, ...]:
        """Those of `addresses` that stand in the subject itself."""
        return self.addresses[len(self.san_addresses) :]


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


LESSER: Final = (
    "same_agency",
    "successor_domain",
    "delegate",
    "headers_changed",
    "sha1",
    "list_copy",
    "replay_unknown",
)
"""Every reason for which a good signature is less than `Verified`; each has words of its own."""


@dataclass(frozen=True, slots=True)
class VerifiedLesser(_Verdict):
    """By a delegate, the same agency's mailbox, or a successor domain; or what reached us differs in a harmless way.

    Every other condition holds: exactly one is excused, and `reason` says which (`LESSER`).
    """

    author: Mailbox | None = None

    def __post_init__(self) -> None:
        if self.reason not in LESSER:
            raise ValueError(f"there is no lesser state {self.reason!r}")
        if self.author is None or not self.signers:
            raise ValueError("VerifiedLesser needs an author and a signer")


@dataclass(frozen=True, slots=True)
class Verified(_Verdict):
    """Every numbered condition holds; `author`, of the one From field, is named by a signer's certificate."""

    author: Mailbox | None = None

    def __post_init__(self) -> None:
        named = {Mailbox.key_in(address) for signer in self.signers for address in signer.addresses}
        if self.author is None or self.author.key not in named:
            raise ValueError("Verified needs a signer whose certificate names the author")


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


_ROWS: Final[Mapping[type, VerdictRow]] = {row.kind: row for row in VERDICTS}


def row_of(verdict: Verdict) -> VerdictRow:
    """Return the verdict's row of the table."""
    return _ROWS[type(verdict)]


@dataclass(frozen=True, slots=True)
class Broken:
    """A numbered condition of the argument that does not hold, and the stable reason code."""

    condition: int
    reason: str


NOTES: Final = (
    "headers_changed",
    "reply_to_elsewhere",
    "date_far_from_signing",
    "signing_time_local",
    "signing_time_future",
    "sha1",
    "no_extended_key_usage",
    "no_extensions",
    "address_in_subject",
    "timestamped",
    "timestamp_unusable",
    "several_signers",
    "nested_signature",
    "first_contact",
    "changed_key",
    "list_copy",
    "seen_before",
    "impersonation",
    "lookalike_domain",
    "tag_words",
    "revocation_from_cache",
)
"""Every code of a note, in the order in which people are told."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader, or a rule, may want to know beside the verdict; it never makes a verdict better."""

    code: str
    """Of `NOTES`."""
    detail: str = ""
    """Such as the name of the imitated agency; may hold a stranger's words: to be made harmless before it is shown."""

    def __post_init__(self) -> None:
        if self.code not in NOTES:
            raise ValueError(f"unknown note {self.code!r}")


class AttachmentState(StrEnum):
    """What is known of one signature on an attached file; it says nothing about the message."""

    VALID = "valid"
    INVALID = "invalid"
    NOT_TRUSTED = "not_trusted"
    INDETERMINATE = "indeterminate"
    UNREADABLE = "unreadable"
    """Of a shape that cannot be judged."""


@dataclass(frozen=True, slots=True)
class AttachmentSignature:
    """One signature on an attached file, whoever sent the message."""

    name: str
    """Of the file, as its sender wrote it: a stranger's words."""
    kind: str
    """ "pdf" or "cms"."""
    state: AttachmentState
    reason: str
    """Stable code."""
    signer: Signer | None = None


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
    broken: tuple[Broken, ...] = ()
    """Every condition that does not hold, in the order of the argument; empty for `Verified`."""
    notes: tuple[Note, ...] = ()
    attachments: tuple[AttachmentSignature, ...] = ()
    """Signatures on attached files: they never change the verdict."""

    @property
    def covers(self) -> str:
        """What good signatures cover of what is shown: "all", "part", or "none" where there is no such signature."""
        if self.covers_everything_shown:
            return "all"
        return "part" if self.signature is SignatureState.VALID else "none"

    def noted(self, code: str) -> bool:
        """Return True if there is a note with this code."""
        return any(each.code == code for each in self.notes)
