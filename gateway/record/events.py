"""The journey's events as log lines: one JSON object per step, all with the message's trace id.

A recorder never raises, whatever it is given: what has happened to a message does not depend on a line about it. Each
message leaves some seven of these, so they go to the line as it stands, without a chain of processors.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from gateway.core.events import Stage
from gateway.record.lines import line_of, now, pair
from gateway.record.stream import STREAM

if TYPE_CHECKING:
    from gateway.core.events import Event

_TAKEN: Final = frozenset({"event", "trace_id", "level", "timestamp", "logger", "exception", "exc_info"})
"""Names that a line has already; a fact of such a name is written as `fact_...`."""
_LOUD: Final = frozenset({Stage.FAILED, Stage.HELD, Stage.QUARANTINED})
"""Steps that somebody may have to act on: written at level "warning", all others at "info"."""
_LEVELS: Final = {stage: logging.WARNING if stage in _LOUD else logging.INFO for stage in Stage}
_NAMED: Final = {
    stage: ", ".join(
        (
            pair("event", stage.value),
            pair("level", logging.getLevelName(_LEVELS[stage]).lower()),
            pair("logger", "gateway.journey"),
        )
    )
    for stage in Stage
}
"""What a line says of itself, but for the time."""


class LogRecorder:
    """A `ports.Recorder` that writes to the log, from the level on that `logs.configure` was given."""

    def record(self, event: Event) -> None:
        """Note one step."""
        try:
            level = _LEVELS[event.stage]
            if level < STREAM.least:
                return
            facts = event.facts
            if not _TAKEN.isdisjoint(facts):
                facts = {f"fact_{name}" if name in _TAKEN else name: value for name, value in facts.items()}
            after = _NAMED[event.stage], f'"timestamp": "{now()}"'
            STREAM.say(line_of(facts, before=(pair("trace_id", event.trace_id),), after=after), level)
        except Exception:  # noqa: BLE001 - as said above
            return
