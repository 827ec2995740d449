"""Clients that leave while the next hop still thinks, others behind them on the same connections: `handover.md` I4."""

from __future__ import annotations

import itertools
import random
import smtplib
import threading
from typing import Final

from support.flapping import standing
from support.gateway_process import OURS, build_house, gateway
from support.hops import Drop, FakeHop, Slow
from support.letters import ASCII, LAN
from support.peers import free_port, short_directory

CLIENTS: Final = 8
MESSAGES: Final = 240
_DICE: Final = random.SystemRandom()


def verdict(path: str) -> Slow | Drop:
    """Return what the hop answers for a recipient: by its number it is taken, refused, put off or not answered."""
    number = int(path.partition("@")[0].removeprefix("so"))
    code = ("250 2.0.0", "550 5.7.1", "250 2.0.0", "554 5.6.0")[number % 4]
    if number % 11 == 0:
        return Drop()
    return Slow(_DICE.uniform(0.0, 0.15), f"{code} day la {path}")


class Clients:
    """Clients that send to numbered recipients, and compare what they hear with what was said of their own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count(1)
        self.heard: dict[int, tuple[int, str]] = {}
        self.left = 0

    def work(self) -> None:
        threads = [threading.Thread(target=self._send) for _ in range(CLIENTS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _send(self) -> None:
        while (number := next(self._numbers)) <= MESSAGES:
            with smtplib.SMTP("127.0.0.1", self._port, timeout=60) as client:
                client.ehlo()
                client.mail(LAN)
                client.rcpt(f"so{number}@hopthu.example")
                if _DICE.random() < 0.4:
                    client.docmd("DATA")
                    client.send(ASCII + b".\r\n")
                    self.left += 1
                    client.close()  # the next client's message follows on the connection that ours waits for
                else:
                    code, text = client.data(ASCII)
                    self.heard[number] = (code, text.decode())


def test_no_reply_is_given_to_another_message() -> None:
    """Each client hears what was said of its own message, whoever left before it."""
    port = free_port()
    hop = FakeHop(lmtp=True, answers={"DOT": verdict})
    with short_directory("gw-") as directory, standing(port, hop) as running:
        (directory / "kho").mkdir(mode=0o700)
        house = build_house(
            directory,
            hops=[
                {
                    "name": "ngoai",
                    "protocol": "lmtp",
                    "addresses": [f"127.0.0.1:{port}"],
                    "tls": "none",
                    "max_connections": 3,
                },
                {"name": "kho", "protocol": "maildir", "directory": "kho"},
            ],
            local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ngoai"}],
        )
        with gateway(house):
            clients = Clients(house.port("internal"))
            clients.work()
        taken = [line for each in hop.messages for line in each.lines if line.startswith("RCPT")]
        connections, unanswered = hop.connections, len(running.silent)
    assert len(clients.heard) > MESSAGES / 3
    for number, (code, text) in clients.heard.items():
        refused = number % 2 == 1 and number % 11
        assert (code, f"so{number}@" in text) == ((550 if number % 4 == 1 else 554, True) if refused else (250, False))
        if code == 250 and number % 11:
            assert [f"<so{number}@" in line for line in taken].count(True) == 1, f"{number} was not taken once"
    assert clients.left > MESSAGES / 5
    assert connections < MESSAGES / 2, "connections must be used again for this to show anything"
    assert unanswered > 0
