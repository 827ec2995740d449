"""What tagging writes for each verdict."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.core.verdict import (
    VERDICTS,
    ChainState,
    Invalid,
    Judgment,
    SignatureState,
    Signer,
    Unsigned,
    Verdict,
    Verified,
    VerifiedLesser,
)
from gateway.mime.fields import decode_text, read_header
from gateway.tagging import strip, tag, words
from gateway.tagging.reading import seen

NOW = dt.datetime(2026, 11, 24, 1, 30, 5, 999, tzinfo=dt.UTC)
AUTHOR = Mailbox("soyte", "songlam.example")
LETTER = "From: Sở Y tế <soyte@songlam.example>\r\nSubject: Hop\r\n\r\nbody\r\n".encode()


def signer(address: str = str(AUTHOR), agency: str | None = None, issuer: str = "C=VN, O=Ban, CN=CA") -> Signer:
    return Signer("C=VN, CN=X", issuer, "5400AB", (address,), agency, None, "RSA-2048", "ab" * 32)


def judgment(verdict: Verdict, *, headers: bool = False) -> Judgment:
    state = SignatureState.NONE if isinstance(verdict, Unsigned) else SignatureState.VALID
    return Judgment(verdict, ChainState.VALID, state, True, headers, AUTHOR)


def every(kind: type) -> Verdict:
    return Verified("verified", (signer(),), AUTHOR) if kind is Verified else kind("some_reason", (signer(),))


def marked(
    found: Judgment, *, agency: str | None = "Sở Y tế", subject: str = "on", letter: bytes = LETTER
) -> dict[str, str]:
    """Return the decoded fields of a tagged letter, each name once."""
    result = tag(
        Message.of(letter),
        found,
        agency=agency,
        authserv_id="mail.songlam.example",
        subject=subject,  # type: ignore[arg-type]
        received_at=NOW,
    )
    fields = read_header(result).fields
    assert len({each.key for each in fields}) == len(fields)
    return {each.key: decode_text(each.value) for each in fields}


def test_verified() -> None:
    """A verified message names the agency in the subject and in a field of its own."""
    fields = marked(judgment(every(Verified)))
    assert list(fields)[:3] == ["authentication-results", "x-gateway-verdict", "x-verified-sender"]
    assert fields["x-verified-sender"] == "Đã xác thực: Sở Y tế"
    assert fields["subject"] == "[Đã xác thực: Sở Y tế] Hop"
    assert fields["x-gateway-verdict"].startswith(
        "verified; reason=verified; chain=valid; signature=valid; covers=all; headers=unsigned; "
        "at=2026-11-24T08:30:05+07:00 (Đã xác thực: Sở Y tế. "
    )
    assert fields["x-gateway-verdict"].endswith("Tiêu đề không được ký.)")


def test_signed_headers() -> None:
    """Nothing says that the header is unsigned where it is signed."""
    told = marked(judgment(every(Verified), headers=True))["x-gateway-verdict"]
    assert "headers=signed;" in told
    assert "không được ký" not in told


@pytest.mark.parametrize("kind", [row.kind for row in VERDICTS if row.kind is not Verified])
@pytest.mark.parametrize("subject", ["on", "off", "bad_only"])
def test_nothing_else_looks_verified(kind: type, subject: str) -> None:
    """Only `Verified` brings the verified words, the field and smime=pass, whoever an agency is said to be."""
    fields = marked(judgment(every(kind)), subject=subject)
    (row,) = (row for row in VERDICTS if row.kind is kind)
    assert "x-verified-sender" not in fields
    assert not any("daxacthuc" in seen(value) for value in fields.values())
    assert fields["x-gateway-verdict"].startswith(f"{row.name}; reason=some_reason; ")
    assert fields["authentication-results"].startswith(f"mail.songlam.example; smime={row.result} reason=")
    tagged = subject != "off" and kind is not Unsigned
    assert (fields["subject"] == "Hop") is not tagged
    if tagged:
        assert fields["subject"].startswith("[")
        assert fields["subject"].endswith("] Hop")


def test_subject_settings() -> None:
    """`off` leaves every subject, `bad_only` those of verified mail."""
    assert marked(judgment(every(Verified)), subject="off")["subject"] == "Hop"
    assert marked(judgment(every(Verified)), subject="bad_only")["subject"] == "Hop"
    assert marked(judgment(every(Invalid)), subject="bad_only")["subject"] == "[Chữ ký KHÔNG hợp lệ] Hop"


def test_no_subject_and_two() -> None:
    """A message without a subject gets one; of two both are tagged, as readers show one or the other."""
    alone = marked(judgment(every(Invalid)), letter=b"From: a@b.example\r\n\r\n")
    assert alone["subject"] == "[Chữ ký KHÔNG hợp lệ]"
    two = b"Subject: a\r\nFrom: a@b.example\r\nsubject: b\r\n\r\n"
    result = tag(
        Message.of(two),
        judgment(every(Invalid)),
        agency=None,
        authserv_id="x.example",
        subject="on",
        received_at=NOW,
    )
    shown = [decode_text(each.value) for each in read_header(result).all("subject")]
    assert shown == ["[Chữ ký KHÔNG hợp lệ] a", "[Chữ ký KHÔNG hợp lệ] b"]


def test_lines_on_top_do_not_continue_ours() -> None:
    """A continuation line without a field cannot add words to a field of ours."""
    fields = marked(judgment(every(Unsigned)), letter=b" Da xac thuc: So Y te\r\nFrom: a@b.example\r\n\r\n")
    assert not any("daxacthuc" in seen(value) for value in fields.values())


@pytest.mark.parametrize(
    ("agency", "shown"),
    [
        ("Sở Y tế", "Sở Y tế"),
        ("X] [Đã xác thực: Bộ Công an", "X) (Đã xác thực: Bộ Công an"),
        ("\u3010X\u3011\uff3d", "(X))"),
        ("a\r\nX-Evil: 1\0\x1b", "a X-Evil: 1"),
        ("a\u202eb\u200bc\u2066d", "abcd"),
        ("a" + "\u0301" * 50, "\u00e1\u0301\u0301"),
        ("x" * 300, "x" * 99 + "…"),
        ("\u200b\u3164 ", "soyte@songlam.example"),
        (None, "soyte@songlam.example"),
    ],
)
def test_names_stay_in_their_brackets(agency: str | None, shown: str) -> None:
    """A name can neither close the tag, nor turn or hide text, nor fill the line."""
    fields = marked(judgment(every(Verified)), agency=agency)
    assert fields["x-verified-sender"] == f"Đã xác thực: {shown}"
    assert fields["subject"] == f"[Đã xác thực: {shown}] Hop"
    assert fields["subject"].count("]") == 1


@pytest.mark.parametrize(
    ("author", "shown"),
    [
        (Mailbox('"] Bộ Công an <a@gov.example>"', "evil.example"), "…@evil.example"),
        (Mailbox("a" * 60, "evil.example"), "a" * 39 + "…@evil.example"),
        (Mailbox("a", "bocongan.gov.vn." + "x" * 60 + ".evil.example"), "…@" + "x" * 46 + ".evil.example"),
        (Mailbox("a", "thư.example"), f"a@{'thư.example'.encode('idna').decode()}"),
        (Mailbox("\u0430", "evil.example"), "…@evil.example"),
    ],
)
def test_mailboxes_show_their_domain(author: Mailbox, shown: str) -> None:
    """Where no agency is known the mailbox stands for it: the end of its domain always shows, look-alikes never."""
    verdict = Verified("verified", (signer(str(author)),), author)
    told = marked(Judgment(verdict, ChainState.VALID, SignatureState.VALID, True, False, author), agency=None)
    if len(author.domain) > 60:
        assert told["x-verified-sender"].endswith("x.evil.example")
        assert "bocongan" not in told["x-verified-sender"]
    else:
        assert told["x-verified-sender"] == f"Đã xác thực: {shown}"


def test_signers_of_two_agencies_have_no_common_name() -> None:
    """Two agencies' signatures do not make one of them the sender."""
    verdict = Verified("verified", (signer(agency="A"), signer(agency="B")), AUTHOR)
    assert "soyte@songlam.example" in words(judgment(verdict))[0]
    assert "Sở Y" in words(judgment(Verified("verified", (signer(agency="Sở Y"),), AUTHOR)))[0]


def test_words_are_in_both_languages() -> None:
    """Each verdict has a sentence of its own in Vietnamese and in English, and a known reason adds another."""
    told = [words(judgment(every(row.kind))) for row in VERDICTS]
    assert len({vietnamese for vietnamese, _ in told}) == len({english for _, english in told}) == len(VERDICTS)
    assert all(not vietnamese.isascii() and english.isascii() for vietnamese, english in told)
    vietnamese, english = words(judgment(Invalid("digest_mismatch", ())))
    assert vietnamese == "Chữ ký KHÔNG hợp lệ. Nội dung đã bị thay đổi sau khi ký."
    assert english == "The signature is NOT valid. The content was changed after it was signed."


def test_a_lesser_verdict_is_a_warning() -> None:
    """Verified by somebody else is told as a difference, not in green."""
    assert marked(judgment(every(VerifiedLesser)))["subject"] == "[Ký thay người gửi] Hop"


def test_body_and_other_fields_stay() -> None:
    """Tagging adds above and in the subject; stripping gives back a message whose subject was left alone."""
    found = judgment(every(Verified))
    for letter in (LETTER, b"\r\nbody only", b"", b"From: x"):
        result = tag(Message.of(letter), found, agency=None, authserv_id="x.example", subject="off", received_at=NOW)
        assert result.octets().endswith(letter)
        assert strip(result, authserv_id="x.example").octets() == letter
