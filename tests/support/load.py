"""Clients that send numbered messages without a pause and note which were answered 250."""

from __future__ import annotations

import itertools
import re
import smtplib
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from support.letters import ASCII, LAN
from support.splitter import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SENDERS: Final = 4
LARGE: Final = 7
"""Every so manieth message is larger than what lies in memory or in a row."""
SECONDS: Final = 30.0
"""How long a client waits for an answer."""
_NUMBER: Final = re.compile(rb"so (\d+) Da co")


def letter(number: int) -> bytes:
    """Return the letter with this number."""
    made = ASCII.replace(b"Da co", f"so {number} Da co".encode())
    return made + b"Dong dai cho du lon.\r\n" * 20_000 if number % LARGE == 0 else made


def number_of(octets: bytes) -> int:
    """Return the number of a letter that arrived; fails unless it is whole and signed."""
    body = cut(octets).body
    match = _NUMBER.search(body)
    assert match is not None
    number = int(match[1])
    assert body == letter(number).partition(b"\r\n\r\n")[2], f"letter {number} was altered"
    return number


class Load:
    """Some clients at work; each message is sent once, whatever becomes of it."""

    def __init__(self, ports: Sequence[int], to: str, *, senders: int = SENDERS, first: int = 1) -> None:
        """Send to all of these ports in turn."""
        self._ports, self._to, self.senders = ports, to, senders
        self._numbers = itertools.count(first)
        self._stop = threading.Event()
        self.acknowledged: set[int] = set()
        self.refused: Counter[int] = Counter()
        """Replies to the dot other than 250."""
        self.begun = 0
        """The number of the message that was begun last."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send as long as the context lasts."""
        threads = [threading.Thread(target=self._send, args=(index,)) for index in range(self.senders)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self._stop.set()
            for each in threads:
                each.join()

    def _send(self, index: int) -> None:
        port = self._ports[index % len(self._ports)]
        while not self._stop.wait(0.05):
            with suppress(OSError, smtplib.SMTPException), smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
                client.ehlo()
                for _ in range(10):  # then another session: another worker may get it
                    if self._stop.wait(0.01):
                        return
                    self._one(client)

    def _one(self, client: smtplib.SMTP) -> None:
        number = self.begun = next(self._numbers)
        client.mail(LAN)
        client.rcpt(self._to)
        code, _ = client.data(letter(number))
        if code == 250:
            self.acknowledged.add(number)
        else:
            self.refused[code] += 1
