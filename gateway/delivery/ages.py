"""Whether an age that the clock tells may have consequences: a clock that jumps must not end mail.

The wall clock is compared with one that only counts. After a jump, and for a while after the start (a machine may begin
with a wrong clock, which the network mends), nothing that came before is given up for its age and nobody is told that
it is late. Waiting longer loses nothing; a notice that was sent cannot be taken back.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gateway.ports import Clock

JUMP: Final = 30.0
"""Seconds between the two clocks, from one look to the next, that are taken for a jump and not for being adjusted."""
AFTER_START: Final = 900.0
"""Seconds in which a machine that was started has its clock set right."""
AFTER_JUMP: Final = 86400.0
"""Seconds in which an administrator who reads the log can set a clock right that jumped."""
SLIGHT: Final = 3600.0
"""Seconds by which ages may be wrong within `AFTER_JUMP` and are believed all the same: a virtual machine that is stood
still each night for its copy would else never give anything up."""


def _counted() -> float:
    """Return seconds that pass evenly, those in which the machine was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Ages:
    """Watches the clock of one process; used from any thread."""

    def __init__(self, clock: Clock, *, most: float, counted: Callable[[], float] = _counted) -> None:
        """Begin to watch; no doubt lasts longer than `most` seconds: the longest that mail is tried."""
        self._clock, self._counted, self._most = clock, counted, most
        self._lock = threading.Lock()
        self._now, self._ticks = clock.now(), counted()
        self._since, self._until = self._now, self._ticks + min(AFTER_START, most)
        self._jumped = False
        self._slight = max(JUMP, min(SLIGHT, most / 100))
        self._wrong, self._wrong_since = 0.0, self._ticks
        self.went_back = True
        """The clock may have been ahead until now: what was planned by it may lie too far away. Whoever mends that
        sets it to False."""

    def look(self) -> None:
        """Compare the clocks; what is to be done about a jump is known from then on."""
        with self._lock:
            now, ticks = self._clock.now(), self._counted()
            jump = (now - self._now).total_seconds() - (ticks - self._ticks)
            self._now, self._ticks = now, ticks
            if abs(jump) <= JUMP:
                return
            self.went_back |= jump < 0
            doubt = min(AFTER_JUMP, self._most) if self._matters(jump) else 0.0
            if doubt:
                self._since, self._until = now, ticks + doubt
                self._jumped = True
        log = structlog.get_logger("gateway.clock").bind(jump=round(jump), now=now.isoformat(timespec="seconds"))
        if doubt:
            log.error("the clock has jumped: no mail is given up for its age meanwhile", meanwhile=round(doubt))
        else:
            log.warning("the clock has jumped, by too little to matter to mail")

    def _matters(self, jump: float) -> bool:
        """Return whether ages are too wrong now: little by little counts as well."""
        if self._ticks - self._wrong_since > AFTER_JUMP:
            self._wrong, self._wrong_since = 0.0, self._ticks
        self._wrong += abs(jump)
        return self._wrong > self._slight

    @property
    def doubtful(self) -> bool:
        """True for a while after a jump: what is removed for its age should wait."""
        self.look()
        return self._jumped and self._ticks < self._until

    def believed(self, since: datetime) -> bool:
        """Return whether the time that has passed since then, by the clock, really has."""
        self.look()
        return since >= self._since or self._ticks >= self._until
