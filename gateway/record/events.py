"""The journey's events as log lines: one JSON object per step, all with the message's trace id.

A recorder never raises, whatever it is given: what has happened to a message does not depend on a line about it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.events import Stage

if TYPE_CHECKING:
    from gateway.core.events import Event

_TAKEN: Final = frozenset({"event", "trace_id", "level", "timestamp", "logger", "exception", "exc_info"})
"""Names that a line has already; a fact of such a name is written as `fact_...`."""
_LOUD: Final = frozenset({Stage.FAILED, Stage.HELD, Stage.QUARANTINED})
"""Steps that somebody may have to act on: written at level "warning", all others at "info"."""


class LogRecorder:
    """A `ports.Recorder` that writes to the log; needs `logs.configure` for JSON."""

    def __init__(self) -> None:
        """Take the logger; nothing is opened."""
        self._log = structlog.get_logger("gateway.journey")

    def record(self, event: Event) -> None:
        """Note one step."""
        with contextlib.suppress(Exception):
            facts = {f"fact_{name}" if name in _TAKEN else name: value for name, value in event.facts.items()}
            say = self._log.warning if event.stage in _LOUD else self._log.info
            say(event.stage.value, trace_id=event.trace_id, **facts)
