"""What a case says was found of its message: notes, families and results that a message of paper cannot have by itself.

Nothing stated makes a message look better than it is: whether it is signed, and by whom, stands in the message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from gateway.core.verdict import (
    NOTES,
    ChainState,
    Encrypted,
    Indeterminate,
    Invalid,
    Note,
    NotTrusted,
    Partial,
    Replayed,
    SignatureState,
    SignerMismatch,
    Unreadable,
    VerifiedLesser,
)
from gateway.judging.inline import InlineJudge
from gateway.judging.terms import Terms
from gateway.pki.family import ANY_FAMILY, Family
from gateway.policy.findings import BOUNDARY_WORDS
from gateway.service.boundary import Boundary
from gateway.yamltext import Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gateway.core.message import Message
    from gateway.core.verdict import Judgment, Signer, Verdict
    from gateway.mime.entity import Entity
    from gateway.service.intake import World
    from gateway.yamlcheck import Checker
    from gateway.yamltext import Node

FOUND_KEYS: Final = ("verdict", "notes", "family", "signed_headers", "boundary")
_KINDS: Final[dict[str, Callable[[str, tuple[Signer, ...]], Verdict]]] = {
    "invalid": Invalid,
    "unreadable": Unreadable,
    "encrypted": Encrypted,
    "not_trusted": NotTrusted,
    "indeterminate": Indeterminate,
    "partial": Partial,
    "signer_mismatch": SignerMismatch,
    "replayed": Replayed,
}
LESSER_STATED: Final = "verified_lesser"
VERDICTS_STATED: Final = (*_KINDS, LESSER_STATED)
"""The two others are what a message says by itself: with `signed: by_author`, and without `signed`."""
SERVER: Final = "may-truoc.thu-nghiem.example"
"""The server in front, in every case."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a case says."""

    verdict: str | None = None
    notes: tuple[str, ...] = ()
    family: str | None = None
    signed_headers: bool = False
    boundary: tuple[str, ...] = ()
    """Of `BOUNDARY_WORDS`, one a method."""

    @property
    def results(self) -> str | None:
        """The field by which the server in front says so (RFC 8601 2.2)."""
        words = "; ".join(each.replace("_", "=", 1) for each in self.boundary)
        return f"{SERVER}; {words}" if words else None

    @property
    def needs_signature(self) -> bool:
        """True if it cannot be said of a message without one."""
        return self.verdict not in {None, "unreadable", "encrypted"} or self.family is not None or self.signed_headers

    def stated(self, judgment: Judgment) -> Judgment:
        """Return the judgment of a message with what the case says of it."""
        notes = {*(each.code for each in judgment.notes), *self.notes}
        chain, signature = judgment.chain, judgment.signature
        match self.verdict:
            case "invalid":
                signature = SignatureState.INVALID
            case "not_trusted":
                chain = ChainState.INVALID
            case "indeterminate":
                chain = ChainState.INDETERMINATE
            case _:
                pass
        return replace(
            judgment,
            verdict=self._verdict(judgment),
            chain=chain,
            signature=signature,
            headers_signed=judgment.headers_signed or self.signed_headers,
            notes=tuple(Note(each) for each in NOTES if each in notes),
        )

    def _verdict(self, judgment: Judgment) -> Verdict:
        signers = judgment.verdict.signers
        if self.verdict == LESSER_STATED:
            return VerifiedLesser("list_copy", signers, judgment.author)
        kind = _KINDS.get(self.verdict or "")
        return kind("stated", signers) if kind is not None else judgment.verdict


NOTHING_STATED: Final = Found()


def read_found(checker: Checker, node: Node) -> Found | None:
    """Return what a section says; None after complaining."""
    before = len(checker.mistakes)
    entries = checker.table(node, known=FOUND_KEYS)
    if entries is None:
        return None
    if isinstance(node, Table) and not node.entries:
        checker.complain(node.place, f"states nothing; give one of {', '.join(FOUND_KEYS)}")
    words: dict[str, tuple[str, ...]] = {}
    for key, known in (("notes", NOTES), ("boundary", BOUNDARY_WORDS)):
        texts = checker.texts(entries[key].node) if key in entries else ()
        words[key] = tuple(text for text, _ in texts)
        for text, place in texts:
            if text not in known:
                checker.complain(place, f"unknown word {text[:80]!r}; {key} knows: {', '.join(known)}")
    methods = [each.partition("_")[0] for each in words["boundary"]]
    if len(methods) != len(set(methods)):
        checker.complain(entries["boundary"].node.place, "says two things of one method")
    found = Found(
        verdict=checker.choice(entries["verdict"].node, VERDICTS_STATED) if "verdict" in entries else None,
        notes=words["notes"],
        family=checker.text(entries["family"].node) if "family" in entries else None,
        signed_headers=bool(checker.flag(entries["signed_headers"].node)) if "signed_headers" in entries else False,
        boundary=words["boundary"],
    )
    return found if len(checker.mistakes) == before else None


def world_of(world: World, found: Found) -> World:
    """Return the world in which a case is tried: its trust is one family, and a server stands in front."""
    families: tuple[Family, ...] = ()
    if found.family is not None:
        anchors = frozenset(each.fingerprint for each in world.trust.anchors)
        name = found.family
        families = (replace(ANY_FAMILY, name=name, vietnamese=name, english=name, anchors=anchors),)
    everywhere = ip_network("0.0.0.0/0"), ip_network("::/0")
    return replace(world, trust=replace(world.trust, families=families), boundary=Boundary(SERVER, everywhere))


class StatedJudge:
    """A `ports.Judge` that judges as the gateway does, and adds what a case says."""

    def __init__(self, world: World, found: Found) -> None:
        """Judge by the trust of `world`."""
        self._judge = InlineJudge(Terms(world.trust, world.revocation))
        self._found = found

    async def judge(self, message: Message, *, at: datetime, source: str, entity: Entity | None = None) -> Judgment:
        """Return the judgment of a message (see `ports.Judge`)."""
        return self._found.stated(await self._judge.judge(message, at=at, source=source, entity=entity))
