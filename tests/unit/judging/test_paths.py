"""Answers about paths, remembered: for the same certificates, the same terms and their own time only."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.core.message import Message
from gateway.core.verdict import ChainState, Verified
from gateway.judging.here import has_signed_files, judged_here, may_be_opened, opening
from gateway.judging.paths import Heard, Key, Listening, PathCache
from gateway.pki.family import ANY_FAMILY, Allowance, Family, Use
from gateway.pki.needs import NOTHING_FOUND
from gateway.pki.path import Revocation
from gateway.smime.verify import judge, open_message
from support.forger import Forger
from support.judging import terms
from support.letters import ASCII, NOW, PLAIN, clear_entity, lan, mail, multipart, signed, text_part
from support.signed_files import file_part, pdf
from support.stamping import stamped

MINUTE = dt.timedelta(minutes=1)
LETTER = Message.of(signed(PLAIN, lan()))
PARTNERS = Family("partners", "đối tác", "partners", frozenset({"00"}), frozenset({Use.MAIL}), frozenset(Allowance))


def heard(leaf: str = "aa", family: str = "") -> Heard:
    return Heard(leaf, ("aa", "bb"), family, NOW + 10 * MINUTE, ("sha1",))


@pytest.mark.parametrize(
    ("after", "known"), [(-MINUTE, False), (dt.timedelta(0), True), (4 * MINUTE, True), (5 * MINUTE, False)]
)
def test_an_answer_counts_from_its_own_time_to_its_end(after: dt.timedelta, known: bool) -> None:  # noqa: FBT001 - a parameter
    """Not for mail that is older than it, and not past the first thing that it rests on."""
    cache = PathCache(())
    cache.keep(heard(), at=NOW, until=NOW + 5 * MINUTE)
    answer = cache.answer(heard().key, NOW + after)
    assert (answer is not None) is known
    assert answer is None or (answer.state, answer.family, answer.notes) == (ChainState.VALID, ANY_FAMILY, ("sha1",))


def test_its_own_end_counts_even_if_more_was_allowed() -> None:
    """A certificate that ends in ten minutes is not believed for an hour."""
    cache = PathCache(())
    cache.keep(heard(), at=NOW, until=NOW + 60 * MINUTE)
    assert cache.answer(heard().key, NOW + 9 * MINUTE) is not None
    assert cache.answer(heard().key, NOW + 10 * MINUTE) is None


def test_other_certificates_are_another_question() -> None:
    """One more in the bag, or one less, is asked about anew."""
    cache = PathCache(())
    cache.keep(heard(), at=NOW, until=NOW + 5 * MINUTE)
    assert cache.answer(Key("aa", ("aa",)), NOW) is None
    assert cache.answer(Key("bb", ("aa", "bb")), NOW) is None
    assert cache.answer(None, NOW) is None


def test_a_family_that_the_terms_do_not_have_is_not_believed() -> None:
    """A process can only name one of those it was given."""
    cache = PathCache((PARTNERS,))
    cache.keep(heard("aa", "government"), at=NOW, until=NOW + 5 * MINUTE)
    assert not len(cache)
    cache.keep(heard("aa", "partners"), at=NOW, until=NOW + 5 * MINUTE)
    answer = cache.answer(heard().key, NOW)
    assert answer is not None
    assert answer.family == PARTNERS


def test_it_is_bounded() -> None:
    """The least recently asked goes."""
    cache = PathCache((), most=2)
    for leaf in ("a", "b"):
        cache.keep(heard(leaf), at=NOW, until=NOW + 5 * MINUTE)
    assert cache.answer(heard("a").key, NOW) is not None
    cache.keep(heard("c"), at=NOW, until=NOW + 5 * MINUTE)
    assert [cache.answer(heard(each).key, NOW) is not None for each in "abc"] == [True, False, True]


def test_only_what_holds_is_heard() -> None:
    """VALID with an end; what is open could be settled by more data, and is nothing to remember."""
    known = Listening()
    judge(open_message(LETTER), known.to(terms().at(NOW, NOTHING_FOUND)))
    (one,) = known.heard
    assert one.leaf in one.bag
    assert not known.open
    unknown = Listening()
    judge(open_message(LETTER), unknown.to(terms(lists=False).at(NOW, NOTHING_FOUND)))
    assert not unknown.heard
    assert unknown.open


def test_here_nobody_is_judged_whose_path_is_not_known() -> None:
    """The signer's path must be remembered; an unsigned message needs none."""
    trust, cache = terms(), PathCache(())
    asked = opening(LETTER)
    assert judged_here(asked, terms=trust, paths=cache, at=NOW) is None
    listening = Listening()
    there = judge(asked.opened, listening.to(trust.at(NOW, NOTHING_FOUND)))
    cache.keep(listening.heard[0], at=NOW, until=NOW + MINUTE)
    assert judged_here(asked, terms=trust, paths=cache, at=NOW) == there
    assert isinstance(there.verdict, Verified)
    assert judged_here(opening(Message.of(PLAIN)), terms=trust, paths=PathCache(()), at=NOW) is not None


def test_timestamps_are_not_read_here() -> None:
    """Their authority is a stranger with a key to be tried, however well the signer is known."""
    trust, cache = terms(), PathCache(())
    for given in ((), (b"\x05\x00",)):
        asked = opening(Message.of(mail(clear_entity(ASCII, stamped(Forger(lan()), ASCII, *given)))))
        listening = Listening()
        judge(asked.opened, listening.to(trust.at(NOW, NOTHING_FOUND)))
        cache.keep(listening.heard[0], at=NOW, until=NOW + MINUTE)
        assert (judged_here(asked, terms=trust, paths=cache, at=NOW) is None) == bool(given)


def test_signed_files_are_not_looked_into_here() -> None:
    """Who signed a file is a stranger; files without signatures are no reason to ask a process."""
    signed_file = file_part("a.pdf", pdf(Forger(lan()).cms))
    for part, asks in (
        (file_part("a.pdf", b"%PDF-1.7\n"), False),
        (signed_file, True),
        (file_part("a.txt.p7m", Forger(lan()).cms(b"a", content=b"\x04\x01a")), True),
    ):
        asked = opening(Message.of(mail(multipart("mixed", text_part("a"), part))))
        assert has_signed_files(asked) == asks
        found = judged_here(asked, terms=terms(), paths=PathCache(()), at=NOW)
        assert found is not None
        assert found.attachments == ()


def test_what_is_large_or_has_many_parts_is_not_opened_here() -> None:
    """Opening costs as much as an attacker likes, so it is bounded before it begins."""
    assert may_be_opened(LETTER)
    assert not may_be_opened(Message.of(PLAIN + b"a" * 262_144))
    assert not may_be_opened(Message.of(PLAIN + b"\r\n--b" * 65))


def test_soft_asks_for_data_even_if_a_path_holds() -> None:
    """Otherwise nobody would ever hear of a revocation."""
    listening = Listening()
    found = judge(open_message(LETTER), listening.to(terms(Revocation.SOFT, lists=False).at(NOW, NOTHING_FOUND)))
    assert found.chain is ChainState.VALID
    assert listening.open
