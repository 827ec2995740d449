"""Keywords: one for each verdict, and none that is green by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.verdict import NOTES, VERDICTS
from gateway.mailbox.keywords import ALARMS, BY_VERDICT, GREEN, IMPERSONATION, OURS, UNKNOWN, keywords_of, present

TOP = Path(__file__).parents[3]


def test_the_table_has_every_verdict() -> None:
    """No verdict is forgotten, and only the verified ones are green."""
    assert list(BY_VERDICT) != []
    assert BY_VERDICT.keys() == {row.name for row in VERDICTS}
    assert {name for name, keyword in BY_VERDICT.items() if keyword in GREEN} == {"verified", "verified_lesser"}


def test_alarms_are_notes() -> None:
    """A note that is not in the vocabulary would never ring."""
    assert set(NOTES) >= ALARMS


@pytest.mark.parametrize("name", ["", "Verified", "verified ", "verified; x", "green", "verified_"])
def test_a_strange_verdict_is_unknown(name: str) -> None:
    """What is not exactly a name of the table is never green."""
    assert keywords_of(name, ()) == {UNKNOWN}


@pytest.mark.parametrize("alarm", sorted(ALARMS))
@pytest.mark.parametrize("verdict", BY_VERDICT)
def test_an_alarm_ends_all_green(verdict: str, alarm: str) -> None:
    """Whoever imitates somebody is marked so, however good the signature; what else is wrong stays marked."""
    found = keywords_of(verdict, ("first_contact", alarm))
    assert IMPERSONATION in found
    assert not found & GREEN
    assert found - {IMPERSONATION} == {BY_VERDICT[verdict]} - GREEN - {None}


def test_keywords_know_no_case() -> None:
    """A server may report another case than ours: a forged $VERIFIEDAGENCY must be seen to be removed."""
    assert present(["$VERIFIEDAGENCY", "\\Seen", "$Label1", "$impersonation"]) == {"$VerifiedAgency", IMPERSONATION}


def test_the_recipe_knows_the_same_words() -> None:
    """The Sieve recipe sets every keyword of ours and no other one, and asks for every alarm and verdict."""
    recipe = (TOP / "config/dovecot/gateway-tags.sieve").read_text(encoding="utf-8")
    code = "\n".join(line.partition("#")[0] for line in recipe.splitlines())
    assert {word.strip('";') for word in code.split() if word.startswith('"$')} == OURS
    assert all(f"{name};*" in code for name, keyword in BY_VERDICT.items() if keyword is not None)
    assert all(f"*notes=*{note}*" in code for note in ALARMS)


def test_people_are_told_of_every_color() -> None:
    """The instructions for mail clients name every keyword."""
    told = (TOP / "docs/mailbox.md").read_text(encoding="utf-8")
    assert [each for each in sorted(OURS) if each.lower() not in told.lower()] == []
