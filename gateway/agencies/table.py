"""A roll of agencies as a table that office programs write: CSV with a heading (RFC 4180, and what Excel makes of it).

The table becomes the same tree of values as a YAML file, so that one reader says what is wrong with either, with the
place of the cell. It holds agencies only; successors, protected and official stand in the YAML file.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.agencies.model import MAX_AGENCIES
from gateway.agencies.reading import AGENCY_KEYS
from gateway.core.errors import SetupError
from gateway.yamlcheck import unknown_key
from gateway.yamltext import Document, Entry, Items, Place, Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.yamltext import Node

COLUMNS: Final = AGENCY_KEYS
LISTS: Final = frozenset({"former", "short", "mailboxes", "domains", "subjects", "fingerprints"})
"""Columns whose cells hold several values, with "|", ";" or a line break between them."""
VIETNAMESE: Final = {
    "ma": "id",
    "ten": "name",
    "tieng_anh": "english",
    "loai": "kind",
    "truc_thuoc": "parent",
    "ten_cu": "former",
    "viet_tat": "short",
    "hop_thu": "mailboxes",
    "ten_mien": "domains",
    "chu_the": "subjects",
    "dau_van_tay": "fingerprints",
}
"""Headings as an office writes them -> columns; diacritics and capitals do not count."""
_MOST_CHARACTERS: Final = 8 * 1024 * 1024
_DELIMITERS: Final = ";,\t"
_SEPARATOR: Final = re.compile(r"\s*[|;\r\n]+\s*")
_ADDRESS_SEPARATOR: Final = re.compile(r"[|;,\s]+")
_SUBJECT: Final = re.compile(r"(?:O=(?P<organization>.+?))?(?:,?\s*OU=(?P<unit>.+?))?\s*@\s*(?P<domain>\S+)")
_FORMULA: Final = re.compile(r'="(.*)"', re.DOTALL)


class Cell(NamedTuple):
    """One cell and where it begins."""

    text: str
    place: Place


def read_table(name: str, text: str) -> Document:
    """Return the table in `text` as a tree of values; raises `SetupError` where it cannot be read as a table."""
    if len(text) > _MOST_CHARACTERS:
        raise SetupError(f"{name}:1:1: the file is longer than {_MOST_CHARACTERS} characters")
    text = text.removeprefix("\ufeff")
    line, delimiter = 1, None
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.rstrip("\r")) == len("sep=;"):
        line, delimiter, text = 2, first[4], rest
    rows = _rows(name, text, delimiter or _delimiter(text), line)
    mistakes: list[str] = []
    columns = _columns(name, next(rows, []), mistakes)
    nodes: list[Node] = []
    for row in rows:
        if any(cell.text for cell in row):
            nodes.append(_agency(name, columns, row, mistakes))
        if len(nodes) > MAX_AGENCIES:
            break  # the reader of the tree says so
    root = Table((Entry("agencies", Place(1, 1), Items(tuple(nodes), Place(1, 1))),), Place(1, 1))
    return Document(name, root, tuple(mistakes))


def _delimiter(text: str) -> str:
    """Return what stands most often between the headings: a comma, or the semicolon of Excel in Vietnam."""
    heading = text.partition("\n")[0]
    return max(_DELIMITERS, key=heading.count)


def _rows(name: str, text: str, delimiter: str, line: int) -> Iterator[list[Cell]]:
    """Yield the rows; a quoted cell may hold delimiters, doubled quotes and line breaks."""
    ends = re.compile(rf"{re.escape(delimiter)}|\r?\n|\r|\Z")
    position, begin = 0, 0
    row: list[Cell] = []
    while position <= len(text):
        place = Place(line, position - begin + 1)
        value = ""
        if text.startswith('"', position):
            stop = position + 1
            while True:
                stop = text.find('"', stop)
                if stop < 0:
                    raise SetupError(f"{name}:{place.line}:{place.column}: a quotation mark is never closed")
                if not text.startswith('""', stop):
                    break
                stop += 2
            value = text[position + 1 : stop].replace('""', '"')
            breaks = value.count("\n")
            line += breaks
            begin = text.rfind("\n", 0, stop) + 1 if breaks else begin
            position = stop + 1
        end = ends.search(text, position)
        if end is None:
            return
        row.append(Cell(_clean(value + text[position : end.start()]), place))
        position = end.end()
        if end[0] != delimiter:
            yield row
            row, line, begin = [], line + 1, position
            if not end[0] or position == len(text):
                return


def _clean(text: str) -> str:
    """Return a cell's text without what office programs put around it."""
    text = text.replace("\u00a0", " ").strip()
    formula = _FORMULA.fullmatch(text)
    text = formula[1].strip() if formula is not None else text
    return text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@") else text


def _columns(name: str, heading: Sequence[Cell], mistakes: list[str]) -> list[str | None]:
    columns: list[str | None] = []
    for cell in heading:
        key = _folded(cell.text)
        key = VIETNAMESE.get(key, key)
        if key and key not in COLUMNS:
            mistakes.append(f"{name}:{cell.place.line}:{cell.place.column}: {unknown_key(key, COLUMNS)}")
        elif key and key in columns:
            mistakes.append(f"{name}:{cell.place.line}:{cell.place.column}: column {key!r} stands here again")
        columns.append(key if key in COLUMNS and key not in columns else None)
    return columns


def _folded(text: str) -> str:
    """Return words as codes are written: "Bệnh viện" is "benh_vien"."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d"))
    return re.sub(r"[\s_-]+", "_", "".join(each for each in plain if unicodedata.category(each) != "Mn")).strip("_")


def _agency(name: str, columns: Sequence[str | None], row: Sequence[Cell], mistakes: list[str]) -> Table:
    place = row[0].place
    entries: list[Entry] = []
    for index, cell in enumerate(row):
        if not cell.text:
            continue
        if index >= len(columns):
            mistakes.append(f"{name}:{cell.place.line}:{cell.place.column}: a cell without a heading above it")
            break
        column = columns[index]
        if column is not None:
            entries.append(Entry(column, cell.place, _value(column, cell)))
    return Table(tuple(entries), place)


def _value(column: str, cell: Cell) -> Node:
    if column == "kind":
        return Scalar(_folded(cell.text), cell.place)
    if column not in LISTS:
        return Scalar(cell.text, cell.place)
    separator = _ADDRESS_SEPARATOR if column in {"mailboxes", "domains"} else _SEPARATOR
    texts = [each for each in separator.split(cell.text) if each]
    if column == "domains":
        texts = [f"@{each.removeprefix('@')}" for each in texts]
    if column == "subjects":
        return Items(tuple(_subject(each, cell.place) for each in texts), cell.place)
    return Items(tuple(Scalar(each, cell.place) for each in texts), cell.place)


def _subject(text: str, place: Place) -> Node:
    """Return "O=SỞ Y TẾ, OU=PHÒNG A @songlam.example" as a section; what is not written so is left to be refused."""
    match = _SUBJECT.fullmatch(text)
    if match is None:
        return Scalar(text, place)
    found = {key: value for key, value in match.groupdict().items() if value}
    return Table(tuple(Entry(key, place, Scalar(value, place)) for key, value in found.items()), place)
