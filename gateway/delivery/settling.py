"""Storing a settlement stubbornly: an answer that was read and is forgotten becomes a second delivery.

Trouble of the store must never be taken for trouble of the message.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import ServiceError

if TYPE_CHECKING:
    from gateway.delivery.patience import Patience
    from gateway.delivery.settle import Settled
    from gateway.ports import Spool

PAUSE: Final = 2.0
"""Seconds between two attempts to store."""


async def store(spool: Spool, settled: Settled, patience: Patience) -> None:
    """Replace the entry and store its notices, again and again while patience lasts; raises `ServiceError` then."""
    while True:
        try:
            await spool.settle(settled.entry, settled.notices)
        except ServiceError as error:
            if patience.over:
                raise
            structlog.get_logger("gateway.spool").warning(
                "settlement not stored yet", entry=settled.entry.entry_id, error=str(error)
            )
            with suppress(TimeoutError), patience:
                await asyncio.sleep(PAUSE)
        else:
            return
