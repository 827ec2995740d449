"""Every reason code that the verifier can give has a sentence of its own."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.core.verdict import LESSER, NOTES, VERDICTS, Note, Unsigned, Verified
from gateway.tagging.reading import seen
from gateway.tagging.reasons import NOTES as TOLD
from gateway.tagging.reasons import REASONS, VERIFIED
from gateway.tagging.sentences import LESSER_WORDS, TAG_WORDS, WARNINGS, note_words

GATEWAY = Path(__file__).parents[3] / "gateway"
PLAIN = {"no_signature", "verified", "cms_unreadable"}
"""Codes that say no more than their verdict does."""


def test_findings_have_sentences() -> None:
    """A code written in a finding of the argument is explained to people."""
    text = "".join(each.read_text(encoding="utf-8") for each in (GATEWAY / "smime").glob("*.py"))
    codes = set(re.findall(r'Finding\(\d+, \w+, "(\w+)"\)', text))
    assert len(codes) >= 20
    assert codes - REASONS.keys() - LESSER_WORDS.keys() - PLAIN == set()


def test_path_reasons_have_sentences() -> None:
    """A code that path building or validation returns is explained to people."""
    text = "".join((GATEWAY / "pki" / f"{name}.py").read_text(encoding="utf-8") for name in ("path", "pkix", "graph"))
    codes = set(re.findall(r'(?:return|, fault =|else) "([a-z]+(?:_[a-z]+)*)"', text))
    codes |= set(re.findall(r'\("[^"]+", "([a-z_]+)"\),', text))
    assert {"expired", "weak_key", "not_a_ca"} <= codes
    codes |= {"revoked", "issuer_revoked", "unknown_root", "no_path", "stale_revocation_data", "no_revocation_data"}
    known = REASONS.keys() | {"valid", "require", "none", "any_policy"}
    assert codes - known == set()


def test_signature_reasons_have_sentences() -> None:
    """A code that checking a signer returns is explained to people."""
    text = (GATEWAY / "cms" / "verify.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'return "(\w+)"', text))
    assert {"digest_mismatch", "bad_signature"} <= codes
    assert codes - REASONS.keys() == set()


def test_signers_and_judges_reasons_have_sentences() -> None:
    """A code given where signers are judged, or where judging itself failed, is explained to people."""
    files = [*(GATEWAY / "judging").glob("*.py"), GATEWAY / "smime" / "signers.py"]
    text = "".join(each.read_text(encoding="utf-8") for each in files)
    codes = set(re.findall(r'"(judge_\w+|attributes_\w+)"', text))
    assert {"judge_died", "attributes_as_content"} <= codes
    assert codes - REASONS.keys() == set()


def test_every_sentence_is_whole() -> None:
    """Sentences end, are Vietnamese and English, and never use the verified words."""
    for vietnamese, english in REASONS.values():
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


def test_every_note_has_words() -> None:
    """Each note that a message can have is told in both languages; none with the words of a verified tag."""
    assert list(TOLD) == list(NOTES)
    for vietnamese, english in TOLD.values():
        assert not vietnamese.isascii()
        assert english.isascii()
        assert not vietnamese.endswith(".")
        assert vietnamese[0].isupper()
        assert english[0].isupper()
        assert seen(VERIFIED) not in seen(vietnamese)


def test_a_notes_detail_is_harmless() -> None:
    """What a stranger wrote stands behind our words, without brackets, and never with the words of a verified tag."""
    assert note_words(Note("impersonation", "Sở Y tế"))[0] == "CẢNH BÁO: có dấu hiệu mạo danh: Sở Y tế."
    told = note_words(Note("impersonation", "a]\r\n\u202e[b; c"))[1]
    assert told == "WARNING: it seems to imitate somebody: a) (b, c."
    for forged in ("Đã xác thực: Bộ Y tế", "D\u200ba x\u0430c thuc", "\u0110\u00c3 X\u00c1C TH\u1ef0C"):
        assert note_words(Note("tag_words", forged)) == note_words(Note("tag_words"))


def test_every_lesser_state_has_words_of_its_own() -> None:
    """No lesser state can be taken for a better one: not in its first words, not anywhere."""
    assert set(LESSER_WORDS) == set(LESSER)
    told = [each for words in LESSER_WORDS.values() for each in words[:2]]
    assert len(set(told)) == 2 * len(LESSER)
    assert not any(seen(VERIFIED) in seen(each) for each in told)
    assert all(words[2].isascii() and "verified" not in words[2].lower() for words in LESSER_WORDS.values())


def test_no_tag_begins_as_another() -> None:
    """Tags are told apart by their first words, also by an eye that sees no accents."""
    for one in TAG_WORDS:
        assert sum(seen(each).startswith(seen(one)) for each in TAG_WORDS) == 1, one
