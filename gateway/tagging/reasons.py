"""Every common reason for a verdict, and every note beside it, in Vietnamese and English: words for people.

None of them may hold the words of a verified tag: these belong to one verdict alone.
"""

from __future__ import annotations

from typing import Final

VERIFIED: Final = "Đã xác thực"
"""The words of the one verdict that is good news."""

REASONS: Final = {
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
    "attributes_missing": ("Chữ ký thiếu thuộc tính bắt buộc.", "The signature lacks attributes that it needs."),
    "duplicate_attribute": ("Chữ ký có thuộc tính lặp lại.", "The signature has an attribute twice."),
    "content_type_mismatch": (
        "Loại nội dung đã ký không khớp với loại khai báo.",
        "The kind of content signed is not the one announced.",
    ),
    "malformed_signing_time": ("Thời điểm ký khai báo bị hỏng.", "The claimed time of signing is broken."),
    "malformed_signing_certificate": (
        "Thuộc tính chứng thư ký bị hỏng.",
        "The attribute that names the certificate is broken.",
    ),
    "malformed_base64": ("Phần mã hóa base64 bị hỏng.", "The base64 encoding is broken."),
    "algorithm_mismatch": (
        "Thuật toán khai báo không khớp với khóa của người ký.",
        "The algorithm announced does not fit the signer's key.",
    ),
    "attributes_as_content": (
        "Nội dung được ký là một khối dữ liệu lấy từ chữ ký khác.",
        "What is signed is a block of data taken from another signature.",
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
    "signer_is_a_ca": (
        "Chứng thư này là của một nơi cấp chứng thư, không phải của người gửi thư.",
        "The certificate is an authority's, which issues others; it is nobody's who writes mail.",
    ),
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
    "signed_for_no_mail": (
        "Nội dung được ký là một tệp, không phải thư: chữ ký này không ký cho thư nào.",
        "What was signed is a file and no mail: the signature was made for no message.",
    ),
    "misnamed_signature": (
        "Tệp chữ ký mang tên lạ, không được ký.",
        "The file of the signature has a name that is none of a signature, and unsigned.",
    ),
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
    "fetched_by_unsigned": (
        "HTML không được ký bên ngoài lấy phần được ký vào để hiển thị.",
        "Unsigned HTML fetches parts of the message to show them as its own.",
    ),
    "markup_beside_signed": (
        "HTML không được ký đứng bên cạnh có thể che hoặc thay phần được ký.",
        "Unsigned HTML stands beside it, and can hide or replace what was signed.",
    ),
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
    "oversized_value": ("Khối chữ ký có giá trị quá lớn.", "The signature block has a value that is too large."),
    "signer_too_large": ("Thông tin một người ký quá lớn.", "What one signer says is too large."),
    "too_many_attributes": ("Chữ ký có quá nhiều thuộc tính.", "The signature has too many attributes."),
    "too_many_certificates": ("Thư kèm quá nhiều chứng thư.", "It carries too many certificates."),
    "too_many_crls": ("Thư kèm quá nhiều danh sách thu hồi.", "It carries too many revocation lists."),
    "too_many_signers": ("Thư có quá nhiều người ký.", "It has too many signers."),
    "too_many_near_boundaries": (
        "Thư có quá nhiều dòng gần giống ranh giới.",
        "Too many lines almost are boundaries.",
    ),
    "body_too_large": ("Phần chữ ký quá lớn.", "The signature part is too large."),
    "unknown_encoding": ("Cách mã hóa truyền không được hỗ trợ.", "The transfer encoding is not supported."),
    "internal_fault": ("Cổng thư gặp lỗi khi kiểm tra.", "The gateway failed while checking."),
    "unjudged": ("Cổng thư không kết luận được.", "The gateway came to no conclusion."),
    # no signature
    "pgp_not_checked": ("Chữ ký PGP không được kiểm tra.", "A PGP signature is there; it is not checked."),
    "unknown_protocol": ("Chữ ký kiểu lạ không được kiểm tra.", "A signature of an unknown kind is not checked."),
    "certificates_only": ("Thư chỉ gửi chứng thư.", "It only carries certificates."),
    "signed_message_inside": (
        "Một thư có chữ ký được chuyển kèm bên trong, không nói gì về thư này.",
        "A signed message is forwarded inside; that says nothing about this one.",
    ),
    "signed_inside_attachment": (
        "Chữ ký nằm trong tệp đính kèm, không nói gì về thư này.",
        "A signature in an attachment says nothing about this message.",
    ),
    # who may say what
    "family_use": (
        "Chứng thư thuộc nhóm không dùng để ký thư gửi đến.",
        "The certificate's family is not believed for mail that comes in.",
    ),
    "family_domain": (
        "Nơi cấp chứng thư không được nói thay tên miền của người gửi.",
        "The certificate's family may not speak for the sender's domain.",
    ),
    "not_for_timestamps": (
        "Chứng thư không dùng cho dấu thời gian.",
        "The certificate is not meant for timestamps.",
    ),
    # the process that judges
    "judge_died": (
        "Tiến trình kiểm tra bị dừng đột ngột khi đang kiểm tra thư này.",
        "The process that checked it died.",
    ),
    "judge_timeout": ("Kiểm tra thư này quá lâu.", "Checking it took too long."),
    "judge_out_of_memory": ("Kiểm tra thư này cần quá nhiều bộ nhớ.", "Checking it took too much memory."),
    "judge_busy": ("Cổng thư đang quá bận để kiểm tra.", "The gateway was too busy to check it."),
    # seen before
    "replayed": (
        "Mã thư, ngày hoặc tiêu đề khác với lần trước.",
        "Its Message-ID, Date or Subject is another one than before.",
    ),
}  # fmt: skip
"""Reason code -> what it means, a whole sentence. A code that is not here has its verdict's sentence alone."""

NOTES: Final = {
    "headers_changed": (
        "Tiêu đề khác với khi ký, hoặc có hai nội dung",
        "Header fields are not as they were signed, or are there in two ways",
    ),
    "reply_to_elsewhere": (
        "Thư trả lời sẽ đi tới nơi ngoài cơ quan của người ký",
        "Answers go to a place outside the signer's agency",
    ),
    "date_far_from_signing": (
        "Số phút giữa ngày ghi trên thư và thời điểm khai là đã ký",
        "Minutes between its date and the claimed time of signing",
    ),
    "signing_time_local": (
        "Thời điểm ký lệch đúng 7 giờ: phần mềm ký ghi giờ địa phương",
        "The claimed time of signing is off by 7 hours exactly: written in local time",
    ),
    "signing_time_future": (
        "Thời điểm khai là đã ký nằm ở tương lai",
        "The claimed time of signing lies in the future",
    ),
    "sha1": ("Dùng SHA-1, không còn an toàn", "SHA-1 was used, which is not safe any more"),
    "no_extended_key_usage": (
        "Chứng thư không ghi mục đích sử dụng",
        "The certificate does not say what it is meant for",
    ),
    "no_extensions": ("Chứng thư kiểu cũ, không có phần mở rộng", "The certificate is old, without extensions"),
    "address_in_subject": (
        "Địa chỉ thư chỉ ghi trong tên chủ thể của chứng thư",
        "The address stands only in the certificate's subject",
    ),
    "timestamped": ("Có dấu thời gian hợp lệ", "There is a valid timestamp"),
    "timestamp_unusable": ("Dấu thời gian không dùng được", "The timestamp cannot be used"),
    "several_signers": ("Có nhiều người ký", "There are several signers"),
    "nested_signature": ("Bên trong còn chữ ký khác", "There is another signature inside"),
    "first_contact": (
        "Lần đầu nhận thư ký bằng chứng thư của người này",
        "The first signed mail from this sender",
    ),
    "changed_key": (
        "Người này trước đây ký bằng chứng thư khác",
        "This sender signed with another certificate before",
    ),
    "list_copy": ("Thư được chuyển qua danh sách thư", "A mailing list passed it on"),
    "seen_before": ("Thư này đã đến trước đây", "The same message came before"),
    "impersonation": ("CẢNH BÁO: có dấu hiệu mạo danh", "WARNING: it seems to imitate somebody"),
    "lookalike_domain": (
        "CẢNH BÁO: tên miền gần giống một tên miền khác",
        "WARNING: its domain looks like another one",
    ),
    "tag_words": (
        "CẢNH BÁO: người gửi tự viết chữ giống nhãn của cổng thư",
        "WARNING: its sender wrote words like the gateway's tags",
    ),
    "revocation_from_cache": (
        "Trạng thái thu hồi lấy từ bản đã lưu",
        "The state of revocation comes from an answer kept earlier",
    ),
}  # fmt: skip
"""Note's code -> what it says: a sentence without its full stop, which a detail may follow."""
