"""Patterns of administrators: folded like the text, linear in time, bounded in memory, refused with a reason."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.model import folded
from gateway.policy.patterns import MAX_PATTERN, Budget, expression, glob


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("báo cáo", "V/v BÁO  CÁO tuần", True),
        ("BÁO CÁO", "báo cáo", True),
        ("ba\u0301o", "báo", True),
        ("^số [0-9]+/", "Số 17/2026", True),
        ("^số [0-9]+/", "v/v số 17/2026", False),
        ("số$", "theo số", True),
        ("^$", "", True),
        ("a.c", "a\u2028c", True),
        ("mật", "m\u200bật", True),
        ("(?i)x", "X", True),
        ("\\bmat\\b", "mat khau", True),
    ],
)
def test_an_expression_is_held_against_what_a_reader_sees(pattern: str, text: str, wanted: bool) -> None:  # noqa: FBT001 - a row of a table
    """It may stand anywhere, in any case, and a zero-width space hides nothing from it."""
    assert expression(pattern).fits((folded(text),)) is wanted


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("*.exe", "Hóa Đơn.EXE", True),
        ("*.exe", "hóa đơn.exe.pdf", False),
        ("*.EXE", "a.exe", True),
        ("?.doc", "a.doc", True),
        ("?.doc", "ab.doc", False),
        ("báo cáo*", "BÁO CÁO tuần.pdf", True),
        ("a+b(c).[x]", "a+b(c).[x]", True),
        ("a|b", "a", False),
        ("*", "", True),
    ],
)
def test_a_glob_is_held_against_the_whole_name(pattern: str, name: str, wanted: bool) -> None:  # noqa: FBT001 - a row of a table
    """Only * and ? mean more than themselves."""
    assert glob(pattern).fits((folded(name),)) is wanted


@given(st.text(min_size=1, max_size=30))
def test_a_text_is_its_own_glob(text: str) -> None:
    """Whatever stands in a name, it fits itself (* and ? fit themselves too), and nothing in it is read as syntax."""
    if folded(text) and not any(0xD800 <= ord(each) <= 0xDFFF for each in text):
        assert glob(text).fits((folded(text),))


@pytest.mark.parametrize(
    "pattern", ["(", "a{1000}{1000}", "[z-a]", "(?P<x", "\\1(a)", "(?=a)", "(?<=a)b", "((((((((((a{100}){100}){100}"]
)
def test_what_re2_cannot_take_is_refused_with_a_reason(pattern: str) -> None:
    """Look-arounds and back-references are what makes expressions blow up: they do not exist here."""
    with pytest.raises(ValueError, match=r"\S"):
        expression(pattern)


def test_a_compiled_pattern_is_bounded_in_memory() -> None:
    """A short pattern that unfolds into a large program is refused when it is loaded, not when mail comes."""
    with pytest.raises(ValueError, match="too large"):
        expression("\\pL{50}")


def test_no_text_makes_a_pattern_slow() -> None:
    """What takes a backtracking engine for ever takes time linear in the text."""
    evil = expression("^(a+)+(a|aa)+$")
    text = "a" * 100_000 + "b"
    before = time.process_time()
    assert not evil.fits((text,))
    assert time.process_time() - before < 1


def test_half_characters_do_no_harm() -> None:
    """A message may decode to halves of surrogate pairs; a pattern of an administrator may not hold any."""
    assert expression("b$").fits(("a\ud800b",))
    with pytest.raises(ValueError, match="half a character"):
        expression("\ud800")


def test_equal_sources_are_equal_patterns() -> None:
    """Else no rule behind a rule with the same pattern would ever be called unreachable."""
    assert expression("a") == expression("a") != expression("b")
    assert expression("a") != glob("a")
    assert str(expression("a")) == "/a/"
    assert str(glob("a*")) == "a*"


def test_a_budget_ends() -> None:
    """One more than allowed is told, not compiled."""
    budget = Budget(2)
    assert [budget.take() for _ in range(4)] == [True, True, False, False]
    assert MAX_PATTERN == 200
