"""Judgments as words: nothing a judge's process says can become anything but a judgment."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.message import Message
from gateway.core.verdict import Judgment, Note, Verified
from gateway.judging.values import judgment_of, plain
from support.letters import ASCII, PLAIN, binh, judged, lan, signed

LETTERS = {
    "verified": signed(PLAIN, lan()),
    "mismatch": signed(PLAIN, binh()),
    "invalid": signed(ASCII, lan()).replace(b"Da co ket qua", b"Da co ket qux"),
    "unsigned": PLAIN,
    "unreadable": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n\r\n" * 20_000,
}


def sent(judgment: Judgment) -> Any:
    return json.loads(json.dumps(plain(judgment)))


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_judgment_comes_back_as_it_was(letter: bytes) -> None:
    """Every part of it, notes and broken conditions included."""
    found = judged(Message.of(letter))
    found = replace(found, notes=(*found.notes, Note("impersonation", "Sở Y tế")))
    assert judgment_of(sent(found)) == found


def _changed(path: tuple[str | int, ...], value: object) -> object:
    found = sent(judged(Message.of(LETTERS["verified"])))
    place: Any = found
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = value
    return found


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "verified",
        {},
        _changed(("verdict", "kind"), "very_verified"),
        _changed(("verdict", "kind"), "unsigned"),
        _changed(("verdict", "author"), None),
        _changed(("verdict", "signers"), []),
        _changed(("verdict", "signers", 0, "serial"), 7),
        _changed(("verdict", "signers", 0, "claimed_signing_time"), "2026-11-24T01:30:00"),
        _changed(("chain",), "good"),
        _changed(("headers_signed",), "yes"),
        _changed(("covers_everything_shown",), 1),
        _changed(("notes",), [{"code": "trust_me", "detail": ""}]),
        _changed(("notes",), [{"code": "sha1", "detail": ""}] * 201),
        _changed(("more",), 1),
    ],
)
def test_what_does_not_fit_its_type_is_no_judgment(said: object) -> None:
    """Other kinds, other fields, other types, too many: a `ValueError`, and nothing else."""
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        judgment_of(said)


def test_green_needs_a_signer_that_names_the_author_on_this_side_too() -> None:
    """A process that was taken over cannot call somebody verified whom its own words do not name."""
    found = sent(judged(Message.of(LETTERS["verified"])))
    assert isinstance(judgment_of(found).verdict, Verified)
    found["verdict"]["signers"][0]["addresses"] = ["somebody@else.example"]
    with pytest.raises(ValueError, match="names the author"):
        judgment_of(found)
