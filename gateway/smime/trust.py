"""What signers are judged against, and what is asked about a certificate by it (RFC 5280 6, RFC 8550 4).

Whoever signed a letter, a file or the time, is asked about in the same way: no clock, nothing fetched, and revocation
data that came along may say whom they revoke, never for long whom they do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.verdict import ChainState
from gateway.pki.lists import made_at
from gateway.pki.needs import needs_of
from gateway.pki.path import PathAnswer, Purpose, Revocation, TrustAnchors, validate

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.cms.verify import SignedData, SignerInfo
    from gateway.pki.certificate import Certificate
    from gateway.pki.needs import Needs

_MOST_UNTRUSTED: Final = 40
"""Most certificates outside the message that are tried as its signers' own."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What signers are judged against: everything that is not in the message."""

    anchors: TrustAnchors
    untrusted: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    at: datetime
    revocation: Revocation
    ocsps: tuple[bytes, ...] = ()
    """Answers of responders (DER)."""
    path_of: PathOf | None = None
    """Who answers condition 12 instead of `path_answer`: one that remembers its answers."""


PathOf = Callable[["Certificate", "SignedData"], "PathAnswer"]
"""Answers for a signer's certificate, and the SignedData it signed: more certificates and revocation lists."""


def candidates_in(data: SignedData, trust: Trust) -> tuple[Certificate, ...]:
    """Return the certificates that a signer may mean, from the message and from what is at hand."""
    return (*data.certificates, *trust.anchors.intermediates, *trust.untrusted[:_MOST_UNTRUSTED])


def certificate_of(signer: SignerInfo, data: SignedData, trust: Trust) -> Certificate | None:
    """Return the certificate that the signer identifier names, None where it is not at hand."""
    return signer.certificate(candidates_in(data, trust))


def answer_for(
    certificate: Certificate, data: SignedData, trust: Trust, *, purpose: Purpose, then: datetime | None = None
) -> PathAnswer:
    """Return what path validation says of a certificate, beside what came with its signature.

    `then` (aware) is an earlier time to ask about, by what is known at the time of the trust. Revocation lists that
    came along and are too old to clear anybody are heard all the same: whom they name was revoked.
    """
    answer = _validated(certificate, data, trust, data.crls, purpose=purpose, then=then)
    late = {each for each in data.crls if _too_old(each, trust.anchors, then or trust.at)}
    if answer.state is ChainState.VALID and late:
        recent = tuple(each for each in data.crls if each not in late)
        return _validated(certificate, data, trust, recent, purpose=purpose, then=then)
    return answer


def needs_for(certificate: Certificate, data: SignedData, trust: Trust, *, at: datetime) -> Needs:
    """Return what would have to be fetched to know a certificate's state at a time (aware).

    A signer who was revoked since sends a list from before: what came along is no reason not to ask.
    """
    return needs_of(
        certificate,
        trust=trust.anchors,
        untrusted=(*data.certificates, *trust.untrusted),
        crls=trust.crls,
        ocsps=trust.ocsps,
        at=at,
        revocation=trust.revocation,
    )


def _too_old(crl: bytes, anchors: TrustAnchors, at: datetime) -> bool:
    if anchors.attached_age is None:
        return False
    made = made_at(crl)
    return made is None or at - made > anchors.attached_age


def _validated(
    certificate: Certificate,
    data: SignedData,
    trust: Trust,
    attached: tuple[bytes, ...],
    *,
    purpose: Purpose,
    then: datetime | None,
) -> PathAnswer:
    return validate(
        certificate,
        trust=trust.anchors,
        untrusted=(*data.certificates, *trust.untrusted),
        crls=(*trust.crls, *attached),  # their number is bounded: what came along hides nothing
        ocsps=trust.ocsps,
        at=then or trust.at,
        purpose=purpose,
        revocation=trust.revocation,
        known_at=None if then is None else trust.at,
    )
