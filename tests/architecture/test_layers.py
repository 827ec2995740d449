"""The floors of the house: what may import what; `[tool.importlinter]` in pyproject.toml holds the floors."""

from __future__ import annotations

import ast
import logging
import sys
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from importlinter import cli

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOP: Final = Path(__file__).parents[2]
PURE: Final = ("core", "yamltext", "yamlcheck", "policy", "mime", "cms", "pki", "agencies", "smime", "tagging")
"""Floors 1-3: tested with plain values, fuzzed, and equal for equal arguments."""
IMPURE: Final = frozenset(
    {
        "asyncio",
        "concurrent",
        "contextvars",
        "ctypes",
        "fcntl",
        "ftplib",
        "getpass",
        "glob",
        "http",
        "io",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "pickle",
        "queue",
        "random",
        "sched",
        "secrets",
        "select",
        "selectors",
        "shelve",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "syslog",
        "tempfile",
        "threading",
        "time",
        "uuid",
        "structlog",
        "sqlalchemy",
        "psycopg",
        "pysqlite3",
        "aiosmtpd",
        "urllib.request",
    }
)
EXCUSED: Final = {
    ("core/remembered.py", "threading"),
    ("core/sevenbit.py", "io"),
    ("pki/pkix.py", "logging"),
    ("pki/crl.py", "threading"),
    ("pki/pkix.py", "threading"),
}
"""The first guards what is remembered; the second borrows a decoder, which opens nothing; the third silences the
library it speaks to, and logs nothing itself; the fourth guards a memory of lists it read, the fifth keeps views of
issuers apart for each thread: all of these make answers faster and no different."""
SPOKEN_TO_IN: Final = {
    "aioimaplib": {"mailbox"},
    "aiohttp": {"revocation"},
    "argon2": {"smtp"},
    "asn1crypto": {"cms", "pki"},
    "dns": {"relay"},
    "pydantic": {"config"},
    "pydantic_core": {"config"},
    "pyhanko_certvalidator": {"pki"},
    "psycopg": {"spool"},
    "pysqlite3": {"spool"},
    "re2": {"core", "policy"},
    "rich": {"cli"},
    "ruamel": {"yamltext"},
    "sqlalchemy": {"spool"},
    "typer": {"cli"},
    "yarl": {"revocation"},
}
"""Each foreign library and the only rooms that know it; its exceptions become ours there."""
EVERYWHERE: Final = {"cryptography", "structlog"}
"""Libraries whose values are vocabulary: keys and certificates, bound loggers (above the pure floors)."""


@lru_cache(maxsize=1)
def modules() -> Mapping[str, ast.Module]:
    """Return every module of the gateway by its path below gateway/."""
    root = TOP / "gateway"
    return {str(file.relative_to(root)): ast.parse(file.read_bytes()) for file in sorted(root.rglob("*.py"))}


def room(path: str) -> str:
    """Return the package, or the module at the top, that a file belongs to."""
    return path.partition("/")[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the full name of every module that is imported, anywhere in a module, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.name, node.lineno) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor a file stands on"
            yield node.module or "", node.lineno


@pytest.fixture
def heard_as_before() -> Iterator[None]:
    """Undo what import-linter does to logging: it silences every logger that exists, for all tests after it."""
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    before = [(each, each.disabled) for each in loggers]
    yield
    for logger, disabled in before:
        logger.disabled = disabled


@pytest.mark.usefixtures("heard_as_before")
def test_imports_point_down() -> None:
    """No room imports a room above it or beside it, for types neither; every package has its floor."""
    assert cli.lint_imports(config_filename=str(TOP / "pyproject.toml"), no_cache=True) == cli.EXIT_STATUS_SUCCESS


def test_every_package_has_its_floor() -> None:
    """A new package must be placed: the contract names all of them, and none that does not exist."""
    with (TOP / "pyproject.toml").open("rb") as file:
        (contract,) = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    assert contract["exhaustive"] is True
    named = {name.strip() for layer in contract["layers"] for name in layer.replace(":", "|").split("|")}
    assert named == {room(path) for path in modules() if path != "__init__.py"}


@pytest.mark.parametrize("name", PURE)
def test_the_lower_floors_are_pure(name: str) -> None:
    """Floors below the ports know no clock, files, sockets, randomness, logging or asyncio (house rule 2)."""
    allowed_for_types = {path: set(_only_for_types(tree)) for path, tree in modules().items()}
    found = [
        f"gateway/{path}:{line} imports {module}"
        for path, tree in modules().items()
        if room(path) == name
        for module, line in imported(tree)
        if {module, module.partition(".")[0]} & IMPURE and (module, line) not in allowed_for_types[path]
        if (path, module) not in EXCUSED
    ]
    assert found == []


def _only_for_types(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield what is imported below `if TYPE_CHECKING`: a type has no effect."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from imported(node)


def test_pure_floors_do_not_ask_the_clock() -> None:
    """`now` is an argument: nothing below the ports calls datetime.now, utcnow or today."""
    found = [
        f"gateway/{path}:{node.lineno}"
        for path, tree in modules().items()
        if room(path) in PURE
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "utcnow", "today"}
        and isinstance(node.ctx, ast.Load)
        if isinstance(node.value, ast.Name | ast.Attribute) and ast.unparse(node.value).endswith(("datetime", "date"))
    ]
    assert found == []


def test_each_foreign_library_is_spoken_to_in_one_room() -> None:
    """A library outside its room would carry its exceptions and its types into the house."""
    found = [
        f"gateway/{path}:{line} imports {module}"
        for path, tree in modules().items()
        for module, line in imported(tree)
        if (top := module.partition(".")[0]) not in sys.stdlib_module_names
        and top != "gateway"
        and top not in EVERYWHERE
        if room(path) not in SPOKEN_TO_IN.get(top, set())
    ]
    assert found == []
