"""The `then` part of a rule: exactly one action, no default where security is chosen."""

from __future__ import annotations

import pytest

from gateway.core.decision import (
    Carriage,
    Deliver,
    Hold,
    IfUnable,
    KeyChoice,
    PassUnchanged,
    Quarantine,
    Refuse,
    Sign,
    SubjectTag,
)
from gateway.core.envelope import Direction
from gateway.policy.then import ACTIONS, Decision, read_decision
from gateway.yamlcheck import Checker
from gateway.yamltext import read_yaml


def read(text: str, direction: Direction = Direction.OUTBOUND) -> tuple[Decision | None, list[str]]:
    """Return decision and mistakes, without the file's name."""
    checker = Checker(read_yaml("f", text))
    found = read_decision(checker, checker.root, direction)
    return found.decision if found is not None else None, [each.removeprefix("f:") for each in checker.mistakes]


@pytest.mark.parametrize("choice", KeyChoice)
@pytest.mark.parametrize("if_unable", IfUnable)
def test_sign_says_which_key_and_what_else(choice: KeyChoice, if_unable: IfUnable) -> None:
    """Every choice of key goes with every answer to "and if not?"."""
    assert read(f"sign: {{key: {choice}, if_unable: {if_unable}}}") == (Sign(choice, if_unable), [])


def test_sign_with_one_named_key() -> None:
    """A key may be named by its label."""
    found, mistakes = read("sign: {key: {label: so-y-te}, if_unable: hold}")
    assert mistakes == []
    assert isinstance(found, Sign)
    assert (found.label, found.if_unable) == ("so-y-te", IfUnable.HOLD)


@pytest.mark.parametrize(
    ("text", "direction", "expected"),
    [
        ("pass", Direction.OUTBOUND, PassUnchanged()),
        ("hold: {reason: chờ duyệt}", Direction.OUTBOUND, Hold("chờ duyệt")),
        ("refuse: {vi: không, en: 'no'}", Direction.OUTBOUND, Refuse("không", "no")),
        ("deliver", Direction.INBOUND, Deliver()),
        ("hold: {reason: chờ duyệt}", Direction.INBOUND, Hold("chờ duyệt")),
        ("quarantine: {reason: giả}", Direction.INBOUND, Quarantine("giả")),
        ("refuse: {vi: không, en: 'no'}", Direction.INBOUND, Refuse("không", "no")),
    ],
)
def test_actions_are_read(text: str, direction: Direction, expected: Decision) -> None:
    """Each action of each direction."""
    assert read(text, direction) == (expected, [])


@pytest.mark.parametrize("word", SubjectTag)
def test_a_rule_chooses_the_tag_in_the_subject(word: SubjectTag) -> None:
    """Alone or beside other fields; without it the settings choose."""
    assert read(f"deliver: {{subject_tag: '{word}'}}", Direction.INBOUND) == (Deliver(subject=word), [])
    assert read(f"deliver: {{subject_tag: {word}, route: noi-khac}}", Direction.INBOUND) == (
        Deliver(Carriage((), "noi-khac"), word),
        [],
    )
    assert read("deliver: {route: noi-khac}", Direction.INBOUND) == (Deliver(Carriage((), "noi-khac")), [])


@pytest.mark.parametrize("text", ["none", "false", "[on]", "ON"])
def test_no_other_word_for_the_subject(text: str) -> None:
    """A word that is none of the three leaves no decision: mail is not tagged otherwise than somebody meant."""
    found, mistakes = read(f"deliver: {{subject_tag: {text}, route: r}}", Direction.INBOUND)
    assert found is None
    assert len(mistakes) == 1
    assert mistakes[0].startswith("1:24: ")


def test_no_action_of_the_other_direction() -> None:
    """Outgoing mail is not delivered or quarantined, incoming mail not signed or passed."""
    for text in ("deliver", "quarantine: {reason: x}"):
        assert read(text)[0] is None
    for text in ("pass", "sign: {key: personal, if_unable: hold}"):
        found, mistakes = read(text, Direction.INBOUND)
        assert found is None
        assert mistakes
    assert set(ACTIONS[Direction.OUTBOUND]) & set(ACTIONS[Direction.INBOUND]) == {"hold", "refuse"}


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("sign", ["1:1: 'sign' needs more: sign: {key: personal, if_unable: refuse}"]),
        ("hold", ["1:1: 'hold' needs more: hold: {reason: TEXT}"]),
        ("refuse", ["1:1: 'refuse' needs more: refuse: {vi: TEXT, en: TEXT}"]),
        ("pas", ["1:1: must be one of: sign, pass, hold, refuse, did you mean 'pass'?"]),
        ("pass: {}", ["1:7: needs one of add_header, route; without them write the word alone"]),
        ("{}", ["1:1: needs exactly one action (sign, pass, hold, refuse)"]),
        ("{hold: {reason: x}, refuse: {vi: x, en: y}}", ["1:1: needs exactly one action (sign, pass, hold, refuse)"]),
        ("{hold: {reason: x}, retry: 1}", ["1:21: unknown key 'retry'", "1:1: needs exactly one action"]),
        ("[pass]", ["1:1: must be a section with keys (sign, pass, hold, refuse)"]),
        ("7", ["1:1: must be text: put it in quotes"]),
        ("sign: {key: personal}", ["1:7: key 'if_unable' is missing"]),
        ("sign: {if_unable: hold}", ["1:7: key 'key' is missing"]),
        (
            "sign: {key: personel, if_unable: deliver}",
            [
                "1:13: must be one of: personal, organization, personal_else_organization, did you mean 'personal'?",
                "1:34: must be one of: refuse, hold, send_unsigned",
            ],
        ),
        ("sign: {key: {label: So Y Te}, if_unable: hold}", ["1:13: a label has lower-case letters, digits"]),
        ("sign: {key: {labl: x}, if_unable: hold}", ["1:14: unknown key 'labl'", "1:13: key 'label' is missing"]),
        ("sign: {key: [personal], if_unable: hold}", ["1:13: must be a section with keys (label)"]),
        ("hold: {}", ["1:7: key 'reason' is missing"]),
        ("hold: x", ["1:7: must be a section with keys (reason)"]),
        ("refuse: {vi: không}", ["1:9: key 'en' is missing"]),
        ('refuse: {vi: "a\\r\\n250 OK", en: "b"}', ["1:14: holds line breaks or control characters"]),
        ("refuse: {vi: '', en: no}", ["1:14: must be a text of 1 to"]),
    ],
)
def test_mistakes_have_their_place(text: str, mistakes: list[str]) -> None:
    """What is not exactly one known action with all it needs is a mistake, told where it stands."""
    found, told = read(text)
    assert found is None
    assert len(told) == len(mistakes)
    for each, wanted in zip(told, mistakes, strict=True):
        assert each.startswith(wanted)
