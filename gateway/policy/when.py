"""Reads the `when` part of a rule: conditions in YAML to conditions in code.

All keys of a section must hold; of a list of values one must. Nothing may be read that a direction cannot know, and a
rule in an agency's file may name no mailbox that is not the agency's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox
from gateway.core.contents import UNKNOWN_HOST
from gateway.core.envelope import Direction
from gateway.policy.conditions import AllOf, Among, AnyOf, Hours, LargerThan, Matches, Not, SubjectContains
from gateway.policy.directory import NOBODY, PLACES
from gateway.policy.findings import BOUNDARY_WORDS, NOTE_WORDS
from gateway.policy.model import FORMS, MARKINGS, NO_AUTHOR, NULL_SENDER, TRAITS, VERDICT_NAMES, WISHES, folded
from gateway.policy.patterns import Budget
from gateway.policy.texts import read_globs, read_header_patterns, read_subject_patterns
from gateway.policy.view import DAYS
from gateway.yamltext import Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.policy.conditions import Condition
    from gateway.policy.directory import Directory
    from gateway.yamlcheck import Checker
    from gateway.yamltext import Entry, Node, Place

CHOICES: Final = {
    "form": FORMS,
    "traits": TRAITS,
    "verdict": VERDICT_NAMES,
    "note": NOTE_WORDS,
    "boundary": BOUNDARY_WORDS,
    "marking": MARKINGS,
    "wish": WISHES,
    "recipient_is": PLACES,
    "days": DAYS,
}
"""Conditions whose values are words of a list."""
FLAGS: Final = ("attachment", "signed_pdf", "link", "partly_read")
"""Conditions that are true or false."""
SIGNED_HEADERS: Final = "signed_headers"
ADDRESSES: Final = {"author": NO_AUTHOR, "reverse_path": NULL_SENDER, "recipient": None}
"""Conditions on mailboxes, each with its special word."""
_BOTH: Final = (
    *ADDRESSES,
    "group",
    "agency",
    "recipient_agency",
    "listener",
    "form",
    "traits",
    "marking",
    *FLAGS,
    "attachment_type",
    "attachment_name",
    "link_host",
    "subject_contains",
    "subject_matches",
    "header_matches",
    "larger_than",
    "hours",
    "days",
    "all",
    "any",
    "not",
)
KEYS: Final = {
    Direction.OUTBOUND: (*_BOTH, "login", "wish", "recipient_is"),
    Direction.INBOUND: (*_BOTH, "verdict", "note", "family", "signer_agency", SIGNED_HEADERS, "boundary"),
}
SIZE: Final = r"([0-9]{1,12}) ?(KiB|MiB|GiB)"
MEDIA_TYPE: Final = r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,126}/([A-Za-z0-9][A-Za-z0-9.+_-]{0,126}|\*)"
HOURS: Final = r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]|24):([0-5][0-9])"
_UNITS: Final = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule is read against."""

    direction: Direction
    groups: Mapping[str, str] = field(default_factory=dict)
    """Name in the file -> name in the policy, of the groups the rule may use."""
    directory: Directory = NOBODY
    agency: str | None = None
    """The agency in whose own file the rule stands."""
    patterns: Budget = field(default_factory=Budget)


def read_conditions(checker: Checker, node: Node, scope: Scope) -> tuple[Condition, ...]:
    """Return the conditions of a section, all of which must hold; wrong ones are complained about and left out."""
    entries = checker.table(node, known=KEYS[scope.direction])
    if isinstance(node, Table) and not node.entries:
        checker.complain(node.place, "has no condition; leave 'when' out for a rule that always applies")
    found = [_condition(checker, entry, scope) for entry in (entries or {}).values()]
    return tuple(each for each in found if each is not None)


def _condition(checker: Checker, entry: Entry, scope: Scope) -> Condition | None:
    match entry.key:
        case "all" | "any":
            branches = tuple(_branch(checker, each, scope) for each in checker.items(entry.node))
            known = tuple(each for each in branches if each is not None)
            return (AllOf if entry.key == "all" else AnyOf)(known) if known else None
        case "not":
            inner = _branch(checker, entry.node, scope)
            return Not(inner) if inner is not None else None
        case "header_matches" | "subject_matches" | "attachment_name":
            return _any(_TEXTS[entry.key](checker, entry.node, scope.patterns))
        case "author" | "reverse_path" | "recipient":
            return _patterns(checker, entry, scope)
        case "group" | "agency" | "recipient_agency" | "signer_agency":
            return _names(checker, entry, scope)
        case "attachment" | "signed_pdf" | "link" | "partly_read":
            return _flag(checker, entry.node, Among("has", frozenset((entry.key,))))
        case "signed_headers":
            return _flag(checker, entry.node, Among("headers", frozenset(("signed",))))
        case _:
            return _VALUES.get(entry.key, _words)(checker, entry)


def _flag(checker: Checker, node: Node, wanted: Among) -> Condition | None:
    flag = checker.flag(node)
    return None if flag is None else wanted if flag else Not(wanted)


def _branch(checker: Checker, node: Node, scope: Scope) -> Condition | None:
    conditions = read_conditions(checker, node, scope)
    if not conditions:
        return None
    return conditions[0] if len(conditions) == 1 else AllOf(conditions)


def _any(found: tuple[Matches, ...]) -> Condition | None:
    """Return the condition that one of the patterns fits."""
    return (found[0] if len(found) == 1 else AnyOf(found)) if found else None


def _words(checker: Checker, entry: Entry) -> Among | None:
    """Read logins, listeners and families as they stand; others from their lists."""
    texts = checker.texts(entry.node)
    choices = CHOICES.get(entry.key)
    for text, place in texts:
        if choices is not None and text not in choices:
            checker.complain(place, f"unknown word {text[:80]!r}; {entry.key} knows: {', '.join(choices)}")
    key = "day" if entry.key == "days" else entry.key
    return Among(key, frozenset(text for text, _ in texts)) if texts else None


def _names(checker: Checker, entry: Entry, scope: Scope) -> Among | None:
    """Read names of groups and ids of agencies, which must exist."""
    found: set[str] = set()
    for text, place in checker.texts(entry.node):
        if entry.key == "group":
            known = text in scope.groups
            what = f"no group is named {text[:80]!r} (known: {', '.join(sorted(scope.groups)) or 'there is none'})"
        else:
            known = scope.directory.knows(text)
            what = f"no agency in the registry has the id {text[:80]!r}"
        if not known:
            checker.complain(place, what)
        found.add(scope.groups.get(text, text) if entry.key == "group" else text)
    return Among(entry.key, frozenset(found)) if found else None


def _patterns(checker: Checker, entry: Entry, scope: Scope) -> Among | None:
    """Read mailboxes, "@domain", "@*.domain" (its subdomains), and the special word of the key."""
    special = ADDRESSES[entry.key]
    found: set[str] = set()
    own = "author" if scope.direction is Direction.OUTBOUND else "recipient"
    for text, place in checker.texts(entry.node):
        value = text if text == special else read_pattern(checker, text, place)
        if value is None:
            continue
        if entry.key == own and scope.agency is not None and not _may_be_theirs(value, scope):
            checker.complain(place, f"{text!r} is no mailbox of agency {scope.agency!r}, whose rules these are")
        found.add(value)
    return Among(entry.key, frozenset(found)) if found else None


def _may_be_theirs(pattern: str, scope: Scope) -> bool:
    """Return False for a mailbox that is not the agency's; whole domains are narrowed by the rule itself."""
    if pattern.startswith("@"):
        return True
    try:
        return scope.directory.agency_of(Mailbox.parse(pattern)) == scope.agency
    except ValueError:
        return False  # "<none>": nobody's


def read_pattern(checker: Checker, text: str, place: Place) -> str | None:
    """Return the key of a mailbox, "@domain" or "@*.domain"."""
    if text.startswith("*@"):
        checker.complain(place, f"write {text[1:81]!r} for every mailbox of a domain")
        return None
    if not text.startswith("@"):
        return checker.mailbox(text, place)
    prefix = "@*." if text.startswith("@*.") else "@"
    domain = checker.domain(text[len(prefix) :], place)
    return f"{prefix}{domain}" if domain is not None else None


def _subject(checker: Checker, entry: Entry) -> SubjectContains | None:
    words = {folded(text): place for text, place in checker.texts(entry.node)}
    if "" in words:
        checker.complain(words.pop(""), "nothing is left of this text without invisible characters")
    return SubjectContains(frozenset(words)) if words else None


def _size(checker: Checker, entry: Entry) -> LargerThan | None:
    value = entry.node.value if isinstance(entry.node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return LargerThan(value)
    match = re.fullmatch(SIZE, value) if isinstance(value, str) else None
    if match is None:
        checker.complain(entry.node.place, 'must be a number of octets, or such as "10 MiB" (KiB, MiB, GiB)')
        return None
    return LargerThan(int(match[1]) * _UNITS[match[2]])


def _media_types(checker: Checker, entry: Entry) -> Among | None:
    found: set[str] = set()
    for text, place in checker.texts(entry.node):
        if re.fullmatch(MEDIA_TYPE, text) is None:
            checker.complain(place, f"not a media type: {text[:80]!r}; write such as application/pdf or image/*")
        found.add(text.lower())
    return Among(entry.key, frozenset(found)) if found else None


def _hosts(checker: Checker, entry: Entry) -> Among | None:
    """Read "host" (itself) and "*.domain" (every host below it); a link that nobody followed may lead to each."""
    found: set[str] = {UNKNOWN_HOST}
    for text, place in checker.texts(entry.node):
        prefix = "*." if text.startswith("*.") else ""
        host = checker.domain(text[len(prefix) :], place)
        if host is not None:
            found.add(prefix + host)
    return Among(entry.key, frozenset(found)) if len(found) > 1 else None


def _hours(checker: Checker, entry: Entry) -> Hours | None:
    found: list[tuple[int, int]] = []
    for text, place in checker.texts(entry.node):
        match = re.fullmatch(HOURS, text)
        start, end = (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])) if match else (0, 0)
        if start == end or end > _DAY:
            checker.complain(place, 'must be hours of the day, such as "07:30-17:00" or "22:00-05:00"')
            continue
        found.append((start, end))
    return Hours(tuple(found)) if found else None


_TEXTS: Final = {
    "header_matches": read_header_patterns,
    "subject_matches": read_subject_patterns,
    "attachment_name": read_globs,
}
_VALUES: Final[dict[str, Callable[[Checker, Entry], Condition | None]]] = {
    "subject_contains": _subject,
    "larger_than": _size,
    "attachment_type": _media_types,
    "link_host": _hosts,
    "hours": _hours,
}
