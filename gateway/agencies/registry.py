"""The agencies an administrator listed, found by certificate or by mailbox (RFC 8550 3, RFC 5280 4.1.2.6).

The registry only names: whom to trust was decided before, by the certification path. It must never go by a common name,
which anybody may bear, and never choose between two agencies: where a certificate names both, it names none.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from gateway.core.address import Mailbox
from gateway.yamlcheck import Checker
from gateway.yamltext import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.yamltext import Entry, Node, Place

K = TypeVar("K")

MAX_AGENCIES: Final = 5000
MAX_NAME: Final = 100
"""Characters of a name: it stands in subjects."""
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_KEYS: Final = ("id", "name", "english", "mailboxes", "domains", "subjects", "fingerprints")
_CLAIMS: Final = _KEYS[3:]
_SUBJECT_KEYS: Final = ("organization", "unit", "domain")
_UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SQUARE: Final = re.compile(r"[\[\]\u3010\u3011\uff3b\uff3d]")
_ESCAPE: Final = re.compile(r"\\(.)")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_ATTRIBUTE: Final = re.compile(r"(?:^|, )(O|OU)=((?:[^\\,]|\\.)*)")
"""An attribute of a subject as `Certificate.subject` writes it: what would look like another one is escaped there."""


class Named(Protocol):
    """What the registry reads of a certificate."""

    @property
    def san_addresses(self) -> tuple[str, ...]:
        """Mailboxes of its subjectAltName."""
        ...

    @property
    def legacy_addresses(self) -> tuple[str, ...]:
        """Mailboxes of the subject itself."""
        ...

    @property
    def subject(self) -> str:
        """The subject as text, special characters escaped (RFC 4514 2.4)."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER, hexadecimal, lower case."""
        ...


@dataclass(frozen=True, slots=True)
class Agency:
    """One agency; `name` is Vietnamese, NFC."""

    id: str
    name: str
    english: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """O and OU values as they are compared (NFC, case folded; None asks nothing), good at one mail domain only.

    "SỞ Y TẾ" alone is the name of a department in every province: the certificate must also name a mailbox there.
    """

    organization: str | None
    unit: str | None
    domain: str

    def __str__(self) -> str:
        parts = (("O", self.organization), ("OU", self.unit))
        return ", ".join(f"{kind}={value}" for kind, value in parts if value is not None) + f" at @{self.domain}"


@dataclass(frozen=True, slots=True)
class Registry:
    """Agencies by exact mailbox, by domain, by subject and by certificate; a mailbox goes before its domain."""

    agencies: tuple[Agency, ...]
    by_mailbox: Mapping[str, Agency]
    """By `Mailbox.key`, and by "@domain" for every other mailbox there."""
    by_subject: Mapping[str, tuple[tuple[Subject, Agency], ...]]
    """By domain."""
    by_fingerprint: Mapping[str, Agency]

    @classmethod
    def empty(cls) -> Registry:
        """Return the registry that knows nobody."""
        return cls((), MappingProxyType({}), MappingProxyType({}), MappingProxyType({}))

    @classmethod
    def load(cls, name: str, text: str) -> Registry:
        """Return the registry in a file; raises one `SetupError` with every mistake as file:line:column."""
        checker = Checker(read_yaml(name, text))
        reader = _Reader(checker)
        reader.read()
        checker.finish()
        subjects: dict[str, tuple[tuple[Subject, Agency], ...]] = {}
        for subject, (agency, _) in reader.subjects.items():
            subjects[subject.domain] = (*subjects.get(subject.domain, ()), (subject, agency))
        return cls(
            tuple(reader.agencies),
            MappingProxyType({key: agency for key, (agency, _) in reader.mailboxes.items()}),
            MappingProxyType(subjects),
            MappingProxyType({key: agency for key, (agency, _) in reader.fingerprints.items()}),
        )

    def agency_of_mailbox(self, mailbox: Mailbox) -> Agency | None:
        """Return the agency that has this mailbox: by itself, else by its domain."""
        key = mailbox.key
        return self.by_mailbox.get(key) or self.by_mailbox.get(f"@{key.rpartition('@')[2]}")

    def agency_of(self, certificate: Named) -> Agency | None:
        """Return the agency of a certificate that was found good: by fingerprint, then mailboxes, then O and OU.

        Addresses in the subject count only where the subjectAltName has none (RFC 8550 3).
        """
        pinned = self.by_fingerprint.get(certificate.fingerprint) if self.by_fingerprint else None
        if pinned is not None:
            return pinned
        mailboxes = tuple(_mailboxes(certificate.san_addresses or certificate.legacy_addresses))
        found = {agency for each in mailboxes if (agency := self.agency_of_mailbox(each)) is not None}
        if not found:
            found = self._by_subject(certificate, mailboxes)
        return found.pop() if len(found) == 1 else None

    def agency_name(self, certificate: Named) -> str | None:
        """Return the name of the certificate's agency, as `agency_of` finds it."""
        agency = self.agency_of(certificate)
        return agency.name if agency is not None else None

    def _by_subject(self, certificate: Named, mailboxes: Iterable[Mailbox]) -> set[Agency]:
        domains = {each.key.rpartition("@")[2] for each in mailboxes} & self.by_subject.keys()
        if not domains:
            return set()
        values: dict[str, set[str | None]] = {"O": {None}, "OU": {None}}
        for match in _ATTRIBUTE.finditer(certificate.subject):
            values[match[1]].add(_folded(_ESCAPE.sub(r"\1", match[2])))
        return {
            agency
            for domain in domains
            for subject, agency in self.by_subject[domain]
            if subject.organization in values["O"] and subject.unit in values["OU"]
        }


def _folded(text: str) -> str:
    """Return the form in which names are compared: composed, case folded, and composed again."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _mailboxes(addresses: Iterable[str]) -> Iterator[Mailbox]:
    for each in addresses:
        with contextlib.suppress(ValueError):
            yield Mailbox.parse(each)


class _Reader:
    """Reads the file, noting who claimed what and where."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._ids: dict[str, Place] = {}
        self.agencies: list[Agency] = []
        self.mailboxes: dict[str, tuple[Agency, Place]] = {}
        self.subjects: dict[Subject, tuple[Agency, Place]] = {}
        self.fingerprints: dict[str, tuple[Agency, Place]] = {}

    def read(self) -> None:
        """Read everything; mistakes are with the checker."""
        top = self._checker.table(self._checker.root, known=("agencies",), required=("agencies",))
        nodes = self._checker.items(top["agencies"].node) if top is not None else ()
        if len(nodes) > MAX_AGENCIES:
            self._checker.complain(nodes[MAX_AGENCIES].place, f"more than {MAX_AGENCIES} agencies")
        for node in nodes[:MAX_AGENCIES]:
            self._agency(node)

    def _agency(self, node: Node) -> None:
        entries = self._checker.table(node, known=_KEYS, required=("id", "name"))
        if entries is None:
            return
        identifier, name = self._id(entries["id"]), self._name(entries["name"].node)
        english = self._name(entries["english"].node) if "english" in entries else None
        if not entries.keys() & set(_CLAIMS):
            self._checker.complain(node.place, f"nothing can be found by it: needs one of {', '.join(_CLAIMS)}")
        agency = Agency(identifier or "", name or "", english)
        self.agencies.append(agency)
        self._claims(entries, agency)

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
        if text is None:
            return None
        name = unicodedata.normalize("NFC", text)
        if len(name) > MAX_NAME or any(unicodedata.category(each) in _UNFIT for each in name):
            what = f"a name has at most {MAX_NAME} characters, none of them invisible"
            self._checker.complain(node.place, what)
            return None
        if _SQUARE.search(name):
            self._checker.complain(node.place, "a name has no square brackets: they end a subject tag")
            return None
        return name

    def _claims(self, entries: Mapping[str, Entry], agency: Agency) -> None:
        checker = self._checker
        for text, place in checker.texts(entries["mailboxes"].node) if "mailboxes" in entries else ():
            mailbox = checker.mailbox(text, place)
            if mailbox is not None:
                self._claim(self.mailboxes, mailbox, f"mailbox {mailbox}", agency, place)
        for text, place in checker.texts(entries["domains"].node) if "domains" in entries else ():
            if not text.startswith("@"):
                checker.complain(place, f'a domain is written with its at sign: "@{text[:80].rpartition("@")[2]}"')
                continue
            domain = checker.domain(text[1:], place)
            if domain is not None:
                self._claim(self.mailboxes, f"@{domain}", f"domain @{domain}", agency, place)
        for text, place in checker.texts(entries["fingerprints"].node) if "fingerprints" in entries else ():
            fingerprint = text.replace(":", "").replace(" ", "").lower()
            if not _FINGERPRINT.fullmatch(fingerprint):
                checker.complain(place, "must be a SHA-256 fingerprint: 64 hexadecimal digits")
                continue
            self._claim(self.fingerprints, fingerprint, f"certificate {fingerprint[:16]}...", agency, place)
        for node in checker.items(entries["subjects"].node) if "subjects" in entries else ():
            subject = self._subject(node)
            if subject is not None:
                self._claim(self.subjects, subject, f"subject {subject}", agency, node.place)

    def _subject(self, node: Node) -> Subject | None:
        checker = self._checker
        entries = checker.table(node, known=_SUBJECT_KEYS, required=("domain",))
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
        folded = {key: _folded(value) for key, value in values.items() if value is not None}
        return Subject(folded.get("organization"), folded.get("unit"), domain)

    def _claim(self, taken: dict[K, tuple[Agency, Place]], key: K, what: str, agency: Agency, place: Place) -> None:
        first = taken.get(key)
        if first is None:
            taken[key] = (agency, place)
            return
        owner, there = first
        whose = f"agency {owner.id!r}" if owner is not agency else "this agency"
        self._checker.complain(place, f"{what} is already claimed by {whose} at {self._checker.place(there)}")
