"""Reads the `then` part of a rule: what is to be done. Choices that matter for security have no defaults built in.

An action must never be taken for another: what is not exactly one known action is a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.decision import (
    Deliver,
    Hold,
    InboundDecision,
    OutboundDecision,
    PassUnchanged,
    Quarantine,
    Refuse,
    SubjectTag,
)
from gateway.core.envelope import Direction
from gateway.policy.carriage import CARRIAGE_KEYS, carriage_of, read_carriage, travel_table
from gateway.policy.levels import ALONE, RULE_KEYS, Levels, SignLevel, level_of, resolved
from gateway.yamltext import Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.yamlcheck import Checker
    from gateway.yamltext import Entry, Node

Decision = OutboundDecision | InboundDecision
ACTIONS: Final = {
    Direction.OUTBOUND: ("sign", "pass", "hold", "refuse"),
    Direction.INBOUND: ("deliver", "hold", "quarantine", "refuse"),
}
_BARE: Final[dict[str, Decision]] = {"pass": PassUnchanged(), "deliver": Deliver()}
DELIVER_KEYS: Final = ("subject_tag", *CARRIAGE_KEYS)
PROVINCE_ONLY: Final = ("route", "for_other_addresses")
"""What a rule in an agency's file may not say: which way mail goes, and whose name its key lends itself to."""


@dataclass(frozen=True, slots=True)
class Then:
    """A decision, and for a signature which of its values came from which level."""

    decision: Decision
    origins: str = ""


def read_decision(
    checker: Checker, node: Node, direction: Direction, levels: Levels = ALONE, *, agency: str | None = None
) -> Then | None:
    """Return the one action of a rule: a word (sign, pass, deliver), or a section with one key.

    `agency` is set for a rule in that agency's own file, which may say less.
    """
    known = ACTIONS[direction]
    if isinstance(node, Scalar):
        return _word(checker, node, known, levels)
    entries = checker.table(node, known=known)
    if entries is None:
        return None
    if len(entries) != 1 or (isinstance(node, Table) and len(node.entries) != 1):
        checker.complain(node.place, f"needs exactly one action ({', '.join(known)})")
        return None
    entry = next(iter(entries.values()))
    if agency is not None:
        _check_agency(checker, entry.node)
    if entry.key == "sign":
        return _sign(checker, entry.node, levels)
    decision = _READERS[entry.key](checker, entry.node)
    return Then(decision) if decision is not None else None


def _word(checker: Checker, node: Scalar, known: tuple[str, ...], levels: Levels) -> Then | None:
    word = checker.choice(node, known)
    if word is None:
        return None
    if word in _BARE:
        return Then(_BARE[word])
    if word == "sign" and levels.defaults is not None:
        return _signed(checker, node, (levels.defaults,))
    checker.complain(node.place, f"{word!r} needs more: {_EXAMPLES[word]}")
    return None


def _check_agency(checker: Checker, node: Node) -> None:
    for entry in node.entries if isinstance(node, Table) else ():
        if entry.key in PROVINCE_ONLY:
            checker.complain(entry.key_place, f"{entry.key!r} is not for an agency's own rules")


def _sign(checker: Checker, node: Node, levels: Levels) -> Then | None:
    before = len(checker.mistakes)
    entries = checker.table(node, known=RULE_KEYS)
    if entries is None:
        return None
    chain = [level_of(checker, entries, "rule")]
    profile = _profile(checker, entries["profile"], levels) if "profile" in entries else None
    chain += [each for each in (profile, levels.defaults) if each is not None]
    return _signed(checker, node, tuple(chain)) if len(checker.mistakes) == before else None


def _profile(checker: Checker, entry: Entry, levels: Levels) -> SignLevel | None:
    name = checker.text(entry.node)
    if name is not None and name not in levels.profiles:
        known = ", ".join(sorted(levels.profiles)) or "there is none"
        checker.complain(entry.node.place, f"no profile is named {name[:80]!r} (known: {known})")
    if name is None:
        return None
    levels.used.add(name)
    return levels.profiles.get(name)


def _signed(checker: Checker, node: Node, chain: tuple[SignLevel, ...]) -> Then | None:
    if any(each.wrong for each in chain):
        return None
    found = resolved(chain)
    if isinstance(found, tuple):
        return Then(*found)
    for key in found:
        checker.complain(node.place, f"key {key!r} is missing: it must stand in the rule, its profile or the defaults")
    return None


def _pass(checker: Checker, node: Node) -> PassUnchanged | None:
    carriage = read_carriage(checker, node)
    return PassUnchanged(carriage) if carriage is not None else None


def _deliver(checker: Checker, node: Node) -> Deliver | None:
    entries = travel_table(checker, node, DELIVER_KEYS)
    if entries is None:
        return None
    before = len(checker.mistakes)
    word = checker.choice(entries["subject_tag"].node, tuple(SubjectTag)) if "subject_tag" in entries else None
    carriage = carriage_of(checker, entries)
    if carriage is None or len(checker.mistakes) > before:
        return None
    return Deliver(carriage, SubjectTag(word) if word is not None else None)


def _hold(checker: Checker, node: Node) -> Hold | None:
    reason = _reason(checker, node)
    return Hold(reason) if reason is not None else None


def _quarantine(checker: Checker, node: Node) -> Quarantine | None:
    reason = _reason(checker, node)
    return Quarantine(reason) if reason is not None else None


def _reason(checker: Checker, node: Node) -> str | None:
    entries = checker.table(node, known=("reason",), required=("reason",))
    return checker.text(entries["reason"].node) if entries is not None else None


def _refuse(checker: Checker, node: Node) -> Refuse | None:
    entries = checker.table(node, known=("vi", "en"), required=("vi", "en"))
    if entries is None:
        return None
    vietnamese, english = (checker.text(entries[key].node) for key in ("vi", "en"))
    return Refuse(vietnamese, english) if vietnamese is not None and english is not None else None


_READERS: Final[dict[str, Callable[[Checker, Node], Decision | None]]] = {
    "pass": _pass,
    "deliver": _deliver,
    "hold": _hold,
    "quarantine": _quarantine,
    "refuse": _refuse,
}
_EXAMPLES: Final = {
    "sign": "sign: {key: personal, if_unable: refuse}",
    "hold": "hold: {reason: TEXT}",
    "quarantine": "quarantine: {reason: TEXT}",
    "refuse": "refuse: {vi: TEXT, en: TEXT}",
}
