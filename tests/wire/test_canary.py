"""`gateway canary`: along the real path, and what it says when something on the way does damage."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.cli.canary import letter
from gateway.cli.survival import survival
from gateway.pki.certificate import Certificate
from gateway.pki.path import Revocation, TrustAnchors
from support.dovecot import PASSWORD
from support.gateway_process import LOGIN, root_pem
from support.letters import LAN, NOW, authority, lan, signed
from support.town import OUTSIDE

if TYPE_CHECKING:
    from support.town import Town

COMMAND = str(Path(sys.executable).with_name("gateway"))
SENT = letter(LAN, "mai@hopthu.example", "0123456789abcdef", NOW)
ARRIVED = b"Received: from a by b with ESMTP\r\n" + signed(SENT, lan())


def secret(path: Path, text: str) -> str:
    path.touch(mode=0o600)
    path.write_text(f"{text}\n")
    return str(path)


def canary(town: Town, tmp_path: Path, *more: str, to: str = f"chim@{OUTSIDE}") -> subprocess.CompletedProcess[bytes]:
    """Run the command against the town's gateway and mailboxes."""
    house = town.gate.house
    (tmp_path / "root.pem").write_bytes(root_pem())
    return subprocess.run(
        [
            *(COMMAND, "canary", "--to", to, "--from", LAN, "--server", f"localhost:{house.port('submission')}"),
            *("--user", LOGIN[0], "--password-file", secret(tmp_path / "login", LOGIN[1])),
            *("--ca", str(house.server_pem), "--trust", str(tmp_path / "root.pem")),
            *("--imap", f"127.0.0.1:{town.mail.imap_port}", "--imap-security", "none"),
            *("--imap-password-file", secret(tmp_path / "imap", PASSWORD), *more),
        ],
        capture_output=True,
        check=False,
        timeout=90,
    )


def test_the_real_path_damages_nothing(town: Town, tmp_path: Path) -> None:
    """Swaks' way: submission, signature, Postfix, Dovecot, IMAP; the message is gone from the mailbox afterwards."""
    done = canary(town, tmp_path, "--json")
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["whole"], found["verdict"], found["damages"]) == (True, "verified", [])
    assert len(found["stations"]) >= 2
    assert town.mail.count(f"chim@{OUTSIDE}") == 0


def test_it_says_so_when_nothing_arrives(town: Town, tmp_path: Path) -> None:
    """A refusal on the way is an answer: exit 1, with the words of whoever refused; no password in it."""
    done = canary(town, tmp_path, "--timeout", "5", to=f"khong@{OUTSIDE}")
    assert done.returncode == 1
    assert b"no such user here" in done.stderr
    assert LOGIN[1].encode() not in done.stderr + done.stdout


def test_a_wrong_call(town: Town, tmp_path: Path) -> None:
    """Two places to read from, or none: exit 2, and nothing is sent."""
    done = canary(town, tmp_path, "--maildir", str(tmp_path))
    assert done.returncode == 2
    assert b"either --imap" in done.stderr


def judged(received: bytes) -> list[str]:
    """Return the codes of what is damaged."""
    trust = TrustAnchors((Certificate.load(authority().root),), (), ())
    found = survival(SENT, received, trust=trust, revocation=Revocation.OFF, at=NOW + dt.timedelta(minutes=1))
    assert found.whole is (not found.damages)
    return [each.code for each in found.damages]


def test_signing_alone_is_no_damage() -> None:
    """What signing moves, encodes and adds is what was wanted."""
    assert judged(ARRIVED) == []


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ((b"Subject: ", b"Subject: [EXTERN] "), ["field subject"]),
        ((b"X-Canary: 01", b"X-Canary: 11"), ["field x-canary"]),
    ],
    ids=["subject", "other field"],
)
def test_fields_outside_the_signature_are_compared(change: tuple[bytes, bytes], codes: list[str]) -> None:
    """A subject with "[EXTERN]" in front verifies, and is not what was sent."""
    changed = ARRIVED.replace(*change)
    assert changed != ARRIVED
    assert judged(changed) == codes


def test_a_footer_breaks_the_signature_and_is_named() -> None:
    """A disclaimer in the signed part, or beside it, is told apart from a changed field."""
    inside = ARRIVED.replace(b"\r\nFrom =C4=91", b"\r\n-- Mien tru trach nhiem\r\nFrom =C4=91").replace(
        b"text/html", b"text/htmk"
    )
    assert judged(inside)[0] == "signature"
    assert any(code.startswith("part") for code in judged(inside))


def test_a_missing_part_is_named() -> None:
    """A part that somebody took out."""
    (line,) = {each for each in ARRIVED.split(b"\r\n") if each == b"--=_canary-0123456789abcdef"}
    pieces = ARRIVED.split(line + b"\r\n")
    assert judged((line + b"\r\n").join((*pieces[:2], *pieces[3:])))[:2] == ["signature", "parts"]
