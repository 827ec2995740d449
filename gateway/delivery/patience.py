"""Waiting that ends: at a moment, or when a bell rings.

Canceling a step of a mail transaction closes its connection: what must not be closed is paused instead, which its
owner does who knows how far it has come.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

_RESOLUTION: Final = 0.001
"""Seconds by which a timer may fire early."""


class Bell:
    """Rings once, for everybody who waits or ever will, and for each of them alone when its time is over.

    One timer serves all: it is set anew only when it fires, or when it would fire too late. Used from one event loop.
    """

    __slots__ = ("_listeners", "_next", "_timer", "rung")

    def __init__(self) -> None:
        """Begin silent; may be made outside of a loop."""
        self.rung = False
        self._listeners: dict[Patience, float | None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf
        """When the timer fires."""

    def ring(self) -> None:
        """Ring; again is harmless."""
        if not self.rung:
            self.rung = True
            for each in tuple(self._listeners):
                each.end()

    def listen(self, listener: Patience, until: float | None) -> None:
        """End a listener's patience when the bell rings, at the moment `until` of the loop's clock at the latest."""
        self._listeners[listener] = until
        if until is not None and until < self._next:
            self._look_at(until)

    def leave(self, listener: Patience) -> None:
        """Forget a listener; harmless for one that is not known."""
        self._listeners.pop(listener, None)

    def _look_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(moment, self._look)
        self._next = moment

    def _look(self) -> None:
        """End the patience of those whose time is over; called by the loop."""
        self._timer, self._next = None, math.inf
        now = asyncio.get_running_loop().time() + _RESOLUTION
        moments = [(until, each) for each, until in self._listeners.items() if until is not None]
        for until, each in moments:
            if until <= now:
                self.leave(each)
                each.end()
        if left := [until for until, _ in moments if until > now]:
            self._look_at(min(left))


class Patience:
    """Waits until a moment of the loop's clock at most, and no longer once the bell rings. Used by one task."""

    __slots__ = ("_bell", "_pause", "_struck", "_task", "_until")

    def __init__(self, bell: Bell, seconds: float | None = None) -> None:
        """Count from now; without `seconds` only the bell ends it."""
        self._bell = bell
        self._until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        self._task: asyncio.Task[object] | None = None
        self._pause: Callable[[], bool] | None = None
        self._struck = False

    @property
    def over(self) -> bool:
        """True if nothing more is waited for."""
        return self._bell.rung or (self._until is not None and self._until <= asyncio.get_running_loop().time())

    async def bound(self, step: Coroutine[object, object, T], pause: Callable[[], bool] | None = None) -> T:
        """Return what the step returns; cancels it when patience ends, and raises `TimeoutError` then.

        `pause` is asked first: if it returns True the step ends by itself. Where patience is over before, the step
        is begun only then.
        """
        if self.over and (pause is None or not pause()):
            step.close()
            raise TimeoutError
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only tasks have patience")
        before = task.cancelling()
        self._task, self._pause, self._struck = task, pause, False
        self._bell.listen(self, self._until)
        try:
            return await step
        except asyncio.CancelledError as error:
            if self._struck and task.cancelling() <= before + 1:  # nobody else has canceled it
                raise TimeoutError from error
            raise
        finally:
            self._bell.leave(self)
            if self._struck:
                task.uncancel()

    def end(self) -> None:
        """End the waiting; called by the bell."""
        if self._task is None or self._struck:
            return
        if self._pause is None or not self._pause():
            self._struck = True
            self._task.cancel()
