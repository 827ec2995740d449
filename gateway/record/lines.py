"""How a record becomes a line: one JSON object, bounded and masked, whoever chose what is in it (RFC 8259, RFC 3339).

No value can end a line early, turn a terminal's text round, or bring a body, a secret or a personal number into the
log. Each message leaves some seven lines, and most of what is in them was written before (hops, rules, addresses): what
was made of a short text is remembered.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_TEXT: Final = 2048
"""Characters of one value."""
_MAX_ITEMS: Final = 200
"""Items of one list; the number of those left out is said."""
_MAX_DEPTH: Final = 4
_MAX_REMEMBERED: Final = 128
"""Characters of a text that is remembered: of 4,096 of them, so at most some megabytes, whoever sends what."""
_REMOVED: Final = '"[removed]"'
_SECRET_NAMES: Final = re.compile(
    r"(?i)passw|passphrase|secret|token|authorization|cookie|credential|private_key|^pin$|^body$|^content$|^octets_of"
)
"""Names of values that never belong into a log, should anybody pass one."""
_IDENTIFIERS: Final = frozenset({"timestamp", "trace_id", "entry", "entry_id", "serial", "fingerprint", "signatures"})
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


def line_of(facts: Mapping[str, object], *, before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> bytes:
    """Return a finished line, UTF-8 with its LF; a record that cannot be rendered leaves a line that says so.

    `before` and `after` the facts stand pairs that are JSON already.
    """
    try:
        pairs = [
            pair(name, value)
            if (type(value) is str and len(value) <= _MAX_REMEMBERED)  # most are
            or value is None
            or type(value) is bool
            or (type(value) is tuple and (not value or (len(value) == 1 and _is_short(value[0]))))
            else _pair(name, value)
            for name, value in (facts.items() if len(facts) <= _MAX_ITEMS else islice(facts.items(), _MAX_ITEMS))
        ]
        return f"{{{', '.join((*before, *pairs, *after))}}}\n".encode()
    except Exception as error:  # noqa: BLE001 - a value whose text raises must not stop the mail
        fault = pair("event", "a record could not be rendered"), _pair("reason", type(error).__name__)
        return f"{{{', '.join(fault)}}}\n".encode()


def _is_short(value: object) -> bool:
    return type(value) is str and len(value) <= _MAX_REMEMBERED


def now() -> str:
    """Return the present in UTC, with microseconds."""
    second, micro = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second(second)}.{micro:06d}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _pair(name: object, value: object) -> str:
    key, quote = _named(str(name))
    return key + _value(quote, value, 1)


pair: Final = lru_cache(maxsize=4096, typed=True)(_pair)
"""Returns a name and a short value as JSON, and remembers it."""


def _value(quote: Callable[[str], str], value: object, depth: int) -> str:
    """Return the JSON of a value, bounded and masked; `quote` is how the texts in it are written."""
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):  # not a number and the infinities are no JSON
        return float.__repr__(value) if value - value == 0 else quote(str(value))
    return _REMOVED if quote is _removed else _many(quote, value, depth)


def _many(quote: Callable[[str], str], value: object, depth: int) -> str:
    """Return the JSON of what may be long or deep."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f'"<{len(value)} octets>"'
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        named = [(*_named(str(name)), each) for name, each in islice(value.items(), _MAX_ITEMS)]
        return f"{{{', '.join([key + _value(inside, each, depth + 1) for key, inside, each in named])}}}"
    if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
        items = [_value(quote, each, depth + 1) for each in islice(value, _MAX_ITEMS)]
        left = len(value) - _MAX_ITEMS
        return f"[{', '.join([*items, f'{chr(34)}and {left} more{chr(34)}'] if left > 0 else items)}]"
    return quote(str(value))


@lru_cache(maxsize=1024)
def _named(name: str) -> tuple[str, Callable[[str], str]]:
    """Return how a pair of this name begins, and how its texts are written."""
    quote = _removed if _SECRET_NAMES.search(name) else _shown if name in _IDENTIFIERS else _masked
    return f"{_masked(name)}: ", quote


def _removed(_: str) -> str:
    return _REMOVED


def _masked(text: str) -> str:
    """Return a text as JSON with its personal numbers hidden."""
    cut = _cut(text)
    return _quoted(cut if _SOME_DIGITS.search(cut) is None else _PERSONAL.sub(_mask, cut))


def _shown(text: str) -> str:
    """Return a text of ours as JSON, its digits left as they are."""
    return _quoted(_cut(text))


def _quoted(text: str) -> str:
    quoted = encode_basestring(text)
    return quoted if quoted.isascii() and "\x7f" not in quoted else _UNSAFE.sub(_escape, quoted)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]} ... and {len(text) - _MAX_TEXT} characters"


def _mask(match: re.Match[str]) -> str:
    """Hide all but the last three digits: enough to tell two apart, too few to know one."""
    hidden = re.sub(r"\d", "*", match[0][:-_SHOWN_DIGITS])
    return hidden + match[0][-_SHOWN_DIGITS:]


def _escape(match: re.Match[str]) -> str:
    """Return the JSON escape of one character, as a pair of surrogates beyond the BMP."""
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
