"""Defaults <- profile <- rule: the nearest level counts, the trace says which, and no key comes from nowhere."""

from __future__ import annotations

import pytest

from gateway.core.decision import Carriage, DateGap, Footer, IfUnable, KeyChoice, Sign, SignatureForm
from gateway.core.errors import SetupError
from gateway.policy.engine import rule_outbound
from gateway.policy.schema import load_policy
from support.policies import MAI, facts

LEVELS = """\
defaults: {key: personal, if_unable: hold, footer: {vi: chân, en: foot}, protect_headers: true}
profiles:
  office: {key: organization, form: opaque, add_header: {X-Office: Sở}, route: archive}
  odd: {date_gap: refuse}
"""


def load(then: str, levels: str = LEVELS) -> tuple[Sign, str]:
    """Return what the one rule decides, and the line of the trace that explains it."""
    policy = load_policy([("f", f"{levels}rules:\n  - {{name: x, direction: outbound, then: {then}}}\n")])
    (share,) = rule_outbound(policy, facts(), (MAI,))
    assert isinstance(share.ruling.decision, Sign)
    return share.ruling.decision, share.ruling.trace[-1]


def refusal(then: str, levels: str = LEVELS) -> list[str]:
    """Return the mistakes."""
    with pytest.raises(SetupError) as caught:
        load(then, levels)
    return list(caught.value.mistakes)


FOOT = Footer("chân", "foot")
DEFAULTS = Sign(KeyChoice.PERSONAL, IfUnable.HOLD, footer=FOOT, protect_headers=True)


@pytest.mark.parametrize("then", ["sign", "{sign: {}}"])
def test_the_defaults_alone_are_enough(then: str) -> None:
    """A rule that only says "sign" signs as the visible defaults say."""
    decision, line = load(then)
    assert decision == DEFAULTS
    assert line.endswith("key: defaults, if_unable: defaults, footer: defaults, protect_headers: defaults")


def test_the_nearest_level_counts() -> None:
    """The rule before its profile, the profile before the defaults; the trace names the level of each value."""
    decision, line = load("{sign: {profile: office, if_unable: refuse, protect_headers: false}}")
    assert decision == Sign(
        KeyChoice.ORGANIZATION,
        IfUnable.REFUSE,
        form=SignatureForm.OPAQUE,
        footer=FOOT,
        carriage=Carriage((("X-Office", "Sở"),), "archive"),
    )
    assert line.endswith(
        "; key: profile office, if_unable: rule, form: profile office, footer: defaults, protect_headers: rule, "
        "add_header: profile office, route: profile office"
    )


def test_every_value_can_stand_in_the_rule() -> None:
    """A rule needs no level: everything that signing knows can be said in it."""
    decision, _ = load(
        "{sign: {key: {label: so-y-te}, if_unable: send_unsigned, form: opaque, date_gap: replace_date, "
        "footer: {vi: a, en: b}, protect_headers: true, for_other_addresses: true, "
        "add_header: {X-A: b, Organization: UBND}, route: other}}",
        "",
    )
    assert decision == Sign(
        KeyChoice.PERSONAL_ELSE_ORGANIZATION,
        IfUnable.SEND_UNSIGNED,
        "so-y-te",
        SignatureForm.OPAQUE,
        DateGap.REPLACE_DATE,
        Footer("a", "b"),
        protect_headers=True,
        for_other_addresses=True,
        carriage=Carriage((("X-A", "b"), ("Organization", "UBND")), "other"),
    )


def test_a_footer_can_be_taken_back() -> None:
    """Otherwise a default footer could never be left out."""
    assert load("{sign: {footer: none}}")[0].footer is None


@pytest.mark.parametrize(
    ("then", "levels", "wanted"),
    [
        ("sign", "", ["'sign' needs more"]),
        ("sign", "defaults: {form: opaque}\n", ["key 'key' is missing", "key 'if_unable' is missing"]),
        ("{sign: {if_unable: hold}}", "", ["key 'key' is missing: it must stand in the rule, its profile or the"]),
        ("{sign: {profile: odd}}", "profiles: {odd: {key: personal}}\n", ["key 'if_unable' is missing"]),
        ("{sign: {profile: none}}", LEVELS, ["no profile is named 'none' (known: odd, office)"]),
        ("sign", "defaults: {key: personal, if_unable: hold, for_other_addresses: true}\n", ["unknown key 'for_other"]),
        ("sign", "defaults: {key: personal, if_unable: hold, route: x}\n", ["unknown key 'route'"]),
        ("sign", "defaults: {key: personel, if_unable: hold}\n", ["f:1:17: must be one of: personal"]),
        ("sign", "profiles: {X: {}}\ndefaults: {key: personal, if_unable: hold}\n", ["a name has lower-case"]),
        ("sign", "profiles: {}\ndefaults: {key: personal, if_unable: hold}\n", ["must be a section: the name of"]),
        ("{sign: {footer: nothing}}", LEVELS, ["must be one of: none"]),
        ("{sign: {footer: {vi: x}}}", LEVELS, ["key 'en' is missing"]),
    ],
)
def test_what_no_level_says_is_a_mistake(then: str, levels: str, wanted: list[str]) -> None:
    """Neither key nor "and if not?" is ever guessed; a wrong level is told once, where it is wrong."""
    found = refusal(then, levels)
    assert len(found) == len(wanted)
    for mistake, words in zip(found, wanted, strict=True):
        assert words in mistake


@pytest.mark.parametrize(
    "name",
    [
        "X-Gateway-Verdict",
        "x-gateway-anything",
        "X-Verified-Sender",
        "X-Original-Date",
        "Authentication-Results",
        "Received",
        "From",
        "Sender",
        "Subject",
        "Bcc",
        "Content-Type",
        "MIME-Version",
        "DKIM-Signature",
        "Return-Path",
        "List-Id",
        "Auto-Submitted",
        "X-Ä",
        "'X-A: b'",
        "'X A'",
        "X",
    ],
)
def test_fields_that_mean_something_are_nobodys_to_add(name: str) -> None:
    """A policy cannot write who sent a message, how it came, what it is made of, or what we found."""
    (mistake,) = refusal(f"{{sign: {{add_header: {{{name}: x}}}}}}")
    assert "header field" in mistake or "only the gateway" in mistake or "may not write" in mistake


def test_added_fields_are_bounded_and_named_once() -> None:
    """Ten fields, each name once whatever its case, and a text that breaks no line."""
    many = ", ".join(f"X-{n}: y" for n in range(11))
    assert "1 to 10 header fields" in refusal(f"{{sign: {{add_header: {{{many}}}}}}}")[0]
    assert "stands here twice" in refusal("{sign: {add_header: {X-a: b, x-A: c}}}")[0]
    assert "line breaks" in refusal('{sign: {add_header: {X-a: "b\\r\\nBcc: c"}}}')[0]
    assert "name of a hop" in refusal("{sign: {route: Out Side}}")[0]
