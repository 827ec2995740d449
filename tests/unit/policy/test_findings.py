"""What rules may ask of a signature: only a good one on a good path lends its family's or its agency's name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.address import Mailbox
from gateway.core.boundary import NOTHING_SAID, RESULTS, BoundaryResults
from gateway.core.verdict import (
    NOTES,
    ChainState,
    Invalid,
    Judgment,
    Note,
    NotTrusted,
    SignatureState,
    Signer,
    SignerMismatch,
    Unsigned,
    Verified,
)
from gateway.policy.engine import rule_inbound
from gateway.policy.findings import BOUNDARY_WORDS, NOTE_WORDS, NOTHING_FOUND, Findings
from gateway.policy.schema import load_policy
from support.policies import TOWN, facts, signer

if TYPE_CHECKING:
    from gateway.core.verdict import Verdict

AUTHOR: Final = Mailbox.parse("a@x.example")
GOOD: Final = signer("a@x.example", family="gov")


def judgment(
    verdict: Verdict,
    chain: ChainState = ChainState.VALID,
    signature: SignatureState = SignatureState.VALID,
    *notes: str,
) -> Judgment:
    """Return a judgment whose header fields are signed."""
    return Judgment(verdict, chain, signature, True, True, AUTHOR, notes=tuple(Note(each) for each in notes))


def found(given: Judgment, boundary: BoundaryResults = NOTHING_SAID) -> Findings:
    """Return what a rule in the town may ask."""
    return Findings.of(given, boundary, TOWN)


def test_a_good_signature_tells_family_agency_and_header() -> None:
    """All that rules can ask, of every signer."""
    other = signer("b@y.x.example", family="doi-tac")
    seen = found(judgment(Verified("verified", (GOOD, other), AUTHOR)))
    assert (seen.families, seen.agencies, seen.headers_signed) == ({"gov", "doi-tac"}, {"ax", "ay"}, True)
    mismatch = found(judgment(SignerMismatch("signer_mismatch", (other,))))
    assert (mismatch.families, mismatch.agencies) == ({"doi-tac"}, {"ay"})


@pytest.mark.parametrize(
    ("verdict", "chain", "signature"),
    [
        (NotTrusted("unknown_root", (GOOD,)), ChainState.INVALID, SignatureState.VALID),
        (NotTrusted("no_path", (GOOD,)), ChainState.INDETERMINATE, SignatureState.VALID),
        (Invalid("digest", (GOOD,)), ChainState.VALID, SignatureState.INVALID),
        (Invalid("digest", (GOOD,)), ChainState.INVALID, SignatureState.INVALID),
        (Unsigned("unsigned"), ChainState.NONE, SignatureState.NONE),
    ],
)
def test_no_other_signature_lends_a_name(verdict: Verdict, chain: ChainState, signature: SignatureState) -> None:
    """Anybody can make a certificate that names an agency, and send a good certificate with a broken signature."""
    seen = found(judgment(verdict, chain, signature, "tag_words"))
    assert seen == Findings(notes=frozenset({"tag_words"}))


def test_no_family_has_no_name() -> None:
    """An anchor in no family is not one of a family with an empty name."""
    for family in (None, ""):
        assert not found(judgment(Verified("verified", (replace(GOOD, family=family),), AUTHOR))).families


def test_a_rule_for_a_family_is_no_way_in_for_a_forger() -> None:
    """The same certificate under a changed text does not get what the family's rule gives."""
    policy = load_policy(
        [("f", "rules:\n  - {name: gov, direction: inbound, when: {family: gov, signer_agency: ax}, then: deliver}\n")],
        directory=TOWN,
    )

    def rule_for(given: Judgment) -> str:
        seen = facts(judgment=given, directory=TOWN)
        return rule_inbound(policy, seen, (AUTHOR,))[0].ruling.rule

    assert rule_for(judgment(Verified("verified", (GOOD,), AUTHOR))) == "gov"
    broken = Invalid("digest", (GOOD,))
    assert rule_for(judgment(broken, ChainState.VALID, SignatureState.INVALID)) == "(default)"
    assert rule_for(judgment(NotTrusted("unknown_root", (GOOD,)), ChainState.INVALID)) == "(default)"


def test_the_words_are_those_of_the_core() -> None:
    """A note or a result that no rule can name would be a hole."""
    assert NOTE_WORDS == NOTES
    every = [(method, result) for method in ("spf", "dkim", "dmarc") for result in RESULTS]
    words = {
        word
        for each in every
        for word in found(judgment(Unsigned("unsigned")), BoundaryResults(**dict([each]))).boundary
    }
    assert words == set(BOUNDARY_WORDS)


def test_an_older_word_for_failure_is_failure() -> None:
    """A rule about spf_fail must not miss the servers that write "hardfail"."""
    seen = found(judgment(Unsigned("unsigned")), BoundaryResults(spf="hardfail", dmarc="pass"))
    assert seen.boundary == {"spf_fail", "dmarc_pass"}


def test_outgoing_mail_has_no_findings() -> None:
    """Nobody judged it."""
    assert facts().findings is NOTHING_FOUND
    assert isinstance(GOOD, Signer)
