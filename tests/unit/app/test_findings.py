"""What `gateway run --check` says about the files of a whole configuration, before anything listens."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.demo.authority import Authority
from gateway.demo.province import build
from support.peers import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

GATEWAY = str(Path(sys.executable).with_name("gateway"))
OWN = """\
# @songlam.example
rules:
  - {name: r, direction: inbound, when: {author: ['@songlam.example']}, then: deliver}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A province whose configuration is complete."""
    directory = tmp_path_factory.mktemp("tinh")
    build(directory, ports=(free_port(), free_port(), free_port()))
    return directory


@pytest.fixture
def province(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    copy = tmp_path / "tinh"
    shutil.copytree(made, copy)
    config = copy / "gateway.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace(str(made), str(copy)), encoding="utf-8")
    return copy


def check(province: Path, *before: str, options: Sequence[str] = ()) -> tuple[int, str]:
    """Return exit code and output of `gateway run --check`; `before` runs it."""
    done = subprocess.run(
        [*before, GATEWAY, "run", "--config", str(province / "gateway.yaml"), "--check", *options],
        capture_output=True,
        check=False,
        timeout=300,
        env={**os.environ, "LANG": "C.UTF-8"},
    )
    said = (done.stdout + done.stderr).decode()
    assert "Traceback" not in said
    return done.returncode, said


def asked(province: Path) -> tuple[int, dict[str, list[str]]]:
    """Return exit code and answer of `gateway run --check --json`, which says nothing else."""
    code, said = check(province, options=["--json"])
    found: dict[str, list[str]] = json.loads(said)
    return code, found


def test_nothing_to_say(province: Path) -> None:
    """A complete configuration is exit code 0."""
    assert check(province) == (0, "configuration is complete\n")


def test_programs_hear_the_same(province: Path) -> None:
    """One JSON object: mistakes are errors (2), findings are warnings (1); to say nothing wrong is exit code 0."""
    assert asked(province) == (0, {"errors": [], "warnings": []})
    config = province / "gateway.yaml"
    whole = config.read_text(encoding="utf-8")
    config.write_text(whole.replace("domain: songlam.example", "domain: so.example"), encoding="utf-8")
    (province / "policies/05-own.yaml").write_text(OWN, encoding="utf-8")
    code, found = asked(province)
    assert (code, found["errors"]) == (1, [])
    assert any(each.startswith(f"{province}/policies/05-own.yaml:") for each in found["warnings"])
    (province / "logins.txt").chmod(0o644)
    (province / "server.key").unlink()
    code, found = asked(province)
    assert (code, found["warnings"], len(found["errors"])) == (2, [], 2)
    config.write_text("hostname: [\n", encoding="utf-8")
    code, found = asked(province)
    assert (code, found["warnings"]) == (2, [])
    assert found["errors"][0].startswith(f"{config}:")


def test_a_gateway_that_runs_answers_no_program(province: Path) -> None:
    """--json belongs to --check: a start says nothing on standard output, and must not be taken for one."""
    words = [GATEWAY, "run", "--config", str(province / "gateway.yaml"), "--json"]
    done = subprocess.run(words, capture_output=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--check" in done.stderr


@pytest.mark.parametrize(
    ("name", "octets", "words"),
    [
        ("server.pem", None, "server.pem: cannot be read: No such file or directory"),
        ("server.key", None, "server.key: cannot be read: No such file or directory"),
        ("server.pem", b"garbage", "server.key: cannot be used for TLS: one of them is not PEM"),
        ("policies", None, "policies: cannot be read: No such file or directory"),
        ("policies/10-demo.yaml", b"\xff", "10-demo.yaml: not UTF-8"),
        ("policies/10-demo.yaml", None, "policies: no policy file (*.yaml)"),
    ],
)
def test_a_file_that_would_stop_the_start(province: Path, name: str, octets: bytes | None, words: str) -> None:
    """What would end a start is a mistake (exit code 2), said once, with the file's name."""
    place = province / name
    if octets is not None:
        place.write_bytes(octets)
    elif place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()
    code, said = check(province)
    assert code == 2
    assert words in said
    assert "1 mistake(s); nothing was started." in said


def test_every_room_is_heard_in_one_run(province: Path) -> None:
    """A wrong passphrase, an open file of logins and a TLS key that is gone: all in one run."""
    (province / "keys/passphrase").write_text("wrong", encoding="ascii")
    (province / "logins.txt").chmod(0o644)
    (province / "server.key").unlink()
    code, said = check(province)
    assert code == 2
    assert said.count("the passphrase is wrong") == 4
    assert "logins.txt: open to others" in said
    assert "server.key: cannot be read" in said


@pytest.mark.parametrize(("days", "words"), [(-1, "ended at"), (13, "ends at"), (15, None)])
def test_a_server_certificate_that_ends(province: Path, days: int, words: str | None) -> None:
    """Mail clients would refuse it: told 14 days before, once for all listeners; the gateway still starts."""
    now = dt.datetime.now(dt.UTC)
    end = now + dt.timedelta(days=days, minutes=5)
    _with_end(province, end)
    code, said = check(province)
    if words is None:
        assert (code, said) == (0, "configuration is complete\n")
    else:
        assert code == 1
        assert f"server.pem: the server certificate {words} {end.replace(microsecond=0).isoformat()}" in said
        assert "1 finding(s)" in said


def test_a_stale_revocation_list(province: Path) -> None:
    """Every verdict below it would be "indeterminate": told with the file and the time, unless revocation is off."""
    made = Authority(dt.datetime.now(dt.UTC) - dt.timedelta(days=9)).revocation_lists()[1]
    (province / "trust/intermediate.crl").write_bytes(made)
    code, said = check(province)
    assert code == 1
    assert "trust/intermediate.crl: the next revocation list was due at 2" in said
    assert "1 finding(s)" in said
    config = province / "gateway.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("trust:\n", "trust:\n  revocation: off\n"), "utf-8")
    assert check(province)[0] == 0


def test_a_digest_for_an_agency_that_nobody_knows(province: Path) -> None:
    """Its mailbox would never be told: a wrong id must not look like an agency without kept mail."""
    config = province / "gateway.yaml"
    text = config.read_text(encoding="utf-8")
    office = text.partition("local_domains:")[2].partition("domain: ")[2].split(",")[0].split("\n")[0].strip()
    digest = f"{{postmaster: a@{office}, agencies: [{{agency: khong-co, mailbox: b@{office}}}]}}"
    config.write_text(text.replace("min_free: 0}", f"min_free: 0, digest: {digest}}}"), encoding="utf-8")
    code, said = check(province)
    assert code == 1
    assert f"spool.digest: the registry has no agency 'khong-co', so b@{office} is told of nothing" in said


def _with_end(province: Path, end: dt.datetime) -> None:
    """Write another certificate for the listeners' key."""
    key = serialization.load_pem_private_key((province / "server.key").read_bytes(), None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, end - dt.timedelta(days=90), end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (province / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def test_a_policy_that_still_speaks_of_the_examples(province: Path) -> None:
    """Copied and not adapted, the rule against mail forged in our name would be for somebody else's; comments may."""
    (province / "policies/05-own.yaml").write_text(OWN, encoding="utf-8")
    assert check(province) == (0, "configuration is complete\n")
    config = province / "gateway.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("domain: songlam.example", "domain: so.example"), encoding="utf-8")
    code, said = check(province)
    assert code == 1
    own = [line for line in said.splitlines() if "05-own.yaml" in line]
    assert own == [f"{province}/policies/05-own.yaml:3: songlam.example is the domain of our examples: put yours"]


def test_a_spool_in_memory(province: Path) -> None:
    """It is told once, as a finding, and not as lines of a log between the others."""
    spool = province / "spool"
    spool.mkdir(exist_ok=True)
    mount = f'mount -t tmpfs none {spool} && exec "$@"'
    code, said = check(province, "unshare", "-rm", "sh", "-c", mount, "sh")
    assert (code, said) == (
        1,
        f"spool.directory: {spool} is in memory (tmpfs): a power failure loses mail\n1 finding(s)\n",
    )
