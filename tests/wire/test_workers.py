"""Several workers on one port and one spool: mail goes on when one dies, and what an administrator says reaches all."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.gateway_process import COMMAND, OURS, POLICY, Gateway, build_house, gateway, run_command
from support.letters import ASCII, LAN
from support.peers import START, child, short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.gateway_process import House

TO: Final = "mai@ra.example"
CLOSED: Final = POLICY.replace(
    "rules:\n", "rules:\n  - {name: closed, direction: outbound, then: {refuse: {vi: nghỉ, en: closed}}}\n"
).replace(
    f'  - name: sign-official-mail\n    direction: outbound\n    when: {{author: "@{OURS}"}}\n'
    "    then: {sign: {key: personal_else_organization, if_unable: refuse}}\n",
    "",
)


@contextmanager
def house_of(count: int) -> Iterator[House]:
    """A house whose gateway has so many workers and delivers into mailboxes."""
    with short_directory("gw-") as directory:
        (directory / "ra").mkdir(mode=0o700)
        yield build_house(
            directory,
            hops=[{"name": "ra", "protocol": "maildir", "directory": "ra"}],
            local_domains=[{"domain": OURS, "hop": "ra", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ra"}],
            workers=count,
        )


@pytest.fixture
def gate() -> Iterator[Gateway]:
    """A gateway with two workers, both of which listen."""
    with house_of(2) as house, gateway(house) as running:
        wait_for(lambda: len(running.events("listening")) == 2 * len(house.ports), "both workers")
        wait_for(lambda: state(house) is not None, "their word")
        yield running


def state(house: House) -> Mapping[str, object] | None:
    """Return what the gateway says of itself."""
    path = house.directory / "spool/gateway.state"
    return json.loads(path.read_bytes()) if path.exists() else None


def workers(gate: Gateway) -> set[int]:
    """Return the processes of the workers."""
    assert gate.process is not None
    return children(gate.process.pid)


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def send(gate: Gateway) -> str:
    """Send the clerk's letter in a session of its own, again while a connection is reset; return the answer."""
    for _ in range(50):
        try:
            with smtplib.SMTP("127.0.0.1", gate.house.port("internal"), timeout=120) as client:
                client.sendmail(LAN, [TO], ASCII)
        except smtplib.SMTPDataError as error:
            return str(error.smtp_code)
        except (ConnectionError, smtplib.SMTPServerDisconnected):
            continue
        return "250"
    return "no worker answers"


def delivered(gate: Gateway) -> int:
    """Return how many letters are in the mailbox."""
    return len(list((gate.house.directory / "ra").glob("*/*/new/*")))


def test_a_worker_that_dies_is_replaced(gate: Gateway) -> None:
    """`kill -9` of either worker: mail is taken all the time, what was answered 250 is there, and two work again."""
    sent = 0
    for count, victim in enumerate(sorted(workers(gate)), start=3):
        os.kill(victim, signal.SIGKILL)
        for _ in range(10):
            assert send(gate) == "250"
            sent += 1
        up = count * len(gate.house.ports)
        wait_for(lambda up=up: len(gate.events("listening")) == up, "a new worker", seconds=60)
        assert victim not in workers(gate)
        assert len(workers(gate)) == 2
    assert delivered(gate) == sent
    assert len([each for each in gate.lines() if each["event"] == "a worker ended and is started again"]) == 2


def test_both_workers_take_mail(gate: Gateway) -> None:
    """The kernel shares connections among the workers: with either one stopped, the other is reached."""
    for stopped in sorted(workers(gate)):
        os.kill(stopped, signal.SIGSTOP)
        try:
            assert any(answers(gate) for _ in range(40))
        finally:
            os.kill(stopped, signal.SIGCONT)


def answers(gate: Gateway) -> bool:
    """Return whether a new connection is greeted at once."""
    with socket.create_connection(("127.0.0.1", gate.house.port("internal")), timeout=0.5) as client:
        try:
            return client.recv(3) == b"220"
        except TimeoutError:
            return False


def test_policies_are_applied_in_all_workers(gate: Gateway) -> None:
    """`gateway policy apply` says "live" once no worker has the old ones any more; a mistake leaves them to all."""
    assert send(gate) == "250"
    file = gate.house.directory / "policies/10-test.yaml"
    file.write_text(CLOSED, encoding="utf-8")
    assert apply(gate).returncode == 0
    assert {send(gate) for _ in range(20)} == {"550"}
    file.write_text("rules: [", encoding="utf-8")
    gate.hup()
    wait_for(lambda: bool((state(gate.house) or {}).get("mistakes")), "the mistakes")
    assert {send(gate) for _ in range(10)} == {"550"}


def apply(gate: Gateway) -> subprocess.CompletedProcess[str]:
    command = (COMMAND, "policy", "apply", "--config", str(gate.house.config), "--wait", "30")
    return subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)


def test_a_worker_that_reads_other_rules_is_told_of(gate: Gateway) -> None:
    """Files that were changed without `apply`: whoever is started again has the new rules, and the state says so."""
    (gate.house.directory / "policies/10-test.yaml").write_text(CLOSED, encoding="utf-8")
    os.kill(min(workers(gate)), signal.SIGKILL)
    wait_for(lambda: "do not all have the same policy" in str(state(gate.house)), "the word about it", seconds=60)
    assert apply(gate).returncode == 0
    assert (state(gate.house) or {})["mistakes"] == []


def test_workers_do_not_outlive_their_supervisor(gate: Gateway) -> None:
    """Nobody could tell them of a reload or an end: they drain and end by themselves."""
    left = workers(gate)
    gate.kill()
    wait_for(lambda: not any(Path(f"/proc/{each}/exe").exists() for each in left), "the end of the workers")


def test_a_wrong_setup_ends_all() -> None:
    """What one worker cannot start with, none can: the mistake is told, and the exit code is 2."""
    with house_of(2) as house, socket.create_server(("127.0.0.1", house.port("inbound"))):
        found = subprocess.run(run_command(house.config), capture_output=True, check=False, timeout=180, text=True)
    assert found.returncode == 2
    assert "cannot listen on" in found.stderr


@pytest.mark.parametrize("count", [1, 2])
def test_the_service_manager_is_told(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY comes once, when everything listens, and STOPPING when the end begins (sd_notify(3))."""
    with house_of(count) as house, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        place = house.directory / "notify"
        manager.bind(str(place))
        manager.settimeout(START)
        monkeypatch.setenv("NOTIFY_SOCKET", str(place))
        with child(run_command(house.config), output=house.directory / "gateway.log") as process:
            assert manager.recv(1000).startswith(b"READY=1")
            for port in house.ports.values():
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            process.terminate()
            assert manager.recv(1000) == b"STOPPING=1"
            assert process.wait(START) == 0
