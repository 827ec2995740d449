"""The one thread of a process that writes: it gathers what callers ask for into groups and commits each group once.

A caller must never be told of success before its group is durable, nor suffer for another's failure: a group that
fails is taken apart and tried one by one.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import GatewayError, ServiceError, StorageFullError
from gateway.spool.changes import Change, carry_out
from gateway.spool.database import OutageError, UncertainCommitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from gateway.spool.engine import Beside, Claimant, Engine, KeptRoom

_LOG: Final = structlog.get_logger("gateway.spool")
GATHERING: Final = 0.0003
"""Seconds a group has to form before it waits for its turn."""
GROUP: Final = 64
"""Changes of one transaction at most."""
GROUP_OCTETS: Final = 4 * 1024 * 1024
"""Octets of bodies after which a group is full: others wait as long as it is written."""
UPKEEP_SECONDS: Final = 60.0

Outcome = tuple[str, ...] | ServiceError


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    change: Change
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[tuple[str, ...]]


class Writer:
    """Takes changes from any event loop of this process."""

    def __init__(
        self, database: Engine, files: Beside, reserve: KeptRoom, *, owner: Claimant, upkeep: Callable[[], None]
    ) -> None:
        """Start; `upkeep` is called now and then between groups."""
        self._database = database
        self._files = files
        self._reserve = reserve
        self._owner = owner
        self._upkeep = upkeep
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    async def submit(self, change: Change) -> tuple[str, ...]:
        """Carry a change out and return what it claimed; raises `StorageFullError` or `ServiceError`.

        Whoever is cancelled here does not know whether it was carried out.
        """
        if self._closing:
            raise ServiceError("the spool is closed")
        loop = asyncio.get_running_loop()
        asked = _Asked(change, loop, loop.create_future())
        self._asked.put(asked)
        return await asked.answer

    def carry_out(self, change: Change) -> None:
        """Carry a change out now, by itself, in the caller's thread; raises as `submit` does, and blocks."""
        with self._database.turn():
            (outcome,) = self._carry_out([change])
        if isinstance(outcome, ServiceError):
            raise outcome

    def close(self) -> None:
        """Finish everything that was asked for, and end; blocks."""
        if not self._closing:
            self._closing = True
            self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        upkeep_at = time.monotonic() + UPKEEP_SECONDS
        more = True
        while more:
            try:
                first = self._asked.get(timeout=max(upkeep_at - time.monotonic(), 0.0))
            except queue.Empty:
                pass
            else:
                more = first is not None and self._serve(first)
            if time.monotonic() >= upkeep_at:
                self._keep_up()
                upkeep_at = time.monotonic() + UPKEEP_SECONDS

    def _serve(self, first: _Asked) -> bool:
        """Carry out one group; returns False if it was the last."""
        group, more = [first], True
        outcomes: Sequence[Outcome]
        try:
            time.sleep(GATHERING)
            with self._database.turn():
                more = self._gather(group)
                outcomes = self._carry_out([asked.change for asked in group])
        except Exception as error:  # noqa: BLE001 - the thread must outlive every bug: others wait for it
            outcomes = [_fault(error)] * len(group)
        _answer(group, outcomes)
        return more

    def _gather(self, group: list[_Asked]) -> bool:
        """Append what else was asked for, as much as a group may have; returns False if that was all there will be."""
        octets = group[0].change.weight
        while len(group) < GROUP and octets < GROUP_OCTETS:
            try:
                asked = self._asked.get_nowait()
            except queue.Empty:
                break
            if asked is None:
                return False
            group.append(asked)
            octets += asked.change.weight
        return True

    def _carry_out(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        try:
            return self._transact(changes)
        except (UncertainCommitError, OutageError) as error:  # the disk's fault, not one caller's
            return [type(error)(*error.args) for _ in changes]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one caller's as long as others can go on
            if len(changes) == 1:
                finishing = isinstance(error, StorageFullError) and not changes[0].only_grows
                return self._carry_out(changes) if finishing and self._reserve.spend() else [_fault(error)]
        return [outcome for change in changes for outcome in self._carry_out([change])]

    def _transact(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        if any(change.only_grows for change in changes) and not self._reserve.hold():
            raise StorageFullError("there is no room to finish the mail that is here")

        def work(connection: Connection) -> Sequence[Outcome]:
            claimed = carry_out(connection, changes, owner=self._owner.token)
            # inside the turn, in which alone files are removed: the row never outlives its file
            if not all(self._files.has(each) for change in changes for each in change.files):
                raise ServiceError("the body of an entry is gone")
            return claimed

        claimed = self._database.transact(work)
        for change in changes:
            for ended in change.ended:
                self._files.remove(ended)
        return claimed

    def _keep_up(self) -> None:
        try:
            self._upkeep()
        except (GatewayError, OSError) as error:
            _LOG.warning("the spool could not be tidied", error=str(error))
        except Exception as error:  # noqa: BLE001 - as above
            _LOG.error("the spool could not be tidied", exc_info=error)


def _fault(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    _LOG.error("a change of the spool failed", exc_info=error)
    return ServiceError("the spool failed")


def _answer(group: Sequence[_Asked], outcomes: Sequence[Outcome]) -> None:
    """Tell each caller, waking each event loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[_Asked, Outcome]]] = {}
    for asked, outcome in zip(group, outcomes, strict=True):
        loops.setdefault(asked.loop, []).append((asked, outcome))
    for loop, answers in loops.items():
        try:
            loop.call_soon_threadsafe(_settle, answers)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            _LOG.debug("callers of the spool have gone", count=len(answers))


def _settle(answers: Sequence[tuple[_Asked, Outcome]]) -> None:
    for asked, outcome in answers:
        if asked.answer.done():
            continue
        if isinstance(outcome, ServiceError):
            asked.answer.set_exception(outcome)
        else:
            asked.answer.set_result(outcome)
