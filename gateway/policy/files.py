"""Reads one policy file: defaults, profiles, groups, and rules; the province's own, or a delegated agency's.

An agency's file must never speak of mail that is not the agency's: the reader adds that condition to each of its rules,
whatever the rule asks beside it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.core.envelope import Direction
from gateway.policy.conditions import Among, Dates
from gateway.policy.levels import DEFAULT_KEYS, PROFILE_KEYS, Levels, SignLevel, read_level
from gateway.policy.model import Rule
from gateway.policy.then import PROVINCE_ONLY, Decision, read_decision
from gateway.policy.view import LOGIN
from gateway.policy.when import Scope, read_conditions, read_pattern
from gateway.yamltext import Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gateway.policy.conditions import Condition
    from gateway.policy.directory import Directory
    from gateway.policy.patterns import Budget
    from gateway.yamlcheck import Checker
    from gateway.yamltext import Entry, Node, Place

NAME: Final = r"[a-z0-9][a-z0-9._-]{0,62}"
DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
AGENCIES: Final = "agencies"
"""The item of a list of rules at whose place the rules of all agencies stand."""
TOP_KEYS: Final = ("defaults", "profiles", "groups", "rules")
AGENCY_KEYS: Final = ("profiles", "groups", "rules")
RULE_KEYS: Final = ("name", "direction", "comment", "active", "from", "until", "when", "then")
GROUP_KEYS: Final = ("mailboxes", "logins")


@dataclass(frozen=True, slots=True)
class Marker:
    """Where the rules of agencies stand."""

    place: str


@dataclass(slots=True)
class Shared:
    """What the files of one owner say for all their rules: the province's, or one agency's on top of those."""

    defaults: SignLevel | None = None
    profiles: dict[str, SignLevel] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    """Name in the files -> name in the policy."""
    places: dict[str, str] = field(default_factory=dict)
    """ "profile NAME", "group NAME", "defaults" -> where it stands."""
    used: set[str] = field(default_factory=set)
    """Names of profiles that some rule builds on."""

    def narrowed(self) -> Shared:
        """Return a copy for one agency, to which it may add names of its own."""
        return Shared(self.defaults, dict(self.profiles), dict(self.groups), dict(self.places), self.used)

    def unused(self, groups: frozenset[str]) -> Iterator[str]:
        """Yield a line for each name that no rule uses; `groups` are those some rule asks for."""
        for what, place in self.places.items():
            kind, _, name = what.partition(" ")
            if kind == "profile" and name not in self.used:
                yield f"{place}: no rule uses the profile {name!r}"
            if kind == "group" and self.groups[name] not in groups:
                yield f"{place}: no rule asks for the group {name!r}"


class File:
    """One file, read in two steps: what rules build on, in all files, and then the rules."""

    def __init__(self, checker: Checker, agency: str | None) -> None:
        """`agency` is None for the province's own files."""
        self.checker = checker
        self.agency = agency
        self.members: dict[str, set[str]] = defaultdict(set)
        """Member -> names of its groups in the policy."""
        known = TOP_KEYS if agency is None else AGENCY_KEYS
        self._entries = checker.table(checker.root, known=known) or {}
        if isinstance(checker.root, Table) and not self._entries:
            checker.complain(checker.root.place, f"needs one of {', '.join(known)}")

    @property
    def entries(self) -> Mapping[str, Node]:
        """The sections of the file."""
        return {key: entry.node for key, entry in self._entries.items()}

    def share(self, shared: Shared) -> None:
        """Read what rules build on into `shared`; a name may stand there once."""
        if "defaults" in self._entries and self._first(shared, "defaults", self._entries["defaults"].key_place):
            shared.defaults = read_level(self.checker, self._entries["defaults"].node, "defaults", DEFAULT_KEYS)
        for entry in self._named(shared, "profiles", "profile"):
            known = [each for each in PROFILE_KEYS if self.agency is None or each not in PROVINCE_ONLY]
            level = read_level(self.checker, entry.node, f"profile {entry.key}", known)
            shared.profiles[entry.key] = level or SignLevel(f"profile {entry.key}", wrong=True)
        for entry in self._named(shared, "groups", "group"):
            inside = entry.key if self.agency is None else f"{self.agency}/{entry.key}"
            shared.groups[entry.key] = inside
            for member in self._members(entry.node):
                self.members[member].add(inside)

    def rules(self, shared: Shared, directory: Directory, patterns: Budget) -> Iterator[Rule[Decision] | Marker]:
        """Yield the rules and the marker in their order; wrong ones are complained about and left out."""
        if "rules" not in self._entries:
            return
        levels = Levels(shared.defaults, shared.profiles, shared.used)
        for node in self.checker.items(self._entries["rules"].node):
            if isinstance(node, Scalar) and node.value == AGENCIES and self.agency is None:
                yield Marker(self.checker.place(node.place))
                continue
            rule = self._rule(node, levels, lambda direction: self._scope(direction, shared, directory, patterns))
            if rule is not None:
                yield rule

    def _scope(self, direction: Direction, shared: Shared, directory: Directory, patterns: Budget) -> Scope:
        return Scope(direction, shared.groups, directory, self.agency, patterns)

    def _first(self, shared: Shared, what: str, place: Place) -> bool:
        first = shared.places.setdefault(what, here := self.checker.place(place))
        if first != here:
            self.checker.complain(place, f"{what} stands here again; it is first at {first}")
        return first == here

    def _named(self, shared: Shared, key: str, what: str) -> Iterator[Entry]:
        """Yield the entries of a section of names."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if not isinstance(entry.node, Table) or not entry.node.entries:
            self.checker.complain(entry.node.place, f"must be a section: the name of each {what}, and what it is")
            return
        for each in entry.node.entries:
            if not re.fullmatch(NAME, each.key):
                self.checker.complain(each.key_place, _NAME_WORDS)
            elif self._first(shared, f"{what} {each.key}", each.key_place):
                yield each

    def _members(self, node: Node) -> Iterator[str]:
        """Yield the members of a group as `Policy.groups` has them."""
        entries = self.checker.table(node, known=GROUP_KEYS)
        if entries is not None and not entries and isinstance(node, Table) and not node.entries:
            self.checker.complain(node.place, f"needs one of {', '.join(GROUP_KEYS)}")
        for text, place in self.checker.texts(entries["mailboxes"].node) if entries and "mailboxes" in entries else ():
            pattern = read_pattern(self.checker, text, place)
            if pattern is not None:
                yield pattern
        for text, _ in self.checker.texts(entries["logins"].node) if entries and "logins" in entries else ():
            yield LOGIN + text

    def _rule(self, node: Node, levels: Levels, scope_for: Callable[[Direction], Scope]) -> Rule[Decision] | None:
        """Return one rule, or None after complaining about all that is wrong with it."""
        checker = self.checker
        before = len(checker.mistakes)
        entries = checker.table(node, known=RULE_KEYS, required=("name", "direction", "then"))
        if entries is None:
            return None
        name = self._name(entries["name"])
        word = checker.choice(entries["direction"].node, [each.value for each in Direction])
        comment = checker.text(entries["comment"].node) if "comment" in entries else ""
        active = checker.flag(entries["active"].node) if "active" in entries else True
        dates = self._dates(entries)
        if word is None:
            return None  # what may stand in when and then depends on it
        scope = scope_for(Direction(word))
        conditions = read_conditions(checker, entries["when"].node, scope) if "when" in entries else ()
        then = read_decision(checker, entries["then"].node, scope.direction, levels, agency=self.agency)
        if len(checker.mistakes) > before or then is None or name is None or comment is None or active is None:
            return None
        return Rule(
            name if self.agency is None else f"{self.agency}/{name}",
            scope.direction,
            comment,
            active,
            (*conditions, *dates, *self._bounds(scope.direction)),
            then.decision,
            checker.place(entries["name"].node.place),
            then.origins,
        )

    def _bounds(self, direction: Direction) -> tuple[Condition, ...]:
        """Return the condition that keeps an agency's rule to its own mail."""
        if self.agency is None:
            return ()
        key = "agency" if direction is Direction.OUTBOUND else "recipient_agency"
        return (Among(key, frozenset((self.agency,))),)

    def _name(self, entry: Entry) -> str | None:
        name = self.checker.text(entry.node)
        if name is not None and not re.fullmatch(NAME, name):
            self.checker.complain(entry.node.place, _NAME_WORDS)
            return None
        return name

    def _dates(self, entries: Mapping[str, Entry]) -> tuple[Dates, ...]:
        if "from" not in entries and "until" not in entries:
            return ()
        first = self._date(entries["from"].node) if "from" in entries else dt.date.min
        last = self._date(entries["until"].node) if "until" in entries else dt.date.max
        if first is None or last is None:
            return ()
        if first > last:
            self.checker.complain(entries["until"].node.place, f"ends before it begins ({first})")
        return (Dates(first, last),)

    def _date(self, node: Node) -> dt.date | None:
        text = self.checker.text(node)
        if text is None:
            return None
        if re.fullmatch(DATE, text) is not None:
            with contextlib.suppress(ValueError):
                return dt.date.fromisoformat(text)
        self.checker.complain(node.place, "must be a day, such as 2026-12-31")
        return None


_NAME_WORDS: Final = "a name has lower-case letters, digits, . - and _ only, at most 63"
