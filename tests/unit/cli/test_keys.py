"""`gateway keys`: what administrators see of keys, and the switch; no gateway runs."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.demo.authority import Authority, pem, shared_key
from gateway.keys.suspensions import read_suspensions

if TYPE_CHECKING:
    from click.testing import Result

GATEWAY: Final = Path(sys.executable).with_name("gateway")
RUNNER: Final = CliRunner()
DAY: Final = dt.timedelta(days=1)
PASSPHRASE: Final = b"chi-de-thu"
SPANS: Final = {"lan": (-10, 400), "soyte": (-10, 60), "cu": (-400, -2)}
"""Label -> in how many days its certificate begins and ends."""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a directory with a configuration, three keys, trust and lists."""
    now = dt.datetime.now(dt.UTC)
    ca = Authority(now)
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    (tmp_path / "spool").mkdir(mode=0o700)
    keys = []
    for number, (label, (begin, end)) in enumerate(SPANS.items()):
        credential = ca.issue(
            f"Người \x1b[31m{label}",
            f"{label}@songlam.example",
            key=shared_key("p256", 80 + number),
            not_before=now + begin * DAY,
            not_after=now + end * DAY,
        )
        (tmp_path / f"{label}.key").write_bytes(credential.key_pem(PASSPHRASE))
        (tmp_path / f"{label}.pem").write_bytes(credential.chain_pem())
        keys.append(
            {
                "label": label,
                "kind": "organization" if label == "soyte" else "personal",
                "key": f"{label}.key",
                "certificate": f"{label}.pem",
                "passphrase": f"file:{tmp_path}/passphrase",
            }
        )
        leaf = credential.certificate
        for name, octets in zip(("root", "issuer"), ca.revocation_lists([leaf]), strict=True):
            (tmp_path / f"{label}-{name}.crl").write_bytes(octets)
    for name, octets in zip(("root.crl", "issuer.crl"), ca.revocation_lists(), strict=True):
        (tmp_path / name).write_bytes(octets)
    (tmp_path / "root.pem").write_bytes(pem(ca.root))
    for each in tmp_path.glob("*"):
        each.chmod(0o700 if each.is_dir() else 0o600)
    document = {
        "hostname": "mail.songlam.example",
        "listeners": [{"name": "vao", "kind": "inbound", "address": "127.0.0.1:0"}],
        "hops": [{"name": "kho", "protocol": "maildir", "directory": "kho"}],
        "local_domains": [{"domain": "songlam.example", "hop": "kho", "recipients": "any"}],
        "spool": {"directory": "spool"},
        "policies": "policies",
        "keys": keys,
        "trust": {"anchors": ["root.pem"], "crls": ["root.crl", "issuer.crl"]},
        "tags": {"authserv_id": "mail.songlam.example"},
    }
    (tmp_path / "gateway.yaml").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


def run(house: Path, command: str, *arguments: str) -> Result:
    """Run one command of the group."""
    return RUNNER.invoke(build([f"keys {command}"]), ["keys", command, *arguments, "--config", f"{house}/gateway.yaml"])


def states(house: Path) -> dict[str, str]:
    """Return every key's state, in the order of the list."""
    listed = json.loads(run(house, "list", "--json").stdout)
    return {each["label"]: each["state"] for each in listed["keys"]}


def change(house: Path, **more: Any) -> None:
    """Change settings."""
    document = json.loads((house / "gateway.yaml").read_text(encoding="utf-8"))
    (house / "gateway.yaml").write_text(json.dumps({**document, **more}), encoding="utf-8")


def test_the_list_says_for_whom_until_when_and_whether(house: Path) -> None:
    """Every key of the settings is a row, in their order; for programs everything by name."""
    result = run(house, "list", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["fault"] is None
    lan, soyte, cu = found["keys"]
    assert (lan["state"], soyte["state"], cu["state"]) == ("in_use", "in_use", "expired")
    assert (lan["days_left"], soyte["days_left"], cu["days_left"]) == (399, 59, -3)
    assert (soyte["kind"], soyte["addresses"], soyte["algorithm"]) == (
        "organization", ["soyte@songlam.example"], "P-256",
    )  # fmt: skip
    assert (lan["scheme"], lan["digest"], lan["suspension"]) == ("ecdsa", "sha256", None)
    assert len(lan["fingerprint"]) == 64
    assert dt.datetime.fromisoformat(lan["not_after"]).tzinfo is not None


def test_the_table_can_begin_with_what_ends_first(house: Path) -> None:
    """What must be renewed stands on top; certificates cannot color a terminal by their names."""
    text = run(house, "list", "--by-expiry").stdout
    assert text.index("cu@") < text.index("soyte@") < text.index("lan@")
    assert "hết hạn / expired" in text
    assert "đang dùng / in use" in text
    assert "\x1b" not in text
    assert "\\u001b[31mlan" in text


def test_one_key_is_shown_whole(house: Path) -> None:
    """All that is known of a key, no line wider than 80 columns, and nothing of its private half."""
    run(house, "suspend", "lan", "--reason", "mất thẻ")
    text = run(house, "show", "lan").stdout
    for each in ("suspended", "SHA-256", "lan@songlam.example", "mất thẻ", getpass.getuser(), "CA phục vụ"):
        assert each in text
    assert max(map(len, text.splitlines())) <= 80
    assert json.loads(run(house, "show", "lan", "--json").stdout)["suspension"]["reason"] == "mất thẻ"
    assert "PRIVATE" not in text
    assert PASSPHRASE.decode() not in text


def test_suspend_and_resume(house: Path) -> None:
    """Who, when and why are kept; the other keys go on."""
    assert run(house, "suspend", "lan", "--reason", "mất thẻ").exit_code == 0
    assert states(house) == {"lan": "suspended", "soyte": "in_use", "cu": "expired"}
    found = read_suspensions(house / "spool/keys-state.jsonl")["lan"]
    assert (found.who, found.reason) == (getpass.getuser(), "mất thẻ")
    assert abs(dt.datetime.fromisoformat(found.at) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    assert run(house, "resume", "lan", "--reason", "tìm thấy").exit_code == 0
    assert states(house)["lan"] == "in_use"


def test_programs_hear_what_the_switch_says(house: Path) -> None:
    """One JSON object, the line as the switch's file keeps it; what was refused is none."""
    for action in ("suspend", "resume"):
        result = run(house, action, "lan", "--reason", "mất thẻ", "--json")
        assert result.exit_code == 0
        said = json.loads(result.stdout)
        assert (said["label"], said["action"], said["reason"]) == ("lan", action, "mất thẻ")
        assert said == json.loads((house / "spool/keys-state.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    refused = run(house, "resume", "lan", "--reason", "mất thẻ", "--json")
    assert (refused.exit_code, refused.stdout) == (1, "")


def test_the_file_stands_where_the_settings_say(house: Path) -> None:
    """It may live outside of the spool."""
    change(house, keys_state="switch.jsonl")
    assert run(house, "suspend", "lan", "--reason", "thử").exit_code == 0
    assert read_suspensions(house / "switch.jsonl").keys() == {"lan"}
    assert states(house)["lan"] == "suspended"


def test_calls_that_make_no_sense(house: Path) -> None:
    """A label that nobody has, a resumption of what is not suspended, a reason of two lines, a missing file."""
    assert run(house, "suspend", "ai", "--reason", "thử").exit_code == 2
    assert run(house, "show", "ai").exit_code == 2
    assert run(house, "resume", "lan", "--reason", "thử").exit_code == 1
    assert run(house, "suspend", "lan", "--reason", "a\nb").exit_code == 2
    assert run(house, "suspend", "lan").exit_code == 2
    (house / "root.crl").unlink()
    assert run(house, "list").exit_code == 2
    assert not (house / "spool/keys-state.jsonl").exists()


def test_a_switch_is_thrown_while_a_list_or_a_key_is_broken(house: Path) -> None:
    """To stop a key nothing but the settings and the switch's own file is needed."""
    (house / "root.crl").unlink()
    (house / "lan.key").write_bytes(b"x")
    assert run(house, "suspend", "lan", "--reason", "thử").exit_code == 0


def test_a_damaged_switch_is_told_of(house: Path) -> None:
    """Every key is suspended then, nothing is added to the file, and the exit code is not 0."""
    run(house, "suspend", "lan", "--reason", "thử")
    file = house / "spool/keys-state.jsonl"
    damaged = file.read_bytes()[:-1]
    file.write_bytes(damaged)
    result = run(house, "list", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert {each["state"] for each in found["keys"]} == {"suspended", "expired"}
    assert found["fault"].endswith("its last line is cut off")
    assert run(house, "suspend", "soyte", "--reason", "thử").exit_code == 2
    assert run(house, "resume", "lan", "--reason", "thử").exit_code == 2
    assert file.read_bytes() == damaged


def test_a_key_that_cannot_be_opened_is_still_a_row(house: Path) -> None:
    """With its passphrase out of reach a key is shown by its certificate; the others are not hidden by it."""
    (house / "lan.key").chmod(0o644)
    result = run(house, "list", "--json")
    assert result.exit_code == 1
    lan, soyte, _ = json.loads(result.stdout)["keys"]
    assert (lan["state"], lan["days_left"], lan["scheme"]) == ("unreadable", 399, None)
    assert "chmod 600" in lan["mistakes"][0]
    assert soyte["state"] == "in_use"
    assert run(house, "show", "lan").exit_code == 1
    assert run(house, "show", "soyte").exit_code == 0


@pytest.mark.parametrize(
    ("demand", "lists", "expected"),
    [
        ("soft", ["lan-root.crl", "lan-issuer.crl"], "revoked"),
        ("hard", ["root.crl", "issuer.crl"], "in_use"),
        ("hard", ["root.crl"], "no_revocation_data"),
        ("soft", ["root.crl"], "in_use"),
        ("off", ["lan-root.crl", "lan-issuer.crl"], "in_use"),
    ],
)
def test_revocation_is_shown_as_the_gateway_will_ask(demand: str, lists: list[str], expected: str, house: Path) -> None:
    """The list says what the running gateway will say, by the same settings."""
    change(house, keys_revocation=demand, trust={"anchors": ["root.pem"], "crls": lists})
    assert states(house)["lan"] == expected


def test_a_key_on_the_command_line_is_asked_too(house: Path) -> None:
    """`gateway sign --key` is no way round the switch."""
    message = b"From: lan@songlam.example\r\nTo: a@songlam.example\r\nSubject: x\r\n\r\nx\r\n"
    run(house, "suspend", "lan", "--reason", "mất thẻ")
    done = subprocess.run(
        [GATEWAY, "sign", "--key", "lan", "--config", house / "gateway.yaml"],
        input=message, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert b"suspended by" in done.stderr
    assert done.stdout == b""


def test_the_commands_load_no_mail_server() -> None:
    """The switch must work while something else of the gateway does not."""
    script = "import sys, gateway.cli.keys; print([m for m in sys.modules if m in ('gateway.smtp', 'gateway.app')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
