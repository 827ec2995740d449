"""`gateway verify-path`: the path alone, for administrators who ask why a certificate is not trusted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from typer.testing import CliRunner

from gateway.cli import build, path
from gateway.core.verdict import ChainState
from gateway.demo.authority import pem, shared_key
from gateway.pki.certificate import Certificate
from gateway.pki.path import PathAnswer
from support.answers import ocsp_answer
from support.letters import LAN, NOW, authority, lan
from support.tree import Node

if TYPE_CHECKING:
    from click.testing import Result

GATEWAY: Final = Path(sys.executable).with_name("gateway")
RUNNER: Final = CliRunner()
AT: Final = ("--at", "2026-11-24T08:30:00+07:00")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with root, intermediate, lists and a leaf."""
    (tmp_path / "root.pem").write_bytes(pem(authority().root))
    (tmp_path / "issuer.der").write_bytes(authority().intermediate)
    (tmp_path / "leaf.pem").write_bytes(pem(lan("p256").certificate))
    for name, octets in zip(("root.crl", "issuer.crl"), authority().revocation_lists(), strict=True):
        (tmp_path / name).write_bytes(octets)
    return tmp_path


def run(place: Path, *arguments: str, leaf: str = "leaf.pem") -> Result:
    """Run the command with the root as anchor, at a fixed time unless one is given."""
    time = () if "--at" in arguments else AT
    given = ["--json", "--trust", f"{place}/root.pem", *time, *arguments, f"{place}/{leaf}"]
    if "--purpose" not in arguments:
        given = ["--purpose", "email", *given]
    return RUNNER.invoke(build(["verify-path"]), ["verify-path", *given])


def answer(result: Result) -> dict[str, Any]:
    """Return the one JSON object."""
    (line,) = result.stdout_bytes.splitlines()
    found = json.loads(line)
    assert set(found) == {"file", "chain", "reason", "text", "path", "until", "notes"}
    assert result.exit_code == (0 if found["chain"] == "valid" else 1)
    return dict(found)


def lists(place: Path) -> tuple[str, ...]:
    """Return the options that give both lists."""
    return "--crls", f"{place}/root.crl", "--crls", f"{place}/issuer.crl"


def test_the_path_found_is_said_anchor_first(place: Path) -> None:
    """Chain, reason and every certificate of the path, for programs."""
    found = answer(run(place, "--untrusted", f"{place}/issuer.der", *lists(place)))
    assert (found["chain"], found["reason"]) == ("valid", "valid")
    assert [each["subject"].rpartition("CN=")[2] for each in found["path"]] == [
        "RootCA chuyên dùng Chính phủ G2",
        "CA phục vụ các cơ quan Nhà nước G2",
        "Hoàng Thị Lan",
    ]
    assert found["path"][2]["addresses"] == [LAN]
    assert found["path"][2]["serial"] == f"{int(found['path'][2]['serial'], 16):X}"


def test_revocation_is_hard_by_default(place: Path) -> None:
    """Without lists nothing is valid unless less is asked for; what a list says counts in every mode but off."""
    untrusted = ("--untrusted", f"{place}/issuer.der")
    found = answer(run(place, *untrusted))
    assert (found["chain"], found["reason"]) == ("indeterminate", "no_revocation_data")
    assert "--crls" in found["text"]["en"]
    assert answer(run(place, *untrusted, "--revocation", "soft"))["chain"] == "valid"
    _, revoked = authority().revocation_lists([lan("p256").certificate])
    (place / "issuer.crl").write_bytes(revoked)
    assert answer(run(place, *untrusted, *lists(place)))["reason"] == "revoked"
    assert answer(run(place, *untrusted, *lists(place), "--revocation", "soft"))["reason"] == "revoked"
    assert answer(run(place, *untrusted, *lists(place), "--revocation", "off"))["chain"] == "valid"


def test_why_it_is_not_trusted_is_a_stable_reason(place: Path) -> None:
    """A missing issuer is not the same as an unknown root, nor as a date that has passed."""
    off = ("--revocation", "off")
    untrusted = ("--untrusted", f"{place}/issuer.der")
    assert answer(run(place, *off))["reason"] == "no_path"
    assert answer(run(place, *off, *untrusted, "--at", "2047-01-01"))["reason"] == "expired"
    assert answer(run(place, *off, *untrusted, "--at", "2026-01-01"))["reason"] == "not_yet_valid"
    (place / "root.pem").write_bytes(pem(authority(1).root))
    (place / "issuer.der").write_bytes(pem(authority().intermediate) + pem(authority().root))
    assert answer(run(place, *off, *untrusted))["reason"] in {"unknown_root", "bad_certificate_signature"}


def test_the_purpose_is_asked_for(place: Path) -> None:
    """A certificate without emailProtection is good for anything but mail; there is no default purpose."""
    server = authority().issue("may-chu", None, key=shared_key("p256", 72), usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    (place / "leaf.pem").write_bytes(pem(server.certificate))
    rest = ("--revocation", "off", "--untrusted", f"{place}/issuer.der")
    assert answer(run(place, *rest))["reason"] == "not_for_email"
    assert answer(run(place, *rest, "--purpose", "any"))["chain"] == "valid"
    bare = ["verify-path", "--trust", f"{place}/root.pem", f"{place}/leaf.pem"]
    assert RUNNER.invoke(build(["verify-path"]), bare).exit_code == 2
    bare = ["verify-path", "--purpose", "email", f"{place}/leaf.pem"]
    assert RUNNER.invoke(build(["verify-path"]), bare).exit_code == 2


def test_policies_are_inputs_of_the_validation(place: Path) -> None:
    """The leaf has the government's policy, its issuer has none: an explicit policy cannot hold along the path."""
    rest = ("--revocation", "off", "--untrusted", f"{place}/issuer.der")
    assert answer(run(place, *rest, "--policy", "2.16.704.1.1.1.1.1"))["chain"] == "valid"
    assert answer(run(place, *rest, "--inhibit-mapping", "--inhibit-any"))["chain"] == "valid"
    explicit = ("--require-explicit-policy", "--policy")
    found = answer(run(place, *rest, *explicit, "2.16.704.1.1.1.1.1"))
    assert (found["chain"], found["reason"]) == ("invalid", "certificate_policy")
    (place / "root.pem").write_bytes(pem(authority().intermediate))
    assert answer(run(place, *rest, *explicit, "2.16.704.1.1.1.1.1"))["chain"] == "valid"
    assert answer(run(place, *rest, *explicit, "1.2.3.4"))["reason"] == "certificate_policy"


def test_a_malformed_certificate_is_an_answer_and_no_certificate_is_a_mistake(place: Path) -> None:
    """Broken DER is never valid (exit 1); a file that holds something else was named by mistake (exit 2)."""
    der = lan("p256").certificate
    (place / "cut.der").write_bytes(der[:-20])
    found = answer(run(place, "--revocation", "off", leaf="cut.der"))
    assert (found["chain"], found["reason"], found["path"]) == ("invalid", "malformed_certificate", [])
    (place / "text").write_bytes(b"no certificate")
    for leaf in ("text", "absent"):
        result = run(place, leaf=leaf)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{leaf}: " in result.stderr


def test_all_mistakes_of_a_call_come_at_once(place: Path) -> None:
    """An administrator mends a long call in one round."""
    result = run(
        place,
        *("--at", "soon", "--policy", "2.16.x", "--policy", "9.1"),
        *("--untrusted", f"{place}/none", "--crls", f"{place}/root.pem"),
        leaf="absent",
    )
    assert result.exit_code == 2
    for words in (
        "--at soon",
        "--policy 2.16.x",
        "--policy 9.1",
        "/none: ",
        "root.pem: no revocation list",
        "/absent: ",
    ):
        assert words in result.stderr


def test_a_file_with_leaf_and_chain_needs_nothing_else(place: Path) -> None:
    """The first certificate is asked about; the others may complete its path."""
    (place / "leaf.pem").write_bytes(lan("p256").chain_pem())
    assert answer(run(place, "--revocation", "off"))["chain"] == "valid"


def test_a_malformed_certificate_in_the_bag_is_left_out_and_said(place: Path) -> None:
    """A bag of strangers' certificates is not the caller's to mend: the answer comes without that one."""
    (place / "cut.der").write_bytes(authority().intermediate[:-20])
    off = ("--revocation", "off", "--untrusted", f"{place}/cut.der")
    result = run(place, *off, "--untrusted", f"{place}/issuer.der")
    assert answer(result)["chain"] == "valid"
    assert "left out: " in result.stderr
    assert "cut.der" in result.stderr
    assert answer(run(place, *off))["reason"] == "no_path"
    (place / "root.pem").write_bytes(authority().root[:-20])
    assert run(place).exit_code == 2


def test_the_program_itself_reports_for_people(place: Path) -> None:
    """The installed `gateway`, without --json: Vietnamese first, whatever the locale."""
    done = subprocess.run(
        [
            *(GATEWAY, "verify-path", "--purpose", "email", "--revocation", "off", *AT),
            *("--trust", "root.pem", "--untrusted", "issuer.der", "leaf.pem"),
        ],
        cwd=place,
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.index("Có đường dẫn") < text.index("A valid path")
    assert "CN=Hoàng Thị Lan" in text


def test_answers_of_responders_are_data_as_lists_are(place: Path) -> None:
    """One file for each certificate; a file that is no answer is none, and one that is not there a mistake."""
    root, issuer, leaf = (
        Certificate.load(each) for each in (authority().root, authority().intermediate, lan("p256").certificate)
    )
    keys = {"a": (issuer, Node(root, authority()._root_key)), "b": (leaf, Node(issuer, authority()._issuer_key))}
    options: list[str] = ["--untrusted", f"{place}/issuer.der"]
    for name, (about, node) in keys.items():
        (place / name).write_bytes(ocsp_answer(about, issuer=node))
        options += ["--ocsp", f"{place}/{name}"]
    assert answer(run(place, *options))["chain"] == "valid"
    assert answer(run(place, *options[:-2]))["reason"] == "no_revocation_data"
    (place / "b").write_bytes(b"x")
    assert answer(run(place, *options))["reason"] == "no_revocation_data"
    assert run(place, "--ocsp", f"{place}/absent").exit_code == 2


def test_every_reason_has_its_words() -> None:
    """A code that path validation can answer with is explained, not guessed."""
    rooms = Path(path.__file__).parents[1] / "pki"
    text = "".join((rooms / f"{name}.py").read_text() for name in ("path", "pkix", "graph", "fitness", "family"))
    codes = {code for code in path._WORDS if code != "malformed_certificate"}
    assert [code for code in codes if f'"{code}"' not in text] == []
    unknown = PathAnswer(ChainState.INVALID, "a_code_of_tomorrow", ())
    assert path._words(unknown) == path._WORDS["path_invalid"]
    assert NOW.tzinfo is not None
