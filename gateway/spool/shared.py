"""What the spool needs beside its tables where several machines share one PostgreSQL: chunks, owners, commits.

Whoever changes a table raises `schema.VERSION` and writes the way for both databases (`migrate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as insert_or_leave

from gateway.core.message import Message
from gateway.spool.bodies import FileBody
from gateway.spool.schema import ENTRIES, IN_ROW, TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Delete

    from gateway.spool.schema import Stored, Values

SHARED: Final = MetaData()
CHUNKS: Final = Table(
    "chunks",
    SHARED,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
)
"""Large bodies, in pieces of `IN_ROW`, so that any machine can deliver what another took."""
OWNERS: Final = Table(
    "owners",
    SHARED,
    Column("token", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("said", Text),  # null: nothing; JSON, what the process follows (`gazette`)
)
"""Who may hold claims, and when each last said that it lives, by the database's clock."""
GAZETTE: Final = Table(
    "gazette",
    SHARED,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("node", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
)
"""What administrators changed for all machines (`gazette`)."""
COMMITS: Final = Table(
    "commits",
    SHARED,
    Column("mark", Text, primary_key=True),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)
"""The last transaction of each writer: a connection that ends during COMMIT leaves its outcome to be read here."""
VERSIONS: Final = Table("spool_version", SHARED, Column("version", Integer, nullable=False))
DUE: Final = "gateway_due"
"""Name under which processes tell each other that there is work."""
NEWS: Final = "gateway_news"
"""Name under which they tell each other that an administrator changed something."""
_REFUSE: Final = (
    "CREATE FUNCTION acts_only_grow() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'what was done stays on record'; END $$"
)
_ONLY_GROWS: Final = (
    "CREATE TRIGGER acts_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON acts "
    "FOR EACH STATEMENT EXECUTE FUNCTION acts_only_grow()"
)
_GAZETTE_ONLY_GROWS: Final = (
    "CREATE TRIGGER gazette_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON gazette "
    "FOR EACH STATEMENT EXECUTE FUNCTION acts_only_grow()"
)
_NUMBERS: Final = text("SELECT nextval('entries_number_seq') FROM generate_series(1, :count)")
_CLAIMABLE: Final = text("SELECT token FROM owners WHERE token = :owner FOR KEY SHARE")


def make(connection: Connection) -> None:
    """Make all tables in an empty database."""
    TABLES.create_all(connection, checkfirst=False)
    SHARED.create_all(connection, checkfirst=False)
    for statement in (_REFUSE, _ONLY_GROWS, _GAZETTE_ONLY_GROWS):
        connection.exec_driver_sql(statement)
    for table in ("bodies", "chunks"):  # mail does not get smaller by another compression, only slower
        connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN octets SET STORAGE EXTERNAL")


def make_gazette(connection: Connection) -> None:
    """Make the table in a database that has all others."""
    GAZETTE.create(connection)
    connection.exec_driver_sql(_GAZETTE_ONLY_GROWS)


def is_shared(connection: Connection) -> bool:
    """Return whether this database is one that several machines share."""
    return connection.dialect.name == "postgresql"


def take_numbers(connection: Connection, count: int) -> Sequence[int]:
    """Return numbers that nobody else gets."""
    return connection.execute(_NUMBERS, {"count": count}).scalars().all()


def insert_entries(connection: Connection, rows: Sequence[Values]) -> set[int]:
    """Insert rows of entries whose ids are new, and return their numbers.

    An id that another transaction is about to commit is waited for: it is there, or it never will be.
    """
    statement = insert_or_leave(ENTRIES).on_conflict_do_nothing(index_elements=["entry_id"]).returning(ENTRIES.c.number)
    return set(connection.execute(statement, rows).scalars())


def insert_chunks(connection: Connection, number: int, stored: Stored) -> None:
    """Insert a large body, holding one chunk of it in memory; raises `OSError` if it cannot be read."""
    if stored.large is not None:
        for position, start in enumerate(range(0, len(stored.large), IN_ROW)):
            octets = stored.large.slice(start, min(start + IN_ROW, len(stored.large))).octets()
            connection.execute(insert(CHUNKS), {"number": number, "position": position, "octets": octets})


def delete_chunks(numbers: object) -> Delete:
    """Return what removes the large body of the entry with this number."""
    return delete(CHUNKS).where(CHUNKS.c.number == numbers)


def may_claim(connection: Connection, owner: str) -> bool:
    """Return whether an owner is known, and keep others from taking it for dead until this transaction ends."""
    return not is_shared(connection) or connection.execute(_CLAIMABLE, {"owner": owner}).first() is not None


def is_known(connection: Connection, owner: str) -> bool:
    """Return whether the owner of a claim is taken to live."""
    return connection.execute(select(OWNERS.c.token).where(OWNERS.c.token == owner)).first() is not None


def tell(connection: Connection) -> None:
    """Wake those who share the database as soon as this transaction is committed."""
    if is_shared(connection):
        connection.execute(select(func.pg_notify(DUE, "")))


def read_chunks(connection: Connection, number: int, length: int, directory: str) -> Message:
    """Return a large body, copied into an unnamed file in a directory.

    Raises `StorageFullError` or `ServiceError` where the file cannot be written, `ValueError` if octets are missing.
    """
    body = FileBody.unnamed(directory)
    for position in range((length + IN_ROW - 1) // IN_ROW):
        chunk = select(CHUNKS.c.octets).where(CHUNKS.c.number == number, CHUNKS.c.position == position)
        octets = connection.execute(chunk).scalar()
        if octets is None:
            break
        body.append(bytes(octets))
    if len(body) != length:
        raise ValueError("chunks of a body are missing")
    return Message.from_source(body)
