"""Past mail on a draft: every difference is counted once per message, and what cannot be known is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from gateway.core.contents import Contents
from gateway.core.envelope import Direction
from gateway.core.past import PastMessage, PastRuling
from gateway.policy.describe import describe, remembered
from gateway.policy.engine import rule_outbound
from gateway.policy.replay import EXAMPLES, replay
from gateway.policy.schema import load_policy
from support.policies import LAN, MAI, facts, judged

OLD: Final = """\
rules:
  - {name: to-hop, direction: outbound, when: {recipient: "@hop.example"}, then: pass}
  - {name: sign, direction: outbound, then: {sign: {key: personal, if_unable: refuse}}}
  - {name: in, direction: inbound, then: deliver}
"""


def policy(text: str = OLD) -> Any:
    """Return a policy."""
    return load_policy((("draft.yaml", text),))


def past(number: int = 1, *, text: str = OLD, **changed: Any) -> PastMessage:
    """Return a message to Mai and Lan as the old policy had ruled it."""
    seen = facts(**changed)
    shares = rule_outbound(policy(text), seen, (MAI, LAN))
    return PastMessage(
        f"t{number}",
        seen.at,
        Direction.OUTBOUND,
        remembered(seen),
        (str(MAI), str(LAN)),
        tuple(PastRuling(each.indexes, each.ruling.rule, describe(each.ruling.decision)) for each in shares),
        policy(text).digest,
    )


def test_the_same_rules_change_nothing() -> None:
    """A draft that is the live policy has no difference, whatever the mail."""
    found = replay(policy(), (past(), past(2, subject="khác")))
    assert (found.messages, found.changed, found.renamed, found.differences) == (2, 0, 0, ())


def test_each_way_is_counted_once_per_message_with_examples() -> None:
    """Two recipients of one message that change alike are one message; only the first trace ids are kept."""
    draft = policy(OLD.replace("then: pass}", "then: {hold: {reason: xem}}}").replace("personal", "organization"))
    found = replay(draft, [past(number) for number in range(5)])
    assert (found.messages, found.changed) == (5, 5)
    assert [(each.old.rule, each.new.decision.split()[0], each.messages) for each in found.differences] == [
        ("sign", "sign", 5),
        ("to-hop", "hold", 5),
    ]
    assert found.differences[0].examples == ("t0", "t1", "t2")
    assert len(found.differences[0].examples) == EXAMPLES


def test_another_rule_with_the_same_decision_is_no_change() -> None:
    """What only has another name is counted apart, and told after the real changes."""
    found = replay(policy(OLD.replace("name: sign", "name: official")), (past(),))
    assert (found.changed, found.renamed) == (0, 1)
    (difference,) = found.differences
    assert not difference.other_decision
    assert (difference.old.rule, difference.new.rule) == ("sign", "official")


def test_what_was_not_written_down_is_said() -> None:
    """A draft that asks for contents or header fields nobody read then says for how many messages it cannot know."""
    asking = policy(
        "rules:\n"
        "  - {name: files, direction: outbound, when: {attachment: true}, then: {hold: {reason: xem}}}\n"
        "  - name: head\n    direction: outbound\n    when: {header_matches: {field: X-Loai, pattern: a}}\n"
        "    then: {hold: {reason: xem}}\n" + OLD.removeprefix("rules:\n")
    )
    known = past(2, contents=Contents(), fields={"X-Loai": ("b",)})
    found = replay(asking, (past(1), known))
    assert dict(found.unanswered) == {"contents": 1, "header x-loai": 1}


def test_mail_of_before_there_were_findings_cannot_answer() -> None:
    """It was remembered without notes and families: a draft that asks for them is told so, and nothing else is."""
    draft = policy(OLD.replace("then: deliver", "when: {note: tag_words}, then: deliver"))
    now = replace(
        past(), direction=Direction.INBOUND, rulings=(), facts=remembered(facts(judgment=judged("tag_words")))
    )
    before = replace(now, facts={key: value for key, value in now.facts.items() if key != "findings"})
    assert dict(replay(draft, (now, before, past())).unanswered) == {"findings": 1}
    assert dict(replay(policy(), (before,)).unanswered) == {}
    assert replay(policy(), (before,)).unreadable == 0


def test_a_record_of_another_version_is_never_called_unchanged() -> None:
    """Facts that cannot be read are counted as such."""
    broken = replace(past(), facts={"author": "x"})
    found = replay(policy(), (broken, replace(past(), recipients=("khong phai", "x"))))
    assert (found.messages, found.unreadable, found.changed) == (2, 2, 0)


def test_incoming_mail_meets_incoming_rules() -> None:
    """The direction decides which rules are tried."""
    seen = facts()
    message = replace(
        past(), direction=Direction.INBOUND, rulings=(PastRuling((0, 1), "in", "deliver"),), facts=remembered(seen)
    )
    draft = policy(OLD.replace("then: deliver", "then: {quarantine: {reason: xem}}"))
    (difference,) = replay(draft, (message,)).differences
    assert (difference.direction, difference.new.decision) == (Direction.INBOUND, 'quarantine "xem"')
