"""What a case states of its message: it reaches the rules, and never makes mail look better than it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.cli.case_findings import VERDICTS_STATED
from gateway.core.verdict import NOTES
from gateway.policy.model import VERDICT_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from gateway.demo.province import Province

POLICY: Final = """\
rules:
  - {name: prepared, direction: inbound, active: false, when: {note: first_contact}, then: {hold: {reason: x}}}
  - {name: asked, direction: inbound, when: {QUESTION}, then: {quarantine: {reason: x}}}
  - {name: rest, direction: inbound, then: deliver}
"""
CASE: Final = """\
domains: [a.example]
agencies: {so-y-te: ["@so.example"]}
cases:
  - name: Trường hợp thử
    direction: inbound
    message: {from: Lan <lan@so.example>, subject: Mời họp, signed: by_author}
    to: x@a.example
"""


def tried(directory: Path, question: str, *lines: str, config: Path | None = None, signed: bool = True) -> Result:
    """Try one case on a policy with one question."""
    (directory / "cases").mkdir(exist_ok=True)
    (directory / "10.yaml").write_text(POLICY.replace("QUESTION", question), encoding="utf-8")
    case = CASE if signed else CASE.replace(", signed: by_author", "")
    (directory / "cases/1.yaml").write_text(case + "".join(f"    {line}\n" for line in lines), encoding="utf-8")
    more = ["--config", str(config)] if config is not None else []
    return CliRunner().invoke(build(["policy test"]), ["policy", "test", str(directory), *more])


def rule_of(result: Result) -> str:
    """Return the rule that decided, by what the case did not get."""
    if result.exit_code == 0:
        return "asked"
    assert result.exit_code == 1, result.output
    return result.output.partition("rule: expected 'asked', got '")[2].partition("'")[0]


EXPECT: Final = "expect: {rule: asked}"


@pytest.mark.parametrize("verdict", VERDICTS_STATED)
def test_every_verdict_can_be_stated(tmp_path: Path, verdict: str) -> None:
    """Each reaches the rules as itself."""
    assert rule_of(tried(tmp_path, f"verdict: {verdict}", f"found: {{verdict: {verdict}}}", EXPECT)) == "asked"


def test_nothing_stated_makes_a_message_verified(tmp_path: Path) -> None:
    """Nor unsigned: these two it has by itself."""
    assert {*VERDICTS_STATED, "verified", "unsigned"} == set(VERDICT_NAMES)
    for each in ("verified", "unsigned"):
        assert tried(tmp_path, "verdict: replayed", f"found: {{verdict: {each}}}", EXPECT).exit_code == 2


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (f"all: [{', '.join(f'{{note: {each}}}' for each in NOTES)}]", f"{{notes: [{', '.join(NOTES)}]}}"),
        ("boundary: spf_permerror", "{boundary: spf_permerror}"),
        ("family: doi-tac", "{family: doi-tac}"),
        ("signed_headers: true", "{signed_headers: true}"),
        ("note: sha1, family: doi-tac", "{family: doi-tac, notes: [timestamped, sha1]}"),
        ("boundary: dkim_none", "{boundary: [spf_pass, dkim_none, dmarc_fail]}"),
    ],
)
def test_what_is_stated_reaches_the_rules(tmp_path: Path, question: str, found: str) -> None:
    """And what is not stated does not."""
    assert rule_of(tried(tmp_path, question, f"found: {found}", EXPECT)) == "asked"
    assert rule_of(tried(tmp_path, question, EXPECT)) == "rest"


def test_the_signers_agency_is_that_of_the_cases(tmp_path: Path) -> None:
    """By `agencies`, for a good signature only."""
    question = "signer_agency: so-y-te"
    assert rule_of(tried(tmp_path, question, EXPECT)) == "asked"
    assert rule_of(tried(tmp_path, question, EXPECT, signed=False)) == "rest"
    for verdict in ("not_trusted", "invalid", "indeterminate"):
        assert rule_of(tried(tmp_path, question, f"found: {{verdict: {verdict}}}", EXPECT)) == "rest"


def test_a_prepared_rule_is_turned_on_for_its_case_only(tmp_path: Path) -> None:
    """A rule can be tried before it is active."""
    found = "found: {notes: first_contact}"
    assert rule_of(tried(tmp_path, "note: sha1", found, EXPECT)) == "rest"
    assert rule_of(tried(tmp_path, "note: sha1", found, "turn_on: prepared", EXPECT)) == "prepared"
    result = tried(tmp_path, "note: sha1", found, "turn_on: [prepraed]", EXPECT)
    assert result.exit_code == 2
    assert f"{tmp_path}/cases/1.yaml:4:5: no rule is named 'prepraed'" in result.stderr


def test_with_a_configuration_as_well(tmp_path: Path, province: Province) -> None:
    """Families and the server in front are those of the case, whatever the configuration has."""
    for found in ("notes: first_contact, boundary: spf_fail", "boundary: spf_fail, family: x"):
        lines = (f"found: {{{found}}}", "turn_on: prepared", EXPECT)
        rule = rule_of(tried(tmp_path, "boundary: spf_fail", *lines, config=province.config))
        assert rule == ("prepared" if "note" in found else "asked")


def test_a_family_that_nobody_has_set_up(tmp_path: Path, province: Province) -> None:
    """A prepared rule about it is tried where the case states it; an active one stops the test, as it would a start."""
    told = "names the family 'doi-tac', which is not set up (known: there is none)"
    asked = ["note: sha1}, then: deliver}", "  - {name: partner, direction: inbound, ACTIVE when: {family: doi-tac"]
    off = "\n".join(asked).replace("ACTIVE", "active: false,")
    expect = ("turn_on: partner", "expect: {rule: partner}")
    assert tried(tmp_path, off, "found: {family: doi-tac}", *expect, config=province.config).exit_code == 0
    unstated = tried(tmp_path, off, "found: {notes: first_contact}", *expect, config=province.config)
    assert unstated.exit_code == 2
    assert told in unstated.stderr
    on = "\n".join(asked).replace("ACTIVE", "")
    active = tried(tmp_path, on, "found: {family: doi-tac}", "expect: {rule: partner}", config=province.config)
    assert active.exit_code == 2
    assert told in active.stderr


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("found: {}",), "states nothing; give one of verdict"),
        (("found: {note: sha1}",), "unknown key 'note', did you mean 'notes'?"),
        (("found: {notes: odd}",), "unknown word 'odd'; notes knows: "),
        (("found: {boundary: spf}",), "unknown word 'spf'; boundary knows: "),
        (("found: {boundary: [spf_pass, spf_fail]}",), "says two things of one method"),
        (("found: {signed_headers: 1}",), "must be true or false"),
        (("found: {verdict: bad}",), "must be one of: "),
    ],
)
def test_what_cannot_be_stated_is_a_mistake(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    """Exit code 2 and the place: a case that states nothing would test nothing."""
    result = tried(tmp_path, "note: sha1", *lines, EXPECT)
    assert result.exit_code == 2
    assert words in result.stderr
    assert f"{tmp_path}/cases/1.yaml:8:" in result.stderr


@pytest.mark.parametrize("found", ["verdict: replayed", "family: doi-tac", "signed_headers: true"])
def test_nothing_about_a_signature_is_stated_of_a_message_without(tmp_path: Path, found: str) -> None:
    """It would be a message that cannot exist."""
    result = tried(tmp_path, "note: sha1", f"found: {{{found}}}", EXPECT, signed=False)
    assert result.exit_code == 2
    assert "a message that is not 'signed'" in result.stderr


def test_nothing_is_stated_of_a_file_or_of_outgoing_mail(tmp_path: Path) -> None:
    """A file is judged as it is, outgoing mail is not judged."""
    for old, new in (
        ("{from: Lan <lan@so.example>, subject: Mời họp, signed: by_author}", "{file: a.eml}"),
        ("inbound", "outbound"),
    ):
        tried(tmp_path, "note: sha1", "found: {notes: sha1}", EXPECT)
        text = (tmp_path / "cases/1.yaml").read_text(encoding="utf-8").replace(old, new)
        (tmp_path / "cases/1.yaml").write_text(text, encoding="utf-8")
        result = CliRunner().invoke(build(["policy test"]), ["policy", "test", str(tmp_path)])
        assert result.exit_code == 2
        assert "only of incoming mail that the case itself makes" in result.stderr
