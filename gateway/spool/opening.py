"""The spool that the settings ask for: a file of this machine, or a database that several share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.spool.shared_store import PostgresSpool
from gateway.spool.store import SqliteSpool

if TYPE_CHECKING:
    from gateway.config.model import SpoolSettings
    from gateway.spool.store import SqlSpool


def open_spool(settings: SpoolSettings) -> SqlSpool:
    """Open the spool, making it if there is none; raises `SetupError`."""
    return SqliteSpool(settings) if settings.database is None else PostgresSpool(settings)
