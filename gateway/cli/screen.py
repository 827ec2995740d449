"""An answer for people on a terminal: the sentence in Vietnamese, then in English, then its facts line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from gateway.cli.call import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_LABEL: Final = 26
STATES: Final = {
    "valid": "hợp lệ / valid",
    "invalid": "không hợp lệ / invalid",
    "indeterminate": "chưa xác định được / indeterminate",
    "none": "không có / none",
}
"""`ChainState` and `SignatureState` for people."""


def show(title: str, *, vietnamese: str, english: str, color: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print one answer on standard output; `lines` are labels and values, and every text may be hostile."""
    report = Text()
    report.append(f"{printable(title)}\n", "bold")
    report.append(f"  {printable(vietnamese)}\n", color)
    report.append(f"  {printable(english)}\n")
    for label, value in lines:
        report.append(f"  {label:<{_LABEL}}{printable(value)}\n")
    Console(highlight=False, soft_wrap=True).print(report, end="")
