"""Answers about certification paths, remembered while what they rest on may be believed: mail comes from those we know.

Only VALID is remembered. An answer counts for exactly the same certificates under the same terms, and for no message
that brings revocation lists of its own: nothing a stranger adds can be answered from here.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.verdict import ChainState
from gateway.pki.family import ANY_FAMILY, Family
from gateway.pki.path import PathAnswer, Revocation
from gateway.smime.verify import path_answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gateway.cms.verify import SignedData
    from gateway.pki.certificate import Certificate
    from gateway.smime.verify import Opened, Trust

MOST: Final = 50_000
"""Answers remembered, about 1 kB each."""


class Key(NamedTuple):
    """A question about a path: equal questions have equal answers, under the same terms."""

    leaf: str
    bag: tuple[str, ...]
    """Fingerprints of all certificates that came with the signature, sorted."""

    @classmethod
    def of(cls, leaf: Certificate, data: SignedData) -> Key | None:
        """Return the question; None where the answer may not be remembered."""
        if data.crls or data.unreadable_certificates:
            return None
        return cls(leaf.fingerprint, tuple(sorted([each.fingerprint for each in data.certificates])))


@dataclass(frozen=True, slots=True)
class Heard:
    """A VALID answer, as the process that found it says it."""

    leaf: str
    bag: tuple[str, ...]
    family: str
    until: datetime
    notes: tuple[str, ...]

    @property
    def key(self) -> Key:
        """The question."""
        return Key(self.leaf, self.bag)


class Listening:
    """Notes the answers to condition 12 as they are given, and whether more data could change one."""

    def __init__(self) -> None:
        """Begin with none."""
        self.heard: list[Heard] = []
        self.open = False

    def to(self, trust: Trust) -> Trust:
        """Return the same trust, listened to."""

        def path_of(leaf: Certificate, data: SignedData) -> PathAnswer:
            answer = path_answer(leaf, data, trust)
            # a signer who was revoked since sends a list from before, still in date
            if answer.state is not ChainState.VALID or trust.revocation is Revocation.SOFT or data.crls:
                self.open = True
            key = Key.of(leaf, data)
            if key is not None and answer.state is ChainState.VALID and answer.until is not None:
                self.heard.append(Heard(key.leaf, key.bag, answer.family.name, answer.until, answer.notes))
            return answer

        return replace(trust, path_of=path_of)


@dataclass(frozen=True, slots=True)
class _Kept:
    since: datetime
    until: datetime
    answer: PathAnswer


class PathCache:
    """What is known of paths under one version of the terms."""

    def __init__(self, families: Sequence[Family], *, most: int = MOST) -> None:
        """Begin with nothing; another version of the terms begins with another cache."""
        self._families = {each.name: each for each in families}
        self._most = most
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, heard: Heard, *, at: datetime, until: datetime) -> None:
        """Remember an answer that was given for the time `at`, to be believed until then at most."""
        family = self._families.get(heard.family, ANY_FAMILY if not heard.family else None)
        if family is None:
            return
        answer = PathAnswer(ChainState.VALID, "valid", (), family=family, until=heard.until, notes=heard.notes)
        self._kept[heard.key] = _Kept(at, min(heard.until, until), answer)
        self._kept.move_to_end(heard.key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def answer(self, key: Key | None, at: datetime) -> PathAnswer | None:
        """Return what is known for this time; mail that was kept, and is older than the answer, is asked about anew."""
        kept = self._kept.get(key) if key is not None else None
        if key is None or kept is None or not kept.since <= at:
            return None
        if at >= kept.until:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept.answer


def questions(opened: Opened) -> tuple[Key | None, ...]:
    """Return the question that each signer of a message poses; None where its certificate did not come with it."""
    found: list[Key | None] = []
    for each in opened.structure.signatures:
        for signer in each.data.signers if each.data is not None else ():
            assert each.data is not None  # noqa: S101 - there are signers
            leaf = signer.certificate(each.data.certificates)
            found.append(Key.of(leaf, each.data) if leaf is not None else None)
    return tuple(found)
