"""Every verdict, and every common reason for one, in Vietnamese and English: whole sentences, for people.

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
from gateway.tagging.reading import shown, shown_mailbox

if TYPE_CHECKING:
    from gateway.core.verdict import Judgment, Verdict

VERIFIED: Final = "Đã xác thực"
HEADERS_UNSIGNED: Final = "Tiêu đề không được ký."

_REASONS: Final = {
    # octets and signatures
    "digest_mismatch": (
        "Nội dung đã bị thay đổi sau khi ký.",
        "The content was changed after it was signed.",
    ),
    "bad_signature": (
        "Giá trị chữ ký không khớp với khóa của người ký.",
        "The signature value does not fit the signer's key.",
    ),
    "certificate_substituted": (
        "Chứng thư kèm theo không phải chứng thư đã dùng để ký.",
        "The certificate sent along is not the one that was signed with.",
    ),
    "signature_missing": ("Phần chữ ký bị thiếu.", "The signature part is missing."),
    "signature_misplaced": ("Phần chữ ký không ở đúng chỗ.", "The signature part is not in its place."),
    "protocol_mismatch": (
        "Loại chữ ký khai báo không khớp với phần chữ ký.",
        "The kind of signature announced is not the one sent.",
    ),
    "content_twice": (
        "Nội dung được ký có hai bản khác chỗ nhau.",
        "The signed content stands in two places.",
    ),
    "content_missing": ("Không có nội dung được ký.", "The signed content is missing."),
    "not_data": ("Chữ ký không dành cho thư.", "The signature is not one for mail."),
    "no_signers": ("Khối chữ ký không có người ký nào.", "The signature block has no signer."),
    "not_signed_data": ("Phần chữ ký không phải là chữ ký.", "The signature part is no signature."),
    "malformed_cms": ("Khối chữ ký bị hỏng.", "The signature block is broken."),
    "trailing_octets": ("Sau khối chữ ký có dữ liệu lạ.", "Something foreign stands behind the signature block."),
    "algorithm_mismatch": (
        "Thuật toán khai báo không khớp với khóa của người ký.",
        "The algorithm announced does not fit the signer's key.",
    ),
    "unknown_algorithm": ("Thuật toán ký không được hỗ trợ.", "The signature algorithm is not supported."),
    "unknown_key": ("Loại khóa của người ký không được hỗ trợ.", "The signer's kind of key is not supported."),
    # certificates and their paths
    "expired": ("Chứng thư của người ký đã hết hạn.", "The signer's certificate has expired."),
    "not_yet_valid": ("Chứng thư của người ký chưa có hiệu lực.", "The signer's certificate is not valid yet."),
    "anchor_expired": ("Chứng thư gốc đã hết hạn.", "The root certificate has expired."),
    "anchor_not_yet_valid": ("Chứng thư gốc chưa có hiệu lực.", "The root certificate is not valid yet."),
    "revoked": ("Chứng thư của người ký đã bị thu hồi.", "The signer's certificate has been revoked."),
    "issuer_revoked": (
        "Chứng thư của nơi cấp đã bị thu hồi.",
        "The certificate of the signer's issuer has been revoked.",
    ),
    "unknown_root": (
        "Chứng thư không do cơ quan chứng thực được tin cậy cấp.",
        "The certificate comes from an authority that is not trusted here.",
    ),
    "no_path": ("Thiếu chứng thư trung gian để kiểm tra.", "An intermediate certificate is missing."),
    "path_too_complex": ("Chuỗi chứng thư quá phức tạp.", "The certificates form too many paths."),
    "path_fault": ("Không đọc được chuỗi chứng thư.", "The certification path cannot be read."),
    "path_invalid": ("Chuỗi chứng thư không hợp lệ.", "The certification path is not valid."),
    "path_too_long": ("Chuỗi chứng thư dài hơn mức cho phép.", "The certification path is longer than allowed."),
    "not_a_ca": (
        "Nơi cấp chứng thư không có quyền cấp.",
        "The certificate's issuer is no certification authority.",
    ),
    "name_mismatch": ("Tên nơi cấp trong chứng thư không khớp.", "The issuer names do not fit together."),
    "name_constraints": (
        "Nơi cấp không được phép cấp cho địa chỉ này.",
        "The issuer may not issue for this name.",
    ),
    "certificate_policy": ("Chính sách chứng thư không phù hợp.", "The certificate policies do not fit."),
    "unknown_critical_extension": (
        "Chứng thư có điều kiện bắt buộc không hiểu được.",
        "The certificate makes a condition that is not understood.",
    ),
    "bad_certificate_signature": ("Chứng thư bị giả mạo hoặc hỏng.", "The certificate is forged or broken."),
    "not_for_email": ("Chứng thư không dùng cho thư điện tử.", "The certificate is not meant for mail."),
    "not_for_signatures": ("Chứng thư không dùng để ký.", "The certificate is not meant for signing."),
    "weak_key": ("Khóa của người ký quá yếu.", "The signer's key, or an issuer's, is too weak."),
    "weak_digest": (
        "Thuật toán băm quá yếu, chữ ký có thể bị giả mạo.",
        "The digest algorithm is too weak: such signatures can be forged.",
    ),
    "no_revocation_data": (
        "Chưa có dữ liệu thu hồi chứng thư.",
        "There is no revocation data for the certificate.",
    ),
    "stale_revocation_data": ("Dữ liệu thu hồi chứng thư đã cũ.", "The revocation data is out of date."),
    "no_trust_anchors": (
        "Cổng thư chưa được cấu hình chứng thư gốc nào.",
        "No root certificate is configured here.",
    ),
    "no_signer_certificate": ("Thư không kèm chứng thư của người ký.", "The signer's certificate was not sent."),
    # who
    "signer_is_not_author": (
        "Địa chỉ người gửi không có trong chứng thư của người ký.",
        "The sender's address is not in the signer's certificate.",
    ),
    "cosigner_is_not_author": (
        "Thư có thêm chữ ký của một người khác người gửi.",
        "Somebody who is not the sender signed as well.",
    ),
    "certificate_without_address": (
        "Chứng thư của người ký không ghi địa chỉ thư nào.",
        "The signer's certificate names no mail address.",
    ),
    "inner_from_differs": (
        "Người gửi ghi bên trong phần được ký khác với bên ngoài.",
        "The sender named inside the signed part is another one.",
    ),
    "no_from": ("Thư không ghi người gửi.", "The message names no sender."),
    "several_from": ("Thư ghi người gửi nhiều lần.", "The message names its sender more than once."),
    "malformed_from": ("Không đọc được người gửi của thư.", "The sender cannot be read."),
    "no_from_mailbox": ("Thư không ghi địa chỉ người gửi.", "The sender has no address."),
    "several_from_mailboxes": ("Thư ghi nhiều người gửi.", "The message names several senders."),
    # what is covered
    "part_after_signature": ("Có phần không được ký đứng sau chữ ký.", "An unsigned part follows the signature."),
    "text_outside_signature": ("Có chữ không được ký bên ngoài phần được ký.", "Unsigned text stands around it."),
    "content_elsewhere": (
        "Một phần nội dung nằm ngoài thư, không được ký.",
        "Some of the content is fetched from elsewhere and not signed.",
    ),
    "two_signed_parts": ("Thư ghép từ nhiều phần ký riêng.", "The message is put together of several signed parts."),
    "alternative_to_signed": (
        "Phần hiển thị có thể là bản không được ký.",
        "What is shown may be an unsigned alternative.",
    ),
    "related_to_signed": ("Phần được ký đi kèm nội dung không được ký.", "Unsigned content is shown with it."),
    "footer_outside": (
        "Cuối thư có đoạn được thêm vào sau khi ký.",
        "A footer was added after signing.",
    ),
    "wrapped": ("Phần được ký nằm trong một lớp bọc không được ký.", "The signed part is wrapped in an unsigned one."),
    "text_before_signed": ("Có nội dung không được ký đứng trước.", "Unsigned content stands before it."),
    "part_beside_signed": ("Có phần không được ký bên cạnh.", "An unsigned part stands beside it."),
    # what cannot be judged
    "enveloped": ("Chỉ người giữ khóa mới đọc được.", "Only the holder of the key can read it."),
    "pgp_encrypted": ("Thư mã hóa bằng PGP.", "It is encrypted with PGP."),
    "unknown_encryption": ("Cách mã hóa không được hỗ trợ.", "The kind of encryption is not supported."),
    "encrypted_inside": (
        "Bên trong phần được ký là nội dung mã hóa.",
        "What is signed is encrypted inside, maybe by somebody else.",
    ),
    "compressed": ("Thư nén kiểu S/MIME không được hỗ trợ.", "Compressed S/MIME is not supported."),
    "ambiguous_structure": (
        "Cấu trúc thư có thể đọc theo nhiều cách.",
        "The message's structure can be read in more than one way.",
    ),
    "bare_line_end": ("Thư có ký tự xuống dòng bất thường.", "The message has odd line ends."),
    "too_many_signatures": ("Thư có quá nhiều chữ ký.", "The message has too many signatures."),
    "too_many_layers": ("Chữ ký lồng nhau quá nhiều lớp.", "Too many signatures are nested."),
    "too_deep": ("Thư lồng nhau quá nhiều lớp.", "The message is nested too deep."),
    "too_many_parts": ("Thư có quá nhiều phần.", "The message has too many parts."),
    "header_too_large": ("Phần đầu thư quá lớn.", "The header is too large."),
    "too_many_fields": ("Phần đầu thư có quá nhiều trường.", "The header has too many fields."),
    "cms_too_large": ("Khối chữ ký quá lớn.", "The signature block is too large."),
    "cms_too_complex": ("Khối chữ ký quá phức tạp.", "The signature block is too complex."),
    "internal_fault": ("Cổng thư gặp lỗi khi kiểm tra.", "The gateway failed while checking."),
    "unjudged": ("Cổng thư không kết luận được.", "The gateway came to no conclusion."),
    # no signature
    "pgp_not_checked": ("Chữ ký PGP không được kiểm tra.", "A PGP signature is there; it is not checked."),
    "unknown_protocol": ("Chữ ký kiểu lạ không được kiểm tra.", "A signature of an unknown kind is not checked."),
    "certificates_only": ("Thư chỉ gửi chứng thư.", "It only carries certificates."),
    "signed_inside_attachment": (
        "Chữ ký nằm trong tệp đính kèm, không nói gì về thư này.",
        "A signature in an attachment says nothing about this message.",
    ),
}  # fmt: skip
"""Reason code -> what it means. A code that is not here has its verdict's sentence alone."""


def words(judgment: Judgment, agency: str | None = None) -> tuple[str, str]:
    """Return what people are told about a judgment, in Vietnamese and in English."""
    verdict = judgment.verdict
    vietnamese, english = _sentence(verdict, agency)
    more = _REASONS.get(verdict.reason)
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
            return (
                "Chữ ký hợp lệ của người ký thay, không phải của chính người gửi.",
                "A good signature by somebody who may sign for the sender, not by the sender.",
            )
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


def verified_name(verdict: Verified, agency: str | None) -> str:
    """Return whom the tag names: the agency given, else the signers' one agency, else the author's mailbox."""
    agencies = {each.agency for each in verdict.signers if each.agency is not None}
    chosen = agency or (agencies.pop() if len(agencies) == 1 else None)
    name = shown(chosen) if chosen is not None else ""
    if name or verdict.author is None:
        return name or "?"
    return shown_mailbox(verdict.author)


def subject_words(verdict: Verdict, agency: str | None) -> str | None:
    """Return what stands between the brackets in a subject, None for what gets no tag."""
    if isinstance(verdict, Verified):
        return f"{VERIFIED}: {verified_name(verdict, agency)}"
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
    VerifiedLesser: "Ký thay người gửi",
}
