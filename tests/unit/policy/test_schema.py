"""From files to a policy: every mistake of every file in one run, and no rule that can do nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core.decision import Hold, PassUnchanged
from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.policy import conditions
from gateway.policy.schema import MAX_RULES, load_policy

if TYPE_CHECKING:
    from gateway.policy.model import Policy

HEAD = "rules:\n"


def load(*texts: str) -> Policy:
    """Return the policy of some files, named a, b, c ..."""
    return load_policy([(chr(ord("a") + index), text) for index, text in enumerate(texts)])


def refusal(*texts: str) -> list[str]:
    """Return the mistakes in some files."""
    with pytest.raises(SetupError) as caught:
        load(*texts)
    return list(caught.value.mistakes)


def row(name: str, when: str | None = None, *, then: str = "pass", direction: str = "outbound", more: str = "") -> str:
    """Return one rule on one line."""
    asked = f", when: {when}" if when is not None else ""
    return f"  - {{name: {name}, direction: {direction}{asked}, then: {then}{more}}}\n"


def test_files_count_in_their_order() -> None:
    """The rules of the first file come first, and each knows its place."""
    policy = load(
        HEAD + row("one", "{login: x}") + row("two", "{login: y}"), HEAD + row("three", then="{hold: {reason: z}}")
    )
    assert [(each.name, each.place) for each in policy.rules] == [
        ("one", "a:2:12"),
        ("two", "a:3:12"),
        ("three", "b:2:12"),
    ]
    assert policy.rules[2].decision == Hold("z")
    assert policy.rules[0].decision == PassUnchanged()
    assert [each.name for each in policy.outbound.steps] == ["one", "two", "three"]
    assert policy.inbound.steps == ()


def test_directions_are_kept_apart() -> None:
    """A rule without conditions in one direction hides nothing in the other."""
    policy = load(HEAD + row("out") + row("in", then="deliver", direction="inbound"))
    assert {each.direction for each in policy.rules} == set(Direction)
    assert [each.name for each in policy.inbound.steps] == ["in"]


def test_every_mistake_of_every_file_at_once() -> None:
    """Nothing hides anything else: unreadable files, unknown keys, wrong values, doubled names, in one error."""
    found = refusal(
        "rules:\n  - name: Ký\n    direction: outbund\n    then: pass\n  - direction: outbound\n    than: pass\n",
        "rules: [",
        HEAD + row("x", "{author: lan}", then="{sign: {key: personal}}") + row("y", more=", active: on"),
        HEAD + row("z") + row("z", direction="inbound", then="deliver"),
        "rulez: []",
        "[]",
    )
    assert [each.partition(": ")[0] for each in found] == [
        "a:2:11",
        "a:3:16",
        "a:6:5",
        "a:5:5",
        "a:5:5",
        "b:1:9",
        "c:2:51",
        "c:2:70",
        "c:3:56",
        "e:1:1",
        "e:1:1",
        "f:1:1",
        "d:3:12",
    ]
    text = "\n".join(found)
    for words in (
        "a name has lower-case letters",
        "did you mean 'outbound'",
        "unknown key 'than', did you mean 'then'?",
        "key 'then' is missing",
        "not a mailbox: 'lan'",
        "key 'if_unable' is missing",
        "must be true or false",
        "a rule named 'z' is already at d:2:12",
    ):
        assert words in text


def test_reading_mistakes_refuse_the_file() -> None:
    """A doubled key is not silently the last one: `then: refuse` twice must not become `then: pass`."""
    (mistake,) = refusal("rules:\n  - name: x\n    direction: outbound\n    then: pass\n    then: pass\n")
    assert mistake == "a:5:5: key 'then' stands here again; it is first at line 4"


@pytest.mark.parametrize("text", ["", "rules:", "rules: []", "rules: {}", "rules: x", "# nothing"])
def test_a_file_without_rules_is_a_mistake(text: str) -> None:
    """An emptied file would silently change what happens to mail."""
    assert refusal(text)


def test_a_rule_that_is_never_reached_is_a_mistake() -> None:
    """Behind a rule that takes all its mail a rule cannot do anything; the one before is named with its place."""
    found = refusal(
        HEAD + row("domain", '{author: "@x.example"}') + row("person", "{author: lan@x.example, larger_than: 5}"),
        HEAD + row("all") + row("last", "{login: x}"),
    )
    assert found == [
        "a:3:12: rule 'person' is never reached: 'domain' (a:2:12) already takes all mail it asks for",
        "b:3:12: rule 'last' is never reached: 'all' (b:2:12) applies to all mail",
    ]


def test_the_first_rule_that_hides_is_named() -> None:
    """With several rules before, the first that takes all its mail is the one to look at."""
    (mistake,) = refusal(
        HEAD
        + row("size", "{larger_than: 5}")
        + row("sender", "{author: lan@x.example}")
        + row("both", "{author: lan@x.example, larger_than: 5}")
    )
    assert "'size' (a:2:12)" in mistake


def test_inactive_rules_hide_nothing_and_are_still_checked() -> None:
    """A rule that is off may stand anywhere, but it must be right: it will be turned on in a hurry."""
    policy = load(HEAD + row("off", more=", active: false") + row("on") + row("later", more=", active: false"))
    assert [each.name for each in policy.outbound.steps] == ["on"]
    assert [each.active for each in policy.rules] == [False, True, False]
    assert refusal(HEAD + row("off", "{author: lan}", more=", active: false"))
    assert refusal(HEAD + row("x", more=", active: false") + row("x"))


def test_the_digest_names_the_content() -> None:
    """Layout and YAML comments do not change it; values, order, and what is off do."""
    one = load(HEAD + row("a", "{login: x}") + row("b"))
    same = load(
        "# comment\nrules:\n- direction: outbound\n  name: 'a'\n  then: pass\n  when:\n    login: x\n", HEAD + row("b")
    )
    assert one.digest == same.digest
    assert len(one.digest) == 64
    others = (
        HEAD + row("a", "{login: y}") + row("b"),
        HEAD + row("b", "{login: x}") + row("a"),
        HEAD + row("a", "{login: x}") + row("b") + row("c", more=", active: false"),
    )
    assert len({one.digest, *(load(each).digest for each in others)}) == 4


def test_keys_named_by_label_are_listed() -> None:
    """The start-up check looks for each key that an active rule names."""
    named = "{{sign: {{key: {{label: {}}}, if_unable: hold}}}}"
    policy = load(
        HEAD
        + row("a", "{login: x}", then=named.format("so-y-te"))
        + row("b", "{login: y}", then=named.format("off"), more=", active: false")
        + row("c")
    )
    assert policy.key_labels == {"so-y-te"}


def test_the_number_of_rules_is_bounded() -> None:
    """2,000 rules are taken, one more is refused: a delegated file must not stop the gateway for long."""
    lines = [row(f"r{n}", f"{{login: u{n}}}") for n in range(MAX_RULES)]
    assert len(load(HEAD + "".join(lines[:1000]), HEAD + "".join(lines[1000:])).rules) == MAX_RULES
    (mistake,) = refusal(HEAD + "".join(lines[:1000]), HEAD + "".join(lines[1000:]), HEAD + row("more", "{login: z}"))
    assert mistake == f"c:2:12: more than {MAX_RULES} rules"


def comparisons(count: int) -> int:
    """Return how many pairs of rules are compared when so many are loaded, all for one author's domain."""
    lines = [row(f"r{n}", f'{{author: "@x.example", recipient: r{n}@y.example}}') for n in range(count)]
    calls = 0

    def watch(frame: Any, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is conditions.covers.__code__

    sys.setprofile(watch)
    try:
        load(HEAD + "".join(lines))
    finally:
        sys.setprofile(None)
    return calls


def test_comparing_rules_does_not_grow_with_their_square() -> None:
    """Twice the rules cost twice the comparisons at most: a reload beside flowing mail stays short."""
    assert comparisons(200) <= 2 * comparisons(100) + 10


PREPARED = """\
rules:
  - {name: first, direction: inbound, active: false, when: {note: tag_words}, then: {hold: {reason: x}}}
  - {name: last, direction: inbound, then: deliver}
"""


def test_a_prepared_rule_can_be_turned_on_for_a_test() -> None:
    """It decides, its questions are answered, and nobody takes the result for the policy that is in force."""
    plain, tried = (load_policy([("f", PREPARED)], turned_on=on) for on in (frozenset(), frozenset({"first"})))
    assert [each.active for each in plain.rules] == [False, True]
    assert [each.active for each in tried.rules] == [True, True]
    assert [each.name for each in tried.inbound.steps] == ["first", "last"]
    assert (plain.asks_findings, tried.asks_findings) == (False, True)
    assert plain.digest != tried.digest
    assert plain.digest == load_policy([("g", PREPARED)]).digest


def test_only_a_rule_that_exists_can_be_turned_on() -> None:
    """A test of a rule that was renamed would test nothing."""
    with pytest.raises(SetupError) as caught:
        load_policy([("f", PREPARED)], turned_on=frozenset({"frist", "first"}))
    assert caught.value.mistakes == ("no rule is named 'frist'",)
