"""Attempts that a clock which was ahead had planned too far away: due at once, when the clock is right again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select, update

from gateway.spool.schema import ENTRIES, FREE_TO_DELIVER, FREE_TO_GO_AGAIN

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.spool.engine import Engine

_PART: Final = 500
"""Entries of one transaction: others wait as long as it takes."""
_TOO_FAR: Final = tuple(
    select(ENTRIES.c.number)
    .where(free, ENTRIES.c.next_attempt_at > bindparam("latest"))
    .order_by(ENTRIES.c.next_attempt_at.desc(), ENTRIES.c.entry_id.desc())
    .limit(_PART)
    .with_for_update(skip_locked=True)
    for free in (FREE_TO_DELIVER, FREE_TO_GO_AGAIN)
)
_NEAR: Final = update(ENTRIES).where(ENTRIES.c.number == bindparam("entry")).values(next_attempt_at=bindparam("at"))


def pull_near(database: Engine, now: int, latest: int) -> int:
    """Make due what is planned for later than `latest`; return how many these were. Blocks; raises `ServiceError`.

    What is frozen stays so, and whoever has claimed something will plan it anew.
    """
    moved = 0
    for chosen in _TOO_FAR:

        def work(connection: Connection) -> int:
            found = connection.execute(chosen, {"latest": latest}).scalars().all()  # noqa: B023 - done within the turn
            if found:
                connection.execute(_NEAR, [{"entry": each, "at": now} for each in found])
            return len(found)

        part = _PART
        while part == _PART:
            with database.turn():
                part = database.transact(work)
            moved += part
    return moved
