"""Delegated files: an agency's rules speak of its own mail only, and stand where the province lets them stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from gateway.core.address import Mailbox
from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.policy.engine import rule_inbound, rule_outbound
from gateway.policy.schema import MAX_AGENCY_RULES, AgencyFile, load_policy
from support.policies import FACTS, LAN, MAI, RECIPIENTS, TOWN, facts

if TYPE_CHECKING:
    from gateway.policy.model import Facts, Policy

MAIN = """\
rules:
  - {name: first, direction: outbound, when: {subject_contains: abc}, then: {hold: {reason: x}}}
  - agencies
  - {name: last, direction: outbound, then: {hold: {reason: x}}}
  - {name: in, direction: inbound, then: deliver}
"""
PASS = "  - {name: all, direction: outbound, then: pass}\n"
KEEP = "  - {name: keep, direction: inbound, then: {quarantine: {reason: x}}}\n"


def load(*texts: str, main: str = MAIN, agency: str = "ax") -> Policy:
    """Return a policy with the rules of one agency."""
    return load_policy(
        [("main", main)],
        agencies=[AgencyFile(agency, f"{agency}.yaml", f"rules:\n{text}") for text in texts],
        directory=TOWN,
    )


def refusal(*texts: str, main: str = MAIN, agency: str = "ax") -> list[str]:
    """Return the mistakes."""
    with pytest.raises(SetupError) as caught:
        load(*texts, main=main, agency=agency)
    return list(caught.value.mistakes)


@given(FACTS, RECIPIENTS)
def test_a_rule_for_all_is_a_rule_for_the_agencys_own(message: Facts, recipients: list[Mailbox]) -> None:
    """An agency's rule without any condition touches its own authors outbound and its own recipients inbound."""
    policy = load(PASS + KEEP)
    own = message.author is not None and TOWN.agency_of(message.author) == "ax"
    for share in rule_outbound(policy, message, recipients):
        if share.ruling.rule == "ax/all":
            assert own
            assert "abc" not in message.subject
        elif share.ruling.rule == "last":
            assert not own
    for share in rule_inbound(policy, message, recipients):
        assert {TOWN.agency_of(recipients[index]) == "ax" for index in share.indexes} == {
            share.ruling.rule == "ax/keep"
        }


def test_the_order_is_the_provinces() -> None:
    """Rules before the marker are mandatory, those behind it come last; names bear the agency's id."""
    policy = load(PASS)
    assert [each.name for each in policy.rules] == ["first", "ax/all", "last", "in"]
    (share,) = rule_outbound(policy, facts(author=Mailbox.parse("a@x.example"), subject="abc"), (MAI,))
    assert share.ruling.rule == "first"


def test_two_agencies_may_use_one_name() -> None:
    """Administrators who do not know each other cannot be in each other's way."""
    agencies = [AgencyFile(each, f"{each}.yaml", f"rules:\n{PASS}") for each in ("ax", "ay")]
    policy = load_policy([("main", MAIN)], agencies=agencies, directory=TOWN)
    assert [each.name for each in policy.rules][1:3] == ["ax/all", "ay/all"]
    (share,) = rule_outbound(policy, facts(author=Mailbox.parse("a@y.x.example")), (MAI,))
    assert share.ruling.rule == "ay/all"


def test_an_agency_uses_what_the_province_says_and_its_own() -> None:
    """Profiles and groups of the province are there; its own are known to nobody else."""
    main = "defaults: {key: personal, if_unable: hold}\nprofiles: {office: {key: organization}}\n" + MAIN
    own = (
        "  - {name: x, direction: outbound, when: {group: mine}, then: {sign: {profile: office}}}\n"
        "groups: {mine: {mailboxes: [a@x.example, '@*.test']}}\n"
    )
    policy = load(own, main=main)
    (share,) = rule_outbound(policy, facts(author=Mailbox.parse("a@x.example")), (MAI,))
    assert share.ruling.rule == "ax/x"
    (share,) = rule_outbound(policy, facts(author=Mailbox.parse("b@z.test")), (MAI,))
    assert share.ruling.rule == "last"
    assert policy.groups["a@x.example"] == {"ax/mine"}
    other = main.replace("  - agencies\n", "  - {name: y, direction: outbound, when: {group: mine}, then: pass}\n")
    assert "no group is named 'mine'" in refusal(own, main=other + "  - agencies\n")[0]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "  - {name: x, direction: outbound, when: {author: a@y.x.example}, then: pass}\n",
            "no mailbox of agency 'ax'",
        ),
        ("  - {name: x, direction: outbound, when: {author: '<none>'}, then: pass}\n", "no mailbox of agency 'ax'"),
        (
            "  - {name: x, direction: outbound, when: {not: {author: [a@x.example, b@z.test]}}, then: pass}\n",
            "'b@z.test' is no mailbox of agency 'ax'",
        ),
        ("  - {name: x, direction: inbound, when: {recipient: b@z.test}, then: deliver}\n", "no mailbox of agency"),
        ("  - {name: x, direction: outbound, then: {pass: {route: away}}}\n", "'route' is not for an agency's own"),
        (
            "  - {name: x, direction: outbound, then: {sign: {for_other_addresses: true}}}\n",
            "'for_other_addresses' is not for an agency's own rules",
        ),
        (PASS + "profiles: {p: {route: away}}\n", "unknown key 'route'"),
        (PASS + "defaults: {key: personal}\n", "unknown key 'defaults'"),
        (PASS + "  - agencies\n", "must be a section with keys (name"),
        (PASS + PASS, "a rule named 'ax/all' is already at ax.yaml:2:12"),
    ],
)
def test_what_an_agency_may_not_say(text: str, wanted: str) -> None:
    """Other people's mailboxes, the province's routes and levels, and lending its key's name are not delegated."""
    assert any(wanted in each for each in refusal(text))


def test_an_agency_may_name_its_own_and_outsiders() -> None:
    """Recipients of its mail and authors of mail to it may be anybody."""
    text = (
        "  - {name: x, direction: outbound, when: {author: a@x.example, recipient: b@z.test}, then: pass}\n"
        "  - {name: y, direction: inbound, when: {author: b@z.test, recipient: b@x.example}, then: deliver}\n"
        "  - {name: z, direction: outbound, when: {author: '@x.example'}, then: pass}\n"
    )
    assert len(load(text).rules) == 6


def test_an_unknown_agency_is_a_mistake() -> None:
    """A file nobody's registry knows would never apply to anything."""
    assert refusal(PASS, agency="az") == [
        "az.yaml:1:1: no agency in the registry has the id 'az', after which this file is named"
    ]


def test_the_place_must_be_said_once() -> None:
    """Without the marker nobody knows what is mandatory; with two of them neither."""
    without = MAIN.replace("  - agencies\n", "")
    assert "no file says where agencies' rules stand" in refusal(PASS, main=without)[0]
    twice = MAIN + "  - agencies\n"
    assert refusal(PASS, main=twice) == ["main:6:5: 'agencies' stands here again; it is first at main:3:5"]
    assert [each.name for each in load_policy([("main", MAIN)]).rules] == ["first", "last", "in"]


def test_no_agency_uses_up_what_is_there_for_all() -> None:
    """The number of one agency's rules is bounded."""
    rows = [f"  - {{name: r{n}, direction: outbound, when: {{login: u{n}}}, then: pass}}\n" for n in range(101)]
    assert len(load("".join(rows[:MAX_AGENCY_RULES])).rules) == MAX_AGENCY_RULES + 3
    assert "more than 100 rules for one agency" in refusal("".join(rows))[0]


def test_no_agency_uses_up_the_patterns_of_all() -> None:
    """Each keeps memory: one agency has 20 of the 200."""
    rows = [
        f"  - {{name: r{n}, direction: outbound, when: {{subject_matches: x{n}}}, then: pass}}\n" for n in range(21)
    ]
    assert load("".join(rows[:20]))
    assert refusal("".join(rows)) == ["ax.yaml:22:62: more than 200 patterns in all rules, or 20 in an agency's"]


def test_the_digest_names_agencies_and_who_is_whose() -> None:
    """Another agency's file, another place of the marker, another registry: another policy."""

    class Elsewhere(type(TOWN)):  # type: ignore[misc]  # the town, and one answer changed
        digest = "elsewhere"

    plain = load_policy([("main", MAIN)], directory=TOWN).digest
    moved = MAIN.replace("  - agencies\n", "") + "  - agencies\n"
    found = {
        plain,
        load(PASS).digest,
        load(PASS, agency="ay").digest,
        load(KEEP).digest,
        load_policy([("main", moved)], directory=TOWN).digest,
        load_policy([("main", MAIN)], directory=Elsewhere()).digest,
        load_policy([("main", MAIN)]).digest,
    }
    assert len(found) == 7


def test_directions_have_their_own_bounds() -> None:
    """Outbound it is the author who must be theirs, inbound the recipient."""
    policy = load(PASS + KEEP)
    bounds = {each.direction: [str(one) for one in each.conditions] for each in policy.rules if "/" in each.name}
    assert bounds == {Direction.OUTBOUND: ["agency ax"], Direction.INBOUND: ["recipient_agency ax"]}
    assert rule_inbound(policy, facts(author=Mailbox.parse("a@x.example")), (LAN,))[0].ruling.rule == "in"
