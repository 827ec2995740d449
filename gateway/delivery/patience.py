"""Waiting that ends: at a moment, or when a bell rings.

Canceling a step of a mail transaction closes its connection: what must not be closed is paused instead, which its
owner does who knows how far it has come.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

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
    """Waits until a moment of the loop's clock, and no longer once the bell rings; for the task that made it.

    `with patience:` bounds a step: what is awaited in it is canceled when patience ends, and `TimeoutError` is raised
    then; where patience is over before, the step is not begun.
    """

    __slots__ = ("_before", "_bell", "_pause", "_struck", "_task", "_until")

    def __init__(self, bell: Bell, seconds: float | None = None) -> None:
        """Count from now; without `seconds` only the bell ends it."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only tasks have patience")
        self._bell = bell
        self._until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        self._task = task
        self._before = 0
        self._pause: Callable[[], bool] | None = None
        self._struck = False

    @property
    def over(self) -> bool:
        """True if nothing more is waited for."""
        return self._bell.rung or (self._until is not None and self._until <= asyncio.get_running_loop().time())

    def or_pause(self, pause: Callable[[], bool]) -> Patience:
        """Ask `pause` first when patience ends in the step that follows: if it returns True the step ends by itself."""
        self._pause = pause
        return self

    def __enter__(self) -> None:
        if self.over and (self._pause is None or not self._pause()):
            self._pause = None
            raise TimeoutError
        self._before = self._task.cancelling()
        self._bell.listen(self, self._until)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bell.leave(self)
        self._pause = None
        if self._struck:
            self._struck = False
            nobody_else = self._task.uncancel() <= self._before
            if kind is asyncio.CancelledError and nobody_else:
                raise TimeoutError from error

    def end(self) -> None:
        """End the waiting; called by the bell."""
        if not self._struck and (self._pause is None or not self._pause()):
            self._struck = True
            self._task.cancel()
