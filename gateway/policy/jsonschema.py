"""The file format as a JSON Schema (draft 2020-12), for editors: what it refuses the loader refuses, place by place.

Made of the very lists the loader reads by. What needs more than one place (a rule that is never reached, a profile that
does not exist, a value on no level) only the loader can say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.core.decision import DateGap, IfUnable, KeyChoice, SignatureForm, SubjectTag
from gateway.core.envelope import Direction
from gateway.policy import carriage, files, levels, patterns, then, when
from gateway.policy.hints import HINTS
from gateway.yamlcheck import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

Schema = dict[str, Any]
_CONTROL: Final = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_TEXT: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_TEXT,
    "pattern": rf"^\s*[^\s{_CONTROL}]([^{_CONTROL}]*[^\s{_CONTROL}])?\s*$",
}
_MAILBOX: Final = r"[^@*\s].*@[^@\s]+"
_PATTERN: Final = rf"{_MAILBOX}|\*.+@[^@\s]+|@(\*\.)?[^@*\s]+"


def json_schema() -> Schema:
    """Return the schema of a file in policies/ and, with fewer keys, of one in policies/agencies/."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Quy định thư / mail policies",
        **_table(
            {
                "defaults": _table(_sign(levels.DEFAULT_KEYS)),
                "profiles": _named(_table(_sign(levels.PROFILE_KEYS))),
                "groups": _named(_table({key: _some(_group(key)) for key in files.GROUP_KEYS}, least=1)),
                "rules": {"type": "array", "minItems": 1, "items": _rules()},
            },
            least=1,
        ),
        "$defs": {f"when_{each.value}": _when(each) for each in Direction},
    }


def _rules() -> Schema:
    marker = {"const": files.AGENCIES, "description": HINTS[files.AGENCIES]}
    return {"anyOf": [marker, *(_rule(each) for each in Direction)]}


def _rule(direction: Direction) -> Schema:
    day = _matching(files.DATE)
    values: dict[str, Schema] = {
        "name": _matching(files.NAME),
        "direction": {"const": direction.value},
        "comment": _TEXT,
        "active": {"type": "boolean"},
        "from": day,
        "until": day,
        "when": {"$ref": f"#/$defs/when_{direction.value}"},
        "then": _then(direction),
    }
    return _table({key: values[key] for key in files.RULE_KEYS}, required=("name", "direction", "then"))


def _then(direction: Direction) -> Schema:
    both = _table({"vi": _TEXT, "en": _TEXT}, required=("vi", "en"))
    reason = _table({"reason": _TEXT}, required=("reason",))
    travel = _table(_carriage(carriage.CARRIAGE_KEYS), least=1)
    actions: dict[str, Schema] = {
        "sign": _table(_sign(levels.RULE_KEYS)),
        "pass": travel,
        "deliver": _table(_deliver(), least=1),
        "hold": reason,
        "quarantine": reason,
        "refuse": both,
    }
    known = then.ACTIONS[direction]
    words = [each for each in known if each in {"sign", "pass", "deliver"}]
    section = _table({key: actions[key] for key in known}, least=1)
    return {"anyOf": [{"enum": words}, {**section, "maxProperties": 1}]}


def _deliver() -> dict[str, Schema]:
    values = {"subject_tag": _words(SubjectTag), **_carriage(carriage.CARRIAGE_KEYS)}
    return {key: values[key] for key in then.DELIVER_KEYS}


def _sign(keys: Iterable[str]) -> dict[str, Schema]:
    label = _table({"label": _matching(levels.LABEL)}, required=("label",))
    both = _table({"vi": _TEXT, "en": _TEXT}, required=("vi", "en"))
    values: dict[str, Schema] = {
        "profile": _TEXT,
        "key": {"anyOf": [_words(KeyChoice), label]},
        "if_unable": _words(IfUnable),
        "form": _words(SignatureForm),
        "date_gap": _words(DateGap),
        "footer": {"anyOf": [{"const": "none"}, both]},
        "protect_headers": {"type": "boolean"},
        "for_other_addresses": {"type": "boolean"},
        **_carriage(carriage.CARRIAGE_KEYS),
    }
    return {key: values[key] for key in keys}


def _carriage(keys: Iterable[str]) -> dict[str, Schema]:
    ours = "|".join(each.removeprefix("x-") for each in carriage.OURS)
    name = rf"^(?!{_any_case('x-')}({_any_case(ours)}))({_any_case('x-')}[A-Za-z0-9-]{{1,62}}|{_harmless()})$"
    fields = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": carriage.MAX_FIELDS,
        "propertyNames": {"pattern": name},
        "additionalProperties": _TEXT,
    }
    values: dict[str, Schema] = {"add_header": fields, "route": _matching(carriage.HOP_NAME)}
    return {key: values[key] for key in keys}


def _harmless() -> str:
    return "|".join(_any_case(each) for each in carriage.HARMLESS)


def _any_case(text: str) -> str:
    """Return a regular expression for ASCII text in any case: the schema's dialect has no flag for it."""
    return "".join(f"[{each.upper()}{each}]" if each.isalpha() else each for each in text)


def _when(direction: Direction) -> Schema:
    values = _conditions(direction)
    return _table({key: values[key] for key in when.KEYS[direction]}, least=1)


def _conditions(direction: Direction) -> dict[str, Schema]:
    again: Schema = {"$ref": f"#/$defs/when_{direction.value}"}
    several = {"type": "array", "minItems": 1, "items": again}
    pattern = {**_TEXT, "maxLength": patterns.MAX_PATTERN}
    field = _table({"field": _matching(carriage.FIELD_NAME), "pattern": _some(pattern)}, ("field", "pattern"))
    return {
        **{key: _some({"anyOf": [*_special(word), _matching(_PATTERN)]}) for key, word in when.ADDRESSES.items()},
        **{key: _some(_words(words)) for key, words in when.CHOICES.items()},
        **{key: {"type": "boolean"} for key in (*when.FLAGS, when.SIGNED_HEADERS)},
        **{
            key: _some(_TEXT)
            for key in ("login", "listener", "group", "agency", "recipient_agency", "signer_agency", "family")
        },
        "attachment_type": _some(_matching(when.MEDIA_TYPE)),
        "attachment_name": _some(pattern),
        "link_host": _some(_matching(r"(\*\.)?[^@*\s]+")),
        "subject_contains": _some(_TEXT),
        "subject_matches": _some(pattern),
        "header_matches": _some(field),
        "larger_than": {"anyOf": [{"type": "integer", "minimum": 0}, _matching(when.SIZE)]},
        "hours": _some(_matching(when.HOURS)),
        "all": several,
        "any": several,
        "not": again,
    }


def _group(key: str) -> Schema:
    return _matching(_PATTERN) if key == "mailboxes" else _TEXT


def _special(word: str | None) -> list[Schema]:
    return [{"const": word}] if word is not None else []


def _some(item: Schema) -> Schema:
    """One, or a list of at least one."""
    return {"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]}


def _words(words: Iterable[str]) -> Schema:
    return {"enum": [str(each) for each in words]}


def _matching(pattern: str) -> Schema:
    """Return a text that is wholly of a pattern; blanks around it do not count, as the loader has it."""
    return {"type": "string", "maxLength": MAX_TEXT, "pattern": rf"^\s*({pattern})\s*$"}


def _named(value: Schema) -> Schema:
    """Return a section of names."""
    name = {"pattern": f"^{files.NAME}$"}
    return {"type": "object", "minProperties": 1, "propertyNames": name, "additionalProperties": value}


def _table(keys: dict[str, Schema], required: Iterable[str] = (), *, least: int = 0) -> Schema:
    """Return a section with known keys, each with its hint."""
    properties = {
        key: {**value, **({"description": HINTS[key]} if key in HINTS else {})} for key, value in keys.items()
    }
    section: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        section["required"] = list(required)
    if least:
        section["minProperties"] = least
    return section
