"""Several workers on the same ports and the same spool, each a whole gateway: started, told, and started again.

The kernel shares new connections among them (SO_REUSEPORT). A worker that dies takes its open sessions with it, none of
which was answered, and nothing else: what it had claimed in the spool is free at once. The supervisor itself never
touches mail, and holds no state that a worker could miss.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from gateway.app.notify import READY, STOPPING, tell
from gateway.app.presence import Presence
from gateway.app.tether import MOST_OCTETS, VARIABLE, states

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.app.presence import State

FIRST_PAUSE: Final = 0.5
"""Seconds before a worker that ended is started again; doubled each time it ends soon, up to `LONGEST_PAUSE`."""
LONGEST_PAUSE: Final = 30.0
STEADY: Final = 60.0
"""Seconds after which a worker has shown that it can run."""
GRACE: Final = 50.0
"""Seconds that workers get to drain before they are killed; each drains for 30."""
PATIENCE: Final = 120.0
"""Seconds in which every worker must have said what became of a reload."""
SETTLING: Final = 30.0
"""Seconds after which workers that follow other machines, each by itself, must have come to the same policy."""
WRONG_SETUP: Final = 2
"""Exit code of a worker that cannot start as things are."""


@dataclass(slots=True, eq=False)
class _Worker:
    index: int
    process: asyncio.subprocess.Process
    state: State | None = None


class Supervisor:
    """Runs `count` workers until a signal ends it."""

    def __init__(self, command: Sequence[str], *, count: int, spool: Path, settle: float = 0.0) -> None:
        """Start nothing yet; `command` runs one worker, and `spool` is the directory they share.

        `settle`: seconds in which workers that read their files again by themselves need not agree.
        """
        self._command = tuple(command)
        self._count = count
        self._settle = settle
        self._settling: asyncio.TimerHandle | None = None
        self._presence = Presence(spool)
        self._log = structlog.get_logger("gateway.supervisor")
        self._workers: dict[int, _Worker] = {}
        self._stopping = asyncio.Event()
        self._reload = asyncio.Event()
        self._spoken = asyncio.Event()
        self._awaited: set[_Worker] = set()
        self._loads = 0
        self._code = 0

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; SIGHUP is passed on. Returns the exit code: the worst of all workers."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        with contextlib.suppress(OSError):  # `gateway policy apply` will not find us; mail flows
            if not self._presence.claim():
                self._log.warning("another gateway runs on this spool: `gateway policy apply` reaches that one only")
        keeping = [loop.create_task(self._keep(index)) for index in range(self._count)]
        reloading = loop.create_task(self._pass_reloads_on())
        ready = loop.create_task(self._say_ready())
        await self._stopping.wait()
        tell(STOPPING)
        for each in (reloading, ready):
            each.cancel()
        for worker in self._workers.values():
            _send(worker.process, signal.SIGTERM)
        _, late = await asyncio.wait(keeping, timeout=GRACE)
        for worker in tuple(self._workers.values()) if late else ():
            self._log.error("a worker did not end in time and is killed", worker=worker.index)
            _send(worker.process, signal.SIGKILL)
        await asyncio.gather(*keeping, reloading, ready, return_exceptions=True)
        self._presence.release()
        return self._code

    async def _keep(self, index: int) -> None:
        """Run one worker, again and again."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while not self._stopping.is_set():
            began = loop.time()
            code, was_ready = await self._run_one(index)
            if self._stopping.is_set():
                ours = code == -signal.SIGTERM and not was_ready  # our own signal met one that was still starting
                self._code = max(self._code, 0 if ours else code if code >= 0 else 1)
                return
            if code == WRONG_SETUP and not was_ready and not self._loads:
                self._code = WRONG_SETUP  # it has said why; the others would say the same
                self._stopping.set()
                return
            pause = FIRST_PAUSE if loop.time() - began > STEADY else pause
            self._log.error("a worker ended and is started again", worker=index, code=code, seconds=pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _run_one(self, index: int) -> tuple[int, bool]:
        """Run one worker to its end; returns its exit code and whether it ever was ready."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env={**_environment(), VARIABLE: f"{theirs.fileno()}.{index}"},
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                )
            except OSError as error:
                ours.close()
                self._log.error("a worker cannot be started", worker=index, error=error.strerror)
                return 1, False
        worker = _Worker(index, process)
        self._workers[index] = worker
        if self._stopping.is_set():
            _send(process, signal.SIGTERM)
        reader, writer = await asyncio.open_connection(sock=ours, limit=MOST_OCTETS)
        listening = asyncio.ensure_future(states(reader, lambda state: self._said(worker, state)))
        try:
            code = await process.wait()
        finally:
            listening.cancel()
            writer.close()
            del self._workers[index]
            self._awaited.discard(worker)
            self._spoken.set()
        return code, worker.state is not None

    def _said(self, worker: _Worker, state: State) -> None:
        worker.state = state
        if self._loads and not self._awaited:
            self._say_soon()  # nobody asked it: it was started again, or follows what was changed elsewhere
        self._awaited.discard(worker)
        self._spoken.set()

    async def _say_ready(self) -> None:
        """Wait until every worker has listened once."""
        while len([each for each in self._workers.values() if each.state is not None]) < self._count:
            await self._next_word()
        tell(READY, f"STATUS={self._count} workers")
        self._say_state()

    async def _pass_reloads_on(self) -> None:
        """Pass one reload on at a time: signals that come together are one, and each worker answers each."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._awaited = {each for each in self._workers.values() if each.state is not None}
            for each in tuple(self._awaited):
                _send(each.process, signal.SIGHUP)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while self._awaited:
                        await self._next_word()
            for each in self._awaited:
                self._log.error("a worker does not say what became of a reload", worker=each.index)
            self._say_state()

    async def _next_word(self) -> None:
        self._spoken.clear()
        await self._spoken.wait()

    def _say_soon(self) -> None:
        """Leave word once all agree, or have had their time to."""
        if self._settling is not None:
            self._settling.cancel()
        agree = len({each.state.policy for each in self._workers.values() if each.state is not None}) <= 1
        self._settling = asyncio.get_running_loop().call_later(0 if agree else self._settle, self._say_state)

    def _say_state(self) -> None:
        """Leave word of what is live in all workers; where one refused, that is the state of all."""
        found = [each.state for each in self._workers.values() if each.state is not None]
        if not found:
            return
        self._loads += 1
        mistakes = tuple(dict.fromkeys(line for each in found for line in each.mistakes))
        if len({each.policy for each in found}) > 1:
            mistakes = (*mistakes, "the workers do not all have the same policy: reload once more")
            self._log.error("the workers do not all have the same policy")
        try:
            self._presence.report(replace(found[0], loads=self._loads, mistakes=mistakes))
        except OSError as error:
            self._log.warning("the state file cannot be written", error=error.strerror)


def worker_command(config: Path) -> tuple[str, ...]:
    """Return the command of one worker."""
    return sys.executable, "-m", "gateway", "run", "--config", str(config)


def _environment() -> dict[str, str]:
    """Return ours, without the place where systemd hears of us: a worker must not speak for all."""
    return {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
