"""Walks a YAML tree and says all that is wrong with it, in words an administrator understands (YAML 1.2.2).

A checker must never stop at the first mistake, and never hand out a value it complained about.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox, domain_key
from gateway.core.errors import SetupError
from gateway.yamltext import Document, Entry, Items, Node, Place, Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
MAX_TEXT: Final = 400
"""Characters of one text: it may stand in an SMTP reply or a header field."""


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence for a key that does not exist, with the nearest one that does."""
    return f"unknown key {key[:80]!r}{_hint(key, known)}"


def _hint(word: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(word[:80], list(known), n=1)
    return f", did you mean '{nearest[0]}'?" if nearest else ""


class Checker:
    """Reads one document piece by piece; a piece that is wrong is None and stands in `mistakes`."""

    def __init__(self, document: Document) -> None:
        """Begin with the mistakes the reading found."""
        self._document = document
        self.mistakes: list[str] = list(document.mistakes)

    @property
    def root(self) -> Node:
        """The whole document."""
        return self._document.root

    def complain(self, place: Place, text: str) -> None:
        """Note a mistake."""
        self.mistakes.append(self._document.at(place, text))

    def finish(self) -> None:
        """Raise `SetupError` if there was any mistake."""
        if self.mistakes:
            raise SetupError(*self.mistakes)

    def place(self, place: Place) -> str:
        """Return a place as FILE:LINE:COLUMN."""
        return f"{self._document.name}:{place.line}:{place.column}"

    def table(self, node: Node, *, known: Collection[str], required: Collection[str] = ()) -> dict[str, Entry] | None:
        """Return a section's entries by key: unknown keys left out, None if it is no section or lacks a key."""
        if not isinstance(node, Table):
            self.complain(node.place, f"must be a section with keys ({', '.join(known)})")
            return None
        for entry in node.entries:
            if entry.key not in known:
                self.complain(entry.key_place, unknown_key(entry.key, known))
        found = {entry.key: entry for entry in node.entries if entry.key in known}
        missing = [key for key in required if key not in found]
        for key in missing:
            self.complain(node.place, f"key {key!r} is missing")
        return None if missing else found

    def items(self, node: Node) -> tuple[Node, ...]:
        """Return a list's items; complains and returns none if it is no list, or empty."""
        if not isinstance(node, Items) or not node.nodes:
            self.complain(node.place, "must be a list with at least one item")
            return ()
        return node.nodes

    def text(self, node: Node) -> str | None:
        """Return a text of 1 to `MAX_TEXT` characters without control characters."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            self.complain(node.place, "must be text" + (": put it in quotes" if isinstance(node, Scalar) else ""))
            return None
        text = node.value.strip()
        if not text or len(text) > MAX_TEXT:
            self.complain(node.place, f"must be a text of 1 to {MAX_TEXT} characters")
            return None
        if _CONTROLS.search(text):
            self.complain(node.place, "holds line breaks or control characters")
            return None
        return text

    def texts(self, node: Node) -> tuple[tuple[str, Place], ...]:
        """Return one text, or each text of a list, with its place."""
        nodes = self.items(node) if isinstance(node, Items) else (node,)
        return tuple((text, each.place) for each in nodes if (text := self.text(each)) is not None)

    def choice(self, node: Node, choices: Collection[str]) -> str | None:
        """Return a word that is one of the choices."""
        word = self.text(node)
        if word is None or word in choices:
            return word
        self.complain(node.place, f"must be one of: {', '.join(choices)}{_hint(word, choices)}")
        return None

    def flag(self, node: Node) -> bool | None:
        """Return true or false."""
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.complain(node.place, "must be true or false")
        return None

    def domain(self, text: str, place: Place) -> str | None:
        """Return the key of a domain name."""
        try:
            return domain_key(Mailbox.parse(f"x@{text}").domain)
        except ValueError:
            self.complain(place, f"not a mail domain: {text[:80]!r}")
            return None

    def mailbox(self, text: str, place: Place) -> str | None:
        """Return the key of a mailbox."""
        try:
            return Mailbox.parse(text).key
        except ValueError:
            self.complain(place, f"not a mailbox: {text[:80]!r}")
            return None
