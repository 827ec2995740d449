"""The disk is really full at each moment in which the decision table commits: the reply, and what is kept.

One gateway whose spool has a disk of its own; each test fills that before it does what would need room.
"""

from __future__ import annotations

import smtplib
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.config.model import SpoolSettings
from gateway.core.queue import Kind
from gateway.spool.desk import Desk
from gateway.spool.place import prepare_place
from gateway.spool.reserve import RESERVE, Reserve
from support.disk import disk
from support.flapping import standing
from support.gateway_process import OURS, Gateway, build_house
from support.hops import DEFAULTS, Drop, FakeHop, Slow, by_address
from support.letters import ASCII, LAN
from support.peers import free_port, short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.disk import Disk
    from support.hops import Answer

COMMAND: Final = str(Path(sys.executable).with_name("gateway"))
TO: Final = "tai@hopthu.example"
OTHER: Final = "mai@hopthu.example"
POLICY: Final = f"""\
rules:
  - name: hold-plans
    direction: outbound
    when: {{subject_matches: "kế hoạch"}}
    then: {{hold: {{reason: "kế hoạch phải được duyệt"}}}}
  - name: sign-official-mail
    direction: outbound
    when: {{author: "@{OURS}"}}
    then: {{sign: {{key: personal_else_organization, if_unable: refuse}}}}
"""


class Office:
    """A gateway, its next hop, and the disk under its spool."""

    def __init__(self, gate: Gateway, hop: FakeHop, small: Disk) -> None:
        self.gate, self.hop, self.small = gate, hop, small
        self._settings = SpoolSettings(directory=gate.house.directory / "spool", min_free=0)

    def fill(self) -> None:
        """Leave no room but what is kept back: an attempt that ends meanwhile frees that, and we would take it, too."""
        place = prepare_place(self._settings.directory)
        self.small.fill()
        while place.reserve.stat().st_size < RESERVE:
            self.small.make_room()
            reserve = Reserve(place.reserve)
            assert reserve.hold()
            reserve.close()
            self.small.fill()

    @contextmanager
    def no_room(self) -> Iterator[None]:
        """Fill the disk for a while."""
        self.fill()
        try:
            yield
        finally:
            self.small.make_room()

    @contextmanager
    def answering(self, **answers: Answer) -> Iterator[None]:
        """Let the next hop answer so for a while."""
        self.hop.answers.update(answers)
        try:
            yield
        finally:
            self.hop.answers.update(DEFAULTS)

    def send(self, *to: str, subject: bytes = b"Ket qua", more: bytes = b"") -> tuple[int, str]:
        """Send a letter from a listed host, and return the reply to its dot."""
        letter = ASCII.replace(b"Subject: ", b"Subject: " + subject + b" ", 1) + more
        with smtplib.SMTP("127.0.0.1", self.gate.house.port("internal"), timeout=60) as client:
            client.ehlo()
            assert client.mail(LAN)[0] == 250
            for each in to or (TO,):
                assert client.rcpt(each)[0] == 250
            code, text = client.data(letter)
        return code, text.decode()

    def kept(self) -> list[Kind]:
        """Return the kinds of what the spool holds."""
        with Desk(self._settings) as desk:
            return [each.kind for each in desk.entries()]

    def ids(self) -> list[str]:
        """Return the ids of what the spool holds."""
        with Desk(self._settings) as desk:
            return [each.entry_id for each in desk.entries()]

    def queue(self, word: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the administrator."""
        line = (COMMAND, "queue", word, *arguments, "--config", str(self.gate.house.config))
        return subprocess.run(line, capture_output=True, text=True, check=False)

    def empty(self) -> None:
        """Wait until everything in the spool has come to its end."""
        wait_for(lambda: not self.kept(), "an empty spool", seconds=180)

    def paths(self) -> list[tuple[str, ...]]:
        """Return the MAIL and RCPT lines of what the next hop took."""
        return [each.lines for each in tuple(self.hop.messages)]


@pytest.fixture(scope="module")
def running() -> Iterator[Office]:
    """Return the one gateway of these tests."""
    port = free_port()
    with short_directory("gw-") as directory:
        house = build_house(
            directory,
            hops=[{"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{port}"], "tls": "none"}],
            local_domains=[{"domain": OURS, "hop": "ngoai", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ngoai"}],
            policy=POLICY,
            spool={"retry_first": 0.2, "retry_most": 0.5, "answer_within": 1.0},
        )
        hop = FakeHop()
        with disk(directory / "spool") as small, standing(port, hop):
            gate = Gateway(house)
            try:
                gate.start()
                yield Office(gate, hop, small)
            finally:
                gate.kill()


@pytest.fixture
def office(running: Office) -> Iterator[Office]:
    """Return it with an empty spool and an obliging next hop, before and after."""
    running.hop.messages.clear()
    running.hop.dots = 0
    yield running
    wait_for(lambda: running.send()[0] == 250, "the gateway takes mail again", seconds=180)
    running.empty()
    running.gate.check_log()


def test_row_1_what_needs_no_room_needs_no_room(office: Office) -> None:
    """Cut-through stores nothing, and goes on."""
    with office.no_room():
        assert office.send()[0] == 250
        wait_for(lambda: len(office.hop.messages) == 1, "the letter", seconds=180)  # a slow machine may commit first
    office.empty()


def test_row_3_spool_first(office: Office) -> None:
    """Nothing is kept, and the client is told so."""
    with office.no_room():
        code, text = office.send(subject="Kế hoạch".encode())
        assert (code, text.partition(" ")[0]) == (452, "4.3.1")
    assert office.kept() == []
    assert office.hop.dots == 0


def test_large_mail_cannot_even_be_read(office: Office) -> None:
    """What does not lie in memory has no place: the client is told at its dot, and the connection goes on."""
    with office.no_room():
        code, text = office.send(more=b"Dong dai cho du lon.\r\n" * 100_000)  # of more than 2 MiB
        assert (code, text.partition(" ")[0]) == (452, "4.3.1")
        assert office.hop.dots == 0
    assert office.kept() == []


def test_row_4_before_the_dot(office: Office) -> None:
    """Some were accepted at RCPT: no dot goes out, the connection ends, and nothing is kept."""
    mixed = by_address({OTHER: "550 5.1.1 khong co"})
    with office.answering(RCPT=mixed), office.no_room():
        code, text = office.send(TO, OTHER)
        assert (code, text.partition(" ")[0]) == (452, "4.3.1")
        assert office.hop.dots == 0
    assert office.kept() == []


@pytest.mark.parametrize(
    "answers",
    [{"RCPT": "451 4.2.0 sau"}, {"MAIL": "421 4.3.0 sau"}, {"DOT": "451 4.3.0 sau"}],
    ids=["RCPT", "MAIL", "DOT"],
)
def test_row_6_put_off_by_the_hop(office: Office, answers: dict[str, Any]) -> None:
    """What we would have kept for the listed host is its own again."""
    with office.answering(**answers), office.no_room():
        code, text = office.send()
        assert (code, text.partition(" ")[0]) == (452, "4.3.1")
    assert office.kept() == []
    assert office.hop.messages == []


def test_row_7_the_hop_is_out_of_order(office: Office) -> None:
    """The site's trouble makes us keep mail, and there is no room for it."""
    with office.answering(MAIL="530 5.7.0 login"), office.no_room():
        code, text = office.send()
        assert (code, text.partition(" ")[0]) == (452, "4.3.1")
    assert office.kept() == []


@pytest.mark.parametrize("reply", ["250 2.0.0 da nhan", "554 5.6.0 khong nhan"])
def test_row_11_the_dot_is_not_answered_in_time(office: Office, reply: str) -> None:
    """Nothing can be kept, so the hop's answer is waited for, and is ours."""
    with office.answering(DOT=Slow(3.0, reply)), office.no_room():
        code, text = office.send()
        assert (code, text.partition(" ")[0]) == (int(reply[:3]), reply[4:9])
        assert office.hop.dots == 1
    assert office.kept() == []


def test_row_11_the_dot_will_never_be_answered(office: Office) -> None:
    """Nobody knows, nothing can be kept: the client keeps it, and what the hop may have is counted."""
    with office.answering(DOT=Drop()), office.no_room():
        code, text = office.send()
        assert (code, text.partition(" ")[0]) == (451, "4.3.0")
        assert office.hop.dots == 1
    assert office.kept() == []
    office.gate.wait_for_event("deferred", possible_duplicate=1)


def test_row_15_what_was_delivered_is_settled(office: Office) -> None:
    """Mail of the spool is delivered once and ends, out of the room that is kept back for that."""
    with office.answering(RCPT="451 4.2.0 sau"):
        assert office.send()[0] == 250
        assert office.kept() == [Kind.DELIVER]
        office.fill()
    try:
        office.empty()
        assert len(office.hop.messages) == 1
    finally:
        office.small.make_room()


def test_row_15_a_notice_is_owed(office: Office) -> None:
    """The failure of mail of the spool and the report on it are stored although there is no room, and it arrives."""
    with office.answering(RCPT="451 4.2.0 sau"):
        assert office.send()[0] == 250
        office.fill()
    try:
        with office.answering(RCPT=by_address({TO: "550 5.1.1 khong co"})):
            wait_for(lambda: len(office.hop.messages) == 1, "the report", seconds=180)
            ((mail, rcpt),) = office.paths()
            assert mail.startswith("MAIL FROM:<>")
            assert LAN in rcpt
            office.empty()
    finally:
        office.small.make_room()


def test_an_administrator_makes_room(office: Office) -> None:
    """What ends mail works on a full disk, out of the room that is kept back, and is on record."""
    assert office.send(subject="Kế hoạch".encode())[0] == 250
    (entry_id,) = office.ids()
    with office.no_room():
        done = office.queue("delete", entry_id, "--reason", "het cho", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert office.kept() == []
    assert "het cho" in office.queue("audit").stdout


def test_held_mail_cannot_be_released(office: Office) -> None:
    """An administrator hears that it did not happen, the message stays held; with room it goes out, signed."""
    assert office.send(subject="Kế hoạch".encode())[0] == 250
    (entry_id,) = office.ids()
    with office.no_room():
        done = office.queue("release", entry_id, "--reason", "duyet")
        assert done.returncode == 1, done.stdout
        assert office.kept() == [Kind.HELD]
        assert office.hop.messages == []
    assert office.queue("release", entry_id, "--reason", "duyet").returncode == 0
    wait_for(lambda: len(office.hop.messages) == 1, "the released letter", seconds=180)
