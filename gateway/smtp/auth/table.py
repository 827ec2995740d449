"""The file of logins: `login:argon2id-hash:author,author,...`, read again when it changes (RFC 9106).

A file that others can read, or a hash weaker than it should be, is refused; no line of it may show up in an error.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from gateway.core.address import Mailbox, domain_key
from gateway.core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOG: Final = structlog.get_logger("gateway.smtp.auth")
_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the file."""
_LEAST_COST: Final = 35_840
"""Memory (KiB) times passes: the least of the equivalent OWASP parameter sets."""
_MOST_MEMORY: Final = 1024 * 1024
_MOST_COST: Final = 16 * _MOST_MEMORY
"""What a login may cost at most: two checks run at a time."""
_ENCODED: Final = re.compile(
    r"\$argon2(?:id|i|d)\$v=[0-9]{2}\$m=[0-9]{1,9},t=[0-9]{1,9},p=[0-9]{1,2}\$[A-Za-z0-9+/]{11,88}\$[A-Za-z0-9+/]{16,88}"
)
"""What a checking process can read: anything else would be a login that is "busy" for ever."""
_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP
_HASHER: Final = PasswordHasher()
"""RFC 9106's second recommended set: 64 MiB, 3 passes, 4 lanes."""


@dataclass(frozen=True, slots=True)
class _Account:
    encoded: str
    authors: frozenset[str]

    def __repr__(self) -> str:
        return "_Account(...)"


Signature = tuple[int, int, int, int]


class LoginTable:
    """The logins, as the file has them now; a file that became unfit leaves the last good state standing."""

    def __init__(self, path: Path | None, accounts: dict[str, _Account], signature: Signature | None) -> None:
        """Use `load` or `empty`."""
        self._path = path
        self._accounts = accounts
        self._signature = signature
        self._looked_at = time.monotonic()
        self._stand_in = _stand_in(accounts)

    @classmethod
    def load(cls, path: Path) -> LoginTable:
        """Read the file; raises `SetupError` with file:line of every mistake."""
        accounts, signature = _read(path)
        return cls(path, accounts, signature)

    @classmethod
    def empty(cls) -> LoginTable:
        """Return a table that nobody can log in by."""
        return cls(None, {}, None)

    def authors(self, login: str) -> frozenset[str]:
        """Return the mailbox keys (and "@domain"s) a login may send as; empty for an unknown one."""
        self._look()
        account = self._accounts.get(login)
        return account.authors if account is not None else frozenset()

    def encoded_hash(self, login: str) -> tuple[str, bool]:
        """Return the hash a password is checked against, and whether the login exists.

        An unknown login gets a hash that costs the same and fits nothing, so that time tells nobody who exists.
        """
        self._look()
        account = self._accounts.get(login)
        return (account.encoded, True) if account is not None else (self._stand_in, False)

    def __repr__(self) -> str:
        return f"LoginTable({len(self._accounts)} logins)"

    def _look(self) -> None:
        """Read the file again if it is another one than before."""
        now = time.monotonic()
        if self._path is None or now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = now
        try:
            if _signature(self._path.stat()) == self._signature:
                return
            self._accounts, self._signature = _read(self._path)
        except OSError as error:
            _LOG.error("logins cannot be read again, the last good ones stand", error=error.strerror)
        except SetupError as error:
            _LOG.error("logins are unfit, the last good ones stand", mistakes=error.mistakes)
        else:
            self._stand_in = _stand_in(self._accounts)
            _LOG.info("logins read again", logins=len(self._accounts))


def hash_password(password: bytes) -> str:
    """Return the argon2id hash for a line of the file; costs about 0.1 s. Raises `ValueError` for an empty password."""
    if not password:
        raise ValueError("an empty password never fits")
    return _HASHER.hash(password)


def line_for(login: str, encoded: str, authors: Sequence[str]) -> str:
    """Return the line of the file for a login; raises `ValueError` for what the file could not be read with."""
    line = f"{login}:{encoded}:{','.join(authors)}"
    if login.startswith("#") or not all(each and "," not in each for each in authors):
        raise ValueError("a login begins with no #, an author has no comma")
    _parse(line)
    return line


def _signature(status: os.stat_result) -> Signature:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path) -> tuple[dict[str, _Account], Signature]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            octets = file.read()
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error
    if status.st_mode & _OTHERS:
        raise SetupError(f"{path}: open to others (mode {stat.S_IMODE(status.st_mode):04o}): chmod 640 or stricter")
    accounts: dict[str, _Account] = {}
    mistakes: list[str] = []
    for number, line in enumerate(octets.split(b"\n"), 1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        try:
            login, account = _parse(line.decode().strip())
        except UnicodeDecodeError:
            mistakes.append(f"{path}:{number}: not UTF-8")
        except ValueError as error:
            mistakes.append(f"{path}:{number}: {error}")
        else:
            if login in accounts:
                mistakes.append(f"{path}:{number}: this login is defined twice")
            accounts[login] = account
    if mistakes:
        raise SetupError(*mistakes)
    return accounts, _signature(status)


def _parse(line: str) -> tuple[str, _Account]:
    """Return one login; raises `ValueError` without quoting the line."""
    parts = line.split(":")
    if len(parts) != 3:  # noqa: PLR2004 - the three fields
        raise ValueError("write login:argon2id-hash:author,author,...")
    login, encoded, listed = parts
    if not login or login != login.strip() or not login.isprintable():
        raise ValueError("unfit login")
    if not _ENCODED.fullmatch(encoded):
        raise ValueError("not an argon2 hash")
    parameters = extract_parameters(encoded)
    cost = parameters.memory_cost * parameters.time_cost
    if parameters.type is not Type.ID or cost < _LEAST_COST:
        raise ValueError("the hash is weaker than argon2id with 19 MiB and 2 passes")
    if parameters.memory_cost > _MOST_MEMORY or cost > _MOST_COST:
        raise ValueError("the hash costs more than 1 GiB or 16 GiB-passes")
    authors = frozenset(_author(each.strip()) for each in listed.split(",") if each.strip())
    return login, _Account(encoded, authors)


def _author(text: str) -> str:
    """Return the key of a mailbox, or of "@domain"."""
    if text.startswith("*@"):
        raise ValueError("write @domain for every mailbox of a domain")
    if text.startswith("@"):
        Mailbox.parse(f"x{text}")
        return f"@{domain_key(text[1:])}"
    return Mailbox.parse(text).key


def _stand_in(accounts: dict[str, _Account]) -> str:
    """Return a hash of random octets, with the parameters that most logins have."""
    kinds = Counter(each.encoded.rsplit("$", 2)[0] for each in accounts.values())
    head = kinds.most_common(1)[0][0] if kinds else "$argon2id$v=19$m=65536,t=3,p=4"
    salt, tag = (b64encode(secrets.token_bytes(length)).rstrip(b"=").decode() for length in (16, 32))
    return f"{head}${salt}${tag}"
