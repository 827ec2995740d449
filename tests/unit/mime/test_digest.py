"""The text of a digest: whatever strangers wrote in an entry, it stays text on its own line."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Mailbox
from gateway.core.queue import Kind
from gateway.mime.digest import MOST_ITEMS, Digest, Item, digest_text, inert, kept_digest, reason_words

CAME = dt.datetime(2026, 3, 2, 1, 30, tzinfo=dt.UTC)
ITEM = Item(
    "0a1b2c3d",
    Kind.HELD,
    "Kế hoạch năm",
    "lan@so-a.example",
    ("an@noi-b.example", "binh@noi-b.example"),
    "kế hoạch phải được duyệt",
    CAME,
    CAME + dt.timedelta(days=30),
)
TEXT = """\
Kính gửi lan@so-a.example,

Các thư sau đang được giữ tại cổng thư, chưa được chuyển. Nếu cần thư nào, xin báo mã thư cho quản trị thư điện tử.
Trả lời thư này không cho thư nào đi.
(The mail gateway keeps these messages. If you need one of them, please give its id to your mail administrator.
Replying to this message releases nothing.)

    Mã thư / id: 0a1b2c3d
    Tình trạng / state: giữ chờ duyệt / held for approval
    Tiêu đề / subject: Kế hoạch năm
    Từ / from: lan@so-a.example
    Tới / to: an@noi-b.example, binh@noi-b.example
    Nhận lúc / received: 08:30 02/03/2026 (UTC+7)
    Vì sao / why: kế hoạch phải được duyệt
    Giữ đến / kept until: 08:30 01/04/2026 (UTC+7) (sớm nhất / at the earliest)

Quản trị viên dùng / the administrator uses:
    gateway queue show MÃ-THƯ
    gateway queue release MÃ-THƯ --reason "..."        (cho đi / let it go)
    gateway queue delete MÃ-THƯ --reason "..."         (xóa / remove it)
"""


def test_the_text() -> None:
    """What a clerk reads, word for word."""
    assert digest_text("lan@so-a.example", (ITEM,)) == TEXT


@pytest.mark.parametrize(
    ("sender", "read"),
    [
        ("van-thu.syt+a=b@tỉnh.example", "van-thu.syt+a=b@tỉnh.example"),
        ("lan@[IPv6:2001:db8::1]", "lan@[IPv6:2001:db8::1]"),
        ('"http://evil.example/login"@b.example', '"http[:]//evil[.]example/login"[@]b[.]example'),
        ("www.evil.example/login?x=1@b.example", "www[.]evil[.]example/login?x=1[@]b[.]example"),
    ],
)
def test_an_address_is_no_link_either(sender: str, read: str) -> None:
    """A stranger chooses both parts of his address; what may stand before the at sign is a good deal."""
    text = digest_text("x", (replace(ITEM, sender=sender, recipients=(sender,)),))
    assert f"/ from: {read}\n" in text
    assert f"/ to: {read}\n" in text


def test_frozen_mail_says_how_to_thaw_it() -> None:
    """It has no end of its own, and another command."""
    text = digest_text("x", (replace(ITEM, kind=Kind.DELIVER, frozen_at=CAME),))
    assert "giữ lại, không gửi" in text
    assert "08:30 02/03/2026 (UTC+7), cho đến khi thôi giữ" in text
    assert "gateway queue thaw" in text
    assert "kept until" not in text


def test_more_than_it_names() -> None:
    """The others are counted, those that the caller counted already included."""
    text = digest_text("x", (ITEM,) * (MOST_ITEMS + 3), 7)
    assert text.count("Mã thư / id") == MOST_ITEMS
    assert "10 more" in text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://evil.example/x", "http[:]//evil[.]example/x"),
        ("HTTPS://Evil.Example", "HTTPS[:]//Evil[.]Example"),
        ("www.evil.example", "www[.]evil[.]example"),
        ("evil\uff0eexample", "evil[\uff0e]example"),
        ("mailto:a@b.example", "mailto[:]a[@]b[.]example"),
        ("bấm tin.nhắn", "bấm tin[.]nhắn"),
        ("10.000.000 đồng lúc 7:30", "10.000.000 đồng lúc 7:30"),
        ("Kính gửi. Xin chào", "Kính gửi. Xin chào"),
        ("a\r\nBcc: x\u202egnp\x1b[31m", "a  Bcc: x gnp [31m"),
    ],
)
def test_nothing_to_click(written: str, read: str) -> None:
    """No mail program makes a link of it; what is no link stays readable."""
    assert inert(written) == read


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "undeliverable 550 no <x@y.example>",
            "có ai để báo / could not be delivered, and nobody could be told (550 no",
        ),
        (
            "sender_not_allowed not_listed: no",
            "không được dùng địa chỉ này / the login may not use this sender's address",
        ),
        ("suspended key personal is not usable", "khóa ký đang tạm ngừng / the signing key is suspended"),
        ("some_new_code words for people", "words for people"),
        ("thư rác", "thư rác"),
        ("", "-"),
    ],
)
def test_reasons_are_words(reason: str, words: str) -> None:
    """No code of ours reaches a clerk; the words of a rule stay whole."""
    found = reason_words(reason)
    assert words in found
    assert not re.match(r"[a-z]+_[a-z]", found)


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=60))
def test_no_line_of_a_stranger(subject: str, reason: str, name: str) -> None:
    """Whatever an entry holds, the message has our header fields and the text our lines, and both are bounded."""
    item = replace(ITEM, subject=subject, reason=reason, sender=name, recipients=(name,) * 9)
    octets = kept_digest(Digest(Mailbox.parse("lan@so-a.example"), "gw.example", CAME, "t0k3n", (item,), 0)).octets()
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    assert b"\n" not in octets.replace(b"\r\n", b"")
    message = message_from_bytes(octets, policy=policy.default.clone(raise_on_defect=True))
    assert message["To"] == "lan@so-a.example"
    assert len(message.keys()) == 9
    text = message.get_content().replace("\r\n", "\n")
    assert len(text.split("\n")) == len(TEXT.split("\n"))
    assert len(text) < len(TEXT) + 2500


def test_a_digest_is_bounded() -> None:
    """The longest one is of a size that every mailbox takes."""
    worst = replace(ITEM, subject="\u1ead" * 500, reason="\u1ead" * 500, sender="s" * 320, recipients=("r" * 320,) * 99)
    digest = Digest(Mailbox.parse("lan@so-a.example"), "gw.example", CAME, "t", (worst,) * MOST_ITEMS, 1)
    assert len(kept_digest(digest)) < 1024 * 1024


def test_to_an_international_owner() -> None:
    """The header stays ASCII; only the envelope names the address."""
    octets = kept_digest(Digest(Mailbox.parse("lân@sở.example"), "gw.example", CAME, "t", (ITEM,), 0)).octets()
    assert octets.isascii()
    assert b"To: undisclosed-recipients:;\r\n" in octets
