"""`gateway agencies`: whose an address, a certificate or a name is; tables in and out; mistakes with their places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from typer.testing import CliRunner

from gateway.agencies.registry import Registry
from gateway.cli import build
from gateway.demo.authority import pem, shared_key
from support.letters import authority

if TYPE_CHECKING:
    from click.testing import Result

    from gateway.demo.province import Province

SHIPPED: Final = Path(__file__).parents[3] / "config/agencies"
COMMANDS: Final = ["agencies check", "agencies show", "agencies import", "agencies export"]


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(build(COMMANDS), ["agencies", *map(str, words)])


def show(what: str | Path) -> list[dict[str, object]]:
    done = call("show", what, "--agencies", SHIPPED / "province.yaml", "--json")
    assert done.exit_code == (0 if json.loads(done.stdout)["found"] else 1), done.output
    found: list[dict[str, object]] = json.loads(done.stdout)["found"]
    return found


@pytest.mark.parametrize("name", ["province.yaml", "province.csv"])
def test_check_counts(name: str) -> None:
    """A right file is said to be right, with how many there are; exit code 0."""
    done = call("check", SHIPPED / name)
    assert done.exit_code == 0
    assert "177 cơ quan" in done.stdout
    assert "177 agencies" in done.stdout


def test_check_for_programs(tmp_path: Path) -> None:
    """A right file is counted, a wrong one said to be wrong with every place: one JSON object, the same exit codes."""
    done = call("check", SHIPPED / "province.yaml", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["errors"], found["agencies"]) == (0, [], 177)
    assert (found["kinds"]["phuong"], found["kinds"]["huyen"], found["successors"], found["protected"]) == (
        15,
        0,
        184,
        6,
    )
    file = tmp_path / "a.yaml"
    file.write_text("agencies:\n  - {id: a b, name: A}\n", encoding="utf-8")
    done = call("check", file, "--json")
    assert (done.exit_code, done.stderr) == (2, "")
    errors = json.loads(done.stdout)["errors"]
    assert [each.removeprefix(f"{file}:")[:4] for each in errors] == ["2:5:", "2:10"]


@pytest.mark.parametrize("command", ["check", "import", "export"])
def test_mistakes(command: str, tmp_path: Path) -> None:
    """Every mistake stands on standard error with its place; exit code 2, and nothing on standard output."""
    file = tmp_path / "bảng.csv"
    file.write_text("id;name;mailboxes\na;A;b\nA b;B;c@d.example\n", encoding="utf-8")
    done = call(command, file)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "bảng.csv:2:5: not a mailbox" in done.stderr
    assert "bảng.csv:3:1: an id has lower-case letters" in done.stderr


def test_tables_in_and_out(tmp_path: Path) -> None:
    """What is exported can be opened by Excel, saved by it, and imported: the same agencies."""
    table = call("export", SHIPPED / "province.yaml").stdout_bytes
    assert table.startswith(b"\xef\xbb\xbfid,")
    assert b"\r\n" in table
    assert b"\r\r\n" not in table
    file = tmp_path / "a.csv"
    file.write_bytes(table)
    wide = tmp_path / "b.txt"
    wide.write_text("mã\ttên\thộp thư\na\tSở Y tế\ta@songlam.example\n", encoding="utf-16")
    given = Registry.load("p", (SHIPPED / "province.yaml").read_text(encoding="utf-8")).roll.claims
    assert Registry.load("a", call("import", file).stdout).roll.claims == given
    assert call("import", wide).stdout.splitlines()[2] == '    name: "Sở Y tế"'


def test_an_old_charset(tmp_path: Path) -> None:
    """A table in a Windows charset is not guessed at: what to do is said."""
    file = tmp_path / "a.csv"
    file.write_bytes("id,name\na,Cơ quan đó\n".encode("cp1258", "ignore") + b"\xd0\n")
    done = call("import", file)
    assert done.exit_code == 2
    assert "CSV UTF-8" in done.stderr


def test_show_by_address_name_and_id() -> None:
    """An address by its mailbox, domain or successor; a name without its diacritics; an id."""
    (found,) = show("soyte@songlam.example")
    assert (found["id"], found["by"], found["parents"]) == ("so-y-te", "mailbox", ["uy-ban-nhan-dan-tinh"])
    assert [each["by"] for each in show("lan@soyte.songlam.example")] == ["domain"]
    assert [each["by"] for each in show("soyte@vinhsong.example")] == ["successor"]
    assert [each["id"] for each in show("so y te song lam")] == ["so-y-te"]
    assert [each["by"] for each in show("so-y-te")] == ["id"]
    assert show("lan@noi-khac.example") == []


def test_show_by_certificate(tmp_path: Path) -> None:
    """A certificate by what it names, whatever its path is; one without an address belongs to nobody."""
    issued = authority().issue("Lan", "lan@songlam.example", organization="SỞ Y TẾ", key=shared_key("p256", 3))
    (tmp_path / "a.pem").write_bytes(pem(issued.certificate))
    assert [(each["id"], each["by"]) for each in show(tmp_path / "a.pem")] == [("so-y-te", "subject")]
    (tmp_path / "b.pem").write_bytes(pem(authority().root))
    assert show(tmp_path / "b.pem") == []
    (tmp_path / "c.pem").write_bytes(b"x")
    assert call("show", tmp_path / "c.pem", "--agencies", SHIPPED / "province.yaml").exit_code == 2


def test_show_with_the_configuration(province: Province) -> None:
    """Without --agencies the registry is the gateway's own; people read Vietnamese first."""
    done = call("show", "soyte@songlam.example", "--config", province.config)
    assert done.exit_code == 0
    assert done.stdout.startswith("Sở Y tế Sông Lam\n  Tìm ra theo hộp thư")
    assert call("show", "a@b@c", "--config", province.config).exit_code == 2
    assert call("show", "soyte@songlam.example", "--config", "/nonexistent").exit_code == 2
