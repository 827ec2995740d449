"""The PostgreSQL that several machines share: how it is connected to, checked, written and read (version 15 or later).

A commit that was answered is on its disk: a server without fsync is refused, and `synchronous_commit` is set on every
connection. A connection that ends during COMMIT leaves the outcome open: the same transaction is tried again until it
is known, and a mark that it writes tells a second one that the first had been committed after all.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from sqlalchemy import create_engine, insert, select, text, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.core.errors import ServiceError, SetupError, StorageFullError
from gateway.spool.database import OutageError, UncertainCommitError
from gateway.spool.shared import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from gateway.spool.database import Schema

T = TypeVar("T")

PATIENCE: Final = 10.0
"""Seconds in which a lost transaction is tried again; while the database is known to be away, once is enough."""
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
CONNECTIONS: Final = 8
"""For the writer, the threads that read and write large bodies, and tidying."""
_OLDEST: Final = 150000
_DEFAULTS: Final = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10_000,  # milliseconds that what was sent may stay unconfirmed
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "application_name": "gateway",
    "target_session_attrs": "read-write",  # of several hosts, the one that is no standby
}
"""What a connection string may override."""
_LIMITS: Final = (
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "30s"),  # a machine that went away must not hold rows for ever
    ("default_transaction_isolation", "read committed"),
    ("client_encoding", "UTF8"),
    ("jit", "off"),  # nothing here is worth being compiled, and what is estimated wrongly would be
)
_DURABLE: Final = frozenset({"on", "remote_apply"})
_PREPARING: Final = 7_526_170_113
"""Key of the advisory lock under which tables are made: several machines start at once."""
_AGAIN: Final = frozenset({"40001", "40P01", "55P03", "57014", "25006", "53300"})
"""Rolled back for no fault of the caller: serialization, deadlock, waited too long, a standby, too many connections."""
_DEADLOCK: Final = "40P01"
_HELD: Final = "55P03"
_TRIES: Final = 5
"""Times that tables are made or changed, each ended by a deadlock."""
_AWAY: Final = ("08", "57P")
_NOT_LET_IN: Final = (
    "Connection refused",
    "No such file or directory",
    "timeout expired",
    "failed to resolve host",
    "No route to host",
    "Network is unreachable",
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "certificate verify failed",
    "SSL",
    "session is read-only",
    "the database system is starting up",
    "the database system is shutting down",
    "too many clients",
    "remaining connection slots",
    "does not exist",
)
"""What libpq and the server say of a connection that does not come about."""
_SPENT: Final = frozenset({"53100"})
_MARK: Final = text(
    "WITH gone AS (DELETE FROM commits WHERE mark = :last) "
    "INSERT INTO commits (mark) VALUES (:mark) ON CONFLICT DO NOTHING"
)
_OLD_MARKS: Final = text("DELETE FROM commits WHERE made_at < clock_timestamp() - interval '1 hour'")


class _LostError(Exception):
    """A transaction ended without an answer."""


@dataclass(slots=True)
class _Try(Generic[T]):
    """One piece of work, whichever of its transactions comes through."""

    work: Callable[[Connection], T]
    last: str
    """Mark of this thread's transaction before."""
    mark: str = field(default_factory=lambda: secrets.token_hex(12))
    result: list[T] = field(default_factory=list)
    """What the work returned in a transaction whose COMMIT was sent."""


def read_conninfo(secret: bytes) -> dict[str, Any]:
    """Return the parameters of a connection string; raises `SetupError`, which says nothing of what is in it."""
    try:
        return _DEFAULTS | conninfo_to_dict(secret.decode())
    except (psycopg.Error, UnicodeDecodeError):
        raise SetupError("spool.database: what it refers to is no connection string of PostgreSQL") from None


def connect(parameters: dict[str, Any]) -> psycopg.Connection[Any]:
    """Return a new connection, set up and checked; raises `psycopg.Error`, or `SetupError` for an unfit server."""
    connection: psycopg.Connection[Any] = psycopg.connect(**parameters)
    try:
        _set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < _OLDEST:
        raise SetupError("spool.database: PostgreSQL 15 or later is needed")
    for name, value in _LIMITS:
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    connection.execute("SELECT set_config('synchronous_commit', 'on', false) WHERE NOT %s", (_durable(connection),))
    asked = "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('server_encoding')"
    fsync, whole_pages, encoding = connection.execute(asked).fetchone() or ("", "", "")
    connection.commit()
    if fsync != "on" or whole_pages != "on":
        raise SetupError("spool.database: the server runs with fsync or full_page_writes off: it would lose mail")
    if not _durable(connection):
        raise SetupError("spool.database: the server does not let synchronous_commit be on")
    if encoding != "UTF8":
        raise SetupError(f"spool.database: the database must be made with the encoding UTF8, not {encoding}")
    connection.commit()


def _durable(connection: psycopg.Connection[Any]) -> bool:
    found = connection.execute("SELECT current_setting('synchronous_commit')").fetchone()
    return found is not None and found[0] in _DURABLE


class PostgresDatabase:
    """Implements `Engine`; writers of all machines work beside each other, rows are locked by those who change them."""

    def __init__(self, parameters: dict[str, Any], schema: Schema, *, make: bool) -> None:
        """Connect and bring the tables up to date, making them if asked to; raises `SetupError` or `ServiceError`."""
        self._schema = schema
        self._away = False
        self._last = threading.local()
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: connect(parameters),
            use_native_hstore=False,
            hide_parameters=True,  # they are other people's mail
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=PATIENCE,
            pool_pre_ping=True,
        )
        self._views = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        try:
            with self._failing():
                self._prepare(make=make)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def turn(self) -> AbstractContextManager[None]:
        """Return at once: nobody needs to wait."""
        return nullcontext()

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do some work in a transaction; see `Engine.transact`."""
        attempt = _Try(work, getattr(self._last, "mark", ""))
        until = time.monotonic() + (0 if self._away else PATIENCE)
        pause = FIRST_PAUSE
        while True:
            try:
                result = self._attempt(attempt)
            except _LostError as error:
                if time.monotonic() + pause > until:
                    self._away = True
                    kind = UncertainCommitError if attempt.result else OutageError
                    raise kind("the spool's database cannot be reached") from error
            else:
                self._away = False
                self._last.mark = attempt.mark
                return result
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one unchanging view of what is committed; raises `ServiceError`."""
        with self._failing(), self._views.connect() as connection:
            yield connection

    def forget_old_marks(self) -> None:
        """Remove what writers that are gone have left in `commits`."""
        with self._failing(), self._engine.begin() as connection:
            connection.execute(_OLD_MARKS)

    def _attempt(self, attempt: _Try[T]) -> T:
        try:
            with self._engine.connect() as connection:
                marked = connection.execute(_MARK, {"mark": attempt.mark, "last": attempt.last}).rowcount
                if not marked:  # waits for a transaction that is still ending, then knows how it ended
                    return attempt.result[-1]
                result = attempt.work(connection)
                driver: Any = connection.connection.driver_connection
                if driver.info.transaction_status is not TransactionStatus.INTRANS:
                    raise ServiceError("a transaction of the spool is broken")  # its COMMIT would be a rollback
                attempt.result.append(result)
                connection.commit()
                return result
        except SetupError as error:
            raise ServiceError(str(error)) from error
        except (SQLAlchemyError, psycopg.Error) as error:
            if _is_lost(error):
                raise _LostError from error
            raise _fault(error) from error

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, psycopg.Error) as error:
            raise _fault(error) from error

    def _prepare(self, *, make: bool) -> None:
        """Make what is needed, again where the server ends us for another: older processes lock tables as we do."""
        for left in reversed(range(_TRIES)):
            try:
                with self._engine.begin() as connection:
                    self._prepare_in(connection, make=make)
            except DBAPIError as error:
                if _state(error) == _HELD:
                    raise OutageError(
                        "somebody holds its tables for long, such as a dump: nothing was changed"
                    ) from error
                if _state(error) != _DEADLOCK or not left:
                    raise
            else:
                return

    def _prepare_in(self, connection: Connection, *, make: bool) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PREPARING})
        found = connection.execute(text("SELECT to_regclass('spool_version'), to_regclass('entries')")).one()
        if found[0] is None:
            if found[1] is not None:
                raise SetupError("spool.database: is not a spool")
            if not make:
                raise SetupError("spool.database: holds no spool: has a gateway run with this configuration?")
            self._schema.make(connection)
            version = self._schema.version
        else:
            version = connection.execute(select(VERSIONS.c.version)).scalar_one()
        if version > self._schema.version:
            raise SetupError(f"spool.database: was made by a newer version ({version}, not {self._schema.version})")
        if version < self._schema.version:
            self._schema.bring_up_to_date(connection, version)
        if found[0] is None:
            connection.execute(insert(VERSIONS).values(version=version))
        elif version < self._schema.version:
            connection.execute(update(VERSIONS).values(version=self._schema.version))


def _cause(error: Exception) -> BaseException:
    return (error.orig or error) if isinstance(error, DBAPIError) else error


def _state(error: Exception) -> str:
    """Return the SQLSTATE, "" where the server did not say anything."""
    return getattr(_cause(error), "sqlstate", None) or ""


def _said(cause: BaseException) -> str:
    """Return why nobody let us in, as far as it is one of the usual reasons; nothing else of what was said."""
    text = str(cause)
    return next((f"({each})" for each in _NOT_LET_IN if each in text), "")


def _is_lost(error: Exception) -> bool:
    """Return whether the transaction ended by no fault of the work."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = _state(error)
    silent = not state and isinstance(_cause(error), psycopg.OperationalError | psycopg.InterfaceError)
    return silent or state in _AGAIN or state.startswith(_AWAY)


def _fault(error: Exception) -> ServiceError:
    cause = _cause(error)
    state = _state(error)
    # its text may hold values: other people's mail
    words = f"{type(cause).__name__} {state or _said(cause)}".rstrip()
    kind = StorageFullError if state in _SPENT else OutageError if _is_lost(error) else ServiceError
    return kind(f"the spool's database failed: {words}")
