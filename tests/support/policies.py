"""Facts, conditions and rules made for tests: small worlds in which everything meets everything."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.boundary import BoundaryResults
from gateway.core.contents import Attachment, Contents, Wish
from gateway.core.decision import Hold, OutboundDecision
from gateway.core.envelope import Direction
from gateway.core.verdict import ChainState, Judgment, Note, SignatureState, Signer, Verified
from gateway.policy.conditions import (
    AllOf,
    Among,
    AnyOf,
    Condition,
    Dates,
    Hours,
    LargerThan,
    Matches,
    Not,
    SubjectContains,
)
from gateway.policy.directory import PLACES
from gateway.policy.model import NO_AUTHOR, NULL_SENDER, Facts, Rule
from gateway.policy.patterns import expression
from gateway.policy.view import View, seat

if TYPE_CHECKING:
    from collections.abc import Sequence

LAN: Final = Mailbox.parse("lan@so.tinh.example")
MAI: Final = Mailbox.parse("mai@hop.example")
NOON: Final = dt.datetime(2026, 3, 4, 5, 0, tzinfo=dt.UTC)
"""A Wednesday, noon in Vietnam."""


class Marks:
    """What kind of mail it is: nothing, unless told."""

    def __init__(self, **marks: bool) -> None:
        """Set some marks."""
        self.report = marks.get("report", False)
        self.mdn = marks.get("mdn", False)
        self.auto_submitted = marks.get("auto_submitted", False)
        self.list_mail = marks.get("list_mail", False)
        self.calendar = marks.get("calendar", False)
        self.tnef = marks.get("tnef", False)


def facts(**changed: Any) -> Facts:
    """Return the facts of a plain outbound message with some changed."""
    given = {
        "author": LAN,
        "login": "lan",
        "listener": "submission",
        "reverse_path": LAN,
        "form": "plain",
        "traits": Marks(),
        "subject": "Báo cáo",
        "size": 1000,
        "at": NOON,
        **changed,
    }
    return Facts.of(**given)


def signer(address: str, *, family: str | None = None) -> Signer:
    """Return a signer whose certificate names one mailbox."""
    return Signer("CN=Lan", "CN=CA", "01", (address,), None, None, "RSA", "ab" * 32, (address,), family)


def judged(*notes: str, family: str | None = None, headers: bool = False, address: str = "a@x.example") -> Judgment:
    """Return the judgment of a verified message with these notes."""
    author = Mailbox.parse(address)
    verdict = Verified("verified", (signer(address, family=family),), author)
    noted = tuple(Note(each) for each in notes)
    return Judgment(verdict, ChainState.VALID, SignatureState.VALID, True, headers, author, notes=noted)


def view(recipient: Mailbox | None = None, **changed: Any) -> View:
    """Return what conditions see of a message, for one recipient."""
    return seen_of(facts(**changed), recipient)


class Town:
    """x.example is agency "ax", y.x.example and one mailbox elsewhere are "ay"; test is ours and nobody's."""

    digest = "town"

    def knows(self, agency: str) -> bool:
        return agency in {"ax", "ay"}

    def agency_of(self, mailbox: Mailbox) -> str | None:
        if mailbox.key == "a@example":
            return "ay"
        return {"x.example": "ax", "y.x.example": "ay"}.get(mailbox.domain)

    def agency_of_signer(self, signer: Signer) -> str | None:
        return self.agency_of(Mailbox.parse(signer.san_addresses[0])) if signer.san_addresses else None

    def is_local(self, mailbox: Mailbox) -> bool:
        return mailbox.domain.endswith(("x.example", "test"))


TOWN: Final = Town()
GROUPS: Final = {
    "a@x.example": frozenset({"heads"}),
    "@*.test": frozenset({"guests", "heads"}),
    "login:mai": frozenset({"guests"}),
}


def seen_of(message: Facts, recipient: Mailbox | None = None) -> View:
    """Return what conditions see of these facts in the town, for one recipient."""
    agency = TOWN.agency_of(message.author) if message.author is not None else None
    seen = View.of(message, groups=GROUPS, agency=agency)
    if recipient is not None:
        seen.sets.update(seat(recipient, TOWN, agency))
    return seen


def rule(name: str, *conditions: Condition, active: bool = True) -> Rule[OutboundDecision]:
    """Return an outbound rule whose decision bears its name."""
    return Rule(name, Direction.OUTBOUND, "", active, conditions, Hold(name), "f.yaml:1:1")


_MAILBOXES: Final = ("a@x.example", "b@x.example", "a@y.x.example", "a@example", "b@z.test", '"a b"@x.example')
_PATTERNS: Final = (*_MAILBOXES, "@x.example", "@y.x.example", "@*.example", "@*.x.example", "@example", "@*.test")
MAILBOXES: Final = st.sampled_from([Mailbox.parse(each) for each in _MAILBOXES])
WORDS: Final = st.sampled_from(["a", "b", "ab", "abc", "bc"])


def _among(key: str, values: Sequence[str]) -> st.SearchStrategy[Condition]:
    return st.frozensets(st.sampled_from(values), min_size=1, max_size=3).map(lambda found: Among(key, found))


SIMPLE: Final[st.SearchStrategy[Condition]] = st.one_of(
    _among("author", (*_PATTERNS, NO_AUTHOR)),
    _among("reverse_path", (*_PATTERNS, NULL_SENDER)),
    _among("recipient", _PATTERNS),
    _among("login", ("lan", "mai")),
    _among("listener", ("submission", "internal")),
    _among("traits", ("report", "list", "calendar")),
    _among("group", ("heads", "guests")),
    _among("agency", ("ax", "ay")),
    _among("recipient_agency", ("ax", "ay")),
    _among("recipient_is", PLACES),
    _among("wish", ("sign", "decline")),
    _among("has", ("attachment", "link", "partly_read")),
    _among("day", ("wed", "thu")),
    _among("note", ("impersonation", "tag_words")),
    _among("family", ("gov", "doi-tac")),
    _among("signer_agency", ("ax", "ay")),
    _among("headers", ("signed",)),
    _among("boundary", ("spf_pass", "spf_fail", "dmarc_fail")),
    st.frozensets(WORDS, min_size=1, max_size=2).map(SubjectContains),
    WORDS.map(lambda word: Matches("subject", expression(f"^{word}"))),
    st.integers(0, 3).map(LargerThan),
    st.sampled_from([(0, 720), (720, 1440), (1380, 60)]).map(lambda span: Hours((span,))),
    st.lists(st.dates(dt.date(2026, 3, 2), dt.date(2026, 3, 6)), min_size=2, max_size=2).map(
        lambda days: Dates(min(days), max(days))
    ),
)
CONDITIONS: Final[st.SearchStrategy[Condition]] = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2).map(lambda found: AllOf(tuple(found)))
        | st.lists(inner, min_size=1, max_size=2).map(lambda found: AnyOf(tuple(found)))
        | inner.map(Not)
    ),
    max_leaves=4,
)
FACTS: Final = st.builds(
    facts,
    author=st.none() | MAILBOXES,
    reverse_path=st.just(NULL_PATH) | MAILBOXES,
    login=st.sampled_from([None, "lan", "mai"]),
    listener=st.sampled_from(["submission", "internal"]),
    traits=st.builds(Marks, report=st.booleans(), list_mail=st.booleans(), calendar=st.booleans()),
    subject=st.lists(WORDS, max_size=2).map("".join),
    size=st.integers(0, 4),
    at=st.datetimes(dt.datetime(2026, 3, 2), dt.datetime(2026, 3, 6), timezones=st.just(dt.UTC)),  # noqa: DTZ001 - as asked
    wish=st.none() | st.sampled_from(Wish),
    judgment=st.none()
    | st.builds(
        judged,
        st.sampled_from(["impersonation", "tag_words"]),
        family=st.sampled_from([None, "gov", "doi-tac"]),
        headers=st.booleans(),
        address=st.sampled_from(["a@x.example", "a@y.x.example", "b@z.test"]),
    ),
    boundary=st.builds(
        BoundaryResults, spf=st.sampled_from([None, "pass", "fail"]), dmarc=st.sampled_from([None, "fail"])
    ),
    directory=st.just(TOWN),
    contents=st.builds(
        Contents,
        attachments=st.sampled_from([(), (Attachment("Đơn.PDF", "application/pdf", 9, signed_pdf=True),)]),
        links=st.sampled_from([frozenset(), frozenset({"a.x.example"})]),
        complete=st.booleans(),
    ),
)
RECIPIENTS: Final = st.lists(MAILBOXES, min_size=1, max_size=4)
