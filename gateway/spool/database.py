"""The SQLite file: how it is opened, locked, written and read (https://www.sqlite.org/wal.html).

Several processes write to it. Each takes its turn by flock before BEGIN IMMEDIATE (a busy timeout alone lets one starve
the others for seconds), every commit is on the disk before it returns, and no deferred transaction ever upgrades.
No other code of the process may open the file, the standard library's SQLite least of all: POSIX locks belong to the
process, so two copies of SQLite do not see each other's, and closing one file drops them all.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pysqlite3 import dbapi2
from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.core.errors import ServiceError, SetupError, StorageFullError
from gateway.durable import sync_directory
from gateway.spool.place import Place, room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_INCREMENTAL: Final = 2
PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "journal_size_limit = 67108864",
    "trusted_schema = OFF",
)
"""Set on every connection, in this order."""
BUSY_SECONDS: Final = 5.0
"""How long somebody who does not take turns (an administrator's shell) may hold the database."""
_FIXED: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""From where on each line of SQLite is without the WAL-reset defect: several writers could lose commits."""
_FULL: Final = 13
_IO_ERROR: Final = 10
_CANNOT_OPEN: Final = 14
_NO_ROOM: Final = 65536
"""Octets free below which an I/O error is taken for a full disk: SQLite says "full" of the file, not of its index."""


class UncertainCommitError(ServiceError):
    """The disk failed, or the connection ended, during COMMIT: what seems gone could come back."""


class OutageError(ServiceError):
    """The database cannot be reached: the fault of no caller, and nothing was kept."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database must look like inside; both ways are taken in the transaction that finds them needed."""

    version: int
    make: Callable[[Connection], None]
    """Makes it in an empty database."""
    bring_up_to_date: Callable[[Connection, int], None]
    """Makes it of what an older version made."""


def is_sound(version: tuple[int, ...]) -> bool:
    """Return whether a version of SQLite may be written to by several processes."""
    return any(version >= fixed and (fixed is _FIXED[0] or version[:2] == fixed[:2]) for fixed in _FIXED)


class Database:
    """One database, for all threads of this process."""

    def __init__(self, place: Place, schema: Schema) -> None:
        """Open it, making it if there is none, or bringing it up to date.

        Raises `SetupError`, `ServiceError` or `OSError`.
        """
        if not is_sound(dbapi2.sqlite_version_info):
            raise SetupError(f"SQLite {dbapi2.sqlite_version} can lose commits of several writers: 3.51.3 is needed")
        self._place = place
        self._schema = schema
        self._turn = threading.Lock()
        self._lock = os.open(place.lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with suppress(FileExistsError):  # one that is there is not opened: closing it would drop this process's locks
            os.close(os.open(place.database, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._engine = create_engine(
            URL.create("sqlite", database=str(place.database)),
            module=dbapi2,
            connect_args={"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False},
            hide_parameters=True,  # they are other people's mail
        )
        event.listen(self._engine, "connect", _configure)
        try:
            self._prepare()
            sync_directory(place.directory)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
        os.close(self._lock)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no thread and no process writes, and keep the others waiting; first come, first served."""
        with self._turn:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that is committed, durably, at the end of the block; only inside `turn`.

        Raises `StorageFullError`, `UncertainCommitError` or `ServiceError`: then nothing of it is kept.
        """
        committing = False
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                committing = True
                connection.commit()
        except (SQLAlchemyError, dbapi2.Error) as error:
            fault = self._fault(error)
            if committing and not isinstance(fault, StorageFullError):
                raise UncertainCommitError(*fault.args) from error
            raise fault from error

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do some work in one transaction, as `writing` does."""
        with self.writing() as connection:
            return work(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one unchanging view of what is committed; raises `ServiceError`."""
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                yield connection
        except SQLAlchemyError as error:
            raise self._fault(error) from error

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """Give the driver's cursor outside of any transaction: each SELECT sees what is committed by then.

        For whoever asks by key and cannot wait for more than that; raises `ServiceError`.
        """
        try:
            with self._engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                yield driver.cursor()
        except (SQLAlchemyError, dbapi2.Error) as error:
            raise self._fault(error) from error

    def shrink(self, *, keep: int, most: int) -> None:
        """Give free pages beyond `keep` back to the file system, at most `most`; only inside `turn`.

        Without it a burst would leave the watermark below for ever, with an empty queue.
        """
        with self.writing() as connection:
            free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
            if free > keep:
                # one page per row, while rows are fetched; they have no columns: SQLAlchemy would stop at the first
                driver: Any = connection.connection.driver_connection
                driver.execute(f"PRAGMA incremental_vacuum({min(free - keep, most)})").fetchall()

    def _prepare(self) -> None:
        with self.turn(), self.writing() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar_one()
            ours = self._schema.version
            if version > ours:
                raise SetupError(f"{self._place.database}: was made by a newer version ({version}, not {ours})")
            if version == 0 and tables:
                raise SetupError(f"{self._place.database}: is not a spool")
            if version == 0:
                self._schema.make(connection)
            elif version < ours:
                self._schema.bring_up_to_date(connection, version)
            if version != ours:
                connection.exec_driver_sql(f"PRAGMA user_version = {ours}")

    def _fault(self, error: Exception) -> ServiceError:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        text = f"the spool's database failed: {cause if isinstance(cause, dbapi2.Error) else type(error).__name__}"
        if code == _FULL or (code in {_IO_ERROR, _CANNOT_OPEN} and self._spent()):
            return StorageFullError(text)
        return ServiceError(text)

    def _spent(self) -> bool:
        try:
            return room(self._place.directory) < _NO_ROOM
        except OSError:
            return False


def _configure(connection: Any, _: Any) -> None:
    # Counts only while the file is empty, so before everything else; and each time it is set it is written, even if it
    # is the same: outside of any turn, and on a full disk nobody could open the spool to make room in it.
    if connection.execute("PRAGMA auto_vacuum").fetchall() != [(_INCREMENTAL,)]:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL").fetchall()
    for pragma in PRAGMAS:
        answer = connection.execute(f"PRAGMA {pragma}").fetchall()
        if pragma.startswith("journal_mode") and answer != [("wal",)]:
            raise dbapi2.OperationalError("the database cannot have a write-ahead log")
