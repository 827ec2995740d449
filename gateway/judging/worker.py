"""One judge's process, as the gateway sees it: started, asked, ended (setrlimit(2), unix(7)).

Whatever it does, or stops doing, ends in an answer within the limits or in a `JudgeError`; after one, the process is
gone. It gets an empty environment and one socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, Self

from gateway.core.errors import ServiceError
from gateway.judging.limits import OUT_OF_MEMORY, Limits
from gateway.judging.passing import ANSWER, MOST_ANSWER, REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START_SECONDS: Final = 30.0
"""For a process to start and read its terms."""
WALL: Final = 3.0
"""Seconds on the clock for each second of processor time: a process that sleeps is ended as well."""
MOST_MESSAGES: Final = 1000
"""After which a process is replaced: one that was taken over, and hides it, does not stay for ever."""
_AT_ONCE: Final = 16
"""Pieces of a request that are handed to the kernel together."""
_TIMES_OUT: Final = frozenset({-signal.SIGPROF, -signal.SIGXCPU})


class JudgeError(ServiceError):
    """A process gave no answer; the text is the reason code of the verdict."""


class Worker:
    """A process that judges one message at a time."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket, limits: Limits) -> None:
        """Take over a process that was started."""
        self._process = process
        self._channel = channel
        self._limits = limits
        self.version = b""
        """Of the terms it judges by."""
        self.usable = True
        self._listening = False
        self._left = MOST_MESSAGES

    @classmethod
    async def start(cls, limits: Limits) -> Self:
        """Start one; raises `JudgeError`."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                ours.setblocking(False)
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-B", "-m", "gateway.judging.child"),
                    *(str(theirs.fileno()), str(limits.seconds), str(limits.memory)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                    cwd="/",
                    start_new_session=True,
                )
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise JudgeError("judge_died") from error
            raise
        return cls(process, ours, limits)

    @property
    def alive(self) -> bool:
        """False once its end was seen, whoever ended it."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def tell(self, octets: bytes, version: bytes) -> None:
        """Let it judge by these packed terms from now on; raises `JudgeError`."""
        await self._exchange({"do": "terms"}, (octets,), (), START_SECONDS)
        self.version = version

    async def ask(self, words: Mapping[str, object], octets: Sequence[bytes], files: Sequence[int]) -> dict[str, Any]:
        """Return its answer; raises `JudgeError`, and then it is gone."""
        return await self._exchange(words, octets, files, WALL * self._limits.seconds)

    async def _exchange(
        self, words: Mapping[str, object], octets: Sequence[bytes], files: Sequence[int], seconds: float
    ) -> dict[str, Any]:
        answered, self._listening = False, True
        try:
            async with asyncio.timeout(seconds):
                await self._send(json.dumps(words).encode(), octets, files)
                answer = await self._receive()
            self._left -= 1
            # one that was closed while it answered stays closed
            self.usable = self.usable and answer.get("tired") is False and self._left > 0
            answered = True
        except TimeoutError:
            raise JudgeError("judge_timeout") from None
        except (OSError, EOFError, ValueError, RecursionError) as error:
            raise JudgeError(await self._end()) from error
        finally:
            self._listening = False
            if not (answered and self.usable):
                await self.close()
        return answer

    async def _send(self, words: bytes, octets: Sequence[bytes], files: Sequence[int]) -> None:
        """Send a request, at once as far as the socket takes it: each piece of its own would wake the process."""
        loop = asyncio.get_running_loop()
        blocks = [REQUEST.pack(len(words), sum(map(len, octets))) + words, *octets]
        # the socket is empty: nothing is under way
        sent = socket.send_fds(self._channel, blocks[:_AT_ONCE], list(files))
        for each in blocks:
            if sent < len(each):
                await loop.sock_sendall(self._channel, memoryview(each)[sent:])
            sent = max(sent - len(each), 0)

    async def _receive(self) -> dict[str, Any]:
        (length,) = ANSWER.unpack(await self._exactly(ANSWER.size))
        if length > MOST_ANSWER:
            raise ValueError("an answer that is too long")
        answer = json.loads(await self._exactly(length))
        if not isinstance(answer, dict):
            raise ValueError("not an answer")  # noqa: TRY004 - one kind of error for all that is no answer
        return answer

    async def _exactly(self, length: int) -> bytes:
        loop, blocks = asyncio.get_running_loop(), bytearray()
        while len(blocks) < length:
            block = await loop.sock_recv(self._channel, length - len(blocks))
            if not block:
                raise EOFError
            blocks += block
        return bytes(blocks)

    async def _end(self) -> str:
        """Return why it ended, as the reason of a verdict."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):  # a socket may be seen closed before its process is seen ended
                await self._process.wait()
        code = self._process.returncode
        if code in _TIMES_OUT:
            return "judge_timeout"
        return "judge_out_of_memory" if code == OUT_OF_MEMORY else "judge_died"

    async def close(self) -> None:
        """End the process."""
        self.usable = False
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        if not self._listening:  # else whoever listens hears the end, and comes here
            self._channel.close()
        await self._process.wait()
