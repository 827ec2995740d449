"""What a rule can ask about a message, and when one question covers another.

A condition must never look at anything but a `View`, and its cost must never depend on what a sender wrote more than
linearly: regular expressions are those of `policy.patterns` only.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.contents import UNKNOWN_HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.policy.patterns import Pattern
    from gateway.policy.view import View

_SHOWN: Final = 3
PATTERN_KEYS: Final = frozenset({"author", "reverse_path", "recipient"})
"""Conditions whose values are mailboxes and domains."""
PER_RECIPIENT: Final = frozenset({"recipient", "recipient_is", "recipient_agency"})
CONTENT_KEYS: Final = frozenset({"has", "attachment_type", "attachment_name", "link_host", "marking"})
"""Conditions for which somebody must read the body."""
FINDING_KEYS: Final = frozenset({"note", "family", "signer_agency", "headers", "boundary"})
"""Conditions on what was found of an incoming message beside its verdict."""
FIELD: Final = "header "
"""Before the lower-case name of a header field: the key of its texts."""


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
        return self.key in PER_RECIPIENT

    def __str__(self) -> str:
        return f"{self.key} {_few(self.values)}"


@dataclass(frozen=True, slots=True)
class Matches:
    """One of the texts under `key` ("subject", "attachment_name", or a header field's) fits the pattern."""

    key: str
    pattern: Pattern

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        return self.pattern.fits(view.texts(self.key))

    @property
    def per_recipient(self) -> bool:
        """Never: there is one message."""
        return False

    def __str__(self) -> str:
        return f"{self.key} {self.pattern}"


@dataclass(frozen=True, slots=True)
class Hours:
    """The message came within one of the spans of the day, in minutes after midnight in Vietnam, the end left out."""

    spans: tuple[tuple[int, int], ...]
    """A span whose end is not after its start goes over midnight."""

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        now = view.at.hour * 60 + view.at.minute
        return any(start <= now < end if start < end else now >= start or now < end for start, end in self.spans)

    @property
    def per_recipient(self) -> bool:
        """Never: there is one time."""
        return False

    def __str__(self) -> str:
        return "hours " + " | ".join("-".join(f"{at // 60:02}:{at % 60:02}" for at in span) for span in self.spans)


@dataclass(frozen=True, slots=True)
class Dates:
    """The message came between two days in Vietnam, both included."""

    first: dt.date
    last: dt.date

    def holds(self, view: View) -> bool:
        """Return whether it is so."""
        return self.first <= view.at.date() <= self.last

    @property
    def per_recipient(self) -> bool:
        """Never: there is one time."""
        return False

    def __str__(self) -> str:
        since = f"from {self.first}" if self.first > dt.date.min else ""
        until = f"until {self.last}" if self.last < dt.date.max else ""
        return f"{since} {until}".strip()


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


Condition = Among | Matches | SubjectContains | LargerThan | Hours | Dates | AllOf | AnyOf | Not


def keys_asked(conditions: Iterable[Condition]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what is asked for anywhere in the conditions: keys with their values (none for texts and times)."""
    for each in conditions:
        match each:
            case Among(key=key, values=values):
                yield key, values
            case Matches(key=key):
                yield key, frozenset()
            case AllOf(conditions=inner) | AnyOf(conditions=inner):
                yield from keys_asked(inner)
            case Not(condition=one):
                yield from keys_asked((one,))
            case _:
                continue


def _few(values: Iterable[str]) -> str:
    """Return the first values for a trace line."""
    known = sorted(each for each in values if each != UNKNOWN_HOST)
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
        case Dates(first=first, last=last), Dates(first=earliest, last=latest):
            return earliest <= first and last <= latest
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
