"""`gateway policy apply` on a running gateway: all of a draft or nothing of it, and the mail says which."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.app.presence import Presence, State, find_running
from support.gateway_process import LOGIN, OURS, POLICY, Gateway, build_house, gateway
from support.letters import LAN, PLAIN
from support.peers import short_directory, wait_for
from support.swaks import swaks

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND: Final = str(Path(sys.executable).with_name("gateway"))
STRICTER: Final = POLICY.replace(
    "rules:\n",
    "rules:\n  - {name: closed, direction: outbound, then: {refuse: {vi: nghỉ, en: closed}}}\n"
    "  - {name: closed-in, direction: inbound, when: {author: x@x.example}, then: {refuse: {vi: a, en: b}}}\n",
).replace(
    f'  - name: sign-official-mail\n    direction: outbound\n    when: {{author: "@{OURS}"}}\n'
    "    then: {sign: {key: personal_else_organization, if_unable: refuse}}\n",
    "",
)


@pytest.fixture
def gate() -> Iterator[Gateway]:
    """A gateway that delivers into mailboxes."""
    with short_directory("gw-") as directory:
        (directory / "ra").mkdir(mode=0o700)
        house = build_house(
            directory,
            hops=[{"name": "ra", "protocol": "maildir", "directory": "ra"}],
            local_domains=[{"domain": OURS, "hop": "ra", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ra"}],
        )
        with gateway(house) as running:
            yield running


def apply(gate: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Give the command as an administrator does."""
    command = (COMMAND, "policy", "apply", "--config", str(gate.house.config), "--wait", "30", *arguments)
    return subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)


def status(gate: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask what runs."""
    command = (COMMAND, "policy", "status", "--config", str(gate.house.config), *arguments)
    return subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)


def refusal(gate: Gateway) -> str:
    """Send the clerk's letter; return the refusal, "" if it was taken."""
    house = gate.house
    return swaks(house.port("submission"), LAN, "mai@ra.example", PLAIN, login=LOGIN, trusted=house.server_pem).refusal


def rewrite(gate: Gateway, text: str) -> None:
    """Put another text in the place of the policy."""
    (gate.house.directory / "policies/10-test.yaml").write_text(text, encoding="utf-8")


def test_a_draft_goes_live_as_a_whole(gate: Gateway) -> None:
    """The command ends when the new rules decide: the very next message meets them."""
    assert refusal(gate) == ""
    rewrite(gate, STRICTER)
    assert refusal(gate) == "", "files alone change nothing"
    done = apply(gate, "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0
    assert answer["live"] == answer["wanted"]
    assert "closed" in refusal(gate)
    assert apply(gate).returncode == 0, "once more is no harm"


def test_a_wrong_draft_is_not_even_asked_about(gate: Gateway) -> None:
    """Exit code 2 with file:line:column, no reload in the log, and mail goes on by the old rules."""
    rewrite(gate, POLICY + "  - {name: x, direction: outbound, then: pas}\n")
    done = apply(gate)
    assert done.returncode == 2
    assert "10-test.yaml:9:" in done.stderr
    assert not any("reload" in line["event"] for line in gate.lines())
    assert refusal(gate) == ""


def test_what_the_gateway_refuses_is_told_and_the_old_rules_stand(gate: Gateway) -> None:
    """Whatever else is wrong, a key for instance: exit code 1 and its reason; half of a change is never live."""
    rewrite(gate, STRICTER)
    key = gate.house.directory / "keys/p256.p12"
    octets = key.read_bytes()
    key.write_bytes(b"hong")
    done = apply(gate)
    assert done.returncode == 1
    assert "p256" in done.stderr
    assert "the old policy" in done.stderr
    assert refusal(gate) == ""
    key.write_bytes(octets)
    assert apply(gate).returncode == 0
    assert "closed" in refusal(gate)


def test_a_gateway_that_does_not_run_is_not_asked(gate: Gateway) -> None:
    """After kill -9 the number in the file is nobody's: the lock is gone with its process."""
    assert (gate.house.directory / "spool/gateway.pid").read_text().strip().isdigit()
    gate.kill()
    done = apply(gate)
    assert done.returncode == 1
    assert "no gateway runs on this spool" in done.stderr
    gate.start()
    assert apply(gate).returncode == 0


def test_status_is_said_to_people_and_to_programs(gate: Gateway) -> None:
    """What `apply` made live, and the last refusal; the object is that of machines that share a database."""
    assert apply(gate).returncode == 0
    spool = gate.house.directory / "spool"
    state = json.loads((spool / "gateway.state").read_text())
    told = status(gate)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.fullmatch(rf"bản {state['policy'][:16]} .*, \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\+07:00\n", told.stdout)
    found = json.loads(status(gate, "--json").stdout)
    (machine,) = found["machines"]
    assert machine == {
        "name": f"{socket.gethostname()}/{(spool / 'gateway.pid').read_text().strip()}",
        "has": True,
        "policy": state["policy"],
        "number": None,
        "mistakes": [],
    }
    assert found["policies"] == []


def test_a_number_in_the_file_is_not_believed(gate: Gateway, tmp_path: Path) -> None:
    """Only the kernel says who holds the lock: a forged number leads a signal to nobody."""
    (tmp_path / "gateway.pid").write_text("1\n")
    assert find_running(tmp_path) is None
    (gate.house.directory / "spool/gateway.pid").write_text("1\n")
    assert apply(gate).returncode == 0


def test_a_second_gateway_does_not_take_the_place(gate: Gateway) -> None:
    """Where one runs, another can neither claim its files nor write over what it said."""
    spool = gate.house.directory / "spool"
    wait_for((spool / "gateway.state").exists, "the state, which comes after the last listener")
    before = (spool / "gateway.state").read_text()
    second = Presence(spool)
    assert not second.claim()
    second.report(State("x", 1, "", ()))
    assert (spool / "gateway.state").read_text() == before
