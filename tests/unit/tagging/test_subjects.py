"""Tags in subjects: every way a forger writes one, and ordinary subjects that only look a little like it."""

from __future__ import annotations

import base64
import unicodedata

import pytest

from gateway.core.message import Message
from gateway.mime.fields import decode_text, encode_text, read_header
from gateway.tagging.sentences import TAG_WORDS
from gateway.tagging.subjects import cleaned, put_before
from support.pace import soon

TAG = "[Đã xác thực: Sở Y tế]"


def word(octets: bytes, charset: str = "utf-8") -> bytes:
    return b"=?" + charset.encode() + b"?B?" + base64.b64encode(octets) + b"?="


@pytest.mark.parametrize(
    ("subject", "left"),
    [
        (f"{TAG} Họp", "Họp"),
        (f"{TAG}{TAG} {TAG} Họp", "Họp"),
        (f"Re: {TAG} Họp", "Re: Họp"),
        (f"Re[2]: Fwd: Trả lời: {TAG} Họp", "Re[2]: Fwd: Trả lời: Họp"),
        (f"[Khẩn] {TAG} Họp", "[Khẩn] Họp"),
        (f"Họp {TAG} gấp", "Họp gấp"),
        (unicodedata.normalize("NFD", f"{TAG} x"), "x"),
        ("[ĐÃ XÁC THỰC: SỞ Y TẾ] x", "x"),
        ("[Da xac thuc: So Y te] x", "x"),
        ("[Đã xác thực] x", "x"),
        ("[  Đã \u00a0 xác\tthực :X] x", "x"),
        ("[Đ\u200bã x\u00adác t\u2060hực\ufeff: X] x", "x"),
        ("[\u202eĐã xác thực: X] x", "x"),
        ("[\u3164Đã\u2800xác thực: X] x", "x"),
        ("[Đã-xác_thực: X] x", "x"),
        ("［Đã xác thực: X］ x", "x"),  # noqa: RUF001 - the point
        ("\u3010Đã xác thực: X\u3011 x", "x"),
        ("\u27e6Đã xác thực: X\u27e7 x", "x"),
        ("\u23a1Đã xác thực: X\u23a4 x", "x"),
        ("[[Đã xác thực: X] x", "x"),
        ("[Đã [Đã xác thực: A]xác thực: X] x", "x"),
        ("[Đã xác thực: Sở Y tế", "Sở Y tế"),
        ("[\u00d0ã xác thực: X] x", "x"),
        ("[\u0189ã xác thực: X] x", "x"),
        ("[Đã \u0445\u00e1\u0441 thực: X] x", "x"),  # Cyrillic
        ("[\U0001d403\u00e3 xác thực: X] x", "x"),  # mathematical bold
        ("[\U0001f173ã xác thực: X] x", "x"),  # a letter in a box
        ("(Đã xác thực: X) x", "x"),
        ("\u2705 Đã xác thực: X \u2705 x", "x"),
        ("| Đã xác thực: X | x", "x"),
        ("\u300cĐã xác thực: X\u300d x", "x"),
        ("Đã xác thực: X] x", "x"),
        ("\u2039Đã xác thực: X\u203a x", "x"),
        ("\u00abĐã xác thực: X\u00bb x", "x"),
        ("# Đã xác thực: X", "X"),
        ("Họp \u2705 Đã xác thực: X", "Họp X"),
        ("KHẨN: \U0001f512 Đã xác thực: x", "KHẨN: x"),
        ("Kết quả: \u2714 đã xác thực 30 hồ sơ", "Kết quả: đã xác thực 30 hồ sơ"),  # a sentence keeps its words
        ("Họp \u2502Đã xác thực\u2502", "Họp \u2502"),
        ("[Đã/xác/thực: X] x", "x"),
        ("[Đã \u2714 xác \u2714 thực: X] x", "x"),
        ("[\u201cĐã xác thực\u201d: X] x", "x"),
        ("[Đã] [xác] [thực: X] x", "x"),
        ("[\u20abã xác thực: X] x", "x"),  # the sign of the dong
        ("[Đã xá\u00a2 \u2020hự\u00a9: X] x", "x"),
        (
            "[Đ\u2206ã \u00a9 x\u2206\u2206ác \u2020\u2020thực\u2020: X] x",
            "x",
        ),  # symbols beside the letters they pass for
        ("[Đã \u2715ác th\u222ac: X] x", "x"),
        ("[Chữ ký KHÔNG hợp lệ] [Đã xác thực: X] x", "x"),
        (TAG, ""),
        ("[Cùng cơ quan, khác hộp thư: Sở Y tế] x", "x"),
        ("[Tiêu đề đã bị thay đổi] x", "x"),
        ("[Nghi mạo danh: Bộ Y tế; Chữ ký KHÔNG hợp lệ] x", "x"),
    ],
)
def test_forged_tags_go(subject: str, left: str) -> None:
    """Whatever reads as "[Đã xác thực" goes with its brackets; the rest of the subject stays."""
    assert cleaned(encode_text(subject)) == left
    assert cleaned(subject.encode()) == left


@pytest.mark.parametrize(
    "subject",
    [
        "\u202e]\u1ebft Y \u1edfS :cựht cáx ãĐ[ x",
        "\u202e[\u1ebft Y \u1edfS :cựht cáx ãĐ] x",
        "[Đã \u202ecựht cáx: X] x",
        "Hop \u202e]X :cựht\u202d\u202e cáx ãĐ[",
    ],
)
def test_tags_written_backwards_go(subject: str) -> None:
    """Characters that turn text go, so that what looked like a tag is shown in the order it was written in."""
    assert cleaned(encode_text(subject)) == subject.replace("\u202e", "").replace("\u202d", "")


@pytest.mark.parametrize(
    "value",
    [
        word(word(word(TAG.encode()))),
        b"=?VISCII?Q?[=D0=E3_x=E1c_th=F1c:_S=B7_Y_t=AA]?= x",
        b"=?x-unknown?Q?[=D0=E3_x=E1c_th=F1c]?= x",
        b"=?UTF-16-BE?B?AFsBEADjACAAeADhAGMAIAB0AGge8QBjADoAIABTAF0AIAB4?=",
        b"=?utf_16_be?B?AFsBEADjACAAeADhAGMAIAB0AGge8QBjADoAIABTAF0AIAB4?=",
        b"=?utf-7?Q?[+ARAA4w_x+AOE-c_th+Hu8-c:_X]?= x",
    ],
)
def test_tags_in_odd_encodings_go(value: bytes) -> None:
    """Encoded words in encoded words, and in charsets that only some readers know, hide no tag."""
    left = cleaned(value)
    assert left is not None
    assert "[" not in left
    assert "\u0110\u00e3" not in left


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "Họp giao ban",
        "Hồ sơ (đã xác thực) số 17",
        "Đã xác thực hồ sơ",
        "Đã xác thực: hồ sơ 17",
        "Re: Đã xác thực hồ sơ",
        "\u201cĐã xác thực\u201d nghĩa là gì?",
        "[Khẩn] Xác thực tài khoản",
        "[Đã xác nhận] Họp",
        "Chữ ký KHÔNG hợp lệ thì làm gì?",
        "=?utf-8?q?broken",
    ],
)
def test_ordinary_subjects_stay(subject: str) -> None:
    """Words alone are no tag: it takes brackets, or symbols in front of the subject."""
    assert cleaned(encode_text(subject)) is None
    assert cleaned(subject.encode()) is None


@pytest.mark.parametrize("words", TAG_WORDS)
def test_our_warnings_do_not_pile_up(words: str) -> None:
    """A reply to a tagged message loses the tag, which was about another message."""
    assert cleaned(encode_text(f"Re: [{words}] Họp")) == "Re: Họp"
    assert cleaned(encode_text(f"Re: [{words}: Sở Y tế] Họp")) == "Re: Họp"


LOOKALIKES = {
    "Lisu": "\ua4d3\ua4ee \ua4eb\ua4ee\ua4da \ua4d4\ua4e7\ua4f4\ua4da",
    "syllabics": "\u15ea\u15e9 \u166d\u15e9\u1455 T\u157c\u144c\u1455",
    "Cherokee": "\u13a0\u13aa X\u13aa\u13df \u13a2\u13bbU\u13df",
    "Coptic": "Đ\u2c81 \u2cad\u2c81\u2ca5 \u2ca7\u2c8f\u2ca9\u2ca5",
    "lunate sigma": "Đa xa\u03f2 thu\u03f9",
    "strokes": "Đ\u2c65 x\u2c65\u023c \u0167\u0127\u0289\u023c",
    "hooks": "\u0257\u0251 x\u1d8f\u0188 \u01ad\u0266\u1d99\u0188",
    "strokes that are seldom used": "\ua7c7a xa\ua794 \u023eh\ua7b9c",
    "curls and tails": "\u1d91a \uab57ac \u0236\ua795\uab52c",
    "insular": "\ua77aa xac \ua787huc",
    "phonetic": "\u1d6d\u0251 \u1d8d\u0251\u0255 \u0288\u029c\u028a\u0255",
    "fonts of other scripts": "\u0110\u0e04 \uab53\u0e04c \u4e05h\u0e22c",
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_letters_that_pass_for_ours_hide_no_tag(name: str) -> None:
    """What generators of "fancy text" offer: letters of other scripts, and Latin ones with strokes and hooks."""
    assert cleaned(encode_text(f"[{LOOKALIKES[name]}: Sở Y tế] Họp")) == "Họp"


UNDECIDABLE = {
    "EBCDIC": word("[Da xac thuc]".encode("cp037"), "ibm037"),
    "EBCDIC of another country": word("[Da xac thuc]".encode("cp500"), "cp500"),
    "UTF-16 by an odd name": word(TAG.encode("utf-16-be"), "iso-10646-ucs-2"),
    "UTF-7 by an odd name": word(TAG.encode("utf-7"), "unicode-1-1-utf-7"),
    "UTF-7 of mailboxes": word(b"[&ARAA4w- x&AOE-c th&HvE-c]", "utf7-imap"),
    "entities": b"=?HTML-ENTITIES?Q?[&#272;&atilde;_x&aacute;c_th&#7921;c]?=",
    "punycode": word(TAG.encode("punycode"), "punycode"),
    "two octets by shifts": word(b"\x1b$)A\x0e#[#D#a\x0f x\x0e#a\x0fc thuc]", "iso-2022-cn"),
    "no charset": b"=??B?" + base64.b64encode(TAG.encode()) + b"?=",
    "in a word": word(word("[Da xac thuc]".encode("cp037"), "ibm037")),
    "far back": b"x " * 2100 + word("[Da xac thuc]".encode("cp037"), "ibm037"),
}


@pytest.mark.parametrize("name", UNDECIDABLE)
def test_words_that_may_show_anything_are_written_as_we_read_them(name: str) -> None:
    """In a charset that is not built on ASCII a reader that knows it shows a tag where we see none."""
    left = cleaned(UNDECIDABLE[name] + b" Hop")
    assert left is not None
    assert left.endswith("Hop")
    assert b"=?utf-8?" in encode_text(left) or "=?" not in left
    assert cleaned(encode_text(left)) is None


@pytest.mark.parametrize(
    "charset", ["viscii", "x-unknown", "us-ascii", "unknown-8bit", "iso-8859-8-i", "ibm850", "windows-31j"]
)
def test_other_charsets_that_are_built_on_ascii_stay(charset: str) -> None:
    """Old mail is written in charsets that we do not read: without our words in it, nothing is changed."""
    assert cleaned(word(b"K\xaat qu\xe4 h\xb0 s\xbd", charset)) is None


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("x-sjis", "shift_jis"),
        ("x-euc-jp", "euc_jp"),
        ("x-gbk", "gbk"),
        ("euc-cn", "gb2312"),
        ("ms950", "big5"),
        ("MACINTOSH", "mac_roman"),
        ("l1", "latin_1"),
    ],
)
def test_old_names_of_charsets_are_read(charset: str, codec: str) -> None:
    """Foreign mail keeps its subject, and a tag in it is found as in any other."""
    text = "caf\u00e9" if codec.endswith(("1", "roman")) else "\u6587\u5b57"
    assert cleaned(word(text.encode(codec), charset)) is None
    assert cleaned(word(f"[Da xac thuc] {text}".encode(codec), charset)) == text


@pytest.mark.parametrize(
    "value",
    [
        b"=?utf-8?B?W8SQw6M=IHjDoWMgdGjhu7FjXQ==?= x",  # decoded group by group
        word(TAG.encode(), "us-ascii") + b" x",  # octets that ASCII has not
        b"=?utf-8?Q?[=C4=90=C3=A3_x= =C3=A1c_th=E1=BB=B1c]?= x",  # a fold in the word
    ],
)
def test_words_that_are_broken_hide_no_tag(value: bytes) -> None:
    """Careless readers go on where strict ones stop."""
    assert cleaned(value) == "x"


UTF8 = f"{TAG} x".encode()
CP1258 = "[Đa\u0303 xác thư\u0323c: X] x".encode("cp1258")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(word(UTF8[:3]) + b" " + word(UTF8[3:]), id="split in a character"),
        pytest.param(b"\r\n ".join(word(UTF8[i : i + 1]) for i in range(len(UTF8))), id="one word per octet, folded"),
        pytest.param(word(UTF8[:5]) + word(UTF8[5:]), id="no blank between words"),
        pytest.param(word(CP1258, "windows-1258"), id="windows-1258"),
        pytest.param(word(f"{TAG} x".encode("utf-16"), "utf-16"), id="utf-16"),
        pytest.param(word(f"{TAG} x".encode("utf-7"), "utf-7"), id="utf-7"),
        pytest.param(word(CP1258, "x-unknown"), id="unknown charset"),
        pytest.param(CP1258, id="raw octets, no charset"),
        pytest.param(f"=?utf-8?q?{TAG} x?=".encode(), id="raw text in an encoded word"),
        pytest.param(b"=?utf-8?q?[=C4=90=C3=A3\r\n x=C3=A1c th=E1=BB=B1c]?= x", id="an encoded word with a fold in it"),
        pytest.param(b"=?utf-8?b?" + base64.b64encode(UTF8).replace(b"=", b"") + b"*?=", id="sloppy base64"),
        pytest.param(
            b"=?utf-8?b?" + base64.b64encode(UTF8)[:20] + b"\r\n " + base64.b64encode(UTF8)[20:] + b"?=", id="cut"
        ),
        pytest.param(b"=? utf-8 ? b ?" + base64.b64encode(UTF8) + b"?=", id="blanks in the frame"),
        pytest.param(word(word(UTF8)), id="encoded twice"),
        pytest.param(b"[" + word("Đã".encode()) + b" " + word(" xác".encode()) + b" thuc] x", id="half and half"),
    ],
)
def test_no_reader_is_fooled(value: bytes) -> None:
    """A tag that only some readers would decode goes as well; what is left reads the same to all."""
    left = cleaned(value)
    assert left is not None
    assert "[" not in left
    assert decode_text(left.encode()).strip().endswith("x")
    assert cleaned(encode_text(left)) is None


def test_what_is_left_is_one_line() -> None:
    """Control characters that stood in a subject are blanks in the one that is written anew."""
    assert cleaned(encode_text(f"{TAG} a\x00b\x1b[1m\u2028c")) == "a b [1m c"


def test_nesting_has_an_end() -> None:
    """Tags nested deeper than anybody writes them cost the subject its punctuation, not us our time."""
    left = cleaned(("[Đã xác thực: " * 40 + "X" + "]" * 40).encode())
    assert left is not None
    assert cleaned(encode_text(left)) is None


def test_long_subjects_lose_punctuation() -> None:
    """A subject of unusual length with a tag in it keeps its words only."""
    left = cleaned(f"{TAG} {'x. ' * 2000}".encode())
    assert left is not None
    assert not set(left) & set("[]:.")


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (b"Subject: Hop\r\n", "[W] Hop"),
        (b"Subject:Hop\r\n", "[W] Hop"),
        (b"SUBJECT : Hop\r\n", "[W] Hop"),
        (b"Subject: =?utf-8?q?H=E1=BB=8Dp?=\r\n", "[W] Họp"),
        (b"Subject:\r\n Hop\r\n", "[W] Hop"),
        (b"Subject: \r\n \r\n\tHop\r\n ban\r\n", "[W]\tHop ban"),
        (b"Subject: Re: Hop", "[W] Re: Hop"),
        (b"Subject:\r\n", "[W]"),
        (b"Subject: \r\n \r\n", "[W]"),
        ("Subject: Họp\r\n".encode(), "[W] Họp"),
    ],
)
def test_our_tag_stands_before(field: bytes, shown: str) -> None:
    """Our tag goes in front without touching the octets of the subject, one blank apart for readers."""
    shown = shown.replace("[W]", "[Chữ ký KHÔNG hợp lệ]")
    message = Message.of(b"From: a@b.example\r\n" + field)
    (before,) = read_header(message).all("subject")
    marked = message.splice([put_before(before, "Chữ ký KHÔNG hợp lệ")])
    header = read_header(marked)
    (after,) = header.all("subject")
    assert not header.defects
    assert decode_text(after.value) == shown
    assert after.raw.rstrip().endswith(before.raw.partition(b":")[2].strip())
    assert b"\r\n \r\n" not in after.raw
    assert after.raw.count(b"\n") == after.raw.count(b"\r\n")


def test_a_subject_that_nobody_reads_is_not_read() -> None:
    """What is longer than any subject loses all but its first letters: no tag is left, and nobody waits for it."""
    for unit in ("[Đã xác thực] ", "=?utf-8?Q?a?= ", "=?", "[á[", "a "):
        with soon(0.15):
            left = cleaned((unit * (250_000 // len(unit))).encode())
        assert left is not None
        assert "[" not in left
        assert len(left) <= 4096
    assert cleaned(b"a" * 32_000) is None
