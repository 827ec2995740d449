"""A key that is suspended or revoked while the gateway runs: the next message hears of it, nothing is restarted."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.keys.suspensions import LOOK_EVERY
from support.gateway_process import (
    AUTHORS,
    COMMAND,
    LOGIN,
    OURS,
    POLICY,
    authority,
    build_house,
    credentials,
    gateway,
    root_pem,
)
from support.letters import ASCII, LAN
from support.peers import short_directory, wait_for
from support.splitter import cut
from support.swaks import Sent, swaks
from support.verifiers import openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gateway_process import Gateway

TO: Final = "dan@hopthu.example"
AFTERWARDS: Final = "sau@hopthu.example"
HELD: Final = "giu@hopthu.example"
HOLD: Final = f"""\
rules:
  - name: hold-for-approval
    direction: outbound
    when: {{recipient: "{HELD}"}}
    then: {{hold: {{reason: "phải được duyệt"}}}}
"""
WITHIN: Final = 60.0
"""Seconds in which a revocation that reached our disk must have stopped the key."""


@pytest.fixture
def gate() -> Iterator[Gateway]:
    """A gateway of its own that delivers into Maildirs: no test hears of another's suspensions."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(short_directory("gw-"))
        house = build_house(
            directory,
            hops=[{"name": "kho", "protocol": "maildir", "directory": "kho"}],
            local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "kho"}],
            policy=POLICY.replace("rules:\n", HOLD),
        )
        (directory / "kho").mkdir()
        yield stack.enter_context(gateway(house))


def submit(gate: Gateway, kind: str, *, to: str = TO) -> Sent:
    """Send as the author who has a key of this kind."""
    house, author = gate.house, AUTHORS[kind]
    message = ASCII.replace(LAN.encode(), author.encode())
    return swaks(house.port("submission"), author, to, message, login=LOGIN, trusted=house.server_pem)


def keys(gate: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `gateway keys` as an administrator beside the running gateway."""
    command = (COMMAND, "keys", *arguments, "--config", str(gate.house.config))
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def state(gate: Gateway, label: str) -> str:
    """Return a key's state as the list shows it."""
    listed: dict[str, Any] = json.loads(keys(gate, "list", "--json").stdout)
    return next(str(each["state"]) for each in listed["keys"] if each["label"] == label)


def revoke(gate: Gateway, kind: str) -> None:
    """Put a new list of the issuing authority in the old one's place, as a timer does."""
    _, octets = authority().revocation_lists([credentials()[AUTHORS[kind]].certificate])
    beside = gate.house.directory / "trust/new.crl"
    beside.write_bytes(octets)
    beside.rename(gate.house.directory / "trust/intermediate.crl")


def test_suspended_resumed_and_restarted(gate: Gateway, tmp_path: Path) -> None:
    """The next message is refused with the reason within seconds; others sign on; a restart forgets nothing."""
    assert submit(gate, "p256").accepted
    done = keys(gate, "suspend", "p256", "--reason", "mất thẻ / card lost")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: not submit(gate, "p256").accepted, "the suspension")
    refused = submit(gate, "p256")
    assert refused.refusal.startswith("550 5.7.1 ")
    assert "suspended" in refused.refusal
    assert submit(gate, "p384").accepted
    assert (state(gate, "p256"), state(gate, "p384")) == ("suspended", "in_use")

    assert gate.stop() == 0
    gate.start()
    assert "suspended" in submit(gate, "p256").refusal

    assert keys(gate, "resume", "p256", "--reason", "tìm thấy").returncode == 0
    wait_for(lambda: submit(gate, "p256", to=AFTERWARDS).accepted, "the resumption")
    box = gate.house.directory / "kho/hopthu.example/sau/new"
    wait_for(lambda: box.is_dir() and any(box.iterdir()), "the message")
    (file,) = box.iterdir()
    found = cut(file.read_bytes())
    assert openssl_verify(found.part, found.cms, root_pem(), tmp_path)


def test_mail_that_waits_is_not_signed_by_a_key_stopped_meanwhile(gate: Gateway) -> None:
    """Held mail asks for its key when it is let go: stopped, it is held again and says why; resumed, it is signed."""
    assert submit(gate, "p256", to=HELD).accepted
    assert keys(gate, "suspend", "p256", "--reason", "mất thẻ").returncode == 0
    (entry,) = waiting(gate)
    queue(gate, "release", entry["id"], "--reason", "đã duyệt")
    wait_for(lambda: any("suspended" in each["reason"] for each in waiting(gate)), "its way back")
    box = gate.house.directory / "kho/hopthu.example/giu/new"
    assert not box.exists()
    assert keys(gate, "resume", "p256", "--reason", "tìm thấy").returncode == 0
    time.sleep(LOOK_EVERY + 0.2)
    (entry,) = waiting(gate)
    queue(gate, "release", entry["id"], "--reason", "đã duyệt")
    wait_for(lambda: box.is_dir() and any(box.iterdir()), "the message")
    (file,) = box.iterdir()
    assert b"multipart/signed" in file.read_bytes()


def queue(gate: Gateway, word: str, *arguments: str) -> str:
    """Run `gateway queue` beside the running gateway."""
    command = (COMMAND, "queue", word, "--config", str(gate.house.config), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    return done.stdout


def waiting(gate: Gateway) -> list[dict[str, Any]]:
    """Return what is held."""
    return [json.loads(line) for line in queue(gate, "list", "--json").splitlines()]


def test_revoked_by_a_new_list_and_a_reload(gate: Gateway) -> None:
    """SIGHUP makes it known at once."""
    assert submit(gate, "p256").accepted
    revoke(gate, "p256")
    gate.hup()
    gate.wait_for_event("reloaded")
    refused = submit(gate, "p256")
    assert refused.refusal.startswith("550 5.7.1 ")
    assert "revoked" in refused.refusal
    assert submit(gate, "p384").accepted
    assert state(gate, "p256") == "revoked"


def test_revoked_by_a_new_list_alone(gate: Gateway) -> None:
    """Nobody needs to tell the gateway: a changed file stops the key within a minute."""
    assert submit(gate, "p384").accepted
    revoke(gate, "p384")
    gate.wait_for_event("revocation of a key changed", seconds=WITHIN)
    assert "revoked" in submit(gate, "p384").refusal
    assert submit(gate, "p256").accepted


def test_a_damaged_switch_stops_every_key_and_says_so(gate: Gateway) -> None:
    """Nobody signs while nobody knows who may; mended, everybody does again."""
    assert keys(gate, "suspend", "pss", "--reason", "thử").returncode == 0
    file = gate.house.directory / "spool/keys-state.jsonl"
    good = file.read_bytes()
    file.write_bytes(good + b'{"at": ')
    wait_for(lambda: not submit(gate, "p256").accepted, "the switch to close")
    event = gate.wait_for_event("the state of keys is unreadable, every key is suspended")
    assert (event["level"], event["reason"]) == ("error", f"{file}: its last line is cut off")
    assert keys(gate, "suspend", "p256", "--reason", "thử").returncode == 2
    file.write_bytes(good)
    wait_for(lambda: submit(gate, "p256").accepted, "the switch to open")
    assert not submit(gate, "pss").accepted
