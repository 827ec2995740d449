"""Whom an answer speaks for: the table of `delivery/scope.py`, line by line."""

from __future__ import annotations

import pytest

from gateway.core.reply import Reply
from gateway.delivery.scope import Scope, Step, of_the_site, scope_of

SITE = (500, 502, 503, 530, 534, 535, 538)


@pytest.mark.parametrize("code", SITE)
@pytest.mark.parametrize("step", list(Step))
def test_trouble_of_the_site(code: int, step: Step) -> None:
    """Codes that speak of our login or of the hop's state refuse nobody before the dot; behind it they refuse mail."""
    found = scope_of(Reply.of(code, None, "x"), step)
    behind = {Step.DOT: Scope.MESSAGE, Step.DOT_OF_ONE: Scope.RECIPIENT}
    assert found is behind.get(step, Scope.SITE)


@pytest.mark.parametrize(
    ("step", "code", "scope"),
    [
        (Step.MAIL, 421, Scope.SESSION),
        (Step.RCPT, 421, Scope.SESSION),
        (Step.DATA, 421, Scope.SESSION),
        (Step.MAIL, 552, Scope.MESSAGE),
        (Step.MAIL, 451, Scope.MESSAGE),
        (Step.RCPT, 550, Scope.RECIPIENT),
        (Step.RCPT, 452, Scope.RECIPIENT),
        (Step.DATA, 554, Scope.MESSAGE),
        (Step.DOT, 554, Scope.MESSAGE),
        (Step.DOT, 421, Scope.MESSAGE),
        (Step.DOT_OF_ONE, 550, Scope.RECIPIENT),
        (Step.DOT_OF_ONE, 452, Scope.RECIPIENT),
    ],
)
def test_the_table(step: Step, code: int, scope: Scope) -> None:
    """Each line says whom an answer speaks for."""
    assert scope_of(Reply.of(code, None, "x"), step) is scope


def test_one_answer_of_the_site_speaks_for_all() -> None:
    """Of several answers to RCPT the first that speaks of the site decides; others do not."""
    no, login = Reply.of(550, None, "no"), Reply.of(530, None, "log in first")
    assert of_the_site((no, login)) is login
    assert of_the_site((no, Reply.of(421, None, "bye"), Reply.of(250, None, "ok"))) is None
