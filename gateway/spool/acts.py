"""What administrators did: rows that only grow, each with the SHA-256 of the one before, stored with the deed.

A chain proves that no row between two known ones was changed, removed or put in. It cannot see rows that are missing at
its end: note the digest of the last row elsewhere (`gateway queue audit` shows it), and ask for it later.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, text, update

from gateway.spool import shared
from gateway.spool.schema import ACTS, moment, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row, RowMapping

_PAGE: Final = 1000
_MOST_BROKEN: Final = 100
_CHAINED: Final = (
    "number",
    "at",
    "who",
    "what",
    "why",
    "entry_id",
    "kind",
    "trace_id",
    "reverse_path",
    "recipients",
    "length",
    "detail",
    "previous",
)
"""What a digest is made of, in this order, for ever."""
_ONE_AFTER_ANOTHER: Final = text("LOCK TABLE acts IN SHARE ROW EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, when and why; stays on record."""

    who: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Act:
    """What an administrator did."""

    by: By
    what: str
    entry_id: str
    """"" for an act on many entries at once; `detail` says which."""
    kind: str
    """What the entry was before."""
    trace_id: str
    reverse_path: str
    recipients: tuple[str, ...]
    octets: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What going through the whole chain came to."""

    acts: int
    digest: str
    """Of the last row; "" without rows."""
    broken: tuple[int, ...]
    """Numbers of rows that do not hold the digest of the row before; the first 100."""
    contains: bool
    """The digest that was asked for is that of a row."""


def hold(connection: Connection) -> None:
    """Let nobody else put anything on record before this transaction ends; on SQLite its turn does that."""
    if shared.is_shared(connection):
        connection.execute(_ONE_AFTER_ANOTHER)


def note(connection: Connection, act: Act) -> None:
    """Put an act on record, in the transaction of the act."""
    hold(connection)
    last = connection.execute(select(ACTS).order_by(ACTS.c.number.desc()).limit(1)).mappings().one_or_none()
    connection.execute(
        insert(ACTS).values(
            at=stamp(act.by.at),
            who=act.by.who,
            what=act.what,
            why=act.by.why,
            entry_id=act.entry_id,
            kind=act.kind,
            trace_id=act.trace_id,
            reverse_path=act.reverse_path,
            recipients=json.dumps(act.recipients, ensure_ascii=False),
            length=act.octets,
            detail=act.detail or None,
            previous=None if last is None else digest_of(last),
        )
    )


def read(connection: Connection, *, entry_id: str | None = None, last: int | None = None) -> tuple[Act, ...]:
    """Return what was done to one entry or to all, in its order; of `last` acts only where a number is given."""
    chosen = select(ACTS).order_by(ACTS.c.number.desc()).limit(last)
    if entry_id is not None:
        chosen = chosen.where(ACTS.c.entry_id == entry_id)
    return tuple(_act(row) for row in reversed(connection.execute(chosen).all()))


def last_detail(connection: Connection, what: str, begin: str) -> str | None:
    """Return the detail of the last act of a kind whose detail begins so; None without one."""
    chosen = select(ACTS.c.detail).where(ACTS.c.what == what, ACTS.c.detail.startswith(begin, autoescape=True))
    return connection.execute(chosen.order_by(ACTS.c.number.desc()).limit(1)).scalar()


def prove(connection: Connection, digest: str = "") -> Proof:
    """Go through the chain from its first row to its last; asks for a digest on the way."""
    before: str | None = None
    count, contains = 0, not digest
    broken: list[int] = []
    for row in _rows(connection):
        count += 1
        if row["previous"] != before and len(broken) < _MOST_BROKEN:
            broken.append(row["number"])
        before = digest_of(row)
        contains = contains or before == digest
    return Proof(count, before or "", tuple(broken), contains)


def chain_all(connection: Connection) -> None:
    """Make a chain of rows that were none; only where rows may be changed."""
    before: str | None = None
    for row in tuple(_rows(connection)):
        connection.execute(update(ACTS).where(ACTS.c.number == row["number"]).values(previous=before))
        before = digest_of({**row, "previous": before})


def digest_of(row: Mapping[Any, Any]) -> str:
    """Return the digest of a row, its own link included."""
    values = [row[name] for name in _CHAINED]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _rows(connection: Connection) -> Iterator[RowMapping]:
    after = -1
    while True:
        chosen = select(ACTS).where(ACTS.c.number > after).order_by(ACTS.c.number).limit(_PAGE)
        page = connection.execute(chosen).mappings().all()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]["number"]


def _act(row: Row[Any]) -> Act:
    return Act(
        By(row.who, row.why, moment(row.at)),
        row.what,
        row.entry_id,
        row.kind,
        row.trace_id,
        row.reverse_path,
        tuple(json.loads(row.recipients)),
        row.length,
        row.detail or "",
    )
