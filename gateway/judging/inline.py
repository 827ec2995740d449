"""A judge in the same process, for what an administrator tries out: no process, no fetching, nothing remembered."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from gateway.core.octets import WINDOW
from gateway.smime.verify import verify

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.judging.terms import Terms
    from gateway.mime.entity import Entity


class InlineJudge:
    """Implements `ports.Judge` where nobody else's mail waits."""

    def __init__(self, terms: Terms) -> None:
        """Judge by these terms."""
        self._terms = terms

    async def judge(self, message: Message, *, at: datetime, source: str, entity: Entity | None = None) -> Judgment:
        """Return the judgment of a message as it came (see `ports.Judge`); large ones are read in a thread."""
        del source, entity
        judge = partial(
            verify, message, trust=self._terms.trust, revocation=self._terms.revocation, at=at, untrusted=(), crls=()
        )
        return await asyncio.to_thread(judge) if len(message) > WINDOW else judge()
