"""Revocation data and issuers for whoever judges, from the cache or from where certificates say (RFC 5280, RFC 6960).

- What is fresh in the cache costs nothing. For everything else there is one request at a time, whoever waits for it.
- A certificate's responders are asked; if they have not answered after a while, all its lists are got as well.
- Nobody waits longer than the settings say. Work goes on behind, and serves the next message.
- Sites that do not answer, and questions that got no fit answer, are left alone for a while that grows.
- What was used lately is got anew at half of its life, so that mail does not wait for it.
- An answer older than the one in the cache does not replace it: over plain HTTP anybody could send yesterday's.

Nothing here raises at a caller, and nothing found is the last word: it is judged where it is used.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import SetupError
from gateway.pki.needs import NOTHING_FOUND, Evidence
from gateway.revocation.cache import Cache, Kept, Kind
from gateway.revocation.client import Blame, Client, FetchError
from gateway.revocation.places import Places
from gateway.revocation.questions import (
    MAX_URLS,
    IssuersQuestion,
    ListQuestion,
    Question,
    StatusQuestion,
    UnfitError,
    most_octets,
)
from gateway.revocation.turns import Pauses, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from pathlib import Path
    from typing import Any

    from gateway.config.inbound import FetchSettings
    from gateway.pki.needs import Asked, Needs
    from gateway.revocation.places import Place

_LOG: Final = structlog.get_logger("gateway.revocation")
MAX_STATUSES: Final = 32
MAX_ISSUER_URLS: Final = 8
"""Of one message; what comes behind them is not looked for."""
ISSUERS_AGE: Final = dt.timedelta(days=1)
_HEDGE: Final = 0.25
"""Part of the patience after which lists are got although a responder may still answer."""
_LOOK_EVERY: Final = 5.0
"""Seconds between two looks at what has reached half of its life."""
_RENEWED: Final = 16
"""Questions that one look asks again."""
_REMEMBERED: Final = 4_000
"""Questions that may be asked again in the background."""
_MOST_AT_WORK: Final = 500
"""Certificates being looked up at once; beyond it a message gets what the cache has."""
NOT_LISTED: Final = "is not in trust.fetch.hosts"
_SHOWN: Final = 200
"""Characters of a stranger's URL in a log."""
_CONTENT: Final = "application/ocsp-request"


@dataclass(frozen=True, slots=True)
class _Found:
    """What became of some questions."""

    kept: tuple[Kept, ...]
    troubles: tuple[str, ...]

    @property
    def settled(self) -> bool:
        """Whether asking again would hardly find more: all that may be asked has answered."""
        return bool(self.kept) and all(each.endswith(NOT_LISTED) for each in self.troubles)

    def beside(self, other: _Found) -> _Found:
        """Return both."""
        return _Found((*self.kept, *other.kept), (*self.troubles, *other.troubles))


class Revocation:
    """`ports.RevocationData`, between `start` and `close`; used from one event loop."""

    def __init__(self, settings: FetchSettings, directory: Path, clock: Callable[[], dt.datetime]) -> None:
        """Take where answers are kept (made if need be), and a clock that gives aware times."""
        self._client = Client(Places((), ()), timeout=settings.timeout, max_octets=settings.max_octets)
        self.use(settings)
        self._directory = directory
        self._cache = Cache(directory)
        self._clock = clock
        # issuers are asked for before any path is known: whoever sends mail can name as many places as he likes
        self._issuer_turns = Turns(for_each=2, for_all=4, waiting=64, a_minute=120)
        self._turns = Turns(for_each=4, for_all=16, waiting=400)
        self._sites = Pauses(after=2, first=5.0, longest=120.0)
        self._answers = Pauses(after=1, first=15.0, longest=300.0)
        self._flights: dict[str, asyncio.Task[Kept | str]] = {}
        self._work: set[asyncio.Task[Any]] = set()
        self._used: OrderedDict[str, tuple[Question, dt.datetime]] = OrderedDict()
        self._keeper: asyncio.Task[None] | None = None

    def use(self, settings: FetchSettings) -> None:
        """Go by these settings from now on, after a reload."""
        self._places = Places(settings.hosts, settings.private_networks)
        self._client.use(self._places, timeout=settings.timeout, max_octets=settings.max_octets)
        self._patience = settings.patience
        self._max_octets = settings.max_octets
        self._ages = {
            Kind.OCSP: dt.timedelta(seconds=settings.ocsp_max_age),
            Kind.LIST: dt.timedelta(seconds=settings.crl_max_age),
            Kind.ISSUERS: ISSUERS_AGE,
        }

    async def start(self) -> None:
        """See what is kept, and begin to keep it fresh; raises `SetupError` where the directory cannot be used."""
        try:
            await asyncio.to_thread(self._cache.load)
        except OSError as error:
            raise SetupError(f"{self._directory}: cannot be used: {error.strerror}") from error
        self._client.start()
        self._keeper = asyncio.create_task(self._keep_fresh())

    async def close(self) -> None:
        """Stop everything, at once."""
        tasks = [*self._work, *self._flights.values(), *([self._keeper] if self._keeper is not None else [])]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    async def gather(self, needs: Needs) -> Evidence:
        """As `ports.RevocationData.gather`."""
        if not needs or self._keeper is None:
            return NOTHING_FOUND
        try:
            return await self._gathered(needs)
        except Exception:  # noqa: BLE001 - a bug here must not cost a message its verdict
            _LOG.exception("revocation data could not be gathered")
            return NOTHING_FOUND

    async def _gathered(self, needs: Needs) -> Evidence:
        issuers = needs.issuers[:MAX_ISSUER_URLS]
        wanted = [self._begun(self._found([IssuersQuestion(each)])) for each in issuers]
        wanted += [self._begun(self._status(each)) for each in needs.statuses[:MAX_STATUSES]]
        tasks = [each for each in wanted if each is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self._patience)
        results = [each.result() if each is not None and each.done() else None for each in wanted]
        whole = len(wanted) == len(needs.issuers) + len(needs.statuses)
        return self._evidence(results, whole=whole)

    def _begun(self, work: Coroutine[Any, Any, _Found]) -> asyncio.Task[_Found] | None:
        """Return work that goes on when nobody waits for it any more; None where too much is at work already."""
        if len(self._work) >= _MOST_AT_WORK:
            work.close()
            return None
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def _evidence(self, results: Iterable[_Found | None], *, whole: bool) -> Evidence:
        """Return what was found in the order asked; it has an end only if nothing is missing."""
        kept: dict[str, Kept] = {}
        troubles: dict[str, None] = {}
        for found in results:
            if found is None:
                whole = False
                troubles.setdefault("patience: ended before an answer came")
                continue
            kept |= {each.key: each for each in found.kept}
            troubles |= dict.fromkeys(found.troubles)
            whole = whole and found.settled
        parts = {
            kind: tuple(part for each in kept.values() if each.kind is kind for part in each.parts) for kind in Kind
        }
        ends = [each.until(self._ages[each.kind]) for each in kept.values()]
        return Evidence(
            certificates=parts[Kind.ISSUERS],
            crls=parts[Kind.LIST],
            ocsps=parts[Kind.OCSP],
            troubles=tuple(troubles),
            until=min(ends) if whole and ends else None,
        )

    async def _status(self, asked: Asked) -> _Found:
        """Return a responder's answer about a certificate, else its lists."""
        lists = [ListQuestion(each, asked) for each in asked.lists[:MAX_URLS]]
        if not asked.ocsp:
            return await self._found(lists)
        responder = asyncio.create_task(self._found([StatusQuestion(asked)]))
        try:
            await asyncio.wait([responder], timeout=self._patience * _HEDGE)
            if responder.done() and responder.result().kept:
                return responder.result()
            found = await self._found(lists)
            if found.kept and not responder.done():
                return found
            return (await responder).beside(found)
        finally:
            responder.cancel()  # only this waiting: what was asked goes on

    async def _found(self, questions: Iterable[Question]) -> _Found:
        """Return the answers to all questions."""
        answers = await asyncio.gather(*(self._answer(each) for each in questions))
        return _Found(
            tuple(each for each in answers if isinstance(each, Kept)),
            tuple(each for each in answers if isinstance(each, str)),
        )

    async def _answer(self, question: Question) -> Kept | str:
        """Return the answer from the cache if it is fresh, else from outside; a text says what was in the way."""
        now = self._clock()
        kept = self._cache.remembered(question.key)
        if kept is None and self._cache.has(question.kind, question.key):
            kept = await asyncio.to_thread(self._cache.read, question.kind, question.key)
        found: Kept | str
        if kept is not None and kept.fresh(now, self._ages[question.kind]):
            found = kept
        else:
            found = await asyncio.shield(self._flight(question))
            if kept is not None and isinstance(found, str) and await asyncio.to_thread(question.revokes, kept, now):
                found = kept  # too old to clear anybody; whoever keeps us from newer data must not gain by it
        if isinstance(found, Kept):
            self._use(question, now)
        return found

    def _use(self, question: Question, now: dt.datetime) -> None:
        """Remember that an answer was of use: it is got anew before it is missed."""
        self._used[question.key] = question, now
        self._used.move_to_end(question.key)
        while len(self._used) > _REMEMBERED:
            self._used.popitem(last=False)

    def _flight(self, question: Question) -> asyncio.Task[Kept | str]:
        """Return the one request that is under way for a question."""
        key = question.key
        task = self._flights.get(key)
        if task is None:
            task = self._flights[key] = asyncio.create_task(self._fetched(question))
            task.add_done_callback(lambda _: self._flights.pop(key, None))
        return task

    async def _fetched(self, question: Question) -> Kept | str:
        """Return an answer from outside that was found fit and is kept now, or what was in the way; never raises."""
        places = [each for each in map(self._places.of, question.urls) if each is not None]
        if not places:
            return f"{question.urls[0][:_SHOWN]}: {NOT_LISTED}"
        if not self._answers.enter(question.key):
            return f"{places[0].site}: no fit answer lately"
        trouble, unfit = "", False
        for place in places:
            try:
                return await self._from(place, question)
            except UnfitError as error:
                trouble, unfit = f"{place.site}: {error.reason}", True
            except FetchError as error:
                trouble, unfit = f"{place.site}: {error.reason}", unfit or error.blame is Blame.ANSWER
            except Exception:  # noqa: BLE001 - parsers raise what an answer's author chooses
                _LOG.exception("an answer could not be read", site=place.site)
                trouble, unfit = f"{place.site}: fault", True
        if unfit and self._answers.failed(question.key):
            _LOG.warning("no fit revocation data", kind=str(question.kind), trouble=trouble)
        return trouble

    async def _from(self, place: Place, question: Question) -> Kept:
        """Return what a site answers, checked and kept; raises `FetchError` or `UnfitError`."""
        turns = self._issuer_turns if question.kind is Kind.ISSUERS else self._turns
        limit = most_octets(question.kind, self._max_octets)
        async with turns.turn(place.site):
            if not self._sites.enter(place.site):
                raise FetchError("not answering lately", Blame.NOBODY)
            try:
                octets = await self._client.ask(place, body=question.request(), kind=_CONTENT, limit=limit)
            except FetchError as error:
                if error.blame is Blame.SITE and self._sites.failed(place.site):
                    _LOG.warning("a site of revocation data does not answer", site=place.site, reason=error.reason)
                if error.blame is Blame.ANSWER:
                    self._sites.succeeded(place.site)
                raise
        self._sites.succeeded(place.site)
        kept = await asyncio.to_thread(self._kept, question, octets, place.url)
        self._answers.succeeded(question.key)
        return kept

    def _kept(self, question: Question, octets: bytes, url: str) -> Kept:
        """Check and keep an answer; raises `UnfitError`. Not for the event loop."""
        kept = question.checked(octets, url, self._clock())
        before = self._cache.read(question.kind, question.key)
        if before is not None and before.this_update and kept.this_update and kept.this_update < before.this_update:
            raise UnfitError("older_than_before")
        self._cache.put(kept)
        return kept

    async def _keep_fresh(self) -> None:
        """Get anew what was used lately and has reached half of its life."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            for question in self._half_aged():
                self._flight(question)

    def _half_aged(self) -> list[Question]:
        """Return what is to be asked again now, a few at a time; what nobody used for its life is let go."""
        now = self._clock()
        found: list[Question] = []
        for key, (question, used) in list(self._used.items()):
            age = self._ages[question.kind]
            kept = self._cache.remembered(key)
            if now - used > age:
                del self._used[key]
            elif kept is not None and now >= kept.fetched_at + (kept.until(age) - kept.fetched_at) / 2:
                found.append(question)
        return found[:_RENEWED]
