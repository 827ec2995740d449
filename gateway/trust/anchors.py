"""What is trusted: the anchors of the settings, of their families, and of the store, put together (RFC 5280 6.1.1).

A pin of a family that the settings do not know is a mistake, not an anchor without limits; so is an anchor that two
families claim, because what it may speak for would depend on their order.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.config.trust import read_certificates, read_crls
from gateway.core.errors import Mistakes
from gateway.pki.family import Allowance, Family, Use
from gateway.pki.path import TrustAnchors
from gateway.trust.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gateway.config.inbound import FamilySettings, TrustSettings
    from gateway.pki.certificate import Certificate
    from gateway.trust.store import Pin


def read_trust(settings: TrustSettings, directory: Path) -> TrustAnchors:
    """Return anchors, intermediates, revocation lists and families; `directory` is the store's.

    Raises one `SetupError` for every file that cannot be used, a damaged store included.
    """
    mistakes = Mistakes()
    pins = mistakes.read(lambda: Store(directory).pins()) or ()
    anchors = mistakes.read(lambda: read_certificates(settings.anchors)) or ()
    intermediates = mistakes.read(lambda: read_certificates(settings.intermediates)) or ()
    crls = mistakes.read(lambda: read_crls(settings.crls)) or ()
    families: list[Family] = []
    for each in settings.families:
        own = mistakes.read(lambda each=each: read_certificates(each.anchors)) or ()  # type: ignore[misc]
        completing = mistakes.read(lambda each=each: read_certificates(each.intermediates)) or ()  # type: ignore[misc]
        pinned = tuple(pin.certificate for pin in pins if _in(pin, each.name))
        families.append(_family(each, (*own, *pinned)))
        anchors, intermediates = (*anchors, *own), (*intermediates, *completing)
    mistakes.lines += _contradictions(families, pins, directory)
    mistakes.finish()
    anchors = (*anchors, *(pin.certificate for pin in pins if pin.line.kind == "anchor"))
    intermediates = (*intermediates, *(pin.certificate for pin in pins if pin.line.kind == "intermediate"))
    age = timedelta(seconds=settings.fetch.crl_max_age)
    return TrustAnchors(_each_once(anchors), _each_once(intermediates), crls, tuple(families), age)


def for_own_keys(trust: TrustAnchors) -> TrustAnchors:
    """Return what our own signing keys are judged by: anchors of families for them, and those of no family."""
    return replace(trust, anchors=tuple(each for each in trust.anchors if Use.OWN_KEYS in trust.family_of(each).uses))


def misfit(settings: TrustSettings, certificate: Certificate, family: str) -> str | None:
    """Return why these settings have no place for a pin of a family ("" for none), None where they have one."""
    if family and family not in {each.name for each in settings.families}:
        return f"{certificate.fingerprint} is pinned for the family {family!r}, which trust.families does not have"
    for each in settings.families:
        if family and each.name != family and certificate in read_certificates(each.anchors):
            return f"{certificate.fingerprint} is pinned for the family {family!r} and stands in {each.name!r}"
    return None


def _in(pin: Pin, family: str) -> bool:
    return pin.line.kind == "anchor" and pin.line.family == family


def _family(settings: FamilySettings, anchors: Iterable[Certificate]) -> Family:
    return Family(
        name=settings.name,
        vietnamese=settings.vi,
        english=settings.en,
        anchors=frozenset(each.fingerprint for each in anchors),
        uses=frozenset(map(Use, settings.uses)),
        allowances=frozenset(map(Allowance, settings.allow)),
        domains=settings.domains,
    )


def _contradictions(families: Sequence[Family], pins: Sequence[Pin], directory: Path) -> list[str]:
    names = {each.name for each in families}
    found = [
        f"{directory}: {pin.certificate.fingerprint} is pinned for the family {pin.line.family!r}, "
        f"which trust.families does not have"
        for pin in pins
        if pin.line.family and pin.line.family not in names
    ]
    for fingerprint in sorted({each for family in families for each in family.anchors}):
        claiming = [each.name for each in families if fingerprint in each.anchors]
        if len(claiming) > 1:
            found.append(f"trust.families: the anchor {fingerprint} stands in {' and '.join(claiming)}")
    return found


def _each_once(certificates: Iterable[Certificate]) -> tuple[Certificate, ...]:
    return tuple(dict.fromkeys(certificates))
