"""Programs of the tests, run beside them in the same interpreter and with the same code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]


def command(name: str, *arguments: object) -> list[str]:
    """Return the command line of a program in `support`."""
    return [sys.executable, str(TESTS / "support" / name), *map(str, arguments)]


def environment() -> dict[str, str]:
    """Return the environment in which it finds the gateway and the other tests' helpers."""
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
