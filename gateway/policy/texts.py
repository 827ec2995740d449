"""Reads conditions on texts: regular expressions on subjects and header fields, globs on names of attachments.

A pattern that RE2 cannot take is told with its place; how many there are is bounded, because each keeps memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.policy.carriage import FIELD_NAME
from gateway.policy.conditions import FIELD, Matches
from gateway.policy.patterns import MAX_AGENCY_PATTERNS, MAX_PATTERN, MAX_PATTERNS, expression, glob
from gateway.yamltext import Items

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.policy.patterns import Budget, Pattern
    from gateway.yamlcheck import Checker
    from gateway.yamltext import Node, Place


def read_subject_patterns(checker: Checker, node: Node, budget: Budget) -> tuple[Matches, ...]:
    """Return a condition for each regular expression on the subject."""
    return _matches(checker, node, "subject", expression, budget)


def read_globs(checker: Checker, node: Node, budget: Budget) -> tuple[Matches, ...]:
    """Return a condition for each glob on names of attachments."""
    return _matches(checker, node, "attachment_name", glob, budget)


def read_header_patterns(checker: Checker, node: Node, budget: Budget) -> tuple[Matches, ...]:
    """Return the conditions of one section {field, pattern}, or of each in a list."""
    found: list[Matches] = []
    for each in checker.items(node) if isinstance(node, Items) else (node,):
        entries = checker.table(each, known=("field", "pattern"), required=("field", "pattern"))
        if entries is None:
            continue
        name = checker.text(entries["field"].node)
        if name is not None and re.fullmatch(FIELD_NAME, name) is None:
            checker.complain(entries["field"].node.place, f"not the name of a header field: {name[:80]!r}")
            name = None
        found += _matches(checker, entries["pattern"].node, FIELD + (name or "").lower(), expression, budget)
    return tuple(found)


def _matches(
    checker: Checker, node: Node, key: str, build: Callable[[str], Pattern], budget: Budget
) -> tuple[Matches, ...]:
    built = (_built(checker, text, place, build, budget) for text, place in checker.texts(node))
    return tuple(Matches(key, each) for each in built if each is not None)


def _built(
    checker: Checker, text: str, place: Place, build: Callable[[str], Pattern], budget: Budget
) -> Pattern | None:
    if not budget.take():
        checker.complain(
            place, f"more than {MAX_PATTERNS} patterns in all rules, or {MAX_AGENCY_PATTERNS} in an agency's"
        )
        return None
    if len(text) > MAX_PATTERN:
        checker.complain(place, f"a pattern has at most {MAX_PATTERN} characters")
        return None
    try:
        return build(text)
    except ValueError as error:
        checker.complain(place, f"not a pattern: {error}")
        return None
