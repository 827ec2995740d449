"""Everything that a reload may change, read as a whole: policies, keys, logins, trust, agencies; TLS files are tried.

A world is complete or it is not made: every mistake in any of the files is reported in one run.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gateway.agencies.registry import Registry
from gateway.config.model import TlsMode
from gateway.config.trust import read_certificates, read_crls
from gateway.core.errors import SetupError
from gateway.keys.catalog import Catalog, load_catalog
from gateway.pki.path import Revocation, TrustAnchors
from gateway.policy.schema import load_policy
from gateway.service.intake import World
from gateway.smtp.auth.table import LoginTable
from gateway.smtp.tls import ServerContext

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from pathlib import Path

    from gateway.config.model import Settings

T = TypeVar("T")


class Mistakes:
    """Collects the mistakes of several files, so that an administrator sees all of them in one run."""

    def __init__(self) -> None:
        """Begin without any."""
        self.lines: list[str] = []

    def read(self, loader: Callable[[], T]) -> T | None:
        """Return what the loader returns, or None after noting its mistakes."""
        try:
            return loader()
        except SetupError as error:
            self.lines += error.mistakes
        return None

    def finish(self) -> None:
        """Raise one `SetupError` if there was any mistake."""
        if self.lines:
            raise SetupError(*self.lines)


class Parts:
    """A world and those parts of it that other rooms need by their own types."""

    def __init__(self, settings: Settings, now: dt.datetime) -> None:
        """Read every file; raises one `SetupError` with all mistakes. Loading many keys takes seconds."""
        mistakes = Mistakes()
        policy = mistakes.read(lambda: load_policy(_texts(settings.policies)))
        catalog = mistakes.read(lambda: load_catalog(settings.keys, now=now))
        logins = mistakes.read(lambda: LoginTable.load(settings.auth.file) if settings.auth else LoginTable.empty())
        trust = mistakes.read(lambda: _read_trust(settings))
        registry = mistakes.read(lambda: _read_registry(settings.agencies))
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
            agency_of=registry.agency_name,
            tags=settings.tags,
        )


def _texts(directory: Path) -> tuple[tuple[str, str], ...]:
    """Return the policy files as (name, text), in lexical order."""
    try:
        files = sorted(each for each in directory.iterdir() if each.match("*.yaml"))
        if not files:
            raise SetupError(f"{directory}: no policy file (*.yaml)")
        return tuple((str(file), _text(file)) for file in files)
    except OSError as error:
        raise SetupError(f"{error.filename or directory}: cannot be read: {error.strerror or error}") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SetupError(f"{file}: not UTF-8") from error


def _read_trust(settings: Settings) -> TrustAnchors:
    mistakes = Mistakes()
    trust = settings.trust
    anchors = mistakes.read(lambda: read_certificates(trust.anchors))
    intermediates = mistakes.read(lambda: read_certificates(trust.intermediates))
    crls = mistakes.read(lambda: read_crls(trust.crls))
    mistakes.finish()
    return TrustAnchors(anchors or (), intermediates or (), crls or ())


def _try_tls(settings: Settings) -> None:
    """Raise `SetupError` for every listener whose certificate and key cannot be used, before anything listens."""
    mistakes = Mistakes()
    for listener in settings.listeners:
        if listener.tls.mode is not TlsMode.NONE:
            mistakes.read(partial(ServerContext, listener.tls))
    mistakes.lines = list(dict.fromkeys(mistakes.lines))  # listeners share files
    mistakes.finish()


def _read_registry(path: Path | None) -> Registry:
    if path is None:
        return Registry.empty()
    try:
        return Registry.load(str(path), _text(path))
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error
