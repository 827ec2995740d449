"""Regular expressions and globs that cannot blow up: RE2 takes time linear in the text and bounded memory.

A pattern is held against *folded* text (`policy.model.folded`: one case, one width, one blank, nothing invisible), may
stand anywhere in it, and is folded in case itself. No other regular expressions of an administrator exist.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import re2

from gateway.policy.model import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PATTERN: Final = 200
"""Characters of one pattern."""
MAX_PATTERNS: Final = 200
"""In all rules of a policy together: each keeps memory."""
MAX_AGENCY_PATTERNS: Final = 20
"""In the rules of one agency, which count for all as well."""
_MEMORY: Final = 512 * 1024
"""Octets that one pattern may take, compiled and running; a larger one is refused when it is loaded."""


@dataclass(slots=True)
class Budget:
    """How many patterns may still be compiled: a delegated file must not stop the gateway for long."""

    left: int = MAX_PATTERNS
    whole: Budget | None = None
    """What all owners share, for the budget of one of them."""

    def part(self, most: int) -> Budget:
        """Return a budget of which no more than `most` can be taken, and that is taken from this one as well."""
        return Budget(most, self)

    def take(self) -> bool:
        """Return True, and count one less, while there are any left."""
        self.left -= 1
        return self.left >= 0 and (self.whole is None or self.whole.take())


@dataclass(frozen=True, slots=True)
class Pattern:
    """One compiled pattern; equal sources are equal patterns."""

    source: str
    glob: bool
    regex: Any = field(compare=False, repr=False)

    def fits(self, texts: Iterable[str]) -> bool:
        """Return True if one of the folded texts fits."""
        # a text of a message may hold halves of surrogate pairs, which have no UTF-8
        return any(self.regex.search(each.encode("utf-8", "replace")) is not None for each in texts)

    def __str__(self) -> str:
        return self.source if self.glob else f"/{self.source}/"


def expression(source: str) -> Pattern:
    """Return a regular expression in RE2 syntax, for any part of a text; raises `ValueError` saying what is wrong."""
    return Pattern(source, glob=False, regex=_compiled(unicodedata.normalize("NFC", source)))


def glob(source: str) -> Pattern:
    """Return a pattern in which * stands for anything and ? for one character, for a whole text."""
    parts = ({"*": ".*", "?": "."}.get(each) or re2.escape(each) for each in folded(source))
    return Pattern(source, glob=True, regex=_compiled(f"^(?:{''.join(parts)})$"))


def _compiled(source: str) -> Any:
    if len(source) > MAX_PATTERN * 8:
        raise ValueError("too long")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False  # it would write the pattern to standard error
    options.case_sensitive = False
    options.never_capture = True
    try:
        return re2.compile(source.encode("utf-8"), options)
    except re2.error as error:
        problem = error.args[0] if error.args else b""
        text = problem.decode("utf-8", "replace") if isinstance(problem, bytes) else str(problem)
        raise ValueError(text or "cannot be compiled") from error
    except UnicodeEncodeError as error:
        raise ValueError("holds half a character") from error
