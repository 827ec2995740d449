"""Content-Type and Content-Disposition: the value and its parameters (RFC 2045 5.1, RFC 2231).

A parameter given twice is a defect the caller must see: parsers disagree on which one counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from gateway.core.remembered import remembered
from gateway.mime.words import text_in

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD: Final = re.compile(rb"[ \t]*([^\x00-\x20\x7f;()<>@,:\\\"\[\]?=]+)[ \t]*(?:\([^()]*\)[ \t]*)*")
_PARAMETER: Final = re.compile(
    rb";[ \t]*(?:([^\x00-\x20\x7f;()<>@,:\\\"\[\]?=]+)[ \t]*=[ \t]*"
    rb"(\"(?:[^\"\\\x00]|\\[^\x00])*\"|[^\x00-\x20\x7f;()<>,\\\"]+)[ \t]*(?:\([^()]*\)[ \t]*)*)?"
)
_CONTINUED: Final = re.compile(r"([^*]+)\*(\d{1,3})(\*?)")
_MAX_PARAMETERS: Final = 100
_MAX_REMEMBERED: Final = 128
"""Octets of a value that is remembered: a boundary makes most longer ones new every time."""


@dataclass(frozen=True, slots=True)
class Parameterized:
    """A value ("multipart/signed", lower case), its parameters by lower-case name, and what is wrong with it."""

    value: str
    parameters: Mapping[str, str]
    defects: tuple[str, ...]


@remembered(1024, octets=_MAX_REMEMBERED)
def read_parameters(value: bytes) -> Parameterized:
    """Return the value and its parameters; never raises, says in `defects` what it could not read."""
    head = _HEAD.match(value)
    if head is None:
        return Parameterized("", MappingProxyType({}), ("malformed_value",))
    defects: list[str] = []
    raw: dict[str, str] = {}
    position = head.end()
    for _ in range(_MAX_PARAMETERS):
        match = _PARAMETER.match(value, position)
        if match is None:
            break
        position = match.end()
        if match[1] is None:
            continue
        key = match[1].decode("ascii", "replace").lower()
        if key in raw:
            defects.append("duplicate_parameter")
        else:
            raw[key] = _unquoted(match[2])
    if position < len(value):
        defects.append("malformed_parameters")
    found, clear = _joined(raw)
    if not clear:
        defects.append("ambiguous_parameter")
    name = head[1].decode("ascii", "replace").lower()
    return Parameterized(name, MappingProxyType(found), tuple(dict.fromkeys(defects)))


def main_value(value: bytes) -> str:
    """Return the value alone, as `read_parameters` does."""
    head = _HEAD.match(value)
    return head[1].decode("ascii", "replace").lower() if head is not None else ""


def parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """Return the value and its parameters, without what is wrong with them."""
    found = read_parameters(value)
    return found.value, dict(found.parameters)


def _unquoted(octets: bytes) -> str:
    if octets.startswith(b'"'):
        octets = re.sub(rb"\\(.)", rb"\1", octets[1:-1], flags=re.DOTALL)
    return octets.decode("utf-8", "replace")


def _joined(raw: dict[str, str]) -> tuple[dict[str, str], bool]:
    """Put RFC 2231 continuations and encoded values together; a plain parameter of the same name wins.

    The second value is False where readers may see different values: two forms that differ, pieces missing or doubled.
    """
    found: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    clear = True
    for key, text in raw.items():
        continued = _CONTINUED.fullmatch(key)
        if continued is not None:
            numbered, number = pieces.setdefault(continued[1], {}), int(continued[2])
            clear = clear and number not in numbered
            numbered.setdefault(number, (bool(continued[3]), text))
        elif key.endswith("*"):
            others.append((key[:-1], _extended(text)))
        else:
            found[key] = text
    for key, numbered in pieces.items():
        whole = [numbered[number] for number in range(len(numbered)) if number in numbered]
        clear = clear and len(whole) == len(numbered)
        others.append((key, _continued(whole)))
    for key, text in others:
        clear = found.setdefault(key, text) == text and clear
    return found, clear


def _continued(pieces: list[tuple[bool, str]]) -> str:
    """Return numbered pieces as one text; those with a star are percent-encoded, the others stand for themselves."""
    if not any(starred for starred, _ in pieces):
        return "".join(text for _, text in pieces)
    escaped = (text if starred else text.replace("%", "%25").replace("'", "%27") for starred, text in pieces)
    charset = "" if pieces[0][0] else "utf-8''"  # it stands in the first piece, or nowhere (RFC 2231 4.1)
    return _extended(charset + "".join(escaped))


def _extended(text: str) -> str:
    """Decode charset'language'percent-encoded text."""
    charset, first, rest = text.partition("'")
    _, second, content = rest.partition("'")
    if not first or not second:
        return text
    return text_in(charset or "us-ascii", unquote_to_bytes(content))
