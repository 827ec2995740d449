"""First match wins, per recipient: the plan gives what a plain loop gives, and nobody is left without a ruling."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Mailbox
from gateway.core.decision import Deliver, Hold, OutboundDecision, Refuse
from gateway.core.envelope import Direction
from gateway.policy import conditions
from gateway.policy.conditions import Among, AnyOf, Condition, LargerThan
from gateway.policy.directory import PLACES
from gateway.policy.engine import (
    DEFAULT_INBOUND,
    DEFAULT_OUTBOUND,
    DEFAULT_RULE,
    plan,
    rule_inbound,
    rule_outbound,
)
from gateway.policy.model import Facts, Holds, Policy, Rule
from support.policies import CONDITIONS, FACTS, GROUPS, LAN, MAI, RECIPIENTS, SIMPLE, TOWN, facts, rule, seen_of

if TYPE_CHECKING:
    from collections.abc import Sequence

BINH = Mailbox.parse("binh@xa.hop.example")
NOTHING = plan([], DEFAULT_INBOUND)


def policy(*rules: Rule[OutboundDecision]) -> Policy:
    """Return a policy of outbound rules."""
    outbound = plan(rules, DEFAULT_OUTBOUND)
    return Policy(rules, outbound, NOTHING, "digest", frozenset(), directory=TOWN, groups=GROUPS)


def among(key: str, *values: str) -> Among:
    """Return a condition."""
    return Among(key, frozenset(values))


def naive(rules: Sequence[Rule[Any]], given_facts: Facts, recipients: Sequence[Mailbox]) -> dict[int, str]:
    """Return the name of the first rule that matches, for each recipient, as a reader of the file would find it."""
    found: dict[int, str] = {}
    for index, recipient in enumerate(recipients):
        view = seen_of(given_facts, recipient)
        active = (each for each in rules if each.active)
        found[index] = next(
            (each.name for each in active if all(one.holds(view) for one in each.conditions)), DEFAULT_RULE
        )
    return found


@st.composite
def rule_lists(draw: st.DrawFn) -> list[Rule[OutboundDecision]]:
    """Rules with random conditions, some of them off."""
    bodies = draw(st.lists(st.tuples(st.lists(SIMPLE | CONDITIONS, max_size=3), st.booleans()), max_size=8))
    return [rule(f"r{n}", *body, active=active or n % 2 == 0) for n, (body, active) in enumerate(bodies)]


@given(rule_lists(), FACTS, RECIPIENTS)
def test_the_plan_gives_what_a_plain_loop_gives(
    rules: list[Rule[OutboundDecision]], given_facts: Facts, recipients: list[Mailbox]
) -> None:
    """The index and the order of questions change the cost only; every recipient is in exactly one share."""
    shares = rule_outbound(policy(*rules), given_facts, recipients)
    found = {index: share.ruling.rule for share in shares for index in share.indexes}
    assert found == naive(rules, given_facts, recipients)
    assert sorted(index for share in shares for index in share.indexes) == list(range(len(recipients)))
    decisions = {each.name: each.decision for each in rules} | {DEFAULT_RULE: DEFAULT_OUTBOUND}
    assert all(share.ruling.decision == decisions[share.ruling.rule] for share in shares)
    names = [share.ruling.rule for share in shares]
    assert len(set(names)) == len(names)


def test_recipients_are_sorted_out() -> None:
    """One message may have several rulings; recipients stay with their indexes, in order."""
    shares = rule_outbound(
        policy(rule("xa", among("recipient", "@*.hop.example")), rule("lan", among("recipient", "mai@hop.example"))),
        facts(),
        (BINH, MAI, LAN, BINH),
    )
    assert [(each.indexes, each.ruling.rule) for each in shares] == [
        ((0, 3), "xa"),
        ((1,), "lan"),
        ((2,), DEFAULT_RULE),
    ]


def test_the_default_is_visible_and_fails_closed() -> None:
    """Outbound mail that no rule speaks for is refused in two languages, inbound mail is delivered with its tags."""
    (share,) = rule_outbound(policy(), facts(), (MAI,))
    assert isinstance(share.ruling.decision, Refuse)
    assert share.ruling.decision.vietnamese
    assert share.ruling.decision.english
    assert share.ruling.rule == DEFAULT_RULE
    (share,) = rule_inbound(policy(), facts(), (MAI,))
    assert share.ruling.decision == Deliver()


def test_no_recipients_no_shares() -> None:
    """An empty envelope makes no share: there is nobody to rule for."""
    assert rule_outbound(policy(rule("all")), facts(), ()) == ()


def test_inactive_rules_do_nothing() -> None:
    """A rule that is off is not there, not even in the trace."""
    (share,) = rule_outbound(policy(rule("off", active=False), rule("on")), facts(), (MAI,))
    assert share.ruling.rule == "on"
    assert "off" not in " ".join(share.ruling.trace)


def test_the_trace_explains() -> None:
    """The trace says why each rule before did not match, and why this one did; the digest names the policy."""
    rules = (
        rule("big", LargerThan(5000)),
        rule("elsewhere", among("author", "x@y.example")),
        rule("hop", among("login", "lan"), among("recipient", "@so.example")),
        rule("last", among("listener", "submission")),
    )
    (share,) = rule_outbound(policy(*rules), facts(), (MAI,))
    assert share.ruling.trace == (
        "1 rules are about other authors, logins, groups, agencies or recipients",
        "big: no, it asks for larger_than 5000",
        "hop: no, it asks for recipient @so.example",
        "last: yes: listener submission",
    )
    assert share.ruling.policy_digest == "digest"


def test_equal_facts_get_equal_rulings() -> None:
    """The engine keeps nothing between two messages: an explanation cannot differ from what happened."""
    chosen = policy(rule("hop", among("recipient", "@hop.example")), rule("rest"))
    first = rule_outbound(chosen, facts(), (MAI, LAN))
    rule_outbound(chosen, facts(author=None, login=None, size=9), (BINH,))
    assert rule_outbound(chosen, facts(), (MAI, LAN)) == first


def evaluations(rules: Sequence[Rule[OutboundDecision]], recipients: Sequence[Mailbox]) -> int:
    """Return how many conditions are asked for one message."""
    chosen = policy(*rules)
    count = 0

    def watch(frame: Any, event: str, _: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_name == "holds" and frame.f_code.co_filename == conditions.__file__

    sys.setprofile(watch)
    try:
        rule_outbound(chosen, facts(), recipients)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("key", ["author", "login", "recipient", "reverse_path", "group", "agency", "recipient_agency"])
def test_a_thousand_rules_cost_what_ten_cost(key: str) -> None:
    """Rules about others are not even looked at: the number of questions does not grow with the number of rules."""

    def rules(count: int) -> list[Rule[OutboundDecision]]:
        others: list[Condition] = [among(key, f"p{n}@elsewhere.example") for n in range(count)]
        return [*(rule(f"r{n}", LargerThan(1), each) for n, each in enumerate(others)), rule("last", LargerThan(0))]

    few = evaluations(rules(10), (MAI, BINH))
    assert few > 0
    assert evaluations(rules(1000), (MAI, BINH)) == few


def test_rules_of_alternatives_are_led_to_by_each_of_them() -> None:
    """A rule for any of several people costs others nothing either, and still finds each of them."""

    def rules(count: int) -> list[Rule[OutboundDecision]]:
        pairs = ((among("author", f"p{n}@b.example"), among("login", f"p{n}")) for n in range(count))
        return [*(rule(f"r{n}", AnyOf(pair)) for n, pair in enumerate(pairs)), rule("last", LargerThan(0))]

    assert evaluations(rules(1000), (MAI,)) == evaluations(rules(10), (MAI,)) == 1
    chosen = policy(*rules(10))
    (share,) = rule_outbound(chosen, facts(login="p7"), (MAI,))
    assert share.ruling.rule == "r7"
    (share,) = rule_outbound(chosen, facts(author=Mailbox.parse("p3@b.example")), (MAI,))
    assert share.ruling.rule == "r3"


def test_what_was_released_is_not_held_again() -> None:
    """For released mail rules that hold are passed over, in the open; every other rule still speaks."""
    refuse = Rule("no", Direction.OUTBOUND, "", True, (LargerThan(0),), Refuse("không", "no"), "f.yaml:1:1")
    chosen = policy(rule("keep"), refuse)
    (share,) = rule_outbound(chosen, facts(), (MAI,), holds=Holds.SKIP)
    assert share.ruling.rule == "no"
    assert share.ruling.trace[0] == "keep: passed over, an administrator released the message"
    (share,) = rule_outbound(chosen, facts(), (MAI,))
    assert share.ruling.rule == "keep"


@pytest.mark.parametrize(
    ("author", "recipient", "wanted"),
    [
        ("b@x.example", "a@x.example", "inside"),
        ("b@x.example", "a@y.x.example", "other_agency"),
        ("b@x.example", "a@example", "other_agency"),
        ("b@x.example", "b@z.test", "inside"),
        ("b@x.example", "b@example", "outside"),
        ("b@z.test", "a@x.example", "other_agency"),
        ("b@z.test", "b@z.test", "inside"),
        ("a@example", "a@y.x.example", "inside"),
        (None, "a@x.example", "other_agency"),
    ],
)
def test_where_a_recipient_is(author: str | None, recipient: str, wanted: str) -> None:
    """Inside is the author's own agency and what is ours and nobody's; an agency is another's by mailbox or domain."""
    sender = Mailbox.parse(author) if author is not None else None
    rules = [rule(place, among("recipient_is", place)) for place in PLACES]
    (share,) = rule_outbound(policy(*rules), facts(author=sender), (Mailbox.parse(recipient),))
    assert share.ruling.rule == wanted


def test_groups_have_mailboxes_domains_and_logins() -> None:
    """A message is a group's by its author or by its login."""
    chosen = policy(rule("heads", among("group", "heads")), rule("guests", among("group", "guests")))

    def found(**changed: Any) -> str:
        (share,) = rule_outbound(chosen, facts(**changed), (MAI,))
        return share.ruling.rule

    assert found(author=Mailbox.parse("A@X.example")) == "heads"
    assert found(author=Mailbox.parse("b@z.test")) == "heads"
    assert found(login="mai") == "guests"
    assert found(author=Mailbox.parse("b@x.example"), login="Mai") == DEFAULT_RULE
    assert found(author=None, login=None) == DEFAULT_RULE


def test_once_per_message_is_asked_once() -> None:
    """What does not depend on the recipient is not asked again for each of a thousand recipients."""
    crowd = [Mailbox("r", "hop.example")] * 1000
    assert evaluations([rule(f"r{n}", LargerThan(10**6)) for n in range(10)], crowd) == 10


def test_a_hold_is_a_hold() -> None:
    """The decision is the rule's own object, not a copy of its name."""
    (share,) = rule_outbound(policy(rule("keep")), facts(), (MAI,))
    assert share.ruling.decision == Hold("keep")
