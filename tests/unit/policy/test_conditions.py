"""Conditions, and when one set of them covers another."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.contents import Attachment, Contents, Marking, Wish
from gateway.policy.conditions import (
    AllOf,
    Among,
    AnyOf,
    Condition,
    Dates,
    Hours,
    LargerThan,
    Matches,
    Not,
    SubjectContains,
    covers,
    keys_asked,
    reach,
)
from gateway.policy.model import Facts, keys_of
from gateway.policy.patterns import expression, glob
from support.policies import CONDITIONS, FACTS, LAN, MAI, MAILBOXES, SIMPLE, Marks, seen_of, view

SETS = st.lists(SIMPLE | CONDITIONS, max_size=3).map(tuple)


def among(key: str, *values: str) -> Among:
    """Return a condition."""
    return Among(key, frozenset(values))


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (among("author", "lan@so.tinh.example"), True),
        (among("author", "@so.tinh.example"), True),
        (among("author", "@*.tinh.example"), True),
        (among("author", "@*.example"), True),
        (among("author", "@*.so.tinh.example"), False),
        (among("author", "@tinh.example"), False),
        (among("author", "mai@so.tinh.example", "lan@so.tinh.example"), True),
        (among("author", "<none>"), False),
        (among("recipient", "@hop.example"), True),
        (among("recipient", "@so.tinh.example"), False),
        (among("login", "lan"), True),
        (among("login", "lan@so.tinh.example"), False),
        (among("listener", "submission"), True),
        (among("reverse_path", "<>"), False),
        (among("reverse_path", "lan@so.tinh.example"), True),
        (among("form", "plain", "clear_signed"), True),
        (among("traits", "calendar"), False),
        (among("verdict", "unsigned"), False),
        (SubjectContains(frozenset({"cáo"})), True),
        (SubjectContains(frozenset({"mật", "báo cáo"})), True),
        (SubjectContains(frozenset({"mật"})), False),
        (LargerThan(999), True),
        (LargerThan(1000), False),
        (AllOf((LargerThan(1), among("login", "lan"))), True),
        (AllOf((LargerThan(1), among("login", "mai"))), False),
        (AnyOf((LargerThan(9999), among("login", "lan"))), True),
        (AnyOf((LargerThan(9999), among("login", "mai"))), False),
        (Not(LargerThan(9999)), True),
        (Not(among("author", "@so.tinh.example")), False),
    ],
    ids=str,
)
def test_a_condition_holds(condition: Condition, *, wanted: bool) -> None:
    """Each kind of condition asks one thing of the message, and nothing else."""
    assert condition.holds(view(MAI)) is wanted


def test_what_is_not_there_is_never_among() -> None:
    """No login, no author, no reverse-path, no verdict: only the words for "none" fit."""
    empty = view(author=None, login=None, reverse_path=NULL_PATH)
    assert among("author", "<none>").holds(empty)
    assert among("reverse_path", "<>").holds(empty)
    for key in ("login", "verdict", "recipient", "traits"):
        assert not among(key, "lan", "", "None", "<none>").holds(empty)


def test_traits_are_seen() -> None:
    """A message has all its traits, and one of a list is enough."""
    seen = view(traits=Marks(report=True, mdn=True))
    assert among("traits", "report").holds(seen)
    assert among("traits", "list", "mdn").holds(seen)
    assert not among("traits", "list").holds(seen)


def test_only_questions_about_the_recipient_are_asked_for_each() -> None:
    """`per_recipient` sees through all, any and not."""
    inside = among("recipient", "@x.example")
    for condition in (inside, AllOf((LargerThan(1), inside)), AnyOf((inside,)), Not(AllOf((Not(inside),)))):
        assert condition.per_recipient
    outside = among("author", "@x.example")
    for condition in (outside, AllOf((LargerThan(1), outside)), Not(SubjectContains(frozenset({"x"})))):
        assert not condition.per_recipient


def test_a_condition_can_be_read() -> None:
    """A trace line shows a few values and says how many more there are."""
    assert str(among("author", "d", "c", "b", "a")) == "author a | b | c and 1 more"
    assert (
        str(Not(AnyOf((LargerThan(5), SubjectContains(frozenset({"x"}))))))
        == "not(any(larger_than 5, subject_contains x))"
    )


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ((), ()),
        ((), (LargerThan(1),)),
        ((LargerThan(1),), (LargerThan(1), among("login", "x"))),
        ((LargerThan(1),), (LargerThan(2),)),
        ((among("login", "a", "b"),), (among("login", "a"),)),
        ((among("author", "@x.example"),), (among("author", "a@x.example"),)),
        ((among("author", "@*.example"),), (among("author", "a@y.x.example", "@x.example", "@*.x.example"),)),
        ((SubjectContains(frozenset({"b"})),), (SubjectContains(frozenset({"abc", "bc"})),)),
        ((Not(LargerThan(1)),), (Not(LargerThan(1)), LargerThan(0))),
        ((AnyOf((LargerThan(1), LargerThan(2))),), (AnyOf((LargerThan(1), LargerThan(2))),)),
    ],
)
def test_covers_sees_the_plain_cases(earlier: tuple[Condition, ...], later: tuple[Condition, ...]) -> None:
    """The mistakes administrators make are seen: the same again, a narrower value, a mailbox behind its domain."""
    assert covers(earlier, later)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ((LargerThan(1),), ()),
        ((LargerThan(2),), (LargerThan(1),)),
        ((among("login", "a"),), (among("login", "a", "b"),)),
        ((among("author", "a@x.example"),), (among("author", "@x.example"),)),
        ((among("author", "@x.example"),), (among("author", "@*.x.example"),)),
        ((among("author", "@*.x.example"),), (among("author", "@x.example"),)),
        ((among("author", "@x.example"),), (among("recipient", "@x.example"),)),
        ((among("author", "@x.example"),), (among("author", "<none>"),)),
        ((SubjectContains(frozenset({"abc"})),), (SubjectContains(frozenset({"b"})),)),
    ],
)
def test_covers_is_not_fooled(earlier: tuple[Condition, ...], later: tuple[Condition, ...]) -> None:
    """A rule that can still match something is never called unreachable."""
    assert not covers(earlier, later)


@given(SETS, SETS, FACTS, MAILBOXES)
def test_covers_never_says_yes_wrongly(
    earlier: tuple[Condition, ...], later: tuple[Condition, ...], facts: Facts, recipient: Mailbox
) -> None:
    """Whatever meets all of `later` meets all of `earlier`, if the one is said to cover the other."""
    seen = seen_of(facts, recipient)
    if covers(earlier, later) and all(each.holds(seen) for each in later):
        assert all(each.holds(seen) for each in earlier)


@given(SETS, SETS)
def test_a_cover_is_within_reach(earlier: tuple[Condition, ...], later: tuple[Condition, ...]) -> None:
    """Each `Among` of a cover shares a value with what the covered conditions reach: an index may rely on it."""
    if covers(earlier, later):
        pairs = set(reach(later))
        for each in earlier:
            if isinstance(each, Among):
                assert any((each.key, value) in pairs for value in each.values)


@given(st.sampled_from(["author", "reverse_path", "recipient"]), MAILBOXES, MAILBOXES)
def test_a_mailbox_is_covered_by_exactly_its_own_patterns(key: str, one: Mailbox, other: Mailbox) -> None:
    """What `keys_of` lists for a mailbox is what covers it, no more and no less."""
    for pattern in keys_of(other):
        assert covers((among(key, pattern),), (among(key, one.key),)) is (pattern in keys_of(one))


def test_a_view_without_a_recipient_meets_no_recipient_condition() -> None:
    """Questions about a recipient are never answered yes before there is one."""
    assert not among("recipient", "@hop.example", "@*.example").holds(view(author=LAN))


FULL = Contents(
    (
        Attachment("Hóa đơn.PDF", "Application/PDF", 9, signed_pdf=True),
        Attachment("ảnh.png", "image/png", 9, signed_pdf=False),
    ),
    frozenset({"tai.x.example", "y.example"}),
    frozenset({Marking.TOI_MAT}),
    complete=False,
)


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (among("has", "attachment"), True),
        (among("has", "signed_pdf"), True),
        (among("has", "link"), True),
        (among("has", "partly_read"), True),
        (among("attachment_type", "application/pdf"), True),
        (among("attachment_type", "image/*"), True),
        (among("attachment_type", "text/*"), False),
        (among("link_host", "y.example"), True),
        (among("link_host", "*.x.example"), True),
        (among("link_host", "*.example"), True),
        (among("link_host", "x.example"), False),
        (among("link_host", "*.y.example"), False),
        (among("marking", "toi_mat"), True),
        (among("marking", "mat", "tuyet_mat"), False),
        (Matches("attachment_name", glob("hóa đơn*")), True),
        (Matches("attachment_name", glob("*.exe")), False),
    ],
)
def test_conditions_on_contents(condition: Condition, wanted: bool) -> None:  # noqa: FBT001 - a row of a table
    """Each asks for what was found; of nothing found, none holds."""
    assert condition.holds(view(contents=FULL)) is wanted
    assert not condition.holds(view())


def test_a_host_of_any_length_costs_little() -> None:
    """What pretends to be a host is a claim of the sender: its parents are listed only where it can be one."""
    long = ".".join(["a"] * 100_000)
    assert view(contents=Contents(links=frozenset({long}))).sets["link_host"] == {long}


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (Matches("subject", expression("^báo cáo$")), True),
        (Matches("subject", expression("mật")), False),
        (Matches("header x-app", expression("một")), True),
        (Matches("header x-app", expression("hai")), True),
        (Matches("header x-app", expression("ba")), False),
        (Matches("header x-other", expression(".*")), False),
        (among("wish", "decline"), True),
        (among("wish", "sign"), False),
        (among("day", "wed"), True),
        (among("day", "tue", "thu"), False),
    ],
)
def test_conditions_on_texts_wishes_and_days(condition: Condition, wanted: bool) -> None:  # noqa: FBT001 - a row of a table
    """A field that is not there fits no pattern; one of several fields of a name is enough."""
    seen = view(fields={"X-App": ("Một", "Hai")}, wish=Wish.DECLINE)
    assert condition.holds(seen) is wanted


@pytest.mark.parametrize(
    ("at", "span", "wanted"),
    [
        ("07:29", (450, 1020), False),
        ("07:30", (450, 1020), True),
        ("16:59", (450, 1020), True),
        ("17:00", (450, 1020), False),
        ("23:00", (1320, 300), True),
        ("04:59", (1320, 300), True),
        ("05:00", (1320, 300), False),
        ("21:59", (1320, 300), False),
        ("23:59", (720, 1440), True),
        ("00:00", (720, 1440), False),
    ],
)
def test_hours_are_those_of_vietnam(at: str, span: tuple[int, int], wanted: bool) -> None:  # noqa: FBT001 - a row of a table
    """The start belongs to a span, its end does not, and one may go over midnight."""
    moment = dt.datetime.fromisoformat(f"2026-03-04T{at}:30+07:00").astimezone(dt.UTC)
    assert Hours((span,)).holds(view(at=moment)) is wanted


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        ("2026-03-03T16:59:59+00:00", False),
        ("2026-03-03T17:00:00+00:00", True),
        ("2026-03-05T16:59:59+00:00", True),
        ("2026-03-05T17:00:00+00:00", False),
    ],
)
def test_dates_are_days_in_vietnam(at: str, wanted: bool) -> None:  # noqa: FBT001 - a row of a table
    """The first and the last day belong to it, and a day begins at 17:00 UTC of the day before."""
    dates = Dates(dt.date(2026, 3, 4), dt.date(2026, 3, 5))
    assert dates.holds(view(at=dt.datetime.fromisoformat(at))) is wanted


def test_what_a_trace_says_of_them() -> None:
    """Each condition reads as it is written in the file."""
    day = dt.date(2026, 3, 4)
    assert str(Hours(((450, 1020), (1320, 300)))) == "hours 07:30-17:00 | 22:00-05:00"
    assert str(Dates(day, dt.date.max)) == "from 2026-03-04"
    assert str(Dates(dt.date.min, day)) == "until 2026-03-04"
    assert str(Dates(day, day)) == "from 2026-03-04 until 2026-03-04"
    assert str(Matches("subject", expression("^a"))) == "subject /^a/"
    assert str(Matches("attachment_name", glob("*.exe"))) == "attachment_name *.exe"


def test_a_shorter_time_is_covered_by_a_longer_one() -> None:
    """A rule for March behind the same rule for the year is never reached; not the other way round."""
    year = Dates(dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    march = Dates(dt.date(2026, 3, 1), dt.date(2026, 3, 31))
    assert covers((year,), (march,))
    assert not covers((march,), (year,))
    assert covers((), (march,))
    assert not covers((march,), ())


def test_what_is_asked_for_is_found_however_deep() -> None:
    """Contents are read, and header fields kept, only where some condition asks for them."""
    deep = Not(AnyOf((AllOf((among("marking", "mat"), Matches("header x-app", expression("a")))), LargerThan(1))))
    assert dict(keys_asked((deep, among("login", "lan")))) == {
        "marking": {"mat"},
        "header x-app": frozenset(),
        "login": {"lan"},
    }
