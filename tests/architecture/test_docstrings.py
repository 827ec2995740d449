"""Every public module, class and function says what it does, and every test which rule it guards (house.md 5 and 6)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP: Final = Path(__file__).parents[2]
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def parsed(folder: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield every Python file below a folder with its tree."""
    for file in sorted((TOP / folder).rglob("*.py")):
        yield str(file.relative_to(TOP)), ast.parse(file.read_bytes())


def public(body: list[ast.stmt]) -> Iterator[Documented]:
    """Yield the public classes and functions, and the public methods of public classes."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_every_module_says_what_it_is() -> None:
    """A module begins with a docstring."""
    assert [path for path, tree in parsed("gateway") if not ast.get_docstring(tree)] == []


def test_everything_public_is_documented() -> None:
    """A public class or function has a docstring of at least one sentence."""
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in parsed("gateway")
        for node in public(tree.body)
        if "." not in (ast.get_docstring(node) or "")
    ]
    assert found == []


def test_every_test_says_which_rule_it_guards() -> None:
    """A test without a rule is a test nobody dares to change."""
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in parsed("tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]
    assert found == []


def test_nothing_is_left_to_do() -> None:
    """No stub and no note to ourselves is shipped: what is missing is an issue, not a comment."""
    words = tuple(f"{word}{end}" for word in ("TO" + "DO", "FIX" + "ME", "X" * 3) for end in (":", " ", "("))
    found = [
        f"{file.relative_to(TOP)}:{number}"
        for folder in ("gateway", "tests", "policies", "config")
        for file in (TOP / folder).rglob("*")
        if file.is_file() and file.suffix in {".py", ".yaml", ".service"}
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if any(word in line for word in words)
    ]
    assert found == []
