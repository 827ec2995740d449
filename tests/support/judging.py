"""Trust of the throw-away authority for judges, and doubles of where revocation data come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.judging.terms import Terms
from gateway.pki.certificate import Certificate
from gateway.pki.needs import NOTHING_FOUND
from gateway.pki.path import Revocation, TrustAnchors
from support.letters import authority

if TYPE_CHECKING:
    from gateway.pki.family import Family
    from gateway.pki.needs import Evidence, Needs


def terms(revocation: Revocation = Revocation.HARD, *, lists: bool = True, families: tuple[Family, ...] = ()) -> Terms:
    """Return terms that trust the shared authority; without `lists` nothing is known of revocation."""
    made = authority()
    anchors = (Certificate.load(made.root),)
    crls = tuple(made.revocation_lists()) if lists else ()
    return Terms(TrustAnchors(anchors, (Certificate.load(made.intermediate),), crls, families), revocation)


class Found:
    """A `RevocationData` that finds what it is told to, and keeps what it was asked."""

    def __init__(self, evidence: Evidence = NOTHING_FOUND) -> None:
        self.evidence = evidence
        self.asked: list[Needs] = []

    async def gather(self, needs: Needs) -> Evidence:
        self.asked.append(needs)
        return self.evidence
