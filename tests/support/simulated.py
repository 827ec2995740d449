"""Simulated time: an event loop that never sleeps."""

from __future__ import annotations

import asyncio
from typing import Any, Final


class SimulatedLoop(asyncio.BaseEventLoop):
    """An event loop whose clock jumps to the next timer as soon as nothing is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 0.0
        self._selector = self
        self.set_exception_handler(lambda _loop, _context: None)  # tasks that die with their process

    def time(self) -> float:
        return self.moment

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits for ever")
        self.moment += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


LOOP: Final = SimulatedLoop()
