"""An answer for people on a terminal: the sentence in Vietnamese, then in English, then its facts line by line."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from gateway.cli.call import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_LABEL: Final = 26
_WIDTH: Final = 80
_LEAST_WIDTH: Final = 20
STATES: Final = {
    "valid": "hợp lệ / valid",
    "invalid": "không hợp lệ / invalid",
    "indeterminate": "chưa xác định được / indeterminate",
    "none": "không có / none",
}
"""`ChainState` and `SignatureState` for people."""


def show(title: str, *, vietnamese: str, english: str, color: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print one answer on standard output; `lines` are labels and values, and every text may be hostile."""
    console = Console(highlight=False, soft_wrap=True)
    report = Text()
    report.append(f"{printable(title)}\n", "bold")
    for sentence, style in ((vietnamese, color), (english, "")):
        report.append(f"  {_fitted(printable(sentence), console, indent=2)}\n", style)
    for label, value in lines:
        report.append(f"  {label:<{_LABEL}}{_fitted(printable(value), console, indent=_LABEL + 2)}\n")
    console.print(report, end="")


def _fitted(text: str, console: Console, *, indent: int) -> str:
    """Return the text in lines that fit a terminal, the later ones indented; anything else gets it on one line.

    A word longer than a line, as a fingerprint, stays whole to be copied.
    """
    if not console.is_terminal:
        return text
    width = max(console.width - indent, _LEAST_WIDTH)
    return f"\n{'':<{indent}}".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def show_narrow(title: str, *, vietnamese: str, english: str, color: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print one answer as `show` does, no line wider than 80 columns; a label "" goes on under the last one."""
    report = Text()
    report.append(_lines(printable(title), 0), "bold")
    for text, style in ((vietnamese, color), (english, "")):
        if text:
            report.append(_lines(printable(text), 2), style)
    for label, value in lines:
        head = f"  {label:<{_LABEL - 1}} "
        report.append(_lines(printable(value), _LABEL + 2, head) if value else f"{head.rstrip()}\n")
    Console(highlight=False, soft_wrap=True).print(report, end="")


def _lines(text: str, indent: int, head: str | None = None) -> str:
    """Return text as lines of at most 80 columns, indented; what has no blank is broken where the line ends."""
    blank = " " * indent
    first = head if head is not None else blank
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=blank, break_on_hyphens=False) + "\n"


def paragraph(text: str, indent: int, head: str = "") -> str:
    """Return text that may be hostile as lines of at most 80 columns; `head` stands before it, later lines under it."""
    return _lines(printable(text), indent + len(head), " " * indent + head)
