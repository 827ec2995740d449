"""A TCP relay in front of a peer, whose connections can be cut, or go silent as when a firewall forgets them.

with wire_cutter(port) as line:
    line.port                   # connect here
    line.freeze()               # nothing passes any more on what is connected now; nobody is told
    line.cut()                  # the connections of now end
    line.accepted               # how many there were so far
"""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Line:
    """A relay that runs."""

    def __init__(self, listener: socket.socket, target: int) -> None:
        """Take a listening socket."""
        self._listener, self._target = listener, target
        self._pairs: list[tuple[socket.socket, socket.socket, threading.Event]] = []
        self.accepted = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def freeze(self) -> None:
        """Let nothing pass any more on present connections."""
        for _, _, frozen in self._pairs:
            frozen.set()

    def cut(self) -> None:
        """End present connections."""
        for one, other, _ in self._pairs:
            for each in (one, other):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Accept until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                server = socket.create_connection(("127.0.0.1", self._target))
                frozen = threading.Event()
                self._pairs.append((client, server, frozen))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(*pair, frozen), daemon=True).start()

    def close(self) -> None:
        """End everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for one, other, _ in self._pairs:
            one.close()
            other.close()


def _pump(source: socket.socket, sink: socket.socket, frozen: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            if not frozen.is_set():
                sink.sendall(octets)
        if not frozen.is_set():
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def wire_cutter(target: int) -> Iterator[Line]:
    """Run a relay to a port on loopback until the context ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(listener, target)
        thread = threading.Thread(target=line.serve, daemon=True)
        thread.start()
        try:
            yield line
        finally:
            line.close()
            thread.join(5)
