"""A running gateway among several: hears what administrators changed on any machine, and reads its files again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from gateway.app.policies import directory_of, policy_of
from gateway.app.world import read_registry
from gateway.core.errors import GatewayError
from gateway.keys.suspensions import Suspensions, signature
from gateway.sharing.following import Followed, begin, catch_up, state_of, tell, words
from gateway.spool.shared_store import PostgresSpool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from gateway.config.model import Settings
    from gateway.keys.suspensions import Signature
    from gateway.sharing.copies import Texts
    from gateway.sharing.following import State
    from gateway.spool.pulse import News
    from gateway.spool.store import SqlSpool

_LOG: Final = structlog.get_logger("gateway.sharing")
_EVERY: Final = 5.0
"""Seconds between two looks at whether somebody stopped a key on this machine alone (`keys suspend --here`)."""


def begun(settings: Settings) -> Followed | None:
    """Catch up before anything is read; raises `SetupError` where that fails."""
    return begin(settings, _load)


class Following:
    """One for each process; of a spool that nobody shares it does nothing."""

    def __init__(
        self, settings: Settings, spool: SqlSpool, found: Followed | None, reload: Callable[[], Awaitable[None]]
    ) -> None:
        """`found` is how far the files were when they were read; `reload` reads them again."""
        self._settings, self._reload = settings, reload
        self._spool = spool if isinstance(spool, PostgresSpool) else None
        self._found = found or Followed(0)
        self.loaded: State = self._found.state
        """What was read last."""
        self._policy, self._mistakes = "", tuple[str, ...]()
        self._changed = asyncio.Event()
        self._own: Signature | None = None
        """Of the file of suspensions, as it was when it was last compared with what all machines hold."""
        self._news: News | None = None

    async def start(self) -> None:
        """Catch up once more: reading many keys takes long, and nothing listens yet."""
        if self._spool is not None:
            self._news = self._spool.follow(self._changed.set)
            await self._look()

    async def run(self) -> None:
        """Follow until the task is canceled; while the database is away what holds is what the files say."""
        while True:
            await self._something()
            self._changed.clear()
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - the seam: this loop outlives its own bugs
                _LOG.exception("fault while following what was changed for all machines")

    async def _something(self) -> None:
        """Wait for a change on any machine; one on this machine alone is seen in time, however often nobody answers."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._spool is None else _EVERY):
                    await self._changed.wait()
                    return
            if self._own != signature(self._settings.keys_state_file):
                return

    async def catch_up(self, settings: Settings) -> State:
        """Bring the files up to date with other settings; returns what they say, also where nobody answers."""
        self._settings = settings
        found = await self._take()
        return await asyncio.to_thread(state_of, settings) if found is None else found.state

    def say(self, policy: str, mistakes: Sequence[str]) -> None:
        """Tell other machines which policy rules here, and why the last reload was refused."""
        self._policy, self._mistakes = policy, tuple(mistakes)
        if self._spool is not None:
            self._spool.say(words(self._found, self.loaded, policy, self._mistakes))

    async def _look(self) -> None:
        """Take over what there is; only what was read again counts as followed."""
        found = await self._take()
        if found is None:
            return
        if found.state != self.loaded:
            await self._reload()
        else:
            self.say(self._policy, self._mistakes)
        if self._news is not None:
            self._news.followed(found.number, unable=bool(found.failed))

    async def _take(self) -> Followed | None:
        """Bring the files up to date; None while the database is away."""
        if self._spool is None:
            return self._found
        own = signature(self._settings.keys_state_file)
        try:
            found = await asyncio.to_thread(catch_up, self._settings, self._spool.gazette, _load)
        except GatewayError as error:
            _LOG.warning("what was changed for all machines is not known now", error=str(error))
            return None
        tell(found, self._found)
        self._found, self._own = found, own
        Suspensions.at(self._settings.keys_state_file).look()
        return found


def _load(settings: Settings, place: Path, files: Texts) -> object:
    return policy_of(place, files, directory_of(settings, read_registry(settings.agencies)), settings)
