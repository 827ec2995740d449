"""`gateway trust`: pinning by a compared fingerprint, and everything that must not be pinned."""

from __future__ import annotations

import datetime as dt
import getpass
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from typer.testing import CliRunner

from gateway.cli import build
from gateway.demo.authority import pem
from gateway.pki.known import KNOWN
from gateway.trust.anchors import read_trust
from gateway.trust.store import Store
from support.letters import LAN
from support.tree import DAY, Node, root

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

RUNNER: Final = CliRunner()
TODAY: Final = dt.datetime.now(dt.UTC)
ROOT: Final = root("Gốc \x1b[31mthử", start=TODAY - DAY, end=TODAY + 4000 * DAY)
SECOND: Final = root("Gốc thử G2", start=TODAY - DAY, end=TODAY + 300 * DAY)
ISSUER: Final = ROOT.issue("CA trung gian", ca=True, start=TODAY - DAY, end=TODAY + 900 * DAY)
PUBLIC: Final = root("Gốc công cộng", start=TODAY - DAY, end=TODAY + 900 * DAY)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a directory with a configuration that has one family and one anchor of its own."""
    (tmp_path / "spool").mkdir(mode=0o700)
    (tmp_path / "public.pem").write_bytes(pem(PUBLIC.certificate.der))
    for name, node in (("root", ROOT), ("second", SECOND), ("issuer", ISSUER)):
        (tmp_path / f"{name}.pem").write_bytes(pem(node.certificate.der))
    family = {"name": "vgca", "vi": "chuyên dùng công vụ", "en": "official duty"}
    document = {
        "hostname": "mail.songlam.example",
        "listeners": [{"name": "vao", "kind": "inbound", "address": "127.0.0.1:0"}],
        "hops": [{"name": "kho", "protocol": "maildir", "directory": "kho"}],
        "local_domains": [{"domain": "songlam.example", "hop": "kho", "recipients": "any"}],
        "spool": {"directory": "spool"},
        "policies": "policies",
        "trust": {"anchors": ["public.pem"], "families": [family]},
        "tags": {"authserv_id": "mail.songlam.example"},
    }
    (tmp_path / "gateway.yaml").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


def run(house: Path, command: str, *arguments: str) -> Result:
    """Run one command of the group."""
    call = ["trust", command, *arguments, "--config", f"{house}/gateway.yaml"]
    return RUNNER.invoke(build([f"trust {command}"]), call)


def add(house: Path, name: str, node: Node, *options: str) -> Result:
    """Pin the certificate in a file by its real fingerprint."""
    return run(house, "add", f"{house}/{name}.pem", "--pin", node.certificate.fingerprint, *options)


def listed(house: Path) -> list[dict[str, Any]]:
    """Return what is trusted, as programs see it."""
    return list(json.loads(run(house, "list", "--json").stdout)["certificates"])


def nothing_pinned(house: Path) -> bool:
    """Return whether the store has nothing, not even a record."""
    return not (house / "spool/trust").exists()


def test_an_anchor_of_a_family(house: Path) -> None:
    """It is shown in both languages before it is kept, with who did it; the gateway must be reloaded."""
    result = add(house, "root", ROOT, "--family", "vgca", "--note", "so với công báo số 5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Dấu vân tay khớp với --pin." in result.stdout
    assert "The fingerprint is the pinned one." in result.stdout
    assert ROOT.certificate.fingerprint in result.stdout
    assert "SIGHUP" in result.stdout
    assert "\x1b" not in result.stdout
    _, row = listed(house)
    assert (row["fingerprint"], row["family"], row["kind"], row["source"]) == (
        ROOT.certificate.fingerprint, "vgca", "anchor", "store",
    )  # fmt: skip
    assert row["note"] == "so với công báo số 5"
    assert row["added_by"].startswith(getpass.getuser())
    assert row["added_at"].endswith("+07:00")


@pytest.mark.parametrize("form", ["{}", "sha256:{}", "colons", "blanks"])
def test_the_pin_as_authorities_print_it(house: Path, form: str) -> None:
    """With colons, in groups, in capitals."""
    digits = ROOT.certificate.fingerprint.upper()
    pairs = [digits[n : n + 2] for n in range(0, 64, 2)]
    text = {"colons": ":".join(pairs), "blanks": " ".join(pairs)}.get(form, form.format(digits))
    assert run(house, "add", f"{house}/root.pem", "--pin", text).exit_code == 0


@pytest.mark.parametrize(
    "pin",
    ["", "abc", SECOND.certificate.fingerprint, ROOT.certificate.fingerprint[:-1], "0" * 64, "g" * 64],
    ids=["empty", "short", "of another", "one digit less", "zeros", "no digits"],
)
def test_another_fingerprint(house: Path, pin: str) -> None:
    """Nothing is pinned that was not compared as a whole."""
    result = run(house, "add", f"{house}/root.pem", "--pin", pin)
    assert result.exit_code == 2
    assert nothing_pinned(house)


def test_one_of_a_bag(house: Path) -> None:
    """Authorities publish PKCS#7: of several certificates the pinned one is taken, and no other."""
    both = [SECOND.certificate.parsed, ROOT.certificate.parsed]
    (house / "bag.pem").write_bytes(pkcs7.serialize_certificates(both, Encoding.DER))
    assert add(house, "bag", ROOT).exit_code == 0
    assert {each.certificate for each in Store(house / "spool/trust").pins()} == {ROOT.certificate}


def test_the_name_of_a_published_root(house: Path) -> None:
    """A forged page may show both the file and its pin: the published fingerprint ships with the program."""
    forged = root(KNOWN[1].common_name, start=TODAY - DAY, end=TODAY + DAY)
    (house / "forged.pem").write_bytes(pem(forged.certificate.der))
    result = add(house, "forged", forged, "--anyway", "tôi chắc")
    assert result.exit_code == 1
    assert "it bears the name of a published root, with another fingerprint" in " ".join(result.stdout.split())
    assert nothing_pinned(house)


def test_an_intermediate_that_is_offered_as_an_anchor(house: Path) -> None:
    """What is most likely meant is said first; a root that has ended is no intermediate."""
    result = add(house, "issuer", ISSUER)
    assert result.exit_code == 1
    assert "is it an intermediate? --intermediate" in result.stderr.partition("--anyway")[0]
    assert nothing_pinned(house)
    assert add(house, "issuer", ISSUER, "--intermediate").exit_code == 0


def test_a_reason_overrules_what_may_be(house: Path) -> None:
    """An ended root is refused, and taken with a reason, which stays on record."""
    ended = root("Gốc cũ", start=TODAY - 9 * DAY, end=TODAY - DAY)
    (house / "ended.pem").write_bytes(pem(ended.certificate.der))
    result = add(house, "ended", ended)
    assert result.exit_code == 1
    assert "đã hết hạn / it has ended" in result.stdout
    assert "--anyway REASON" in result.stderr
    assert "--intermediate" not in result.stderr
    assert add(house, "ended", ended, "--anyway", " ").exit_code == 1
    assert nothing_pinned(house)
    assert add(house, "ended", ended, "--anyway", "thư cũ", "--note", "xem hồ sơ").exit_code == 0
    assert listed(house)[1]["note"] == "xem hồ sơ; anyway: thư cũ"
    checked = run(house, "check")
    assert checked.exit_code == 1
    assert "ended at" in checked.stderr


def test_a_person_is_no_anchor(house: Path) -> None:
    """A leaf's file in the authority's place is refused."""
    leaf = ROOT.issue("Lan", email=LAN, start=TODAY - DAY, end=TODAY + DAY)
    (house / "leaf.pem").write_bytes(pem(leaf.certificate.der))
    assert add(house, "leaf", leaf).exit_code == 1
    assert add(house, "leaf", leaf, "--intermediate").exit_code == 1
    assert nothing_pinned(house)


@pytest.mark.parametrize(
    ("name", "node", "options", "words"),
    [
        ("root", ROOT, ("--family", "khac"), "trust.families has vgca"),
        ("issuer", ISSUER, ("--intermediate", "--family", "vgca"), "leave --family out"),
        ("public", PUBLIC, (), "is there already (anchor, settings)"),
        ("gone", ROOT, (), "cannot be read"),
    ],
)
def test_what_does_not_fit_the_settings(
    house: Path, name: str, node: Node, options: tuple[str, ...], words: str
) -> None:
    """A family that is not defined, one for an intermediate, what is trusted already, no file."""
    result = add(house, name, node, *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert nothing_pinned(house)


def test_a_dry_run_writes_nothing(house: Path) -> None:
    """It says all the same what it would say."""
    result = add(house, "root", ROOT, "--dry-run")
    assert result.exit_code == 0
    assert ROOT.certificate.fingerprint in result.stdout
    assert nothing_pinned(house)


def test_a_newer_root_replaces_none(house: Path) -> None:
    """Generations live side by side; what ends within a year is marked."""
    assert add(house, "root", ROOT).exit_code == 0
    assert add(house, "second", SECOND).exit_code == 0
    assert add(house, "issuer", ISSUER, "--intermediate").exit_code == 0
    rows = listed(house)
    assert [(each["kind"], each["source"], each["ends_soon"]) for each in rows] == [
        ("anchor", "settings", False),
        ("anchor", "store", False),
        ("anchor", "store", True),
        ("intermediate", "store", False),
    ]
    text = run(house, "list").stdout
    assert "trung gian / intermediate" in text
    assert "kho / store" in text
    assert "\x1b" not in text


def test_retiring(house: Path) -> None:
    """By the begin of a fingerprint, with a reason; only what the store has, and only where one is meant."""
    add(house, "root", ROOT)
    fingerprint = ROOT.certificate.fingerprint
    assert run(house, "retire", fingerprint[:6], "--reason", "x").exit_code == 2
    assert run(house, "retire", "f" * 64, "--reason", "x").exit_code == 1
    assert run(house, "retire", fingerprint, "--reason", " ").exit_code == 2
    elsewhere = run(house, "retire", PUBLIC.certificate.fingerprint, "--reason", "x")
    assert elsewhere.exit_code == 1
    assert "stands in the settings" in elsewhere.stderr
    result = run(house, "retire", fingerprint[:12].upper(), "--reason", "khóa lộ")
    assert result.exit_code == 0
    assert "SIGHUP" in result.stdout
    assert [each["source"] for each in listed(house)] == ["settings"]
    assert Store(house / "spool/trust").index().lines[-1].note == "khóa lộ"
    assert run(house, "retire", fingerprint, "--reason", "x").exit_code == 1
    assert add(house, "root", ROOT).exit_code == 0, "and it may come back"


def test_checking(house: Path) -> None:
    """A whole store tells count and digest, to be written down; a touched one names the place."""
    assert run(house, "check").exit_code == 0
    add(house, "root", ROOT)
    add(house, "second", SECOND)
    result = run(house, "check")
    assert result.exit_code == 0
    assert "2 dòng / lines, SHA-256 " in result.stdout
    index = house / "spool/trust/index.jsonl"
    index.write_bytes(b"".join(index.read_bytes().splitlines(keepends=True)[1:]))
    result = run(house, "check")
    assert result.exit_code == 1
    assert "index.jsonl:1: the line before it" in result.stderr
    assert run(house, "list").exit_code == 2
    assert add(house, "issuer", ISSUER, "--intermediate").exit_code == 2


def test_programs_hear_what_was_done(house: Path) -> None:
    """One JSON object each: what speaks against it and whether it was added, what was retired, whether all is whole."""
    dry = json.loads(add(house, "root", ROOT, "--dry-run", "--json").stdout)
    assert (dry["added"], dry["reload"], dry["certificate"]["added_at"]) == (False, False, None)
    assert nothing_pinned(house)
    barred = add(house, "issuer", ISSUER, "--json")
    assert barred.exit_code == 1
    found = json.loads(barred.stdout)
    assert (found["added"], [each["en"] for each in found["against"]]) == (False, ["it is not self-signed"])
    added = json.loads(add(house, "root", ROOT, "--family", "vgca", "--note", "giấy", "--json").stdout)
    assert (added["added"], added["against"], added["reload"]) == (True, [], True)
    assert added["certificate"] in listed(house)
    whole = run(house, "check", "--json")
    assert whole.exit_code == 0
    index = house / "spool/trust/index.jsonl"
    head = Store(house / "spool/trust").index().head
    assert json.loads(whole.stdout) == {"errors": [], "index": str(index), "lines": 1, "head": head}
    gone = json.loads(run(house, "retire", ROOT.certificate.fingerprint[:12], "--reason", "khóa lộ", "--json").stdout)
    assert gone.pop("retired_at") == Store(house / "spool/trust").index().lines[-1].at
    assert gone == {
        "fingerprint": ROOT.certificate.fingerprint,
        "kind": "anchor",
        "family": "vgca",
        "retired_by": getpass.getuser(),
        "note": "khóa lộ",
        "reload": True,
    }


def test_programs_hear_what_is_wrong_with_the_store(house: Path) -> None:
    """A file that no line names is an error with all the rest; a record that was touched is the only one."""
    add(house, "root", ROOT)
    stray = house / "spool/trust" / f"{SECOND.certificate.fingerprint}.der"
    stray.write_bytes(SECOND.certificate.der)
    result = run(house, "check", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["lines"], found["errors"]) == (1, [f"{stray}: is in no line of the record"])
    index = house / "spool/trust/index.jsonl"
    index.write_bytes(index.read_bytes().replace(b"anchor", b"Anchor"))
    result = run(house, "check", "--json")
    assert result.exit_code == 1
    (error,) = json.loads(result.stdout)["errors"]
    assert error.startswith(f"{index}:1: ")
    assert result.stderr == ""


def test_a_family_that_was_taken_out_can_be_mended(house: Path) -> None:
    """Its pins stop the gateway from loading; they can be retired all the same."""
    add(house, "root", ROOT, "--family", "vgca")
    document = json.loads((house / "gateway.yaml").read_text(encoding="utf-8"))
    document["trust"]["families"] = []
    (house / "gateway.yaml").write_text(json.dumps(document), encoding="utf-8")
    assert run(house, "check").exit_code == 1
    assert run(house, "retire", ROOT.certificate.fingerprint, "--reason", "bỏ").exit_code == 0
    assert run(house, "check").exit_code == 0


def test_what_was_pinned_is_trusted(house: Path) -> None:
    """The store of the command is the one that the gateway reads."""
    from gateway.config.load import load_settings  # noqa: PLC0415 - as the commands do

    add(house, "root", ROOT, "--family", "vgca")
    settings = load_settings(house / "gateway.yaml")
    found = read_trust(settings.trust, settings.trust_directory)
    assert found.family_of(ROOT.certificate).name == "vgca"
    assert ROOT.certificate in found.anchors
