"""Decisions as lines, facts as plain values: nothing is lost that a replay compares."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from gateway.core.boundary import BoundaryResults
from gateway.core.contents import Attachment, Contents, Marking, Wish
from gateway.core.decision import (
    Carriage,
    DateGap,
    Deliver,
    Footer,
    Hold,
    IfUnable,
    InboundDecision,
    KeyChoice,
    OutboundDecision,
    PassUnchanged,
    Quarantine,
    Refuse,
    Sign,
    SignatureForm,
    SubjectTag,
)
from gateway.policy.describe import describe, recalled, remembered
from gateway.policy.findings import Findings
from support.policies import FACTS, TOWN, facts, judged

if TYPE_CHECKING:
    from gateway.policy.model import Facts

SIGN = Sign(KeyChoice.PERSONAL, IfUnable.REFUSE)
TRAVEL = Carriage((("X-A", "đi"),), "out")
ALL: list[tuple[OutboundDecision | InboundDecision, str]] = [
    (SIGN, "sign personal clear if_unable=refuse date_gap=omit_signing_time"),
    (
        Sign(
            KeyChoice.PERSONAL_ELSE_ORGANIZATION,
            IfUnable.HOLD,
            "s",
            SignatureForm.OPAQUE,
            DateGap.REFUSE,
            Footer("a", "b"),
            protect_headers=True,
            for_other_addresses=True,
        ),
        'sign label=s opaque if_unable=hold date_gap=refuse footer="a","b" protect_headers for_other_addresses',
    ),
    (PassUnchanged(), "pass"),
    (PassUnchanged(TRAVEL), 'pass add_header=X-A:"đi" route=out'),
    (Deliver(), "deliver"),
    (Deliver(TRAVEL), 'deliver add_header=X-A:"đi" route=out'),
    (Deliver(subject=SubjectTag.BAD_ONLY), "deliver subject_tag=bad_only"),
    (Deliver(TRAVEL, SubjectTag.OFF), 'deliver subject_tag=off add_header=X-A:"đi" route=out'),
    (Hold('chờ "duyệt"'), 'hold "chờ \\"duyệt\\""'),
    (Quarantine("x"), 'quarantine "x"'),
    (Refuse("không", "no"), 'refuse "không" "no"'),
]


@pytest.mark.parametrize(("decision", "line"), ALL, ids=[line for _, line in ALL])
def test_each_decision_has_its_line(decision: OutboundDecision | InboundDecision, line: str) -> None:
    """The lines are kept in the store for months: they must not change."""
    assert describe(decision) == line


def test_different_decisions_have_different_lines() -> None:
    """Each field shows: a replay would not see a change in one that does not."""
    changed = [
        SIGN,
        *(replace(SIGN, key=each) for each in KeyChoice if each is not SIGN.key),
        *(replace(SIGN, if_unable=each) for each in IfUnable if each is not SIGN.if_unable),
        replace(SIGN, label="a"),
        replace(SIGN, form=SignatureForm.OPAQUE),
        *(replace(SIGN, date_gap=each) for each in DateGap if each is not SIGN.date_gap),
        replace(SIGN, footer=Footer("a", "b,c")),
        replace(SIGN, footer=Footer('a","b', "c")),
        replace(SIGN, protect_headers=True),
        replace(SIGN, for_other_addresses=True),
        replace(SIGN, carriage=Carriage((("X-A", "a"),))),
        replace(SIGN, carriage=Carriage((("X-A", "a"), ("X-B", "b")))),
        replace(SIGN, carriage=Carriage((), "a")),
        Deliver(),
        *(Deliver(subject=each) for each in SubjectTag),
        Refuse("a", "b"),
        Refuse('a" "b', "c"),
    ]
    assert len({describe(each) for each in changed}) == len(changed)


@given(FACTS)
def test_facts_come_back(message: Facts) -> None:
    """What is remembered, as JSON, gives the same facts: the same rules match."""
    assert recalled(json.loads(json.dumps(remembered(message)))) == message


def test_every_fact_comes_back() -> None:
    """Also those that the other test leaves at their defaults."""
    message = facts(
        author=None,
        fields={"X-App": ("MỘT CỬA",)},
        wish=Wish.DECLINE,
        judgment=judged("first_contact", "tag_words", family="gov", headers=True),
        boundary=BoundaryResults(spf="pass", dkim="neutral", dmarc="fail"),
        directory=TOWN,
        contents=Contents(
            (Attachment("Đơn.pdf", "application/pdf", 7, signed_pdf=True),),
            frozenset({"x.example"}),
            frozenset({Marking.MAT}),
            complete=False,
        ),
    )
    assert message.findings == Findings(
        frozenset({"first_contact", "tag_words"}),
        frozenset({"gov"}),
        frozenset({"ax"}),
        headers_signed=True,
        boundary=frozenset({"spf_pass", "dkim_neutral", "dmarc_fail"}),
    )
    assert message.fields == {"x-app": ("một cửa",)}
    assert recalled(json.loads(json.dumps(remembered(message)))) == message


@pytest.mark.parametrize(
    "spoilt",
    [{"author": 7}, {"at": None}, {"wish": "perhaps"}, {"contents": []}, {"findings": {"notes": []}}, {"author": "x"}],
)
def test_anything_else_is_refused(spoilt: dict[str, object]) -> None:
    """A store of another version must not be read as something it is not."""
    plain = {**remembered(facts()), **spoilt}
    with pytest.raises(ValueError, match=r"\S"):
        recalled(plain)
    with pytest.raises(ValueError, match="not the facts"):
        recalled({})
