"""Words about signatures on attached files, which are never words about the message (RFC 5322 2.2).

A file's valid signature says who signed the file. Whoever sends it on may be anybody: so no sentence here names a
sender, and none is the words of a verified tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from gateway.core.verdict import AttachmentState, Unsigned
from gateway.mime.words import encode_text, fold
from gateway.tagging.names import ATTACHMENT_FIELD
from gateway.tagging.reading import common_name, foreign
from gateway.tagging.reasons import REASONS
from gateway.tagging.results import code

if TYPE_CHECKING:
    from gateway.core.verdict import AttachmentSignature, Judgment

_MOST: Final = 8
_UNREADABLE: Final = {
    "pdf_shape": ("Tệp có cấu trúc không kiểm tra được.", "The file is of a shape that cannot be checked."),
    "pdf_changed_after_signing": (
        "Không chữ ký nào phủ toàn bộ tệp: tệp đã được ghi thêm sau khi ký.",
        "No signature covers the whole file: it was added to after signing.",
    ),
    "signed_file_missing": ("Không có tệp được ký.", "The signed file is not there."),
}
_UNSIGNED: Final = ("Thư không ký.", "The message is not signed.")
_APART: Final = (
    "Đây là chữ ký của tệp, không phải của thư.",
    "This is the file's signature, not the message's.",
)


def attachment_words(each: AttachmentSignature) -> tuple[str, str]:
    """Return what people are told about a signature on a file, in Vietnamese and in English."""
    name = foreign(each.name) or "?"
    signer = each.signer
    by = (foreign(signer.agency or "") or foreign(common_name(signer.subject)) if signer is not None else "") or "?"
    match each.state:
        case AttachmentState.VALID:
            return (
                f"Tệp đính kèm «{name}» có chữ ký hợp lệ của {by}. {_APART[0]}",
                f"The attached file «{name}» has a valid signature by {by}. {_APART[1]}",
            )
        case AttachmentState.INVALID:
            told = (f"Chữ ký trên tệp «{name}» KHÔNG hợp lệ.", f"The signature on the file «{name}» is NOT valid.")
        case AttachmentState.NOT_TRUSTED:
            told = (
                f"Chữ ký trên tệp «{name}» không đáng tin cậy.",
                f"The signature on the file «{name}» is not trusted.",
            )
        case AttachmentState.INDETERMINATE:
            told = (
                f"Chưa kiểm tra được chữ ký trên tệp «{name}» vì thiếu dữ liệu.",
                f"The signature on the file «{name}» cannot be checked now: data is missing.",
            )
        case AttachmentState.UNREADABLE:
            told = (
                f"Không kiểm tra được chữ ký trên tệp «{name}».",
                f"The signature on the file «{name}» cannot be checked.",
            )
        case _:
            assert_never(each.state)
    more = _UNREADABLE.get(each.reason)
    if more is None and each.state is not AttachmentState.UNREADABLE:
        more = REASONS.get(each.reason)
    return (f"{told[0]} {more[0]}", f"{told[1]} {more[1]}") if more is not None else told


def attachment_fields(judgment: Judgment) -> bytes:
    """Return a field for each signature on a file, eight at most, or nothing."""
    unsigned = isinstance(judgment.verdict, Unsigned)
    return b"".join(_field(each, unsigned=unsigned) for each in judgment.attachments[:_MOST])


def _field(each: AttachmentSignature, *, unsigned: bool) -> bytes:
    parts = [each.state.value, f"reason={code(each.reason)}", f"kind={code(each.kind)}"]
    if each.signer is not None:
        parts.append(f"sha256={code(each.signer.fingerprint)}")
    told = attachment_words(each)
    if unsigned:
        told = (f"{_UNSIGNED[0]} {told[0]}", f"{_UNSIGNED[1]} {told[1]}")
    return fold(ATTACHMENT_FIELD, "; ".join(parts).encode("ascii") + b" (" + encode_text(" / ".join(told)) + b")")
