"""Who holds a claim where machines share a database: each open store says every few seconds that it lives.

A store that was silent for the lease is taken for dead by any other, and what it had claimed is free. Time is counted
twice: by the database's clock, and by the clock of whoever takes it for dead, which must have seen it silent for as
long. So neither a clock that jumps nor a database that was away kills the living. A store that may have been taken for
dead must know it before the others do: `fresh` ends earlier than the lease.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
import structlog

from gateway.core.errors import GatewayError, ServiceError
from gateway.spool.shared import DUE, NEWS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_LOG: Final = structlog.get_logger("gateway.spool")
TICK: Final = 0.25
"""Seconds in which others are told of work, at most once, and in which `close` is noticed."""
_ALIVE: Final = "INSERT INTO owners (token, node, seen_at) VALUES (%s, %s, clock_timestamp())"
_BEAT: Final = "UPDATE owners SET seen_at = clock_timestamp(), said = %s WHERE token = %s"
_NUMBER: Final = "SELECT coalesce(max(number), 0) FROM gazette"
_OTHERS: Final = (
    "SELECT token, seen_at, seen_at < clock_timestamp() - make_interval(secs => %s) FROM owners WHERE token <> %s"
)
_ORPHANS: Final = (
    "SELECT DISTINCT claimed_by FROM entries WHERE claimed_by IS NOT NULL "
    "AND NOT EXISTS (SELECT FROM owners WHERE token = claimed_by)"
)
_BURY: Final = "DELETE FROM owners WHERE token = %s AND seen_at = %s"
_FREE_OF_THE_DEAD: Final = (
    "UPDATE entries SET claimed_by = NULL, dot_sent = CASE kind WHEN 'deliver' THEN 1 ELSE dot_sent END "
    "WHERE claimed_by = %s"
)
"""Nobody knows whether the dead had sent a dot: the next attempt counts as one that may duplicate."""
_FREE: Final = "UPDATE entries SET claimed_by = NULL WHERE claimed_by = %s"
_LEAVE: Final = "DELETE FROM owners WHERE token = %s"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a store says that it lives, and after what silence it is dead; seconds."""

    beat: float = 5.0
    lease: float = 30.0

    @property
    def trusted(self) -> float:
        """Seconds after a beat in which our own claims are surely ours."""
        return self.lease - min(self.beat, self.lease / 4)


class News:
    """How far this process is with what administrators change, and whether it may take mail as it is."""

    def __init__(self, tell: Callable[[], None] | None = None) -> None:
        """`tell` is called from the pulse's thread; without it nobody here follows."""
        self._tell = tell
        self._seen = 0
        self._followed = 0
        self._missed = False
        self._unable = False

    @property
    def behind(self) -> bool:
        """True while something holds that was missed in an outage, or that could not be taken over here."""
        return self._unable or (self._missed and self._followed != self._seen)

    def followed(self, number: int, *, unable: bool) -> None:
        """Say that everything up to a number is taken over, or that it could not be."""
        self._followed, self._unable = number, unable

    def see(self, number: int) -> None:
        """Take note of the highest number there is."""
        self._seen = number
        # a database that was put back from a copy has lower ones
        if self._tell is not None and (self._unable or self._followed != number):
            self._tell()
        else:
            self._missed = False

    def missed(self) -> None:
        """Take note that the database was away."""
        self._missed = self._tell is not None


class Pulse:
    """Implements `Claimant` with a thread and a connection of its own."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        """Keep how to connect."""
        self._connect = connect
        self._pace = Pace()
        self._node = f"{socket.gethostname()}/{os.getpid()}"
        self.token = secrets.token_hex(12)
        self._wake: Callable[[], None] = _nobody
        self._closing = threading.Event()
        self._has_come = False
        self._beaten = 0.0
        self._beat_at = 0.0
        self._silent: dict[str, tuple[datetime, float]] = {}
        self._said: str | None = None
        self._news = News()
        self._thread = threading.Thread(target=self._run, name="spool-pulse", daemon=True)

    def begin(self, pace: Pace) -> None:
        """Begin to live; raises `psycopg.Error` or `SetupError`."""
        self._pace = pace
        connection = self._open()
        try:
            self._enter(connection)
        except BaseException:
            connection.close()
            raise
        self._thread = threading.Thread(target=self._run, args=(connection,), name="spool-pulse", daemon=True)
        self._thread.start()

    @property
    def fresh(self) -> bool:
        """False once others may have taken what was claimed here."""
        return time.monotonic() - self._beaten < self._pace.trusted

    @property
    def reachable(self) -> bool:
        """False when the database has not answered for more than two beats."""
        return time.monotonic() - self._beaten < 3 * self._pace.beat

    def came(self) -> None:
        """Tell others within a moment that there is work."""
        self._has_come = True

    def watch(self, wake: Callable[[], None]) -> None:
        """Have somebody called, from our thread, when others say that there is work."""
        self._wake = wake

    def follow(self, tell: Callable[[], None]) -> News:
        """Have somebody called, from our thread, when administrators changed something (`gazette`)."""
        self._news = News(tell)
        self._beat_at = 0.0
        return self._news

    def say(self, said: str) -> None:
        """Let others read this beside our name within a moment."""
        self._said = said
        self._beat_at = 0.0

    def close(self) -> None:
        """Die, leaving no claim if the database is there; blocks."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _open(self) -> psycopg.Connection[Any]:
        connection = self._connect()
        try:
            connection.autocommit = True
            for name in (DUE, NEWS):
                connection.execute(f"LISTEN {name}")
            self._news.see(_number(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def _run(self, connection: psycopg.Connection[Any] | None = None) -> None:
        while not self._closing.is_set():
            try:
                connection = connection or self._open()
                self._tick(connection)
            except Exception as error:  # noqa: BLE001 - the thread must outlive every bug: claims end with it
                self._lost(connection, error)
                connection = None
                self._closing.wait(self._pace.beat / 5)
        if connection is not None:
            self._leave(connection)

    def _lost(self, connection: psycopg.Connection[Any] | None, error: Exception) -> None:
        expected = isinstance(error, psycopg.Error | GatewayError | OSError)
        _LOG.warning(
            "the spool's database does not answer", error=type(error).__name__, exc_info=None if expected else error
        )
        self._silent.clear()  # while we were away we saw nobody's silence
        self._news.missed()
        if connection is not None:
            connection.close()

    def _tick(self, connection: psycopg.Connection[Any]) -> None:
        if time.monotonic() >= self._beat_at:
            self._beat(connection)
        if self._has_come:
            self._has_come = False
            connection.execute(f"NOTIFY {DUE}")
        for heard in connection.notifies(timeout=min(TICK, self._pace.beat)):
            if heard.channel == NEWS:
                self._beat_at = 0.0
            elif heard.pid != connection.info.backend_pid:
                self._wake()

    def _beat(self, connection: psycopg.Connection[Any]) -> None:
        self._news.see(_number(connection))
        began = time.monotonic()
        if connection.execute(_BEAT, (self._said, self.token)).rowcount:
            self._beaten = began
        else:
            _LOG.error("others took this process for dead; what it had not sent is theirs", node=self._node)
            self.token = secrets.token_hex(12)
            self._enter(connection)
        self._beat_at = began + self._pace.beat
        self._bury(connection)

    def _enter(self, connection: psycopg.Connection[Any]) -> None:
        began = time.monotonic()
        connection.execute(_ALIVE, (self.token, self._node))
        self._beaten = began

    def _bury(self, connection: psycopg.Connection[Any]) -> None:
        """Free what the dead had claimed."""
        freed = sum(
            connection.execute(_FREE_OF_THE_DEAD, row).rowcount for row in connection.execute(_ORPHANS).fetchall()
        )
        now = time.monotonic()
        others = connection.execute(_OTHERS, (self._pace.lease, self.token)).fetchall()
        self._silent = {
            token: (seen, since if since is not None and before == seen else now)
            for token, seen, _ in others
            for before, since in [self._silent.get(token, (None, None))]
        }
        for token, seen, expired in others:
            if expired and now - self._silent[token][1] >= self._pace.lease:
                with connection.transaction():  # a beat that comes first keeps it alive
                    if connection.execute(_BURY, (token, seen)).rowcount:
                        freed += connection.execute(_FREE_OF_THE_DEAD, (token,)).rowcount
                        _LOG.warning("another process is taken for dead", token=token, seen=seen.isoformat())
        if freed:
            self._has_come = True
            self._wake()

    def _leave(self, connection: psycopg.Connection[Any]) -> None:
        try:
            with connection, connection.transaction():
                connection.execute(_FREE, (self.token,))
                connection.execute(_LEAVE, (self.token,))
        except (psycopg.Error, ServiceError) as error:
            _LOG.warning("claims are left to their lease", error=type(error).__name__)


def _number(connection: psycopg.Connection[Any]) -> int:
    found = connection.execute(_NUMBER).fetchone()
    return found[0] if found is not None else 0


def _nobody() -> None:
    """Nobody wants to be woken."""
