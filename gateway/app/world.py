"""Everything that a reload may change, read as a whole: policies, keys, logins, trust, agencies; TLS files are tried.

A world is complete or it is not made: every mistake in any of the files is reported in one run.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.agencies.registry import Registry
from gateway.app.policies import directory_of, read_policies, text_of
from gateway.app.seals import seal_keys
from gateway.config.model import TlsMode
from gateway.core.errors import Mistakes, SetupError
from gateway.keys.catalog import Catalog, load_catalog
from gateway.keys.revocation import RevocationWatch
from gateway.keys.suspensions import Suspensions
from gateway.pki.path import Revocation, TrustAnchors
from gateway.service.boundary import Boundary
from gateway.service.intake import World
from gateway.service.senders import Senders
from gateway.sharing.copies import in_force
from gateway.smime.identity import Lenience, Who
from gateway.smtp.auth.table import LoginTable
from gateway.smtp.tls import ServerContext
from gateway.trust.anchors import for_own_keys, read_trust

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from gateway.config.inbound import VerifySettings
    from gateway.config.model import Settings


class Parts:
    """A world and those parts of it that other rooms need by their own types."""

    def __init__(self, settings: Settings, now: dt.datetime) -> None:
        """Read every file; raises one `SetupError` with all mistakes. Loading many keys takes seconds."""
        mistakes = Mistakes()
        logins = mistakes.read(lambda: LoginTable.load(settings.auth.file) if settings.auth else LoginTable.empty())
        trust = mistakes.read(lambda: read_trust(settings.trust, settings.trust_directory))
        catalog = mistakes.read(lambda: read_keys(settings, trust or TrustAnchors((), (), ()), now=now))
        registry = mistakes.read(lambda: read_registry(settings.agencies))
        # rules name agencies: against a registry that cannot be read every such name would be called wrong
        who = directory_of(settings, registry) if registry is not None else None
        policy = mistakes.read(lambda: read_policies(in_force(settings), who, settings)) if who is not None else None
        seals = mistakes.read(lambda: seal_keys(settings.tags))
        mistakes.read(lambda: _try_tls(settings))
        mistakes.finish()
        assert policy is not None  # noqa: S101 - no mistakes, so nothing is missing
        assert catalog is not None  # noqa: S101 - as above
        assert logins is not None  # noqa: S101 - as above
        assert trust is not None  # noqa: S101 - as above
        assert registry is not None  # noqa: S101 - as above
        self.catalog: Catalog = catalog
        self.logins: LoginTable = logins
        self.world = World(
            policy=policy,
            catalog=catalog,
            accounts=logins,
            trust=trust,
            revocation=Revocation(settings.trust.revocation),
            who=Who(registry, leniences(settings.verify)),
            tags=settings.tags,
            boundary=Boundary.of(settings.verify.boundary),
            seals=seals,
            senders=Senders.of(settings.senders),
            wishes=settings.wishes,
        )


def leniences(settings: VerifySettings) -> frozenset[Lenience]:
    """Return what counts as a lesser state."""
    return frozenset(each for each in Lenience if getattr(settings, each.value) == "lesser")


def read_keys(settings: Settings, trust: TrustAnchors, *, now: dt.datetime) -> Catalog:
    """Return all keys with what may stop them: suspensions and revocation lists; raises one `SetupError`."""
    watch = RevocationWatch(for_own_keys(trust), files=settings.trust.crls, demand=settings.keys_revocation, now=now)
    return load_catalog(settings.keys, now=now, suspensions=Suspensions.at(settings.keys_state_file), watch=watch)


def _try_tls(settings: Settings) -> None:
    """Raise `SetupError` for every listener whose certificate and key cannot be used, before anything listens."""
    mistakes = Mistakes()
    for listener in settings.listeners:
        if listener.tls.mode is not TlsMode.NONE:
            mistakes.read(partial(ServerContext, listener.tls))
    mistakes.lines = list(dict.fromkeys(mistakes.lines))  # listeners share files
    mistakes.finish()


def read_registry(path: Path | None) -> Registry:
    """Return the agencies in a file, or nobody without one; raises one `SetupError`."""
    if path is None:
        return Registry.empty()
    try:
        return Registry.load(str(path), text_of(path))
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error
