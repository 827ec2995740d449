"""`gateway policy apply` and `status` where machines share a database: what is published, over what, what is told."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.config.load import load_settings
from gateway.sharing import decrees
from gateway.spool.opening import open_gazette
from support.grounds import SharedGround, conninfo, server
from support.postgres import asked

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

__all__ = ["conninfo", "server"]

RUNNER: Final = CliRunner()
POLICY: Final = "rules:\n  - {name: last, direction: outbound, then: pass}\n"
OTHER: Final = POLICY.replace("last", "other")


@pytest.fixture
def house(conninfo: str, tmp_path: Path) -> Path:
    """A machine that has been started once; nothing runs."""
    assert conninfo
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/10.yaml").write_text(POLICY)
    document = {
        "hostname": "mail.songlam.example",
        "listeners": [{"name": "vao", "kind": "inbound", "address": "127.0.0.1:0"}],
        "hops": [{"name": "kho", "protocol": "maildir", "directory": "kho"}],
        "local_domains": [{"domain": "songlam.example", "hop": "kho", "recipients": "any"}],
        "spool": {"directory": "spool", "database": f"env:{SharedGround.VARIABLE}"},
        "policies": "policies",
        "tags": {"authserv_id": "mail.songlam.example"},
    }
    (tmp_path / "gateway.yaml").write_text(json.dumps(document), encoding="utf-8")
    with open_gazette(load_settings(tmp_path / "gateway.yaml").spool, make=True):
        pass
    return tmp_path


def policy(house: Path, word: str, *arguments: str) -> Result:
    """Give one command of the group."""
    call = ["policy", word, *arguments, "--config", f"{house}/gateway.yaml"]
    return RUNNER.invoke(build([f"policy {word}"]), call)


def apply(house: Path, *arguments: str) -> Result:
    """Apply what the draft is."""
    return policy(house, "apply", "--wait", "0.1", *arguments)


def published(house: Path) -> list[dict[str, Any]]:
    """Return all policies that were applied."""
    found: list[dict[str, Any]] = json.loads(policy(house, "status", "--json").stdout)["policies"]
    return found


def test_what_is_in_force_already_is_not_published_again(house: Path) -> None:
    """One row for each change; nobody runs, so nobody has it: exit code 1."""
    assert apply(house).exit_code == 1
    assert apply(house).exit_code == 1
    (only,) = published(house)
    assert (only["number"], only["node"]) == (1, socket.gethostname())


def test_files_that_do_not_load_are_not_published(house: Path) -> None:
    """Exit code 2 and the place, as without a database."""
    (house / "policies/10.yaml").write_text("rules: [")
    done = apply(house)
    assert done.exit_code == 2
    assert "10.yaml:1:" in done.stderr
    (house / "policies/10.yaml").write_text(POLICY)
    assert published(house) == []


def test_what_another_machine_applied_is_not_replaced_unseen(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose draft cannot have it is told its number, can have its files, and must name it."""
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "may-khac")
        apply(house)
    (house / "policies/10.yaml").write_text(OTHER)
    done = apply(house)
    assert done.exit_code == 1
    assert "may-khac" in done.stderr
    assert "--over 1" in done.stderr
    assert "the draft here is another one" in policy(house, "status").stdout
    policy(house, "status", "--out", str(house / "live"))
    assert (house / "live/10.yaml").read_text() == POLICY
    assert len(published(house)) == 1
    apply(house, "--over", "1")
    assert [each["node"] for each in published(house)] == ["may-khac", socket.gethostname()]
    (house / "policies/10.yaml").write_text(POLICY)
    assert apply(house, "--over", "1").exit_code == 1, "somebody else was first"
    assert len(published(house)) == 2


def test_an_earlier_policy_again(house: Path) -> None:
    """The way back is a new row with the old files; what is no policy is none."""
    apply(house)
    (house / "policies/10.yaml").write_text(OTHER)
    apply(house)
    apply(house, "--again", "1")
    first, _, third = published(house)
    assert first["files"] == third["files"]
    assert (house / "policies/10.yaml").read_text() == OTHER
    for number in ("0", "9"):
        assert apply(house, "--again", number).exit_code == 2


def test_names_that_lead_elsewhere_are_not_written(house: Path, conninfo: str) -> None:
    """Whatever stands in the database: `--out` writes into its directory and nowhere else."""
    apply(house)
    files = {"agencies/../../x.yaml": ""}
    asked(
        conninfo,
        "INSERT INTO gazette (number, node, who, kind, subject, body) VALUES (2, 'n', 'w', 'policy', %s, %s)",
        decrees.digest(files),
        json.dumps({"files": files}),
    )
    done = policy(house, "status", "--out", str(house / "live"))
    assert done.exit_code == 2
    assert "no name of a policy file" in done.stderr
    assert not (house / "x.yaml").exists()


def test_the_database_is_away(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is changed, and that is said; no word of the connection string."""
    monkeypatch.setenv(SharedGround.VARIABLE, f"host={house} dbname=kin user=mat")
    done = apply(house)
    assert done.exit_code == 2
    assert "nothing was changed, here or on other machines" in done.stderr
    assert "mat" not in done.stderr.replace("database", "")


def test_options_of_machines_that_share(house: Path) -> None:
    """A machine that shares nothing has no numbers."""
    config = house / "gateway.yaml"
    document = json.loads(config.read_text())
    del document["spool"]["database"]
    config.write_text(json.dumps(document))
    for option in ("--over", "--again"):
        assert apply(house, option, "1").exit_code == 2
    assert "no gateway runs" in policy(house, "status").stderr
    assert policy(house, "status", "--out", str(house / "live")).exit_code == 2
