"""How far each mailbox was read, one small file each, replaced as a whole (rename(2)).

Losing one costs looking again, never a wrong tag: a file that cannot be read is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Everything up to this UID was looked at, under this UIDVALIDITY."""

    validity: int
    last: int


class Progress:
    """The files of one installation."""

    def __init__(self, directory: Path) -> None:
        """Make the directory where it is missing; raises `OSError`."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory

    def load(self, mailbox: str) -> Place | None:
        """Return the place in a mailbox's INBOX, None where nobody was before."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(self._file(mailbox).read_bytes())
            return Place(int(found["validity"]), int(found["last"]))
        return None

    def save(self, mailbox: str, place: Place) -> None:
        """Remember a place; raises `OSError`, and the old one stands."""
        file = self._file(mailbox)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({"mailbox": mailbox, **asdict(place)}), encoding="utf-8")
        fresh.replace(file)

    def _file(self, mailbox: str) -> Path:
        """Return the file of a mailbox, whose name may hold anything."""
        return self._directory / f"{hashlib.sha256(mailbox.encode()).hexdigest()[:40]}.json"
