"""What a policy may see of a message, and what it is made of: facts, rules, the policy (RFC 5321, RFC 5322, RFC 8601).

Nothing else of a message than `Facts` reaches a rule. A policy is immutable and named by the digest of its content.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from gateway.core.address import Mailbox
from gateway.core.boundary import NOTHING_SAID
from gateway.core.contents import NOTHING, Contents, Marking, Wish
from gateway.core.unicode import normalized
from gateway.core.verdict import VERDICTS, row_of
from gateway.policy.directory import NOBODY
from gateway.policy.findings import NOTHING_FOUND, Findings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.core.address import ReversePath
    from gateway.core.boundary import BoundaryResults
    from gateway.core.decision import InboundDecision, OutboundDecision
    from gateway.core.envelope import Direction
    from gateway.core.verdict import Judgment
    from gateway.policy.conditions import Condition
    from gateway.policy.directory import Directory
    from gateway.policy.engine import Plan

D_co = TypeVar("D_co", covariant=True)

FORMS: Final = (
    "plain",
    "clear_signed",
    "opaque_signed",
    "encrypted",
    "compressed",
    "certificates_only",
    "pgp_signed",
    "pgp_encrypted",
    "pgp_inline",
    "other_signed",
    "other_encrypted",
)
"""Names of `gateway.smime.classify.Form`; a test keeps the two lists equal."""
TRAITS: Final = ("report", "mdn", "auto_reply", "list", "calendar", "tnef")
VERDICT_NAMES: Final = tuple(row.name for row in VERDICTS)
MARKINGS: Final = tuple(each.value for each in Marking)
WISHES: Final = tuple(each.value for each in Wish)
NO_FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


class Holds(Enum):
    """What rules that hold do."""

    APPLY = "apply"
    SKIP = "skip"
    """For a message that an administrator released: rules whose decision is `Hold` do not match again."""


class Traits(Protocol):
    """What kind of mail a message claims to be; `gateway.smime.classify.Traits` is one."""

    @property
    def report(self) -> bool:
        """multipart/report."""
        ...

    @property
    def mdn(self) -> bool:
        """A disposition notification."""
        ...

    @property
    def auto_submitted(self) -> bool:
        """Auto-Submitted other than "no"."""
        ...

    @property
    def list_mail(self) -> bool:
        """From a mailing list."""
        ...

    @property
    def calendar(self) -> bool:
        """Holds text/calendar."""
        ...

    @property
    def tnef(self) -> bool:
        """Holds winmail.dat."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a policy may see of one message. Texts are the sender's claims, folded for comparing where noted."""

    author: Mailbox | None
    """The one mailbox of the one From field; None where there is no such thing."""
    author_keys: frozenset[str]
    """Every pattern the author fits: its key, "@domain", and "@*.parent" for each parent domain."""
    login: str | None
    listener: str
    reverse_path: ReversePath
    reverse_path_keys: frozenset[str]
    form: str
    traits: frozenset[str]
    """Of `TRAITS`."""
    subject: str
    """Decoded, compatibility-normalized, case-folded: what a reader takes for the same is the same."""
    size: int
    """Octets."""
    verdict: str | None
    """Of `VERDICT_NAMES`, for inbound mail."""
    at: datetime
    """End of the data, aware; rules ask for the time in Vietnam."""
    contents: Contents = NOTHING
    """Read only where `Policy.asks_contents`."""
    wish: Wish | None = None
    """What the sender asks for; only ever set for authenticated senders."""
    findings: Findings = NOTHING_FOUND
    """For inbound mail."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Texts of the header fields some rule asks for (`Policy.asks_fields`), by lower-case name, decoded and folded."""

    @classmethod
    def of(  # noqa: PLR0913 - one argument per source of facts
        cls,
        *,
        author: Mailbox | None,
        login: str | None,
        listener: str,
        reverse_path: ReversePath,
        form: str,
        traits: Traits,
        subject: str,
        size: int,
        at: datetime,
        judgment: Judgment | None = None,
        boundary: BoundaryResults = NOTHING_SAID,
        directory: Directory = NOBODY,
        contents: Contents = NOTHING,
        wish: Wish | None = None,
        fields: Mapping[str, tuple[str, ...]] = NO_FIELDS,
    ) -> Facts:
        """Return the facts of one message, in the form rules compare them in; `fields` are decoded texts.

        `directory` says whose a signer's certificate is.
        """
        return cls(
            author=author,
            author_keys=authors_keys(author),
            login=login,
            listener=listener,
            reverse_path=reverse_path,
            reverse_path_keys=senders_keys(reverse_path),
            form=str(form),
            traits=_trait_names(traits),
            subject=folded(subject),
            size=size,
            verdict=row_of(judgment.verdict).name if judgment is not None else None,
            at=at,
            contents=contents,
            wish=wish,
            findings=Findings.of(judgment, boundary, directory) if judgment is not None else NOTHING_FOUND,
            fields={name.lower(): tuple(map(folded, texts)) for name, texts in fields.items()},
        )


NO_AUTHOR: Final = "<none>"
"""Stands in an `author` list for mail without exactly one author: a From nobody can read must not escape a rule."""
NULL_SENDER: Final = "<>"
_NONE: Final[frozenset[str]] = frozenset()


def _trait_names(traits: Traits) -> frozenset[str]:
    flags = (traits.report, traits.mdn, traits.auto_submitted, traits.list_mail, traits.calendar, traits.tnef)
    if True not in flags:
        return _NONE
    return frozenset(name for name, flag in zip(TRAITS, flags, strict=True) if flag)


def folded(text: str) -> str:
    """Return text as it is compared: NFKC, case folded, invisible characters removed, white space collapsed.

    A sender who writes a zero-width space into a word shows the same word, and meets the same rule.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    visible = "".join(each for each in normalized("NFKC", text) if unicodedata.category(each) != "Cf")
    return " ".join(normalized("NFKC", visible.casefold()).split())


def authors_keys(author: Mailbox | None) -> frozenset[str]:
    """Return every pattern an author fits."""
    return keys_of(author) if author is not None else frozenset({NO_AUTHOR})


def senders_keys(reverse_path: ReversePath) -> frozenset[str]:
    """Return every pattern a reverse-path fits."""
    return keys_of(reverse_path) if isinstance(reverse_path, Mailbox) else frozenset({NULL_SENDER})


def keys_of(mailbox: Mailbox) -> frozenset[str]:
    """Return every pattern a mailbox fits."""
    return _keys_of(mailbox.key)


@lru_cache(maxsize=4096)
def _keys_of(key: str) -> frozenset[str]:
    domain = key.rpartition("@")[2]
    found = {key, f"@{domain}"}
    parent = domain.partition(".")[2]
    while parent:
        found.add(f"@*.{parent}")
        parent = parent.partition(".")[2]
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Rule(Generic[D_co]):
    """One rule; `conditions` must all hold, none means "always"."""

    name: str
    direction: Direction
    comment: str
    active: bool
    conditions: tuple[Condition, ...]
    decision: D_co
    place: str
    """FILE:LINE:COLUMN."""
    origins: str = ""
    """For the trace: which value of the decision came from which level (rule, profile, defaults)."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in an active rule that stands for something outside the policy: whoever knows it checks that it exists."""

    kind: str
    """ "hop", "listener", "family" or "key"."""
    name: str
    place: str
    """FILE:LINE:COLUMN of the rule."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules in their order, ready to decide."""

    rules: tuple[Rule[OutboundDecision | InboundDecision], ...]
    outbound: Plan[OutboundDecision]
    inbound: Plan[InboundDecision]
    digest: str
    """SHA-256 of the content, hexadecimal: the same rules have the same digest, however they are laid out."""
    key_labels: frozenset[str]
    """Keys that rules name by label; the start-up check looks for each of them in the catalog."""
    directory: Directory = NOBODY
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Member (key of a mailbox, "@domain" or "@*.domain", or "login:" and a login) -> names of its groups."""
    asks_contents: bool = False
    """True if an active rule asks about attachments, links or markings; else nobody has to read the body."""
    asks_findings: bool = False
    """True if an active rule asks about notes, families, signers' agencies, signed header fields or the boundary."""
    asks_fields: frozenset[str] = frozenset()
    """Lower-case names of the header fields that active rules ask for."""
    mentions: tuple[Mention, ...] = ()
    warnings: tuple[str, ...] = ()
    """FILE:LINE:COLUMN: what is not wrong, and probably not meant."""
