"""Writes a roll of agencies, as the YAML that the gateway reads or as a table for office programs (RFC 4180).

What is written says what was read: names keep their capitals, and reading it again gives the same registry.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gateway.agencies.reading import AGENCY_KEYS, TOP_KEYS
from gateway.agencies.table import COLUMNS
from gateway.yamltext import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.yamltext import Document, Plain

_MARK: Final = "\ufeff"
"""Without it Excel takes UTF-8 for an old Windows charset."""
_QUOTED: Final = frozenset('",;\t\r\n')
_FORMULAS: Final = ("=", "+", "-", "@")
"""A cell that begins so is run by office programs."""


def write_yaml(document: Document) -> str:
    """Return the file's values as YAML, an agency's first line begins with its id; `document` was found right."""
    return "".join(f"{line}\n" for line in _yaml_lines(plain(document.root)))


def _yaml_lines(root: Plain) -> Iterator[str]:
    assert isinstance(root, dict)  # noqa: S101 - it was found right
    for key in TOP_KEYS:
        values = root.get(key)
        if isinstance(values, str):
            yield f"{key}: {_flow(values)}"
        elif isinstance(values, list):
            yield f"{key}:"
            for value in values:
                yield from _item(value)


def _item(value: Plain) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"  - {_flow(value)}"
        return
    order = [*(key for key in AGENCY_KEYS if key in value), *(key for key in value if key not in AGENCY_KEYS)]
    for index, key in enumerate(order):
        yield f"  {'- ' if index == 0 else '  '}{key}: {_flow(value[key])}"


def _flow(value: Plain) -> str:
    """Return a value in flow style; quoted text of JSON is text of YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(each)}' for key, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def write_table(document: Document) -> str:
    """Return the agencies as a table, with the mark and the line ends that Excel wants; `document` was found right."""
    root = plain(document.root)
    agencies = root.get("agencies") if isinstance(root, dict) else None
    assert isinstance(agencies, list)  # noqa: S101 - it was found right
    rows = [",".join(COLUMNS)]
    rows += [",".join(_cell(key, each.get(key)) for key in COLUMNS) for each in agencies if isinstance(each, dict)]
    return _MARK + "".join(f"{row}\r\n" for row in rows)


def _cell(key: str, value: Plain) -> str:
    values = value if isinstance(value, list) else [value] if value is not None else []
    text = " | ".join(_words(key, each) for each in values)
    text = f"'{text}" if text.startswith(_FORMULAS) else text
    return '"' + text.replace('"', '""') + '"' if not _QUOTED.isdisjoint(text) else text


def _words(key: str, value: Plain) -> str:
    if isinstance(value, dict):
        parts = [f"{short}={value[long]}" for short, long in (("O", "organization"), ("OU", "unit")) if long in value]
        return f"{', '.join(parts)} @{str(value['domain']).removeprefix('@')}"
    return str(value).removeprefix("@") if key == "domains" else str(value)
