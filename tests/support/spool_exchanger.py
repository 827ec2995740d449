"""A program that keeps mail and exchanges it for two entries each, and says on standard output what it has kept.

Its arguments are the spool's directory and a name that begins all its ids; it works until it is killed. What others
left is taken on first, as a gateway does after a crash.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from dataclasses import replace
from pathlib import Path

from gateway.core.queue import Kind
from gateway.spool.store import SqliteSpool
from support.spooled import LARGE, NOW, entry, octets, settings, with_consignment


async def main(directory: Path, name: str) -> None:
    """Keep, take on, exchange, without end."""
    spool = SqliteSpool(settings(directory))
    for number in itertools.count():
        for old in await spool.due_again(NOW, 9):
            deliverable = with_consignment(old, kind=Kind.DELIVER)
            await spool.exchange(old.entry_id, [replace(deliverable, entry_id=f"{old.entry_id}-{n}") for n in "ab"])
            os.write(1, f"gone {old.entry_id}\n".encode())
        body = octets(LARGE if number % 3 == 0 else 500, number)
        await spool.commit([entry(body, kind=Kind.RELEASED, entry_id=f"{name}x{number}")])
        os.write(1, f"kept {name}x{number}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
