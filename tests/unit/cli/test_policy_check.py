"""`gateway policy check` and `gateway policy schema`: exit codes, places, and what is only worth knowing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.cli.policy import schema_text

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from gateway.demo.province import Province

CLEAN: Final = """\
rules:
  - {name: sign-it, direction: outbound, when: {author: "@a.example"}, then: {sign: {key: personal, if_unable: refuse}}}
"""
CASES: Final = """\
cases:
  - name: một
    direction: outbound
    message: {from: lan@a.example}
    to: b@b.example
    expect: {rule: sign-it}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A policy directory without anything to say about."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "10.yaml").write_text(CLEAN, encoding="utf-8")
    (tmp_path / "cases/10.yaml").write_text(CASES, encoding="utf-8")
    return tmp_path


def check(directory: Path, *arguments: object) -> Result:
    """Give the command."""
    return CliRunner().invoke(build(["policy check"]), ["policy", "check", str(directory), *map(str, arguments)])


def found(result: Result) -> dict[str, Any]:
    """Return its JSON."""
    return json.loads(result.stdout_bytes)


def test_clean_files_are_exit_code_0(directory: Path) -> None:
    """Nothing is said but the number of rules and the digest."""
    result = check(directory)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1


def test_errors_are_exit_code_2_all_at_once_with_places(directory: Path) -> None:
    """Mistakes of every file, cases included, come in one run as file:line:column."""
    (directory / "20.yaml").write_text("rules: [{name: X, direction: outbound, then: pas}]\n", encoding="utf-8")
    (directory / "cases/20.yaml").write_text("cases: [{nam: x}]\n", encoding="utf-8")
    result = check(directory)
    assert result.exit_code == 2
    for place in ("20.yaml:1:16: ", "20.yaml:1:46: ", "cases/20.yaml:1:10: "):
        assert place in result.stderr, place
    assert found(check(directory, "--json"))["errors"] != []


def test_an_expired_rule_is_a_warning(directory: Path) -> None:
    """A rule that has ended does nothing: exit code 1, and where it stands."""
    late = 'rules: [{name: old, direction: outbound, until: 2020-01-31, when: {author: "@b.example"}, then: pass}]\n'
    (directory / "05.yaml").write_text(late, encoding="utf-8")
    result = check(directory, "--json")
    assert result.exit_code == 1
    (warning,) = found(result)["warnings"]
    assert "05.yaml:1:" in warning
    assert "ended on 2020-01-31" in warning


def test_rules_that_are_off_or_untested_are_notes(directory: Path) -> None:
    """What is meant is told and stays exit code 0."""
    more = """\
rules:
  - {name: off, direction: inbound, active: false, when: {author: "@b.example"}, then: deliver}
  - {name: untested, direction: inbound, then: deliver}
"""
    (directory / "20.yaml").write_text(more, encoding="utf-8")
    result = check(directory, "--json")
    assert result.exit_code == 0
    off, untested = found(result)["notes"]
    assert "'off' is not active" in off
    assert "no case expects rule 'untested'" in untested


def test_a_rule_that_has_not_begun_is_a_note(directory: Path) -> None:
    """It is prepared on purpose; whoever wonders why it does nothing finds the day."""
    early = 'rules: [{name: new, direction: outbound, from: 2999-01-31, when: {author: "@b.example"}, then: pass}]\n'
    (directory / "05.yaml").write_text(early, encoding="utf-8")
    result = check(directory, "--json")
    assert result.exit_code == 0
    assert "begins on 2999-01-31" in found(result)["notes"][0]


def test_names_are_held_against_the_configuration(directory: Path, province: Province) -> None:
    """A key that nobody has is a warning, a next hop that nobody has set up is an error."""
    rule = """\
rules:
  - name: labeled
    direction: outbound
    when: {author: "@c.example"}
    then: {sign: {key: {label: khong-co}, if_unable: refuse}}
"""
    (directory / "20.yaml").write_text(rule, encoding="utf-8")
    result = check(directory, "--json", "--config", province.config)
    assert result.exit_code == 1
    assert "'khong-co', and there is no such key" in found(result)["warnings"][0]
    assert check(directory).exit_code == 0, "without a configuration nobody knows"

    routed = "rules: [{name: far, direction: outbound, then: {pass: {route: khong-co}}}]\n"
    (directory / "30.yaml").write_text(routed, encoding="utf-8")
    result = check(directory, "--config", province.config)
    assert result.exit_code == 2
    assert "30.yaml:1:16: the rule names the hop 'khong-co'" in result.stderr


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    """Both ways give the same text, and it is JSON."""
    out = tmp_path / "schema.json"
    runner, application = CliRunner(), build(["policy schema"])
    printed = runner.invoke(application, ["policy", "schema"])
    written = runner.invoke(application, ["policy", "schema", "--out", str(out)])
    assert (printed.exit_code, written.exit_code, written.stdout) == (0, 0, "")
    assert printed.stdout_bytes.decode() == out.read_text(encoding="utf-8") == schema_text()
    assert json.loads(printed.stdout_bytes)["$schema"].startswith("https://json-schema.org/")
    assert runner.invoke(application, ["policy", "schema", "--out", str(tmp_path)]).exit_code == 2
