"""Who may send as whom, as clients hear it and as the next hop sees it: swaks -> `gateway run` -> Maildir."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from support.gateway_process import COMMAND, OURS
from support.letters import BINH, LAN
from support.offices import (
    ALIAS,
    CITIZEN,
    DIRECTOR,
    OFFICE,
    OLD,
    PROGRAM,
    SECRETARY,
    Office,
    letter,
    office,
    told,
)
from support.peers import wait_for
from support.swaks import swaks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNER: Final = CliRunner()
STRANGER: Final = f"la@{OURS}"
INSIDE: Final = "From: {}\r\nSubject: {}\r\n\r\nNgan.\r\n"


@pytest.fixture(scope="module")
def strict() -> Iterator[Office]:
    """An office where everything is refused that may not be, as is the default."""
    with office() as running:
        yield running


REFUSALS: Final = {
    "reverse-path": ("lan", BINH, letter(LAN), "550 5.7.1", "phong bì", "reverse-path"),
    "From": ("lan", LAN, letter(BINH), "550 5.7.1", "không được gửi với địa chỉ", "may not send as this From address"),
    "From of a colleague": ("lan", LAN, letter(DIRECTOR), "550 5.7.1", "không được gửi", "this From address"),
    "no From": ("lan", LAN, letter(LAN).partition(b"\r\n")[2], "550 5.6.0", "không hợp lệ", "malformed From"),
    "two From": ("lan", LAN, letter(LAN, f"From: {LAN}"), "550 5.6.0", "several_from", "malformed From"),
    "two mailboxes": ("lan", LAN, letter(f"{LAN}, {BINH}"), "550 5.6.0", "several_from_mailboxes", "malformed From"),
    "a group": ("lan", LAN, letter(f"nhom: {LAN};"), "550 5.6.0", "malformed_from", "malformed From"),
    "an encoded address": (
        "phan-mem",
        OFFICE,
        letter(f"=?utf-8?q?giam-doc?=@{OURS}"),
        "550 5.6.0",
        "không hợp lệ",
        "malformed From",
    ),
    "an address in a name": ("lan", LAN, letter(f'"{DIRECTOR}" <{LAN}>'), "550 5.7.1", "tên trong From", DIRECTOR),
    "Sender": ("lan", LAN, letter(LAN, f"Sender: {BINH}"), "550 5.7.1", "(Sender)", "this Sender address"),
    "a malformed Sender": ("lan", LAN, letter(LAN, "Sender: x@@y"), "550 5.6.0", "Trường Sender", "malformed Sender"),
    "Resent-From": ("lan", LAN, letter(LAN, f"Resent-From: {BINH}"), "550 5.7.1", "Resent-From", "this Resent-From"),
    "inner From": (
        "lan",
        LAN,
        letter(LAN, kind="message/rfc822", body=INSIDE.format(DIRECTOR, "Bao cao")),
        "550 5.7.1",
        "Trường bên trong khác",
        "a field inside differs",
    ),
    "inner Subject": (
        "lan",
        LAN,
        letter(LAN, kind="message/rfc822; forwarded=no", body=INSIDE.format(LAN, "Khac")),
        "550 5.7.1",
        "inner_subject_differs",
        "a field inside differs",
    ),
    "a fragment": (
        "lan",
        LAN,
        letter(LAN, kind="message/partial; number=1; total=2; id=x", body=INSIDE.format(DIRECTOR, "x")),
        "550 5.6.0",
        "không đọc được",
        "cannot be read",
    ),
    "a delegate without Sender": (
        "thu-ky",
        SECRETARY,
        letter(DIRECTOR),
        "550 5.7.1",
        f"phải có trường Sender: {SECRETARY}",
        f"Sender must name {SECRETARY}",
    ),
    "the old domain of a name that collides": (
        "phan-mem",
        OFFICE,
        letter(f"so@{OLD}"),
        "550 5.7.1",
        "không được gửi",
        "this From address",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_as_the_client_hears_it(name: str, strict: Office, tmp_path: Path) -> None:
    """Code, status and the reason in both languages, as `policy explain` says; nothing reaches the next hop."""
    login, sender, message, code, vietnamese, english = REFUSALS[name]
    sent = strict.submit(login, sender, message)
    assert sent.exit_code == 26, sent.transcript  # the reply to the dot
    text = told(sent)
    assert sent.refusal.startswith(code), sent.transcript
    assert vietnamese in text
    assert english in text
    assert strict.nothing_for(CITIZEN)
    said = explained(strict, login, sender, message, tmp_path)
    assert said["authorized"]["allowed"] is False
    assert sent.refusal.startswith(f"{said['reply']['code']} {said['reply']['status']} ")
    assert text.split() == f"{said['reply']['code']} {said['reply']['text']}".split()


def explained(place: Office, login: str, sender: str, message: bytes, directory: Path) -> dict[str, Any]:
    """Return what `gateway policy explain` says of a message."""
    (directory / "thu.eml").write_bytes(message)
    command = ["policy", "explain", "--json", "--config", str(place.house.config), "--as", login, "--sender", sender]
    done = RUNNER.invoke(build(["policy explain"]), [*command, "--to", CITIZEN, str(directory / "thu.eml")])
    assert done.exit_code == 1, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


SIGNED: Final = {
    "oneself": ("lan", LAN, LAN, (), LAN, "listed"),
    "capital letters": ("lan", LAN.upper(), LAN.upper(), (), LAN, "listed"),
    "a shared mailbox": ("thu-ky", OFFICE, OFFICE, (), OFFICE, "listed"),
    "a shared mailbox, another login": ("giam-doc", OFFICE, OFFICE, (), OFFICE, "listed"),
    "Sender": ("thu-ky", SECRETARY, OFFICE, (f"Sender: {SECRETARY}",), OFFICE, "listed"),
    "a reply elsewhere": ("lan", LAN, LAN, ("Reply-To: ai@khac.example",), LAN, "listed"),
}


@pytest.mark.parametrize("name", SIGNED)
def test_who_is_signed_as_whom(name: str, strict: Office) -> None:
    """The certificate at the next hop names the From address, and OpenSSL takes the signature."""
    login, sender, author, fields, signer, by = SIGNED[name]
    to = f"{name.replace(' ', '-').replace(',', '')}@congdan.example"
    sent = strict.submit(login, sender, letter(author, *fields), to=to)
    assert sent.accepted, sent.transcript
    assert strict.signer(strict.received(to)) == signer
    assert strict.gate.events("authorized", by=by, author=author)


@pytest.mark.parametrize(
    ("login", "author", "fields"),
    [
        ("lan", ALIAS, ()),
        ("lan", LAN.replace("@", "+hop@"), ()),
        ("lan", LAN.replace(OURS, OLD), ()),
        ("thu-ky", DIRECTOR, (f"Sender: {SECRETARY}",)),
    ],
)
def test_the_right_to_send_is_not_yet_a_key(login: str, author: str, fields: tuple[str, ...], strict: Office) -> None:
    """Alias, plus-address, old domain, delegate: the sender is allowed, and no certificate names that author."""
    own = {"lan": LAN, "thu-ky": SECRETARY}[login]
    sent = strict.submit(login, own, letter(author, *fields))
    assert sent.refusal.startswith("550 5.7.1")
    assert "cannot sign" in told(sent)
    assert author in told(sent)
    assert strict.gate.wait_for_event("authorized", author=author)["allowed"] is True


def test_the_envelope_may_be_an_old_address(strict: Office) -> None:
    """After a merger the reverse-path of a mail client that nobody has changed yet is accepted."""
    assert strict.submit("lan", LAN.replace(OURS, OLD), letter(LAN), to="cu@congdan.example").accepted
    assert strict.signer(strict.received("cu@congdan.example")) == LAN


# those who cannot log in


def test_a_program_is_known_by_its_certificate(strict: Office) -> None:
    """It sends as the addresses of its own list, and as nobody else."""
    to = "chuong-trinh@congdan.example"
    assert strict.inject(OFFICE, letter(OFFICE), shows=PROGRAM, to=to).accepted
    assert strict.signer(strict.received(to)) == OFFICE
    event = strict.gate.wait_for_event("received", recipients=[to])
    assert event["login"] == "qlvb"
    assert re.fullmatch(r"[0-9a-f]{64}", event["certificate"])
    refused = strict.inject(OFFICE, letter(LAN), shows=PROGRAM)
    assert refused.refusal.startswith("550 5.7.1")
    assert LAN in told(refused)


@pytest.mark.parametrize("shows", [None, STRANGER], ids=["none", "another"])
def test_a_program_without_the_certificate_is_nobody(shows: str | None, strict: Office) -> None:
    """Good TLS, even with a certificate of the same authority, is not a name on the list."""
    sent = strict.inject(OFFICE, letter(OFFICE), shows=shows)
    assert (sent.exit_code, sent.refusal[:9]) == (23, "550 5.7.1"), sent.transcript  # the reply to MAIL
    assert "không có trong danh sách" in told(sent)
    assert "not listed" in told(sent)


def test_nobody_submits_without_logging_in(strict: Office) -> None:
    """The submission port is open to everybody: no setting lets a stranger past it."""
    sent = swaks(strict.house.port("submission"), LAN, CITIZEN, letter(LAN), trusted=strict.house.server_pem)
    assert (sent.exit_code, sent.refusal[:9]) == (23, "530 5.7.0"), sent.transcript


# reactions


def test_what_is_held_is_raw_and_not_sent() -> None:
    """With `hold` the client hears 250, nothing travels on, and nothing is ever signed; refusing goes first."""
    reactions = {"unauthenticated": "hold", "not_allowed": "hold", "malformed": "refuse"}
    with office(senders={"reactions": reactions}) as place:
        held = place.submit("lan", LAN, letter(DIRECTOR))
        assert held.accepted, held.transcript
        assert place.gate.wait_for_event("held")["reason"].startswith("sender_not_allowed from_not_allowed: ")
        both = place.submit("lan", LAN, letter(DIRECTOR, "Sender: @@"))
        assert both.refusal.startswith("550 5.6.0"), both.transcript
        stranger = place.inject(OFFICE, letter(OFFICE))
        assert stranger.accepted, stranger.transcript
        place.gate.wait_for_event("authorized", trouble="unauthenticated", reaction="hold")
        assert place.nothing_for(CITIZEN)
        assert not place.gate.events("signed")
        assert place.submit("lan", LAN, letter(LAN)).accepted
        assert place.signer(place.received(CITIZEN)) == LAN


def test_releasing_is_no_way_around_a_check() -> None:
    """Held mail that is let go is checked again: it stays until the table is mended, then leaves signed."""
    with office(senders={"reactions": {"not_allowed": "hold"}}) as place:
        assert place.submit("lan", LAN, letter(DIRECTOR)).accepted
        (entry,) = queue(place, "list", "--json")
        released = entry["id"]
        queue(place, "release", released, "--reason", "thu")
        wait_for(lambda: len(place.gate.events("held")) > 1, "being held again")
        assert place.nothing_for(CITIZEN)
        assert not place.gate.events("signed")
        file = place.house.directory / "logins.txt"
        lines = file.read_text(encoding="utf-8").splitlines()
        mended = [f"{line},{DIRECTOR}" if line.startswith("lan:") else line for line in lines]
        file.write_text("\n".join(mended) + "\n", encoding="utf-8")
        place.gate.hup()
        place.gate.wait_for_event("reloaded")
        queue(place, "release", released, "--reason", "da ghi vao danh sach")
        assert place.signer(place.received(CITIZEN)) == DIRECTOR


def queue(place: Office, *arguments: str) -> list[dict[str, Any]]:
    """Run `gateway queue` beside the running gateway."""
    word, *rest = arguments
    command = (COMMAND, "queue", word, "--config", str(place.house.config), *rest)
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


def test_a_merger_is_a_reload_away(strict: Office) -> None:
    """The tables are read again by SIGHUP, beside the mail that flows."""
    old = "soyte.hoabien.example"
    assert strict.submit("lan", LAN.replace(OURS, old), letter(LAN)).refusal.startswith("550 5.7.1")
    text = strict.house.config.read_text(encoding="utf-8")
    strict.house.config.write_text(
        text.replace('"successors": [', f'"successors": [{{"old": "{old}", "new": "{OURS}"}},'), encoding="utf-8"
    )
    strict.gate.hup()
    strict.gate.wait_for_event("reloaded")
    assert strict.submit("lan", LAN.replace(OURS, old), letter(LAN), to="moi@congdan.example").accepted
    assert strict.signer(strict.received("moi@congdan.example")) == LAN
