"""Reads how a message travels on: header fields to add, and another next hop (RFC 5322 3.6.8).

Must never let a policy write a field that says who sent a message, which way it came, what it is made of, or what we
found: only fields of users' own (X-...) and a few that mean nothing to mail systems.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.core.decision import Carriage
from gateway.yamltext import Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.yamlcheck import Checker
    from gateway.yamltext import Entry, Node

MAX_FIELDS: Final = 10
FIELD_NAME: Final = r"[A-Za-z][A-Za-z0-9-]{0,63}"
HOP_NAME: Final = r"[a-z0-9][a-z0-9_-]{0,62}"
HARMLESS: Final = ("comments", "importance", "keywords", "organization", "priority", "sensitivity")
OURS: Final = ("x-gateway-", "x-verified-sender", "x-original-date")
"""Beginnings of names that only the gateway itself writes."""
CARRIAGE_KEYS: Final = ("add_header", "route")


def read_carriage(checker: Checker, node: Node) -> Carriage | None:
    """Return the carriage in a section that holds nothing else; complains about an empty one."""
    entries = travel_table(checker, node, CARRIAGE_KEYS)
    return carriage_of(checker, entries) if entries is not None else None


def travel_table(checker: Checker, node: Node, known: tuple[str, ...]) -> dict[str, Entry] | None:
    """Return the entries of a section that says more than the word alone; complains about an empty one."""
    entries = checker.table(node, known=known)
    if isinstance(node, Table) and not node.entries:
        checker.complain(node.place, f"needs one of {', '.join(known)}; without them write the word alone")
        return None
    return entries


def carriage_of(checker: Checker, entries: Mapping[str, Entry]) -> Carriage | None:
    """Return the carriage among the entries of a section; None after complaining."""
    fields = read_add_header(checker, entries["add_header"].node) if "add_header" in entries else ()
    hop = read_route(checker, entries["route"].node) if "route" in entries else None
    return Carriage(fields, hop) if fields is not None else None


def read_add_header(checker: Checker, node: Node) -> tuple[tuple[str, str], ...] | None:
    """Return (name, text) of each field to add."""
    if not isinstance(node, Table) or not 0 < len(node.entries) <= MAX_FIELDS:
        checker.complain(node.place, f"must be a section of 1 to {MAX_FIELDS} header fields, such as X-Office: TEXT")
        return None
    before = len(checker.mistakes)
    found: dict[str, tuple[str, str]] = {}
    for entry in node.entries:
        name = entry.key
        fault = _fault(name) or (f"header field {name!r} stands here twice" if name.lower() in found else None)
        if fault is not None:
            checker.complain(entry.key_place, fault)
        text = checker.text(entry.node)
        found[name.lower()] = (name, text or "")
    return tuple(found.values()) if len(checker.mistakes) == before else None


def _fault(name: str) -> str | None:
    low = name.lower()
    if re.fullmatch(FIELD_NAME, name) is None:
        return f"not the name of a header field: {name[:80]!r}"
    if low.startswith(OURS):
        return f"only the gateway itself writes {name}"
    if not low.startswith("x-") and low not in HARMLESS:
        return f"a policy may not write {name}: only X-... fields, and {', '.join(each.title() for each in HARMLESS)}"
    return None


def read_route(checker: Checker, node: Node) -> str | None:
    """Return the name of a next hop; whoever knows the hops checks that it exists (`Policy.mentions`)."""
    name = checker.text(node)
    if name is not None and re.fullmatch(HOP_NAME, name) is None:
        checker.complain(node.place, "the name of a hop has lower-case letters, digits, - and _ only, at most 63")
        return None
    return name if isinstance(node, Scalar) else None
