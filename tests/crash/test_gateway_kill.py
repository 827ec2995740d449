"""`kill -9` of the whole gateway under load, with its next hop there and away: "250 means safe", in earnest."""

from __future__ import annotations

import random
import re
import smtplib
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from support.dovecot import dovecot
from support.gateway_process import OURS, Gateway, House, build_house, gateway
from support.letters import ASCII, LAN
from support.peers import free_port, short_directory, wait_for
from support.postfix import postfix
from support.splitter import cut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.dovecot import Dovecot
    from support.postfix import Postfix

TO: Final = "tai@hopthu.example"
SENDERS: Final = 4
ROUNDS: Final = 2
LARGE: Final = 7
"""Every so manieth message is larger than what lies in memory or in a row."""


class Load:
    """Clients that send numbered messages without a pause and note which were answered 250."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._number = 0
        self._stop = threading.Event()
        self.acknowledged: set[int] = set()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self._stop.set()
            for each in threads:
                each.join()

    def _send(self) -> None:
        while not self._stop.is_set():
            with (
                suppress(OSError, smtplib.SMTPException),
                smtplib.SMTP("127.0.0.1", self._port, timeout=20) as client,
            ):
                client.ehlo()
                while not self._stop.wait(0.01):
                    self._one(client)
            self._stop.wait(0.05)

    def _one(self, client: smtplib.SMTP) -> None:
        with self._lock:
            self._number += 1
            number = self._number
        letter = ASCII.replace(b"Da co", f"so {number} Da co".encode())
        if number % LARGE == 0:
            letter += b"Dong dai cho du lon.\r\n" * 20_000
        client.mail(LAN)
        client.rcpt(TO)
        if client.data(letter)[0] == 250:
            with self._lock:
                self.acknowledged.add(number)


def house_in(directory: Path, mail: Dovecot, hop: int) -> House:
    return build_house(
        directory,
        hops=[
            {"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{hop}"], "tls": "none"},
            {"name": "kho", "protocol": "lmtp", "addresses": [f"unix:{mail.lmtp_path}"], "tls": "none"},
        ],
        local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
        outbound=[{"domain": "*", "hop": "ngoai"}],
        spool={"retry_first": 0.2, "retry_most": 0.5, "answer_within": 5.0},
    )


def numbers_of(mail: Dovecot) -> Counter[int]:
    """Return how often each message arrived; each must be whole and signed."""
    found: Counter[int] = Counter()
    for each in mail.present(TO):
        match = re.search(rb"so (\d+) Da co", cut(each).body)
        assert match is not None
        found[int(match[1])] += 1
    return found


def test_every_acknowledged_message_arrives() -> None:
    """Whatever moment the process dies at: what was answered 250 arrives, and whole."""
    hop = free_port()
    with dovecot() as mail, short_directory("gw-") as directory:
        house = house_in(directory, mail, hop)
        routes = {"hopthu.example": f"lmtp:inet:127.0.0.1:{mail.lmtp_port}"}
        load = Load(house.port("internal"))
        with gateway(house) as running:
            with load.running():
                for _ in range(ROUNDS):
                    with postfix(routes, port=hop) as mta:
                        killed_and_started(running, moment(0.3, 1.2))
                        time.sleep(moment(0.2, 1.0))
                        running.kill()
                        emptied(mta)  # what Postfix took over is Postfix's to keep: it may not end before
                    running.start()
                    killed_and_started(running, moment(0.2, 0.8))
            with postfix(routes, port=hop) as mta:
                wait_for(lambda: load.acknowledged <= numbers_of(mail).keys(), "what was acknowledged", seconds=40)
                emptied(mta)
        assert len(load.acknowledged) > 50


def moment(least: float, most: float) -> float:
    """Return some seconds; the random order of the test run says the seed."""
    return random.uniform(least, most)  # noqa: S311 - when to die is no secret


def killed_and_started(running: Gateway, seconds: float) -> None:
    time.sleep(seconds)
    running.kill()
    running.start()


def emptied(mta: Postfix) -> None:
    wait_for(lambda: not mta.queue(), "Postfix to deliver", seconds=20)
