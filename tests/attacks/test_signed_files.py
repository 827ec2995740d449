"""Files with signatures in mail: a thief who sends an agency's signed file on gains nothing by it (domain R19)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import pytest

from gateway.cms.asn1 import tlv
from gateway.cms.verify import open_signed
from support.attacks import STRANGER, head, letter, signer
from support.forger import Forger
from support.letters import clear_entity, multipart, opaque_entity, text_part
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


def signed_parts(file: bytes) -> tuple[bytes, bytes]:
    """Return what a PDF's signature is over, and the signature: all that a thief needs of a published file."""
    before, _, rest = file.partition(b"/Contents <")
    digits, _, after = rest.partition(b">")
    cms = bytes.fromhex(digits.decode())
    return before + b"/Contents " + after, cms[: 4 + int.from_bytes(cms[2:4])]


PDFS: Final = {
    "as it is": FILE,
    "with a blank line": pdf(Forger(signer()).cms, before=b"%PDF-1.7\n\n"),
    "of CRLF lines": pdf(Forger(signer()).cms, before=b"%PDF-1.7\r\n"),
    "with words that look like a field": pdf(Forger(signer()).cms, before=b"%PDF-1.7\nTitle: Quyet dinh\n\n"),
}


@pytest.mark.parametrize("idea", sorted(PDFS))
def test_a_signed_pdf_as_a_letter(field: Field, idea: str) -> None:
    """Whoever has a PDF that the author signed has content and CMS: together they are an opaque letter, and no mail."""
    content, cms = signed_parts(PDFS[idea])
    over = open_signed(cms).signers[0].message_digest
    assert over == hashlib.sha256(content).digest()
    with_content = Forger(signer()).cms(content, content=tlv(0x04, content))
    found = field.harmless(head() + b"MIME-Version: 1.0\r\n" + opaque_entity(with_content))
    assert found.why == ("unreadable", "signed_for_no_mail")


TEXTS: Final = {
    "words": b"Dong y chi 500 trieu cho ong A.\r\n",
    "words like fields": b"Kinh gui: ong A\r\nSo tien: 500 trieu\r\n\r\nDong y.\r\n",
    "XML": b'<?xml version="1.0"?>\r\n<chi>500</chi>\r\n',
    "a table": b"ten,so tien\r\nA,500\r\n",
}


@pytest.mark.parametrize("form", ["clear", "opaque"])
@pytest.mark.parametrize("idea", sorted(TEXTS))
def test_a_signed_text_as_a_letter(field: Field, idea: str, form: str) -> None:
    """A file beside which its signature lies (.p7s), or in which it is (.p7m), under a subject of the thief's."""
    content = TEXTS[idea]
    entity = clear_entity(content, Forger(signer()).cms(content))
    if form == "opaque":
        entity = opaque_entity(Forger(signer()).cms(content, content=tlv(0x04, content)))
    assert field.harmless(head() + b"MIME-Version: 1.0\r\n" + entity).why == ("unreadable", "signed_for_no_mail")


def test_a_letter_without_fields_of_its_own_is_a_letter(field: Field) -> None:
    """RFC 2045 5.2: an entity may have no fields, and is plain text then."""
    field.honest(letter(b"\r\nMoi hop luc 8 gio, khong co truong nao.\r\n"))


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
