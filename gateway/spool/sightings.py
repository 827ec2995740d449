"""Signatures and certificates seen before, in a database of their own beside the spool; implements `ports.Sightings`.

It must never delay mail: a new signature is told by memory alone, and who has to ask the disk waits for `PATIENCE` at
most, and hears "unknown" where it is slow, full or broken. What was seen is written in batches behind the answer.
Within a process the second of two arrivals is told of the first at once; another process hears of it within twice
`GATHERING`, and a crash loses as much.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.core.errors import GatewayError, ServiceError
from gateway.core.sighting import Contact, Recollection, Repeat
from gateway.spool.batches import batches
from gateway.spool.marks import Mark, digest, digest_of_known, gravest
from gateway.spool.place import prepare_place, room
from gateway.spool.schema import stamp
from gateway.spool.seen import (
    MOST_CERTIFICATES,
    SHRINKING,
    SPARE_PAGES,
    News,
    Question,
    ask,
    forget,
    open_seen,
    write,
)
from gateway.spool.sieve import GATHERING, Keeper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from gateway.config.inbound import VerifySettings
    from gateway.config.model import SpoolSettings
    from gateway.core.sighting import Sighting
    from gateway.spool.database import Database
    from gateway.spool.seen import Answer
    from gateway.spool.sieve import Sieve

_LOG: Final = structlog.get_logger("gateway.sightings")
PATIENCE: Final = 0.25
"""Seconds that one message waits for the disk, and for a turn of the thread that reads."""
WAITING: Final = 10_000
"""Arrivals that wait to be written or answered; what comes on top is answered with "unknown"."""
BATCH: Final = 500
"""Arrivals of one transaction."""
RECENT: Final = 20_000
"""Signatures, and authors, that are answered from memory: more than can wait to be written."""
STALE: Final = 2.0
"""Seconds after which a sieve that nobody kept is not believed: other processes may have written meanwhile."""
UPKEEP_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 1.0
"""After which what could not be written is tried again."""
_DAY: Final = 86_400_000_000
"""Microseconds."""
_NOTHING: Final = Recollection(Repeat.NEW, Contact.UNKNOWN)
_TO_WRITE: Final = (Repeat.NEW, Repeat.UNKNOWN)
"""What the tables may not have; if they do, nothing is changed in them."""
_UNKNOWN: Final = Recollection(Repeat.UNKNOWN, Contact.UNKNOWN)


@dataclass(slots=True, eq=False)
class _Signature:
    """The first message of a signature: the earliest in the tables, else the first that came here."""

    first: Mark
    asked: _Asked | None = None
    known: bool = False
    """True once it is clear what the tables hold: before that, an earlier message may be in them."""


@dataclass(slots=True, eq=False)
class _Author:
    """The certificates of an author, each with the time it was last seen."""

    asked: _Asked
    known: bool = False
    certificates: dict[bytes, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Asked:
    """A question on its way through the thread that reads, and whoever waits for its answer."""

    question: Question
    loop: asyncio.AbstractEventLoop
    answered: asyncio.Future[None]
    signatures: list[_Signature] = field(default_factory=list)
    author: _Author | None = None


class NoSightings:
    """Implements `ports.Sightings` where nothing may be noted: everything is new."""

    async def see(self, sighting: Sighting) -> Recollection:
        """Return that it is new."""
        del sighting
        return _NOTHING


class SqliteSightings:
    """Implements `ports.Sightings` for one event loop; any number of processes may write."""

    def __init__(self, spool: SpoolSettings, settings: VerifySettings) -> None:
        """Open the database, making it if there is none; raises `SetupError`. Turned off, it opens nothing."""
        self._settings, self._spool = settings, spool
        self._signatures: OrderedDict[bytes, _Signature] = OrderedDict()
        self._authors: OrderedDict[bytes, _Author] = OrderedDict()
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._waiting: deque[News] = deque()
        self._awake, self._closed = threading.Event(), threading.Event()
        self._failing = self._silent = False
        self._unknown = 0
        self._sieve: Sieve | None = None
        """What the tables may hold; None until they have been read through."""
        self._sieve_at = 0.0
        self._database: Database | None = None
        self._threads: tuple[threading.Thread, ...] = ()
        if settings.replay_days and settings.replay_most:
            database = self._database = open_seen(prepare_place(spool.directory))
            works: tuple[Callable[[Database], None], ...] = (self._read, self._write)
            self._threads = tuple(
                threading.Thread(target=each, args=(database,), name=f"sightings{each.__name__}", daemon=True)
                for each in works
            )
            for each in self._threads:
                each.start()

    @property
    def unknown(self) -> int:
        """How many arrivals were answered with "unknown"."""
        return self._unknown

    async def see(self, sighting: Sighting) -> Recollection:
        """Note an arrival and return what was known before it."""
        if self._database is None:
            return _NOTHING
        signatures = {digest(each) for each in sighting.signatures if each}
        full = len(self._waiting) >= WAITING or self._asked.qsize() >= WAITING
        if full or not signatures or self._closed.is_set():
            return self._told(_UNKNOWN)
        mark = Mark.of(sighting)
        author = digest_of_known(sighting.author) if sighting.author is not None else None
        held, person = self._hold(signatures, author, mark)
        for each in (*held.values(), person):
            if each is not None and each.asked is not None and not each.asked.answered.done():
                await asyncio.shield(each.asked.answered)  # others may wait for the same
        repeats = [_repeat(one, mark) for one in held.values()]
        at = stamp(sighting.at)
        contact, unwritten = _contact(person, set(map(digest_of_known, sighting.certificates)), at)
        fresh = tuple([each for each, repeat in zip(held, repeats, strict=True) if repeat in _TO_WRITE])
        if fresh or unwritten:
            self._waiting.append(News(fresh, mark, author, unwritten, at))
            if not self._awake.is_set():  # else it has not begun to look
                self._awake.set()
        return self._told(Recollection(self._counting(repeats), contact))

    def close(self) -> None:
        """Write what waits, and let go; blocks."""
        self._closed.set()
        self._awake.set()
        self._asked.put(None)
        for each in self._threads:
            each.join()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _counting(self, repeats: Sequence[Repeat]) -> Repeat:
        repeat = gravest(repeats)
        # what nobody will remember is not called new: its copies would be as well
        return Repeat.UNKNOWN if repeat is Repeat.NEW and self._failing else repeat

    def _told(self, found: Recollection) -> Recollection:
        self._unknown += found.repeat is Repeat.UNKNOWN
        return found

    def _hold(
        self, signatures: AbstractSet[bytes], author: bytes | None, mark: Mark
    ) -> tuple[dict[bytes, _Signature], _Author | None]:
        """Return what is held of signatures and author: everything, at once, for whoever comes next.

        What the tables have not told yet is asked for, in one question; after trouble, once more.
        """
        while len(self._signatures) > RECENT:
            self._signatures.popitem(last=False)
        while len(self._authors) > RECENT:
            self._authors.popitem(last=False)
        sieve = self._sieve if time.monotonic() - self._sieve_at < STALE else None
        held: dict[bytes, _Signature] = {}
        for each in signatures:
            one = self._signatures.pop(each, None)
            if one is None:
                one = _Signature(mark, known=sieve is not None and each not in sieve)
            self._signatures[each] = held[each] = one
        wanted = tuple([each for each, one in held.items() if _is_open(one)])
        person = self._authors.get(author) if author is not None else None
        stranger = author if person is None or _is_open(person) else None
        if wanted or stranger is not None:
            asked = self._ask(Question(wanted, stranger))
            for each in wanted:
                held[each].asked = asked
                asked.signatures.append(held[each])
            if stranger is not None:
                person = asked.author = self._authors.setdefault(stranger, _Author(asked))
                person.asked = asked
        if author is not None:
            self._authors.move_to_end(author)
        return held, person

    def _ask(self, question: Question) -> _Asked:
        loop = asyncio.get_running_loop()
        asked = _Asked(question, loop, loop.create_future())
        timer = loop.call_later(PATIENCE, self._settle, asked, None)
        asked.answered.add_done_callback(lambda _: timer.cancel())
        self._asked.put(asked)
        return asked

    def _settle(self, asked: _Asked, answer: Answer | None) -> None:
        """Take an answer, None where there is none; the first one counts."""
        if asked.answered.done():
            return
        if answer is not None:
            for held, first in zip(asked.signatures, answer.firsts, strict=True):
                held.known = True
                held.first = first or held.first
            if asked.author is not None:
                asked.author.known = True
                asked.author.certificates = {**answer.certificates, **asked.author.certificates}
        if self._silent is not (answer is None):
            self._silent = answer is None
            event = "signatures seen give no answer" if self._silent else "signatures seen answer again"
            _LOG.warning(event, unknown=self._unknown)
        asked.answered.set_result(None)

    def _read(self, database: Database) -> None:
        while not self._closed.is_set():
            if not self._quietly(partial(self._serve, database)):
                self._closed.wait(RETRY_SECONDS)

    def _serve(self, database: Database) -> None:
        """Answer questions, and keep the sieve, until there is trouble or nothing more to do."""
        self._sieve = None
        with database.cursor() as cursor:
            keeper = Keeper(cursor)
            while not self._closed.is_set():
                with suppress(queue.Empty):
                    self._answer(cursor, self._asked.get(timeout=GATHERING if self._sieve is not None else 0.001))
                keeper.work()
                self._sieve, self._sieve_at = keeper.sieve, time.monotonic()

    def _answer(self, cursor: Any, asked: _Asked | None) -> None:
        if asked is not None and not asked.answered.done():  # else nobody waits any more
            answer = ask(cursor, asked.question)
            with suppress(RuntimeError):  # the loop is closed
                asked.loop.call_soon_threadsafe(self._settle, asked, answer)

    def _write(self, database: Database) -> None:
        upkeep_at = 0.0
        while not self._closed.is_set():
            if self._awake.wait(UPKEEP_SECONDS):
                self._closed.wait(RETRY_SECONDS if self._failing else GATHERING)
            self._awake.clear()
            self._write_all(database)
            if time.monotonic() >= upkeep_at:
                self._quietly(partial(self._forget, database))
                upkeep_at = time.monotonic() + UPKEEP_SECONDS
        self._write_all(database)

    def _write_all(self, database: Database) -> None:
        for some in batches(self._waiting, BATCH):
            self._failing = not self._quietly(partial(self._store, database, some))
            if self._failing:
                self._waiting.extendleft(reversed(some))
                self._awake.set()
                return

    def _quietly(self, work: Callable[[], None]) -> bool:
        """Do something that nobody waits for; returns whether it went well."""
        try:
            work()
        except (GatewayError, OSError) as error:
            _LOG.warning("signatures seen are in trouble", error=str(error), waiting=len(self._waiting))
        except Exception:  # noqa: BLE001 - the threads must outlive every bug: mail only hears "unknown"
            _LOG.exception("signatures seen are in trouble", waiting=len(self._waiting))
        else:
            return True
        return False

    def _store(self, database: Database, some: Sequence[News]) -> None:
        """Write a batch, unless mail needs the room."""
        if room(self._spool.directory) < self._spool.min_free:
            raise ServiceError("the disk has too little room")
        with database.turn(), database.writing() as connection:
            write(connection, some)

    def _forget(self, database: Database) -> None:
        """Forget what is too old or too much, a part at a time, and give room back."""
        before = time.time_ns() // 1_000 - self._settings.replay_days * _DAY
        more = True
        while more and not self._closed.is_set():
            with database.turn(), database.writing() as connection:
                more = forget(connection, before=before, most=self._settings.replay_most)
        with database.turn():
            database.shrink(keep=SPARE_PAGES, most=SHRINKING)


def _is_open(held: _Signature | _Author) -> bool:
    """Return True for what the tables have still to be asked for, or did not tell."""
    return not held.known and (held.asked is None or held.asked.answered.done())


def _repeat(held: _Signature, mark: Mark) -> Repeat:
    """Return what a message is to the first one of its signature; its mark is that one's own where it is the first."""
    if not held.known:
        return Repeat.UNKNOWN
    return Repeat.NEW if held.first is mark else mark.after(held.first)


def _contact(person: _Author | None, certificates: set[bytes], at: int) -> tuple[Contact, tuple[bytes, ...]]:
    """Return how the certificates relate to those of the author, and which of them are to be written."""
    if person is None or not certificates:
        return Contact.UNKNOWN, ()
    known = person.certificates
    unwritten = tuple(each for each in certificates if at - known.get(each, 0) > _DAY)
    if not person.known:
        contact = Contact.UNKNOWN
    elif not known:
        contact = Contact.FIRST
    else:
        contact = Contact.KNOWN if certificates <= known.keys() else Contact.CHANGED
    known.update(dict.fromkeys(unwritten, at))
    while len(known) > MOST_CERTIFICATES:
        del known[min(known, key=known.__getitem__)]
    return contact, unwritten
