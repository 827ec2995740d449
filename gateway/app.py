"""The composition root: builds every room from the settings and joins them; reads like its own diagram.

Nothing here decides about mail. A reload replaces the `World` as a whole or leaves the old one standing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from gateway.agencies.registry import Registry
from gateway.config.load import load_settings
from gateway.config.model import Listener, ListenerKind, Settings
from gateway.core.errors import GatewayError, SetupError
from gateway.core.received import Submitter
from gateway.keys.catalog import load_catalog
from gateway.pki.certificate import Certificate
from gateway.pki.path import Revocation, TrustAnchors
from gateway.policy.schema import load_policy
from gateway.record.events import LogRecorder
from gateway.relay.cutthrough import CutThrough
from gateway.relay.hop import Hops
from gateway.relay.probe import RecipientChecks
from gateway.relay.route import Routes
from gateway.service.dispatch import Dispatcher
from gateway.service.inbound import Inbound
from gateway.service.intake import Door, Journey, ListedSource, World
from gateway.service.outbound import Outbound
from gateway.smtp.auth.passwords import Argon2Passwords
from gateway.smtp.auth.table import LoginTable
from gateway.smtp.server import Server, serve
from gateway.spool.bodies import SpoolBodies
from gateway.spool.store import SqliteSpool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

DRAIN_SECONDS: Final = 30.0
"""Seconds that open sessions get to finish after SIGTERM."""
SIGNING_OVERHEAD: Final = 32 * 1024
"""Octets that trace field, MIME header, signature and certificates add at most."""
ENCODING_GROWTH: Final = 78 / 57
"""What base64 in lines of 76 makes of 8-bit octets."""
SIZE_REFRESH_SECONDS: Final = 60.0


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """Return the present, aware, UTC."""
        return dt.datetime.now(dt.UTC)


class _Mistakes:
    """Collects the mistakes of several files, so that an administrator sees all of them in one run."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def read(self, loader: Callable[[], T]) -> T | None:
        try:
            return loader()
        except SetupError as error:
            self.lines += error.mistakes
        return None


def build_world(settings: Settings, now: dt.datetime) -> World:
    """Read everything that a reload may change; raises one `SetupError` with every mistake in any of the files."""
    mistakes = _Mistakes()
    policy = mistakes.read(lambda: load_policy(_texts(settings.policies)))
    catalog = mistakes.read(lambda: load_catalog(settings.keys, now=now))
    accounts = mistakes.read(lambda: LoginTable.load(settings.auth.file) if settings.auth else LoginTable.empty())
    trust = mistakes.read(lambda: _read_trust(settings))
    registry = mistakes.read(lambda: _read_registry(settings.agencies))
    if policy is None or catalog is None or accounts is None or trust is None or registry is None:
        raise SetupError(*mistakes.lines)
    return World(
        policy=policy,
        catalog=catalog,
        accounts=accounts,
        trust=trust,
        revocation=Revocation(settings.trust.revocation),
        agency_of=registry.agency_name,
        tags=settings.tags,
    )


def _texts(directory: Path) -> tuple[tuple[str, str], ...]:
    """Return the policy files as (name, text), in lexical order."""
    try:
        files = sorted(directory.glob("*.yaml"))
        if not files:
            raise SetupError(f"{directory}: no policy file (*.yaml)")
        return tuple((str(file), file.read_text(encoding="utf-8")) for file in files)
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{directory}: cannot be read: {error}") from error


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error


def _read_certificates(path: Path) -> tuple[Certificate, ...]:
    try:
        found = Certificate.load_all(_octets(path))
    except GatewayError as error:
        raise SetupError(f"{path}: no certificate can be read: {error}") from error
    if not found:
        raise SetupError(f"{path}: holds no certificate")
    return found


def _read_trust(settings: Settings) -> TrustAnchors:
    mistakes = _Mistakes()
    anchors, intermediates = (
        tuple(
            certificate
            for path in paths
            for certificate in mistakes.read(lambda path=path: _read_certificates(path)) or ()  # type: ignore[misc]
        )
        for paths in (settings.trust.anchors, settings.trust.intermediates)
    )
    crls = tuple(mistakes.read(lambda path=path: _octets(path)) or b"" for path in settings.trust.crls)  # type: ignore[misc]
    if mistakes.lines:
        raise SetupError(*mistakes.lines)
    return TrustAnchors(anchors, intermediates, crls)


def _read_registry(path: Path | None) -> Registry:
    return Registry.empty() if path is None else Registry.load(str(path), _octets(path).decode("utf-8", "replace"))


def _doors(settings: Settings) -> dict[str, Door]:
    return {
        each.name: Door(
            each.kind,
            tuple(
                ListedSource(ip_network(network), Submitter(source.name, frozenset(source.authors)))
                for source in each.sources
                for network in source.networks
            ),
        )
        for each in settings.listeners
    }


class Application:
    """One running gateway: start it inside a loop, `reload` it, `stop` it."""

    def __init__(self, settings: Settings) -> None:
        """Build every room; raises `SetupError` with all mistakes. Nothing listens before `start`."""
        clock, recorder = SystemClock(), LogRecorder()
        self._log = structlog.get_logger("gateway.app")
        self._settings = settings
        self._clock = clock
        world = build_world(settings, clock.now())
        self.hops = Hops(settings)
        self.spool = SqliteSpool(settings.spool)
        self._bodies = SpoolBodies(settings.spool)
        self._passwords = Argon2Passwords(world.accounts, remember=settings.auth.remember) if settings.auth else None
        routes = Routes(settings)
        self.checks = RecipientChecks(settings.local_domains, self.hops)
        common = {"hostname": settings.hostname, "hops": self.hops, "routes": routes, "clock": clock}
        self.dispatcher = Dispatcher(spool=self.spool, recorder=recorder, settings=settings.spool, **common)
        self.hand_over = CutThrough(
            hops=self.hops,
            spool=self.spool,
            recorder=recorder,
            clock=clock,
            settings=settings.spool,
            hostname=settings.hostname,
            new_id=new_token,
            on_committed=self.dispatcher.wake,
        )
        self.journey = Journey(
            world,
            hostname=settings.hostname,
            doors=_doors(settings),
            outbound=Outbound(bodies=self._bodies, recorder=recorder, new_token=new_token, **common),
            inbound=Inbound(recorder=recorder, **common),
            checks=self.checks,
            hand_over=self.hand_over,
            recorder=recorder,
        )
        self.servers: list[Server] = []
        self._sizes: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
