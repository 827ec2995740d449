"""A program that claims entries of a spool and finishes them slowly, saying each step, until there are none or it dies.

Its argument is the spool's directory. It says "ready" and begins when a line comes in: of two that begin together none
has finished everything before the other is there. The lines are "claimed ID", then " again" if a dot may have been sent
before, and "gone ID".
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from support.grounds import opened
from support.spooled import NOW, sent


async def main(directory: Path) -> None:
    """Claim, wait, finish."""
    spool = opened(directory)
    os.write(1, b"ready\n")
    await asyncio.to_thread(sys.stdin.readline)
    while await spool.count():
        found = await spool.due(NOW, 5)
        for each in found:
            os.write(1, f"claimed {each.entry_id}{' again' * each.dot_sent}\n".encode())
        await asyncio.sleep(0.02)
        for each in found:
            await spool.settle(sent(each))
            os.write(1, f"gone {each.entry_id}\n".encode())
    await spool.close()


asyncio.run(main(Path(sys.argv[1])))
