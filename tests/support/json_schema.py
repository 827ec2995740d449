"""The part of JSON Schema (draft 2020-12) that our schema uses; an unknown keyword fails instead of being skipped."""

from __future__ import annotations

import re
from typing import Any, Final

_TYPES: Final[dict[str, Any]] = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
_SILENT: Final = {"$schema", "title", "description", "$defs"}


def valid(schema: dict[str, Any], value: Any) -> bool:
    """Return whether a value fits a schema."""
    return _fits(schema, value, schema)


def _fits(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    return all(_keyword(key, wanted, schema, value, root) for key, wanted in schema.items() if key not in _SILENT)


def _keyword(key: str, wanted: Any, schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:  # noqa: C901, PLR0911, PLR0912 - one case per keyword
    match key:
        case "$ref":
            target = root
            for step in wanted.removeprefix("#/").split("/"):
                target = target[step]
            return _fits(target, value, root)
        case "anyOf":
            return any(_fits(each, value, root) for each in wanted)
        case "const":
            return type(value) is type(wanted) and value == wanted
        case "enum":
            return isinstance(value, str) and value in wanted
        case "type":
            return isinstance(value, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
    if isinstance(value, str):
        match key:
            case "minLength":
                return len(value) >= wanted
            case "maxLength":
                return len(value) <= wanted
            case "pattern":
                return re.search(wanted, value) is not None
    if isinstance(value, int):
        return key != "minimum" or value >= wanted
    if isinstance(value, list):
        match key:
            case "minItems":
                return len(value) >= wanted
            case "items":
                return all(_fits(wanted, each, root) for each in value)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        match key:
            case "minProperties":
                return len(value) >= wanted
            case "maxProperties":
                return len(value) <= wanted
            case "required":
                return set(wanted) <= value.keys()
            case "properties":
                return all(_fits(wanted[name], each, root) for name, each in value.items() if name in wanted)
            case "propertyNames":
                return all(_fits(wanted, name, root) for name in value)
            case "additionalProperties":
                others = [each for name, each in value.items() if name not in known]
                return not others if wanted is False else all(_fits(wanted, each, root) for each in others)
    assert key in {
        "minLength", "maxLength", "pattern", "minimum", "minItems", "items", "minProperties", "maxProperties",
        "required", "properties", "propertyNames", "additionalProperties",
    }, f"unknown keyword {key}"  # fmt: skip
    return True
