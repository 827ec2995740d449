"""What rules build on: groups, dates, names of things outside, and what a policy asks of a message."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.core.address import Mailbox
from gateway.core.contents import Contents
from gateway.core.errors import SetupError
from gateway.policy.engine import rule_outbound
from gateway.policy.model import Mention, Policy
from gateway.policy.schema import expired, load_policy
from support.policies import MAI, TOWN, facts


def load(*texts: str) -> Policy:
    """Return the policy of some files, named a, b ..."""
    return load_policy([(chr(ord("a") + n), text) for n, text in enumerate(texts)], directory=TOWN)


def refusal(*texts: str) -> list[str]:
    """Return the mistakes in some files."""
    with pytest.raises(SetupError) as caught:
        load(*texts)
    return list(caught.value.mistakes)


def row(name: str, when: str | None = None, then: str = "pass", more: str = "") -> str:
    """Return one outbound rule on one line."""
    asked = f", when: {when}" if when is not None else ""
    return f"  - {{name: {name}, direction: outbound{asked}, then: {then}{more}}}\n"


def test_groups_count_in_every_file() -> None:
    """They may be defined behind the rules that ask for them, and in another file."""
    policy = load(
        "rules:\n" + row("x", "{group: heads}") + row("y"),
        "groups:\n  heads: {mailboxes: [Lan@So.example, '@x.example'], logins: [Lan, lan@so.example]}\n"
        "  others: {logins: [Lan]}\n",
    )
    assert policy.groups == {
        "lan@so.example": {"heads"},
        "@x.example": {"heads"},
        "login:Lan": {"heads", "others"},
        "login:lan@so.example": {"heads"},
    }
    assert policy.warnings == ("b:3:3: no rule asks for the group 'others'",)


def test_a_login_that_looks_like_a_mailbox_is_no_mailbox() -> None:
    """Whoever logs in as a name does not become a group's member by writing From that name, nor the other way round."""
    policy = load(
        "groups:\n  g: {logins: [a@x.example]}\n  h: {mailboxes: [b@x.example]}\n"
        "rules:\n" + row("g", "{group: g}") + row("h", "{group: h}")
    )

    def found(author: str, login: str) -> str:
        (share,) = rule_outbound(policy, facts(author=Mailbox.parse(author), login=login), (MAI,))
        return share.ruling.rule

    assert found("a@x.example", "b@x.example") == "(default)"
    assert found("b@x.example", "c") == "h"
    assert found("c@x.example", "a@x.example") == "g"


def test_what_stands_once_stands_once() -> None:
    """Two files cannot each have their defaults, or a profile or group of one name."""
    text = "defaults: {key: personal, if_unable: hold}\nprofiles: {p: {}}\ngroups: {g: {logins: [x]}}\n"
    assert refusal(text, text) == [
        "b:1:1: defaults stands here again; it is first at a:1:1",
        "b:2:12: profile p stands here again; it is first at a:2:12",
        "b:3:10: group g stands here again; it is first at a:3:10",
    ]


def test_names_that_do_not_exist_are_mistakes() -> None:
    """A rule for a group or an agency nobody knows would never match, and nobody would see why."""
    found = refusal("groups: {g: {logins: [x]}}\nrules:\n" + row("x", "{group: [g, heads]}") + row("y", "{agency: az}"))
    assert found == [
        "a:3:54: no group is named 'heads' (known: g)",
        "a:4:51: no agency in the registry has the id 'az'",
    ]


def test_dates_belong_to_the_rule() -> None:
    """Outside its days a rule is not there; a bad or empty span is a mistake; a past one is told."""
    text = "rules:\n" + row("x", more=", from: 2026-03-04, until: '2026-03-05'") + row("rest")
    policy = load(text)

    def on(day: str) -> str:
        moment = dt.datetime.fromisoformat(f"{day}T12:00:00+07:00")
        (share,) = rule_outbound(policy, facts(at=moment), (MAI,))
        return share.ruling.rule

    assert [on(f"2026-03-0{n}") for n in range(3, 7)] == ["rest", "x", "x", "rest"]
    assert list(expired(policy, dt.date(2026, 3, 5))) == []
    assert list(expired(policy, dt.date(2026, 3, 6))) == ["a:2:12: rule 'x' ended on 2026-03-05"]
    assert "ends before it begins" in refusal("rules:\n" + row("x", more=", from: 2026-03-04, until: 2026-03-03"))[0]
    for day in ("2026-3-4", "2026-02-30", "04.03.2026", "20260304"):
        assert "must be a day" in refusal("rules:\n" + row("x", more=f", from: '{day}'"))[0]


def test_a_rule_for_a_time_hides_nothing_that_lasts() -> None:
    """Behind a rule that ends, the lasting one is reached; behind the lasting one, the other is not."""
    assert load("rules:\n" + row("x", more=", until: 2026-03-05") + row("rest"))
    assert "never reached" in refusal("rules:\n" + row("rest") + row("x", more=", until: 2026-03-05"))[0]


def test_what_is_asked_of_a_message() -> None:
    """Bodies are read and fields remembered only for active rules that ask, however deep."""
    deep = "{not: {any: [{login: x}, {all: [{header_matches: {field: X-App, pattern: a}}, {marking: mat}]}]}}"
    policy = load("rules:\n" + row("x", deep) + row("rest"))
    assert policy.asks_contents
    assert policy.asks_fields == {"x-app"}
    policy = load("rules:\n" + row("x", deep, more=", active: false") + row("rest"))
    assert not policy.asks_contents
    assert policy.asks_fields == frozenset()
    for asked in ("{attachment: true}", "{link: false}", "{partly_read: true}", "{attachment_name: x}"):
        assert load("rules:\n" + row("x", asked)).asks_contents


def test_names_from_outside_are_mentioned() -> None:
    """Hops, listeners and keys of active rules, each with its rule's place, for whoever knows them."""
    policy = load(
        "rules:\n"
        + row("x", "{not: {listener: inside}}", "{sign: {key: {label: k}, if_unable: hold, route: r}}")
        + row("y", "{listener: off}", "{pass: {route: off}}", ", active: false")
    )
    assert policy.mentions == (
        Mention("key", "k", "a:2:12"),
        Mention("hop", "r", "a:2:12"),
        Mention("listener", "inside", "a:2:12"),
    )


def test_patterns_are_counted_over_all_rules() -> None:
    """Each keeps memory: 200 are taken, one more is told at its place."""
    rows = [row(f"r{n}", f"{{subject_matches: 'x{n}'}}") for n in range(201)]
    assert load("rules:\n" + "".join(rows[:200]))
    assert refusal("rules:\n" + "".join(rows)) == [
        "a:202:63: more than 200 patterns in all rules, or 20 in an agency's"
    ]


@pytest.mark.parametrize(
    ("when", "wanted"),
    [
        ("{subject_matches: '('}", "a:2:60: not a pattern: missing ): ("),
        ("{header_matches: {field: X-A, pattern: '(?=a)'}}", "a:2:81: not a pattern: invalid perl operator: (?="),
        ("{header_matches: {field: 'A:', pattern: a}}", "a:2:67: not the name of a header field: 'A:'"),
        ("{header_matches: [x]}", "a:2:60: must be a section with keys (field, pattern)"),
        (f"{{subject_matches: {'x' * 201}}}", "a:2:60: a pattern has at most 200 characters"),
        ("{attachment_type: pdf}", "a:2:60: not a media type: 'pdf'"),
        ("{link_host: 'https://x.example'}", "a:2:54: not a mail domain: 'https://x.example'"),
        ("{hours: '17:00-17:00'}", "a:2:50: must be hours of the day"),
        ("{hours: '24:00-25:00'}", "a:2:50: must be hours of the day"),
        ("{hours: '12:00-24:30'}", "a:2:50: must be hours of the day"),
        ("{days: friday}", "a:2:49: unknown word 'friday'; days knows: mon, tue"),
        ("{attachment: 'yes'}", "a:2:55: must be true or false"),
    ],
)
def test_wrong_conditions_have_their_place(when: str, wanted: str) -> None:
    """The administrator is told where, and what would be right."""
    (mistake,) = refusal("rules:\n" + row("x", when))
    assert mistake.startswith(wanted)


def test_lending_a_name_is_told() -> None:
    """It is allowed in so many words, and still most clients show such mail as broken."""
    (warning,) = load(
        "rules:\n" + row("x", then="{sign: {key: organization, if_unable: hold, for_other_addresses: true}}")
    ).warnings
    assert warning.startswith("a:2:12: rule 'x' signs for addresses the key does not name")


def test_a_link_nobody_followed_may_lead_anywhere() -> None:
    """Where a limit ended the look, a rule about any host speaks: an attacker must not hide one behind many."""
    policy = load("rules:\n" + row("bad", "{link_host: '*.xau.example'}") + row("rest"))
    for hosts, wanted in (({"tot.example"}, "rest"), ({"a.xau.example"}, "bad"), ({"tot.example", "*"}, "bad")):
        (share,) = rule_outbound(policy, facts(contents=Contents(links=frozenset(hosts))), (MAI,))
        assert share.ruling.rule == wanted
    assert str(policy.rules[0].conditions[0]) == "link_host *.xau.example"
