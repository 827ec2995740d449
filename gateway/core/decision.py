"""What a policy can decide, and the ruling that carries a decision with the reason for it.

Live mail and explanations share the same `Ruling`, so that an explanation cannot differ from what happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar


class KeyChoice(StrEnum):
    """Which key signs: the author's personal one, the author's agency's, or the first of both that exists."""

    PERSONAL = "personal"
    ORGANIZATION = "organization"
    PERSONAL_ELSE_ORGANIZATION = "personal_else_organization"


class IfUnable(StrEnum):
    """What happens when a signature is required but impossible for a permanent cause."""

    REFUSE = "refuse"
    HOLD = "hold"
    SEND_UNSIGNED = "send_unsigned"


class SignatureForm(StrEnum):
    """What the signature looks like on the wire (RFC 8551 3.5)."""

    CLEAR = "clear"
    """multipart/signed: every mail client shows the text."""
    OPAQUE = "opaque"
    """application/pkcs7-mime: survives systems that re-encode bodies, and shows nothing without S/MIME."""


class DateGap(StrEnum):
    """What happens when Date is more than 50 minutes from the time of signing: some clients call that "broken"."""

    OMIT_SIGNING_TIME = "omit_signing_time"
    REPLACE_DATE = "replace_date"
    """The old one stays as X-Original-Date."""
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Footer:
    """Text put at the end of the body before signing, where the structure allows it without damage."""

    vietnamese: str
    english: str


@dataclass(frozen=True, slots=True)
class Carriage:
    """How a message travels on: header fields added above all others, and another next hop than the routes say."""

    add_fields: tuple[tuple[str, str], ...] = ()
    """(name, text); the text is encoded where it is not ASCII."""
    hop: str | None = None


AS_ROUTED: Final = Carriage()


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign with the chosen key (`label` names one key outright)."""

    key: KeyChoice
    if_unable: IfUnable
    label: str | None = None
    form: SignatureForm = SignatureForm.CLEAR
    date_gap: DateGap = DateGap.OMIT_SIGNING_TIME
    footer: Footer | None = None
    protect_headers: bool = False
    """Put copies of the header fields into what is signed (RFC 9788, hp="clear")."""
    for_other_addresses: bool = False
    """An organization's key may sign for an author its certificate does not name: most clients show that as broken."""
    carriage: Carriage = AS_ROUTED


@dataclass(frozen=True, slots=True)
class PassUnchanged:
    """Send on without a signature of ours."""

    carriage: Carriage = AS_ROUTED


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep the raw message until an administrator releases it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer 550 5.7.1; the texts are shown to the sender."""

    vietnamese: str
    english: str


class SubjectTag(StrEnum):
    """Which verdicts show in the subject of delivered mail; the header fields tell each of them all the same."""

    OFF = "off"
    ON = "on"
    BAD_ONLY = "bad_only"


@dataclass(frozen=True, slots=True)
class Deliver:
    """Deliver inbound mail with its tags."""

    carriage: Carriage = AS_ROUTED
    subject: SubjectTag | None = None
    """None: as the settings have it."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep inbound mail apart from deliverable mail."""

    reason: str


OutboundDecision = Sign | PassUnchanged | Hold | Refuse
InboundDecision = Deliver | Hold | Quarantine | Refuse

D_co = TypeVar("D_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ruling(Generic[D_co]):
    """A decision, the rule that made it, the digest of the policy it stands in, and what was tried on the way."""

    decision: D_co
    rule: str
    policy_digest: str
    trace: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Share(Generic[D_co]):
    """The recipients (by index in the envelope) that one ruling speaks for."""

    indexes: tuple[int, ...]
    ruling: Ruling[D_co]
