"""Both places a spool can be in, so that one test can speak of both.

A folder of tests that wants them imports `server` and `ground` in its conftest.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import psycopg
import pytest
from pysqlite3 import dbapi2

from gateway.spool.pulse import Pace
from gateway.spool.shared_store import PostgresSpool
from gateway.spool.store import SqliteSpool, SqlSpool
from support.postgres import Postgres, asked, postgres
from support.spooled import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.config.model import SpoolSettings

SQLITE: Final = pytest.mark.parametrize("ground", ["sqlite"], indirect=True)
"""For what only a file of this machine has."""
SHARED: Final = pytest.mark.parametrize("ground", ["postgres"], indirect=True)
"""For what only a shared database has."""
PACE: Final = Pace(beat=0.1, lease=1.5)
"""Long enough for a machine that is busy with other things."""
DATABASE_ERRORS: Final = (dbapi2.DatabaseError, psycopg.Error)


class Ground(Protocol):
    """A place for one spool."""

    def settings(self, **changes: Any) -> SpoolSettings:
        """Return the settings of a spool here."""
        ...

    def open(self, **changes: Any) -> SqlSpool:
        """Open the spool, once more."""
        ...

    def bodies(self) -> list[str]:
        """Return the ids of the entries whose bodies lie apart from their rows."""
        ...

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """Return what SQL says."""
        ...

    def tidy(self, spool: SqlSpool) -> None:
        """Free what is claimed by stores that are closed, where they do not do it themselves."""
        ...


class SqliteGround:
    """A directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def settings(self, **changes: Any) -> SpoolSettings:
        return settings(self._directory, **changes)

    def open(self, **changes: Any) -> SqlSpool:
        return SqliteSpool(self.settings(**changes))

    def bodies(self) -> list[str]:
        return sorted(path.name for path in (self._directory / "bodies").iterdir())

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        connection = dbapi2.connect(self._directory / "spool.sqlite3", isolation_level=None)
        try:
            return list(connection.execute(question))
        finally:
            connection.close()

    def tidy(self, spool: SqlSpool) -> None:
        assert isinstance(spool, SqliteSpool)
        spool.tidy(0.0)


class SharedGround:
    """A database."""

    VARIABLE: ClassVar[str] = "GATEWAY_TEST_SPOOL"
    """The environment variable that has the connection string."""

    def __init__(self, directory: Path, conninfo: str) -> None:
        self._directory = directory
        self.conninfo = conninfo

    def settings(self, **changes: Any) -> SpoolSettings:
        return settings(self._directory, database=f"env:{self.VARIABLE}", **changes)

    def open(self, **changes: Any) -> SqlSpool:
        return PostgresSpool(self.settings(**changes), pace=PACE)

    def bodies(self) -> list[str]:
        apart = "SELECT entry_id FROM entries JOIN chunks USING (number) WHERE position = 0 ORDER BY entry_id"
        assert self.ask("SELECT count(*) FROM chunks WHERE number NOT IN (SELECT number FROM entries)") == [(0,)]
        return [row[0] for row in self.ask(apart)]

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        return asked(self.conninfo, question)

    def tidy(self, spool: SqlSpool) -> None:
        assert isinstance(spool, PostgresSpool)


def opened(directory: Path) -> SqlSpool:
    """Open the spool that a test has given to its programs."""
    shared = SharedGround.VARIABLE in os.environ
    return SharedGround(directory, "").open() if shared else SqliteGround(directory).open()


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL; every test has a database of its own."""
    with postgres() as running:
        yield running


@pytest.fixture
def conninfo(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database of one's own, which the settings name."""
    found = server.create()
    monkeypatch.setenv(SharedGround.VARIABLE, found)
    yield found
    server.drop(found)


@pytest.fixture(params=["sqlite", "postgres"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    """Return a place for one spool, of each kind in turn."""
    if request.param == "sqlite":
        return SqliteGround(tmp_path)
    return SharedGround(tmp_path, request.getfixturevalue("conninfo"))
