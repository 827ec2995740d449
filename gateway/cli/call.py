"""What the commands for one thing share: how they end, what they may show, the time they judge at (ISO 8601).

Exit codes: 0 yes, 1 no, 2 the call or its files are wrong. Everything in a certificate, a message or a file's name is
hostile text: no control or direction character may reach a terminal.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pwd
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from gateway.core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_CONFIG: Final = Path("/etc/gateway/gateway.yaml")
"""Where a gateway's configuration is, unless --config says otherwise."""
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def stop(code: int, *lines: str) -> NoReturn:
    """End with an exit code, saying why on standard error."""
    for line in lines:
        complain(line)
    raise typer.Exit(code)


def stop_check(code: int, mistakes: Sequence[str], *, as_json: bool) -> NoReturn:
    """End a check with everything that is wrong: its answer for programs, complaints for people."""
    if as_json:
        say_json({"errors": list(mistakes)})
        raise typer.Exit(code)
    stop(code, *mistakes)


def say_json(found: Mapping[str, object]) -> None:
    """Say one JSON object as a line on standard output; names of files may hold octets that are no UTF-8."""
    sys.stdout.buffer.write(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def complain(line: str) -> None:
    """Say what is wrong on standard error; names of files may hold what a terminal would obey."""
    sys.stderr.write(f"gateway: {printable(line)}\n")


def moment(text: str | None) -> dt.datetime:
    """Return the aware time to judge at: now without a text, UTC without an offset; raises `SetupError`."""
    if text is None:
        return dt.datetime.now(dt.UTC)
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        wanted = "not a time as ISO 8601 writes it, such as 2026-11-24T08:00:00+07:00"
        raise SetupError(f"--at {text}: {wanted}") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def acting_user() -> str:
    """Return the user of the system who gives the command, and who became root for it where that is known."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    before = os.environ.get("SUDO_USER", "")
    return f"{name} (sudo: {before})" if os.getuid() == 0 and before.isprintable() and before else name


def printable(text: str) -> str:
    """Return text that can do nothing to a terminal: control, format and surrogate characters become visible."""
    return "".join(
        char if unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} else f"\\u{ord(char):04x}"
        for char in text
    )
