"""YAML text as a tree of plain values in which each key and value knows its place (YAML 1.2.2 10.3, core schema).

Must never run a tag, guess at `yes`, or keep the last of two equal keys; size, depth and aliases are bounded, because
policy files may come from delegated administrators. Documents are read event by event: nothing here recurses.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from gateway.core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CHARACTERS: Final = 1024 * 1024
MAX_DEPTH: Final = 32
"""A scanner takes a minute for 20,000 open brackets: the tree is refused long before."""
MAX_NODES: Final = 50_000
"""Values in one document, counted again wherever an alias repeats them ("billion laughs")."""
_MAX_DIGITS: Final = 18
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BIDI: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels"
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}

Atom = str | int | float | bool | None
Plain = Atom | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; both count from 1, columns in characters."""

    line: int
    column: int


START: Final = Place(1, 1)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value; `value` follows the core schema where it was not quoted."""

    value: Atom
    place: Place


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    nodes: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value."""

    key: str
    key_place: Place
    node: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; keys are unique, the first of two equal ones stays."""

    entries: tuple[Entry, ...]
    place: Place

    def entry(self, key: str) -> Entry | None:
        """Return the entry of this key."""
        return next((each for each in self.entries if each.key == key), None)


Node = Scalar | Items | Table


@dataclass(frozen=True, slots=True)
class Document:
    """A file as read: its tree, and the mistakes that did not stop the reading (each with its place)."""

    name: str
    root: Node
    mistakes: tuple[str, ...]

    def at(self, place: Place, text: str) -> str:
        """Return a mistake's line: FILE:LINE:COLUMN: text."""
        return f"{self.name}:{place.line}:{place.column}: {text}"

    def find(self, path: Sequence[str | int]) -> tuple[Node, Place]:
        """Return the deepest existing node on the path, and the place of the last step (its key, where it has one)."""
        node, place = self.root, self.root.place
        for step in path:
            if isinstance(node, Table) and isinstance(step, str) and (entry := node.entry(step)) is not None:
                node, place = entry.node, entry.key_place
            elif isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node.nodes):
                node = node.nodes[step]
                place = node.place
            else:
                break
        return node, place


def plain(node: Node) -> Plain:
    """Return a tree without places; no deeper than `MAX_DEPTH`, so recursion is safe."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [plain(each) for each in node.nodes]
        case Table():
            return {each.key: plain(each.node) for each in node.entries}


def read_yaml(name: str, text: str, *, most_characters: int = MAX_CHARACTERS, most_nodes: int = MAX_NODES) -> Document:
    """Return the one document in `text`; raises `SetupError` where reading cannot go on."""
    if len(text) > most_characters:
        raise SetupError(f"{name}:1:1: the file is longer than {most_characters} characters")
    text = text.removeprefix("\ufeff")
    hidden = _BIDI.search(text)
    if hidden is not None:
        # "Trojan Source" (CVE-2021-42574): such characters show a reviewer another text than the one that counts
        place = _place_of(text, hidden.start())
        raise SetupError(f"{name}:{place.line}:{place.column}: holds an invisible direction control character")
    reader, quote = _Reader(name, most_nodes), ""
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            reader.take(event)
            quote = _long_quote(event) or quote
    except _Stop as stop:
        raise SetupError(*reader.mistakes, f"{name}:{stop.place.line}:{stop.place.column}: {stop}") from None
    except MarkedYAMLError as error:
        open_quote = error.context_mark is not None and "end of stream" in (error.problem or "")
        mark = error.context_mark if open_quote else error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else START
        problem = " ".join(filter(None, (error.problem, error.context))) or "cannot be read"
        raise SetupError(
            *reader.mistakes, f"{name}:{place.line}:{place.column}: not valid YAML: {problem}{quote}"
        ) from error
    except ReaderError as error:
        place = _place_of(text, error.position)
        raise SetupError(f"{name}:{place.line}:{place.column}: holds a control character") from error
    except (YAMLError, ValueError, AttributeError, TypeError, IndexError) as error:
        # the scanner's own bugs on odd input must not look like bugs of ours
        raise SetupError(*reader.mistakes, f"{name}:1:1: not valid YAML") from error
    return Document(name, reader.root if reader.root is not None else Scalar(None, START), tuple(reader.mistakes))


def _long_quote(event: Event) -> str:
    """Return where a text in quotes began that went over several lines: its closing quote may be missing there."""
    if not isinstance(event, ScalarEvent) or event.style not in {"'", '"'}:
        return ""
    begin = event.start_mark
    if event.end_mark.line == begin.line:
        return ""
    return f"; is the quote of line {begin.line + 1}, column {begin.column + 1} closed on its line?"


def _place_of(text: str, position: int) -> Place:
    """Return the place of a character by its position."""
    before = text[:position]
    return Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


class _Stop(Exception):  # noqa: N818 - not an error of its own, it carries one to its seam
    """Reading cannot go on at this place."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.place = place


@dataclass(frozen=True, slots=True)
class _Built:
    """A finished node, the values it stands for with every alias counted, and its height."""

    node: Node
    weight: int = 1
    height: int = 0


@dataclass(slots=True)
class _Open:
    """A sequence or mapping that is not closed yet."""

    place: Place
    anchor: str | None
    mapping: bool
    nodes: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: Scalar | None = None
    weight: int = 1
    height: int = 1


class _Reader:
    """Builds the tree from events."""

    def __init__(self, name: str, most_nodes: int) -> None:
        self.name = name
        self._most_nodes = most_nodes
        self.root: Node | None = None
        self.mistakes: list[str] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, _Built] = {}
        self._documents = 0
        self._nodes = 0

    def take(self, event: Event) -> None:
        """Take the next event."""
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case DocumentStartEvent():
                self._begin_document(event, place)
            case AliasEvent():
                self._add(self._repeated(event, place), place)
            case ScalarEvent():
                self._refuse_tag(event, place)
                self._anchored(event.anchor, _Built(self._scalar(event, place)))
            case SequenceStartEvent() | MappingStartEvent():
                self._refuse_tag(event, place)
                if len(self._open) >= MAX_DEPTH:
                    raise _Stop(place, _TOO_DEEP)
                self._open.append(_Open(place, event.anchor, isinstance(event, MappingStartEvent)))
            case SequenceEndEvent() | MappingEndEvent():
                self._close()
            case _:
                return

    def _begin_document(self, event: DocumentStartEvent, place: Place) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _Stop(place, "a second document begins here; a file holds one")
        if event.version not in {None, (1, 2)} or event.tags:
            raise _Stop(place, "directives are not used here")

    def _refuse_tag(self, event: ScalarEvent | CollectionStartEvent, place: Place) -> None:
        if event.tag is not None:
            raise _Stop(place, "tags (!...) are not used here")

    def _repeated(self, event: AliasEvent, place: Place) -> _Built:
        known = self._anchors.get(event.anchor)
        if known is None:
            raise _Stop(place, f"*{event.anchor} repeats something that is not complete before it")
        return known

    def _scalar(self, event: ScalarEvent, place: Place) -> Scalar:
        if not event.implicit[0]:
            return Scalar(event.value, place)
        return Scalar(self._resolve(event.value, place), place)

    def _resolve(self, text: str, place: Place) -> Atom:
        """Return the value of an unquoted scalar: null, true, false, numbers, and everything else is text."""
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            digits = text.lstrip("+-")
            if len(digits) > _MAX_DIGITS or (len(digits) > 1 and digits[0] == "0" and digits.isdigit()):
                self._complain(place, "a number with leading zeros or too many digits: put text in quotes")
                return 0
            return int(text, 0)
        if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
            number = math.inf if _NOT_FINITE.fullmatch(text) else float(text)
            if not math.isfinite(number):
                self._complain(place, "infinite numbers are not used here")
                return 0
            return number
        return text

    def _complain(self, place: Place, text: str) -> None:
        self.mistakes.append(f"{self.name}:{place.line}:{place.column}: {text}")

    def _close(self) -> None:
        frame = self._open.pop()
        node: Node
        if frame.mapping:
            node = Table(tuple(frame.entries.values()), frame.place)
        else:
            node = Items(tuple(frame.nodes), frame.place)
        self._anchored(frame.anchor, _Built(node, frame.weight, frame.height))

    def _anchored(self, anchor: str | None, built: _Built) -> None:
        if anchor is not None:
            self._anchors[anchor] = built
        self._add(built, built.node.place)

    def _add(self, built: _Built, place: Place) -> None:
        """Put a finished node where it belongs: into the open collection, as a key, or as the root."""
        if not self._open:
            self.root = built.node
            return
        frame = self._open[-1]
        frame.weight += built.weight
        frame.height = max(frame.height, built.height + 1)
        if len(self._open) + built.height > MAX_DEPTH:
            raise _Stop(place, _TOO_DEEP)
        self._nodes += 1
        if frame.weight > self._most_nodes or self._nodes > self._most_nodes:
            raise _Stop(place, f"more than {self._most_nodes} values, those repeated by aliases included")
        node = built.node
        if not frame.mapping:
            frame.nodes.append(node)
        elif frame.key is None:
            frame.key = self._key(node)
        else:
            self._pair(frame, frame.key, node)
            frame.key = None

    def _key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            raise _Stop(node.place, "a key must be one word")
        if not isinstance(node.value, str):
            self._complain(node.place, "a key must be text: put it in quotes")
        elif node.value == "<<":
            self._complain(node.place, "merge keys (<<) are not used here")
        return node

    def _pair(self, frame: _Open, key: Scalar, node: Node) -> None:
        if not isinstance(key.value, str) or key.value == "<<":
            return
        first = frame.entries.get(key.value)
        if first is not None:
            first_line = first.key_place.line
            self._complain(key.place, f"key {key.value!r} stands here again; it is first at line {first_line}")
            return
        frame.entries[key.value] = Entry(key.value, key.place, node)
