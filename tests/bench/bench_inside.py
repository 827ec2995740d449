"""Where the time of a signature goes whose certificate nobody has seen: its path, its revocation, its CMS.

Measured in this process by the calls that a judge makes; what else a message costs (receiving, tags, handing on, and
passing it to the judge's process and back) is in the row `in-15k-first`.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final

from bench import mail
from bench.table import Row
from gateway.core.message import Message
from gateway.core.verdict import Verified
from gateway.pki.certificate import Certificate
from gateway.pki.path import ChainState, Purpose, Revocation, TrustAnchors, validate
from gateway.smime.verify import verify
from support.gateway_process import authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.table import Sample, Scale

SHARE: Final = 0.05
"""Of the count."""


def rows() -> list[Row]:
    """Return what is measured."""
    return [Row("first-seen", "one certificate never seen, split; 15 KB, RSA-2048, two lists", _measure)]


def _measure(scale: Scale) -> Iterator[Sample]:
    """Judge strangers with and without asking about revocation, and look for their paths alone."""
    trust = _trust()
    make, count = mail.Strangers(15_000), scale.of(SHARE)
    for _ in range(scale.repeat):
        whole = _cost(_judged, trust, Revocation.HARD, make(count))
        without = _cost(_judged, trust, Revocation.OFF, make(count))
        path = _cost(_path, trust, Revocation.OFF, [mail.stranger()[1].certificate for _ in range(count)])
        yield {
            "CPU-ms": whole,
            "path ms": path,
            "revocation ms": max(whole - without, 0.0),
            "MIME, CMS, argument ms": max(without - path, 0.0),
        }


def _trust() -> TrustAnchors:
    office = authority()
    anchors, between = (Certificate.load(office.root),), (Certificate.load(office.intermediate),)
    return TrustAnchors(anchors, between, tuple(office.revocation_lists()))


def _cost(each: Callable[..., Any], trust: TrustAnchors, revocation: Revocation, given: Sequence[bytes]) -> float:
    """Return milliseconds of processor time for one."""
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    began = time.process_time()
    for octets in given:
        each(octets, trust, revocation, at)
    return (time.process_time() - began) * 1000 / len(given)


def _judged(message: bytes, trust: TrustAnchors, revocation: Revocation, at: dt.datetime) -> None:
    found = verify(Message.of(message), trust=trust, revocation=revocation, at=at, untrusted=(), crls=())
    assert isinstance(found.verdict, Verified), found.verdict


def _path(certificate: bytes, trust: TrustAnchors, revocation: Revocation, at: dt.datetime) -> None:
    leaf, purpose = Certificate.load(certificate), Purpose.EMAIL
    found = validate(leaf, trust=trust, untrusted=(), crls=(), at=at, purpose=purpose, revocation=revocation)
    assert found.state is ChainState.VALID, found.reason
