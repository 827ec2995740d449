"""Structured logs: one JSON object per line on standard error, times in UTC (RFC 8259, RFC 3339).

What stands in a line is bounded and masked by `lines`; no fault of logging reaches the mail. Field `trace_id` comes
from the task's context. The steps of messages go round structlog, straight to the line: see `events`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.core.errors import GatewayError
from gateway.record.lines import line_of, now
from gateway.record.stream import STREAM

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from types import TracebackType

_MAX_FRAMES: Final = 30
_MAX_CAUSES: Final = 5
_MAX_REASON: Final = 300
"""Characters of a foreign exception's text: libraries put what they were given into it."""


def configure(level: str) -> None:
    """Send every log record of this process, the standard library's too, to standard error from this level up.

    `level` is "debug", "info", "warning" or "error". May be called again: the last call counts. Libraries are heard
    from "warning" up.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_name,
            _add_time,
            _add_exception,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Line,
        # uncached, so that the last call counts: 1 us more for each record, also for one that is filtered
        cache_logger_on_first_use=False,
    )
    STREAM.least = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Forward)] + [_Forward()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


class _Line:
    """What structlog hands finished lines to."""

    def __init__(self, name: str = "gateway") -> None:
        self.name = name

    def msg(self, line: bytes) -> None:
        """Pass a line on."""
        STREAM.say(line, logging.INFO)

    def error(self, line: bytes) -> None:
        """Pass on a line that nothing may be waited for with."""
        STREAM.say(line, logging.ERROR)

    log = debug = info = warn = warning = msg
    critical = fatal = exception = error


class _Forward(logging.Handler):
    """Brings the standard library's records onto the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record of a library; never raises."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit their format, or whose text raises
            text = str(record.msg)
        level = next(
            (each for each in (logging.ERROR, logging.WARNING, logging.INFO) if record.levelno >= each), logging.DEBUG
        )
        with contextlib.suppress(Exception):
            structlog.get_logger(record.name).log(level, text, exc_info=record.exc_info)


def _add_name(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add which room speaks."""
    del method
    event.setdefault("logger", getattr(logger, "name", "gateway"))
    return event


def _add_time(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add when it was."""
    del logger, method
    event["timestamp"] = now()
    return event


def _add_exception(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn `exc_info` into types, places and short reasons: never local variables, never lines of source."""
    del logger, method
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = [_exception(each) for each in _causes(error)]
    return event


def _causes(error: BaseException) -> Iterable[BaseException]:
    """Yield the exception and what it came from, outermost first, each once."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen and len(seen) < _MAX_CAUSES:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _exception(error: BaseException) -> dict[str, object]:
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "reason": _reason(error),
        "frames": _frames(error.__traceback__),
    }


def _reason(error: BaseException) -> str:
    """Return the text of a fault of ours; of a foreign one the first line, cut: SQL parameters stand further down."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception whose text raises
        return "?"
    return text if isinstance(error, GatewayError) else text.partition("\n")[0][:_MAX_REASON]


def _frames(trace: TracebackType | None) -> list[str]:
    frames = [f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}" for frame, line in traceback.walk_tb(trace)]
    return frames[-_MAX_FRAMES:]


def _render(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    """Return the finished line."""
    del logger, method
    return line_of(event)
