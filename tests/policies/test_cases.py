"""The shipped cases hold on the shipped policies, and the shipped schema is the one the loader would write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from gateway.cli.cases import NOWHERE, read_cases
from gateway.cli.paper import read_alone
from gateway.cli.policy import schema_text
from gateway.cli.policy_cases import run_cases
from gateway.core.envelope import Direction

POLICIES: Final = Path(__file__).parents[2] / "policies"


def test_the_shipped_cases_hold() -> None:
    """Every case in policies/cases is as expected, without a configuration."""
    cases, failures = run_cases(POLICIES, None)
    assert [str(each) for each in failures] == []
    assert len(cases) > 25


def test_a_changed_rule_fails_a_case(tmp_path: Path) -> None:
    """The cases would see a signature that is not asked for any more: the table is not satisfied by anything."""
    for file in POLICIES.rglob("*.yaml"):
        target = tmp_path / file.relative_to(POLICIES)
        target.parent.mkdir(exist_ok=True)
        target.write_text(file.read_text(encoding="utf-8").replace("    then: sign\n", "    then: pass\n"), "utf-8")
    _, failures = run_cases(tmp_path, None)
    assert {each.what for each in failures} >= {"decision", "key", "form"}


def test_every_active_rule_has_a_case() -> None:
    """A rule that no case expects can be broken without anybody seeing it."""
    tested = {expected.words.get("rule") for case in read_cases(POLICIES) for expected in case.expected}
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
