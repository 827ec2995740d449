"""Messages made to cost much: each ends in a verdict or a refusal at once, and nobody else waits for it.

An honest letter of another client is on its way at the same time as each of them.
"""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.core.address import Mailbox
from gateway.relay.maildir import place_of
from support.attacks import AUTHOR, GREEN, ground, letter
from support.bombs import CERTIFICATES, CMS, MIME, ber
from support.gateway_process import OURS
from support.pace import spent
from support.peers import short_directory
from support.programs import command, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.attacks import Delivered, Field

PROMPT: Final = 2.0
"""Seconds in which a message is answered, hostile or honest."""
BAD: Final = frozenset({"refused", "unreadable", "invalid", "not_trusted", "indeterminate", "encrypted", "unsigned"})
FLOOD: Final = 200
SOURCES: Final = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")


def timed(field: Field, message: bytes, **how: Any) -> tuple[Delivered, float]:
    """Deliver a message; return what came of it, and after how many seconds."""
    begun = time.monotonic()
    found = field.deliver(message, **how)
    return found, time.monotonic() - begun


def meanwhile(field: Field, message: bytes) -> Delivered:
    """Deliver a hostile message of another client, and honest ones until it is answered."""
    found: list[tuple[Delivered, float]] = []
    sending = threading.Thread(target=lambda: found.append(timed(field, message, source="127.0.0.2")))
    sending.start()
    while True:
        honest, took = timed(field, letter())
        assert honest.greens == GREEN
        assert took < PROMPT
        if not sending.is_alive():
            break
    ((hostile, took),) = found
    assert took < PROMPT
    assert hostile.greens == frozenset()
    assert hostile.verdict in BAD
    if hostile.verdict == "refused":
        assert 500 <= hostile.code < 600
    return hostile


@pytest.mark.parametrize("name", MIME)
def test_mime(field: Field, name: str) -> None:
    """Parts, depth, headers, words, parameters, boundaries, markup: each far over what mail has."""
    meanwhile(field, MIME[name]())


@pytest.mark.parametrize("name", CMS)
def test_cms(field: Field, name: str) -> None:
    """Depth, lengths, counts and sizes of ASN.1, and what is compressed."""
    assert meanwhile(field, CMS[name]()).verdict in {"unreadable", "invalid", "encrypted"}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(field: Field, name: str) -> None:
    """Bags, trees of policies, names and constraints, keys that take long, curves that are none."""
    assert meanwhile(field, CERTIFICATES[name]()).verdict != "unsigned"


def processes(field: Field) -> list[int]:
    """Return the gateway's process and its children."""
    assert field.gate.process is not None
    own = field.gate.process.pid
    found = [own]
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == own:
                found.append(int(place.name))
    return found


def resident(pid: int, kind: str) -> int:
    """Return octets of resident memory: "VmRSS" now, "VmHWM" at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(kind))


def test_20_megabytes_in_a_second_and_in_thrice_its_size(field: Field) -> None:
    """A good opaque letter of 20 MB, streamed as Outlook does: one second of all processors, three times its size."""
    field.honest(letter())
    message = ber(14_600_000)
    assert len(message) > 20_000_000
    pids = processes(field)
    for each in pids:
        Path(f"/proc/{each}/clear_refs").write_text("5")  # the peak begins anew
    before = {each: (spent(each), resident(each, "VmRSS")) for each in pids}
    found, took = timed(field, message)
    assert found.verdict == "verified"
    assert sum(spent(each) - before[each][0] for each in pids) < 1.0
    assert sum(resident(each, "VmHWM") - before[each][1] for each in pids) < 3 * len(message)
    assert took < 10 * PROMPT  # of which most is its way here
    assert field.harmless(message.replace(b"Moi hop", b"Moi di", 1)).verdict == "replayed"


def test_20_megabytes_changed_by_one_octet(field: Field) -> None:
    """Its digest is looked at as that of a small one is."""
    good = ber(14_600_001)
    middle = len(good) // 2
    at = next(index for index in range(middle, len(good)) if good[index : index + 1].isalpha())
    forged = good[:at] + (b"B" if good[at : at + 1] == b"A" else b"A") + good[at + 1 :]
    found = field.attack(good, forged)
    assert found.verdict in {"invalid", "unreadable"}


@pytest.fixture
def crowd() -> Iterator[Path]:
    """Write two hundred hostile messages of every kind into a directory."""
    with short_directory("gb-") as directory:
        made = [make() for make in (*MIME.values(), *CMS.values(), *CERTIFICATES.values())]
        for number in range(FLOOD):
            (directory / f"{number:03}").write_bytes(made[number % len(made)])
        yield directory


def test_two_hundred_at_once(crowd: Path) -> None:
    """From four addresses, fifty connections each: the gateway keeps honest mail waiting for two seconds at most.

    Its processor time is what counts: those who send the flood take the rest of the machine. Nothing of what was
    accepted is lost, and none of it is green.
    """
    sink = Mailbox.parse(f"rac@{OURS}")
    with ground() as field:
        field.honest(letter())
        port, (own, *_) = field.gate.house.port("inbound"), processes(field)
        call = command("flood.py", crowd, port, AUTHOR, sink, FLOOD, *SOURCES)
        took = []
        with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment()) as flood:
            while flood.poll() is None:
                before = spent(own)
                found, waited = timed(field, letter())
                assert found.greens == GREEN
                assert waited < 10 * PROMPT
                took.append(spent(own) - before)
            assert flood.stdout is not None
            answers = [line.split() for line in flood.stdout]
        assert len(answers) == FLOOD
        assert max(took) < PROMPT, sorted(took)[-5:]
        codes = [int(code) for code, _, _ in answers]
        assert set(codes) <= {250, 554, 550, 552}
        new = place_of(field.gate.house.directory / "mail", sink) / "new"
        letters = [each.read_bytes() for each in new.iterdir()]
        assert len(letters) == codes.count(250)
        for each in letters:
            header = each.partition(b"\r\n\r\n")[0]
            assert b"X-Gateway-Verdict: verified;" not in header
            assert b"smime=pass" not in header
