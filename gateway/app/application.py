"""One running gateway: builds every room from the settings and joins them; reads like its own diagram.

Nothing here decides about mail. A reload replaces the `World` as a whole or leaves the old one standing; stopping takes
no new sessions, finishes what was accepted, and leaves the rest in the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Final

import structlog

from gateway.app.copies import copies_of, filing
from gateway.app.digests import digests_of
from gateway.app.findings import findings_of
from gateway.app.following import Following, begun
from gateway.app.hopword import HopWords
from gateway.app.journey import Rooms, join
from gateway.app.judging import Judging
from gateway.app.keeping import Keeping
from gateway.app.presence import Presence, State
from gateway.app.tokens import new_token
from gateway.app.world import Parts
from gateway.config.model import ListenerKind
from gateway.core.errors import SetupError
from gateway.delivery.ages import Ages
from gateway.delivery.dispatch import Dispatcher
from gateway.delivery.handover import Handover
from gateway.delivery.outcomes import Outcomes
from gateway.inspection.openssl import OpenSsl
from gateway.keys.revocation import REFRESH_EVERY
from gateway.record.events import LogRecorder
from gateway.record.logs import configure
from gateway.relay.hop import Hops
from gateway.relay.probe import RecipientChecks
from gateway.relay.route import Routes
from gateway.service.again import Again
from gateway.service.sizes import AnnouncedSize
from gateway.smtp.auth.passwords import Argon2Passwords
from gateway.smtp.room import Room
from gateway.smtp.server import Server, serve
from gateway.spool.bodies import SpoolBodies
from gateway.spool.memory import SqliteMemory
from gateway.spool.opening import open_spool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gateway.app.presence import Present
    from gateway.config.model import Listener, Settings
    from gateway.ports import Recorder
    from gateway.smtp.auth.table import LoginTable

DRAIN_SECONDS: Final = 30.0
"""Seconds that open sessions get to finish after SIGTERM."""
SIZE_REFRESH_SECONDS: Final = 60.0
FIRST_SIZES: Final = 2.0
"""Seconds that a start waits for next hops to say what they take: one that hangs must not hold up everybody's mail."""
RELOADABLE: Final = frozenset(
    {
        "policies",
        "keys",
        "keys_revocation",
        "keys_state",
        "auth",
        "trust",
        "agencies",
        "tags",
        "verify",
        "senders",
        "wishes",
        "log_level",
    }
)
"""Sections of the settings that a reload takes over; others need a restart."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """Return the present, aware, UTC."""
        return dt.datetime.now(dt.UTC)


class Application:
    """One gateway: `start` it inside a loop, `reload` it, `stop` it; or `close` it without having started."""

    def __init__(
        self,
        settings: Settings,
        *,
        read_again: Callable[[], Settings] | None = None,
        present: Present | None = None,
    ) -> None:
        """Build every room; raises `SetupError` with all mistakes. Nothing listens before `start`.

        `read_again` returns the settings as the file has them now, for `reload`. `present` is how others find us: by
        files in the spool's directory where it is not given.
        """
        clock, recorder = SystemClock(), LogRecorder()
        self._log = structlog.get_logger("gateway.app")
        self._settings, self._read_again, self._clock = settings, read_again, clock
        followed = begun(settings)
        self._ages = Ages(clock, most=settings.spool.expire_after)
        self._parts = Parts(settings, clock.now())
        self._hops = Hops(settings)
        self._spool = open_spool(settings.spool)
        self._following = Following(settings, self._spool, followed, self._reload_in_turn)
        self._bodies = SpoolBodies(settings.spool)
        self._memory = SqliteMemory(settings.spool, settings.memory)
        self._judging = Judging(settings, self._parts.world, clock)
        self._routes = Routes(settings)
        self._checks = RecipientChecks(settings.local_domains, self._hops)
        self._passwords = _passwords(settings, self._parts.logins)
        self._dispatcher = self._dispatching(recorder)
        self._handover = self._handing_over(recorder)
        self._copies = copies_of(settings)
        self._journey = join(
            settings,
            self._parts.world,
            Rooms(
                hops=self._hops,
                routes=self._routes,
                bodies=self._bodies,
                checks=self._checks,
                hand_over=filing(self._handover, self._copies),
                clock=clock,
                recorder=recorder,
                memory=self._memory,
                opinion=OpenSsl(),
                judge=self._judging.judge,
                sightings=self._judging.sightings,
                new_token=new_token,
            ),
        )
        self._again, self._keeping = self._looking_after(recorder)
        self._sizes = {each.name: self._announced(each) for each in settings.listeners}
        self._sized = asyncio.Event()
        self._presence: Present = present or Presence(settings.spool.directory)
        self._loads = 0
        self._reloading = asyncio.Lock()
        self._servers: list[Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def _dispatching(self, recorder: Recorder) -> Dispatcher:
        """Return what delivers what the spool holds."""
        return Dispatcher(
            spool=self._spool,
            recorder=recorder,
            settings=self._settings.spool,
            hostname=self._settings.hostname,
            hops=self._hops,
            routes=self._routes,
            clock=self._clock,
            new_id=new_token,
            ages=self._ages,
        )

    def _handing_over(self, recorder: Recorder) -> Handover:
        """Return what hands accepted mail over, or commits it."""
        return Handover(
            hops=self._hops,
            spool=self._spool,
            recorder=recorder,
            clock=self._clock,
            settings=self._settings.spool,
            hostname=self._settings.hostname,
            new_id=new_token,
            ages=self._ages,
            routes=self._routes,
            on_committed=self._dispatcher.wake,
        )

    def _looking_after(self, recorder: Recorder) -> tuple[Again, Keeping]:
        """Return what takes kept mail through the journey again, and what ends it."""
        outcomes = Outcomes(
            settings=self._settings.spool,
            hostname=self._settings.hostname,
            routes=self._routes,
            clock=self._clock,
            new_id=new_token,
            ages=self._ages,
        )
        again = Again(
            spool=self._spool,
            journey=self._journey,
            outcomes=outcomes,
            clock=self._clock,
            recorder=recorder,
            hostname=self._settings.hostname,
            on_committed=self._dispatcher.wake,
            copies=self._copies,
        )
        keeping = Keeping(
            self._settings.spool,
            outcomes=outcomes,
            clock=self._clock,
            recorder=recorder,
            on_committed=self._dispatcher.wake,
            ages=self._ages,
            digests=digests_of(self._settings, outcomes, self._routes, lambda: self._journey.world.who.registry),
        )
        return again, keeping

    def _announced(self, listener: Listener) -> AnnouncedSize:
        inbound = listener.kind is ListenerKind.INBOUND
        routes = self._settings.local_domains if inbound else self._settings.outbound
        names = (each.hop for each in routes)
        return AnnouncedSize(self._hops, names, most=self._settings.max_message_size, signing=not inbound)

    async def start(self) -> None:
        """Dispatch what the spool holds, then listen; raises `SetupError` if an address cannot be listened on."""
        with contextlib.suppress(OSError):  # `gateway policy apply` will not find us; mail flows
            if self._presence.claim():
                self._run(HopWords(self._hops, self._settings.spool.directory, self._presence, self._clock).run())
            else:
                self._log.warning("another gateway runs on this spool: `gateway policy apply` reaches that one only")
        await self._judging.start()
        self._run(self._keep_sizes())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._sized.wait(), FIRST_SIZES)
        await self._following.start()
        self._spool.watch(self._look_for_work)
        self._run(self._dispatcher.run())
        self._run(self._again.run())
        self._run(self._keep_keys())
        self._run(self._keeping.run())
        self._run(self._following.run())
        room = Room(self._settings.spool.memory_budget)
        for listener in self._settings.listeners:
            self._servers.append(
                await serve(
                    listener,
                    intake=self._journey,
                    passwords=self._passwords,
                    bodies=self._bodies,
                    spool=self._spool,
                    hostname=self._settings.hostname,
                    max_message_size=self._sizes[listener.name],
                    clock=self._clock,
                    new_trace_id=new_token,
                    shared=self._settings.workers > 1,
                    room=room,
                )
            )
            self._log.info("listening", listener=listener.name, address=listener.address, kind=listener.kind.value)
        self._say_state()

    def _look_for_work(self) -> None:
        self._dispatcher.wake()
        self._again.wake()

    def port(self, listener: str) -> int:
        """Return the port a listener is bound to."""
        return next(each.port for each in self._servers if each.name == listener)

    def _run(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("a background task ended", exc_info=error)

    async def _keep_sizes(self) -> None:
        while True:
            await asyncio.gather(*(each.refresh() for each in self._sizes.values()))
            self._sized.set()
            await asyncio.sleep(SIZE_REFRESH_SECONDS)

    async def _keep_keys(self) -> None:
        """Hear of revocations without being told to reload."""
        while True:
            await asyncio.to_thread(self._parts.catalog.refresh, self._clock.now())
            await asyncio.sleep(REFRESH_EVERY)

    def reload(self) -> None:
        """Read policies, keys, logins, trust and TLS certificates again, beside the mail that flows."""
        self._run(self._reload_in_turn())

    async def _reload_in_turn(self) -> None:
        """Let no reload overtake another: the one that was asked for last is the one that stays."""
        async with self._reloading:
            await self._reload()

    async def _reload(self) -> None:
        try:
            settings = self._read_again() if self._read_again is not None else self._settings
            state = await self._following.catch_up(settings)
            parts = await asyncio.to_thread(Parts, settings, self._clock.now())
            for server in self._servers:
                server.reload_tls()
        except SetupError as error:
            self._log.error("reload refused, the old state stands", mistakes=error.mistakes)
            self._say_state(error.mistakes)
            return
        configure(settings.log_level)
        changed = [
            name for name in type(settings).model_fields if getattr(settings, name) != getattr(self._settings, name)
        ]
        self._parts, self._following.loaded = parts, state
        self._journey.world = parts.world
        self._judging.use(settings, parts.world)
        if self._passwords is not None:
            self._passwords.replace(parts.logins)
        waiting = sorted(set(changed) - RELOADABLE)
        if waiting:
            self._log.warning("changed settings that need a restart", sections=waiting)
        self._log.info("reloaded", policy=parts.world.policy.digest)
        self._say_state()

    def _say_state(self, mistakes: tuple[str, ...] = ()) -> None:
        """Leave word of what is live now, for `gateway policy apply`."""
        self._loads += 1
        at = self._clock.now().isoformat(timespec="milliseconds")
        self._following.say(self._journey.world.policy.digest, mistakes)
        if not self._servers:
            return  # read again before anything listened: a supervisor would take us for ready
        try:
            self._presence.report(State(self._journey.world.policy.digest, self._loads, at, mistakes))
        except OSError as error:
            self._log.warning("the state file cannot be written", error=error.strerror)

    async def findings(self) -> tuple[str, ...]:
        """Return what an administrator should know before a start; asks every hop, changes nothing."""
        found = await findings_of(
            self._settings, self._parts, hops=self._hops, checks=self._checks, now=self._clock.now()
        )
        judging = await self._judging.finding()
        return found if judging is None else (*found, judging)

    async def stop(self) -> int:
        """Drain: no new sessions, finish what was accepted. Returns the number of messages that did not finish.

        Those were not answered, so their clients still have them.
        """
        self._log.info("stopping", seconds=DRAIN_SECONDS)
        *left, _ = await asyncio.gather(
            *(each.drain(DRAIN_SECONDS) for each in self._servers), self._handover.drain(DRAIN_SECONDS)
        )
        await self._again.stop(DRAIN_SECONDS)
        await self._dispatcher.stop(DRAIN_SECONDS)
        await self._copies.close()
        for task in tuple(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.close()
        unfinished = sum(each for each in left if isinstance(each, int))
        self._log.info("stopped", unfinished=unfinished)
        return unfinished

    async def close(self) -> None:
        """Let go of connections, processes and the spool."""
        self._presence.release()
        if self._passwords is not None:
            await self._passwords.close()
        await self._judging.close()
        await self._hops.close()
        await self._spool.close()
        await asyncio.to_thread(self._memory.close)


def _passwords(settings: Settings, logins: LoginTable) -> Argon2Passwords | None:
    return Argon2Passwords(logins, remember=settings.auth.remember) if settings.auth else None
