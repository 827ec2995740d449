"""What the spool's tests stand on: a file of this machine, or a database that machines share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.grounds import Ground, SharedGround, SqliteGround
from support.postgres import Postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL; every test has a database of its own."""
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def ground(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """Return a place for one spool, of each kind in turn."""
    if request.param == "sqlite":
        return SqliteGround(tmp_path)
    conninfo = request.getfixturevalue("server").create()
    monkeypatch.setenv(SharedGround.VARIABLE, conninfo)
    return SharedGround(tmp_path, conninfo)
