"""A program that fills the small disk a spool lies on, in every way; says "done" if nothing was lost."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.errors import StorageFullError
from gateway.core.message import Message
from gateway.spool.bodies import SpoolBodies
from gateway.spool.store import SqliteSpool
from support.spooled import NOW, entry, fill, octets, plain, sent, settings

if TYPE_CHECKING:
    from gateway.core.queue import Entry


async def until_full(spool: SqliteSpool, length: int) -> list[Entry]:
    """Commit bodies of a length until there is no room; return those that were accepted."""
    accepted: list[Entry] = []
    for seed in itertools.count():
        each = entry(octets(length, seed))
        try:
            await spool.commit([each])
        except StorageFullError:
            return accepted
        accepted.append(each)
    raise AssertionError


def build_until_full(bodies: SpoolBodies) -> None:
    """Write one body until there is no room."""
    builder = bodies.builder()
    try:
        while True:
            builder.write(octets(65536))
    except StorageFullError:
        return


async def main(directory: Path) -> None:
    """Fill, look, make room, go on."""
    spool = SqliteSpool(settings(directory, min_free=65536))
    bodies = SpoolBodies(settings(directory))
    build_until_full(bodies)
    assert not spool.below_watermark  # an unfinished body leaves nothing
    in_files = await until_full(spool, 3_000_000)
    in_rows = await until_full(spool, 30_000)
    in_rows += await until_full(spool, 100)
    assert in_files
    assert in_rows
    assert {path.name for path in (directory / "bodies").iterdir()} == {each.entry_id for each in in_files}
    while not spool.below_watermark:  # noqa: ASYNC110 - it is asked about once a second
        await asyncio.sleep(0.1)
    found = {each.entry_id: plain(each) for each in await spool.entries(in_rows[0].consignment.kind, 9999)}
    assert found == {each.entry_id: plain(each) for each in (*in_files, *in_rows)}
    build_until_full(bodies)
    for each in await spool.due(NOW, 5):  # what is here can be finished though the disk is full
        await spool.settle(sent(each), [entry(b"notice")])
    received = fill(bodies.builder(), octets(300_000))
    await spool.commit([entry(Message.join([b"Received: x\r\n", received])), entry(b"fits now")])
    await spool.close()
    again = SqliteSpool(settings(directory))
    assert len(await again.due(NOW, 9999)) == len(in_files) + len(in_rows) + 2
    await again.close()
    sys.stdout.write("done\n")


asyncio.run(main(Path(sys.argv[1])))
