"""Judgments as JSON and back, by the types of their fields: what a process that may be taken over is allowed to say.

Nothing here makes anything but the frozen values of `core.verdict`; what does not fit their types raises `ValueError`.
"""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_origin, get_type_hints

from gateway.core.verdict import VERDICTS, Judgment, Verdict, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

MOST_ITEMS: Final = 200
"""Of one list: far more than a judgment can hold."""
_KINDS: Final[Mapping[str, type]] = {row.name: row.kind for row in VERDICTS}
_NAMES: Final = {"datetime": datetime}
"""What the modules of these types import for type checking only."""


def plain(value: object) -> object:
    """Return a value as JSON can hold it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if type(value) in _KINDS.values():
        return {"kind": row_of(value).name, **_plain_fields(value)}  # type: ignore[arg-type]
    if is_dataclass(value):
        return _plain_fields(value)
    return value


def _plain_fields(value: object) -> dict[str, object]:
    return {each.name: plain(getattr(value, each.name)) for each in fields(value)}  # type: ignore[arg-type]


def judgment_of(value: object) -> Judgment:
    """Return the judgment that `plain` made this of; raises `ValueError`."""
    try:
        found = _read(Judgment, value)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("not a judgment") from error
    if not isinstance(found, Judgment):
        raise ValueError("not a judgment")  # noqa: TRY004 - the one kind of error that a stranger's words lead to
    return found


def _read(kind: Any, value: object) -> object:
    """Return what `value` says, which must be of the type `kind`."""
    reader, inner = _reader(kind)
    return reader(inner, value)


@lru_cache(maxsize=64)
def _reader(kind: Any) -> tuple[Callable[[Any, object], object], Any]:
    """Return what reads values of a type, and the type it is to be called with; types are looked into once."""
    if kind == Verdict:
        return _verdict, kind
    if get_origin(kind) is types.UnionType:  # T | None
        return _optional, get_args(kind)[0]
    if get_origin(kind) is tuple:
        return _tuple, get_args(kind)[0]
    if kind is datetime:
        return _moment, kind
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _word, kind
    return (_made if is_dataclass(kind) else _plain_value), kind


def _optional(kind: Any, value: object) -> object:
    return None if value is None else _read(kind, value)


def _word(kind: Any, value: object) -> object:
    return kind(str(value))


def _plain_value(kind: Any, value: object) -> object:
    if kind not in {str, int, bool} or type(value) is not kind:
        raise ValueError("not of its type")
    return value


def _verdict(_: Any, value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError("not a verdict")  # noqa: TRY004 - as above
    rest = {name: each for name, each in value.items() if name != "kind"}
    return _made(_KINDS[value["kind"]], rest)


def _tuple(kind: Any, value: object) -> tuple[object, ...]:
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise ValueError("not a list, or too long")
    return tuple(_read(kind, each) for each in value)


def _moment(_: Any, value: object) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else None
    if found is None or found.tzinfo is None:
        raise ValueError("not an aware time")
    return found


def _made(kind: Any, value: object) -> object:
    types_of = _types(kind)
    if not isinstance(value, dict) or value.keys() != types_of.keys():
        raise ValueError("other fields than it has")
    return kind(**{name: _read(types_of[name], each) for name, each in value.items()})


@lru_cache(maxsize=64)
def _types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, localns=_NAMES)
    return {each.name: hints[each.name] for each in fields(kind)}
