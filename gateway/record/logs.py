"""Structured logs: one JSON object per line on standard error, times in UTC (RFC 8259, RFC 3339).

No value, whoever chose it, can end a line early, turn a terminal's text round, or bring a body, a secret or a personal
number into the log; no fault of logging reaches the mail. Field `trace_id` comes from the task's context.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.core.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_MAX_TEXT: Final = 2048
"""Characters of one value."""
_MAX_ITEMS: Final = 200
"""Items of one list; the number of those left out is said."""
_MAX_DEPTH: Final = 4
_MAX_FRAMES: Final = 30
_MAX_CAUSES: Final = 5
_MAX_REASON: Final = 300
"""Characters of a foreign exception's text: libraries put what they were given into it."""
_REMOVED: Final = "[removed]"
_SECRET_NAMES: Final = re.compile(
    r"(?i)passw|passphrase|secret|token|authorization|cookie|credential|private_key|^pin$|^body$|^content$|^octets_of"
)
"""Names of values that never belong into a log, should anybody pass one."""
_IDENTIFIERS: Final = frozenset({"timestamp", "trace_id", "entry", "entry_id", "serial", "fingerprint"})
"""Names of values that are ours, or hexadecimal: digits in them are no person's."""
_PERSONAL: Final = re.compile(
    r"(?:(?<![^\W_])|(?<=MST)|(?<=CCCD)|(?<=CMND)|(?<=CMT))"
    r"(?:\d{10}-\d{3}|\d{9}|\d{10}|\d{12}|\d{13}|\d{3}(?: \d{3}){2,3})(?![^\W_])"
)
"""Numbers of the lengths of CMND (9), tax codes (10, with a branch 13), CCCD (12)."""
_SOME_DIGITS: Final = re.compile(r"\d{3} ?\d{3}")
"""What every personal number has: looked for first, as it is found fast."""
_SHOWN_DIGITS: Final = 3
_UNSAFE: Final = re.compile(
    "[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What JSON lets stand, and a terminal or a reader of lines does not take for text; C0 is escaped by JSON itself."""


def configure(level: str) -> None:
    """Send every log record of this process, the standard library's too, to standard error from this level up.

    `level` is "debug", "info", "warning" or "error". May be called again: the last call counts. Libraries are heard
    from "warning" up: aiosmtpd says two lines for every line of every session below that.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_exception,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Line,
        # uncached, so that the last call counts: 1 us more for each record, also for one that is filtered
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Forward)] + [_Forward()]
    root.setLevel(logging.WARNING)
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    logging.captureWarnings(True)


class _Line:
    """What structlog hands finished lines to; standard error is looked up each time: others may replace it."""

    def __init__(self, name: str = "gateway") -> None:
        self.name = name

    def msg(self, line: bytes) -> None:
        """Write one line in one piece; what cannot be written is lost, not raised."""
        with contextlib.suppress(Exception):
            stream = getattr(sys.stderr, "buffer", None)
            if stream is None:
                sys.stderr.write(line.decode())
            else:
                stream.write(line)
            sys.stderr.flush()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


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
    """Return the finished line, UTF-8 with its LF; a record that cannot be rendered leaves a line that says so."""
    del logger, method
    try:
        text = json.dumps(_plain("", event, 0), ensure_ascii=False, allow_nan=False)
    except Exception as error:  # noqa: BLE001 - a value whose text raises must not stop the mail
        text = json.dumps({"event": "a record could not be rendered", "reason": type(error).__name__})
    return (text if text.isascii() and "\x7f" not in text else _UNSAFE.sub(_escape, text)).encode() + b"\n"


def _escape(match: re.Match[str]) -> str:
    """Return the JSON escape of one character, as a pair of surrogates beyond the BMP."""
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


@lru_cache(maxsize=1024)
def _secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


@lru_cache(maxsize=1024)
def _name(name: str) -> str:
    return _text("", name)


def _plain(name: str, value: object, depth: int) -> object:
    """Return what JSON can say of a value, bounded and masked."""
    if isinstance(value, str):
        return _REMOVED if _secret(name) else _text(name, value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # not a number and the infinities are no JSON
    if _secret(name):
        return _REMOVED
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} octets>"
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        pairs = list(value.items())[:_MAX_ITEMS]
        return {_name(str(key)): _plain(str(key), each, depth + 1) for key, each in pairs}
    if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
        items = [_plain(name, each, depth + 1) for each in list(value)[:_MAX_ITEMS]]
        return items if len(value) <= _MAX_ITEMS else [*items, f"and {len(value) - _MAX_ITEMS} more"]
    return _text(name, str(value))


def _text(name: str, text: str) -> str:
    cut = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]} ... and {len(text) - _MAX_TEXT} characters"
    if name in _IDENTIFIERS or _SOME_DIGITS.search(cut) is None:
        return cut
    return _PERSONAL.sub(_mask, cut)


def _mask(match: re.Match[str]) -> str:
    """Hide all but the last three digits: enough to tell two apart, too few to know one."""
    hidden = re.sub(r"\d", "*", match[0][:-_SHOWN_DIGITS])
    return hidden + match[0][-_SHOWN_DIGITS:]
