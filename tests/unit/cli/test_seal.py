"""`gateway seal`: what it says of a message's tags, and the keys it makes."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.core.verdict import ChainState, Judgment, SignatureState, Unsigned
from gateway.tagging import tag
from gateway.tagging.seal import Sealing, SealKeys

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

RUNNER = CliRunner()
MAI = Mailbox("mai", "congdan.example")
SETTINGS = """\
hostname: mail.songlam.example
listeners: [{name: in, kind: inbound, address: "127.0.0.1:2525"}]
hops: [{name: boxes, protocol: maildir, directory: mail}]
local_domains: [{domain: congdan.example, hop: boxes, recipients: any}]
spool: {directory: spool}
policies: policies
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration with a key made by the command itself."""
    key = run("seal", "key").stdout
    (tmp_path / "seal.key").write_text(key, encoding="ascii")
    (tmp_path / "seal.key").chmod(0o600)
    seals = f"tags:\n  authserv_id: mail.songlam.example\n  seals: [{{id: k1, key: 'file:{tmp_path}/seal.key'}}]\n"
    (tmp_path / "gateway.yaml").write_text(SETTINGS + seals, encoding="utf-8")
    return tmp_path / "gateway.yaml"


def run(*arguments: str) -> Result:
    return RUNNER.invoke(build(["seal check", "seal key"]), list(arguments))


def letter(config: Path, *, key_id: str = "k1") -> Path:
    """Return a file with a sealed message, with the line ends of a mail store."""
    secret = (config.parent / "seal.key").read_bytes().strip()
    octets = tag(
        Message.of(b"From: a@b.example\r\nSubject: Hop\r\n\r\nbody\r\n"),
        Judgment(Unsigned("no_signature"), ChainState.NONE, SignatureState.NONE, False, False, None),
        agency=None,
        authserv_id="mail.songlam.example",
        subject="on",
        received_at=dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
        seal=Sealing(
            SealKeys(((key_id, secret),)), (MAI,), dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "mail.songlam.example"
        ),
    ).octets()
    file = config.parent / "letter.eml"
    file.write_bytes(b"Return-Path: <a@b.example>\n" + octets.replace(b"\r\n", b"\n"))
    return file


def test_a_good_seal(config: Path) -> None:
    """A message as the mail store keeps it is known by its seal; exit code 0."""
    result = run("seal", "check", str(letter(config)), "--recipient", str(MAI), "--config", str(config))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Dấu niêm đúng")


def test_every_other_state_is_not_zero(config: Path) -> None:
    """Another recipient, an edit, no seal, a key that is gone: each is named, exit code 1."""
    file = letter(config)
    octets = file.read_bytes()
    told = [str(file), "--config", str(config), "--json"]

    def state(recipient: str = str(MAI)) -> str:
        result = run("seal", "check", *told, "--recipient", recipient)
        assert result.exit_code == 1
        found: str = json.loads(result.stdout)["seal"]
        return found

    assert state("lan@congdan.example") == "wrong_recipient"
    file.write_bytes(octets.replace(b"Subject: Hop", b"Subject: Tien"))
    assert state() == "bad"
    file.write_bytes(b"From: a@b.example\n\nbody\n")
    assert state() == "absent"
    letter(config, key_id="k2")
    assert state() == "unknown_key"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("LETTER", "--recipient", "nobody"), "not a mailbox"),
        (("no-such-file", "--recipient", str(MAI)), "cannot be read"),
    ],
)
def test_wrong_calls(config: Path, arguments: tuple[str, ...], said: str) -> None:
    """What is wrong with the call is said, exit code 2."""
    file = str(letter(config))
    given = [file if each == "LETTER" else each for each in arguments]
    result = run("seal", "check", *given, "--config", str(config))
    assert result.exit_code == 2
    assert said in result.stderr


def test_keys_that_cannot_seal(config: Path) -> None:
    """A key that is too short, and a configuration without any, are the administrator's to mend: exit code 2."""
    file = str(letter(config))
    (config.parent / "seal.key").write_text("short\n", encoding="ascii")
    result = run("seal", "check", file, "--recipient", str(MAI), "--config", str(config))
    assert result.exit_code == 2
    assert "tags.seals: a key for seals has at least 32 octets" in result.stderr
    config.write_text(f"{SETTINGS}tags: {{authserv_id: mail.songlam.example}}\n", encoding="utf-8")
    result = run("seal", "check", file, "--recipient", str(MAI), "--config", str(config))
    assert result.exit_code == 2
    assert "has no key" in result.stderr


def test_keys_are_never_the_same() -> None:
    """Each call makes another key, of 48 octets as 64 characters."""
    keys = {run("seal", "key").stdout for _ in range(3)}
    assert len(keys) == 3
    assert {len(each) for each in keys} == {65}
