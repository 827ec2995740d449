"""A program that claims one entry of a spool, says how many it got, and is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from gateway.spool.store import SqliteSpool
from support.spooled import NOW, settings


async def main(directory: Path) -> None:
    """Claim and die."""
    spool = SqliteSpool(settings(directory))
    os.write(1, b"%d\n" % len(await spool.due(NOW, 1)))
    os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main(Path(sys.argv[1])))
