"""A signed message sent again through the running gateway: under other fields it is never green, whatever is tried."""

from __future__ import annotations

import email
import json
import smtplib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.header import decode_header, make_header
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gateway.cms.algorithms import raw_sign
from gateway.core.address import Mailbox
from gateway.core.message import Message as Octets
from gateway.relay.maildir import place_of
from support.gateway_process import AUTHORS, OURS, build_house, credentials, gateway
from support.letters import HEAD, LAN, NOW, SUBJECT, clear_entity, template
from support.peers import short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from support.gateway_process import Gateway, House
    from support.postgres import Postgres

READER: Final = f"doc@{OURS}"
AUTHOR: Final = AUTHORS["p256"]
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""
PART: Final = b"Content-Type: text/plain\r\n\r\nMoi hop luc 8 gio.\r\n"
FIELDS: Final = HEAD.replace(LAN.encode(), AUTHOR.encode())
COMMAND: Final = str(Path(sys.executable).with_name("gateway"))
POLICY: Final = """\
rules:
  - {name: set-apart, direction: inbound, when: {subject_matches: "^XET "}, then: {quarantine: {reason: "xét"}}}
  - {name: deliver, direction: inbound, then: deliver}
"""
SEEN: Final = FIELDS.replace(b"Subject: ", b"Subject: XET ")
"""Of a message that is set apart."""


@pytest.fixture
def gate() -> Iterator[Gateway]:
    """Run a gateway that delivers into directories."""
    with short_directory("gw-") as directory, gateway(house(directory)) as running:
        yield running


def house(directory: Path, **settings: object) -> House:
    """Make what a gateway reads, one that delivers into directories and sets some of its mail apart."""
    (directory / "mail").mkdir(mode=0o700)
    return build_house(
        directory,
        hops=[{"name": "hop", "protocol": "maildir", "directory": "mail"}],
        local_domains=[{"domain": OURS, "hop": "hop", "recipients": "any"}],
        outbound=[{"domain": "*", "hop": "hop"}],
        policy=POLICY,
        **settings,
    )


class Signed:
    """One signature, and the messages that can be made around it."""

    def __init__(self, part: bytes = PART) -> None:
        credential = credentials()[AUTHOR]
        chosen = template(credential)
        attributes = chosen.to_be_signed(Octets.of(part).digest(chosen.digest), NOW)
        value = raw_sign(credential.key, attributes, scheme=chosen.scheme, digest=chosen.digest)
        r, s = decode_dss_signature(value)
        self._part = part
        self._cms = chosen.finish(attributes, value)
        self._mirrored = chosen.finish(attributes, encode_dss_signature(r, ORDER - s))

    def under(self, fields: bytes = FIELDS, *, mirrored: bool = False) -> bytes:
        """Return a message with these fields; a stranger can make the mirror image of its signature."""
        cms = self._mirrored if mirrored else self._cms
        return fields + b"MIME-Version: 1.0\r\n" + clear_entity(self._part, cms)


def send(gate: Gateway, message: bytes, to: str) -> None:
    """Send a message."""
    with smtplib.SMTP("127.0.0.1", gate.house.port("inbound"), "may-thu.example", timeout=60) as client:
        client.sendmail(AUTHOR, [to], message)


def told(gate: Gateway, message: bytes, to: str = READER) -> Message:
    """Send a message and return it as it was delivered."""
    send(gate, message, to)
    return arrived(gate, to)


def queue(gate: Gateway, word: str, *arguments: str) -> str:
    """Run `gateway queue WORD` and return what it says."""
    command = [COMMAND, "queue", word, "--config", str(gate.house.config), *arguments]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120, stdin=subprocess.DEVNULL)
    return done.stdout.decode()


def released(gate: Gateway, to: str) -> Message:
    """Let the message go that was set apart for somebody, and return it as it was delivered."""
    kept = [json.loads(line) for line in queue(gate, "list", "--json", "--kind", "quarantined").splitlines()]
    (found,) = [each["id"] for each in kept if each["to"][0]["mailbox"] == to]
    queue(gate, "release", found)
    return arrived(gate, to)


def arrived(gate: Gateway, to: str) -> Message:
    """Wait for the one message of a mailbox, and take it out."""
    new = place_of(gate.house.directory / "mail", Mailbox.parse(to)) / "new"
    wait_for(lambda: new.is_dir() and any(new.iterdir()), "the letter")
    (file,) = new.iterdir()
    found = email.message_from_bytes(file.read_bytes())
    file.unlink()
    return found


def verdict(found: Message) -> str:
    """Return the verdict and its reason."""
    words = str(make_header(decode_header(found["X-Gateway-Verdict"]))).split("(")[0].split(";")
    return f"{words[0].strip()} {words[1].partition('=')[2].strip()}"


OTHERS: Final = {
    "subject": FIELDS.replace(SUBJECT.encode(), b"Chuyen tien gap"),
    "date": FIELDS.replace(b"24 Nov 2026", b"25 Nov 2026"),
    "message-id": FIELDS.replace(b"2026.17", b"2026.18"),
    "no message-id": FIELDS.partition(b"Message-ID:")[0],
    "reply": FIELDS.replace(b"Subject: ", b"Subject: Re: "),
    "two prefixes": FIELDS.replace(b"Subject: ", b"Subject: [a] [b] "),
}


def test_a_signature_is_good_for_one_message(gate: Gateway) -> None:
    """Each change is the smallest one to a message that was verified just before; the true one stays verified."""
    made = Signed()
    first = told(gate, made.under())
    assert verdict(first).startswith("verified ")
    for name, fields in OTHERS.items():
        for mirrored in (False, True):
            found = told(gate, made.under(fields, mirrored=mirrored))
            assert verdict(found) == "replayed replayed", (name, mirrored)
            assert "X-Verified-Sender" not in found
            assert "smime=policy" in found["Authentication-Results"]
    assert verdict(told(gate, made.under(FIELDS.replace(b"Subject: ", b"Subject: [van-thu] ")))) == (
        "verified_lesser list_copy"
    )
    again = told(gate, made.under(), f"khac@{OURS}")
    assert verdict(again) == verdict(first)
    assert "seen_before" in again["X-Gateway-Verdict"]
    assert verdict(told(gate, Signed(PART + b"Khac.\r\n").under(OTHERS["subject"]))).startswith("verified ")


def test_it_outlives_the_process(gate: Gateway) -> None:
    """Soon after it was answered it is on the disk: `kill -9` makes nothing new of what was seen."""
    made = Signed()
    assert verdict(told(gate, made.under())).startswith("verified ")
    gate.wait_for_signatures(1)
    gate.kill()
    gate.start()
    assert verdict(told(gate, made.under(OTHERS["subject"]))) == "replayed replayed"
    assert verdict(told(gate, made.under())).startswith("verified ")


def test_of_many_at_once_one_is_green(gate: Gateway) -> None:
    """Whoever sends the true message and its copies in the same instant gets one of them verified."""
    made = Signed()
    fields = [FIELDS.replace(SUBJECT.encode(), b"So %d" % number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: told(gate, made.under(fields[at]), f"d{at}@{OURS}"), range(8)))
    assert sorted(verdict(each).split()[0] for each in found) == ["replayed"] * 7 + ["verified"]


def test_a_released_message_is_not_its_own_replay(gate: Gateway) -> None:
    """What was set apart is told by what was known when it came, whatever came meanwhile, and after a `kill -9`."""
    made = Signed()
    for box in ("dau", "sau"):
        send(gate, made.under(SEEN), f"{box}@{OURS}")
    assert verdict(told(gate, made.under(OTHERS["date"]))) == "replayed replayed"
    send(gate, made.under(SEEN.replace(b"XET ", b"XET gap ")), f"la@{OURS}")
    gate.wait_for_signatures(1)
    gate.kill()
    gate.start()
    first, again, replay = (released(gate, f"{box}@{OURS}") for box in ("dau", "sau", "la"))
    assert verdict(first).startswith("verified ")
    assert "first_contact" in first["X-Gateway-Verdict"]
    assert "seen_before" not in first["X-Gateway-Verdict"]
    assert verdict(again) == verdict(first)
    assert "seen_before" in again["X-Gateway-Verdict"]
    assert "first_contact" not in again["X-Gateway-Verdict"]
    assert verdict(replay) == "replayed replayed"


def test_a_released_message_without_a_message_id(gate: Gateway) -> None:
    """It cannot be told from another one by its fields, and must not be taken for a replay of itself; its copy is."""
    made, fields = Signed(), SEEN.partition(b"Message-ID:")[0]
    for box in ("dau", "sau"):
        send(gate, made.under(fields), f"{box}@{OURS}")
    assert verdict(released(gate, f"dau@{OURS}")).startswith("verified ")
    assert verdict(released(gate, f"sau@{OURS}")) == "replayed replayed"


def test_another_machine_lets_it_go(server: Postgres) -> None:
    """It has a memory of its own, which never saw these letters; what was found where they came counts."""
    with ExitStack() as stack:
        conninfo, directory = server.create(), stack.enter_context(short_directory("gw-"))
        stack.callback(server.drop, conninfo)
        here, there = (stack.enter_context(gateway(machine(directory / name, conninfo))) for name in "ab")
        made = Signed()
        send(here, made.under(SEEN), f"dau@{OURS}")
        fake = made.under(SEEN.replace(b"XET ", b"XET gap "))
        send(here, fake, f"la@{OURS}")
        here.kill()
        replay, first = (released(there, f"{box}@{OURS}") for box in ("la", "dau"))
        assert verdict(first).startswith("verified ")
        assert "first_contact" in first["X-Gateway-Verdict"]
        assert "seen_before" not in first["X-Gateway-Verdict"]
        assert verdict(replay) == "replayed replayed"
        send(there, fake, f"nua@{OURS}")
        assert verdict(released(there, f"nua@{OURS}")) == "replayed replayed"


def machine(directory: Path, conninfo: str) -> House:
    """Make one of the machines of a database."""
    directory.mkdir(mode=0o700)
    secret = directory / "database"
    secret.touch(mode=0o600)
    secret.write_text(conninfo)
    return house(directory, spool={"database": f"file:{secret}"})
