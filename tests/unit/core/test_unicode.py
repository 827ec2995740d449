"""Forms of Unicode in linear time: a stranger's marks cost no more than letters do."""

from __future__ import annotations

import time
import unicodedata

import pytest

from gateway.agencies.skeleton import words
from gateway.core.address import domain_key
from gateway.core.message import Message
from gateway.core.unicode import normalized
from gateway.mime.markings import flat
from gateway.policy.model import folded
from gateway.tagging import strip
from gateway.tagging.reading import seen

MARKS = "a" + "\u0301\u0323" * 60_000
HALF_WIDTH = "a" + "\u0301\uff9e" * 60_000


def test_what_people_write_is_what_the_library_says() -> None:
    """In every form; also of a long text."""
    text = "Ủy ban nhân dân tỉnh: Quyết định số 17 của Chủ tịch \u1e9b\u0323 \uff76\uff9e " * 9
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normalized(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("text", [MARKS, HALF_WIDTH, "\u0f73\u0f80" * 60_000])
@pytest.mark.parametrize("read", [seen, folded, flat, words, domain_key, lambda text: normalized("NFC", text)])
def test_marks_without_end_cost_no_time(read: object, text: str) -> None:
    """120,000 on one letter, which took minutes: wherever a stranger's text is brought into a form."""
    begun = time.thread_time()
    read(text)  # type: ignore[operator]
    assert time.thread_time() - begun < 1.0


@pytest.mark.parametrize("field", ["Subject: {}", "Authentication-Results: {}; smime=pass", "{}: x"])
def test_header_fields_of_marks_are_stripped_in_no_time(field: str) -> None:
    """This happens before anything is known of a sender, where all other mail waits."""
    octets = field.format(MARKS[:100_000]).encode() + b"\r\nFrom: a@b.example\r\n\r\nx\r\n"
    begun = time.thread_time()
    strip(Message.of(octets), authserv_id="mail.tinh.example")
    assert time.thread_time() - begun < 1.0


def test_long_texts_of_people_cost_what_the_library_takes() -> None:
    """Bodies are megabytes: they are not looked at letter by letter."""
    text = "Ủy ban nhân dân tỉnh ra quyết định " * 60_000
    begun = time.thread_time()
    assert normalized("NFD", text) == unicodedata.normalize("NFD", text)
    assert time.thread_time() - begun < 0.6
