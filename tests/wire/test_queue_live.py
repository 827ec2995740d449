"""Mail that a rule keeps, on a running gateway: `gateway queue` shows it, lets it go signed or tagged, and removes it.

The commands are programs of their own beside the gateway, as an administrator runs them.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.config.model import SpoolSettings
from gateway.spool.desk import Desk
from support.gateway_process import HOSTNAME, LOGIN, NEIGHBOR, OURS, Gateway, build_house, gateway, root_pem
from support.letters import LAN
from support.peers import free_port, short_directory, wait_for
from support.postfix import postfix
from support.splitter import cut
from support.swaks import Sent, swaks
from support.verifiers import openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND: Final = str(Path(sys.executable).with_name("gateway"))
BOX: Final = f"lan@{OURS}"
POLICY: Final = f"""\
rules:
  - name: hold-plans
    direction: outbound
    when: {{subject_matches: "kế hoạch"}}
    then: {{hold: {{reason: "kế hoạch phải được duyệt"}}}}
  - name: never-secret
    direction: outbound
    when: {{subject_matches: "mật"}}
    then: {{refuse: {{vi: "thư mật không gửi qua đây", en: "no secrets this way"}}}}
  - name: sign-official-mail
    direction: outbound
    when: {{author: "@{OURS}"}}
    then: {{sign: {{key: personal_else_organization, if_unable: refuse}}}}
  - name: quarantine-prizes
    direction: inbound
    when: {{subject_matches: "trúng thưởng"}}
    then: {{quarantine: {{reason: "thư rác"}}}}
  - name: deliver-with-tag
    direction: inbound
    then: deliver
"""


def letter(subject: str, sender: str = LAN, to: str = "tai@hopthu.example") -> bytes:
    """Return a message with a subject of its own."""
    head = f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: Tue, 24 Nov 2026 08:00:00 +0700\r\n"
    return (head + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nXin chào.\r\n").encode()


PLAN: Final = "=?utf-8?q?K=E1=BA=BF_ho=E1=BA=A1ch_n=C4=83m?="
PRIZE: Final = "=?utf-8?q?B=E1=BA=A1n_tr=C3=BAng_th=C6=B0=E1=BB=9Fng?="


class Office:
    """A gateway with mailboxes on both sides, and the administrator at its desk."""

    def __init__(self, gate: Gateway) -> None:
        self.gate = gate
        self.directory = gate.house.directory

    def send(self, message: bytes, to: str = "tai@hopthu.example") -> Sent:
        house = self.gate.house
        return swaks(house.port("submission"), LAN, to, message, login=LOGIN, trusted=house.server_pem)

    def receive(self, message: bytes) -> Sent:
        return swaks(self.gate.house.port("inbound"), NEIGHBOR, BOX, message)

    def queue(self, word: str, *arguments: str, code: int = 0) -> str:
        """Run `gateway queue WORD` and return what it says."""
        command = [COMMAND, "queue", word, "--config", str(self.gate.house.config), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == code, (done.stdout + done.stderr).decode()
        return (done.stdout if code == 0 else done.stderr).decode()

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.queue("list", "--json", *arguments).splitlines()]

    def box(self, place: str) -> list[bytes]:
        """Return the messages of a mailbox below the directory."""
        new = self.directory / place / "new"
        return [each.read_bytes() for each in sorted(new.iterdir())] if new.exists() else []

    def arrives(self, place: str, seconds: float = 15.0) -> bytes:
        """Wait for the one message in a mailbox."""
        wait_for(lambda: bool(self.box(place)), f"mail in {place}", seconds=seconds)
        (message,) = self.box(place)
        return message


TAI: Final = "outside/hopthu.example/tai"
OURS_BOX: Final = f"mailboxes/{OURS}/lan"


@pytest.fixture
def office() -> Iterator[Office]:
    """A running gateway of the test's own."""
    with short_directory("gw-") as directory:
        house = build_house(
            directory,
            hops=[
                {"name": "kho", "protocol": "maildir", "directory": "mailboxes"},
                {"name": "ngoai", "protocol": "maildir", "directory": "outside"},
            ],
            local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
            outbound=[{"domain": OURS, "hop": "kho"}, {"domain": "*", "hop": "ngoai"}],
            policy=POLICY,
        )
        for name in ("mailboxes", "outside"):
            (directory / name).mkdir()
        with gateway(house) as running:
            yield Office(running)


def test_held_shown_released_signed(office: Office, tmp_path: Path) -> None:
    """The client is told that its mail is held; released, it arrives once, and OpenSSL believes its signature."""
    sent = office.send(letter(PLAN))
    assert sent.accepted
    assert any("held for approval" in each for each in sent.replies)
    (found,) = office.listed()
    assert (found["kind"], found["from"], found["to"][0]["mailbox"]) == ("held", LAN, "tai@hopthu.example")
    assert "duyệt" in found["reason"]
    assert "Kế hoạch" not in json.dumps(found, ensure_ascii=False)
    shown = office.queue("show", found["id"][:8])
    assert "Kế hoạch năm" in shown
    assert LOGIN[0] in shown
    assert office.box(TAI) == []
    office.queue("release", found["id"][:8], "--dry-run")
    assert office.listed()[0]["kind"] == "held"
    office.queue("release", found["id"][:8], "--reason", "đã duyệt")
    message = office.arrives(TAI)
    pieces = cut(message)
    assert openssl_verify(pieces.part, pieces.cms, root_pem(), tmp_path)
    assert message.count(f"by {HOSTNAME} ".encode()) == 1, "one trace field of ours"
    wait_for(lambda: office.listed() == [], "an empty queue")
    time.sleep(0.5)
    assert len(office.box(TAI)) == 1
    with Desk(SpoolSettings(directory=office.directory / "spool")) as desk:
        (act,) = desk.acts()
    assert (act.what, act.entry_id, act.by.why, act.kind) == ("release", found["id"], "đã duyệt", "held")


def test_deleted(office: Office) -> None:
    """Removing needs --yes where nobody can be asked; what is removed never arrives."""
    office.send(letter(PLAN))
    (found,) = office.listed()
    assert "--yes" in office.queue("delete", found["id"], code=2)
    assert len(office.listed()) == 1
    office.queue("delete", found["id"], "--yes", "--reason", "gửi nhầm")
    assert office.listed() == []
    assert office.queue("release", found["id"], code=2)
    time.sleep(2.5)
    assert office.box(TAI) == []


def test_quarantined_mail_is_delivered_with_its_tags(office: Office) -> None:
    """Inbound mail that a rule set apart arrives when it is released: judged, tagged, and traced as it came."""
    raw = letter(PRIZE, NEIGHBOR, BOX)
    assert office.receive(raw).accepted
    (found,) = office.listed("--kind", "quarantined")
    written = subprocess.run(
        [COMMAND, "queue", "show", found["id"], "--raw", "--config", str(office.gate.house.config)],
        capture_output=True,
        check=True,
    )
    assert written.stdout == raw
    office.queue("release", found["id"])
    message = office.arrives(OURS_BOX)
    assert b"Authentication-Results: mail.songlam.example" in message
    assert b"X-Gateway-Verdict: unsigned" in message
    assert message.count(f"by {HOSTNAME} ".encode()) == 1
    assert b"[127.0.0.1]" in message.partition(b"\r\n\r\n")[0]
    assert message.endswith(raw.partition(b"\r\n\r\n")[2])
    wait_for(lambda: office.listed() == [], "an empty queue")


def test_kill_between_release_and_delivery(office: Office, tmp_path: Path) -> None:
    """`kill -9` at instants around a release loses nothing, and brings nothing twice into the queue."""
    for number in range(4):
        office.send(letter(PLAN, to=f"so{number}@hopthu.example"), f"so{number}@hopthu.example")
    for number, entry in enumerate(office.listed()):
        office.queue("release", entry["id"])
        time.sleep(number * 0.25)
        office.gate.kill()
        office.gate.start()
    for number in range(4):
        wait_for(lambda number=number: bool(office.box(f"outside/hopthu.example/so{number}")), f"message {number}")
    wait_for(lambda: office.listed() == [], "an empty queue")
    for number in range(4):
        for message in office.box(f"outside/hopthu.example/so{number}"):
            pieces = cut(message)
            assert openssl_verify(pieces.part, pieces.cms, root_pem(), tmp_path)


def test_released_while_nothing_runs(office: Office) -> None:
    """An administrator can let mail go while the gateway stands still: it is sent at the next start."""
    office.send(letter(PLAN))
    (found,) = office.listed()
    office.gate.stop()
    office.queue("release", found["id"])
    office.gate.start()
    office.arrives(TAI)


def test_released_mail_that_is_refused_meanwhile(office: Office) -> None:
    """A rule that refuses is not passed over: the sender is told by mail, in the rule's words in both languages."""
    office.send(letter(PLAN.replace("?=", "_m=E1=BA=ADt?=")))
    (found,) = office.listed()
    office.queue("release", found["id"])
    report = office.arrives(f"mailboxes/{OURS}/{LAN.partition('@')[0]}")
    assert b"report-type=delivery-status" in report
    text = base64.b64decode(report.partition(b"base64\r\n\r\n")[2].partition(b"--=_")[0]).decode()
    assert "thư mật không gửi qua đây" in text
    assert "no secrets this way" in text
    assert "máy chủ nhận từ chối" not in text
    assert office.box(TAI) == []
    wait_for(lambda: office.listed() == [], "an empty queue")


def test_a_suspended_key_stops_mail_in_hold(office: Office) -> None:
    """What is released while its key is suspended is held again, and says so; resumed and released, it is signed."""

    def keys(word: str) -> None:
        command = [COMMAND, "keys", word, "rsa2048", "--reason", "thử", "--config", str(office.gate.house.config)]
        subprocess.run(command, capture_output=True, check=True)

    office.send(letter(PLAN))
    (found,) = office.listed()
    keys("suspend")
    time.sleep(1.5)
    office.queue("release", found["id"])
    office.gate.wait_for_event("held", entry=found["id"], reason=_held_for(office))
    assert office.box(TAI) == []
    keys("resume")
    time.sleep(1.5)
    office.queue("release", found["id"])
    assert b"multipart/signed" in office.arrives(TAI)


def _held_for(office: Office) -> str:
    """Wait until the one entry is held again, and return why."""
    wait_for(lambda: [each["reason"][:9] for each in office.listed("--kind", "held")] == ["suspended"], "it to be held")
    (found,) = office.listed()
    return str(found["reason"])


def test_frozen_retried_rerouted_returned(office: Office) -> None:
    """Mail for a hop that is away: kept back, hurried, sent another way, or returned to its sender in words."""
    gone = office.directory / "outside"
    gone.rename(office.directory / "elsewhere")  # the way out is closed
    gone.write_text("not a directory")
    for name in ("giu", "gui-lai", "tra-lai", "di-vong"):
        assert office.send(letter("Xin chao", to=f"{name}@hopthu.example"), f"{name}@hopthu.example").accepted
    ids = {each["to"][0]["mailbox"].partition("@")[0]: each["id"] for each in office.listed()}
    office.queue("freeze", ids["giu"], "--reason", "cho xac minh")
    office.queue("bounce", ids["tra-lai"], "--reason", "sai dia chi")
    report = office.arrives(f"mailboxes/{OURS}/{LAN.partition('@')[0]}")
    assert b"Final-Recipient: rfc822; tra-lai@hopthu.example" in report
    text = base64.b64decode(report.partition(b"base64\r\n\r\n")[2].partition(b"--=_")[0]).decode()
    assert "quản trị thư trả lại thư này: sai dia chi." in text
    office.queue("reroute", ids["di-vong"], "--hop", "kho")
    office.arrives("mailboxes/hopthu.example/di-vong")
    gone.unlink()
    (office.directory / "elsewhere").rename(gone)
    office.queue("flush", "--reason", "đường truyền đã thông")
    office.arrives("outside/hopthu.example/gui-lai")
    wait_for(lambda: [each["id"] for each in office.listed()] == [ids["giu"]], "nothing but frozen mail, which waits")
    office.gate.kill()
    office.gate.start()
    time.sleep(2.5)
    assert [each["id"] for each in office.listed()] == [ids["giu"]], "nor by a new start"
    office.queue("thaw", ids["giu"])
    office.arrives("outside/hopthu.example/giu")
    acts = office.queue("audit")
    assert "5 việc / acts, nguyên vẹn / whole" in acts


@pytest.mark.parametrize("sender", [NEIGHBOR, ""])
def test_inbound_mail_that_cannot_be_delivered(sender: str) -> None:
    """What came from outside and fails later is kept as undeliverable; nothing goes to whoever it claims to be from."""
    port = free_port()
    with short_directory("gw-") as directory:
        house = build_house(
            directory,
            hops=[
                {"name": "kho", "protocol": "smtp", "addresses": [f"127.0.0.1:{port}"], "tls": "none"},
                {"name": "ngoai", "protocol": "maildir", "directory": "outside"},
            ],
            local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ngoai"}],
            spool={"retry_first": 0.2, "retry_most": 0.5, "warn_after": 0.3},
        )
        (directory / "outside").mkdir()
        with gateway(house) as running:
            desk = Office(running)
            sent = swaks(house.port("inbound"), sender or "<>", BOX, letter("Xin chao", NEIGHBOR, BOX))
            assert sent.accepted, sent.transcript
            time.sleep(1.5)  # late by far
            with postfix({OURS: "discard:"}, port=port, refused={BOX: "550 5.1.1 no such user"}):
                running.wait_for_event("quarantined")
            (kept,) = desk.listed()
            assert (kept["kind"], kept["from"]) == ("quarantined", sender)
            assert kept["reason"].startswith("undeliverable 550 5.1.1")
            assert "nobody can be told" in desk.queue("bounce", kept["id"], "--reason", "x", code=1)
            assert not running.events("notified")
            assert list((directory / "outside").iterdir()) == []
