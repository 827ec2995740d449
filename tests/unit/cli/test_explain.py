"""`gateway explain`: the argument about one message, for people in one language and for programs in both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from typer.testing import CliRunner

from gateway.cli import build
from gateway.demo.authority import Credential, pem, shared_key
from gateway.pki.certificate import Certificate
from gateway.smime.argument import ARGUMENT
from support.answers import ocsp_answer
from support.forger import Forger
from support.letters import (
    HEAD,
    LAN,
    NOW,
    PLAIN,
    authority,
    binh,
    clear,
    clear_entity,
    detached,
    lan,
    mail,
    multipart,
    text_part,
)
from support.signed_files import file_part, pdf
from support.tree import root

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

PART = text_part("Da co ket qua.")
PROTECTED = HEAD.rstrip(b"\r\n") + b'\r\nContent-Type: text/plain; hp="clear"\r\n\r\nx\r\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with the root that every letter here leads to."""
    (tmp_path / "root.pem").write_bytes(pem(authority().root))
    return tmp_path


def run(command: str, place: Path, message: bytes | None, *arguments: str, revocation: str = "off") -> Result:
    """Run a command on a message, judged at the time of all letters."""
    file = place / "letter.eml"
    if message is not None:
        file.write_bytes(message)
    options = ["--trust", str(place / "root.pem"), "--at", NOW.isoformat(), "--revocation", revocation]
    return CliRunner().invoke(build([command]), [command, str(file), *options, *arguments])


def told(place: Path, message: bytes) -> dict[str, Any]:
    """Return the JSON object for a message."""
    found: dict[str, Any] = json.loads(run("explain", place, message, "--json").stdout)
    return found


def held(found: dict[str, Any]) -> dict[int, str]:
    return {each["number"]: each["held"] for each in found["steps"]}


def test_a_verified_message_holds_everywhere(place: Path) -> None:
    """Every condition by its number, in Vietnamese unless asked otherwise; exit code 0 means verified."""
    result = run("explain", place, clear(PROTECTED, lan()))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("[ĐẠT]") == len(ARGUMENT)
    assert "Đã xác thực" in " ".join(result.stdout.split())
    assert "Because" not in result.stdout
    english = run("explain", place, None, "--lang", "en").stdout
    assert english.count("[HOLDS]") == len(ARGUMENT)
    assert "ĐẠT" not in english
    assert run("explain", place, None, "--lang", "fr").exit_code == 2


def test_what_is_broken_is_said_with_its_reason(place: Path) -> None:
    """The condition that does not hold, what was found, and why it matters; exit code 1."""
    result = run("explain", place, clear(PART, binh()))
    text = " ".join(result.stdout.split())
    assert result.exit_code == 1
    assert "14. [KHÔNG ĐẠT]" in text
    assert "-> Địa chỉ người gửi không có trong chứng thư của người ký. (signer_is_not_author)" in text
    assert f"Vì sao: {ARGUMENT[13].because_vi}" in text
    assert "CN=RootCA chuyên dùng Chính phủ G2" in text
    assert "signer_mismatch (signer_is_not_author), smime=policy" in text


def test_what_was_not_asked_is_not_said_to_hold(place: Path) -> None:
    """An unsigned message has no signer whose certificate could hold."""
    found = told(place, PLAIN)
    assert held(found) == {1: "holds", 2: "broken"} | dict.fromkeys(range(3, 18), "not_asked")
    assert run("explain", place, None).exit_code == 1
    assert found["paths"] == []


def test_programs_find_both_languages_the_paths_and_what_verify_says(place: Path) -> None:
    """One object: that of `gateway verify --json`, the steps, and each path that was asked about."""
    message = b"Reply-To: a@x.example\r\n" + clear(PROTECTED, lan())
    found = told(place, message)
    verified = json.loads(run("verify", place, None, "--json").stdout)
    assert {key: found[key] for key in verified} == verified
    assert (found["verdict"], found["reason"], found["covers"]) == ("verified_lesser", "headers_changed", "all")
    assert found["broken"] == [{"condition": 16, "reason": "headers_changed"}]
    assert [each["code"] for each in found["notes"]] == ["headers_changed", "reply_to_elsewhere"]
    assert all(each["text"]["vi"] and each["text"]["en"] for each in found["notes"])
    (step,) = (each for each in found["steps"] if each["held"] == "broken")
    assert [each["code"] for each in step["reasons"]] == ["headers_changed"]
    assert step["must"]["vi"] != step["must"]["en"]
    assert found["excused_as"] == "headers_changed"
    assert "Được tính là mức thấp hơn: headers_changed" in run("explain", place, None).stdout
    (path,) = found["paths"]
    assert (path["state"], path["reason"], len(path["certificates"])) == ("valid", "valid", 3)


def test_a_lesser_state_is_not_verified(place: Path) -> None:
    """Exit code 0 is for verified mail only, of both commands."""
    message = b"Reply-To: a@x.example\r\n" + clear(PROTECTED, lan())
    assert run("explain", place, message).exit_code == 1
    assert run("verify", place, None).exit_code == 1


def test_missing_revocation_data_is_one_broken_condition(place: Path) -> None:
    """With everything else in order the report shows the one thing that is missing."""
    result = run("explain", place, clear(PART, lan()), "--json", revocation="hard")
    states = held(json.loads(result.stdout))
    assert [number for number, state in states.items() if state == "broken"] == [12]
    assert states[17] == "not_asked"


def test_hostile_words_do_nothing_to_a_terminal(place: Path) -> None:
    """Names, notes and reasons come from strangers: controls and direction characters are shown, not obeyed."""
    evil = authority().issue("\x1b]0;x\x07\u202egnal", LAN, key=shared_key("p256", 71))
    inner = clear_entity(PART, detached(PART, evil), boundary="in")
    head = f'From: "\u202eb@x.example" <{LAN}>\r\nReply-To: "x" <\u202ea@x.example>\r\n'.encode()
    result = run("explain", place, clear(inner, evil, head=head))
    assert "nested" not in result.stdout
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert run("verify", place, None).stdout.count("\u202e") == 0


def test_wrong_calls_exit_two(place: Path) -> None:
    """A file that is not there, or a root that is none, is the caller's mistake and no verdict."""
    assert run("explain", place, None).exit_code == 2
    (place / "root.pem").write_bytes(b"junk")
    result = run("explain", place, PLAIN)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_answers_of_responders_count_as_lists_do(place: Path) -> None:
    """Where every certificate below the anchor has a fresh answer, the strict setting is satisfied without lists."""
    top = root()
    node = top.issue("Lan", extensions=[x509.SubjectAlternativeName([x509.RFC822Name(LAN)])])
    (place / "root.pem").write_bytes(pem(top.certificate.der))
    (place / "lan.ocsp").write_bytes(ocsp_answer(node.certificate, issuer=top))
    message = clear(PART, Credential(node.key, node.certificate.der, ()))
    for command in ("verify", "explain"):
        assert run(command, place, message, "--ocsp", str(place / "lan.ocsp"), revocation="hard").exit_code == 0
        assert run(command, place, None, revocation="hard").exit_code == 1
        assert run(command, place, None, "--ocsp", str(place / "none"), revocation="hard").exit_code == 2


CONFIG = """
hostname: mail.songlam.example
listeners:
  - {name: in, kind: inbound, address: "127.0.0.1:2525"}
hops:
  - {name: store, protocol: maildir, directory: store}
local_domains:
  - {domain: songlam.example, hop: store, recipients: any}
spool: {directory: spool}
policies: policies
agencies: agencies.yaml
trust: {anchors: [root.pem], revocation: "off"}
verify: {same_agency: SAME_AGENCY}
tags: {authserv_id: mail.songlam.example}
"""
AGENCIES = """
agencies:
  - {id: so-y-te, name: "Sở Y tế Sông Lam", domains: ["@soyte.songlam.example"]}
"""


@pytest.mark.parametrize(("setting", "verdict"), [("lesser", "verified_lesser"), ("mismatch", "signer_mismatch")])
def test_the_configuration_says_what_is_excused(place: Path, setting: str, verdict: str) -> None:
    """Registry and settings of a gateway decide on lesser states here as they do there, and imitations are noted."""
    (place / "agencies.yaml").write_text(AGENCIES, encoding="utf-8")
    (place / "gateway.yaml").write_text(CONFIG.replace("SAME_AGENCY", setting), encoding="utf-8")
    office = authority().issue("Văn thư", "van.thu@soyte.songlam.example", key=shared_key("p256", 73))
    arguments = ("--json", "--config", str(place / "gateway.yaml"))
    found = json.loads(run("explain", place, clear(PART, office), *arguments).stdout)
    assert found["verdict"] == verdict
    assert found["excused_as"] == ("same_agency" if setting == "lesser" else None)
    assert [each["agency"] for each in found["signers"]] == ["Sở Y tế Sông Lam"]
    imitation = PLAIN.replace(LAN.encode(), b"so.y.te@hopthu.example").replace(
        b"=?UTF-8?Q?Ho=C3=A0ng_Th=E1=BB=8B_Lan?=", b"So Y te Song Lam"
    )
    noted = json.loads(run("explain", place, imitation, *arguments).stdout)["notes"]
    assert "impersonation" in {each["code"] for each in noted}


def test_signed_file_is_told_apart(place: Path) -> None:
    """JSON and text tell whose signature a file bears; the unsigned message stays unsigned, its exit code too."""
    message = mail(multipart("mixed", text_part("Xin gui tep."), file_part("a.pdf", pdf(Forger(lan()).cms))))
    result = run("verify", place, message, "--json")
    found = json.loads(result.stdout)
    (each,) = found["attachments"]
    assert (each["name"], each["kind"], each["state"], each["reason"]) == ("a.pdf", "pdf", "valid", "valid")
    assert each["signer"]["fingerprint"] == Certificate.load(lan().certificate).fingerprint
    assert (found["verdict"], result.exit_code) == ("unsigned", run("verify", place, PLAIN, "--json").exit_code)
    for command in ("verify", "explain"):
        assert "không phải của thư" in " ".join(run(command, place, message).stdout.split())
