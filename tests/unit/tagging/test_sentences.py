"""Every reason code that the verifier can give has a sentence of its own."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.core.verdict import VERDICTS, Unsigned, Verified
from gateway.tagging.reading import seen
from gateway.tagging.sentences import _REASONS, WARNINGS

GATEWAY = Path(__file__).parents[3] / "gateway"
PLAIN = {"no_signature", "verified", "cms_unreadable"}
"""Codes that say no more than their verdict does."""


def test_findings_have_sentences() -> None:
    """A code written in a finding of the argument is explained to people."""
    text = "".join(each.read_text(encoding="utf-8") for each in (GATEWAY / "smime").glob("*.py"))
    codes = set(re.findall(r'Finding\(\d+, \w+, "(\w+)"\)', text))
    assert len(codes) >= 20
    assert codes - _REASONS.keys() - PLAIN == set()


def test_path_reasons_have_sentences() -> None:
    """A code that path building or validation returns is explained to people."""
    text = "".join((GATEWAY / "pki" / f"{name}.py").read_text(encoding="utf-8") for name in ("path", "pkix", "graph"))
    codes = set(re.findall(r'(?:return|, fault =|else) "([a-z]+(?:_[a-z]+)*)"', text))
    codes |= set(re.findall(r'\("[^"]+", "([a-z_]+)"\),', text))
    assert {"expired", "weak_key", "not_a_ca"} <= codes
    codes |= {"revoked", "issuer_revoked", "unknown_root", "no_path", "stale_revocation_data", "no_revocation_data"}
    known = _REASONS.keys() | {"valid", "require", "none", "any_policy"}
    assert codes - known == set()


def test_signature_reasons_have_sentences() -> None:
    """A code that checking a signer returns is explained to people."""
    text = (GATEWAY / "cms" / "verify.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'return "(\w+)"', text))
    assert {"digest_mismatch", "bad_signature"} <= codes
    assert codes - _REASONS.keys() == set()


def test_every_sentence_is_whole() -> None:
    """Sentences end, are Vietnamese and English, and never use the verified words."""
    for vietnamese, english in _REASONS.values():
        assert vietnamese.endswith(".")
        assert english.endswith(".")
        assert not vietnamese.isascii()
        assert english.isascii()
        assert "daxacthuc" not in seen(vietnamese)


def test_warnings_cover_all_that_is_wrong() -> None:
    """Every verdict but the best and the plain one puts a warning in the subject, each its own."""
    assert set(WARNINGS) == {row.kind for row in VERDICTS} - {Verified, Unsigned}
    assert len({seen(each) for each in WARNINGS.values()}) == len(WARNINGS)
    assert not any("daxacthuc" in seen(each) for each in WARNINGS.values())
