"""What the supervisor makes of workers that end, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from gateway.app.supervisor import Supervisor

if TYPE_CHECKING:
    from pathlib import Path

STARTING = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
"""A worker that never gets as far as to hear signals."""
FAILING = "import pathlib, signal, sys, time; signal.signal(15, lambda *_: sys.exit(3)); " + STARTING
"""One that hears them, and ends badly."""


@pytest.mark.parametrize(("worker", "code"), [(STARTING, 0), (FAILING, 3)], ids=["starting", "failing"])
async def test_a_stop_during_the_start_is_a_clean_one(tmp_path: Path, worker: str, code: int) -> None:
    """Our own signal ends a worker that has taken no mail yet: systemd must not call that a failure."""
    begun = tmp_path / "begun"
    supervisor = Supervisor((sys.executable, "-c", worker, str(begun)), count=2, spool=tmp_path)
    running = asyncio.create_task(supervisor.run())
    while not begun.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == code
