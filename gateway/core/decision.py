"""What a policy can decide, and the ruling that carries a decision with the reason for it.

Live mail and explanations share the same `Ruling`, so that an explanation cannot differ from what happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar


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


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign with the chosen key (`label` names one key outright)."""

    key: KeyChoice
    if_unable: IfUnable
    label: str | None = None


@dataclass(frozen=True, slots=True)
class PassUnchanged:
    """Send on without a signature of ours."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep the raw message until an administrator releases it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer 550 5.7.1; the texts are shown to the sender."""

    vietnamese: str
    english: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Deliver inbound mail with its tags."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep inbound mail apart from deliverable mail."""

    reason: str


OutboundDecision = Sign | PassUnchanged | Hold | Refuse
InboundDecision = Deliver | Quarantine | Refuse

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
