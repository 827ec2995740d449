"""The processes that judge: as many as work, and one more that is warm, so that a death delays nobody.

A process that died is replaced in the background; where none can be started, asking fails and nothing waits for ever.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from gateway.judging.worker import START_SECONDS, JudgeError, Worker

if TYPE_CHECKING:
    from gateway.judging.limits import Limits

SPARE: Final = 1
_LAST: Final = 5.0
"""Seconds for those that are being started when everything ends."""
_AGAIN: Final = 1.0
"""Seconds after which a start that failed is tried again."""


class Crew:
    """Keeps processes ready; whoever takes one gives it back."""

    def __init__(self, limits: Limits, *, workers: int) -> None:
        """Start nothing yet."""
        self._limits = limits
        self._size = workers + SPARE
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._all: set[Worker] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._octets, self._version = b"", b""
        self._closed = False
        self._log = structlog.get_logger("gateway.judging")

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of the processes."""
        return tuple(each.pid for each in self._all)

    async def start(self) -> None:
        """Start every process, and return when one is ready; raises `JudgeError` where it does not become so."""
        for _ in range(self._size):
            self._replace()
        self.give_back(await self.take())

    def use(self, octets: bytes, version: bytes) -> None:
        """Let everybody judge by these packed terms from the next message on."""
        self._octets, self._version = octets, version

    async def take(self) -> Worker:
        """Return a process that judges by the present terms; raises `JudgeError`."""
        try:
            async with asyncio.timeout(START_SECONDS):
                worker = await self._idle.get()
                while not worker.alive:
                    await worker.close()
                    self.give_back(worker)
                    worker = await self._idle.get()
        except TimeoutError:
            raise JudgeError("judge_died") from None
        try:
            if worker.version != self._version:
                await worker.tell(self._octets, self._version)
        except BaseException:
            await worker.close()
            self.give_back(worker)
            raise
        return worker

    def give_back(self, worker: Worker) -> None:
        """Take a process back; one that is gone is replaced."""
        if worker.usable and not self._closed:
            self._idle.put_nowait(worker)
            return
        self._all.discard(worker)
        self._replace()

    def _replace(self) -> None:
        if not self._closed:
            task = asyncio.get_running_loop().create_task(self._begin())
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _begin(self) -> None:
        while not self._closed:
            worker = None
            try:
                worker = await Worker.start(self._limits)
                self._all.add(worker)
                await worker.tell(self._octets, self._version)
            except JudgeError as error:
                if worker is not None:
                    self._all.discard(worker)
                if not self._closed:
                    self._log.error("a judge's process does not start", reason=str(error))
                    await asyncio.sleep(_AGAIN)
            else:
                self._idle.put_nowait(worker)
                return

    async def close(self) -> None:
        """End every process."""
        self._closed = True
        await self._end()
        if self._starting:  # one that is being started is ended when it is there: half a process is hard to end
            _, late = await asyncio.wait(tuple(self._starting), timeout=_LAST)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._end()

    async def _end(self) -> None:
        while self._all:  # more may come to be while one is ended
            await self._all.pop().close()
