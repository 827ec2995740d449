"""What ties a worker to its supervisor: a socket pair. The one says its state, and learns that the other is gone.

A worker without a supervisor must not go on: nobody would tell it of a reload, or to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from gateway.app.presence import read_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.app.presence import State

VARIABLE: Final = "GATEWAY_TETHER"
"""In a worker's environment: the descriptor of its end, and which worker it is: "7.0"."""
MOST_OCTETS: Final = 1024 * 1024
"""Of one state."""


class Tether:
    """A worker's end; stands where a gateway by itself has its `Presence`."""

    def __init__(self, descriptor: int, worker: int) -> None:
        """Take over the descriptor that the supervisor gave us."""
        self.pid = os.getppid()
        self.worker = worker
        os.set_inheritable(descriptor, False)  # our own children must not keep it open
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(True)

    @classmethod
    def of_environment(cls) -> Tether | None:
        """Return the tether of this process, None if nobody supervises it."""
        descriptor, _, worker = os.environ.pop(VARIABLE, "").partition(".")
        return cls(int(descriptor), int(worker)) if descriptor.isdecimal() and worker.isdecimal() else None

    def claim(self) -> bool:
        """Return True: the supervisor has claimed the spool for all its workers."""
        return True

    def report(self, state: State) -> None:
        """Say our state; raises `OSError`."""
        self._socket.sendall(json.dumps(asdict(state)).encode("ascii") + b"\n")

    def release(self) -> None:
        """Let go."""
        self._socket.close()

    def watch(self, gone: Callable[[], None]) -> None:
        """Call `gone` in the running loop once the supervisor has ended."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                if not self._read():
                    loop.remove_reader(self._socket.fileno())
                    gone()

        loop.add_reader(self._socket.fileno(), look)

    def _read(self) -> bytes:
        try:
            return self._socket.recv(1, socket.MSG_DONTWAIT)
        except ConnectionError:
            return b""


async def states(reader: asyncio.StreamReader, tell: Callable[[State], None]) -> None:
    """Read what a worker says until it ends; what is no state is left out."""
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return
        state = read_state(line)
        if state is not None:
            tell(state)
