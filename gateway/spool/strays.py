"""Claims that are ours and that nobody here knows of: a database that failed just then took away who had asked.

Such an entry would lie until this process ends. A claim may also be on its way to whoever asked for it, so only what
was found twice is freed; called about once a minute, and not while the writer works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import bindparam, case, select, update

from gateway.core.queue import Kind
from gateway.spool.schema import ENTRIES

if TYPE_CHECKING:
    from gateway.spool.engine import Claimant, Engine
    from gateway.spool.holding import Held

_LOG: Final = structlog.get_logger("gateway.spool")
_MINE: Final = ENTRIES.c.claimed_by == bindparam("owner")
_FREE: Final = (
    update(ENTRIES)
    .where(_MINE, ENTRIES.c.entry_id == bindparam("entry"))
    .values(claimed_by=None, dot_sent=case((ENTRIES.c.kind == Kind.DELIVER.value, 1), else_=ENTRIES.c.dot_sent))
)
"""It may have been claimed around a dot that is out: the next attempt counts as one that may duplicate."""


class Strays:
    """Looks for them in one open store."""

    def __init__(self, database: Engine, owner: Claimant, held: Held) -> None:
        """Look for claims of `owner` that `held` does not know."""
        self._database, self._owner, self._held = database, owner, held
        self._suspects: frozenset[str] = frozenset()

    def free(self) -> None:
        """Free what nobody knew of the last time either; blocks, raises `ServiceError`."""
        owner = self._owner.token
        with self._database.reading() as connection:
            mine = connection.execute(select(ENTRIES.c.entry_id).where(_MINE), {"owner": owner}).scalars().all()
        unknown = frozenset(each for each in mine if not self._held.knows(each))
        strays, self._suspects = unknown & self._suspects, unknown
        if strays:
            _LOG.warning("claims that nobody works on are freed", entries=sorted(strays))
            freed = [{"owner": owner, "entry": each} for each in strays]
            with self._database.turn():
                self._database.transact(lambda connection: connection.execute(_FREE, freed))
