"""What `gateway run --check` tells beside plain mistakes: what works today and will hurt tomorrow.

Nothing here changes anything; next hops are asked, never given mail.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Final

from gateway.config.model import ListenerKind, RecipientCheck
from gateway.config.trust import read_certificates, read_crls
from gateway.core.errors import SetupError
from gateway.pki.lists import next_update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.app.world import Parts
    from gateway.config.model import Settings
    from gateway.relay.hop import Hops
    from gateway.relay.probe import RecipientChecks

CERTIFICATE_NOTICE: Final = dt.timedelta(days=14)
"""Before the end of a server certificate; one that renews itself does so earlier."""


async def findings_of(
    settings: Settings, parts: Parts, *, hops: Hops, checks: RecipientChecks, now: dt.datetime
) -> tuple[str, ...]:
    """Return one line per finding, in the order an administrator mends them."""
    return (
        *parts.catalog.findings(now),
        *_still(settings, parts),
        *_server_certificates(settings, now),
        *_stale_lists(settings, now),
        *await _hops(settings, hops),
        *await _probes(settings, checks),
    )


def _still(settings: Settings, parts: Parts) -> Iterator[str]:
    """Yield what can be seen without asking anybody."""
    for label in sorted(parts.world.policy.key_labels):
        if parts.catalog.by_label(label) is None:
            yield f"policy: a rule signs with the key {label!r}, and there is no such key"
    inbound = any(each.kind is ListenerKind.INBOUND for each in settings.listeners)
    if inbound and not settings.trust.anchors:
        yield "trust: no anchors, so no inbound signature is ever verified"
    if inbound and settings.trust.anchors and settings.trust.revocation == "hard" and not settings.trust.crls:
        yield "trust: revocation is hard and there are no crls, so only messages that bring their own can be verified"
    for listener in settings.listeners:
        if listener.auth_without_tls and not listener.address.startswith(("127.", "[::1]", "localhost:")):
            yield f"listener {listener.name}: passwords travel in the clear (auth_without_tls)"


def _server_certificates(settings: Settings, now: dt.datetime) -> Iterator[str]:
    """Yield the certificates that mail clients are shown and that end soon, each once."""
    for file in dict.fromkeys(each.tls.certificate for each in settings.listeners if each.tls.certificate):
        try:
            leaf = read_certificates((file,))[0]
        except SetupError:
            continue  # TLS takes it, and that was tried: only its dates stay unknown
        if leaf.not_after < now:
            yield f"{file}: the server certificate ended at {leaf.not_after.isoformat()}"
        elif leaf.not_after < now + CERTIFICATE_NOTICE:
            yield f"{file}: the server certificate ends at {leaf.not_after.isoformat()}"


def _stale_lists(settings: Settings, now: dt.datetime) -> Iterator[str]:
    """Yield the revocation lists past their next update; whoever fetches them has stopped."""
    for file in settings.trust.crls if settings.trust.revocation != "off" else ():
        try:
            lists = read_crls((file,))
        except SetupError:
            continue  # replaced since it was read a moment ago
        for crl in lists:
            due = next_update(crl)
            if due is not None and due < now:
                yield f"{file}: the next revocation list was due at {due.isoformat()}"


async def _hops(settings: Settings, hops: Hops) -> tuple[str, ...]:
    asked = [each for each in settings.hops if not each.direct]
    answers = await asyncio.gather(*(hops.by_name(each.name).known_limits() for each in asked))
    return tuple(
        f"hop {each.name}: cannot be reached now" for each, limits in zip(asked, answers, strict=True) if limits is None
    )


async def _probes(settings: Settings, checks: RecipientChecks) -> tuple[str, ...]:
    domains = [each.domain for each in settings.local_domains if each.recipients is RecipientCheck.PROBE]
    answers = await asyncio.gather(*(checks.takes_everyone(each) for each in domains))
    return tuple(
        f"local domain {domain}: its hop takes every recipient, so a probe finds out nothing"
        for domain, everyone in zip(domains, answers, strict=True)
        if everyone
    )
