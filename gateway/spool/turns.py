"""Whose mail may be claimed while some next hops are full: next hops and sender domains, without looking at their mail.

Claiming by age alone would go through all that waits for a hop that hangs before it came to what lies behind. Here
each turn (the mail of one sender domain for one hop) costs one step in the index `entries_turns`, however much mail it
has; a hop that is full costs one step, however many turns it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, text

from gateway.spool.schema import FREE_IN_TURN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from gateway.core.queue import Full

Turn = tuple[str, str]
"""Name of a next hop, and a `Consignment.turn_of`."""

_NO_HOP: Final = ""
_FREE: Final = f"FROM entries WHERE {FREE_IN_TURN.text}"
_WAITING: Final = text(
    f"""
    WITH RECURSIVE
    hops (hop) AS (
        SELECT (SELECT hop {_FREE} ORDER BY hop LIMIT 1)
        UNION ALL
        SELECT (SELECT hop {_FREE} AND hop > hops.hop ORDER BY hop LIMIT 1) FROM hops WHERE hops.hop IS NOT NULL
    ),
    turns (hop, turn_of) AS (
        SELECT hops.hop, (SELECT turn_of {_FREE} AND hop = hops.hop ORDER BY turn_of LIMIT 1)
        FROM hops WHERE hops.hop IS NOT NULL AND hops.hop NOT IN :full
        UNION ALL
        SELECT turns.hop, (
            SELECT turn_of {_FREE} AND hop = turns.hop AND turn_of > turns.turn_of ORDER BY turn_of LIMIT 1
        )
        FROM turns WHERE turns.turn_of IS NOT NULL
    )
    SELECT hop, turn_of, (
        SELECT next_attempt_at {_FREE} AND hop = turns.hop AND turn_of = turns.turn_of
        ORDER BY next_attempt_at, entry_id LIMIT 1
    ) AS due
    FROM turns WHERE turn_of IS NOT NULL ORDER BY due, hop, turn_of
    """  # noqa: S608 - our own words
).bindparams(bindparam("full", expanding=True))
"""Neither joins nor rows that are compared: for those each database would read more than one row for each step."""


def waiting(connection: Connection, full: Full) -> Sequence[tuple[Turn, int]]:
    """Return all turns for which there is room, each with the stamp at which its first entry is due, in that order."""
    rows = connection.execute(_WAITING, {"full": sorted(full.hops) or [_NO_HOP]})
    return [((row[0], row[1]), row[2]) for row in rows if (row[0], row[1]) not in full.turns]
