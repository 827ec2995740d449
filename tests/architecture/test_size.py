"""The size of the house: files of at most 400 lines, functions of at most 60 (house.md 3 and 5)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2] / "gateway"
MOST_LINES: Final = 400
MOST_LINES_OF_A_FUNCTION: Final = 60


def test_no_file_is_too_long() -> None:
    """A file beyond 400 lines does two things."""
    found = {
        str(file.relative_to(ROOT)): lines
        for file in ROOT.rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert found == {}


def test_no_function_is_too_long() -> None:
    """A function beyond 60 lines, its docstring included, cannot be read at once."""
    found = {
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}": lines
        for file in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > MOST_LINES_OF_A_FUNCTION
    }
    assert found == {}


def test_no_boolean_parameter_by_position() -> None:
    """`f(True)` says nothing: a public function takes a flag by keyword only (house.md 5)."""
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}({each.arg})"
        for file in ROOT.rglob("*.py")
        if file.parent.name != "cli"  # there a parameter is a command-line option
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
        for each in (*node.args.posonlyargs, *node.args.args)
        if isinstance(each.annotation, ast.Name) and each.annotation.id == "bool"
    ]
    assert found == []
