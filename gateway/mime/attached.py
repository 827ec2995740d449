"""Every name and media type that some reader may give a part (RFC 2045 5, RFC 2047, RFC 2183 2.3, RFC 2231).

Readers disagree on which of two names counts, so each is returned; none is trusted.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from gateway.core.remembered import remembered
from gateway.mime.parameters import read_parameters
from gateway.mime.words import decode_text, text_in

if TYPE_CHECKING:
    from gateway.mime.entity import Entity

MOST_NAMES: Final = 8
"""Names, and types, of one part."""
_MOST_READ: Final = 64
_MAX_REMEMBERED: Final = 128
"""Octets of a field that is remembered: a boundary makes most longer ones new every time."""
_LOOSE: Final = re.compile(
    rb"(?:file)?name(?:\*\d{1,3})?(\*?)[ \t]*=[ \t]*(\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|[^;]*+)", re.IGNORECASE | re.DOTALL
)
_FIELDS: Final = (("content-disposition", "filename"), ("content-type", "name"))


def names_of(entity: Entity) -> tuple[str, ...]:
    """Return the different names of a part, decoded, without empty ones."""
    read: list[str] = []
    for key, parameter in _FIELDS:
        for each in entity.header.all(key):
            value = each.value
            read += _names(value, parameter) if value.lower().find(b"name") >= 0 else ("",)
    return tuple(dict.fromkeys([name for name in read[:_MOST_READ] if name]))[:MOST_NAMES]


@remembered(1024, octets=_MAX_REMEMBERED)
def _names(value: bytes, parameter: str) -> tuple[str, ...]:
    """Return the names in a field: files of one kind are described alike again and again."""
    found = read_parameters(value)
    name = _decoded(found.parameters.get(parameter, ""))
    if not found.defects and found.value:
        return (name,)
    return (name, *(_loosely(match) for match in islice(_LOOSE.finditer(value), _MOST_READ)))


def _decoded(name: str) -> str:
    """Return a name with encoded words decoded, which RFC 2047 5 forbids and every reader does."""
    name = decode_text(name.encode("utf-8", "replace")) if "=?" in name else name
    return " ".join(name.split())


def _loosely(match: re.Match[bytes]) -> str:
    octets = match[2].strip()
    if octets.startswith(b'"'):
        octets = re.sub(rb"\\(.)", rb"\1", octets.strip(b'"'), flags=re.DOTALL)
    if not match[1]:
        return _decoded(octets.decode("utf-8", "replace"))
    charset, _, rest = octets.partition(b"'")
    return _decoded(text_in(charset.decode("ascii", "replace"), unquote_to_bytes(rest.rpartition(b"'")[2] or octets)))


def types_of(entity: Entity) -> tuple[str, ...]:
    """Return the different media types that a part declares."""
    declared = (read_parameters(each.value).value for each in entity.header.all("content-type"))
    return tuple(dict.fromkeys((entity.media_type, *(each for each in declared if "/" in each))))[:MOST_NAMES]
