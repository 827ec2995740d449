"""What users of the peers wished for about keys (peers.md 4: 10, 11, 12), each as a test on the running gateway.

Judged by the reply the client got, the octets at the next hop, and what an administrator sees.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.cms.verify import open_signed
from gateway.demo.authority import shared_key
from gateway.keys.suspensions import LOOK_EVERY
from support.gateway_process import (
    COMMAND,
    LOGIN,
    OURS,
    PASSPHRASE,
    authority,
    build_house,
    gateway,
    root_pem,
)
from support.letters import ASCII, LAN
from support.peers import short_directory, wait_for
from support.splitter import cut
from support.swaks import swaks
from support.verifiers import openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gateway_process import Gateway
    from support.swaks import Sent

DAY: Final = dt.timedelta(days=1)
EXPIRED_ONLY: Final = f"cu@{OURS}"
RENEWED: Final = f"moi@{OURS}"
SPANS: Final = {
    "expired-only": (EXPIRED_ONLY, -400, -1),
    "old": (RENEWED, -400, -1),
    "ending": (RENEWED, -300, 20),
    "renewed": (RENEWED, -5, 360),
    "begins-later": (RENEWED, 5, 800),
}
"""Label -> the mailbox of its certificate, and in how many days that begins and ends."""
POLICY: Final = """\
rules:
  - name: signed-or-not-at-all
    direction: outbound
    then: {sign: {key: organization, if_unable: refuse}}
  - name: deliver
    direction: inbound
    then: deliver
"""


@pytest.fixture(scope="module")
def gate() -> Iterator[Gateway]:
    """A gateway with keys whose certificates are over, end soon, were renewed, and begin later."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(short_directory("gw-"))
        house = build_house(
            directory,
            hops=[{"name": "kho", "protocol": "maildir", "directory": "kho"}],
            local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "kho"}],
            policy=POLICY,
            keys=[
                {
                    "label": label,
                    "kind": "organization",
                    "key": f"keys/{label}.key",
                    "certificate": f"keys/{label}.pem",
                    "passphrase": f"file:{directory}/keys/passphrase",
                }
                for label in SPANS
            ],
        )
        (directory / "kho").mkdir()
        for number, label in enumerate(SPANS):
            issue(directory / "keys", label, number)
        yield stack.enter_context(gateway(house))


def issue(directory: Path, label: str, number: int) -> None:
    """Write one key with its certificate."""
    mailbox, begin, end = SPANS[label]
    now = dt.datetime.now(dt.UTC)
    credential = authority().issue(
        "Cán bộ thử",
        mailbox,
        key=shared_key("p256", 70 + number),
        not_before=now + begin * DAY,
        not_after=now + end * DAY,
    )
    for file, octets in ((f"{label}.key", credential.key_pem(PASSPHRASE)), (f"{label}.pem", credential.chain_pem())):
        (directory / file).write_bytes(octets)
        (directory / file).chmod(0o600)


def submit(gate: Gateway, author: str, to: str) -> Sent:
    """Send as an author."""
    message = ASCII.replace(LAN.encode(), author.encode())
    return swaks(gate.house.port("submission"), author, to, message, login=LOGIN, trusted=gate.house.server_pem)


def arrived(gate: Gateway, to: str) -> list[bytes]:
    """Return what the next hop has for a mailbox."""
    local, _, domain = to.partition("@")
    return [each.read_bytes() for each in (gate.house.directory / "kho" / domain / local).glob("new/*")]


def keys(gate: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `gateway keys` beside the running gateway."""
    command = (COMMAND, "keys", *arguments, "--config", str(gate.house.config))
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def listed(gate: Gateway, *options: str) -> list[dict[str, Any]]:
    """Return the list of keys as programs get it."""
    found: list[dict[str, Any]] = json.loads(keys(gate, "list", "--json", *options).stdout)["keys"]
    return found


def test_wish_10_nothing_is_signed_silently_with_an_expired_certificate(gate: Gateway) -> None:
    """The sender hears why, nothing reaches the next hop, and the start said that this key will not sign."""
    to = "muoi@hopthu.example"
    sent = submit(gate, EXPIRED_ONLY, to)
    assert sent.refusal.startswith("550 5.7.1 ")
    assert "expired-only" in sent.refusal
    assert "expired" in sent.refusal.rpartition(":")[2]
    assert arrived(gate, to) == []
    assert gate.events("key is unfit and will not sign", label="expired-only", reason="expired")


def test_wish_11_the_list_shows_when_each_key_ends(gate: Gateway) -> None:
    """Days left and state stand beside every key, what ends first on top, in color on a terminal; the check warns."""
    rows = listed(gate, "--by-expiry")
    assert [(each["label"], each["state"], each["days_left"]) for each in rows] == [
        ("expired-only", "expired", -2),
        ("old", "expired", -2),
        ("ending", "in_use", 19),
        ("renewed", "in_use", 359),
        ("begins-later", "not_yet_valid", 799),
    ]
    table = keys(gate, "list", "--by-expiry").stdout
    assert table.index("ending") < table.index("renewed")
    assert "hết hạn / expired" in table
    check = subprocess.run(
        [COMMAND, "run", "--check", "--config", str(gate.house.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert check.returncode == 1, check.stderr
    told = [line for line in check.stdout.splitlines() if "/keys/" in line]
    assert [line.rpartition("(key ")[2] for line in told] == [f"'{name}')" for name in SPANS if name != "renewed"]


def test_wish_12_of_several_certificates_for_one_address_the_valid_one_signs(gate: Gateway, tmp_path: Path) -> None:
    """Past and coming ones lie beside it; of those in date the last to end; a stopped one hinders no other."""
    by_label = {each["label"]: each["serial"] for each in listed(gate)}
    assert signer(gate, "mot@hopthu.example", tmp_path) == by_label["renewed"]
    assert keys(gate, "suspend", "renewed", "--reason", "thử").returncode == 0
    time.sleep(LOOK_EVERY + 0.2)
    assert signer(gate, "hai@hopthu.example", tmp_path) == by_label["ending"]
    assert keys(gate, "resume", "renewed", "--reason", "xong").returncode == 0


def signer(gate: Gateway, to: str, directory: Path) -> str:
    """Send, and return the serial number of the certificate that signed what arrived."""
    assert submit(gate, RENEWED, to).accepted
    wait_for(lambda: bool(arrived(gate, to)), "the message")
    found = cut(arrived(gate, to)[0])
    assert openssl_verify(found.part, found.cms, root_pem(), directory)
    (signed,) = open_signed(found.cms).signers
    return f"{signed.serial_number:X}"
