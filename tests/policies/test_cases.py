"""The shipped cases hold on the shipped policies, and the shipped schema is the one the loader would write."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from gateway.cli.cases import NOWHERE, read_cases
from gateway.cli.paper import read_alone
from gateway.cli.policy import schema_text
from gateway.cli.policy_cases import run_cases
from gateway.core.envelope import Direction
from gateway.demo.province import build

TOP: Final = Path(__file__).parents[2]
POLICIES: Final = TOP / "policies"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A copy of the shipped policies in which the cases that wait for a setting (*.yaml.example) are in use."""
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    waiting = list((copy / "cases").glob("*.yaml.example"))
    assert waiting != []
    for each in waiting:
        each.rename(each.with_suffix(""))
    return copy


def test_the_shipped_cases_hold(policies: Path) -> None:
    """Every case in policies/cases is as expected, without a configuration."""
    cases, failures = run_cases(policies, None)
    assert [str(each) for each in failures] == []
    assert len(cases) > 25


def installed(directory: Path, *turned_on: str) -> Path:
    """Install as README says, to the letter but for the places of files; returns the configuration."""
    (directory / "demo").mkdir()
    built = build(directory / "demo", ports=(1, 2, 3)).directory
    shutil.copytree(POLICIES, directory / "etc/policies")
    (directory / "etc/tls").mkdir()
    for each in ("server.pem", "server.key"):
        shutil.copy(built / each, directory / "etc/tls")
    (directory / "etc/gateway.yaml").write_bytes((TOP / "config/gateway.yaml").read_bytes())
    places = {"/etc/gateway": f"{directory}/etc", "/var/lib/gateway": f"{directory}/var"}
    places |= {"policies: ../policies": "policies: policies", **{f"#{each}": each for each in turned_on}}
    for file in (path for path in (directory / "etc").rglob("*") if path.is_file() and path.parent.name != "tls"):
        text = file.read_text(encoding="utf-8").replace("songlam.example", "tinh.example")
        for old, new in places.items() if file.name == "gateway.yaml" else ():
            assert old in text, old
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
    return directory / "etc/gateway.yaml"


def test_the_shipped_cases_hold_where_they_are_installed(tmp_path: Path) -> None:
    """README's installation and nothing else: prepared rules are tried though nobody has set up what they name."""
    config = installed(tmp_path)
    cases, failures = run_cases(tmp_path / "etc/policies", config)
    assert [str(each) for each in failures] == []
    assert len(cases) == len(read_cases(POLICIES))


def test_what_waits_for_wishes_holds_with_them(tmp_path: Path) -> None:
    """The words of the example configuration are those of the cases; without them the letter is signed, as told."""
    config = installed(tmp_path, "wishes:", 'decline: ["!khongky"')
    policies = tmp_path / "etc/policies"
    (policies / "cases/wishes.yaml.example").rename(policies / "cases/wishes.yaml")
    assert [str(each) for each in run_cases(policies, config)[1]] == []
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("wishes:", "#wishes:").replace("  decline:", "  #decline:"), encoding="utf-8")
    assert {each.got for each in run_cases(policies, config)[1] if each.what == "rule"} == {"sign-official-mail"}


def test_a_changed_rule_fails_a_case(tmp_path: Path) -> None:
    """The cases would see a signature that is not asked for any more: the table is not satisfied by anything."""
    for file in POLICIES.rglob("*.yaml"):
        target = tmp_path / file.relative_to(POLICIES)
        target.parent.mkdir(exist_ok=True)
        target.write_text(file.read_text(encoding="utf-8").replace("    then: sign\n", "    then: pass\n"), "utf-8")
    _, failures = run_cases(tmp_path, None)
    assert {each.what for each in failures} >= {"decision", "key", "form"}


def test_every_active_rule_has_a_case(policies: Path) -> None:
    """A rule that no case expects can be broken without anybody seeing it."""
    tested = {expected.words.get("rule") for case in read_cases(policies) for expected in case.expected}
    rules = {each.name for each in read_alone(POLICIES, NOWHERE).rules if each.active}
    refused_before, takes_megabytes = "refuse-outgoing-unknown-author", "hold-what-cannot-be-read"
    assert rules - tested <= {refused_before, takes_megabytes}


def test_every_prepared_rule_for_incoming_mail_has_a_case() -> None:
    """Whoever turns one on turns on what was tried."""
    tested = {expected.words.get("rule") for case in read_cases(POLICIES) for expected in case.expected}
    rules = {each.name for each in read_alone(POLICIES, NOWHERE).rules if each.direction is Direction.INBOUND}
    assert rules <= tested


def test_the_shipped_schema_is_up_to_date() -> None:
    """`policies/schema.json` is what `gateway policy schema` writes today."""
    assert (POLICIES / "schema.json").read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("file", sorted([*POLICIES.glob("*.yaml"), *POLICIES.glob("agencies/*")]), ids=lambda f: f.name)
def test_every_shipped_file_names_its_schema(file: Path) -> None:
    """An editor finds the schema by the first line."""
    first = file.read_text(encoding="utf-8").splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match is not None, first
    assert (file.parent / match[1]).resolve() == POLICIES / "schema.json"
