"""Mistakes found by the settings' types, in words an administrator understands.

A value must never be repeated in a message: it may be a secret that was written where a reference belongs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from gateway.yamlcheck import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

_TYPES: Final = {
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "string_type": "must be text: put it in quotes",
    "path_type": "must be a path: put it in quotes",
    "tuple_type": "must be a list: one item per line with '- ', or [a, b]",
    "list_type": "must be a list: one item per line with '- ', or [a, b]",
    "model_type": "must be a section with keys",
    "model_attributes_type": "must be a section with keys",
    "dict_type": "must be a section with keys",
    "finite_number": "must be a finite number",
}
_BOUNDS: Final = {
    "greater_than": ("must be greater than {}", "gt"),
    "greater_than_equal": ("must be at least {}", "ge"),
    "less_than": ("must be less than {}", "lt"),
    "less_than_equal": ("must be at most {}", "le"),
    "too_short": ("needs at least {} item(s)", "min_length"),
    "too_long": ("takes at most {} item(s)", "max_length"),
}


def in_words(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Return one mistake as a sentence about the key at its place."""
    location, kind = error["loc"], error["type"]
    context: Mapping[str, Any] = error.get("ctx") or {}
    key = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        return unknown_key(key, fields_at(model, location[:-1]))
    if kind == "missing":
        return f"key {key!r} is missing"
    subject = f"{key!r} " if isinstance(location[-1:][0] if location else None, str) else ""
    if kind in {"enum", "literal_error"}:
        return f"{subject}must be one of: {context.get('expected', '').replace(chr(39), '').replace(' or ', ', ')}"
    if kind in _BOUNDS:
        text, bound = _BOUNDS[kind]
        return subject + text.format(context.get(bound))
    if kind == "value_error":
        text = str(context.get("error", "is not right"))
        return f"{subject.strip()}: {text}" if subject else text
    return subject + _TYPES.get(kind, "is not what belongs here")


def fields_at(model: type[BaseModel], location: Iterable[int | str]) -> tuple[str, ...]:
    """Return the keys of the section at a location, none where it is no section."""
    current: type[BaseModel] | None = model
    for step in location:
        if isinstance(step, int) or current is None:
            continue
        field = current.model_fields.get(step)
        current = _section(field.annotation) if field is not None else None
    return tuple(current.model_fields) if current is not None else ()


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the section a field's type holds: itself, as an item, or as an alternative to nothing."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _section(each)) is not None), None)
