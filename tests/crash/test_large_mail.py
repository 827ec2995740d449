"""Many large messages at once: they go through the disk, not through memory, and small mail beside them goes on."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Final

from support.gateway_process import OURS, build_house, gateway
from support.letters import ASCII, LAN
from support.load import Load
from support.peers import free_port, short_directory

SESSIONS: Final = int(os.environ.get("GATEWAY_LARGE_SESSIONS", "12"))
"""Set to 50 for what the operations guide says."""
LARGE: Final = ASCII + (b"Dong nay dai sau muoi ky tu va khong co gi dac biet o trong.\r\n" * (25 * 2**20 // 62))
MOST: Final = 200 * 2**20
"""Octets of resident memory that a worker may have had at any moment."""
WORKERS: Final = 2


class Senders:
    """Sessions that all send one large message at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._begin = threading.Barrier(SESSIONS)
        self.replies: list[bytes] = []
        self.seconds: list[float] = []

    def work(self) -> None:
        threads = [threading.Thread(target=self._send) for _ in range(SESSIONS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _send(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=900) as client, client.makefile("rb") as said:
            said.readline()
            for line in (b"HELO may", b"MAIL FROM:<%s>" % LAN.encode(), b"RCPT TO:<tai@hopthu.example>", b"DATA"):
                client.sendall(line + b"\r\n")
                said.readline()
            self._begin.wait(120)
            began = time.monotonic()
            client.sendall(LARGE)
            client.sendall(b".\r\n")
            self.replies.append(said.readline())
            self.seconds.append(time.monotonic() - began)


def peak(pid: str) -> int:
    """Return the most octets a process has had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


def test_many_large_messages_at_once() -> None:
    """All are taken, small ones beside them too, and no worker grows beyond its bound."""
    with short_directory("gw-") as directory:
        house = build_house(
            directory,
            hops=[{"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{free_port()}"], "tls": "none"}],
            local_domains=[{"domain": OURS, "hop": "ngoai", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ngoai"}],
            workers=WORKERS,
            max_message_size=30 * 2**20,
        )
        with gateway(house) as running:
            assert running.process is not None
            senders, small = Senders(house.port("internal")), Load([house.port("internal")], "tai@hopthu.example")
            with small.running():
                senders.work()
            pid = running.process.pid
            peaks = [peak(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    assert [each[:4] for each in senders.replies] == [b"250 "] * SESSIONS
    assert len(peaks) == WORKERS
    assert max(peaks) < MOST, f"{peaks}, slowest {max(senders.seconds):.0f} s, {len(small.acknowledged)} small ones"
    assert small.acknowledged
