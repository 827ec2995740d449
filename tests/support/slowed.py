"""Runs the gateway's command so that each message keeps it busy for some seconds more: `slowed.py SECONDS COMMAND...`.

For the test of the test that finds a gateway that became slow.
"""

from __future__ import annotations

import runpy
import sys
import time
from typing import TYPE_CHECKING

from gateway.delivery.handover import Handover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.queue import Consignment
    from gateway.core.reply import Reply


def slow_down(seconds: float) -> None:
    """Let every hand-over begin with so much work for nothing."""
    whole = Handover.hand_over

    async def slowed(self: Handover, consignments: Sequence[Consignment]) -> Reply:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        return await whole(self, consignments)

    Handover.hand_over = slowed  # type: ignore[method-assign]


if __name__ == "__main__":
    slow_down(float(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
