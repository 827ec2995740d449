"""Password checks in processes of their own: two at once, a short queue, a brief memory of successes (RFC 9106).

Guessing must never starve mail: what does not fit into the queue gets no answer (454 4.7.0). No password may be kept in
a form it could be recovered from.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import sys
import time
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import ServiceError
from gateway.smtp.auth import verifier

if TYPE_CHECKING:
    from gateway.smtp.auth.table import LoginTable

_LOG: Final = structlog.get_logger("gateway.smtp.auth")
WORKERS: Final = 2
QUEUE: Final = 8
"""Checks that may wait for a worker; with 240 ms each, the last one waits about a second."""
_PATIENCE: Final = 15.0
"""Seconds after which a worker counts as stuck."""
_REMEMBERED: Final = 10_000
_MAX_PASSWORD: Final = 4096


class Argon2Passwords:
    """Implements `ports.Passwords` for a table of logins."""

    def __init__(self, table: LoginTable, *, remember: float) -> None:
        """Check against `table`; a success is remembered for `remember` seconds, 0 for not at all."""
        self._table = table
        self._remember = remember
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, float] = {}
        self._running: dict[bytes, asyncio.Task[bool | None]] = {}
        self._workers = tuple(_Worker() for _ in range(WORKERS))
        self._idle = list(self._workers)
        self._turn = asyncio.Semaphore(WORKERS)
        self._closed = False

    async def check(self, login: str, password: bytes) -> bool | None:
        """Return whether they fit, or None when no answer is possible now. Empty passwords never fit."""
        if not password or len(password) > _MAX_PASSWORD:
            return False
        encoded, exists = self._table.encoded_hash(login)
        # the hash is part of the name: with another password in the table, the old success has no name any more
        name = self._name(login, encoded, password)
        if self._known.get(name, 0.0) > time.monotonic():
            return True
        task = self._running.get(name)
        if task is None:
            if self._closed or len(self._running) >= WORKERS + QUEUE:
                return None
            task = asyncio.get_running_loop().create_task(self._ask(encoded, password))
            self._running[name] = task
            task.add_done_callback(lambda _: self._running.pop(name, None))
        fits = await asyncio.shield(task)  # others may wait for the same answer
        if fits and exists and self._remember:
            self._memorize(name)
        return fits and exists

    def replace(self, table: LoginTable) -> None:
        """Use another table from now on and forget every success."""
        self._table = table
        self._known.clear()

    async def close(self) -> None:
        """End the processes; checks under way get no answer, later ones neither."""
        self._closed = True
        await self._end()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._end()  # one may have been starting

    async def _end(self) -> None:
        for worker in self._workers:
            await worker.close()

    def _name(self, login: str, encoded: str, password: bytes) -> bytes:
        parts = (login.encode(), encoded.encode(), password)
        octets = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._secret, octets, "sha256")

    def _memorize(self, name: bytes) -> None:
        now = time.monotonic()
        if len(self._known) >= _REMEMBERED:
            self._known = {each: until for each, until in self._known.items() if until > now}
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
        self._known[name] = now + self._remember

    async def _ask(self, encoded: str, password: bytes) -> bool | None:
        async with self._turn:
            if self._closed:
                return None
            worker = self._idle.pop()
            try:
                return await worker.verify(encoded, password)
            except ServiceError as error:
                _LOG.error("password checking process failed", error=str(error))  # its frames hold the password
                return None
            finally:
                self._idle.append(worker)


class _Worker:
    """One process, started when it is needed and replaced when it fails."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def verify(self, encoded: str, password: bytes) -> bool:
        """Return the answer; raises `ServiceError`."""
        answered = False
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await self._exchange(verifier.frame(encoded, password))
            answered = True
        except (OSError, EOFError, TimeoutError) as error:
            raise ServiceError(type(error).__name__) from None
        finally:
            if not answered:
                await self.close()  # an answer still to come must not be taken for the next one's
        if answer == verifier.CANNOT:
            raise ServiceError("the hash cannot be checked")
        return answer == verifier.FITS

    async def _exchange(self, request: bytes) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await _start()
        source, sink = process.stdout, process.stdin
        if source is None or sink is None:
            raise EOFError
        sink.write(request)
        await sink.drain()
        return await source.readexactly(1)

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _start() -> asyncio.subprocess.Process:
    """Start a process with an empty environment, out of reach of the terminal's signals."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        verifier.__file__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.defpath},
        start_new_session=True,
    )
