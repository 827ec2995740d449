"""One machine's copy of the policy that is in force on all: one file, replaced as a whole.

It is not the directory `policies`, which is its administrator's draft and may be closed to the gateway.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.errors import SetupError
from gateway.durable import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config.model import Settings

_NAME: Final = "policies.json"
AGENCIES: Final = "agencies/"
"""How the names of files for agencies begin."""

Texts = dict[str, str]
"""Policy files: their texts by "NAME.yaml" and "agencies/NAME.yaml"."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The policy that is in force on all machines."""

    number: int
    """Of its decree."""
    digest: str
    """Of its files."""
    node: str
    who: str
    at: str
    files: Texts


def copy_file(settings: Settings) -> Path:
    """Return where this machine has its copy of the shared policy."""
    return settings.spool.directory / _NAME


def is_copy(path: Path) -> bool:
    """Return whether a path is that of a copy, not of a directory with policies."""
    return path.name == _NAME


def in_force(settings: Settings) -> Path:
    """Return where the policy that rules is: this machine's copy of the shared one if there is any."""
    copy = copy_file(settings)
    return copy if settings.spool.shared and os.path.lexists(copy) else settings.policies


def read_copy(path: Path) -> Copy | None:
    """Return the copy in a file, None where there is none; raises `SetupError` for one that was damaged."""
    try:
        return Copy(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise SetupError(f"{path}: is damaged; remove it: it comes out of the database again") from error


def write_copy(path: Path, copy: Copy) -> None:
    """Replace the copy, and return when it survives a power failure; raises `SetupError`."""
    try:
        replace_file(path, json.dumps(asdict(copy), ensure_ascii=False).encode(), durable=True)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from error
