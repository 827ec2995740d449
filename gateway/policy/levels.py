"""How a signature is chosen on three levels: defaults <- a named profile <- the rule itself; the nearest one counts.

Which key signs, and what happens where that is impossible, must stand on one of them in the files: nothing is built in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.core.decision import Carriage, DateGap, Footer, IfUnable, KeyChoice, Sign, SignatureForm
from gateway.policy.carriage import CARRIAGE_KEYS, read_add_header, read_route
from gateway.yamltext import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.yamlcheck import Checker
    from gateway.yamltext import Entry, Node

T = TypeVar("T")

LABEL: Final = r"[a-z0-9][a-z0-9_-]{0,62}"
DEFAULT_KEYS: Final = ("key", "if_unable", "form", "date_gap", "footer", "protect_headers")
PROFILE_KEYS: Final = (*DEFAULT_KEYS, *CARRIAGE_KEYS)
RULE_KEYS: Final = ("profile", *PROFILE_KEYS, "for_other_addresses")
"""An organization's key signs for foreign addresses only where the very rule says so."""
NO_FOOTER: Final = Footer("", "")
"""What `footer: none` is on a level: no footer, whatever wider levels say."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which key: one of the choices, or the one of a label (then the choice says nothing)."""

    choice: KeyChoice
    label: str | None = None


@dataclass(frozen=True, slots=True)
class SignLevel:
    """What one level says about a signature; None where it says nothing."""

    name: str
    key: Key | None = None
    if_unable: IfUnable | None = None
    form: SignatureForm | None = None
    date_gap: DateGap | None = None
    footer: Footer | None = None
    protect_headers: bool | None = None
    add_fields: tuple[tuple[str, str], ...] | None = None
    hop: str | None = None
    for_other_addresses: bool | None = None
    wrong: bool = False
    """Something in it was complained about: what builds on it is not judged."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The wider levels that a rule may build on."""

    defaults: SignLevel | None = None
    profiles: Mapping[str, SignLevel] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    """Names of profiles that some rule builds on; filled while rules are read."""


ALONE: Final = Levels()
"""No wider level: everything stands in the rule."""


def read_level(checker: Checker, node: Node, name: str, known: Sequence[str]) -> SignLevel | None:
    """Return what a section says; None after complaining that it is none."""
    entries = checker.table(node, known=known)
    return level_of(checker, entries, name) if entries is not None else None


def level_of(checker: Checker, entries: Mapping[str, Entry], name: str) -> SignLevel:
    """Return what the entries of a section say; wrong ones are complained about and say nothing."""
    before = len(checker.mistakes)

    def read(key: str, reader: Callable[[Checker, Node], T | None]) -> T | None:
        return reader(checker, entries[key].node) if key in entries else None

    level = SignLevel(
        name,
        key=read("key", _key),
        if_unable=read("if_unable", lambda c, n: _word(c, n, IfUnable)),
        form=read("form", lambda c, n: _word(c, n, SignatureForm)),
        date_gap=read("date_gap", lambda c, n: _word(c, n, DateGap)),
        footer=read("footer", _footer),
        protect_headers=read("protect_headers", lambda c, n: c.flag(n)),
        add_fields=read("add_header", read_add_header),
        hop=read("route", read_route),
        for_other_addresses=read("for_other_addresses", lambda c, n: c.flag(n)),
    )
    return replace(level, wrong=len(checker.mistakes) > before)


def resolved(levels: Sequence[SignLevel]) -> tuple[Sign, str] | list[str]:
    """Return the decision, and which value came from where; or the names of what no level says. Nearest level first."""
    origins: list[str] = []

    def pick(name: str, get: Callable[[SignLevel], T | None]) -> T | None:
        for level in levels:
            value = get(level)
            if value is not None:
                origins.append(f"{name}: {level.name}")
                return value
        return None

    key = pick("key", lambda each: each.key)
    if_unable = pick("if_unable", lambda each: each.if_unable)
    if key is None or if_unable is None:
        return [name for name, value in (("key", key), ("if_unable", if_unable)) if value is None]
    form = pick("form", lambda each: each.form)
    date_gap = pick("date_gap", lambda each: each.date_gap)
    footer = pick("footer", lambda each: each.footer)
    protect_headers = pick("protect_headers", lambda each: each.protect_headers)
    carriage = Carriage(
        pick("add_header", lambda each: each.add_fields) or (),
        pick("route", lambda each: each.hop),
    )
    others = pick("for_other_addresses", lambda each: each.for_other_addresses)
    sign = Sign(
        key.choice,
        if_unable,
        label=key.label,
        form=form or SignatureForm.CLEAR,
        date_gap=date_gap or DateGap.OMIT_SIGNING_TIME,
        footer=footer if footer != NO_FOOTER else None,
        protect_headers=bool(protect_headers),
        for_other_addresses=bool(others),
        carriage=carriage,
    )
    return sign, ", ".join(origins)


W = TypeVar("W", IfUnable, SignatureForm, DateGap)


def _word(checker: Checker, node: Node, words: type[W]) -> W | None:
    word = checker.choice(node, tuple(words))
    return words(word) if word is not None else None


def _key(checker: Checker, node: Node) -> Key | None:
    if isinstance(node, Scalar):
        word = checker.choice(node, tuple(KeyChoice))
        return Key(KeyChoice(word)) if word is not None else None
    entries = checker.table(node, known=("label",), required=("label",))
    label = checker.text(entries["label"].node) if entries is not None else None
    if label is None:
        return None
    if not re.fullmatch(LABEL, label):
        checker.complain(node.place, "a label has lower-case letters, digits, - and _ only, at most 63")
        return None
    return Key(KeyChoice.PERSONAL_ELSE_ORGANIZATION, label)


def _footer(checker: Checker, node: Node) -> Footer | None:
    if isinstance(node, Scalar):
        return NO_FOOTER if checker.choice(node, ("none",)) is not None else None
    entries = checker.table(node, known=("vi", "en"), required=("vi", "en"))
    if entries is None:
        return None
    vietnamese, english = (checker.text(entries[key].node) for key in ("vi", "en"))
    return Footer(vietnamese, english) if vietnamese is not None and english is not None else None
