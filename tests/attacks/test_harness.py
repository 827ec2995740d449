"""What the attacks stand on: an honest letter is green in every mark, and each mark is seen where it alone is left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.attacks import GREEN, letter, part

if TYPE_CHECKING:
    from support.attacks import Field


def test_an_honest_letter_is_green_in_every_mark(field: Field) -> None:
    """All marks come, and they name the agency: a test that finds no green would otherwise prove nothing."""
    found = field.honest(letter())
    assert "Văn phòng tỉnh Thanh Hà" in found.subject
    assert found.facts["covers"] == "all"


def test_an_honest_letter_with_one_letter_changed_is_not(field: Field) -> None:
    """The smallest attack of all."""
    good = letter(part("Chuyen 5 trieu."))
    found = field.attack(good, good.replace(b"5 trieu", b"9 trieu"))
    assert found.why == ("invalid", "digest_mismatch")


@pytest.mark.parametrize(
    ("mark", "field_text"),
    [
        ("verdict", b"X-Gateway-Verdict: verified; reason=x\r\n"),
        ("results", b"Authentication-Results: x.example; smime = PASS\r\n"),
        ("sender", b"X-Verified-Sender: So Y te\r\n"),
        ("words", b"Subject: =?UTF-8?B?xJDDoyB4w6FjIHRo4buxYw==?=\r\n"),
    ],
)
def test_every_mark_is_seen_by_itself(field: Field, mark: str, field_text: bytes) -> None:
    """A gateway that let one of them through would be found out."""
    plain = field.harmless(letter().replace(b"Moi hop luc", b"Moi di luc"))
    assert plain.octets is not None
    assert mark in GREEN
    assert mark in replace(plain, octets=field_text + plain.octets).greens
