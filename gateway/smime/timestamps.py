"""Timestamps on signatures: whose word about the time is believed, and for what (RFC 3161, RFC 5652 11.4 and 14).

A timestamp is an unsigned attribute: whoever carries a message can add one, or take it away. So none ever makes a
verdict worse, and a good one excuses a single thing: that the signer's certificate has expired since. The authority's
certificate must hold by the same rules as a signer's, at the time of receipt, for timestamps only, and its family of
anchors must be one that is believed about time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.cms.timestamp import Token, read_token
from gateway.core.verdict import ChainState
from gateway.pki.fitness import Purpose, unfit
from gateway.pki.needs import Needs
from gateway.smime.trust import answer_for, candidates_in, needs_for

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.cms.verify import SignedData, SignerInfo
    from gateway.smime.trust import Trust


@dataclass(frozen=True, slots=True)
class Stamp:
    """A timestamp token with a signature: its time (aware) where everything about it is good, else None."""

    at: datetime | None


def stamp_of(signer: SignerInfo, data: SignedData, trust: Trust) -> Stamp | None:
    """Return what a signer's timestamp is worth, None where there is none; never raises.

    The signature value must be good: a time for anything else says nothing.
    """
    if not signer.timestamps:
        return None
    token = _token(signer, data, trust)
    if token is None or not token.certificate.not_before <= token.at <= trust.at:
        return Stamp(None)
    answer = answer_for(token.certificate, token.data, trust, purpose=Purpose.TIMESTAMPS)
    return Stamp(token.at if answer.state is ChainState.VALID else None)


def stamp_needs(signer: SignerInfo, data: SignedData, trust: Trust) -> Needs:
    """Return what would have to be fetched before a timestamp can be believed."""
    token = _token(signer, data, trust)
    if token is None or unfit(token.certificate, Purpose.TIMESTAMPS) is not None:
        return Needs()
    return needs_for(token.certificate, token.data, trust, at=trust.at)


def _token(signer: SignerInfo, data: SignedData, trust: Trust) -> Token | None:
    """Return the one token over this signature; of several, each may say something else: none counts."""
    if len(signer.timestamps) != 1:
        return None
    try:
        return read_token(signer.timestamps[0], value=signer.signature, candidates=candidates_in(data, trust))
    except Exception:  # noqa: BLE001 - anybody can attach anything: it must not even cost the message its verdict
        return None
