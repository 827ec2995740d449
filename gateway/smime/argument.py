"""The numbered argument: all that must hold before "verified" may be said, and why (RFC 8551, RFC 8550, RFC 9788).

Every finding names the condition it breaks; nothing may be verified by a way that is not in this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.verdict import (
    VERDICTS,
    ChainState,
    Encrypted,
    Indeterminate,
    Invalid,
    NotTrusted,
    Partial,
    SignerMismatch,
    Unreadable,
    Unsigned,
    Verdict,
    VerifiedLesser,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from gateway.core.address import Mailbox
    from gateway.core.verdict import Judgment, Signer

FindingKind = type[
    Invalid | Unreadable | Encrypted | NotTrusted | Indeterminate | Partial | SignerMismatch | VerifiedLesser | Unsigned
]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold, and what an attacker gains where nobody looks."""

    number: int
    must: str
    because: str
    must_vi: str
    because_vi: str


ARGUMENT: Final = (
    Condition(
        1,
        "The message can be read within limits, and in one way only.",
        "Two Content-Type fields, a bare LF or a second boundary show one reader what another never hashed.",
        "Thư đọc được trong giới hạn, và chỉ theo một cách.",
        "Hai trường Content-Type, một ký tự LF lẻ hay ranh giới thứ hai khiến người này thấy điều người kia không băm.",
    ),
    Condition(
        2,
        "Its top is one S/MIME signature, clear or opaque.",
        "A signed part beside, below or inside something unsigned lends its color to words nobody signed "
        "(Müller et al. 2019, M1-M4); a forwarded signed message says nothing about its forwarder.",
        "Lớp ngoài cùng của thư là một chữ ký S/MIME, tách rời hoặc gói kín.",
        "Phần được ký nằm cạnh, dưới hay trong phần không ký sẽ cho mượn uy tín; thư ký được chuyển tiếp không nói gì "
        "về người chuyển.",
    ),
    Condition(
        3,
        "A clear signature has exactly two parts: what is signed, then a CMS signature, as its protocol says.",
        "A third part is shown, and not signed; another order makes readers pick another part.",
        "Chữ ký tách rời có đúng hai phần: phần được ký rồi đến chữ ký CMS, như protocol khai báo.",
        "Phần thứ ba được hiển thị mà không được ký; thứ tự khác khiến phần mềm chọn phần khác.",
    ),
    Condition(
        4,
        "Nothing but blank lines and well-known sentences stands around the parts.",
        "Some readers show preamble or epilogue; list footers end up there.",
        "Quanh các phần chỉ có dòng trống và những câu quen thuộc.",
        "Một số phần mềm hiển thị đoạn trước và sau các phần; chân thư của danh sách thư hay nằm ở đó.",
    ),
    Condition(
        5,
        "Nothing that is shown is fetched from outside the signed octets by MIME itself.",
        "message/external-body and message/partial are signed as pointers, not as what they point to.",
        "Không nội dung hiển thị nào được MIME lấy từ ngoài phần được ký.",
        "message/external-body và message/partial được ký như con trỏ, không phải như điều được trỏ tới.",
    ),
    Condition(
        6,
        "What is signed is not encrypted inside.",
        "Anybody can sign a ciphertext made by somebody else and pass for its author.",
        "Bên trong phần được ký không có nội dung mã hóa.",
        "Ai cũng ký được bản mã của người khác rồi nhận là tác giả.",
    ),
    Condition(
        7,
        "The signature is one CMS SignedData within limits, made for mail.",
        "What cannot be read strictly can be read in two ways; a signed file must not pass for a letter.",
        "Chữ ký là một khối CMS SignedData trong giới hạn, được tạo cho thư.",
        "Điều không đọc được chặt chẽ thì đọc được theo hai cách; tệp đã ký không được giả làm thư.",
    ),
    Condition(
        8,
        "The content is in exactly one place: beside the signature, or inside it.",
        "With both, one reader checks the one and shows the other (Müller et al. 2019, C1).",
        "Nội dung nằm ở đúng một chỗ: cạnh chữ ký, hoặc trong chữ ký.",
        "Nếu có cả hai, phần mềm kiểm tra bản này và hiển thị bản kia.",
    ),
    Condition(
        9,
        "There is at least one signer.",
        "A SignedData without signers is valid and says nothing.",
        "Có ít nhất một người ký.",
        "Khối chữ ký không có người ký vẫn đúng cú pháp và không nói gì.",
    ),
    Condition(
        10,
        "Every signer's certificate is at hand.",
        "Without it nothing can be checked: not invalid, not valid.",
        "Có sẵn chứng thư của từng người ký.",
        "Thiếu chứng thư thì không kiểm tra được gì: chưa sai, chưa đúng.",
    ),
    Condition(
        11,
        "Every signer's digest, attributes, algorithms and signature value are good.",
        "Any-of lets an appended signer vouch for a broken one.",
        "Giá trị băm, thuộc tính, thuật toán và giá trị chữ ký của từng người ký đều đúng.",
        "Chỉ cần một người đúng thì người ký thêm vào sẽ che cho chữ ký hỏng.",
    ),
    Condition(
        12,
        "Every signer's certificate leads to a pinned anchor, is for mail, in date and not revoked as far as asked.",
        "Issuer names can be copied, keys cannot.",
        "Chứng thư của từng người ký dẫn tới gốc tin cậy đã ghim, dùng cho thư, còn hạn và chưa bị thu hồi.",
        "Tên nơi cấp có thể chép, khóa thì không.",
    ),
    Condition(
        13,
        "There is exactly one author: one From field with one mailbox.",
        "Readers disagree on which of two they show (Mailsploit, espoofer).",
        "Có đúng một người gửi: một trường From với một địa chỉ.",
        "Nếu có hai, mỗi phần mềm hiển thị một người khác nhau.",
    ),
    Condition(
        14,
        "Every signer's certificate names the author's mailbox.",
        "A good signature of somebody else is the commonest forgery.",
        "Chứng thư của từng người ký có địa chỉ của người gửi.",
        "Chữ ký tốt của người khác là kiểu giả mạo hay gặp nhất.",
    ),
    Condition(
        15,
        "A From field inside what is signed names the same author.",
        "Readers of RFC 9788 and RFC 8551 3.1 show the inner one.",
        "Trường From bên trong phần được ký có cùng một người gửi.",
        "Phần mềm theo RFC 9788 và RFC 8551 3.1 hiển thị trường bên trong.",
    ),
    Condition(
        16,
        "Header fields that the signer protected are the same outside, and none that is shown is there in two ways.",
        "Readers that show the outer ones show a Subject, a recipient or a Reply-To that nobody signed (RFC 9788); of "
        "two each reader shows another.",
        "Các trường tiêu đề người ký đã bảo vệ giống hệt bên ngoài, không trường nào có hai nội dung khác nhau.",
        "Phần mềm hiển thị trường bên ngoài sẽ hiển thị tiêu đề, người nhận hay địa chỉ trả lời không ai ký; có hai "
        "trường thì mỗi phần mềm hiển thị một.",
    ),
    Condition(
        17,
        "The family of every signer's trust anchor may speak for the author's domain, and its certificate lacks "
        "nothing that the family does not let it lack.",
        "One authority among many, careless or taken over, would otherwise speak for every domain.",
        "Nhóm gốc tin cậy của từng người ký được phép nói thay tên miền người gửi, và chứng thư không thiếu điều mà "
        "nhóm đó đòi hỏi.",
        "Nếu không, chỉ cần một nơi cấp cẩu thả hay bị chiếm là nói thay được mọi tên miền.",
    ),
)
"""Numbers are quoted in records and never change their meaning; new conditions are appended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that does not hold, the verdict it leads to, and a stable reason code."""

    condition: int
    kind: FindingKind
    reason: str


_PRECEDENCE: Final = {row.kind: index for index, row in enumerate(VERDICTS)}


def gravest(findings: Iterable[Finding]) -> Finding | None:
    """Return the finding whose verdict takes precedence (`VERDICTS`), the first of equals; None if there is none."""
    return min(findings, key=lambda each: _PRECEDENCE[each.kind], default=None)


def verdict_of(finding: Finding, signers: tuple[Signer, ...], author: Mailbox | None) -> Verdict:
    """Return the verdict that a finding leads to."""
    if finding.kind is VerifiedLesser:
        return VerifiedLesser(finding.reason, signers, author)
    return finding.kind(finding.reason, signers)


class Held(StrEnum):
    """What is known of one condition of a message."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_ASKED = "not_asked"
    """Another one that is broken left nothing to ask about."""


@dataclass(frozen=True, slots=True)
class Step:
    """One condition of the argument, for one message; `reasons` are those of a broken one."""

    condition: Condition
    held: Held
    reasons: tuple[str, ...]


_LAST: Final = len(ARGUMENT) + 1
_AUTHOR: Final = 13
_ENDS: Final[dict[int, tuple[int, ...]]] = {
    1: tuple(range(2, _LAST)),
    2: tuple(range(3, _LAST)),
    3: tuple(range(4, _LAST)),
    7: (5, 6, *range(8, _LAST)),
    8: (5, 6, *range(9, _LAST)),
    9: tuple(range(10, _LAST)),
    10: (11, 12, 14, 16, 17),
}
"""Condition -> what cannot be asked where it is broken and so no signer is known."""


def steps(judgment: Judgment) -> tuple[Step, ...]:
    """Return the whole argument for one message; what could not be asked is never said to hold."""
    reasons: dict[int, list[str]] = {}
    for each in judgment.broken:
        reasons.setdefault(each.condition, []).append(each.reason)
    unasked = _unasked(judgment, reasons.keys())
    found = []
    for condition in ARGUMENT:
        why = tuple(reasons.get(condition.number, ()))
        held = Held.BROKEN if why else Held.NOT_ASKED if condition.number in unasked else Held.HOLDS
        found.append(Step(condition, held, why))
    return tuple(found)


def _unasked(judgment: Judgment, broken: AbstractSet[int]) -> set[int]:
    unasked: set[int] = set()
    if not judgment.verdict.signers:
        unasked.update(number for each in broken for number in _ENDS.get(each, ()))
    if _AUTHOR in broken:
        unasked.update(range(_AUTHOR + 1, _LAST))
    if judgment.chain is not ChainState.VALID:  # whose family it would be is not known
        unasked.add(17)
    if not judgment.covers_everything_shown:  # copies of header fields prove nothing there
        unasked.add(16)
    return unasked
