"""`gateway policy test`: tables of cases are strict, tell where they fail, and never touch anything real."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.cli.cases import read_cases
from gateway.core.errors import SetupError
from gateway.policy.model import FORMS

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from gateway.demo.province import Province

POLICY: Final = """\
groups: {chung: {mailboxes: [chung@a.example]}}
rules:
  - {name: shared, direction: outbound, when: {group: chung}, then: {sign: {key: organization, if_unable: hold}}}
  - {name: to-b, direction: outbound, when: {recipient: "@b.example"}, then: pass}
  - {name: inside, direction: outbound, when: {recipient_is: inside}, then: pass}
  - {name: big, direction: outbound, when: {larger_than: 1 MiB}, then: {hold: {reason: to}}}
  - {name: morning, direction: outbound, when: {hours: "00:00-06:00"}, then: {refuse: {vi: sớm, en: early}}}
  - {name: mine, direction: outbound, when: {author: "@a.example"}, then: {sign: {key: personal, if_unable: refuse}}}
  - {name: others, direction: outbound, then: pass}
  - {name: good, direction: inbound, when: {verdict: verified}, then: deliver}
  - {name: bad, direction: inbound, when: {verdict: [invalid, signer_mismatch]}, then: {quarantine: {reason: giả}}}
  - {name: rest, direction: inbound, then: deliver}
"""
CASE: Final = """\
domains: [a.example]
agencies: {so-y-te: ["@so.example"]}
cases:
  - name: Trường hợp thử
    direction: DIRECTION
    at: "2026-11-25T10:00:00+07:00"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A policy directory without cases."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "10.yaml").write_text(POLICY, encoding="utf-8")
    return tmp_path


def write(directory: Path, *lines: str, direction: str = "outbound") -> None:
    """Write a file with one case."""
    text = CASE.replace("DIRECTION", direction) + "".join(f"    {line}\n" for line in lines)
    (directory / "cases/1.yaml").write_text(text, encoding="utf-8")


def tried(directory: Path, *arguments: object) -> Result:
    """Give the command."""
    return CliRunner().invoke(build(["policy test"]), ["policy", "test", str(directory), *map(str, arguments)])


def found(result: Result) -> dict[str, Any]:
    """Return its JSON."""
    return json.loads(result.stdout_bytes)


@pytest.mark.parametrize(
    "lines",
    [
        ("message: {from: Lan <lan@a.example>}", "to: x@c.example", "expect: {rule: mine, key: personal, reply: 250}"),
        (
            "message: {from: lan@a.example}",
            "keys: []",
            "to: x@c.example",
            "expect: {rule: mine, key: none, reply: 550}",
        ),
        ("message: {from: chung@a.example}", "to: x@c.example", "expect: {rule: shared, key: organization}"),
        ("message: {from: chung@a.example}", "keys: personal", "to: x@c.example", "expect: {key: none, hop: held}"),
        ("message: {from: lan@a.example}", "to: [y@b.example]", "expect: {rule: to-b, decision: pass, form: plain}"),
        ("message: {from: lan@a.example}", "to: y@a.example", "expect: {rule: inside, hop: outside}"),
        ("message: {from: lan@a.example, octets: 1100000}", "to: x@c.example", "expect: {rule: big, hop: held}"),
        ("message: {from: k@k.example}", "to: x@c.example", "expect: {rule: others, decision: pass}"),
        ("message: {from: k@k.example}", "may_send_as: [l@k.example]", "to: x@c.example", "expect: {rule: none}"),
        ("message: {from: lan@a.example, form: encrypted}", "to: y@b.example", "expect: {form: encrypted}"),
    ],
    ids=str,
)
def test_what_a_case_says_is_what_is_tried(directory: Path, lines: tuple[str, ...]) -> None:
    """Keys, rights, places, sizes and forms of a case reach the rules, on the journey of live mail."""
    write(directory, *lines)
    result = tried(directory)
    assert result.exit_code == 0, result.output


def test_the_time_of_a_case_is_the_clock_of_its_rules(directory: Path) -> None:
    """`at` is the moment, whatever the time of the test."""
    write(directory, "message: {from: lan@a.example}", "to: x@c.example", "expect: {rule: morning, reply: 550}")
    assert tried(directory).exit_code == 1
    text = (directory / "cases/1.yaml").read_text(encoding="utf-8").replace("T10:", "T05:")
    (directory / "cases/1.yaml").write_text(text, encoding="utf-8")
    assert tried(directory).exit_code == 0


@pytest.mark.parametrize(
    ("signed", "rule"), [("by_author", "good"), ("by_other", "bad"), ("broken", "bad"), (None, "rest")]
)
def test_incoming_mail_can_be_signed(directory: Path, signed: str | None, rule: str) -> None:
    """A case makes mail that is verified, forged or broken, and the real judge says so."""
    more = f", signed: {signed}" if signed else ""
    message = f"message: {{from: Văn phòng <vp@thanhha.example>, subject: Mời họp{more}}}"
    write(directory, message, "to: lan@a.example", f"expect: {{rule: {rule}, reply: 250}}", direction="inbound")
    result = tried(directory)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_made(directory: Path, form: str) -> None:
    """A word that rules know is a word that cases know: the message is recognized as what it was meant to be."""
    message = f"message: {{from: x@b.example, form: {form}}}"
    write(directory, message, "to: lan@a.example", f"expect: {{form: {form}}}", direction="inbound")
    result = tried(directory)
    assert result.exit_code == 0, result.output


def test_a_failure_is_told_with_place_expected_and_got(directory: Path) -> None:
    """One line for each difference; recipients that are named have their own, all others share the rest."""
    write(
        directory,
        "message: {from: lan@a.example}",
        "to: [x@c.example, z@c.example, y@b.example]",
        "expect:",
        "  - {rule: others}",
        "  - {to: y@b.example, rule: to-b, key: personal}",
    )
    result = tried(directory, "--json")
    assert result.exit_code == 1
    assert [(each["recipient"], each["what"], each["expected"], each["got"]) for each in found(result)["failures"]] == [
        ("x@c.example", "rule", "others", "mine"),
        ("z@c.example", "rule", "others", "mine"),
        ("y@b.example", "key", "personal", "none"),
    ]
    first = tried(directory).stdout.splitlines()[0]
    assert first.startswith(f"{directory}/cases/1.yaml:10:9: Trường hợp thử [x@c.example]: rule: expected 'others'")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("mesage: {}", "to: x@c.example", "expect: {rule: mine}"), "did you mean 'message'?"),
        (("message: {frm: x}", "to: x@c.example", "expect: {rule: mine}"), "did you mean 'from'?"),
        (("message: {}", "to: x", "expect: {rule: mine}"), "not a mailbox"),
        (("message: {}", "to: x@c.example", "expect: {}"), "expects nothing"),
        (("message: {}", "to: x@c.example", "expect: {reply: abc}"), "must be a reply code"),
        (("message: {}", "to: x@c.example", "expect: {key: mine}"), "must be one of: personal, organization, none"),
        (("message: {}", "to: x@c.example", "expect: {to: y@c.example, rule: a}"), "is not one of the recipients"),
        (("message: {octets: 99999999999}", "to: x@c.example", "expect: {rule: a}"), "number of octets up to"),
        (("message: {file: a, from: b}", "to: x@c.example", "expect: {rule: a}"), "'file' is the whole message"),
        (('message: {headers: {"a:b": c}}', "to: x@c.example", "expect: {rule: a}"), "not the name of a header field"),
        (
            ("message: {form: encrypted, signed: broken}", "to: x@c.example", "expect: {rule: a}"),
            "clear_signed by itself",
        ),
    ],
)
def test_a_case_that_says_what_nobody_reads_is_a_mistake(directory: Path, lines: tuple[str, ...], words: str) -> None:
    """Exit code 2 and the place: a misspelt expectation must never count as one that holds."""
    write(directory, *lines)
    result = tried(directory)
    assert result.exit_code == 2
    assert words in result.stderr
    assert f"{directory}/cases/1.yaml:" in result.stderr


def test_a_file_can_be_the_message(directory: Path) -> None:
    """`file` stands beside the cases; one that is not there is told with the place of its case."""
    write(directory, "message: {file: thu.eml}", "to: x@c.example", "expect: {rule: mine, key: personal}")
    assert "1.yaml:4:5: " in tried(directory).stderr
    (directory / "cases/thu.eml").write_bytes(b"From: lan@a.example\nSubject: x\n\nChao\n")
    assert tried(directory).exit_code == 0


def test_no_cases_and_no_policy_are_mistakes(directory: Path) -> None:
    """An empty table is no table that holds."""
    assert tried(directory).exit_code == 2
    write(directory, "message: {from: lan@a.example}", "to: x@c.example", "expect: {rule: mine}")
    (directory / "10.yaml").unlink()
    assert tried(directory).exit_code == 2
    (directory / "cases/1.yaml").write_text("cases: 3\n", encoding="utf-8")
    with pytest.raises(SetupError):
        read_cases(directory)


def test_a_configuration_brings_its_hops_and_never_its_keys(directory: Path, province: Province) -> None:
    """With --config routes are the gateway's; keys stay of paper, so a label nobody could use signs in a test."""
    write(directory, "message: {from: lan@a.example}", "to: x@c.example", "expect: {key: personal, hop: outside}")
    moved = province.directory / "keys"
    moved.rename(province.directory / "keys-away")
    try:
        result = tried(directory, "--config", province.config)
    finally:
        (province.directory / "keys-away").rename(moved)
    assert result.exit_code == 0, result.output
