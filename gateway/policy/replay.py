"""Past mail tried on a draft: what would be ruled otherwise, and what the draft asks that nobody wrote down then.

A message whose facts cannot answer the draft is counted apart; it must never be called unchanged.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gateway.core.address import Mailbox
from gateway.core.contents import NOTHING
from gateway.core.envelope import Direction
from gateway.policy.describe import describe, lacks_findings, recalled
from gateway.policy.engine import rule_inbound, rule_outbound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.core.past import PastMessage
    from gateway.policy.model import Facts, Policy

EXAMPLES: Final = 3
"""Trace ids that are named for each difference."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a rule decided."""

    rule: str
    decision: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which mail would be treated otherwise."""

    direction: Direction
    old: Ruled
    new: Ruled
    messages: int
    examples: tuple[str, ...]
    """Trace ids."""

    @property
    def other_decision(self) -> bool:
        """True if more than the rule's name would change."""
        return self.old.decision != self.new.decision


@dataclass(slots=True)
class Replay:
    """Counts as messages are added; `differences` is the table."""

    policy: Policy
    messages: int = 0
    changed: int = 0
    """Messages of which at least one recipient would get another decision."""
    renamed: int = 0
    """Messages for which only other rules would decide the same."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """What the draft asks and was not written down -> number of messages."""
    unreadable: int = 0
    """Messages whose record does not hold the facts of this version."""
    _found: dict[tuple[Direction, Ruled, Ruled], list[str]] = field(default_factory=dict)
    _counts: Counter[tuple[Direction, Ruled, Ruled]] = field(default_factory=Counter)

    def add(self, past: PastMessage) -> None:
        """Try one message."""
        self.messages += 1
        try:
            facts = recalled(past.facts)
            new = _ruled(self.policy, past, facts)
        except ValueError:
            self.unreadable += 1
            return
        missing = tuple(_unanswered(self.policy, past.facts, facts))
        self.unanswered.update(missing)
        pairs = {(old, new[index]) for index, old in _old(past) if index in new and old != new[index]}
        if any(old.decision != other.decision for old, other in pairs):
            self.changed += 1
        elif pairs:
            self.renamed += 1
        for old, other in pairs:
            key = past.direction, old, other
            self._counts[key] += 1
            examples = self._found.setdefault(key, [])
            if len(examples) < EXAMPLES:
                examples.append(past.trace_id)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The table: other decisions first, then by number."""
        table = (
            Difference(direction, old, new, self._counts[direction, old, new], tuple(examples))
            for (direction, old, new), examples in self._found.items()
        )
        return tuple(
            sorted(table, key=lambda each: (not each.other_decision, -each.messages, each.old.rule, each.new.rule))
        )


def replay(policy: Policy, past: Iterable[PastMessage]) -> Replay:
    """Try every message on a draft."""
    tried = Replay(policy)
    for each in past:
        tried.add(each)
    return tried


def _old(past: PastMessage) -> Iterator[tuple[int, Ruled]]:
    for ruling in past.rulings:
        for index in ruling.indexes:
            yield index, Ruled(ruling.rule, ruling.decision)


def _ruled(policy: Policy, past: PastMessage, facts: Facts) -> dict[int, Ruled]:
    """Return what the draft rules, by index of the recipient; raises `ValueError` for a recipient that is none."""
    recipients = tuple(Mailbox.parse(each) for each in past.recipients)
    rule: Any = rule_outbound if past.direction is Direction.OUTBOUND else rule_inbound
    shares = rule(policy, facts, recipients)
    return {
        index: Ruled(share.ruling.rule, describe(share.ruling.decision)) for share in shares for index in share.indexes
    }


def _unanswered(policy: Policy, plain: Any, facts: Facts) -> Iterator[str]:
    """Yield what the draft asks for and nobody looked at when the message came."""
    if policy.asks_contents and facts.contents is NOTHING:
        yield "contents"
    if policy.asks_findings and lacks_findings(plain):
        yield "findings"
    known = plain["fields"].keys()
    yield from (f"header {name}" for name in sorted(policy.asks_fields - known))
