"""What a rule can ask about a message, and when one question covers another.

A condition must never look at anything but a `View`, and its cost must never depend on what a sender wrote more than
linearly: no regular expressions here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.policy.model import Facts

_SHOWN: Final = 3
PATTERN_KEYS: Final = frozenset({"author", "reverse_path", "recipient"})
"""Conditions whose values are mailboxes and domains."""


@dataclass(slots=True)
class View:
    """A message as conditions see it; `sets["recipient"]` is exchanged from recipient to recipient."""

    sets: dict[str, frozenset[str]]
    subject: str
    size: int

    @classmethod
    def of(cls, facts: Facts) -> View:
        """Return the view of one message, without a recipient."""
        empty: frozenset[str] = frozenset()
        return cls(
            {
                "author": facts.author_keys,
                "login": frozenset((facts.login,)) if facts.login is not None else empty,
                "listener": frozenset((facts.listener,)),
                "reverse_path": facts.reverse_path_keys,
                "form": frozenset((facts.form,)),
                "traits": facts.traits,
                "verdict": frozenset((facts.verdict,)) if facts.verdict is not None else empty,
                "recipient": empty,
            },
            facts.subject,
            facts.size,
        )


@dataclass(frozen=True, slots=True)
class Among:
    """What the message has under `key` is among the values (for patterns: fits one of them)."""

    key: str
    values: frozenset[str]

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        return not self.values.isdisjoint(view.sets[self.key])

    @property
    def per_recipient(self) -> bool:
        """True if the answer can differ between recipients."""
        return self.key == "recipient"

    def __str__(self) -> str:
        return f"{self.key} {_few(self.values)}"


@dataclass(frozen=True, slots=True)
class SubjectContains:
    """One of the words (folded) stands in the subject."""

    words: frozenset[str]

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        return any(word in view.subject for word in self.words)

    @property
    def per_recipient(self) -> bool:
        """Never: there is one subject."""
        return False

    def __str__(self) -> str:
        return f"subject_contains {_few(self.words)}"


@dataclass(frozen=True, slots=True)
class LargerThan:
    """The message has more octets."""

    octets: int

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        return view.size > self.octets

    @property
    def per_recipient(self) -> bool:
        """Never: there is one size."""
        return False

    def __str__(self) -> str:
        return f"larger_than {self.octets}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of the conditions holds."""

    conditions: tuple[Condition, ...]

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        return all(each.holds(view) for each in self.conditions)

    @property
    def per_recipient(self) -> bool:
        """True if the answer can differ between recipients."""
        return any(each.per_recipient for each in self.conditions)

    def __str__(self) -> str:
        return f"all({', '.join(map(str, self.conditions))})"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the conditions holds."""

    conditions: tuple[Condition, ...]

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        return any(each.holds(view) for each in self.conditions)

    @property
    def per_recipient(self) -> bool:
        """True if the answer can differ between recipients."""
        return any(each.per_recipient for each in self.conditions)

    def __str__(self) -> str:
        return f"any({', '.join(map(str, self.conditions))})"


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        return not self.condition.holds(view)

    @property
    def per_recipient(self) -> bool:
        """True if the answer can differ between recipients."""
        return self.condition.per_recipient

    def __str__(self) -> str:
        return f"not({self.condition})"


Condition = Among | SubjectContains | LargerThan | AllOf | AnyOf | Not


def _few(values: Iterable[str]) -> str:
    """Return the first values for a trace line."""
    known = sorted(values)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return " | ".join(known[:_SHOWN]) + more


def covers(earlier: Iterable[Condition], later: Iterable[Condition]) -> bool:
    """Return True if whatever meets all of `later` certainly meets all of `earlier`; False where that is not clear."""
    known = tuple(later)
    return all(any(_implies(each, wanted) for each in known) for wanted in earlier)


def reach(conditions: Iterable[Condition]) -> Iterator[tuple[str, str]]:
    """Yield (key, value)s: whatever covers the conditions has, in each `Among` of its own, at least one of them."""
    for each in conditions:
        if isinstance(each, Among) and each.values:
            value = min(each.values)  # a cover takes every value, so any one of them finds it
            yield from ((each.key, wider) for wider in (_wider(value) if each.key in PATTERN_KEYS else (value,)))


def _implies(given: Condition, wanted: Condition) -> bool:
    """Compare single questions only: taking apart nested ones could cost exponential time."""
    match given, wanted:
        case Among(key=key, values=values), Among(key=other, values=allowed):
            return key == other and (values <= allowed or (key in PATTERN_KEYS and _fits_all(values, allowed)))
        case SubjectContains(words=words), SubjectContains(words=allowed):
            return all(any(part in word for part in allowed) for word in words)
        case LargerThan(octets=octets), LargerThan(octets=limit):
            return octets >= limit
        case _:
            return given == wanted


def _fits_all(values: frozenset[str], allowed: frozenset[str]) -> bool:
    """Return True if every mailbox that fits one of `values` fits one of `allowed`."""
    return all(not allowed.isdisjoint(_wider(value)) for value in values)


def _wider(pattern: str) -> Iterator[str]:
    """Yield the pattern and every wider one."""
    yield pattern
    local, at, domain = pattern.rpartition("@")
    if not at:
        return
    if local:
        yield f"@{domain}"
    parent = domain.removeprefix("*.")
    while "." in parent:
        parent = parent.partition(".")[2]
        yield f"@*.{parent}"
