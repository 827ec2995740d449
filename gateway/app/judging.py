"""What inbound mail is judged with: the judges, where their revocation data come from, and what was seen before.

Started before anything listens, ended after everything that was accepted is done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.core.errors import ServiceError
from gateway.core.message import Message
from gateway.core.verdict import Unreadable
from gateway.judging.judges import Judges
from gateway.judging.terms import Terms
from gateway.revocation.fetching import Revocation
from gateway.spool.sightings import SqliteSightings

if TYPE_CHECKING:
    from gateway.config.model import Settings
    from gateway.ports import Clock
    from gateway.service.intake import World

_LETTER: Final = (
    b"From: <kiem-tra@gateway.invalid>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\n' + b"\r\n--b\r\n\r\n" * 70 + b"\r\n--b--\r\n"
)
"""Unsigned, and of more parts than are opened outside a judge's process."""
_PROCESS: Final = "a judge's process"


class Judging:
    """Implements nothing itself: keeps the rooms together."""

    def __init__(self, settings: Settings, world: World, clock: Clock) -> None:
        """Build the rooms; raises `SetupError`."""
        self._clock = clock
        self.sightings = SqliteSightings(settings.spool, settings.verify)
        self._revocation = Revocation(settings.trust.fetch, settings.revocation_directory, clock.now)
        self.judge = Judges(settings.verify, _terms(world), self._revocation)

    async def start(self) -> None:
        """Start fetching and judging; raises `ServiceError` or `OSError`."""
        await self._revocation.start()
        await self.judge.start()

    def use(self, settings: Settings, world: World) -> None:
        """Judge by another world's trust from now on, and fetch as these settings say."""
        self._revocation.use(settings.trust.fetch)
        self.judge.use(_terms(world))

    async def finding(self) -> str | None:
        """Start judging, judge a message, and return what is wrong with that; None if nothing is."""
        try:
            await self.judge.start()
        except ServiceError:
            return f"verify: {_PROCESS} cannot be started"
        found = await self.judge.judge(Message.of(_LETTER), at=self._clock.now(), source="check")
        if isinstance(found.verdict, Unreadable):
            return f"verify: {_PROCESS} does not judge: {found.verdict.reason}"
        return None

    async def close(self) -> None:
        """End the processes, stop fetching, and let go of the memory."""
        await self.judge.close()
        await self._revocation.close()
        await asyncio.to_thread(self.sightings.close)


def _terms(world: World) -> Terms:
    return Terms(world.trust, world.revocation)
