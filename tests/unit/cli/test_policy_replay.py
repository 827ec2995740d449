"""`gateway policy replay`: reads what the gateway remembers, page by page, and tells what a draft would change."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.cli.policy_replay import begin_of, read_draft
from gateway.config.load import load_settings
from gateway.core.address import Mailbox
from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.core.past import PastMessage, PastRuling
from gateway.demo.province import build as make_province
from gateway.policy.describe import describe, remembered
from gateway.policy.engine import rule_outbound
from gateway.spool.memory import SqliteMemory
from support.policies import facts

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from gateway.demo.province import Province

NOW: Final = dt.datetime.now(dt.UTC)
TO: Final = Mailbox.parse("ai.do@congdan.example")
OFFICER: Final = Mailbox.parse("lan.hoang@songlam.example")
DRAFT: Final = """\
rules:
  - {name: hold-long, direction: outbound, when: {larger_than: 5000}, then: {hold: {reason: thư dài}}}
  - name: sign-official-mail
    direction: outbound
    when: {author: "@songlam.example"}
    then: {sign: {key: personal_else_organization, if_unable: refuse}}
  - {name: deliver-with-tag, direction: inbound, then: deliver}
"""
MANY: Final = 1203
"""More than two pages."""


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    """A province that remembers: many messages of today, every third of them long, and one of last month."""
    made = make_province(tmp_path_factory.mktemp("past"), ports=(1587, 1465, 1525), log_level="error")
    settings = load_settings(made.config)
    policy = read_draft(settings, settings.policies)
    memory = SqliteMemory(settings.spool, settings.memory)
    for number in range(MANY + 1):
        at = NOW - (dt.timedelta(days=20) if number == MANY else dt.timedelta(minutes=5))
        seen = facts(author=OFFICER, reverse_path=OFFICER, size=9000 if number % 3 == 0 else 900, at=at)
        rulings = tuple(
            PastRuling(each.indexes, each.ruling.rule, describe(each.ruling.decision))
            for each in rule_outbound(policy, seen, (TO,))
        )
        memory.remember(
            PastMessage(f"t{number}", at, Direction.OUTBOUND, remembered(seen), (str(TO),), rulings, policy.digest)
        )
    memory.close()
    return made


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A draft that holds long mail."""
    (tmp_path / "10.yaml").write_text(DRAFT, encoding="utf-8")
    return tmp_path


def replay(province: Province, *arguments: object) -> Result:
    """Give the command."""
    words = ["policy", "replay", "--config", str(province.config), *map(str, arguments)]
    return CliRunner().invoke(build(["policy replay"]), words)


def found(result: Result) -> dict[str, Any]:
    """Return its JSON."""
    return json.loads(result.stdout_bytes)


def test_a_draft_is_tried_on_all_mail_since(province: Province, draft: Path) -> None:
    """Every page is read, nothing older, and the table names both rules, both decisions and examples."""
    result = replay(province, "--json", draft)
    assert result.exit_code == 1
    answer = found(result)
    assert (answer["messages"], answer["changed"]) == (MANY, MANY // 3)
    (difference,) = answer["differences"]
    assert difference["old"]["rule"] == "sign-official-mail"
    assert difference["new"] == {"rule": "hold-long", "decision": 'hold "thư dài"'}
    assert difference["examples"] == ["t0", "t3", "t6"]
    assert found(replay(province, "--json", "--since", "30d", draft))["messages"] == MANY + 1


def test_the_live_policy_changes_nothing(province: Province) -> None:
    """Exit code 0: what decided then decides the same now."""
    result = replay(province, province.directory / "policies")
    assert result.exit_code == 0
    assert f"0 trong {MANY} thư sẽ được xử lý khác." in result.stdout


def test_people_read_it_in_80_columns(province: Province, draft: Path) -> None:
    """The number first, then each difference with its examples."""
    lines = replay(province, draft).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"  {MANY // 3} of {MANY} messages would be treated differently." in lines
    assert f"{MANY // 3} x outbound: sign-official-mail -> hold-long" in lines


def test_what_nobody_wrote_down_is_said(province: Province, draft: Path) -> None:
    """A draft that looks into contents cannot know of mail whose contents no rule had asked for."""
    (draft / "05.yaml").write_text(
        "rules: [{name: f, direction: outbound, when: {attachment: true}, then: {hold: {reason: xem}}}]\n", "utf-8"
    )
    assert found(replay(province, "--json", draft))["not_recorded"] == {"contents": MANY}
    assert "Chưa từng ghi / not recorded" in replay(province, draft).stdout


@pytest.mark.parametrize("since", ["7", "d", "0d", "7 d", "-7d", "100000d", "hom qua"])
def test_a_span_is_written_one_way(since: str) -> None:
    """What is no span and no time is refused, not guessed at."""
    with pytest.raises(SetupError):
        begin_of(since, NOW)


def test_spans_and_times_are_taken() -> None:
    """Hours, days, weeks before now; or a time, UTC without an offset."""
    assert NOW - begin_of("2w", NOW) == dt.timedelta(days=14)
    assert NOW - begin_of("12h", NOW) == dt.timedelta(hours=12)
    assert begin_of("2026-11-24T08:00+07:00", NOW) == dt.datetime(2026, 11, 24, 1, tzinfo=dt.UTC)


def test_no_past_mail_is_exit_code_2(draft: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A gateway that never remembered anything has no answer, and "nothing would change" would be one."""
    fresh = make_province(tmp_path_factory.mktemp("fresh"), ports=(1587, 1465, 1525), log_level="error")
    result = replay(fresh, draft)
    assert result.exit_code == 2
    assert "no past mail is remembered here" in result.stderr
