"""Wishes: where they are read, that only they go, and what is none."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.config.wishes import WishSettings
from gateway.core.contents import Wish
from gateway.core.message import Message
from gateway.mime.fields import decode_text, encode_text, read_header
from gateway.service.wishes import read_wish
from support.pace import soon

SIGN, DECLINE = Wish.SIGN, Wish.DECLINE
WORDS = WishSettings(ask=("!ky", "[ký số]"), decline=("!khongky", "[không ký]"), field="X-Xin-Ky")


def asked(subject: bytes, more: bytes = b"", words: WishSettings = WORDS) -> tuple[Wish | None, bytes]:
    """Return the wish, and the message without it."""
    message = Message.of(
        b"From: a@b.example\r\nSubject:" + subject + b"\r\n" + more + b"To: c@d.example\r\n\r\n!ky\r\n"
    )
    wish, edits = read_wish(read_header(message), words)
    return wish, message.splice(edits).octets()


def left(subject: bytes, more: bytes = b"") -> bytes:
    return b"From: a@b.example\r\nSubject:" + subject + b"\r\n" + more + b"To: c@d.example\r\n\r\n!ky\r\n"


@pytest.mark.parametrize(
    ("subject", "wish", "rest"),
    [
        (b" Hop giao ban !ky", SIGN, b" Hop giao ban"),
        (b" !KY Hop giao ban", SIGN, b" Hop giao ban"),
        (b"  Hop  giao\tban   ! k y", SIGN, b"  Hop  giao\tban"),
        (b" !khongky", DECLINE, b" "),
        (b" a b c\r\n d e\r\n !ky", SIGN, b" a b c\r\n d e"),
        (b" a b c\r\n d e !ky\r\n ", SIGN, b" a b c\r\n d e"),
        (b" !ky\r\n a b c\r\n d", SIGN, b" a b c\r\n d"),
        (b" =?utf-8?q?H=E1=BB=8Dp?= !khongky", DECLINE, b" =?utf-8?q?H=E1=BB=8Dp?="),
        (b" =?ISO-8859-1?q?caf=E9?= =?iso-8859-1?q?s?= !ky", SIGN, b" =?ISO-8859-1?q?caf=E9?= =?iso-8859-1?q?s?="),
        ("Họp [Không  Ký]".encode(), DECLINE, "Họp".encode()),
        ("[KHÔNG KÝ]Họp".encode(), DECLINE, "Họp".encode()),
        (b" !khongky Hop !ky", SIGN, b" Hop"),
        (b" Hop !ky !khongky !ky", SIGN, b" Hop"),
    ],
)
def test_only_the_word_goes(subject: bytes, wish: Wish, rest: bytes) -> None:
    """A word at an end of the subject is the wish; the other octets of the subject, and of the message, stay."""
    found, message = asked(subject)
    assert found is wish
    assert message in {left(rest), left(b" " + rest)}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_words_inside_encoded_words(form: str) -> None:
    """A word within an encoded word goes, and the rest reads the same."""
    subject = unicodedata.normalize(form, "Báo cáo tháng mười một của Sở Y tế tỉnh Sông Lam [không ký]")
    wish, message = asked(b" " + encode_text(subject))
    assert wish is DECLINE
    (field,) = read_header(Message.of(message)).all("subject")
    assert decode_text(field.value) == subject.removesuffix(unicodedata.normalize(form, " [không ký]"))


@pytest.mark.parametrize(
    "subject", [b" tin vui!ky", b" !kyhop", b" Hop !ky ngay mai", b" Re: !ky Hop", b" ky", b"", b" khong ky", b" !k"]
)
def test_what_is_no_wish(subject: bytes) -> None:
    """Words within a subject, or within other words, ask for nothing and stay."""
    assert asked(subject) == (None, left(subject))


@pytest.mark.parametrize(
    ("value", "wish"), [(b"yes", SIGN), (b" YES ", SIGN), (b"no", DECLINE), (b"maybe", None), (b"", None)]
)
def test_the_field_goes_whatever_it_says(value: bytes, wish: Wish | None) -> None:
    """The configured field is for the gateway: it is never sent on; only yes and no mean something."""
    assert asked(b" x", b"X-XIN-ky:" + value + b"\r\n") == (wish, left(b" x"))


def test_asking_wins() -> None:
    """Of two wishes the one that protects more counts, wherever each was written."""
    assert asked(b" x !khongky", b"X-Xin-Ky: yes\r\n") == (SIGN, left(b" x"))
    assert asked(b" x !ky", b"X-Xin-Ky: no\r\nX-Xin-Ky: no\r\n") == (SIGN, left(b" x"))
    assert asked(b" x", b"Subject: y !ky\r\nX-Xin-Ky: no\r\n") == (SIGN, left(b" x", b"Subject: y\r\n"))


def test_what_is_not_configured_stays() -> None:
    """Without words there is nothing to find, and a field of another name is the sender's."""
    only_field = WishSettings(field="X-Sign")
    assert asked(b" x !ky", b"X-Xin-Ky: no\r\n", only_field) == (None, left(b" x !ky", b"X-Xin-Ky: no\r\n"))


SUBJECTS = st.lists(
    st.sampled_from(["!ky", "[không ký]", " ", "Họp", "a", "=?utf-8?q?x?=", "\u0301", "[", "!"]), max_size=12
).map("".join)


@given(SUBJECTS, st.booleans())
def test_the_rest_reads_the_same(subject: str, encoded: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever a subject holds, what is left of it reads as a piece of it, and the rest of the message is untouched."""
    octets = encode_text(subject) if encoded else subject.encode()
    wish, message = asked(b" " + octets)
    assert message.startswith(b"From: a@b.example\r\nSubject:")
    assert message.endswith(b"\r\nTo: c@d.example\r\n\r\n!ky\r\n")
    before = read_header(Message.of(left(b" " + octets))).first("subject")
    after = read_header(Message.of(message)).first("subject")
    assert before is not None
    assert after is not None
    assert decode_text(after.value).strip() in decode_text(before.value)
    if wish is None:
        assert message == left(b" " + octets)


def test_a_hostile_subject_takes_no_time() -> None:
    """A subject of the largest header is read in no time, full of words or not."""
    with soon(2):
        asked(b" " + b"!ky " * 50_000)
        asked(b" " + b"=?utf-8?q?!ky?= " * 12_000)
        asked(b" " + "\u0301".encode() * 100_000)


@pytest.mark.parametrize(
    "given_words",
    [
        {},
        {"ask": ["ky"]},
        {"ask": ["khong ky"]},
        {"ask": [" !ky"]},
        {"ask": ["!k\u200by"]},
        {"ask": ["!" * 65]},
        {"ask": ["!ky"], "decline": ["! K Y"]},
        {"field": "Subject"},
        {"field": "X-A B"},
        {"field": "X-Gateway-Sign"},
        {"ask": ["!ky"], "words": []},
    ],
)
def test_settings_that_would_misfire(given_words: dict[str, object]) -> None:
    """A word that ordinary subjects end in, one that means both, and a field that is not ours are refused."""
    with pytest.raises(ValidationError):
        WishSettings.model_validate(given_words)
