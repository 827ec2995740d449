"""Waiting that ends: at a moment, or when a bell rings; what was waited for is never canceled by it, unless asked to.

Canceling a step of a mail transaction closes its connection, so whoever waits decides that by itself, knowing how far
the step has come.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Bell:
    """Rings once, for everybody who waits or ever will. Used from one event loop."""

    __slots__ = ("_listeners", "rung")

    def __init__(self) -> None:
        """Begin silent; may be made outside of a loop."""
        self.rung = False
        self._listeners: set[Callable[[], None]] = set()

    def ring(self) -> None:
        """Ring; again is harmless."""
        if not self.rung:
            self.rung = True
            for each in tuple(self._listeners):
                each()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the bell rings, unless it leaves before; one that has rung calls nobody."""
        self._listeners.add(listener)

    def leave(self, listener: Callable[[], None]) -> None:
        """Forget a listener; harmless for one that is not known."""
        self._listeners.discard(listener)


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
        return self._bell.rung or (self._deadline is not None and self._deadline <= asyncio.get_running_loop().time())

    async def wait(self, task: asyncio.Task[T]) -> bool:
        """Wait for the task; returns whether it is done. The task goes on if it is not."""
        if not task.done() and not self.over:
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            wake = partial(_wake, waiter)
            task.add_done_callback(wake)
            self._bell.listen(wake)
            timer = None if self._deadline is None else loop.call_at(self._deadline, wake)
            try:
                await waiter
            finally:
                task.remove_done_callback(wake)
                self._bell.leave(wake)
                if timer is not None:
                    timer.cancel()
        return task.done()

    async def bound(self, step: Coroutine[object, object, T]) -> T:
        """Return what the step returns; cancels it when patience ends, and raises `TimeoutError` then."""
        if self.over:
            step.close()
            raise TimeoutError
        async with asyncio.timeout_at(self._deadline) as limit:
            end = partial(_end, limit)
            self._bell.listen(end)
            try:
                return await step
            finally:
                self._bell.leave(end)


def _wake(waiter: asyncio.Future[None], *_: object) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _end(limit: asyncio.Timeout) -> None:
    if not limit.expired():  # its own time may be over in this very moment
        limit.reschedule(0)


async def outlived(task: asyncio.Task[T]) -> T:
    """Return what the task returns; it goes on if whoever waits here is canceled. A cheaper `asyncio.shield`."""
    if not task.done():
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wake = partial(_wake, waiter)
        task.add_done_callback(wake)
        try:
            await waiter
        finally:
            task.remove_done_callback(wake)
    return task.result()


async def cancel(task: asyncio.Task[T]) -> None:
    """Cancel a task and wait until it has ended, however it does."""
    task.cancel()
    await asyncio.wait({task})
