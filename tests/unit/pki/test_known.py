"""Published roots whose fingerprints ship: well formed, each once, and no anchor by themselves."""

from __future__ import annotations

import re

from gateway.pki.known import KNOWN, known_anchor


def test_every_row_is_whole() -> None:
    """A full SHA-256 in the form in which certificates show theirs; a family's name as settings take it."""
    for each in KNOWN:
        assert re.fullmatch("[0-9a-f]{64}", each.fingerprint)
        assert re.fullmatch("[a-z0-9_-]+", each.family)
        assert each.vietnamese
        assert each.english
    assert len({each.fingerprint for each in KNOWN}) == len(KNOWN)


def test_generations_stand_beside_one_another() -> None:
    """Both government roots are in use at once: the newer does not replace the older."""
    assert [(each.generation, each.not_after.year) for each in KNOWN if each.family == "vgca"] == [
        ("G1", 2030),
        ("G2", 2048),
    ]


def test_look_up_by_the_whole_fingerprint() -> None:
    """Beginnings, upper case and colons are not what is compared: whoever asks brings the one form."""
    for each in KNOWN:
        assert known_anchor(each.fingerprint) is each
        assert known_anchor(each.fingerprint[:40]) is None
        assert known_anchor(each.fingerprint.upper()) is None
