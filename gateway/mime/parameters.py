"""Content-Type and Content-Disposition: the value and its parameters (RFC 2045 5.1, RFC 2231).

A parameter given twice is a defect the caller must see: parsers disagree on which one counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD: Final = re.compile(rb"[ \t]*([^\x00-\x20\x7f;()<>@,:\\\"\[\]?=]+)[ \t]*")
_PARAMETER: Final = re.compile(
    rb";[ \t]*(?:([^\x00-\x20\x7f;()<>@,:\\\"\[\]?=]+)[ \t]*=[ \t]*"
    rb"(\"(?:[^\"\\\x00]|\\[^\x00])*\"|[^\x00-\x20\x7f;()<>,\\\"]+)[ \t]*(?:\([^()]*\)[ \t]*)?)?"
)
_CONTINUED: Final = re.compile(r"([^*]+)\*(\d{1,3})(\*?)")
_MAX_PARAMETERS: Final = 100


@dataclass(frozen=True, slots=True)
class Parameterized:
    """A value ("multipart/signed", lower case), its parameters by lower-case name, and what is wrong with it."""

    value: str
    parameters: Mapping[str, str]
    defects: tuple[str, ...]


def read_parameters(value: bytes) -> Parameterized:
    """Return the value and its parameters; never raises, says in `defects` what it could not read."""
    head = _HEAD.match(value)
    if head is None:
        return Parameterized("", MappingProxyType({}), ("malformed_value",))
    defects: list[str] = []
    raw: dict[str, str] = {}
    position = head.end()
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match is None or len(raw) >= _MAX_PARAMETERS:
            defects.append("malformed_parameters")
            break
        position = match.end()
        if match[1] is None:
            continue
        key = match[1].decode("ascii", "replace").lower()
        if key in raw:
            defects.append("duplicate_parameter")
        else:
            raw[key] = _unquoted(match[2])
    found = _joined(raw)
    return Parameterized(head[1].decode("ascii", "replace").lower(), MappingProxyType(found), tuple(defects))


def parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """Return the value and its parameters, without what is wrong with them."""
    found = read_parameters(value)
    return found.value, dict(found.parameters)


def _unquoted(octets: bytes) -> str:
    if octets.startswith(b'"'):
        octets = re.sub(rb"\\(.)", rb"\1", octets[1:-1], flags=re.DOTALL)
    return octets.decode("utf-8", "replace")


def _joined(raw: dict[str, str]) -> dict[str, str]:
    """Put RFC 2231 continuations and encoded values together; a plain parameter of the same name wins."""
    found: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for key, text in raw.items():
        continued = _CONTINUED.fullmatch(key)
        if continued is not None:
            pieces.setdefault(continued[1], {})[int(continued[2])] = (bool(continued[3]), text)
        elif key.endswith("*"):
            found.setdefault(key[:-1], _extended(text))
        else:
            found[key] = text
    for key, numbered in pieces.items():
        whole, encoded = "", False
        for number in range(len(numbered)):
            if number not in numbered:
                break
            starred, text = numbered[number]
            encoded = encoded or starred
            whole += text if starred or not encoded else re.sub(r"[%']", lambda match: f"%{ord(match[0]):02X}", text)
        found.setdefault(key, _extended(whole) if encoded else whole)
    return found


def _extended(text: str) -> str:
    """Decode charset'language'percent-encoded text."""
    charset, first, rest = text.partition("'")
    _, second, content = rest.partition("'")
    if not first or not second:
        return text
    octets = unquote_to_bytes(content)
    try:
        return octets.decode(charset or "us-ascii", "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")
