"""Reads the `then` part of a rule: what is to be done. Choices that matter for security have no defaults.

An action must never be taken for another: what is not exactly one known action is a mistake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.core.decision import (
    Deliver,
    Hold,
    IfUnable,
    InboundDecision,
    KeyChoice,
    OutboundDecision,
    PassUnchanged,
    Quarantine,
    Refuse,
    Sign,
)
from gateway.core.envelope import Direction
from gateway.yamltext import Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.yamlcheck import Checker
    from gateway.yamltext import Node

Decision = OutboundDecision | InboundDecision
_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ACTIONS: Final = {
    Direction.OUTBOUND: ("sign", "pass", "hold", "refuse"),
    Direction.INBOUND: ("deliver", "quarantine", "refuse"),
}
_BARE: Final[dict[str, Decision]] = {"pass": PassUnchanged(), "deliver": Deliver()}


def read_decision(checker: Checker, node: Node, direction: Direction) -> Decision | None:
    """Return the one action of a rule: a word (pass, deliver), or a section with one key."""
    known = ACTIONS[direction]
    if isinstance(node, Scalar):
        word = checker.choice(node, known)
        if word is not None and word not in _BARE:
            checker.complain(node.place, f"{word!r} needs more: {_EXAMPLES[word]}")
            return None
        return _BARE[word] if word is not None else None
    entries = checker.table(node, known=known)
    if entries is None:
        return None
    if len(entries) != 1 or (isinstance(node, Table) and len(node.entries) != 1):
        checker.complain(node.place, f"needs exactly one action ({', '.join(known)})")
        return None
    entry = next(iter(entries.values()))
    if entry.key in _BARE:
        checker.complain(entry.node.place, f"{entry.key!r} takes nothing; write: then: {entry.key}")
        return None
    return _READERS[entry.key](checker, entry.node)


def _sign(checker: Checker, node: Node) -> Sign | None:
    entries = checker.table(node, known=("key", "if_unable"), required=("key", "if_unable"))
    if entries is None:
        return None
    if_unable = checker.choice(entries["if_unable"].node, tuple(IfUnable))
    key, label = _key(checker, entries["key"].node)
    if if_unable is None or key is None:
        return None
    return Sign(key, IfUnable(if_unable), label)


def _key(checker: Checker, node: Node) -> tuple[KeyChoice | None, str | None]:
    """Return which key: one of the choices, or the one of a label (then the choice says nothing)."""
    if isinstance(node, Scalar):
        word = checker.choice(node, tuple(KeyChoice))
        return (KeyChoice(word) if word is not None else None), None
    entries = checker.table(node, known=("label",), required=("label",))
    label = checker.text(entries["label"].node) if entries is not None else None
    if label is None:
        return None, None
    if not _LABEL.fullmatch(label):
        checker.complain(node.place, "a label has lower-case letters, digits, - and _ only, at most 63")
        return None, None
    return KeyChoice.PERSONAL_ELSE_ORGANIZATION, label


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
    "sign": _sign,
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
