"""What `gateway run --check` tells beside plain mistakes: what works today and will hurt tomorrow.

Nothing here changes anything; next hops are asked, never given mail.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Final

from gateway.app.policies import read_texts
from gateway.config.model import ListenerKind, RecipientCheck
from gateway.config.trust import read_certificates, read_crls
from gateway.core.errors import SetupError
from gateway.pki.lists import next_update
from gateway.pki.needs import named_places
from gateway.revocation.places import Places
from gateway.spool.place import in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.app.world import Parts
    from gateway.config.inbound import TrustSettings
    from gateway.config.model import Settings
    from gateway.pki.certificate import Certificate
    from gateway.pki.path import TrustAnchors
    from gateway.relay.hop import Hops
    from gateway.relay.probe import RecipientChecks

EXAMPLE_DOMAIN: Final = "songlam.example"
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
    if any(each.kind is ListenerKind.INBOUND for each in settings.listeners):
        yield from trust_findings(settings.trust, parts.world.trust)
    yield from _examples(settings)
    if volatile := in_memory(settings.spool.directory):
        yield f"spool.directory: {settings.spool.directory} is in memory ({volatile}): a power failure loses mail"
    for told in settings.spool.digest.agencies if settings.spool.digest is not None else ():
        if told.agency not in parts.world.who.registry.by_id:
            yield f"spool.digest: the registry has no agency {told.agency!r}, so {told.mailbox} is told of nothing"
    for listener in settings.listeners:
        if listener.auth_without_tls and not listener.address.startswith(("127.", "[::1]", "localhost:")):
            yield f"listener {listener.name}: passwords travel in the clear (auth_without_tls)"


def _examples(settings: Settings) -> Iterator[str]:
    """Yield where policies still name the domain of the shipped examples: no mail of ours would ever match there."""
    if any(each.domain.endswith(EXAMPLE_DOMAIN) for each in settings.local_domains):
        return
    for name, text in read_texts(settings.policies).items():
        for number, line in enumerate(text.splitlines(), 1):
            if EXAMPLE_DOMAIN in line.partition("#")[0]:
                yield f"{settings.policies / name}:{number}: {EXAMPLE_DOMAIN} is the domain of our examples: put yours"


def trust_findings(trust: TrustSettings, pinned: TrustAnchors) -> Iterator[str]:
    """Yield why inbound mail could not be verified, and which hosts to list so that it can."""
    fetch, hard = trust.fetch, trust.revocation == "hard"
    if not pinned.anchors:
        yield "trust: no anchors, so no inbound signature is ever verified"
        return
    if hard and not trust.crls and not fetch.hosts:
        yield (
            "trust: revocation is hard, there are no crls, and fetch.hosts is empty, so only messages that bring their "
            "own revocation data can be verified"
        )
    if (fetch.hosts and trust.revocation != "off") or (hard and not trust.crls):
        places = Places(fetch.hosts, fetch.private_networks)
        for host, subject in _named_hosts((*pinned.intermediates, *pinned.anchors), places).items():
            yield f"trust.fetch.hosts: {host} is not listed, which {subject} names for revocation data or its issuer"


def _named_hosts(certificates: Sequence[Certificate], places: Places) -> dict[str, str]:
    """Return hosts that the certificates name and that may not be asked, each with the first subject that names it."""
    found: dict[str, str] = {}
    for each in certificates:
        for url in named_places(each):
            if places.of(url) is None:
                found.setdefault(url.split("/")[2], each.subject)
    return found


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
