"""A private PostgreSQL of Debian's: on a UNIX socket only, as a user without rights, with fsync on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS: Final = Path("/usr/lib/postgresql/15/bin")
START: Final = 180
"""Seconds, on a machine that is busy with other things."""


@dataclass
class Postgres:
    """A server that runs; each test has a database of its own."""

    directory: Path
    made: int = 0

    def conninfo(self, database: str) -> str:
        """Return the connection string of a database."""
        return f"host={self.directory} user=postgres dbname={database}"

    def create(self, *, options: str = "") -> str:
        """Make an empty database and return its connection string."""
        self.made += 1
        name = f"test{os.getpid()}x{self.made}"
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return self.conninfo(name)

    def drop(self, conninfo: str) -> None:
        """Remove a database, and whatever sessions the killed have left in it.

        It has a thousand files. Where they are left, the server syncs those of all tests before it stops, which takes
        longer than its patience where the disk is slow.
        """
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {conninfo.rpartition('=')[2]} WITH (FORCE)")

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs to its end."""
        line = [*_as_nobody(), str(PROGRAMS / program), "-D", str(self.directory / "data"), *arguments]
        done = subprocess.run(line, capture_output=True, text=True, timeout=2 * START, check=False, cwd="/")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.said()}"

    def start(self, *settings: str) -> None:
        """Start the server."""
        given = " ".join(f"-c {each}" for each in settings)
        options = f"-k {self.directory} -c listen_addresses='' -c max_connections=60 {given}"
        self.run("pg_ctl", "-w", "-t", str(START), "-l", str(self.directory / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; "immediate" is as a crash."""
        self.run("pg_ctl", "-w", "-t", str(START), "-m", mode, "stop")

    def crash(self) -> None:
        """Let the server crash and start it again."""
        self.run("pg_ctl", "-w", "-t", str(START), "-l", str(self.directory / "log"), "-m", "immediate", "restart")

    def said(self) -> str:
        """Return the server's log."""
        log = self.directory / "log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _as_nobody() -> list[str]:
    """Return what makes a program run as somebody else where we are root: the server refuses to be root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server of our own."""
    if not (PROGRAMS / "postgres").exists():
        pytest.fail("PostgreSQL 15 not found; run: apt-get install -y postgresql", pytrace=False)
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        server = Postgres(directory)
        server.run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def asked(conninfo: str, question: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return what SQL says."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        cursor = connection.execute(question, values or None)
        return cursor.fetchall() if cursor.description else []


def wait_until(conninfo: str, question: str, seconds: float = 10.0) -> None:
    """Wait until SQL says true."""
    until = time.monotonic() + seconds
    while asked(conninfo, question) != [(True,)]:
        assert time.monotonic() < until, question
        time.sleep(0.02)
