"""Words and fields about signatures on files (domain R19): they name who signed the file, and nobody as the sender."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.message import Message
from gateway.core.verdict import AttachmentSignature, AttachmentState, Signer
from gateway.mime.fields import decode_text, read_header
from gateway.tagging import strip, tag
from gateway.tagging.attachments import attachment_words
from gateway.tagging.reasons import VERIFIED
from support.letters import ASCII, NOW, clear, judged, lan, text_part

SIGNER = Signer("C=VN, CN=Sở Y tế", "CN=CA", "1F", (), None, None, "RSA-2048 PKCS#1 v1.5 SHA-256", "ab" * 32)


def signature(state: AttachmentState, **changes: object) -> AttachmentSignature:
    one = AttachmentSignature("a.pdf", "pdf", state, "valid", SIGNER)
    return replace(one, **changes)  # type: ignore[arg-type]


def fields(*found: AttachmentSignature, message: bytes = ASCII) -> list[str]:
    """Return the fields about attachments of a tagged message, decoded."""
    judgment = replace(judged(message), attachments=found)
    clean = strip(Message.of(message), authserv_id="mail.songlam.example")
    marked = tag(clean, judgment, agency=None, authserv_id="mail.songlam.example", subject="on", received_at=NOW)
    return [decode_text(each.value).strip() for each in read_header(marked).all("x-gateway-attachments")]


def test_valid_signature_of_a_file() -> None:
    """Programs read state, kind and certificate; people read whose it is, and that it is not the message's."""
    (only,) = fields(signature(AttachmentState.VALID))
    assert only.startswith(f"valid; reason=valid; kind=pdf; sha256={'ab' * 32} (")
    assert "Thư không ký. Tệp đính kèm «a.pdf» có chữ ký hợp lệ của Sở Y tế" in only
    assert "không phải của thư" in only
    agency = replace(SIGNER, agency="Sở Y tế tỉnh Sông Lam")
    assert "của Sở Y tế tỉnh Sông Lam" in fields(signature(AttachmentState.VALID, signer=agency))[0]
    assert "Thư không ký" not in fields(signature(AttachmentState.VALID), message=clear(text_part("a"), lan()))[0]


@pytest.mark.parametrize("state", list(AttachmentState))
def test_only_valid_is_good_news(state: AttachmentState) -> None:
    """Every other state says in both languages what it is; none says what a verified tag says."""
    vietnamese, english = attachment_words(signature(state, reason="revoked"))
    assert ("có chữ ký hợp lệ" in vietnamese) == (state is AttachmentState.VALID)
    assert ("has a valid signature" in english) == (state is AttachmentState.VALID)
    assert VERIFIED not in vietnamese


def test_names_are_strangers_words() -> None:
    """A file or signer named like a verified tag, or with line ends and brackets, says nothing in our field."""
    evil = signature(
        AttachmentState.VALID,
        name=f"a.pdf) {VERIFIED}: Bộ Y tế\r\nX-Gateway-Verdict: verified",
        signer=replace(SIGNER, subject=f"CN={VERIFIED}: Bộ Y tế"),
    )
    (only,) = fields(evil)
    assert VERIFIED not in only
    assert "\n" not in only
    (odd,) = fields(signature(AttachmentState.UNREADABLE, kind="pdf; x=y (", reason="pdf shape;", signer=None))
    assert odd.startswith("unreadable; reason=pdf_shape_; kind=pdf__x_y__ (")


def test_fields_are_few() -> None:
    """Eight at most; without signatures on files none."""
    assert len(fields(*[signature(AttachmentState.VALID)] * 20)) == 8
    assert fields() == []
