"""Secrets by reference: `file:/PATH`, `env:NAME`, `credential:NAME` (systemd.exec(5), CREDENTIALS).

A secret's value must never stand in a message, a log line or a `repr`; files that others can read are refused.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from gateway.core.errors import SetupError

_MAX_OCTETS: Final = 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_secret(reference: str) -> bytes:
    """Return the octets a reference stands for, without one final line end; raises `SetupError`.

    An empty secret is refused: an empty passphrase protects nothing.
    """
    kind, _, rest = reference.partition(":")
    match kind:
        case "file":
            value = read_private(Path(rest))
        case "env":
            value = _environment(rest)
        case "credential":
            value = _credential(rest)
        case _:
            raise SetupError("a secret is given by reference: file:/PATH, env:NAME or credential:NAME")
    value = _without_line_end(value)
    if not value:
        raise SetupError(f"{reference}: is empty")
    return value


def read_private(path: Path) -> bytes:
    """Return the content of a file that only its owner (root, or this process's user) can read; raises `SetupError`."""
    return _read(path, forbidden=_OTHERS)


def read_public(path: Path) -> bytes:
    """Return the content of a small file that anybody may read, such as a certificate; raises `SetupError`."""
    return _read(path, forbidden=0)


def _environment(name: str) -> bytes:
    value = os.environb.get(name.encode())
    if value is None:
        raise SetupError(f"env:{name}: this environment variable is not set")
    return value


def _credential(name: str) -> bytes:
    """Read a systemd credential; the service manager guards their directory, its files may carry ACLs (mode 0440)."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        raise SetupError(
            f"credential:{name}: CREDENTIALS_DIRECTORY is not set: not started by systemd with LoadCredential="
        )
    if "/" in name or name in {"", ".", ".."}:
        raise SetupError(f"credential:{name}: not the name of a credential")
    return _read(Path(directory, name), forbidden=stat.S_IRWXO | stat.S_IWGRP)


def _read(path: Path, *, forbidden: int) -> bytes:
    """Read a regular file; what is checked is what is read, since both go through one descriptor."""
    try:
        # O_NONBLOCK: a FIFO put in the file's place must not stop the start
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115 - below
    except (OSError, ValueError) as error:
        raise SetupError(f"{path}: cannot be read: {_words(error)}") from error
    with file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise SetupError(f"{path}: is not a regular file")
        if state.st_mode & forbidden:
            raise SetupError(
                f"{path}: others can read or change it (mode {stat.S_IMODE(state.st_mode):04o}); run: chmod 600 {path}"
            )
        if forbidden and state.st_uid not in {0, os.geteuid()}:
            raise SetupError(f"{path}: belongs to user {state.st_uid}, neither root nor the gateway's own")
        if state.st_size > _MAX_OCTETS:
            raise SetupError(f"{path}: is larger than {_MAX_OCTETS} octets")
        try:
            return file.read(_MAX_OCTETS)
        except OSError as error:
            raise SetupError(f"{path}: cannot be read: {_words(error)}") from error


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not a path"


def _without_line_end(value: bytes) -> bytes:
    """Drop one final LF or CRLF: editors add it, and a passphrase that ends in one is a mistake."""
    if value.endswith(b"\r\n"):
        return value[:-2]
    return value.removesuffix(b"\n")
