"""Waiting inside a loop for what sets no event of ours: a double, a task, another process, a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(ready: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return as soon as `ready` says so; raises `TimeoutError` after so many seconds."""
    async with asyncio.timeout(seconds):
        while not ready():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)
