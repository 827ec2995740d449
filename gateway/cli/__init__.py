"""The command line: each command is a function in a module of its own, registered here.

A command must not pay for the imports of another: `gateway verify` never loads the mail servers.
"""

from __future__ import annotations

import importlib.metadata
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "run": ("gateway.cli.serve", "run"),
    "demo": ("gateway.cli.demo", "demo"),
    "passwd": ("gateway.cli.login", "passwd"),
    "sign": ("gateway.cli.message", "sign"),
    "verify": ("gateway.cli.message", "verify"),
    "verify-path": ("gateway.cli.path", "verify_path"),
}
"""Command -> module and function."""


_INTERRUPTED: Final = 128 + 2
"""The exit code that a shell gives for SIGINT."""


def build(names: Sequence[str]) -> typer.Typer:
    """Return the application with these commands; their modules are imported now."""
    app = typer.Typer(
        help="Cổng thư có chữ ký số / a mail gateway with digital signatures.",
        no_args_is_help=True,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # a traceback with local variables could show secrets
    )
    app.callback()(_root)
    for name in names:
        module, function = COMMANDS[name]
        app.command(name)(getattr(import_module(module), function))
    return app


def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Cổng thư có chữ ký số / a mail gateway with digital signatures."""
    if version:
        sys.stdout.write(f"gateway {importlib.metadata.version('gateway')}\n")
        raise typer.Exit


def main() -> None:
    """Run the command that the arguments name; exits with its code, 130 after Ctrl-C."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        build([wanted] if wanted in COMMANDS else list(COMMANDS))(prog_name="gateway")
    except KeyboardInterrupt:  # while the modules were imported; later typer sees to it
        sys.exit(_INTERRUPTED)
