"""Facts: what a policy may see of a message, in the form it is compared in."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.verdict import VERDICTS, ChainState, Judgment, SignatureState, Unsigned
from gateway.policy.model import FORMS, NO_AUTHOR, NULL_SENDER, TRAITS, VERDICT_NAMES, folded, keys_of
from gateway.smime import classify
from support.policies import Marks, facts


def test_forms_are_those_of_the_classifier() -> None:
    """A form that a policy cannot name, or a name that no form has, would be a rule that never matches."""
    assert [each.value for each in classify.Form] == list(FORMS)


def test_traits_are_those_of_the_classifier() -> None:
    """Each mark has its word: one too many on either side fails here."""
    marks = dict.fromkeys((each.name for each in dataclasses.fields(classify.Traits)), False)
    assert len(marks) == len(TRAITS)
    seen = [facts(traits=classify.Traits(**{**marks, mark: True})).traits for mark in marks]
    assert all(len(each) == 1 for each in seen)
    assert frozenset[str]().union(*seen) == frozenset(TRAITS)
    assert facts(traits=classify.Traits(**{**marks, "auto_submitted": True})).traits == {"auto_reply"}
    assert facts(traits=classify.Traits(**{**marks, "list_mail": True})).traits == {"list"}


def test_verdicts_are_those_of_the_table() -> None:
    """The words for verdicts are the names in JSON."""
    assert [row.name for row in VERDICTS] == list(VERDICT_NAMES)


def test_a_mailbox_fits_itself_its_domain_and_the_domains_above() -> None:
    """Patterns are listed once for a message, so that comparing is looking up."""
    assert keys_of(Mailbox.parse("Lan@Y.X.Example")) == {
        "lan@y.x.example",
        "@y.x.example",
        "@*.x.example",
        "@*.example",
    }
    assert keys_of(Mailbox.parse("lan@example")) == {"lan@example", "@example"}
    assert keys_of(Mailbox.parse("lan@Bücher.example")) == {
        "lan@xn--bcher-kva.example",
        "@xn--bcher-kva.example",
        "@*.example",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  TUYỆT\t MẬT  ", "tuyệt mật"),
        ("tuy\u00ea\u0323t m\u00e2\u0323t", "tuyệt mật"),
        ("M\u200bẬ\u2060T\ufeff", "mật"),
        ("m\u00adật", "mật"),
        ("ＭẬＴ", "mật"),
        ("Straße", "strasse"),
        ("\u202eTẬM", "tậm"),
        ("\u200b\u00ad", ""),
        ("mật\u00a0mã", "mật mã"),
    ],
)
def test_text_is_folded_to_what_a_reader_sees(text: str, expected: str) -> None:
    """Composition, width, case, invisible characters and white space make no difference to a rule."""
    assert folded(text) == expected


@given(st.text(max_size=40))
def test_folding_is_done_once(text: str) -> None:
    """Folding what is folded changes nothing: words of a policy and subjects of messages meet in one form."""
    assert folded(folded(text)) == folded(text)


def test_what_is_missing_has_a_word_of_its_own() -> None:
    """No author and no sender are values that a rule can name; no login and no verdict are none."""
    found = facts(author=None, reverse_path=NULL_PATH, login=None)
    assert found.author_keys == {NO_AUTHOR}
    assert found.reverse_path_keys == {NULL_SENDER}
    assert found.verdict is None


def test_the_words_for_nobody_are_no_mailboxes() -> None:
    """Nobody can write from an address that reads like "no author"."""
    for word in (NO_AUTHOR, NULL_SENDER):
        with pytest.raises(ValueError, match="not a"):
            Mailbox.parse(word)


def test_a_judgment_becomes_its_name() -> None:
    """Of a verdict only its name reaches a policy; what else was found is in `findings`."""
    judgment = Judgment(
        Unsigned("none"),
        ChainState.NONE,
        SignatureState.NONE,
        covers_everything_shown=False,
        headers_signed=False,
        author=None,
    )
    assert facts(judgment=judgment).verdict == "unsigned"


def test_facts_hold_nothing_else() -> None:
    """A new fact is a decision: what a policy may see is listed here."""
    names = {each.name for each in dataclasses.fields(facts(traits=Marks()))}
    assert names == {
        "author",
        "author_keys",
        "login",
        "listener",
        "reverse_path",
        "reverse_path_keys",
        "form",
        "traits",
        "subject",
        "size",
        "verdict",
        "at",
        "contents",
        "wish",
        "findings",
        "fields",
    }
