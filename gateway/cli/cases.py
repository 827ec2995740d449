"""Reads test cases of policies: `policies/cases/*.yaml` to values, each mistake and each case with its place.

A case that says something nobody checks is worse than none: unknown keys and words are mistakes, not comments.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.cli.case_findings import NOTHING_STATED, Found, read_found
from gateway.cli.case_mail import File, Mail
from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.policy.model import FORMS, TRAITS
from gateway.ports import KeyKind
from gateway.yamlcheck import Checker
from gateway.yamltext import Items, Scalar, Table, read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.core.address import ReversePath
    from gateway.yamltext import Entry, Node

T = TypeVar("T")

TOP_KEYS: Final = ("domains", "agencies", "cases")
CASE_KEYS: Final = (
    "name",
    "direction",
    "as",
    "listener",
    "may_send_as",
    "sender",
    "keys",
    "at",
    "message",
    "found",
    "turn_on",
    "to",
    "expect",
)
MESSAGE_KEYS: Final = (
    "file",
    "from",
    "subject",
    "text",
    "attachments",
    "form",
    "traits",
    "headers",
    "octets",
    "signed",
)
EXPECT_KEYS: Final = ("to", "rule", "decision", "key", "form", "hop", "reply")
SIGNED: Final = ("by_author", "by_other", "broken")
KINDS: Final = tuple(each.value for each in KeyKind)
NONE: Final = "none"
"""Stands for what there is not: no rule was reached, no key of ours signed, nothing is sent."""
KEYS: Final = (*KINDS, NONE)
MAX_OCTETS: Final = 64 * 1024 * 1024
MAX_CASES: Final = 5000


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected, for one recipient or (`to` None) for all others; None where nothing is said."""

    place: str
    to: Mailbox | None
    words: Mapping[str, str]
    """Of `EXPECT_KEYS` but "to": what it is to be, and for "decision" what its line begins with."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Who is whose in the cases of a file, where no configuration says so."""

    domains: tuple[str, ...] = ()
    """Keys of domains whose mail comes in here."""
    agencies: tuple[tuple[str, frozenset[str]], ...] = ()
    """Id of an agency, and keys of mailboxes and "@domain"s that it has."""


NOWHERE: Final = Surroundings()


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    place: str
    name: str
    direction: Direction
    mail: Mail | Path
    signed: str | None
    recipients: tuple[Mailbox, ...]
    expected: tuple[Expected, ...]
    login: str | None = None
    listener: str | None = None
    may_send_as: frozenset[str] | None = None
    """Addresses of the login; None: whatever From and the reverse-path need."""
    sender: ReversePath | None = None
    keys: frozenset[KeyKind] = frozenset(KeyKind)
    """Kinds of keys that exist for the author."""
    at: dt.datetime | None = None
    found: Found = NOTHING_STATED
    turned_on: frozenset[str] = frozenset()
    """Prepared rules that are active in this case."""
    surroundings: Surroundings = field(default_factory=lambda: NOWHERE)


def case_files(directory: Path) -> tuple[Path, ...]:
    """Return the files of cases that belong to a policy directory, in lexical order; raises `SetupError`."""
    folder = directory / "cases"
    try:
        return tuple(sorted(each for each in folder.iterdir() if each.suffix == ".yaml")) if folder.is_dir() else ()
    except OSError as error:
        raise SetupError(f"{folder}: cannot be read: {error.strerror}") from error


def read_cases(directory: Path) -> tuple[Case, ...]:
    """Return every case of a policy directory; raises one `SetupError` with every mistake in any file."""
    mistakes: list[str] = []
    cases: list[Case] = []
    for file in case_files(directory):
        try:
            reader = _Reader(Checker(read_yaml(str(file), file.read_text(encoding="utf-8"))), file.parent)
        except SetupError as error:
            mistakes += error.mistakes
            continue
        except (OSError, UnicodeDecodeError) as error:
            mistakes.append(f"{file}: cannot be read: {error}")
            continue
        cases += reader.cases()
        mistakes += reader.checker.mistakes
    if len(cases) > MAX_CASES:
        mistakes.append(f"{cases[MAX_CASES].place}: more than {MAX_CASES} cases")
    if mistakes:
        raise SetupError(*mistakes)
    return tuple(cases)


class _Reader:
    """Reads one file."""

    def __init__(self, checker: Checker, folder: Path) -> None:
        self.checker = checker
        self._folder = folder

    def cases(self) -> list[Case]:
        top = self.checker.table(self.checker.root, known=TOP_KEYS, required=("cases",))
        if top is None:
            return []
        surroundings = self._surroundings(top)
        found = [self._case(node, surroundings) for node in self.checker.items(top["cases"].node)]
        return [each for each in found if each is not None]

    def _surroundings(self, top: Mapping[str, Entry]) -> Surroundings:
        checker = self.checker
        texts = checker.texts(top["domains"].node) if "domains" in top else ()
        domains = tuple(key for text, place in texts if (key := checker.domain(text, place)) is not None)
        agencies: list[tuple[str, frozenset[str]]] = []
        if "agencies" in top:
            section = top["agencies"].node
            if not isinstance(section, Table):
                checker.complain(section.place, "must be a section: the id of each agency, and its mailboxes")
            else:
                agencies += [(each.key, self._authors(each.node)) for each in section.entries]
        return Surroundings(domains, tuple(agencies))

    def _case(self, node: Node, surroundings: Surroundings) -> Case | None:
        checker, before = self.checker, len(self.checker.mistakes)
        entries = checker.table(node, known=CASE_KEYS, required=("name", "direction", "message", "to", "expect"))
        if entries is None:
            return None
        name = checker.text(entries["name"].node)
        word = checker.choice(entries["direction"].node, [each.value for each in Direction])
        message = self._message(entries["message"].node)
        recipients = self._mailboxes(entries["to"].node)
        expected = self._expectations(entries["expect"].node, recipients)
        login = self._optional(entries, "as", checker.text)
        listener = self._optional(entries, "listener", checker.text)
        authors = self._optional(entries, "may_send_as", self._authors)
        sender = self._sender(entries["sender"].node) if "sender" in entries else None
        keys = self._optional(entries, "keys", self._keys)
        at = self._optional(entries, "at", self._moment)
        found = self._found(entries["found"], word, message) if "found" in entries else NOTHING_STATED
        turned_on = checker.texts(entries["turn_on"].node) if "turn_on" in entries else ()
        if len(checker.mistakes) > before or name is None or word is None or message is None:
            return None
        return Case(
            place=checker.place(node.place),
            name=name,
            direction=Direction(word),
            mail=message[0],
            signed=message[1],
            recipients=recipients,
            expected=expected,
            login=login,
            listener=listener,
            may_send_as=authors,
            sender=sender,
            keys=keys if keys is not None else frozenset(KeyKind),
            at=at,
            found=found,
            turned_on=frozenset(text for text, _ in turned_on),
            surroundings=surroundings,
        )

    def _found(self, entry: Entry, direction: str | None, message: tuple[Mail | Path, str | None] | None) -> Found:
        """Return what is stated of an incoming message that the case makes."""
        found, place = read_found(self.checker, entry.node) or NOTHING_STATED, entry.key_place
        mail, signed = message if message is not None else (None, None)
        if direction != Direction.INBOUND.value or isinstance(mail, Path):
            self.checker.complain(place, "only of incoming mail that the case itself makes anything can be stated")
        elif mail is not None and found.needs_signature and signed is None:
            self.checker.complain(place, "a message that is not 'signed' can have no such verdict or family")
        return found

    @staticmethod
    def _optional(entries: Mapping[str, Entry], key: str, reader: Callable[[Node], T | None]) -> T | None:
        return reader(entries[key].node) if key in entries else None

    def _message(self, node: Node) -> tuple[Mail | Path, str | None] | None:
        checker = self.checker
        entries = checker.table(node, known=MESSAGE_KEYS)
        if entries is None:
            return None
        if "file" in entries:
            if len(entries) > 1:
                checker.complain(node.place, "'file' is the whole message: nothing else can stand beside it")
            name = checker.text(entries["file"].node)
            return (self._folder / name, None) if name is not None else None
        signed = self._optional(entries, "signed", lambda each: checker.choice(each, SIGNED))
        headers = self._optional(entries, "headers", self._headers)
        octets = self._optional(entries, "octets", self._octets)
        mail = Mail(
            sender=self._optional(entries, "from", checker.text),
            subject=self._optional(entries, "subject", checker.text) or "",
            text=self._optional(entries, "text", self._text) or "",
            attachments=self._optional(entries, "attachments", self._files) or (),
            form=self._optional(entries, "form", lambda each: checker.choice(each, FORMS)) or "plain",
            traits=self._optional(entries, "traits", lambda each: self._words(each, TRAITS)) or frozenset(),
            headers=headers or {},
            octets=octets or 0,
        )
        if signed is not None and mail.form != "plain":
            checker.complain(entries["form"].node.place, "what is signed here has the form clear_signed by itself")
        return mail, signed

    def _text(self, node: Node) -> str | None:
        """Return a text that may have several lines."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.value
        self.checker.complain(node.place, "must be text: put it in quotes")
        return None

    def _words(self, node: Node, known: tuple[str, ...]) -> frozenset[str]:
        nodes = node.nodes if isinstance(node, Items) else (node,)
        return frozenset(word for each in nodes if (word := self.checker.choice(each, known)) is not None)

    def _files(self, node: Node) -> tuple[File, ...]:
        found = []
        for each in self.checker.items(node):
            if isinstance(each, Table):
                entries = self.checker.table(each, known=("name", "signed_pdf"), required=("name",))
                name = self.checker.text(entries["name"].node) if entries is not None else None
                flag = self._optional(entries or {}, "signed_pdf", self.checker.flag)
                found.append((name, bool(flag)))
            else:
                found.append((self.checker.text(each), False))
        return tuple(File(name, signed_pdf) for name, signed_pdf in found if name is not None)

    def _headers(self, node: Node) -> Mapping[str, str]:
        if not isinstance(node, Table):
            self.checker.complain(node.place, "must be a section: the name of each header field, and its text")
            return {}
        texts = {each.key: self.checker.text(each.node) for each in node.entries}
        for each in node.entries:
            if not each.key.isascii() or not each.key.replace("-", "").isalnum():
                self.checker.complain(each.key_place, f"not the name of a header field: {each.key[:80]!r}")
        return {name: text for name, text in texts.items() if text is not None}

    def _octets(self, node: Node) -> int | None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_OCTETS:
            return value
        self.checker.complain(node.place, f"must be a number of octets up to {MAX_OCTETS}")
        return None

    def _mailboxes(self, node: Node) -> tuple[Mailbox, ...]:
        texts = self.checker.texts(node)
        return tuple(Mailbox.parse(text) for text, place in texts if self.checker.mailbox(text, place) is not None)

    def _authors(self, node: Node) -> frozenset[str]:
        found = set()
        for text, place in self.checker.texts(node):
            whole = text.startswith("@")
            key = self.checker.domain(text[1:], place) if whole else self.checker.mailbox(text, place)
            if key is not None:
                found.add(f"@{key}" if whole else key)
        return frozenset(found)

    def _sender(self, node: Node) -> ReversePath | None:
        text = self.checker.text(node)
        if text is None or text == "<>":
            return NULL_PATH if text == "<>" else None
        return Mailbox.parse(text) if self.checker.mailbox(text, node.place) is not None else None

    def _keys(self, node: Node) -> frozenset[KeyKind]:
        if isinstance(node, Items) and not node.nodes:
            return frozenset()
        return frozenset(KeyKind(each) for each in self._words(node, KINDS))

    def _moment(self, node: Node) -> dt.datetime | None:
        text = self.checker.text(node)
        try:
            found = dt.datetime.fromisoformat(text) if text is not None else None
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            self.checker.complain(node.place, "must be a time with its offset, such as 2026-11-25T08:00:00+07:00")
            return None
        return found

    def _expectations(self, node: Node, recipients: tuple[Mailbox, ...]) -> tuple[Expected, ...]:
        """Return what is expected: one section for all recipients, or a list of them, most with `to`."""
        nodes = self.checker.items(node) if isinstance(node, Items) else (node,)
        return tuple(found for each in nodes if (found := self._expected(each, recipients)) is not None)

    def _expected(self, node: Node, recipients: tuple[Mailbox, ...]) -> Expected | None:
        checker = self.checker
        entries = checker.table(node, known=EXPECT_KEYS)
        if entries is None:
            return None
        if not entries.keys() - {"to"}:
            checker.complain(node.place, f"expects nothing; give one of {', '.join(EXPECT_KEYS[1:])}")
        to = None
        if "to" in entries:
            text = checker.text(entries["to"].node)
            key = checker.mailbox(text, entries["to"].node.place) if text is not None else None
            to = next((each for each in recipients if each.key == key), None)
            if key is not None and to is None:
                checker.complain(entries["to"].node.place, "is not one of the recipients of this case")
        words = {key: self._expected_word(key, entries[key].node) for key in EXPECT_KEYS[1:] if key in entries}
        return Expected(checker.place(node.place), to, {k: word for k, word in words.items() if word is not None})

    def _expected_word(self, key: str, node: Node) -> str | None:
        if key == "reply":
            value = node.value if isinstance(node, Scalar) else None
            if isinstance(value, int) and not isinstance(value, bool) and 200 <= value <= 599:  # noqa: PLR2004 - RFC 5321
                return str(value)
            self.checker.complain(node.place, "must be a reply code, such as 250 or 550")
            return None
        if key == "key":
            return self.checker.choice(node, KEYS)
        if key == "form":
            return self.checker.choice(node, (*FORMS, NONE))
        return self.checker.text(node)
