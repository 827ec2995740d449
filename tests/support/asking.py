"""What asks for revocation data in tests: one authority, one leaf, and settings that allow one site."""

from __future__ import annotations

import datetime as dt
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from gateway.config.inbound import FetchSettings
from gateway.pki.needs import Asked, Needs
from gateway.revocation.fetching import Revocation
from support.letters import LAN, NOW
from support.responder import LOOPBACK
from support.tree import root

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.responder import Site
    from support.tree import Node

ROOT: Final = root()
OTHER: Final = root("Gốc khác")
LEAF: Final = ROOT.issue("Hoàng Thị Lan", email=LAN)
BESIDE: Final = ROOT.issue("Người khác", email="khac@soyte.songlam.example")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def move(self, **parts: float) -> None:
        self.now += dt.timedelta(**parts)


def settings(site: Site, **changes: Any) -> FetchSettings:
    """Return settings that allow the site, and short waits."""
    given: dict[str, Any] = {"hosts": [site.name], "private_networks": LOOPBACK, "timeout": 0.5, "patience": 1.0}
    return FetchSettings(**given | changes)


def status(
    *, ocsp: tuple[str, ...] = (), lists: tuple[str, ...] = (), about: Node = LEAF, issuer: Node = ROOT
) -> Needs:
    """Return the need to know the state of one certificate."""
    return Needs(statuses=(Asked(about.certificate.der, issuer.certificate.der, ocsp, lists),))


@asynccontextmanager
async def asking(directory: Path, given: FetchSettings, clock: Clock | None = None) -> AsyncIterator[Revocation]:
    """Run the gateway's fetching."""
    revocation = Revocation(given, directory / "revocation", clock or Clock())
    await revocation.start()
    try:
        yield revocation
    finally:
        await revocation.close()
