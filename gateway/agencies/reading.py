"""Reads a roll of agencies from a tree of values, whichever kind of file it came from, and says all that is wrong.

One mailbox, domain, subject or certificate belongs to one agency: a second claim is a mistake with both places.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.agencies.model import (
    MAX_AGENCIES,
    MAX_NAME,
    Agency,
    Claims,
    Kind,
    Protected,
    Roll,
    Subject,
    Succession,
    folded,
)
from gateway.yamlcheck import Checker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.yamltext import Document, Entry, Node, Place

K = TypeVar("K")

TOP_KEYS: Final = ("agencies", "successors", "protected", "official")
CLAIM_KEYS: Final = ("mailboxes", "domains", "subjects", "fingerprints")
AGENCY_KEYS: Final = ("id", "name", "english", "kind", "parent", "former", "short", *CLAIM_KEYS)
SUBJECT_KEYS: Final = ("organization", "unit", "domain")
_SUCCESSOR_KEYS: Final = ("old", "new", "not_for")
_PROTECTED_KEYS: Final = ("name", "names", "words", "domains")
_MOST_NAMES: Final = 20
"""Former, short or imitated names of one agency."""
_MOST_OTHERS: Final = 500
"""Successor domains, and protected agencies."""
_BETWEEN: Final = frozenset(";|")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SQUARE: Final = re.compile(r"[\[\]\u3010\u3011\uff3b\uff3d]")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


def read_roll(document: Document) -> Roll:
    """Return what a file says; raises one `SetupError` with every mistake as file:line:column."""
    checker = Checker(document)
    roll = _Reader(checker).roll()
    checker.finish()
    return roll


class _Reader:
    """Reads the file, noting who claimed what and where."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._ids: dict[str, Place] = {}
        self._taken: dict[object, tuple[Agency, Place]] = {}
        self._parents: dict[str, tuple[str, Place]] = {}

    def roll(self) -> Roll:
        """Read everything; mistakes are with the checker."""
        checker = self._checker
        top = checker.table(checker.root, known=TOP_KEYS, required=("agencies",))
        if top is None:
            return Roll()
        nodes = checker.items(top["agencies"].node)
        if len(nodes) > MAX_AGENCIES:
            checker.complain(nodes[MAX_AGENCIES].place, f"more than {MAX_AGENCIES} agencies")
        claims = tuple(found for node in nodes[:MAX_AGENCIES] if (found := self._claims(node)) is not None)
        self._check_parents()
        return Roll(
            claims,
            self._successions(top),
            tuple(each for node in self._others(top, "protected") if (each := self._protected(node)) is not None),
            self._patterns(top, "official"),
        )

    def _claims(self, node: Node) -> Claims | None:
        entries = self._checker.table(node, known=AGENCY_KEYS, required=("id", "name"))
        if entries is None:
            return None
        if not entries.keys() & set(CLAIM_KEYS):
            self._checker.complain(node.place, f"nothing can be found by it: needs one of {', '.join(CLAIM_KEYS)}")
        agency = self._agency(entries)
        return Claims(
            agency=agency,
            mailboxes=tuple(self._mailboxes(entries, agency)),
            domains=tuple(self._domains(entries, agency)),
            fingerprints=tuple(self._fingerprints(entries, agency)),
            subjects=tuple(self._subjects(entries, agency)),
        )

    def _agency(self, entries: Mapping[str, Entry]) -> Agency:
        checker = self._checker
        identifier = self._id(entries["id"]) or ""
        kind = checker.choice(entries["kind"].node, [each.value for each in Kind]) if "kind" in entries else None
        parent = checker.text(entries["parent"].node) if "parent" in entries else None
        if parent is not None and identifier:
            self._parents[identifier] = (parent, entries["parent"].node.place)
        return Agency(
            identifier,
            self._name(entries["name"].node) or "",
            self._name(entries["english"].node) if "english" in entries else None,
            Kind(kind) if kind is not None else Kind.KHAC,
            parent,
            self._names(entries, "former"),
            self._names(entries, "short"),
        )

    def _id(self, entry: Entry) -> str | None:
        identifier = self._checker.text(entry.node)
        if identifier is None:
            return None
        if not _ID.fullmatch(identifier):
            text = "an id has lower-case letters, digits, . - and _ only, at most 63"
            self._checker.complain(entry.node.place, text)
            return None
        first = self._ids.setdefault(identifier, entry.node.place)
        if first is not entry.node.place:
            text = f"an agency with the id {identifier!r} is already at {self._checker.place(first)}"
            self._checker.complain(entry.node.place, text)
        return identifier

    def _name(self, node: Node) -> str | None:
        text = self._checker.text(node)
        return self._fit(text, node.place) if text is not None else None

    def _fit(self, text: str, place: Place) -> str | None:
        name = unicodedata.normalize("NFC", text)
        if len(name) > MAX_NAME or any(unicodedata.category(each) in _UNFIT for each in name):
            what = f"a name has at most {MAX_NAME} characters, none of them invisible"
            self._checker.complain(place, what)
            return None
        if _SQUARE.search(name):
            self._checker.complain(place, "a name has no square brackets: they end a subject tag")
            return None
        return name

    def _names(self, entries: Mapping[str, Entry], key: str) -> tuple[str, ...]:
        if key not in entries:
            return ()
        node = entries[key].node
        texts = self._checker.texts(node)
        if len(texts) > _MOST_NAMES:
            self._checker.complain(node.place, f"more than {_MOST_NAMES} names")
        for text, place in texts:
            if not _BETWEEN.isdisjoint(text):
                self._checker.complain(place, f"{text[:80]!r} holds what stands between names in a table: ; or |")
        return tuple(name for text, place in texts[:_MOST_NAMES] if (name := self._fit(text, place)) is not None)

    def _check_parents(self) -> None:
        """Complain of parents that are not there, and of agencies that are above themselves."""
        checker = self._checker
        for identifier, (parent, place) in self._parents.items():
            if parent not in self._ids:
                checker.complain(place, f"no agency has the id {parent[:80]!r}")
                continue
            seen, above = {identifier}, parent
            while above not in seen and above in self._parents:
                seen.add(above)
                above = self._parents[above][0]
            if above == identifier:
                checker.complain(place, f"agency {identifier!r} would be its own parent")

    def _mailboxes(self, entries: Mapping[str, Entry], agency: Agency) -> Iterator[str]:
        for text, place in self._texts(entries, "mailboxes"):
            mailbox = self._checker.mailbox(text, place)
            if mailbox is not None and self._claim(mailbox, f"mailbox {mailbox}", agency, place):
                yield mailbox

    def _domains(self, entries: Mapping[str, Entry], agency: Agency) -> Iterator[str]:
        for text, place in self._texts(entries, "domains"):
            if not text.startswith("@"):
                what = f'a domain is written with its at sign: "@{text[:80].rpartition("@")[2]}"'
                self._checker.complain(place, what)
                continue
            domain = self._checker.domain(text[1:], place)
            if domain is not None and self._claim(f"@{domain}", f"domain @{domain}", agency, place):
                yield domain

    def _fingerprints(self, entries: Mapping[str, Entry], agency: Agency) -> Iterator[str]:
        for text, place in self._texts(entries, "fingerprints"):
            fingerprint = text.replace(":", "").replace(" ", "").lower()
            if not _FINGERPRINT.fullmatch(fingerprint):
                self._checker.complain(place, "must be a SHA-256 fingerprint: 64 hexadecimal digits")
            elif self._claim(fingerprint, f"certificate {fingerprint[:16]}...", agency, place):
                yield fingerprint

    def _subjects(self, entries: Mapping[str, Entry], agency: Agency) -> Iterator[Subject]:
        for node in self._checker.items(entries["subjects"].node) if "subjects" in entries else ():
            subject = self._subject(node)
            if subject is not None and self._claim(subject, f"subject {subject}", agency, node.place):
                yield subject

    def _subject(self, node: Node) -> Subject | None:
        checker = self._checker
        entries = checker.table(node, known=SUBJECT_KEYS, required=("domain",))
        if entries is None:
            return None
        place = entries["domain"].node.place
        text = checker.text(entries["domain"].node)
        domain = checker.domain(text.removeprefix("@"), place) if text is not None else None
        values = {key: checker.text(entries[key].node) for key in ("organization", "unit") if key in entries}
        if not values:
            checker.complain(node.place, "needs organization (O) or unit (OU)")
        if not values or domain is None or None in values.values():
            return None
        names = {key: folded(value) for key, value in values.items() if value is not None}
        return Subject(names.get("organization"), names.get("unit"), domain)

    def _texts(self, entries: Mapping[str, Entry], key: str) -> tuple[tuple[str, Place], ...]:
        return self._checker.texts(entries[key].node) if key in entries else ()

    def _claim(self, key: object, what: str, agency: Agency, place: Place) -> bool:
        """Note a claim; False, with a complaint, if it was made before."""
        first = self._taken.get(key)
        if first is None:
            self._taken[key] = (agency, place)
            return True
        owner, there = first
        whose = f"agency {owner.id!r}" if owner is not agency else "this agency"
        self._checker.complain(place, f"{what} is already claimed by {whose} at {self._checker.place(there)}")
        return False

    def _others(self, top: Mapping[str, Entry], key: str) -> tuple[Node, ...]:
        nodes = self._checker.items(top[key].node) if key in top else ()
        if len(nodes) > _MOST_OTHERS:
            self._checker.complain(nodes[_MOST_OTHERS].place, f"more than {_MOST_OTHERS} items")
        return nodes[:_MOST_OTHERS]

    def _successions(self, top: Mapping[str, Entry]) -> tuple[Succession, ...]:
        found: dict[str, tuple[Succession, Place]] = {}
        for node in self._others(top, "successors"):
            succession = self._succession(node)
            if succession is None:
                continue
            first = found.setdefault(succession.old, (succession, node.place))
            if first[1] is not node.place:
                text = f"old domain {succession.old!r} is already at {self._checker.place(first[1])}"
                self._checker.complain(node.place, text)
        for succession, place in found.values():
            if succession.new in found:
                text = f"{succession.new!r} is an old domain itself: name the last one"
                self._checker.complain(place, text)
        return tuple(succession for succession, _ in found.values())

    def _succession(self, node: Node) -> Succession | None:
        checker = self._checker
        entries = checker.table(node, known=_SUCCESSOR_KEYS, required=("old", "new"))
        if entries is None:
            return None
        domains: list[str] = []
        for key in ("old", "new"):
            text = checker.text(entries[key].node)
            domain = checker.domain(text.removeprefix("@"), entries[key].node.place) if text is not None else None
            domains += [domain] if domain is not None else []
        names: set[str] = set()
        for text, place in self._texts(entries, "not_for"):
            mailbox = checker.mailbox(text, place)
            if mailbox is not None and domains[:1] and not mailbox.endswith(f"@{domains[0]}"):
                checker.complain(place, f"not_for names mailboxes of the old domain, and {mailbox!r} is none")
            elif mailbox is not None:
                names.add(mailbox)
        return Succession(domains[0], domains[1], frozenset(names)) if len(domains) == len(("old", "new")) else None

    def _protected(self, node: Node) -> Protected | None:
        entries = self._checker.table(node, known=_PROTECTED_KEYS, required=("name", "domains"))
        if entries is None:
            return None
        names, words = self._names(entries, "names"), self._names(entries, "words")
        if not names and not words:
            self._checker.complain(node.place, "needs names or words by which imitations are known")
        name = self._name(entries["name"].node)
        return Protected(name or "", names, words, self._patterns(entries, "domains"))

    def _patterns(self, entries: Mapping[str, Entry], key: str) -> tuple[str, ...]:
        """Return domains, each "a.example", or "*.a.example" for all below it."""
        found: list[str] = []
        for text, place in self._texts(entries, key):
            domain = self._checker.domain(text.removeprefix("*.").removeprefix("@"), place)
            if domain is not None:
                found.append(f"*.{domain}" if text.startswith("*.") else domain)
        return tuple(found)
