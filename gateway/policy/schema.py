"""From policy files to a `Policy`, with every mistake in every file reported at once as file:line:column.

Must never accept a rule that cannot do anything: one name twice, or a rule behind another that takes all its mail.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from gateway.core.decision import Sign
from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.policy.conditions import CONTENT_KEYS, FIELD, FINDING_KEYS, Among, Dates, covers, keys_asked, reach
from gateway.policy.directory import NOBODY
from gateway.policy.engine import DEFAULT_INBOUND, DEFAULT_OUTBOUND, plan
from gateway.policy.files import File, Marker, Shared
from gateway.policy.model import Mention, Policy, Rule
from gateway.policy.patterns import MAX_AGENCY_PATTERNS, Budget
from gateway.yamlcheck import Checker
from gateway.yamltext import plain, read_yaml

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gateway.core.decision import InboundDecision, OutboundDecision
    from gateway.policy.directory import Directory
    from gateway.policy.then import Decision
    from gateway.yamltext import Plain

MAX_RULES: Final = 2000
MAX_AGENCY_RULES: Final = 100
"""Of one agency: none may use up what is there for all."""


@dataclass(frozen=True, slots=True)
class AgencyFile:
    """The file of a delegated administrator: `agency` is the id in the registry, as in `agencies/<id>.yaml`."""

    agency: str
    name: str
    text: str


def load_policy(
    files: Sequence[tuple[str, str]],
    *,
    agencies: Sequence[AgencyFile] = (),
    directory: Directory = NOBODY,
    turned_on: frozenset[str] = frozenset(),
) -> Policy:
    """Return the policy in some files, given as (name, text) in the order in which they count.

    Prepared rules that are `turned_on` are active, whatever their files say: for tests of them. Raises one `SetupError`
    with every mistake in any of them.
    """
    loading = _Loading(directory)
    rules = [
        replace(each, active=True) if each.name in turned_on else each for each in loading.province(files, agencies)
    ]
    mistakes = loading.mistakes()
    mistakes += [f"no rule is named {each!r}" for each in sorted(turned_on - {rule.name for rule in rules})]
    if len(rules) > MAX_RULES:
        raise SetupError(*mistakes, f"{rules[MAX_RULES].place}: more than {MAX_RULES} rules")
    mistakes += _same_names(rules)
    mistakes += _unreachable(rules)
    if mistakes:
        raise SetupError(*mistakes)
    return _policy(rules, loading, directory, turned_on)


class _Loading:
    """Reads all files; each has its own checker, so that mistakes come in the order of the files."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._found: list[File | str] = []
        self._shared = [Shared()]
        self._patterns = Budget()

    def mistakes(self) -> list[str]:
        """Return every mistake in the order of the files."""
        return [line for each in self._found for line in ([each] if isinstance(each, str) else each.checker.mistakes)]

    @property
    def files(self) -> tuple[File, ...]:
        """The files that could be read."""
        return tuple(each for each in self._found if isinstance(each, File))

    def groups(self) -> Mapping[str, frozenset[str]]:
        """Return the names of its groups for each member."""
        found: dict[str, set[str]] = defaultdict(set)
        for file in self.files:
            for member, names in file.members.items():
                found[member] |= names
        return {member: frozenset(names) for member, names in found.items()}

    def unused(self, rules: Iterable[Rule[Decision]]) -> tuple[str, ...]:
        """Return a line for each group and profile that no rule uses, in any file."""
        asked = (pair for rule in rules for pair in keys_asked(rule.conditions))
        groups = frozenset[str]().union(*(values for key, values in asked if key == "group"))
        return tuple(dict.fromkeys(line for shared in self._shared for line in shared.unused(groups)))

    def province(self, files: Sequence[tuple[str, str]], agencies: Sequence[AgencyFile]) -> list[Rule[Decision]]:
        """Return all rules in the order in which they count."""
        shared = self._shared[0]
        opened = [file for name, text in files if (file := self._open(name, text, None)) is not None]
        for each in opened:
            each.share(shared)
        delegated = [rule for each in agencies for rule in self._agency(each, shared)]
        rules: list[Rule[Decision]] = []
        marker: Marker | None = None
        for file in opened:
            for item in file.rules(shared, self._directory, self._patterns):
                if isinstance(item, Rule):
                    rules.append(item)
                elif marker is None:
                    marker = item
                    rules += delegated
                else:
                    self._found.append(f"{item.place}: 'agencies' stands here again; it is first at {marker.place}")
        if marker is None and delegated:
            place = delegated[0].place
            self._found.append(f"{place}: no file says where agencies' rules stand: a rule list needs '- agencies'")
        return rules

    def _agency(self, given: AgencyFile, province: Shared) -> list[Rule[Decision]]:
        if not self._directory.knows(given.agency):
            text = f"no agency in the registry has the id {given.agency!r}, after which this file is named"
            self._found.append(f"{given.name}:1:1: {text}")
            return []
        file = self._open(given.name, given.text, given.agency)
        if file is None:
            return []
        shared = province.narrowed()
        self._shared.append(shared)
        file.share(shared)
        patterns = self._patterns.part(MAX_AGENCY_PATTERNS)
        rules = [each for each in file.rules(shared, self._directory, patterns) if isinstance(each, Rule)]
        if len(rules) > MAX_AGENCY_RULES:
            place = rules[MAX_AGENCY_RULES].place
            self._found.append(f"{place}: more than {MAX_AGENCY_RULES} rules for one agency")
        return rules

    def _open(self, name: str, text: str, agency: str | None) -> File | None:
        try:
            file = File(Checker(read_yaml(name, text)), agency)
        except SetupError as error:
            self._found += error.mistakes
            return None
        self._found.append(file)
        return file


def _policy(
    rules: Sequence[Rule[Decision]], loading: _Loading, directory: Directory, turned_on: frozenset[str]
) -> Policy:
    outbound = [each for each in rules if each.direction is Direction.OUTBOUND]
    inbound = [each for each in rules if each.direction is Direction.INBOUND]
    active = [each for each in rules if each.active]
    asked = {key for each in active for key, _ in keys_asked(each.conditions)}
    mentions = tuple(mention for each in active for mention in _mentions(each))
    return Policy(
        rules=tuple(rules),
        # `read_decision` gives each direction its own kinds of decision
        outbound=plan(cast("list[Rule[OutboundDecision]]", outbound), DEFAULT_OUTBOUND),
        inbound=plan(cast("list[Rule[InboundDecision]]", inbound), DEFAULT_INBOUND),
        digest=_digest(loading.files, directory, turned_on),
        key_labels=frozenset(each.name for each in mentions if each.kind == "key"),
        directory=directory,
        groups=loading.groups(),
        asks_contents=not asked.isdisjoint(CONTENT_KEYS),
        asks_findings=not asked.isdisjoint(FINDING_KEYS),
        asks_fields=frozenset(each.removeprefix(FIELD) for each in asked if each.startswith(FIELD)),
        mentions=mentions,
        warnings=(*loading.unused(rules), *_lent(active)),
    )


def _digest(files: Iterable[File], directory: Directory, turned_on: frozenset[str]) -> str:
    """Return what names the content: rules in their order, what they build on by name, and who is whose."""
    rules: list[Plain] = []
    shared: dict[str, Plain] = {}
    agencies: dict[str, Plain] = {}
    for file in files:
        sections = {key: plain(node) for key, node in file.entries.items()}
        if file.agency is not None:
            agencies[file.agency] = dict(sections)
            continue
        own = sections.pop("rules", [])
        rules += own if isinstance(own, list) else []
        for key, value in sections.items():
            known = shared.setdefault(key, {})
            if isinstance(known, dict) and isinstance(value, dict):
                known.update(value)
    whole = [shared, rules, agencies, directory.digest, *sorted(turned_on)]
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _mentions(rule: Rule[Decision]) -> Iterator[Mention]:
    """Yield the names in a rule that stand for something outside the policy."""
    decision = rule.decision
    if isinstance(decision, Sign) and decision.label is not None:
        yield Mention("key", decision.label, rule.place)
    carriage = getattr(decision, "carriage", None)
    if carriage is not None and carriage.hop is not None:
        yield Mention("hop", carriage.hop, rule.place)
    for key, values in keys_asked(rule.conditions):
        if key in {"listener", "family"}:
            yield from (Mention(key, each, rule.place) for each in sorted(values))


def _lent(rules: Iterable[Rule[Decision]]) -> Iterator[str]:
    for each in rules:
        if isinstance(each.decision, Sign) and each.decision.for_other_addresses:
            yield f"{each.place}: rule {each.name!r} signs for addresses the key does not name: most clients warn"


def expired(policy: Policy, today: dt.date) -> Iterator[str]:
    """Yield a line for each active rule whose last day is past: it does nothing any more."""
    for rule in policy.rules:
        for each in rule.conditions:
            if rule.active and isinstance(each, Dates) and each.last < today:
                yield f"{rule.place}: rule {rule.name!r} ended on {each.last}"


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
