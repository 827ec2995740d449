"""From `gateway.yaml` to `Settings`, with every mistake of the file reported at once as file:line:column.

Must never start anything on half a configuration, nor fill in what an administrator got wrong.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from gateway.config.model import Settings
from gateway.config.words import in_words
from gateway.core.address import domain_key
from gateway.core.errors import SetupError
from gateway.yamltext import MAX_CHARACTERS, Document, Items, Place, Scalar, Table, plain, read_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_NAMED: Final = (
    ("listeners", "name", "listener"),
    ("listeners", "address", "listening address"),
    ("hops", "name", "hop"),
    ("keys", "label", "key"),
    ("local_domains", "domain", "local domain"),
    ("outbound", "domain", "outbound route"),
)
_HOPS_OF: Final = (("local_domains", "local domain"), ("outbound", "outbound route"))
_PLACE: Final = re.compile(r".*?:(\d+):(\d+): ", re.DOTALL)


def load_settings(path: Path) -> Settings:
    """Return the settings in a file; raises one `SetupError` with all its mistakes.

    Relative paths in it are relative to the file's own directory.
    """
    return parse_settings(str(path), _text(path), directory=path.absolute().parent)


def parse_settings(name: str, text: str, *, directory: Path) -> Settings:
    """Return the settings in `text`; `name` stands in front of every mistake, relative paths begin at `directory`."""
    document = read_yaml(name, text)
    mistakes = list(document.mistakes)
    if not isinstance(document.root, Table):
        raise SetupError(*mistakes, document.at(document.root.place, "must be a section with keys"))
    placed = tuple(_cross_checks(document.root))
    mistakes += (document.at(place, sentence) for sentence, place in placed)
    settings: Settings | None = None
    try:
        # JSON mode is strict about types (no text as number, no number as text) but knows paths, enumerations, tuples
        settings = Settings.model_validate_json(json.dumps(plain(document.root)), strict=True)
    except ValidationError as error:
        mistakes += _in_words(document, error, known={sentence for sentence, _ in placed})
    if settings is None or mistakes:
        raise SetupError(*sorted(dict.fromkeys(mistakes), key=_order))
    return _with_directory(settings, directory)


def _order(mistake: str) -> tuple[int, int]:
    """Sort mistakes as they stand in the file."""
    match = _PLACE.match(mistake)
    return (int(match[1]), int(match[2])) if match is not None else (0, 0)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(4 * MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise SetupError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        before = octets[: error.start]
        line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        raise SetupError(f"{path}:{line}:{column}: not UTF-8") from error


def _in_words(document: Document, error: ValidationError, *, known: Collection[str]) -> Iterator[str]:
    """Yield the mistakes the types found; those of the whole file that were placed already are left out."""
    details = error.errors(include_url=False, include_input=False)
    inside = {detail["loc"][: len(detail["loc"]) - 1 - up] for detail in details for up in range(len(detail["loc"]))}
    for detail in details:
        if detail["type"] == "too_short" and detail["loc"] in inside:
            continue  # its items are there, only wrong themselves
        _, place = document.find(detail["loc"])
        if detail["loc"]:
            yield document.at(place, in_words(detail, Settings))
            continue
        for sentence in in_words(detail, Settings).split("; "):
            if sentence not in known:
                yield document.at(place, sentence)


def _cross_checks(root: Table) -> Iterator[tuple[str, Place]]:
    """Yield what does not fit together across sections, in the words of `Settings`, each with its exact place.

    Types see this only when nothing else is wrong; an administrator should see it in the same run.
    """
    for section, key, word in _NAMED:
        seen: set[str] = set()
        for text, place in _texts(root, section, key):
            name = domain_key(text) if key == "domain" else text
            if name in seen and not name.endswith(":0"):  # an address with any port that is free
                yield f"{word} {name!r} is defined twice", place
            seen.add(name)
    hops = {name for name, _ in _texts(root, "hops", "name")}
    for section, word in _HOPS_OF:
        for row in _rows(root, section):
            hop, domain = _text_at(row, "hop"), _text_at(row, "domain")
            if hop is not None and domain is not None and hop[0] not in hops:
                yield f"{word} {domain_key(domain[0])!r} names the unknown hop {hop[0]!r}", hop[1]
    everywhere = False
    for text, place in _texts(root, "outbound", "domain"):
        if everywhere:
            yield f'outbound route {domain_key(text)!r} stands behind "*" and is never used', place
        everywhere = everywhere or text == "*"


def _rows(root: Table, section: str) -> Iterator[Table]:
    entry = root.entry(section)
    if entry is not None and isinstance(entry.node, Items):
        yield from (node for node in entry.node.nodes if isinstance(node, Table))


def _texts(root: Table, section: str, key: str) -> Iterator[tuple[str, Place]]:
    yield from (found for row in _rows(root, section) if (found := _text_at(row, key)) is not None)


def _text_at(row: Table, key: str) -> tuple[str, Place] | None:
    entry = row.entry(key)
    if entry is not None and isinstance(entry.node, Scalar) and isinstance(entry.node.value, str):
        return entry.node.value, entry.node.place
    return None


def _with_directory(section: Settings, directory: Path) -> Settings:
    """Return the settings with every relative path made absolute."""
    return section.model_copy(update=_resolved(section, directory))


def _resolved(section: BaseModel, directory: Path) -> dict[str, Any]:
    return {name: _resolve(value, directory) for name, value in section}


def _resolve(value: Any, directory: Path) -> Any:
    """Return a setting with relative paths resolved, whatever it is made of; "no path is forgotten" beats a list."""
    if isinstance(value, Path):
        return directory / value
    if isinstance(value, BaseModel):
        return value.model_copy(update=_resolved(value, directory))
    if isinstance(value, tuple):
        return tuple(_resolve(each, directory) for each in value)
    return value
