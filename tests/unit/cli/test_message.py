"""`gateway sign` and `gateway verify`: exit codes, JSON, line ends, and what is never written."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.demo.authority import Authority, Credential, pem, shared_key
from support.letters import BINH, HEAD, LAN, PLAIN, clear, clear_entity, detached, mail, multipart, signed, text_part
from support.splitter import flipped, split

if TYPE_CHECKING:
    from click.testing import Result

GATEWAY: Final = Path(sys.executable).with_name("gateway")
RUNNER: Final = CliRunner()
PASSPHRASE: Final = b"only-for-tests"
PART: Final = text_part("Da co ket qua.")
FIELDS: Final = {
    "file", "verdict", "chain", "signature", "reason", "text", "signers", "covers_everything_shown", "headers_signed",
    "author", "covers", "broken", "notes", "attachments",
}  # fmt: skip
SIGNER_FIELDS: Final = {
    "subject", "issuer", "serial", "addresses", "agency", "claimed_signing_time", "algorithm", "fingerprint", "family",
    "timestamped_at",
}  # fmt: skip


@dataclass(frozen=True)
class Desk:
    """A directory with all files that a call names."""

    place: Path
    authority: Authority
    lan: Credential

    def write(self, name: str, octets: bytes, mode: int = 0o600) -> str:
        """Write a file and return its path."""
        (self.place / name).write_bytes(octets)
        (self.place / name).chmod(mode)
        return str(self.place / name)

    def verify(self, *arguments: str, given: bytes = b"", crls: bool = True) -> Result:
        """Run `gateway verify --json` with the authority's root and lists."""
        options = ["--json", "--trust", str(self.place / "root.pem")]
        if crls:
            options += ["--crls", str(self.place / "root.crl"), "--crls", str(self.place / "issuer.crl")]
        return RUNNER.invoke(build(["verify"]), ["verify", *options, *arguments], input=given)

    def sign(self, given: bytes = PLAIN, **options: str) -> Result:
        """Run `gateway sign` with the PKCS#12 file, or other options."""
        chosen = {"p12": f"{self.place}/lan.p12", "password_file": f"{self.place}/password"} | options
        arguments = [text for name, value in chosen.items() if value for text in (f"--{name.replace('_', '-')}", value)]
        return RUNNER.invoke(build(["sign"]), ["sign", *arguments], input=given)


def objects(result: Result) -> list[dict[str, Any]]:
    """Return the JSON objects, one per line."""
    return [json.loads(line) for line in result.stdout_bytes.splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk with root, lists, key and passphrase of today."""
    authority = Authority(dt.datetime.now(dt.UTC), family=5)
    lan = authority.issue("Hoàng Thị Lan", LAN, key=shared_key("p256", 70))
    found = Desk(tmp_path, authority, lan)
    found.write("root.pem", pem(authority.root), 0o644)
    for name, octets in zip(("root.crl", "issuer.crl"), authority.revocation_lists(), strict=True):
        found.write(name, octets, 0o644)
    found.write("lan.p12", lan.pkcs12(PASSPHRASE))
    found.write("password", PASSPHRASE + b"\n")
    return found


# --- verify ---------------------------------------------------------------------------------------------------------


def test_a_verified_message_is_said_in_full(desk: Desk) -> None:
    """Programs find every field, and exit code 0 means that all files are verified."""
    file = desk.write("good.eml", clear(PART, desk.lan))
    result = desk.verify(file)
    (found,) = objects(result)
    assert result.exit_code == 0
    assert set(found) == FIELDS
    assert (found["file"], found["verdict"], found["chain"], found["signature"]) == (file, "verified", "valid", "valid")
    assert found["covers_everything_shown"] is True
    assert found["headers_signed"] is False
    assert found["author"] == LAN
    assert (found["covers"], found["broken"], found["notes"]) == ("all", [], [])
    assert "Đã xác thực" in found["text"]["vi"]
    assert found["text"]["en"]
    (signer,) = found["signers"]
    assert set(signer) == SIGNER_FIELDS
    assert signer["addresses"] == [LAN]
    assert signer["subject"].endswith("CN=Hoàng Thị Lan")
    assert signer["issuer"].endswith("CN=CA phục vụ các cơ quan Nhà nước G2")
    assert signer["algorithm"] == "P-256 ECDSA SHA-256"
    assert signer["agency"] is None
    assert dt.datetime.fromisoformat(signer["claimed_signing_time"]).tzinfo is not None


def test_one_file_that_is_not_verified_makes_the_exit_code_one(desk: Desk) -> None:
    """Every file is judged, each has its object in the order given, and one bad file is enough."""
    good = clear(PART, desk.lan)
    names = [
        desk.write("good.eml", good),
        desk.write("broken.eml", flipped(good, good.index(b"ket qua"))),
        desk.write("plain.eml", PLAIN),
        desk.write("other.eml", good.replace(LAN.encode(), BINH.encode())),
        desk.write("part.eml", mail(multipart("mixed", clear_entity(PART, detached(PART, desk.lan)), text_part("x")))),
        desk.write("empty.eml", b""),
    ]
    result = desk.verify(*names)
    assert [each["file"] for each in objects(result)] == names
    verdicts = [each["verdict"] for each in objects(result)]
    assert verdicts == ["verified", "invalid", "unsigned", "signer_mismatch", "partial", "unsigned"]
    assert result.exit_code == 1


def test_a_file_that_is_not_there_is_said_and_the_others_are_judged(desk: Desk) -> None:
    """Exit code 2, an object for each name all the same, and the reason on standard error."""
    good = desk.write("good.eml", clear(PART, desk.lan))
    result = desk.verify(str(desk.place / "absent"), str(desk.place), good)
    assert result.exit_code == 2
    assert [each["verdict"] for each in objects(result)] == ["unreadable", "unreadable", "verified"]
    assert "absent: No such file" in result.stderr
    assert "Is a directory" in result.stderr


def test_without_revocation_data_nothing_is_verified_and_the_text_says_what_to_give(desk: Desk) -> None:
    """The default is hard, as in the settings: whoever has no list is told of --crls and --revocation."""
    file = desk.write("good.eml", clear(PART, desk.lan))
    result = desk.verify(file, crls=False)
    (found,) = objects(result)
    assert (found["verdict"], found["reason"], found["chain"]) == (
        "indeterminate",
        "no_revocation_data",
        "indeterminate",
    )
    assert "--crls" in found["text"]["vi"]
    assert "--crls" in found["text"]["en"]
    assert result.exit_code == 1
    for mode in ("soft", "off"):
        assert desk.verify("--revocation", mode, file, crls=False).exit_code == 0


def test_a_revoked_certificate_is_not_trusted(desk: Desk) -> None:
    """What a list given by --crls says counts; PEM lists are read as well."""
    root, issuer = desk.authority.revocation_lists([desk.lan.certificate])
    pems = subprocess.run(
        ["openssl", "crl", "-inform", "DER"], input=issuer, capture_output=True, check=True, timeout=30
    ).stdout
    lists = ("--crls", desk.write("r.crl", root), "--crls", desk.write("i.crl", pems))
    result = desk.verify(*lists, desk.write("good.eml", clear(PART, desk.lan)), crls=False)
    assert [(each["verdict"], each["reason"], each["signature"]) for each in objects(result)] == [
        ("not_trusted", "revoked", "valid")
    ]


def test_standard_input_is_a_file_named_by_a_hyphen(desk: Desk) -> None:
    """A message comes by a pipe; twice it cannot come."""
    good = clear(PART, desk.lan)
    assert desk.verify("-", given=good).exit_code == 0
    assert [each["file"] for each in objects(desk.verify("-", given=good))] == ["-"]
    assert desk.verify("-", "-", given=good).exit_code == 2


def test_a_named_pipe_is_read_to_its_end(desk: Desk) -> None:
    """A pipe has no size: it must not look like an empty, unsigned message."""
    pipe = str(desk.place / "pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=Path(pipe).write_bytes, args=(clear(PART, desk.lan),))
    writer.start()
    result = desk.verify(pipe)
    writer.join()
    assert result.exit_code == 0


def test_line_ends_are_read_as_on_the_wire_only_where_nothing_is_mixed(desk: Desk) -> None:
    """An all-LF file is what mail stores make of CRLF; one stray LF is somebody's doing and is judged as it is."""
    good = clear(PART, desk.lan)
    stored = good.replace(b"\r\n", b"\n")
    position = good.index(b"Da co")
    mixed = good[: position - 2] + b"\n" + good[position:]
    result = desk.verify(desk.write("stored.eml", stored), desk.write("mixed.eml", mixed))
    assert [each["verdict"] for each in objects(result)] == ["verified", "invalid"]
    assert desk.verify("-", given=stored).exit_code == 0


def test_the_time_to_judge_at_is_an_option(desk: Desk) -> None:
    """Before its first day and after its last the certificate is not trusted; without an offset a time is UTC."""
    file = desk.write("good.eml", clear(PART, desk.lan))
    early, late = (desk.authority.now + years * dt.timedelta(days=365) for years in (-1, 10))
    for at, reason in ((f"{early:%Y-%m-%d}", "not_yet_valid"), (f"{late:%Y-%m-%d}T00:00:00+07:00", "expired")):
        (found,) = objects(desk.verify("--at", at, "--revocation", "off", file, crls=False))
        assert (found["verdict"], found["reason"]) == ("not_trusted", reason)


def test_wrong_calls_name_every_mistake_and_exit_two(desk: Desk) -> None:
    """An administrator mends a long call in one round."""
    message = desk.write("good.eml", clear(PART, desk.lan))
    junk = desk.write("junk", b"junk")
    result = desk.verify("--at", "today", "--trust", junk, "--crls", f"{desk.place}/none", message)
    assert result.exit_code == 2
    assert result.stdout == ""
    for text in ("--at today", f"{junk}: ", "/none: cannot be read: No such file"):
        assert text in result.stderr
    assert RUNNER.invoke(build(["verify"]), ["verify"]).exit_code == 2
    assert desk.verify("--revocation", "maybe", message).exit_code == 2


def test_the_configuration_gives_trust_lists_and_agencies(desk: Desk) -> None:
    """`--config` judges as the running gateway would."""
    config = configuration(desk, keys=())
    file = desk.write("good.eml", clear(PART, desk.lan))
    result = RUNNER.invoke(build(["verify"]), ["verify", "--json", "--config", config, file])
    assert result.exit_code == 0, result.stderr
    (found,) = objects(result)
    assert found["signers"][0]["agency"] == "Sở Y tế Sông Lam"


def test_hostile_names_do_nothing_to_a_terminal(desk: Desk) -> None:
    """The report for people shows control and direction characters as escapes, of certificates and of files' names."""
    evil = desk.authority.issue("\x1b]0;x\x07\u202egnal", LAN, key=shared_key("p256", 71))
    file = desk.write("a\x1b[2Jb.eml", clear(PART, evil))
    arguments = ["verify", "--trust", f"{desk.place}/root.pem", "--revocation", "off", file, f"{desk.place}/\x1b[2Jno"]
    result = RUNNER.invoke(build(["verify"]), arguments)
    text = result.stdout + result.stderr
    assert "verified (verified)" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_what_the_argument_calls_unsafe_is_not_green_by_the_command(desk: Desk) -> None:
    """A message with two authors is signed well and still not verified."""
    twice = b"From: Sep <sep@songlam.example>\r\n" + clear(PART, desk.lan)
    result = desk.verify(desk.write("twice.eml", twice))
    assert objects(result)[0]["verdict"] != "verified"
    assert result.exit_code == 1


# --- sign -----------------------------------------------------------------------------------------------------------


def configuration(desk: Desk, *, keys: tuple[str, ...]) -> str:
    """Write a small gateway configuration and return its path."""
    agencies = '  - {id: a1, name: "Sở Y tế Sông Lam", mailboxes: [' + LAN + "]}"
    desk.write("agencies.yaml", f"agencies:\n{agencies}\n".encode())
    desk.write(
        "gateway.yaml",
        f"""
hostname: mail.songlam.example
listeners:
  - {{name: in, kind: inbound, address: "127.0.0.1:2525"}}
hops:
  - {{name: store, protocol: maildir, directory: store}}
local_domains:
  - {{domain: songlam.example, hop: store, recipients: any}}
spool: {{directory: spool}}
policies: policies
agencies: agencies.yaml
keys: [{", ".join(keys)}]
trust: {{anchors: [root.pem], crls: [root.crl, issuer.crl]}}
tags: {{authserv_id: mail.songlam.example}}
""".encode(),
    )
    return str(desk.place / "gateway.yaml")


def test_what_is_signed_verifies(desk: Desk) -> None:
    """The round trip: an 8-bit message of an LF file comes out canonical, signed, and verified."""
    result = desk.sign(PLAIN.replace(b"\r\n", b"\n"))
    assert result.exit_code == 0, result.stderr
    octets = result.stdout_bytes
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert octets.isascii()
    split(octets)
    assert desk.verify("-", given=octets).exit_code == 0


def test_a_key_of_the_configuration_signs_by_its_label(desk: Desk) -> None:
    """`--key` takes scheme and digest of the configuration; other keys' files are not even opened."""
    rsa = desk.authority.issue("Hoàng Thị Lan", LAN, key=shared_key("rsa2048", 70))
    desk.write("rsa.p12", rsa.pkcs12(PASSPHRASE))
    keys = (
        f'{{label: lan-pss, kind: personal, pkcs12: rsa.p12, passphrase: "file:{desk.place}/password", scheme: pss}}',
        f'{{label: broken, kind: personal, pkcs12: none.p12, passphrase: "file:{desk.place}/none"}}',
    )
    config = configuration(desk, keys=keys)
    result = desk.sign(key="lan-pss", config=config, p12="", password_file="")
    assert result.exit_code == 0, result.stderr
    (found,) = objects(desk.verify("-", given=result.stdout_bytes))
    assert found["signers"][0]["algorithm"] == "RSA-2048 PSS SHA-256"
    for label in ("broken", "nobody"):
        result = desk.sign(key=label, config=config, p12="", password_file="")
        assert (result.exit_code, result.stdout_bytes) == (2, b"")
        assert label in result.stderr


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (PLAIN.replace(LAN.encode(), BINH.encode()), "the key's certificate names"),
        (b"From: a@b.example, c@d.example\r\n\r\nx\r\n", "From is not one mailbox"),
        (b"Subject: x\r\n\r\nx\r\n", "From is not one mailbox"),
        (HEAD + b"\r\none\r\ntwo\nthree\r\n", "other line ends"),
        (HEAD + b"\r\none\rtwo\r\n", "other line ends"),
        (HEAD + b"\r\none\x00two\r\n", "other line ends"),
        (HEAD + b"\r\n" + b"x" * 262_143 + b"\r\n\n", "other line ends"),
        (HEAD + b"\r\nhet\r", "other line ends"),
        (b"", "From is not one mailbox"),
    ],
)
def test_what_must_not_be_signed_is_refused_with_the_reason(message: bytes, words: str, desk: Desk) -> None:
    """Not by this key, not without one author, not what a transport would change: exit code 1, nothing written."""
    result = desk.sign(message)
    assert (result.exit_code, result.stdout_bytes) == (1, b"")
    assert words in result.stderr


def test_what_is_signed_already_is_left_alone(desk: Desk) -> None:
    """A second signature around somebody's own is not this command's to make."""
    result = desk.sign(clear(PART, desk.lan))
    assert (result.exit_code, result.stdout_bytes) == (1, b"")
    assert "already_" in result.stderr


def test_line_ends_across_a_window_are_not_taken_for_strays(desk: Desk) -> None:
    """CR and LF that fall into two blocks of reading are still one line end."""
    start = len(HEAD) + 2
    for shift in range(3):
        body = b"x" * (262_144 - start - shift) + b"\r\nhet\r\n"
        assert desk.sign(HEAD + b"\r\n" + body).exit_code == 0


@pytest.mark.parametrize(
    "options",
    [
        {"p12": "", "password_file": ""},
        {"password_file": ""},
        {"key": "lan"},
        {"p12": "", "key": "lan"},
        {"p12": "", "key": "lan", "password_file": ""},
    ],
)
def test_a_call_names_one_key_in_one_way(options: dict[str, str], desk: Desk) -> None:
    """No default chooses a key, and a passphrase never comes as an argument."""
    result = desk.sign(**options)
    assert (result.exit_code, result.stdout_bytes) == (2, b"")


def test_a_key_that_is_out_of_date_is_an_error_here(desk: Desk) -> None:
    """It is the only key of the call: the gateway's own start only reports it."""
    now = dt.datetime.now(dt.UTC)
    late = desk.authority.issue(
        "Lan", LAN, key=desk.lan.key, not_before=now - dt.timedelta(days=9), not_after=now - dt.timedelta(days=1)
    )
    result = desk.sign(p12=desk.write("late.p12", late.pkcs12(PASSPHRASE)))
    assert (result.exit_code, result.stdout_bytes) == (2, b"")
    assert "late.p12: may not sign: its certificate expired on" in result.stderr


def test_secrets_and_keys_that_others_can_read_are_refused(desk: Desk) -> None:
    """All mistakes come at once, and none of them shows the passphrase."""
    desk.write("password", PASSPHRASE, 0o644)
    desk.write("lan.p12", desk.lan.pkcs12(PASSPHRASE), 0o640)
    result = desk.sign()
    assert (result.exit_code, result.stdout_bytes) == (2, b"")
    assert result.stderr.count("run: chmod 600") == 2
    desk.write("password", b"wrong-pass")
    desk.write("lan.p12", desk.lan.pkcs12(PASSPHRASE))
    result = desk.sign()
    assert "passphrase is wrong" in result.stderr
    assert "wrong-pass" not in result.stderr


# --- the real program -----------------------------------------------------------------------------------------------


def test_the_program_itself_signs_and_verifies(desk: Desk) -> None:
    """The installed `gateway`, with pipes: standard output holds the message and nothing else."""
    signing = subprocess.run(
        [GATEWAY, "sign", "--p12", desk.place / "lan.p12", "--password-file", desk.place / "password"],
        input=PLAIN,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (signing.returncode, signing.stderr) == (0, b"")
    assert signing.stdout.startswith(b"From: ")
    verifying = subprocess.run(
        [GATEWAY, "verify", "--trust", desk.place / "root.pem", "--revocation", "off", "-"],
        input=signing.stdout,
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    assert (verifying.returncode, verifying.stderr) == (0, b"")
    assert "Đã xác thực" in verifying.stdout.decode()


def test_a_reader_that_goes_away_is_no_success(desk: Desk) -> None:
    """Half a message on a full disk or a broken pipe ends with exit code 1."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [GATEWAY, "sign", "--p12", desk.place / "lan.p12", "--password-file", desk.place / "password"],
            input=PLAIN,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert b"cannot be written as a whole" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_gateway_signs_what_the_command_signs(desk: Desk) -> None:
    """Command and gateway share what makes the message: the same header fields, in the same order."""
    names = [
        [line.partition(b":")[0] for line in octets.partition(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] not in b" \t"]
        for octets in (desk.sign().stdout_bytes, signed(PLAIN, desk.lan))
    ]
    assert names[0] == names[1]
