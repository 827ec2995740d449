"""The tables of signatures and contacts: what was seen is asked by digest, added in batches, and forgotten in time.

The first message of a signature is the one that counts: a later one must never take its place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, UniqueConstraint, delete, func, select

from gateway.core.errors import ServiceError, SetupError
from gateway.spool.database import Database, Schema
from gateway.spool.marks import Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from gateway.spool.place import Place

MOST_CERTIFICATES: Final = 64
"""Of one author that are looked at, the latest ones."""
PRUNING: Final = 5_000
"""Rows forgotten in one transaction."""
SPARE_PAGES: Final = 1_024
SHRINKING: Final = 2_048

_TABLES: Final = MetaData()
_SIGNATURES: Final = Table(
    "signatures",
    _TABLES,
    Column("number", Integer, primary_key=True),
    Column("signature", LargeBinary, nullable=False, unique=True),
    Column("whole", LargeBinary, nullable=False),
    Column("bare", LargeBinary, nullable=False),
    Column("seen", Integer, nullable=False, index=True),
    sqlite_autoincrement=True,  # `after` goes by numbers: none may come twice
)
_CONTACTS: Final = Table(
    "contacts",
    _TABLES,
    Column("number", Integer, primary_key=True),
    Column("author", LargeBinary, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("seen", Integer, nullable=False, index=True),
    UniqueConstraint("author", "certificate"),
)
_ADD_SIGNATURES: Final = """\
INSERT INTO signatures (signature, whole, bare, seen)
SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), value ->> 3 FROM json_each(?) WHERE true
ON CONFLICT DO NOTHING"""
"""One step for a whole batch: the driver hands Python's lock to the event loop and back for each step."""
_ADD_CONTACTS: Final = """\
INSERT INTO contacts (author, certificate, seen)
SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2 FROM json_each(?) WHERE true
ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen)"""
_SIGNATURE: Final = "SELECT whole, bare FROM signatures WHERE signature = ?"
_AFTER: Final = "SELECT number, signature FROM signatures WHERE number > ? ORDER BY number LIMIT ?"
_NUMBER: Final = "SELECT count(*) FROM signatures"
_CERTIFICATES: Final = (
    f"SELECT certificate, seen FROM contacts WHERE author = ? ORDER BY seen DESC LIMIT {MOST_CERTIFICATES}"  # noqa: S608 - a constant
)


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know of the tables."""

    signatures: tuple[bytes, ...]
    author: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the tables say: the first message of each signature, None for new ones, and the author's certificates."""

    firsts: tuple[Mark | None, ...]
    certificates: dict[bytes, int]
    """When each was last seen: microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class News:
    """What is to be written: signatures with their first message, and certificates of authors; `seen` as above."""

    signatures: tuple[bytes, ...]
    mark: Mark
    author: bytes | None
    certificates: tuple[bytes, ...]
    seen: int


def open_seen(place: Place) -> Database:
    """Open the tables beside a spool, making them if there are none; raises `SetupError`."""
    ours = replace(place, database=place.directory / "sightings.sqlite3", lock=place.directory / "sightings.lock")
    try:
        return Database(ours, _SCHEMA)
    except (OSError, ServiceError) as error:
        raise SetupError(f"{ours.database}: signatures seen cannot be opened: {error}") from error


def ask(cursor: Any, question: Question) -> Answer:
    """Answer a question with a cursor of `Database.cursor`; some 10 microseconds where the pages are in memory."""
    # to the end: a statement with a row left would keep an old view, and the log from being emptied
    rows = [cursor.execute(_SIGNATURE, (each,)).fetchall() for each in question.signatures]
    firsts = tuple(Mark(*found[0]) if found else None for found in rows)
    if question.author is None:
        return Answer(firsts, {})
    return Answer(firsts, dict(cursor.execute(_CERTIFICATES, (question.author,)).fetchall()))


def after(cursor: Any, number: int, limit: int) -> list[tuple[int, bytes]]:
    """Return numbers and signatures behind a number, in the order in which they were written."""
    found: list[tuple[int, bytes]] = cursor.execute(_AFTER, (number, limit)).fetchall()
    return found


def count(cursor: Any) -> int:
    """Return how many signatures there are."""
    found: int = cursor.execute(_NUMBER).fetchall()[0][0]
    return found


def write(connection: Connection, some: Sequence[News]) -> None:
    """Add what is new; what another process wrote first stands."""
    signatures = [
        (each.hex(), news.mark.whole.hex(), news.mark.bare.hex(), news.seen)
        for news in some
        for each in news.signatures
    ]
    contacts = [
        (news.author.hex(), each.hex(), news.seen)
        for news in some
        if news.author is not None
        for each in news.certificates
    ]
    if signatures:
        connection.exec_driver_sql(_ADD_SIGNATURES, (json.dumps(signatures),))
    if contacts:
        connection.exec_driver_sql(_ADD_CONTACTS, (json.dumps(contacts),))


def forget(connection: Connection, *, before: int, most: int) -> bool:
    """Forget a part of what is older than a time, or more than so many rows; returns whether there may be more."""
    more = False
    for table in (_SIGNATURES, _CONTACTS):
        last = connection.execute(select(func.max(table.c.number))).scalar() or 0
        old = select(table.c.number).where(table.c.seen < before).order_by(table.c.seen).limit(PRUNING)
        many = select(table.c.number).where(table.c.number <= last - most).limit(PRUNING)
        gone = [connection.execute(delete(table).where(table.c.number.in_(each))).rowcount for each in (old, many)]
        more = more or PRUNING in gone
    return more


def _make(connection: Connection) -> None:
    _TABLES.create_all(connection, checkfirst=False)


def _never(_: Connection, version: int) -> None:
    raise SetupError(f"signatures seen of version {version} were never written")


_SCHEMA: Final = Schema(1, _make, _never)
