"""Files with signatures in mail: a thief who sends an agency's signed file on gains nothing by it (domain R19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.attacks import STRANGER, head, letter, signer
from support.forger import Forger
from support.letters import multipart, text_part
from support.signed_files import file_part, pdf

if TYPE_CHECKING:
    from support.attacks import Field

FILES = "x-gateway-attachments"
FILE = pdf(Forger(signer()).cms)


def with_file(octets: bytes) -> bytes:
    """Return an entity with a signed file in it."""
    return multipart("mixed", text_part("Xem tep."), file_part("cv.pdf", octets, kind="application/pdf"), boundary="in")


def test_signed_file_in_unsigned_mail_is_no_signed_mail(field: Field) -> None:
    """The file's signer is told in a field of its own; nothing else changes, no tag, no verdict, no result."""
    found = field.harmless(head() + b"MIME-Version: 1.0\r\n" + with_file(FILE))
    assert found.why == ("unsigned", "no_signature")
    (told,) = found.all(FILES)
    assert told.startswith("valid; reason=valid; kind=pdf; ")
    assert "Thư không ký. Tệp đính kèm «cv.pdf» có chữ ký hợp lệ của" in told
    plain = field.harmless(head() + b"MIME-Version: 1.0\r\n" + text_part("Xem tep."))
    assert (plain.verdict, plain.notes, plain.all(FILES)) == (found.verdict, found.notes, ())
    assert "[" not in found.subject


def test_forged_file_field_is_removed(field: Field) -> None:
    """A sender cannot write ours: it is stripped like every mark."""
    forged = b"X-Gateway-Attachments: valid; reason=valid; kind=pdf (Tep co chu ky)\r\n"
    found = field.harmless(forged + head() + b"MIME-Version: 1.0\r\n" + text_part("Xem tep."))
    assert found.all(FILES) == ()


def test_file_and_mail_are_judged_each_by_itself(field: Field) -> None:
    """Verified mail with a changed file, and a stranger's mail with a good one: each keeps its own answer."""
    changed = FILE.replace(b"Catalog", b"catalog")
    found = field.honest(letter(with_file(changed)))
    assert [each.partition(";")[0] for each in found.all(FILES)] == ["invalid"]
    found = field.harmless(letter(with_file(FILE), by=signer(STRANGER)))
    assert found.verdict == "signer_mismatch"
    assert [each.partition(";")[0] for each in found.all(FILES)] == ["valid"]


def test_file_saved_again_after_signing_says_nothing(field: Field) -> None:
    """Words added behind the signature (incremental saving, shadow attacks) are not vouched for."""
    more = FILE + b"1 0 obj\n<</Type/Catalog/Evil true>>\nendobj\n%%EOF\n"
    found = field.harmless(head() + b"MIME-Version: 1.0\r\n" + with_file(more))
    (told,) = found.all(FILES)
    assert told.startswith("unreadable; reason=pdf_changed_after_signing; ")
