"""Timestamps on signatures: whose word about the time is believed, and for what (RFC 3161, RFC 5652 11.4 and 14).

A timestamp is an unsigned attribute: whoever carries a message can add one, or take it away. So none ever makes a
verdict worse, and a good one excuses a single thing: that the signer's certificate has expired since. The authority's
certificate must hold by the same rules as a signer's, at the time of receipt, for timestamps only, and its family of
anchors must be one that is believed about time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.cms.timestamp import Token, read_token
from gateway.core.verdict import ChainState
from gateway.pki.fitness import Purpose, unfit
from gateway.pki.needs import Needs
from gateway.pki.needs import needs_of as path_needs
from gateway.pki.path import validate

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.cms.verify import SignedData, SignerInfo
    from gateway.pki.certificate import Certificate
    from gateway.smime.signers import Trust

_MOST_UNTRUSTED: Final = 40
"""Most certificates outside the message that are tried as the authority's own."""


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
    answer = validate(
        token.certificate,
        trust=trust.anchors,
        untrusted=_bag(token, trust),
        crls=(*trust.crls, *token.data.crls),
        ocsps=trust.ocsps,
        at=trust.at,
        purpose=Purpose.TIMESTAMPS,
        revocation=trust.revocation,
    )
    return Stamp(token.at if answer.state is ChainState.VALID else None)


def stamp_needs(signer: SignerInfo, data: SignedData, trust: Trust) -> Needs:
    """Return what would have to be fetched before a timestamp can be believed."""
    token = _token(signer, data, trust)
    if token is None or unfit(token.certificate, Purpose.TIMESTAMPS) is not None:
        return Needs()
    return path_needs(
        token.certificate,
        trust=trust.anchors,
        untrusted=_bag(token, trust),
        crls=trust.crls,  # as with signers: what came along is no reason not to ask
        ocsps=trust.ocsps,
        at=trust.at,
        revocation=trust.revocation,
    )


def _token(signer: SignerInfo, data: SignedData, trust: Trust) -> Token | None:
    """Return the one token over this signature; of several, each may say something else: none counts."""
    if len(signer.timestamps) != 1:
        return None
    try:
        candidates = (*data.certificates, *trust.anchors.intermediates, *trust.untrusted[:_MOST_UNTRUSTED])
        return read_token(signer.timestamps[0], value=signer.signature, candidates=candidates)
    except Exception:  # noqa: BLE001 - anybody can attach anything: it must not even cost the message its verdict
        return None


def _bag(token: Token, trust: Trust) -> tuple[Certificate, ...]:
    return (*token.data.certificates, *trust.untrusted)
