"""From policy files to a `Policy`, with every mistake in every file reported at once as file:line:column.

Must never accept a rule that cannot do anything: one name twice, or a rule behind another that takes all its mail.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final, cast

from gateway.core.decision import Sign
from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.policy.conditions import Among, covers, reach
from gateway.policy.engine import DEFAULT_INBOUND, DEFAULT_OUTBOUND, plan
from gateway.policy.model import Policy, Rule
from gateway.policy.then import Decision, read_decision
from gateway.policy.when import read_conditions
from gateway.yamlcheck import Checker
from gateway.yamltext import plain, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway.core.decision import InboundDecision, OutboundDecision
    from gateway.yamltext import Entry, Node, Plain

MAX_RULES: Final = 2000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_KEYS: Final = ("name", "direction", "comment", "active", "when", "then")


def load_policy(files: Sequence[tuple[str, str]]) -> Policy:
    """Return the policy in some files, given as (name, text) in the order in which they count.

    Raises one `SetupError` with every mistake in any of them.
    """
    mistakes: list[str] = []
    rules: list[Rule[Decision]] = []
    contents: list[Plain] = []
    for name, text in files:
        try:
            checker = Checker(read_yaml(name, text))
        except SetupError as error:
            mistakes += error.mistakes
            continue
        for node in _rule_nodes(checker):
            rule = _rule(checker, node)
            if rule is not None:
                rules.append(rule)
                contents.append(plain(node))
        mistakes += checker.mistakes
    if len(rules) > MAX_RULES:
        raise SetupError(*mistakes, f"{rules[MAX_RULES].place}: more than {MAX_RULES} rules")
    mistakes += _same_names(rules)
    mistakes += _unreachable(rules)
    if mistakes:
        raise SetupError(*mistakes)
    return _policy(rules, contents)


def _policy(rules: Sequence[Rule[Decision]], contents: Sequence[Plain]) -> Policy:
    normal = json.dumps(contents, sort_keys=True, separators=(",", ":"))
    outbound = [each for each in rules if each.direction is Direction.OUTBOUND]
    inbound = [each for each in rules if each.direction is Direction.INBOUND]
    signing = (each.decision for each in outbound if each.active and isinstance(each.decision, Sign))
    return Policy(
        rules=tuple(rules),
        # `read_decision` gives each direction its own kinds of decision
        outbound=plan(cast("list[Rule[OutboundDecision]]", outbound), DEFAULT_OUTBOUND),
        inbound=plan(cast("list[Rule[InboundDecision]]", inbound), DEFAULT_INBOUND),
        digest=hashlib.sha256(normal.encode()).hexdigest(),
        key_labels=frozenset(each.label for each in signing if each.label is not None),
    )


def _rule_nodes(checker: Checker) -> Iterator[Node]:
    """Yield the rules of one file."""
    top = checker.table(checker.root, known=("rules",), required=("rules",))
    if top is None:
        return
    yield from checker.items(top["rules"].node)


def _rule(checker: Checker, node: Node) -> Rule[Decision] | None:
    """Return one rule, or None after complaining about all that is wrong with it."""
    before = len(checker.mistakes)
    entries = checker.table(node, known=_KEYS, required=("name", "direction", "then"))
    if entries is None:
        return None
    name = _name(checker, entries["name"])
    word = checker.choice(entries["direction"].node, [each.value for each in Direction])
    comment = checker.text(entries["comment"].node) if "comment" in entries else ""
    active = checker.flag(entries["active"].node) if "active" in entries else True
    if word is None:
        return None  # what may stand in when and then depends on it
    direction = Direction(word)
    conditions = read_conditions(checker, entries["when"].node, direction) if "when" in entries else ()
    decision = read_decision(checker, entries["then"].node, direction)
    if len(checker.mistakes) > before or decision is None or name is None or comment is None or active is None:
        return None
    return Rule(name, direction, comment, active, conditions, decision, checker.place(entries["name"].node.place))


def _name(checker: Checker, entry: Entry) -> str | None:
    name = checker.text(entry.node)
    if name is not None and not _NAME.fullmatch(name):
        checker.complain(entry.node.place, "a name has lower-case letters, digits, . - and _ only, at most 63")
        return None
    return name


def _same_names(rules: Iterable[Rule[Decision]]) -> Iterator[str]:
    first: dict[str, str] = {}
    for rule in rules:
        if rule.name in first:
            yield f"{rule.place}: a rule named {rule.name!r} is already at {first[rule.name]}"
        first.setdefault(rule.name, rule.place)


def _unreachable(rules: Sequence[Rule[Decision]]) -> Iterator[str]:
    """Yield the active rules that can never match, because one before them takes all their mail.

    Earlier rules are looked up by what a cover must ask for: comparing each with each takes seconds for 2,000 rules.
    """
    for direction in Direction:
        active = [each for each in rules if each.active and each.direction is direction]
        anywhere: list[int] = []
        by_value: dict[tuple[str, str], list[int]] = defaultdict(list)
        for position, rule in enumerate(active):
            found = sorted({*anywhere, *(each for pair in reach(rule.conditions) for each in by_value.get(pair, ()))})
            earlier = next((active[each] for each in found if covers(active[each].conditions, rule.conditions)), None)
            if earlier is not None:
                how = "applies to all mail" if not earlier.conditions else "already takes all mail it asks for"
                yield f"{rule.place}: rule {rule.name!r} is never reached: {earlier.name!r} ({earlier.place}) {how}"
            handles = [[(one.key, each) for each in one.values] for one in rule.conditions if isinstance(one, Among)]
            for pair in min(handles, key=lambda pairs: sum(len(by_value[each]) for each in pairs), default=()):
                by_value[pair].append(position)
            if not handles:
                anywhere.append(position)
