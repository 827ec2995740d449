"""First match wins, per recipient: turns a policy and the facts of a message into shares with their rulings.

The same function serves live mail and explanations, and it is pure: equal facts get equal rulings. It must never leave
a recipient without a ruling: where no rule speaks, the visible default does.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from gateway.core.decision import Deliver, Hold, InboundDecision, OutboundDecision, Refuse, Ruling, Share
from gateway.policy.conditions import AllOf, Among, AnyOf, Condition
from gateway.policy.model import Holds
from gateway.policy.view import View, seat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.core.address import Mailbox
    from gateway.policy.model import Facts, Policy, Rule

D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)

DEFAULT_RULE: Final = "(default)"
DEFAULT_OUTBOUND: Final = Refuse(
    "chính sách thư của đơn vị không có quy định nào cho thư này", "no rule of the mail policy speaks for this message"
)
"""Fail closed, and tell the sender: mail that no rule speaks for is neither signed nor sent without a signature."""
DEFAULT_INBOUND: Final = Deliver()
"""With its tags, which say what was found."""
_INDEXED: Final = ("author", "login", "recipient", "reverse_path", "group", "recipient_agency", "agency")
"""Who is concerned, narrowest first: everything else is asked in order, so that a trace tells it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A condition, and the trace line for when it does not hold."""

    condition: Condition
    line: str


@dataclass(frozen=True, slots=True)
class Step(Generic[D_co]):
    """One active rule, taken apart into what is asked once and what is asked for each recipient."""

    name: str
    decision: D_co
    once: tuple[Question, ...]
    each: tuple[Question, ...]
    line: str
    """Trace line for when it matched."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[D_co]):
    """The active rules of one direction in order, with an index so that a thousand rules cost no more than ten."""

    steps: tuple[Step[D_co], ...]
    always: tuple[int, ...]
    """Positions of the steps that no index leads to."""
    index: Mapping[str, Mapping[str, tuple[int, ...]]]
    """Condition key -> value -> positions of steps that can only match where the message has that value."""
    default: D_co


def plan(rules: Iterable[Rule[D]], default: D) -> Plan[D]:
    """Return the plan of some rules; inactive ones stay out of it."""
    steps: list[Step[D]] = []
    always: list[int] = []
    index: dict[str, dict[str, list[int]]] = {key: defaultdict(list) for key in _INDEXED}
    for position, rule in enumerate(each for each in rules if each.active):
        questions = [Question(each, f"{rule.name}: no, it asks for {each}") for each in rule.conditions]
        once = tuple(each for each in questions if not each.condition.per_recipient)
        per_recipient = tuple(each for each in questions if each.condition.per_recipient)
        steps.append(Step(rule.name, rule.decision, once, per_recipient, f"{rule.name}: yes{_because(rule)}"))
        handles = _handles(AllOf(rule.conditions))
        if handles is None:
            always.append(position)
        for handle in handles or ():
            for value in handle.values:
                index[handle.key][value].append(position)
    frozen = {key: {value: tuple(found) for value, found in values.items()} for key, values in index.items() if values}
    return Plan(tuple(steps), tuple(always), frozen, default)


def _handles(condition: Condition) -> tuple[Among, ...] | None:
    """Return questions of which one certainly holds where the condition does, to index by; None without such."""
    match condition:
        case Among(key=key) if key in _INDEXED:
            return (condition,)
        case AllOf(conditions=inner):
            found = [handles for each in inner if (handles := _handles(each)) is not None]
            return min(found, key=_width, default=None)
        case AnyOf(conditions=inner):
            branches = [_handles(each) for each in inner]
            known = [each for each in branches if each is not None]
            return tuple(one for each in known for one in each) if len(known) == len(branches) else None
        case _:
            return None


def _width(handles: tuple[Among, ...]) -> int:
    return max((_INDEXED.index(each.key) for each in handles), default=-1)


def _because(rule: Rule[object]) -> str:
    reasons = ", ".join(str(each) for each in rule.conditions) or "it has no conditions"
    comment = f" ({rule.comment})" if rule.comment else ""
    origins = f"; {rule.origins}" if rule.origins else ""
    return f": {reasons}{comment}{origins}"


def rule_outbound(
    policy: Policy, facts: Facts, recipients: Sequence[Mailbox], *, holds: Holds = Holds.APPLY
) -> tuple[Share[OutboundDecision], ...]:
    """Return the shares of an outbound message; every index of `recipients` is in exactly one."""
    return _rule(policy.outbound, policy, facts, recipients, holds)


def rule_inbound(
    policy: Policy, facts: Facts, recipients: Sequence[Mailbox], *, holds: Holds = Holds.APPLY
) -> tuple[Share[InboundDecision], ...]:
    """Return the shares of an inbound message; every index of `recipients` is in exactly one."""
    return _rule(policy.inbound, policy, facts, recipients, holds)


def _rule(
    chosen: Plan[D], policy: Policy, facts: Facts, recipients: Sequence[Mailbox], holds: Holds
) -> tuple[Share[D], ...]:
    directory = policy.directory
    agency = directory.agency_of(facts.author) if facts.author is not None else None
    view = View.of(facts, groups=policy.groups, agency=agency)
    seats = [seat(each, directory, agency) for each in recipients]
    positions = _candidates(chosen, view, seats)
    others = len(chosen.steps) - len(positions)
    tried = [f"{others} rules are about other authors, logins, groups, agencies or recipients"] if others else []
    waiting = list(range(len(recipients)))
    shares: list[Share[D]] = []
    for position in positions:
        if not waiting:
            break
        step = chosen.steps[position]
        if holds is Holds.SKIP and isinstance(step.decision, Hold):
            tried.append(f"{step.name}: passed over, an administrator released the message")
            continue
        refusal = _refusal(step.once, view)
        if refusal is None:
            matched, waiting, refusal = _sort_out(step, view, seats, waiting)
            if matched:
                ruling = Ruling(step.decision, step.name, policy.digest, (*tried, step.line))
                shares.append(Share(tuple(matched), ruling))
        if refusal is not None:
            tried.append(refusal)
    if waiting:
        line = f"{DEFAULT_RULE}: yes, no other rule matched"
        shares.append(Share(tuple(waiting), Ruling(chosen.default, DEFAULT_RULE, policy.digest, (*tried, line))))
    return tuple(shares)


def _refusal(questions: tuple[Question, ...], view: View) -> str | None:
    """Return the trace line of the first question whose answer is no."""
    for each in questions:
        if not each.condition.holds(view):
            return each.line
    return None


def _sort_out(
    step: Step[object], view: View, seats: Sequence[Mapping[str, frozenset[str]]], waiting: list[int]
) -> tuple[list[int], list[int], str | None]:
    """Return the recipients the step matches, those it does not, and the trace line for the latter."""
    if not step.each:
        return waiting, [], None
    matched: list[int] = []
    missed: list[int] = []
    line: str | None = None
    for index in waiting:
        view.sets.update(seats[index])
        refusal = _refusal(step.each, view)
        (matched if refusal is None else missed).append(index)
        line = line or refusal
    return matched, missed, line


def _candidates(chosen: Plan[object], view: View, seats: Sequence[Mapping[str, frozenset[str]]]) -> list[int]:
    """Return the positions of all steps that can match at all, in order."""
    found = set(chosen.always)
    for key, values in chosen.index.items():
        have = view.sets[key].union(*(each[key] for each in seats if key in each))
        for value in have:
            found.update(values.get(value, ()))
    return sorted(found)
