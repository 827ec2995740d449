"""The judges: mail from signers we know is judged here, all else in processes that can be killed (ports.Judge).

Here, in the gateway itself, nobody's path is searched and no stranger's key is tried: a message is opened where it is
small, and its signature checked where the answer about its certificate is remembered. Revocation data are fetched while
no process waits for them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import InputError
from gateway.core.octets import WINDOW
from gateway.core.verdict import Broken, ChainState, Indeterminate
from gateway.judging.asked import heard_in, needs_in, request, seconds_in
from gateway.judging.crew import Crew
from gateway.judging.here import COSTLY, has_signed_files, judged_here, may_be_opened, opening
from gateway.judging.limits import Limits
from gateway.judging.passing import parcel
from gateway.judging.paths import PathCache
from gateway.judging.terms import packed, version
from gateway.judging.turns import BusyError, Turns
from gateway.judging.values import judgment_of
from gateway.judging.worker import JudgeError
from gateway.pki.needs import NOTHING_FOUND, Evidence, Needs
from gateway.smime.verify import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.config.inbound import VerifySettings
    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.judging.passing import Parcel
    from gateway.judging.paths import Heard, Key
    from gateway.judging.terms import Terms
    from gateway.mime.entity import Entity
    from gateway.ports import RevocationData

SLOW: Final = 0.5
"""Seconds of processor time for one message that make its source suspect."""
_MOST_ROUNDS: Final = 2
"""Times that something is fetched for one message: issuers first, then what these make it possible to ask about."""
KEPT: Final = dt.timedelta(minutes=15)
"""For which an answer about a path is believed at most, whatever it rests on."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a process says of a message."""

    judgment: Judgment
    needs: Needs
    heard: tuple[Heard, ...]


class Judges:
    """Implements `ports.Judge`."""

    def __init__(self, settings: VerifySettings, terms: Terms, data: RevocationData) -> None:
        """Start nothing yet; what a message may cost stays as it is until a restart."""
        self._data = data
        self._crew = Crew(Limits(settings.time_limit, settings.memory_limit), workers=settings.workers)
        self._turns = Turns(settings.workers)
        self._log = structlog.get_logger("gateway.judging")
        self.use(terms)

    def use(self, terms: Terms) -> None:
        """Judge by these terms from now on, and forget what was found under others."""
        octets = packed(terms)
        self._terms = terms
        self._paths = PathCache(terms.trust.families)
        self._crew.use(octets, version(octets))

    async def start(self) -> None:
        """Start the processes; raises `ServiceError` where none becomes ready."""
        await self._crew.start()

    async def close(self) -> None:
        """End the processes; messages under way become unreadable."""
        await self._crew.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes."""
        return self._crew.pids

    async def judge(self, message: Message, *, at: dt.datetime, source: str, entity: Entity | None = None) -> Judgment:
        """Return the judgment of a message as it came (see `ports.Judge`)."""
        try:
            return await self._judge(message, at, source, entity)
        except InputError as error:  # condition 1
            return unreadable(message, error.reason)
        except BusyError:
            self._log.warning("no turn to judge a message", source=source)
            return _busy(message)
        except JudgeError as error:
            self._turns.suspect(source)
            self._log.warning("a message was not judged", source=source, reason=str(error))
            return unreadable(message, str(error))
        except Exception:  # noqa: BLE001 - a bug of ours must end in a verdict, not in mail that is not taken
            self._log.exception("fault while judging")
            return unreadable(message, "internal_fault")

    async def _judge(self, message: Message, at: dt.datetime, source: str, entity: Entity | None) -> Judgment:
        keys: frozenset[Key] = frozenset()
        if may_be_opened(message) and not self._turns.suspected(source):
            asked = opening(message, entity)
            if asked.seconds > COSTLY:
                self._turns.suspect(source)
            found = judged_here(asked, terms=self._terms, paths=self._paths, at=at)
            if found is not None:
                return await self._with_files(found, message, at, source) if has_signed_files(asked) else found
            keys = asked.keys
        return await self._passed_on(message, keys, at, source)

    async def _with_files(self, found: Judgment, message: Message, at: dt.datetime, source: str) -> Judgment:
        """Add what a process says of signatures on files: the message keeps its verdict, unless a path fails by now."""
        try:
            there = await self._passed_on(message, frozenset(), at, source)
        except (BusyError, JudgeError) as error:
            if isinstance(error, JudgeError):
                self._turns.suspect(source)
            self._log.warning("signatures on files were not judged", source=source, reason=str(error))
            return found
        if there.chain is ChainState.INVALID:  # revoked since: what is remembered here is not believed over that
            return there
        return replace(found, attachments=there.attachments)

    async def _passed_on(self, message: Message, keys: frozenset[Key], at: dt.datetime, source: str) -> Judgment:
        large = len(message) > WINDOW
        sent = await asyncio.to_thread(parcel, message) if large else parcel(message)
        try:
            return await self._judged_there(sent, keys, at, source)
        finally:
            sent.close()

    async def _judged_there(self, sent: Parcel, keys: frozenset[Key], at: dt.datetime, source: str) -> Judgment:
        """Ask a process; then, where that could change anything, with what was fetched."""
        paths, evidence, asked = self._paths, NOTHING_FOUND, Needs()
        said = await self._ask(sent, evidence, at, source)
        for _ in range(_MOST_ROUNDS):
            new = _without(said.needs, asked)
            if not new:  # nobody waits a second time for what did not come
                break
            found, asked = await self._data.gather(new), said.needs
            if not (found.certificates or found.crls or found.ocsps):
                break
            evidence = _joined(evidence, found)
            said = await self._ask(sent, evidence, at, source)
        if not said.needs:
            _remember(paths, (each for each in said.heard if each.key in keys), at, evidence)
        return said.judgment

    async def _ask(self, sent: Parcel, evidence: Evidence, at: dt.datetime, source: str) -> _Said:
        words, octets = request(sent, evidence, at)
        async with self._turns.turn(source):
            worker = await self._crew.take()
            try:
                answer = await worker.ask(words, octets, sent.files)
                said = _Said(judgment_of(answer.get("judgment")), needs_in(answer), heard_in(answer))
                seconds = seconds_in(answer)
            except (ValueError, TypeError) as error:  # it does not speak as ours do: it may not be ours any more
                await worker.close()
                raise JudgeError("judge_died") from error
            finally:
                self._crew.give_back(worker)
        if seconds > SLOW:
            self._turns.suspect(source)
        return said


def _without(needs: Needs, asked: Needs) -> Needs:
    return Needs(
        tuple(each for each in needs.issuers if each not in asked.issuers),
        tuple(each for each in needs.statuses if each not in asked.statuses),
    )


def _joined(one: Evidence, other: Evidence) -> Evidence:
    ends = [each.until for each in (one, other) if each != NOTHING_FOUND]
    known = [each for each in ends if each is not None]
    return Evidence(
        certificates=tuple(dict.fromkeys((*one.certificates, *other.certificates))),
        crls=tuple(dict.fromkeys((*one.crls, *other.crls))),
        ocsps=tuple(dict.fromkeys((*one.ocsps, *other.ocsps))),
        until=min(known) if known and len(known) == len(ends) else None,
    )


def _remember(paths: PathCache, heard: Iterable[Heard], at: dt.datetime, evidence: Evidence) -> None:
    """Keep the answers that the gateway itself asked for; what rests on data of unknown age is not kept."""
    until = at + KEPT
    if evidence != NOTHING_FOUND:
        if evidence.until is None:
            return
        until = min(until, evidence.until)
    for each in heard:
        paths.keep(each, at=at, until=until)


def _busy(message: Message) -> Judgment:
    found = unreadable(message, "judge_busy")
    return replace(found, verdict=Indeterminate("judge_busy"), broken=(Broken(1, "judge_busy"),))
