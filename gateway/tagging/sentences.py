"""Every verdict in Vietnamese and English: whole sentences for people, and the few words that a subject has room for.

Only `Verified` may ever be told with the words of `VERIFIED`; what a certificate says of itself is made harmless first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from gateway.core.verdict import (
    Encrypted,
    Indeterminate,
    Invalid,
    NotTrusted,
    Partial,
    Replayed,
    SignerMismatch,
    Unreadable,
    Unsigned,
    Verified,
    VerifiedLesser,
)
from gateway.tagging.reading import foreign, shown, shown_mailbox
from gateway.tagging.reasons import NOTES, REASONS, VERIFIED

if TYPE_CHECKING:
    from gateway.core.verdict import Judgment, Note, Verdict

HEADERS_UNSIGNED: Final = "Tiêu đề không được ký."


def words(judgment: Judgment, agency: str | None = None) -> tuple[str, str]:
    """Return what people are told about a judgment, in Vietnamese and in English."""
    verdict = judgment.verdict
    vietnamese, english = _sentence(verdict, agency)
    more = REASONS.get(verdict.reason)
    return (f"{vietnamese} {more[0]}", f"{english} {more[1]}") if more is not None else (vietnamese, english)


def _sentence(verdict: Verdict, agency: str | None) -> tuple[str, str]:  # noqa: PLR0911 - one return for each verdict of the union
    match verdict:
        case Verified():
            name = verified_name(verdict, agency)
            return (
                f"{VERIFIED}: {name}. Nội dung thư đúng như đã ký và chứng thư có địa chỉ người gửi.",
                f"Verified: {name}. The content is exactly what was signed; the certificate has the sender's address.",
            )
        case VerifiedLesser():
            return _lesser_sentence(verdict, agency)
        case SignerMismatch():
            return (
                "Chữ ký hợp lệ nhưng không phải của người gửi: không tin vào tên người gửi.",
                "A good signature, but not the sender's: do not believe the sender's name.",
            )
        case Replayed():
            return (
                "Chữ ký này đã xuất hiện ở một thư khác: có thể bị gửi lại.",
                "This signature was seen on another message: it may have been replayed.",
            )
        case Partial():
            return (
                "Chữ ký chỉ phủ một phần của những gì hiển thị.",
                "The signature covers only a part of what is shown.",
            )
        case NotTrusted():
            return ("Chữ ký không đáng tin cậy.", "The signature is not trusted.")
        case Indeterminate():
            return (
                "Chưa kiểm tra được chữ ký vì thiếu dữ liệu.",
                "The signature cannot be checked now: data is missing.",
            )
        case Invalid():
            return ("Chữ ký KHÔNG hợp lệ.", "The signature is NOT valid.")
        case _:
            return _unjudged(verdict)


def _lesser_sentence(verdict: VerifiedLesser, agency: str | None) -> tuple[str, str]:
    """Return the sentence of a lesser state; the agency is named where its registry is what vouches for it."""
    _, vietnamese, english = LESSER_WORDS.get(verdict.reason, _OTHER_LESSER)
    name = _vouched(verdict, agency)
    return (f"{vietnamese}: {name}.", f"{english}: {name}.") if name else (f"{vietnamese}.", f"{english}.")


def _vouched(verdict: VerifiedLesser, agency: str | None) -> str:
    return foreign(_agency(verdict, agency) or "") if verdict.reason in _NAMES_AGENCY else ""


def _unjudged(verdict: Encrypted | Unreadable | Unsigned) -> tuple[str, str]:
    match verdict:
        case Encrypted():
            return (
                "Thư được mã hóa: cổng thư không kiểm tra được chữ ký.",
                "The message is encrypted: a signature cannot be checked here.",
            )
        case Unreadable():
            return ("Không kiểm tra được thư này.", "This message cannot be checked.")
        case Unsigned():
            return (
                "Thư không có chữ ký số: chưa biết chắc ai là người gửi.",
                "The message is not signed: nothing is known about who sent it.",
            )
        case _:
            assert_never(verdict)


def note_words(note: Note) -> tuple[str, str]:
    """Return what people are told beside a verdict, in Vietnamese and in English."""
    vietnamese, english = NOTES[note.code]
    detail = foreign(note.detail)
    return (f"{vietnamese}: {detail}.", f"{english}: {detail}.") if detail else (f"{vietnamese}.", f"{english}.")


def verified_name(verdict: Verified, agency: str | None) -> str:
    """Return whom the tag names: the agency given, else the signers' one agency, else the author's mailbox."""
    chosen = _agency(verdict, agency)
    name = shown(chosen) if chosen is not None else ""
    if name or verdict.author is None:
        return name or "?"
    return shown_mailbox(verdict.author)


def _agency(verdict: Verdict, agency: str | None) -> str | None:
    if agency:
        return agency
    agencies = {each.agency for each in verdict.signers if each.agency is not None}
    return agencies.pop() if len(agencies) == 1 else None


def subject_words(judgment: Judgment, agency: str | None) -> str | None:
    """Return what stands between the brackets in a subject, None for what gets no tag.

    A message that seems to imitate somebody is not called verified there, whoever signed it.
    """
    alarm = next((_alarm(each) for each in judgment.notes if each.code in ALARMS), None)
    told = _verdict_words(judgment.verdict, agency)
    if alarm is None:
        return told
    return alarm if told is None or isinstance(judgment.verdict, Verified) else f"{alarm}; {told}"


def _alarm(note: Note) -> str:
    detail = foreign(note.detail)
    return f"{ALARMS[note.code]}: {detail}" if detail else ALARMS[note.code]


def _verdict_words(verdict: Verdict, agency: str | None) -> str | None:
    match verdict:
        case Verified():
            return f"{VERIFIED}: {verified_name(verdict, agency)}"
        case VerifiedLesser():
            told, _, _ = LESSER_WORDS.get(verdict.reason, _OTHER_LESSER)
            name = _vouched(verdict, agency)
            return f"{told}: {name}" if name else told
        case _:
            return WARNINGS.get(type(verdict))


WARNINGS: Final[dict[type, str]] = {
    Invalid: "Chữ ký KHÔNG hợp lệ",
    Unreadable: "Không kiểm tra được",
    Encrypted: "Thư mã hóa, chưa kiểm tra",
    NotTrusted: "Chữ ký không đáng tin cậy",
    Indeterminate: "Chưa kiểm tra được chữ ký",
    Partial: "Chữ ký chỉ phủ một phần",
    SignerMismatch: "Người ký không phải người gửi",
    Replayed: "Chữ ký dùng lại",
    VerifiedLesser: "Chữ ký hợp lệ, có điểm khác",
}

ALARMS: Final = {
    "impersonation": "Nghi mạo danh",
    "lookalike_domain": "Tên miền gần giống",
    "tag_words": "Người gửi tự viết nhãn",
}
"""Notes that a subject tells before the verdict, in the order of the notes; their detail follows."""
_OTHER_LESSER: Final = (
    WARNINGS[VerifiedLesser],
    "Chữ ký hợp lệ nhưng có một điểm khác thường",
    "A good signature, with something out of the ordinary",
)
LESSER_WORDS: Final = {
    "same_agency": (
        "Cùng cơ quan, khác hộp thư",
        "Ký bằng một hộp thư khác của cùng cơ quan, không phải của chính người gửi",
        "Signed with another mailbox of the same agency, not with the sender's own",
    ),
    "successor_domain": (
        "Tên miền cũ hoặc kế thừa",
        "Chứng thư ghi cùng hộp thư ở tên miền cũ hoặc tên miền kế thừa của cơ quan",
        "The certificate names the same mailbox in a domain that was merged into, or took over, the agency's other one",
    ),
    "delegate": (
        "Ký thay người gửi",
        "Chữ ký hợp lệ của người gửi thay (Sender), không phải của chính người gửi",
        "A good signature by whom the Sender field names, not by the author",
    ),
    "headers_changed": (
        "Tiêu đề đã bị thay đổi",
        "Nội dung đúng như người gửi đã ký, nhưng tiêu đề đã bị thay đổi: đừng tin tiêu đề đang hiển thị",
        "The content is what its sender signed, but header fields were changed: do not believe those shown",
    ),
    "sha1": (
        "Ký bằng SHA-1, không còn an toàn",
        "Chữ ký đúng nhưng dùng SHA-1, không còn an toàn: có thể bị giả mạo",
        "The signature fits, but over SHA-1, which is not safe any more: it can be forged",
    ),
    "list_copy": (
        "Bản chuyển qua danh sách thư",
        "Nội dung đúng như người gửi đã ký, được danh sách thư chuyển tiếp với tiêu đề khác",
        "The content is what its sender signed; a mailing list passed it on under another subject",
    ),
    "replay_unknown": (
        "Chưa rõ có phải thư gửi lại",
        "Nội dung đúng như người gửi đã ký, nhưng chưa kiểm tra được thư có bị gửi lại hay không",
        "The content is what its sender signed; whether it was sent before as other mail cannot be found out now",
    ),
}
"""Reason -> words in a subject, Vietnamese, English. None begins as the words of a verified tag do."""
_NAMES_AGENCY: Final = frozenset({"same_agency", "successor_domain"})
TAG_WORDS: Final = (VERIFIED, *WARNINGS.values(), *ALARMS.values(), *(told for told, _, _ in LESSER_WORDS.values()))
"""Everything that a tag in a subject begins with."""
