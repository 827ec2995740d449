"""Reads the `when` part of a rule: conditions in YAML to conditions in code.

All keys of a section must hold; of a list of values one must. Nothing may be read that a direction cannot know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.core.envelope import Direction
from gateway.policy.conditions import AllOf, Among, AnyOf, LargerThan, Not, SubjectContains
from gateway.policy.model import FORMS, NO_AUTHOR, NULL_SENDER, TRAITS, VERDICT_NAMES, folded
from gateway.yamltext import Scalar, Table

if TYPE_CHECKING:
    from gateway.policy.conditions import Condition
    from gateway.yamlcheck import Checker
    from gateway.yamltext import Entry, Node, Place

_BOTH: Final = (
    "author",
    "listener",
    "reverse_path",
    "recipient",
    "form",
    "traits",
    "subject_contains",
    "larger_than",
    "all",
    "any",
    "not",
)
KEYS: Final = {Direction.OUTBOUND: (*_BOTH, "login"), Direction.INBOUND: (*_BOTH, "verdict")}
_CHOICES: Final = {"form": FORMS, "traits": TRAITS, "verdict": VERDICT_NAMES}
_SPECIAL: Final = {"author": NO_AUTHOR, "reverse_path": NULL_SENDER}
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(KiB|MiB|GiB)")
_UNITS: Final = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def read_conditions(checker: Checker, node: Node, direction: Direction) -> tuple[Condition, ...]:
    """Return the conditions of a section, all of which must hold; wrong ones are complained about and left out."""
    entries = checker.table(node, known=KEYS[direction])
    if isinstance(node, Table) and not node.entries:
        checker.complain(node.place, "has no condition; leave 'when' out for a rule that always applies")
    found = [_condition(checker, entry, direction) for entry in (entries or {}).values()]
    return tuple(each for each in found if each is not None)


def _condition(checker: Checker, entry: Entry, direction: Direction) -> Condition | None:
    match entry.key:
        case "all" | "any":
            branches = tuple(_branch(checker, each, direction) for each in checker.items(entry.node))
            known = tuple(each for each in branches if each is not None)
            return (AllOf if entry.key == "all" else AnyOf)(known) if known else None
        case "not":
            inner = _branch(checker, entry.node, direction)
            return Not(inner) if inner is not None else None
        case "larger_than":
            octets = _octets(checker, entry.node)
            return LargerThan(octets) if octets is not None else None
        case "subject_contains":
            words = {folded(text): place for text, place in checker.texts(entry.node)}
            if "" in words:
                checker.complain(words.pop(""), "nothing is left of this text without invisible characters")
            return SubjectContains(frozenset(words)) if words else None
        case "author" | "reverse_path" | "recipient":
            return _patterns(checker, entry)
        case _:
            return _words(checker, entry)


def _branch(checker: Checker, node: Node, direction: Direction) -> Condition | None:
    conditions = read_conditions(checker, node, direction)
    if not conditions:
        return None
    return conditions[0] if len(conditions) == 1 else AllOf(conditions)


def _words(checker: Checker, entry: Entry) -> Among | None:
    """Read logins and listeners as they stand; forms, traits and verdicts from their lists."""
    texts = checker.texts(entry.node)
    choices = _CHOICES.get(entry.key)
    for text, place in texts:
        if choices is not None and text not in choices:
            checker.complain(place, f"unknown word {text[:80]!r}; {entry.key} knows: {', '.join(choices)}")
    return Among(entry.key, frozenset(text for text, _ in texts)) if texts else None


def _patterns(checker: Checker, entry: Entry) -> Among | None:
    """Read mailboxes, "@domain", "@*.domain" (its subdomains), and the special word of the key."""
    special = _SPECIAL.get(entry.key)
    found = [text if text == special else _pattern(checker, text, place) for text, place in checker.texts(entry.node)]
    values = frozenset(each for each in found if each is not None)
    return Among(entry.key, values) if values else None


def _pattern(checker: Checker, text: str, place: Place) -> str | None:
    if text.startswith("*@"):
        checker.complain(place, f"write {text[1:81]!r} for every mailbox of a domain")
        return None
    if not text.startswith("@"):
        return checker.mailbox(text, place)
    prefix = "@*." if text.startswith("@*.") else "@"
    domain = checker.domain(text[len(prefix) :], place)
    return f"{prefix}{domain}" if domain is not None else None


def _octets(checker: Checker, node: Node) -> int | None:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        checker.complain(node.place, 'must be a number of octets, or such as "10 MiB" (KiB, MiB, GiB)')
        return None
    return int(match[1]) * _UNITS[match[2]]
