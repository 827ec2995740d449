"""A way to a server's UNIX socket that can be cut and mended: meanwhile nothing passes, and nobody is told.

with cut_off(server.directory, place) as way:    # place / ".s.PGSQL.5432" leads to the server's
    way.cut()                                    # octets wait, new connections too
    way.mend()
"""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOCKET: Final = ".s.PGSQL.5432"


class Way:
    """A relay that runs."""

    def __init__(self, listener: socket.socket, target: Path) -> None:
        """Take a listening socket."""
        self._listener, self._target = listener, target
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []

    def cut(self) -> None:
        """Let nothing pass."""
        self._open.clear()

    def mend(self) -> None:
        """Let pass what waited, and everything from now on."""
        self._open.set()

    def serve(self) -> None:
        """Accept until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._target))
                self._sockets += (client, server)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def close(self) -> None:
        """End everything."""
        self.mend()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                self._open.wait()
                sink.sendall(octets)
            self._open.wait()
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def cut_off(directory: Path, place: Path) -> Iterator[Way]:
    """Relay from a socket in `place` to the server's in `directory` until the context ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / SOCKET))
        listener.listen(64)
        way = Way(listener, directory / SOCKET)
        thread = threading.Thread(target=way.serve, daemon=True)
        thread.start()
        try:
            yield way
        finally:
            way.close()
            thread.join(5)
