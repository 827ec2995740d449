"""What tagging writes for each verdict."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.address import Mailbox
from gateway.core.boundary import NOTHING_SAID, BoundaryResults
from gateway.core.message import Message
from gateway.core.verdict import (
    VERDICTS,
    ChainState,
    Invalid,
    Judgment,
    Note,
    NotTrusted,
    SignatureState,
    Signer,
    SignerMismatch,
    Unsigned,
    Verdict,
    VerdictRow,
    Verified,
    VerifiedLesser,
)
from gateway.mime.fields import decode_text, read_header
from gateway.pki.family import Family
from gateway.tagging import strip, tag, words
from gateway.tagging.reading import seen

VECTORS = Path(__file__).parents[2] / "vectors" / "marks"
NOW = dt.datetime(2026, 11, 24, 1, 30, 5, 999, tzinfo=dt.UTC)
AUTHOR = Mailbox("soyte", "songlam.example")
LETTER = "From: Sở Y tế <soyte@songlam.example>\r\nSubject: Hop\r\n\r\nbody\r\n".encode()


def signer(address: str = str(AUTHOR), agency: str | None = None, issuer: str = "C=VN, O=Ban, CN=CA") -> Signer:
    return Signer("C=VN, CN=X", issuer, "5400AB", (address,), agency, None, "RSA-2048", "ab" * 32)


def judgment(verdict: Verdict, *, headers: bool = False) -> Judgment:
    state = SignatureState.NONE if isinstance(verdict, Unsigned) else SignatureState.VALID
    return Judgment(verdict, ChainState.VALID, state, True, headers, AUTHOR)


def every(kind: type) -> Verdict:
    if kind is VerifiedLesser:
        return VerifiedLesser("same_agency", (signer(),), AUTHOR)
    return Verified("verified", (signer(),), AUTHOR) if kind is Verified else kind("some_reason", (signer(),))


def marked(
    found: Judgment,
    *,
    agency: str | None = "Sở Y tế",
    subject: str = "on",
    letter: bytes = LETTER,
    boundary: BoundaryResults = NOTHING_SAID,
    families: tuple[Family, ...] = (),
) -> dict[str, str]:
    """Return the decoded fields of a tagged letter, each name once."""
    result = tag(
        Message.of(letter),
        found,
        agency=agency,
        authserv_id="mail.songlam.example",
        subject=subject,  # type: ignore[arg-type]
        received_at=NOW,
        boundary=boundary,
        families=families,
    )
    fields = read_header(result).fields
    assert len({each.key for each in fields}) == len(fields)
    return {each.key: decode_text(each.value) for each in fields}


def test_verified() -> None:
    """A verified message names the agency in the subject and in a field of its own."""
    fields = marked(judgment(every(Verified)))
    assert list(fields)[:5] == [
        *("authentication-results", "x-gateway-verdict", "x-verified-sender", "x-gateway-signer", "x-gateway-reason")
    ]
    assert fields["x-verified-sender"] == (
        "Đã xác thực: Sở Y tế; người ký / signer: X; nơi cấp / issuer: CA; số / serial: 5400AB; "
        "lý do: nội dung đúng như đã ký, chứng thư có địa chỉ người gửi; "
        "cổng thư: mail.songlam.example; lúc: 2026-11-24T08:30:05+07:00"
    )
    assert fields["subject"] == "[Đã xác thực: Sở Y tế] Hop"
    assert fields["x-gateway-verdict"].startswith(
        "verified; reason=verified; chain=valid; signature=valid; covers=all; headers=unsigned; "
        "by=mail.songlam.example; at=2026-11-24T08:30:05+07:00 (Đã xác thực: Sở Y tế. "
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
    assert fields["x-gateway-verdict"].startswith(f"{row.name}; reason={every(kind).reason}; ")
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
    assert fields["x-verified-sender"].startswith(f"Đã xác thực: {shown}; người ký")
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
        assert told["x-verified-sender"].partition(";")[0].endswith("x.evil.example")
        assert "bocongan" not in told["x-verified-sender"]
    else:
        assert told["x-verified-sender"].startswith(f"Đã xác thực: {shown}; ")


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


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("same_agency", "Cùng cơ quan, khác hộp thư: Sở Y tế"),
        ("successor_domain", "Tên miền cũ hoặc kế thừa: Sở Y tế"),
        ("delegate", "Ký thay người gửi"),
        ("headers_changed", "Tiêu đề đã bị thay đổi"),
        ("sha1", "Ký bằng SHA-1, không còn an toàn"),
        ("list_copy", "Bản chuyển qua danh sách thư"),
        ("replay_unknown", "Chưa rõ có phải thư gửi lại"),
    ],
)
def test_a_lesser_verdict_is_told_as_a_difference(reason: str, told: str) -> None:
    """What is less than verified has its own words in every field, and no field of the verified ones."""
    fields = marked(judgment(VerifiedLesser(reason, (signer(),), AUTHOR)))
    assert fields["subject"] == f"[{told}] Hop"
    assert "x-verified-sender" not in fields
    assert "smime=policy" in fields["authentication-results"]
    assert not any("daxacthuc" in seen(value) for value in fields.values())
    assert "Verified" not in fields["x-gateway-reason"]


def test_a_lesser_agency_cannot_say_more() -> None:
    """An agency named like a verified tag is not named at all beside a lesser verdict."""
    fields = marked(judgment(VerifiedLesser("same_agency", (signer(),), AUTHOR)), agency="Đã xác thực: Bộ Công an")
    assert fields["subject"] == "[Cùng cơ quan, khác hộp thư] Hop"
    assert not any("daxacthuc" in seen(value) for value in fields.values())


@pytest.mark.parametrize("subject", ["on", "bad_only"])
def test_imitations_are_told_in_the_subject(subject: str) -> None:
    """Who seems to imitate somebody is not called verified in the subject, and is warned of without a signature too."""

    def told(kind: type, *notes: Note) -> str:
        return marked(replace(judgment(every(kind)), notes=notes), subject=subject)["subject"]

    imitation, domain, words = Note("impersonation", "Bộ Y tế"), Note("lookalike_domain", "a.vn"), Note("tag_words")
    assert told(Unsigned, Note("first_contact"), imitation, domain) == "[Nghi mạo danh: Bộ Y tế] Hop"
    assert told(Verified, domain) == "[Tên miền gần giống: a.vn] Hop"
    assert told(Invalid, words) == "[Người gửi tự viết nhãn; Chữ ký KHÔNG hợp lệ] Hop"
    assert told(Unsigned, Note("impersonation", "a] [Đã xác thực")) == "[Nghi mạo danh] Hop"
    assert told(Unsigned, Note("first_contact")) == "Hop"


def test_notes_are_told_to_programs_and_people() -> None:
    """Each note is a code in the verdict's field and a sentence in the reason's, a stranger's words made harmless."""
    notes = (Note("first_contact"), Note("impersonation", "Đã xác thực"), Note("lookalike_domain", "a]\r\nX: y"))
    fields = marked(replace(judgment(every(Unsigned)), notes=notes))
    assert "; notes=first_contact,impersonation,lookalike_domain; by=" in fields["x-gateway-verdict"]
    told = fields["x-gateway-reason"]
    assert "có dấu hiệu mạo danh. CẢNH BÁO: tên miền gần giống một tên miền khác: a) X: y. / The message" in told
    assert "notes=" not in marked(judgment(every(Unsigned)))["x-gateway-verdict"]


def test_a_signer_is_trusted_or_only_claimed() -> None:
    """What a certificate says stands as fact only where its path and the signature hold; else no agency is named."""
    one = replace(signer(agency="Sở Y tế"), subject="C=VN, O=A\\, CN=B, CN=Lan\\, Hoàng", family="government")
    families = (Family("government", "chuyên dùng công vụ", "government", frozenset(), frozenset(), frozenset()),)
    good = marked(judgment(SignerMismatch("signer_is_not_author", (one,))), families=families)["x-gateway-signer"]
    assert good == (
        f"trusted; serial=5400AB; sha256={'ab' * 32}; family=government (cơ quan / agency: Sở Y tế; "
        "người ký / signer: Lan, Hoàng; nơi cấp / issuer: CA; số / serial: 5400AB; "
        "loại / family: chuyên dùng công vụ / government)"
    )
    for bad in (
        replace(judgment(every(NotTrusted)), chain=ChainState.INVALID),
        replace(judgment(every(Invalid)), signature=SignatureState.INVALID),
    ):
        told = marked(replace(bad, verdict=replace(bad.verdict, signers=(one,))), families=families)["x-gateway-signer"]
        assert told.startswith("claimed; serial=5400AB; ")
        assert "Sở Y tế" not in told
        assert "công vụ" not in told


def test_signers_cannot_say_that_they_are_verified() -> None:
    """A name in a certificate with the words of a verified tag is left out, and none ends its place in the list."""
    forged = replace(signer(), subject="CN=Đã xác thực: Bộ Công an", issuer="CN=a; cơ quan: b) (c")
    told = marked(judgment(SignerMismatch("signer_is_not_author", (forged,))))["x-gateway-signer"]
    assert "người ký" not in told
    assert "issuer: a, cơ quan: b) (c;" in told


def test_signers_are_bounded() -> None:
    """Four signers are told of, as in Authentication-Results."""
    verdict = SignerMismatch("signer_is_not_author", (signer(),) * 9)
    result = tag(
        Message.of(LETTER), judgment(verdict), agency=None, authserv_id="x.example", subject="on", received_at=NOW
    )
    assert len(read_header(result).all("x-gateway-signer")) == 4


def test_what_the_boundary_says_stands_apart() -> None:
    """SPF, DKIM and DMARC have a field of their own whose words are not those of a signature; silence has none."""
    results = BoundaryResults(spf="pass", dmarc="fail")
    fields = marked(judgment(every(Unsigned)), boundary=results)
    assert fields["x-gateway-boundary"].startswith("spf=pass; dmarc=fail (Máy chủ phía trước")
    assert "spf" not in fields["authentication-results"]
    assert "x-gateway-boundary" not in marked(judgment(every(Unsigned)))


def test_body_and_other_fields_stay() -> None:
    """Tagging adds above and in the subject; stripping gives back a message whose subject was left alone."""
    found = judgment(every(Verified))
    for letter in (LETTER, b"\r\nbody only", b"", b"From: x"):
        result = tag(Message.of(letter), found, agency=None, authserv_id="x.example", subject="off", received_at=NOW)
        assert result.octets().endswith(letter)
        assert strip(result, authserv_id="x.example").octets() == letter


def whole(kind: type) -> bytes:
    """Return all that is written for a verdict, as octets."""
    person = replace(signer(agency="Sở Y tế"), family="government", claimed_signing_time=NOW, subject="CN=Lan Hoàng")
    found = every(kind)
    bare = kind is Unsigned
    state = SignatureState.NONE if bare else SignatureState.INVALID if kind is Invalid else SignatureState.VALID
    chain = ChainState.NONE if bare else ChainState.INVALID if kind is NotTrusted else ChainState.VALID
    verdict = replace(found, signers=() if bare else (person,))
    notes = (Note("first_contact"),)
    answer = Judgment(verdict, chain, state, kind in {Verified, VerifiedLesser}, False, AUTHOR, (), notes)
    families = (Family("government", "chuyên dùng công vụ", "government", frozenset(), frozenset(), frozenset()),)
    return tag(
        Message.of(LETTER),
        answer,
        agency="Sở Y tế",
        authserv_id="mail.songlam.example",
        subject="on",
        received_at=NOW,
        boundary=BoundaryResults("pass", "none", "fail"),
        families=families,
    ).octets()


@pytest.mark.parametrize("row", VERDICTS, ids=lambda row: row.name)
def test_golden(row: VerdictRow) -> None:
    """The fields of every verdict are octet for octet what was reviewed."""
    assert whole(row.kind) == (VECTORS / f"{row.name}.eml").read_bytes()


def test_every_vector_is_used() -> None:
    """No file lies about that nothing compares."""
    assert {each.stem for each in VECTORS.glob("*.eml")} == {row.name for row in VERDICTS}
