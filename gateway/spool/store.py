"""The spool: implements `ports.Spool` on any database, and the one on SQLite (`handover.md` 3, RFC 5321 4.5.4.1).

When `commit` returns, the entries survive a crash: on SQLite their rows are in the synced log, a large body is a synced
file whose name is synced too. Octets of a body are written before the row that tells of them and removed after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from gateway.core.errors import ServiceError, SetupError, StorageFullError
from gateway.core.message import Message
from gateway.core.queue import NOWHERE
from gateway.spool.changes import Change, free, owners
from gateway.spool.claims import Owner
from gateway.spool.database import Database, UncertainCommitError
from gateway.spool.files import BodyFiles
from gateway.spool.holding import Held
from gateway.spool.migrate import SPOOL
from gateway.spool.place import prepare_place, room
from gateway.spool.plans import pull_near
from gateway.spool.reader import Reader
from gateway.spool.reserve import Reserve
from gateway.spool.schema import stamp
from gateway.spool.strays import Strays
from gateway.spool.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from gateway.config.model import SpoolSettings
    from gateway.core.queue import Entry, Full, Kind
    from gateway.spool.engine import Beside, Claimant, Engine, KeptRoom
    from gateway.spool.place import Place
    from gateway.spool.schema import Stored

T = TypeVar("T")

_LOG: Final = structlog.get_logger("gateway.spool")
HELPERS: Final = 4
"""Threads that write large bodies and read entries; the writer has its own."""
ROOM_SECONDS: Final = 1.0
"""How long an answer of the file system about its room is good for."""
SPARE_PAGES: Final = 4096
"""Free pages of 4 KB the database keeps for the next burst."""
SHRINKING: Final = 2048
"""Pages given back at a time: others wait as long as that takes."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a spool is made of."""

    place: Place
    database: Engine
    files: Beside
    reserve: KeptRoom
    reader: Reader
    owner: Claimant
    held: Held
    upkeep: Callable[[], None]


class SqlSpool:
    """A durable store, whatever its database; any number of processes may open it."""

    def __init__(self, rooms: Rooms, *, min_free: int) -> None:
        """Begin to work; `min_free` octets must stay free on the file system of the place."""
        self._place, self._min_free = rooms.place, min_free
        self._database, self._files, self._reserve = rooms.database, rooms.files, rooms.reserve
        self._reader, self._owner, self._held = rooms.reader, rooms.owner, rooms.held
        self._room_known_until = 0.0
        self._below = False
        self._helpers = ThreadPoolExecutor(HELPERS, thread_name_prefix="spool")
        self._returning: set[asyncio.Future[None]] = set()
        self._strays = Strays(self._database, self._owner, self._held)

        def upkeep() -> None:
            rooms.upkeep()
            self._strays.free()

        self._writer = Writer(self._database, self._files, self._reserve, owner=self._owner, upkeep=upkeep)
        self._closed = False

    async def close(self) -> None:
        """Finish the changes under way and let go of everything; what was claimed here is free afterwards."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._helpers.shutdown()
        self._writer.close()
        self._owner.close()
        self._files.close()
        self._reserve.close()
        self._database.close()

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Store all entries in one transaction, group-committed with others.

        Committing the same entry ids again is harmless. Raises `StorageFullError` or `ServiceError`: nothing is kept;
        and `ValueError` for an entry that must not be written down.
        """
        await self._store(entries, ())

    async def commit_claimed(self, entries: Sequence[Entry]) -> None:
        """Store as `commit` does, and claim: whoever sends their dots, or hears these answered, has them alone."""
        token = self._owner.token
        await self._store(entries, (), claiming=True)
        self._held.take((each.entry_id for each in entries), token)

    async def settle(self, entry: Entry, notices: Sequence[Entry] = ()) -> None:
        """Replace an entry's state by `entry`'s and store notices, in one transaction; raises as `commit` does.

        One of kind DELIVER without READY recipients is deleted. For an entry that is gone only the notices are stored.
        """
        await self._store(notices, (entry,))

    async def exchange(self, entry_id: str, entries: Sequence[Entry]) -> None:
        """Put entries in the place of one, in one transaction; raises as `commit` does.

        Where that one is gone nothing is stored: exchanging again is harmless. `ValueError` without entries: what is
        exchanged for nothing would be lost.
        """
        if not entries:
            raise ValueError("an entry is exchanged for at least one")
        await self._store(entries, (), replaced=entry_id)

    async def due(self, now: datetime, limit: int, full: Full = NOWHERE) -> tuple[Entry, ...]:
        """Return and claim DELIVER entries whose next attempt is due, oldest first; raises `ServiceError`.

        Those for which there is no room are passed over, and the others share the limit, domain by domain. An entry
        that cannot be read is quarantined instead. A claim lasts until `settle`, `release_claim`, `close` or the death
        of this process.
        """
        if not full:
            return await self._claimed(Change(due=now, limit=limit))
        turns = await self._in_helper(lambda: self._reader.turns(now, full))
        return await self._claimed(Change(due=now, limit=limit, turns=turns)) if turns else ()

    async def due_again(self, now: datetime, limit: int) -> tuple[Entry, ...]:
        """Return and claim RELEASED and TO_SIGN entries that are due, as `due` does those that are delivered."""
        return await self._claimed(Change(due=now, limit=limit, again=True))

    async def _claimed(self, change: Change) -> tuple[Entry, ...]:
        claiming = asyncio.ensure_future(self._claim(change))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._give_back)
            raise

    async def release_claim(self, entry_id: str) -> None:
        """Give a claimed entry back unchanged."""
        await self._release((entry_id,))

    async def next_due(self, full: Full = NOWHERE) -> datetime | None:
        """Return when the earliest unclaimed DELIVER entry is due for which there is room."""
        return await self._in_helper(lambda: self._reader.next_due(full))

    async def pull_near(self, now: datetime, longest: timedelta) -> int:
        """Make due what is planned for more than `longest` from now, and return how many; raises `ServiceError`."""
        return await self._in_helper(lambda: pull_near(self._database, stamp(now), stamp(now + longest)))

    async def next_due_again(self) -> datetime | None:
        """Return when the earliest unclaimed RELEASED or TO_SIGN entry is due."""
        return await self._in_helper(self._reader.next_due_again)

    async def count(self) -> Mapping[str, int]:
        """Return the number of entries by kind."""
        return await self._in_helper(self._reader.count)

    async def entries(self, kind: Kind, limit: int) -> tuple[Entry, ...]:
        """Return entries of a kind, the oldest first, without claiming any: for an administrator to look at."""
        return await self._in_helper(lambda: self._reader.of_kind(kind, limit))

    def holds(self, entry_id: str) -> bool:
        """Return whether an entry that was claimed here is still ours: if not, nothing more is sent of it."""
        return self._held.has(entry_id)

    def watch(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, in this event loop, when others say that something is due."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody sleeps there any more
                loop.call_soon_threadsafe(wake)

        self._owner.watch(tell)

    @property
    def below_watermark(self) -> bool:
        """True while there is too little room, or nobody knows, or no database: MAIL is answered 452 4.3.1."""
        now = time.monotonic()
        if now >= self._room_known_until:
            self._room_known_until = now + ROOM_SECONDS
            self._below = self._is_below()
        return self._below or not self._owner.reachable

    def _is_below(self) -> bool:
        """Look at the disk, and say in the log when mail is turned away for it, and when it is taken again."""
        try:
            free = room(self._place.directory)
        except OSError as error:
            _LOG.error("the room on the spool's disk is unknown", error=str(error))
            return True
        below = free < self._min_free
        if below != self._below:
            facts = {"directory": str(self._place.directory), "free": free, "min_free": self._min_free}
            if below:
                _LOG.error("too little room on the spool's disk: no mail is taken", **facts)
            else:
                _LOG.info("there is room on the spool's disk again: mail is taken", **facts)
        return below

    async def _store(
        self, entries: Sequence[Entry], settled: Sequence[Entry], *, replaced: str = "", claiming: bool = False
    ) -> None:
        try:
            change = Change.storing(entries, settled, replaced=replaced, claiming=claiming)
        except OSError as error:
            raise ServiceError(f"a body cannot be read: {error.strerror}") from error
        try:
            await self._write(change)
        except UncertainCommitError:
            raise  # a crash now could bring the rows back: their files wait for `tidy`
        except ServiceError:
            with contextlib.suppress(ServiceError):
                if change.files:
                    await self._in_helper(lambda: self._remove_unknown(change.files))
            raise
        self._held.let_go(change.over)
        if entries:
            self._owner.came()

    async def _write(self, change: Change) -> None:
        if change.files:
            await self._in_helper(lambda: self._keep_files(change.entries))
        await self._writer.submit(change)

    def _remove_unknown(self, names: Sequence[str]) -> None:
        """Remove large bodies that have no row; in the turn, so that no row can come meanwhile."""
        if names:
            with self._database.turn():
                known = self._reader.known(names)
                for name in names:
                    if name not in known:
                        self._files.remove(name)

    def _keep_files(self, entries: Iterable[Stored]) -> None:
        for each in entries:
            if each.large is not None:
                self._files.keep(each.entry["entry_id"], each.large)

    async def _claim(self, change: Change) -> tuple[Entry, ...]:
        token = self._owner.token
        claimed = await self._writer.submit(change)
        if not claimed:
            return ()
        self._held.take(claimed, token)
        try:
            loaded = await self._in_helper(lambda: self._reader.load(claimed))
        except ServiceError:
            await self._release(claimed)
            raise
        if loaded.damaged:
            _LOG.error("entries of the spool cannot be read and are quarantined", entries=loaded.damaged)
            await self._writer.submit(Change(damaged=loaded.damaged))
        if loaded.left:
            await self._release(loaded.left)
            if not loaded.found:
                raise StorageFullError("there is no room to send large mail from")
        return loaded.found

    async def _release(self, ids: tuple[str, ...]) -> None:
        self._held.let_go(ids)
        await self._writer.submit(Change(released=ids))

    def _give_back(self, claiming: asyncio.Future[tuple[Entry, ...]]) -> None:
        """Release what was claimed for somebody who is gone."""
        if not claiming.cancelled() and claiming.exception() is None and not self._closed:
            ids = tuple(entry.entry_id for entry in claiming.result())
            returning = asyncio.ensure_future(self._release(ids))
            self._returning.add(returning)
            returning.add_done_callback(self._returned)

    def _returned(self, returning: asyncio.Future[None]) -> None:
        self._returning.discard(returning)
        if not returning.cancelled() and (error := returning.exception()) is not None:
            _LOG.error("claims could not be given back", error=str(error))

    async def _in_helper(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise ServiceError("the spool is closed")
        return await asyncio.get_running_loop().run_in_executor(self._helpers, work)


class SqliteSpool(SqlSpool):
    """The durable store of one machine: a file in its directory."""

    def __init__(self, settings: SpoolSettings) -> None:
        """Open the spool, making it if there is none, and free what dead processes had claimed.

        Raises `SetupError` if it cannot be used.
        """
        place = prepare_place(settings.directory)
        try:
            self._sqlite = Database(place, SPOOL)
            self._bodies = BodyFiles(place.bodies)
            reserve = Reserve(place.reserve)
            with self._sqlite.turn():
                self._mine = Owner(place.owners)
                try:
                    self._free_claims()
                except StorageFullError:  # start all the same: delivering is what makes room
                    reserve.spend()
                    self._free_claims()
        except (OSError, ServiceError) as error:
            raise SetupError(f"{place.directory}: the spool cannot be opened: {error}") from error
        reader = Reader(self._sqlite, lambda _, row: Message.from_source(self._bodies.open(row.entry_id, row.length)))
        rooms = Rooms(
            place,
            self._sqlite,
            self._bodies,
            reserve,
            reader,
            self._mine,
            Held(self._mine),
            upkeep=lambda: self.tidy(time.time()),
        )
        super().__init__(rooms, min_free=settings.min_free)

    def tidy(self, now: float) -> None:
        """Free claims of the dead, remove files without a row, give room back; blocks. Called about once a minute.

        `now` is in seconds since 1970, as the file system counts.
        """
        with self._sqlite.turn():
            self._free_claims()
        self._remove_unknown(self._bodies.waste(now))
        with self._sqlite.turn():
            self._sqlite.shrink(keep=SPARE_PAGES, most=SHRINKING)

    def _free_claims(self) -> None:
        """Free what dead owners had claimed; inside the turn."""
        with self._sqlite.reading() as connection:
            dead = [each for each in owners(connection) if not self._mine.lives(each)]
        if dead:
            with self._sqlite.writing() as connection:
                for each in dead:
                    free(connection, each)
        self._mine.bury()
