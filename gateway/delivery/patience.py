"""Waiting that ends: at a moment, or when a bell rings; what was waited for is never canceled by it.

Canceling a step of a mail transaction closes its connection, so whoever waits decides that by itself, knowing how far
the step has come.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Bell:
    """Rings once, for everybody who waits or ever will. Used from one event loop."""

    __slots__ = ("_future", "rung")

    def __init__(self) -> None:
        """Begin silent; may be made outside of a loop."""
        self.rung = False
        self._future: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Ring; again is harmless."""
        self.rung = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def future(self) -> asyncio.Future[None]:
        """Return what is done once the bell has rung."""
        if self._future is None:
            self._future = asyncio.get_running_loop().create_future()
            if self.rung:
                self._future.set_result(None)
        return self._future


class Patience:
    """Waits until a moment of the loop's clock at most, and no longer once the bell rings."""

    __slots__ = ("_bell", "_deadline")

    def __init__(self, bell: Bell, seconds: float | None = None) -> None:
        """Count from now; without `seconds` only the bell ends it."""
        self._bell = bell
        self._deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds

    @property
    def over(self) -> bool:
        """True if nothing more is waited for."""
        return self._bell.rung or (self._deadline is not None and self._left() <= 0)

    async def wait(self, task: asyncio.Task[T]) -> bool:
        """Wait for the task; returns whether it is done. The task goes on if it is not."""
        if not task.done():
            timeout = None if self._deadline is None else max(self._left(), 0)
            either: set[asyncio.Future[Any]] = {task, self._bell.future()}
            await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return task.done()

    async def bound(self, step: Coroutine[object, object, T]) -> T:
        """Return what the step returns; cancels it when patience ends, and raises `TimeoutError` then."""
        if self.over:
            step.close()
            raise TimeoutError
        task = asyncio.get_running_loop().create_task(step)
        try:
            await self.wait(task)
        finally:
            if not task.done():
                await cancel(task)
        if task.cancelled():
            raise TimeoutError
        return task.result()

    def _left(self) -> float:
        return 0.0 if self._deadline is None else self._deadline - asyncio.get_running_loop().time()


async def cancel(task: asyncio.Task[T]) -> None:
    """Cancel a task and wait until it has ended, however it does."""
    task.cancel()
    await asyncio.wait({task})
