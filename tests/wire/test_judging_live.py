"""The running gateway and the processes that judge for it: one is killed, many hostile messages come at once."""

from __future__ import annotations

import contextlib
import email
import itertools
import os
import signal
import smtplib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.address import Mailbox
from gateway.demo.authority import make_key
from gateway.relay.maildir import place_of
from support.gateway_process import NEIGHBOR, OURS, authority, build_house, credentials, gateway
from support.hostile import large, messages
from support.letters import HEAD, LAN, clear
from support.pace import spent
from support.peers import short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from gateway.demo.authority import Credential
    from support.gateway_process import Gateway

READER: Final = f"doc@{OURS}"
PART: Final = b"Content-Type: text/plain\r\n\r\nMoi hop luc 8 gio.\r\n"
FLOOD: Final = 200
CLIENTS: Final = 20
"""Connections of the flood that are open at once."""


@pytest.fixture
def gate() -> Iterator[Gateway]:
    """Run a gateway that delivers into directories."""
    with short_directory("gw-") as directory:
        house = build_house(
            directory,
            hops=[{"name": "hop", "protocol": "maildir", "directory": "mail"}],
            local_domains=[{"domain": OURS, "hop": "hop", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "hop"}],
        )
        (directory / "mail").mkdir()
        with gateway(house) as running:
            yield running


def send(gate: Gateway, message: bytes, *, source: str = "127.0.0.1", to: str = READER) -> None:
    """Send a message from an address of loopback."""
    with smtplib.SMTP(
        "127.0.0.1", gate.house.port("inbound"), "may-thu.example", timeout=60, source_address=(source, 0)
    ) as client:
        client.sendmail(NEIGHBOR, [to], message)


def arrived(gate: Gateway, to: str = READER) -> Message:
    """Return the one letter of a mailbox, and take it out."""
    new = place_of(gate.house.directory / "mail", Mailbox.parse(to)) / "new"
    wait_for(lambda: new.is_dir() and any(new.iterdir()), "the letter")
    (file,) = new.iterdir()
    found = email.message_from_bytes(file.read_bytes())
    file.unlink()
    return found


def letter(number: int, office: Credential | None = None) -> bytes:
    """Return a letter of the neighbor's office, signed with a certificate of its own."""
    fields = HEAD.replace(LAN.encode(), NEIGHBOR.encode()).replace(b"2026.17", b"%d" % number)
    return clear(PART.replace(b"8", b"%d" % number), office or credentials()[NEIGHBOR], head=fields)


def judges(gate: Gateway) -> tuple[int, ...]:
    """Return the processes that judge for a gateway."""
    assert gate.process is not None
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == gate.process.pid and b"gateway.judging.child" in words:
                found.append(int(place.name))
    return tuple(found)


def test_a_judge_that_is_killed_costs_its_message_the_verdict_and_nobody_anything_else(gate: Gateway) -> None:
    """`kill -9` while it judges: that letter is delivered as unreadable, the next is verified, the crew is whole."""
    wait_for(lambda: len(judges(gate)) == 3, "the processes")
    before = judges(gate)
    for each in before:
        os.kill(each, signal.SIGSTOP)
    sending = threading.Thread(target=send, args=(gate, letter(1)))
    sending.start()
    gate.wait_for_event("received", seconds=60)
    time.sleep(0.5)  # from there to the judges nothing is waited for
    for each in before:
        os.kill(each, signal.SIGKILL)
    sending.join()
    found = arrived(gate)
    assert found["X-Gateway-Verdict"].startswith("unreadable; reason=judge_died")
    assert "X-Verified-Sender" not in found
    assert "smime=permerror" in found["Authentication-Results"]
    send(gate, letter(2))
    assert arrived(gate)["X-Gateway-Verdict"].startswith("verified")
    wait_for(lambda: len(judges(gate)) == 3 and not set(judges(gate)) & set(before), "new processes")


def test_stopping_leaves_no_process_behind(gate: Gateway) -> None:
    """Neither a stop nor `kill -9` of the gateway leaves a judge behind."""
    wait_for(lambda: len(judges(gate)) == 3, "the processes")
    left = judges(gate)
    gate.kill()
    wait_for(lambda: not any(Path(f"/proc/{each}").exists() for each in left), "their end")
    gate.start()
    left = judges(gate)
    assert gate.stop() == 0
    assert not any(Path(f"/proc/{each}").exists() for each in left)


def test_a_flood_of_hostile_mail_does_not_delay_honest_mail(gate: Gateway) -> None:
    """200 hostile messages of one source, 20 at a time: an honest one of another is verified within two seconds.

    Of the gateway's processor time: those who send the flood take the rest of the machine.
    """
    kinds = [*messages().values()] * 40
    todo, lock = iter([large(), *kinds[: FLOOD - 2], large()]), threading.Lock()
    done = itertools.count()

    def flood() -> None:
        while True:
            with lock:
                message = next(todo, None)
            if message is None:
                return
            with contextlib.suppress(smtplib.SMTPException):  # those too deep or too wide are refused
                send(gate, message, source="127.0.0.2", to=f"rac@{OURS}")
            next(done)

    send(gate, letter(1))
    arrived(gate)
    threads = [threading.Thread(target=flood) for _ in range(CLIENTS)]
    for each in threads:
        each.start()
    took: list[float] = []
    number = itertools.count(2)
    assert gate.process is not None
    while any(each.is_alive() for each in threads):
        # by turns one that was seen before, and one that a process must judge
        fresh = authority().issue("VĂN PHÒNG", NEIGHBOR, key=make_key("p256")) if len(took) % 2 else None
        before = spent(gate.process.pid)
        send(gate, letter(next(number), fresh))
        took.append(spent(gate.process.pid) - before)
        assert arrived(gate)["X-Gateway-Verdict"].startswith("verified")
    assert next(done) == FLOOD
    assert len(took) > 3
    assert max(took) < 2.0, took
