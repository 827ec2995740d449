"""Patterns mean the same to every Python 3.11."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import TYPE_CHECKING, Final

import pytest

import gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(
    r"(?P<literal>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?[>:=!]|\?<[=!])?)|(?P<close>\))"
    r"|(?P<quantifier>(?:[*+?]|\{\d*,?\d*\})(?P<more>[+?]?))|.",
    re.DOTALL,
)


def fragile(pattern: str) -> bool:
    """Return True for a possessive quantifier behind a group that holds a group or another quantifier.

    Before Python 3.11.5 it goes on from where a failed attempt at the group stood (gh-100061, gh-106052): `(?:ab?c)*+`
    takes the "a" of "ax". `(?>(?:ab?c)*)` says the same and is right everywhere.
    """
    holding: list[bool] = [False]
    last = False
    """Whether what the next quantifier would repeat is a group that holds such things."""
    for token in _TOKEN.finditer(pattern):
        if token["open"]:
            holding[-1] = True
            holding.append(False)
            last = False
        elif token["close"]:
            last = holding.pop()
        elif token["quantifier"]:
            if last and token["more"] == "+":
                return True
            holding[-1] = True
        else:
            last = False
    return False


def patterns() -> Iterator[tuple[str, str]]:
    """Yield the pattern of every module, and of what it keeps in tuples and mappings, with the module's name."""
    for module in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            for each in value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,):
                if isinstance(each, re.Pattern):
                    yield module.name, each.pattern if isinstance(each.pattern, str) else each.pattern.decode("latin-1")


def test_no_pattern_goes_on_from_where_it_failed() -> None:
    """The interpreter of Debian 12 is 3.11.2."""
    found = list(patterns())
    assert len(found) > 100
    assert [each for each in found if fragile(each[1])] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:ab?c)*+",
        "x(?:a|[)*]{2}b)++",
        "((?:ab)(c))?+",
        r"(?:\(a*+\))*+",
        "(?:a?){1,3}+",
        "(?:.(?!D))++",
        "(?:a(b|c)d)*+",
    ],
)
def test_such_a_pattern_is_found(pattern: str) -> None:
    """Wherever its parts stand."""
    assert fragile(pattern)


@pytest.mark.parametrize(
    "pattern", ["(?>(?:ab?c)*)", "(?:a|[*+])*+", r"(?:\*|\\)*+", "(?:a*b)+", "a*+(?:b)++", "(?:a*)b++", "((?:ab)*+)c"]
)
def test_others_are_left_alone(pattern: str) -> None:
    """What takes one character, or some that are fixed, fails where it began."""
    assert not fragile(pattern)
