"""A program that stores mail and acknowledges each on standard output, a line per id, the moment it may.

Its first argument is the spool's directory, then a name that begins all its ids, how many to store (0: until killed),
and how to break it on purpose: "sound", "no_fsync" or a value for SQLite's `synchronous`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.errors import ServiceError
from gateway.core.message import Message
from gateway.spool import database
from gateway.spool.bodies import SpoolBodies
from support.grounds import opened
from support.spooled import LARGE, entry, fill, octets, sent, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core.queue import Entry
    from gateway.spool.store import SqlSpool

SESSIONS = 4


def content(number: int) -> bytes:
    """Return the octets of the message of this number: every fifth is large, some have a piece in memory before."""
    return octets(LARGE if number % 5 == 0 else 3000, number)


def message(number: int, bodies: SpoolBodies) -> Message:
    """Return it as it would come from a session."""
    whole = content(number)
    received = fill(bodies.builder(), whole[100:] if number % 2 else whole)
    return Message.join([whole[:100], received]) if number % 2 else received


def store_next(name: str, numbers: Iterator[int], bodies: SpoolBodies) -> Entry | None:
    """Return the next entry, None after the last."""
    number = next(numbers, None)
    return None if number is None else entry(message(number, bodies), entry_id=f"{name}-{number:06}-end")


async def session(spool: SqlSpool, name: str, numbers: Iterator[int], bodies: SpoolBodies) -> None:
    """Store one after the other; every seventh is delivered and gone."""
    while (each := store_next(name, numbers, bodies)) is not None:
        try:
            await spool.commit([each])
            os.write(1, f"kept {each.entry_id}\n".encode())
            if int(each.entry_id.split("-")[1]) % 7 == 0:
                await spool.settle(sent(each))
                os.write(1, f"gone {each.entry_id}\n".encode())
        except ServiceError:  # was not acknowledged: whoever sent it has it still
            os.write(1, f"refused {each.entry_id}\n".encode())


async def main(directory: Path, name: str, count: int) -> None:
    """Store with several sessions at once."""
    spool, bodies = opened(directory), SpoolBodies(settings(directory))
    numbers = iter(range(1, count + 1)) if count else itertools.count(1)
    await asyncio.gather(*(session(spool, name, numbers, bodies) for _ in range(SESSIONS)))
    await spool.close()


if __name__ == "__main__":
    match sys.argv[4]:
        case "sound":
            pass
        case "no_fsync":
            os.fsync = lambda descriptor: None
        case level:
            database.PRAGMAS = tuple(each.replace("= FULL", f"= {level}") for each in database.PRAGMAS)
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
