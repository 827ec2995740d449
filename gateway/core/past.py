"""What is remembered of a message so that a draft policy can be tried on past mail: facts and rulings, no content.

A subject is content: it is remembered only in the folded form that rules compare, and expires with the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.core.envelope import Direction

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True)
class PastRuling:
    """What a rule decided for some recipients (by index)."""

    indexes: tuple[int, ...]
    rule: str
    decision: str
    """One line, such as "sign personal_else_organization clear"; equal decisions have equal lines."""


@dataclass(frozen=True, slots=True)
class PastMessage:
    """One message that policy decided about; `facts` are those of `policy.model.Facts`, as plain values."""

    trace_id: str
    at: datetime
    direction: Direction
    facts: Mapping[str, Plain]
    recipients: tuple[str, ...]
    rulings: tuple[PastRuling, ...]
    policy_digest: str
