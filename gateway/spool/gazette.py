"""What administrators change on one machine and holds on all: numbered rows that only grow (decision 31).

The rows are the truth; what each machine has in its files is its copy. Nobody here knows what a row means.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import case, func, insert, literal, select, text

from gateway.core.errors import GatewayError, ServiceError
from gateway.spool.shared import GAZETTE, NEWS, OWNERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from gateway.spool.engine import Engine

MOST_CHARACTERS: Final = 64 * 1024 * 1024
"""Of one body."""
_ONE_AFTER_ANOTHER: Final = text("LOCK TABLE gazette IN SHARE ROW EXCLUSIVE MODE")
"""Whoever reads number 7 has all before it: they are given one after another, and none is left out."""


class OvertakenError(GatewayError):
    """What holds is not what a command began from: somebody else was first."""


@dataclass(frozen=True, slots=True)
class Decree:
    """One act of an administrator."""

    kind: str
    """"key", "trust", "policy"; a later version may know more, which this one passes over."""
    subject: str
    """What it is about: a key's label, a certificate's fingerprint, the digest of policies."""
    who: str
    body: Mapping[str, Any] = field(default_factory=dict)
    """JSON; left out of policies unless asked for."""
    number: int = 0
    """1 and up; 0 before it is published."""
    node: str = ""
    """Host on which it was given."""
    at: str = ""
    """When it was published by the database's clock, ISO 8601."""


Past = tuple["Decree", ...]
"""All decrees in their order."""


@dataclass(frozen=True, slots=True)
class Follower:
    """What one process that shares the database says of itself."""

    name: str
    """HOST/PID."""
    said: Mapping[str, Any]
    """Empty for one of an older version."""


class Gazette:
    """The rows in one database; every method blocks, and raises `ServiceError`."""

    def __init__(self, database: Engine) -> None:
        """Read and write in this database."""
        self._database = database

    def past(self) -> Past:
        """Return all decrees, without the bodies of policies."""
        with self._database.reading() as view:
            return _past(view)

    def number(self) -> int:
        """Return the highest number, 0 before the first."""
        with self._database.reading() as view:
            return int(view.execute(select(func.coalesce(func.max(GAZETTE.c.number), 0))).scalar_one())

    def whole(self, number: int) -> Decree | None:
        """Return one decree with its body."""
        with self._database.reading() as view:
            rows = view.execute(select(GAZETTE).where(GAZETTE.c.number == number)).all()
        return _decree(rows[0]) if rows else None

    def publish(self, choose: Callable[[Past], Sequence[Decree]]) -> Past:
        """Put in what `choose` makes of all decrees so far, and return them with the new ones.

        Nobody publishes between its look and its choice; it may raise `OvertakenError`, and be asked more than once.
        Raises `UncertainCommitError` where nobody knows whether it was published.
        """

        def work(connection: Connection) -> Past:
            connection.execute(_ONE_AFTER_ANOTHER)
            past = _past(connection)
            number = max((each.number for each in past), default=0)
            for each in choose(past):
                number += 1
                _insert(connection, each, number)
            connection.execute(select(func.pg_notify(NEWS, str(number))))
            return _past(connection)

        with self._database.turn():
            return self._database.transact(work)

    def followers(self) -> tuple[Follower, ...]:
        """Return the processes that live, in the order of their names."""
        with self._database.reading() as view:
            rows = view.execute(select(OWNERS.c.node, OWNERS.c.said).order_by(OWNERS.c.node)).all()
        return tuple(Follower(row.node, _object(row.said)) for row in rows)


def _insert(connection: Connection, decree: Decree, number: int) -> None:
    body = json.dumps(decree.body, ensure_ascii=False)
    if len(body) > MOST_CHARACTERS:
        raise ServiceError(f"larger than {MOST_CHARACTERS} characters: nothing was published")
    row = {"number": number, "node": socket.gethostname(), "who": decree.who, "kind": decree.kind}
    connection.execute(insert(GAZETTE), {**row, "subject": decree.subject, "body": body})


def _past(connection: Connection) -> Past:
    body = case((GAZETTE.c.kind == "policy", literal("{}")), else_=GAZETTE.c.body).label("body")
    columns = (each for each in GAZETTE.c if each.name != "body")
    rows = connection.execute(select(*columns, body).order_by(GAZETTE.c.number))
    return tuple(_decree(row) for row in rows)


def _decree(row: Any) -> Decree:
    at = row.at.isoformat(timespec="seconds")
    return Decree(row.kind, row.subject, row.who, _object(row.body), row.number, row.node, at)


def _object(said: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(said) if said else {}
    except ValueError:  # nothing of ours: whoever needs something in it will say that it is missing
        return {}
    return found if isinstance(found, dict) else {}
