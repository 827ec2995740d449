"""What a message is known by: one signature never speaks for another Message-ID, Date or Subject."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest

from gateway.core.sighting import Repeat, Sighting
from gateway.spool.marks import Mark, digest, gravest

FIRST: Final = Sighting(
    datetime(2026, 3, 4, 5, tzinfo=UTC),
    ("aa",),
    "<1@so-y-te.example>",
    "Wed, 04 Mar 2026 12:00:00 +0700",
    "Mời họp [gấp]",
    "lan@so-y-te.example",
    ("cc",),
)


def told(subject: str, first: str = FIRST.subject) -> Repeat:
    """Return what a message with this subject is to one with the first."""
    return Mark.of(replace(FIRST, subject=subject)).after(Mark.of(replace(FIRST, subject=first)))


def test_the_same_message_is_the_same() -> None:
    """Whenever it comes, with whatever certificates and signatures beside."""
    again = replace(FIRST, at=datetime(2027, 1, 1, tzinfo=UTC), signatures=("bb",), author=None, certificates=())
    assert Mark.of(again).after(Mark.of(FIRST)) is Repeat.SAME


@pytest.mark.parametrize(
    "changed",
    [
        {"message_id": "<2@so-y-te.example>"},
        {"date": "Wed, 04 Mar 2026 12:00:01 +0700"},
        {"subject": "Mời họp [hủy]"},
        {"subject": ""},
        {"message_id": FIRST.message_id + FIRST.date, "date": ""},
        {"date": FIRST.date + FIRST.subject, "subject": ""},
    ],
)
def test_any_other_field_is_another_message(changed: dict[str, str]) -> None:
    """Also where the same characters only stand in another field."""
    assert Mark.of(replace(FIRST, **changed)).after(Mark.of(FIRST)) is Repeat.OTHER  # type: ignore[arg-type]


def test_nothing_is_the_same_as_a_message_without_an_id() -> None:
    """Without a Message-ID two messages of one second could be taken for one."""
    nameless = Mark.of(replace(FIRST, message_id=""))
    listed = Mark.of(replace(FIRST, message_id="", subject="[ds] x"))
    assert nameless.after(nameless) is Repeat.OTHER
    assert listed.after(Mark.of(replace(FIRST, message_id="", subject="x"))) is Repeat.OTHER


@pytest.mark.parametrize("prefix", ["[ds] ", "[ds]", "[Văn thư - tỉnh 2026] ", f"[{'x' * 40}] "])
def test_one_prefix_in_brackets_is_a_lists(prefix: str) -> None:
    """Whichever of the two copies comes first."""
    assert told(prefix + FIRST.subject) is Repeat.LIST_COPY
    assert told(FIRST.subject, prefix + FIRST.subject) is Repeat.LIST_COPY


@pytest.mark.parametrize(
    "subject",
    [
        "[a] [b] Mời họp [gấp]",
        "Re: Mời họp [gấp]",
        "Re: [ds] Mời họp [gấp]",
        "Fwd: Mời họp [gấp]",
        f"[{'x' * 41}] Mời họp [gấp]",
        "[[ds]] Mời họp [gấp]",
        "[] Mời họp [gấp]",
        "[ds] Mời họp [gấp] ngay",
        "[ds] Mời",
        "[ds]  Mời họp [gấp]",
        "(ds) Mời họp [gấp]",
        "[ds] ",
        "[ds]",
    ],
)
def test_nothing_else_is_a_lists(subject: str) -> None:
    """What tells a story of its own in front of a subject is another subject."""
    assert told(subject) is Repeat.OTHER
    assert told(FIRST.subject, subject) is Repeat.OTHER


def test_one_prefix_for_another_is_no_copy() -> None:
    """Somebody who exchanges a prefix could exchange "[hủy]" for "[khẩn]"."""
    assert told("[a] x", "[b] x") is Repeat.OTHER


def test_an_empty_subject_has_no_copy_with_a_prefix() -> None:
    """A prefix alone is a subject of its own."""
    assert told("[ds] x", "") is Repeat.OTHER
    assert told("[ds]", "") is Repeat.OTHER


def test_what_no_encoding_holds_is_kept_apart_as_well() -> None:
    """A field can hold octets that are no text."""
    assert digest("\udc80") != digest("\udc81")
    assert len(digest("x")) == 16


def test_the_gravest_answer_counts() -> None:
    """One replayed signature is enough; what is not known is never taken for new."""
    assert gravest((Repeat.NEW, Repeat.SAME, Repeat.OTHER)) is Repeat.OTHER
    assert gravest((Repeat.UNKNOWN, Repeat.OTHER)) is Repeat.OTHER
    assert gravest((Repeat.NEW, Repeat.UNKNOWN, Repeat.LIST_COPY)) is Repeat.UNKNOWN
    assert gravest((Repeat.SAME, Repeat.LIST_COPY)) is Repeat.LIST_COPY
    assert gravest((Repeat.NEW, Repeat.SAME)) is Repeat.SAME
    assert {gravest((each,)) for each in Repeat} == set(Repeat)
