"""Making multipart/signed: which octets move, which stay, and what is completed before signing."""

from __future__ import annotations

import email
import email.policy
import re

import pytest

from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.core.verdict import Verified
from gateway.mime.transfer import CannotEncode
from gateway.smime.sign import (
    Left,
    Prepared,
    content_digest,
    finish,
    overhead,
    prepare,
)
from support.letters import (
    ASCII,
    HEAD,
    NOW,
    clear,
    clear_entity,
    detached,
    judged,
    lan,
    mail,
    multipart,
    opaque_entity,
    real_life,
    signed,
    template,
    text_part,
)

MESSAGE_ID = "<made@here.example>"


def prepared(message: bytes) -> Prepared:
    found = prepare(Message.of(message), now=NOW, new_message_id=lambda: MESSAGE_ID, new_builder=MemoryBuilder)
    assert isinstance(found, Prepared), found
    return found


def test_content_fields_move_and_all_others_stay() -> None:
    """Content-* goes inside, every other field stays outside in its own octets and order."""
    message = b"Received: by x\r\n  ;date\r\ncontent-LANGUAGE: vi\r\nX-Odd:  two  blanks \r\n" + ASCII
    found = prepared(message)
    assert found.outer == b"Received: by x\r\n  ;date\r\nX-Odd:  two  blanks \r\n" + HEAD + b"MIME-Version: 1.0\r\n"
    inner = b"content-LANGUAGE: vi\r\nContent-Type: text/plain\r\n\r\n"
    assert found.entity.octets() == inner + ASCII.partition(b"\r\n\r\n")[2]


def test_blind_copies_are_removed() -> None:
    """Bcc must not reach anybody, continuation lines and resent ones included (RFC 5322 3.6.3)."""
    found = prepared(b"Bcc: a@b.example,\r\n c@d.example\r\nRESENT-BCC: e@f.example\r\n" + ASCII)
    assert found.outer == HEAD + b"MIME-Version: 1.0\r\n"


def test_missing_fields_are_added_and_present_ones_kept() -> None:
    """Date, Message-ID and MIME-Version are completed before signing; what exists is never replaced."""
    found = prepared(b"From: a@b.example\r\n\r\nx\r\n")
    assert found.outer == (
        b"From: a@b.example\r\nDate: Tue, 24 Nov 2026 01:30:00 +0000\r\nMessage-ID: <made@here.example>\r\n"
        b"MIME-Version: 1.0\r\n"
    )
    kept = b"date: yesterday\r\nMESSAGE-ID:x\r\nMime-Version: 1.0 (made by hand)\r\n"
    assert prepared(kept + b"\r\nx\r\n").outer == kept


@pytest.mark.parametrize("version", [b"MIME-Version: 2.0\r\n", b"MIME-Version: 1.0\r\nMIME-Version: 1.0\r\n"])
def test_unsound_mime_version_is_replaced(version: bytes) -> None:
    """The signed message must be MIME for every reader."""
    found = prepared(HEAD + version + b"\r\nx\r\n")
    assert found.outer == HEAD + b"MIME-Version: 1.0\r\n"


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        (b"", b"ascii\r\n", b"Content-Type: text/plain; charset=us-ascii\r\n\r\n"),
        (b"", "Tiếng\r\n".encode(), b"Content-Type: text/plain; charset=utf-8\r\n"),
        (b"", b"Ti\xaang\r\n", b"Content-Type: text/plain; charset=unknown-8bit\r\n"),
        (b"Content-Type: text/plain\r\n", b"ascii\r\n", b"Content-Type: text/plain\r\n\r\n"),
        (b"Content-Type: text/plain; format=flowed;\r\n", "Tiếng\r\n".encode(), None),
        (b"Content-Type: text/plain; charset=windows-1258\r\n", b"\xd0\r\n", None),
    ],
)
def test_charset_is_declared(header: bytes, body: bytes, expected: bytes | None) -> None:
    """A text whose charset nobody named gets the one it is in; a named one is believed."""
    entity = prepared(HEAD + header + b"\r\n" + body).entity.octets()
    if expected is not None:
        assert entity.startswith(expected)
    elif b"flowed" in header:
        assert entity.startswith(b"Content-Type: text/plain; format=flowed;\r\n charset=utf-8\r\n")
    else:
        assert entity.startswith(header)
    assert entity.isascii()


@pytest.mark.parametrize("end", [b" \r\n ", b"\t\r\n\t", b" \r\n \t\r\n "])
def test_blanks_at_the_end_of_a_header_line_stay_outside(end: bytes) -> None:
    """A field that goes inside is folded anew where a transport could eat something of it; it says the same."""
    fields = b"Content-Type: multipart/mixed;" + end + b'boundary="b"\r\nContent-Description: x \r\n'
    subject = b"Subject: mot" + end + b"hai\r\n"
    message = b"From: a@b.example\r\n" + subject + fields + b"\r\n--b\r\n\r\nx\r\n--b--\r\n"
    found = prepare(
        Message.of(message),
        now=NOW,
        new_message_id=lambda: MESSAGE_ID,
        new_builder=MemoryBuilder,
        protect=("from", "subject"),
    )
    assert isinstance(found, Prepared)
    assert subject in found.outer
    inside = found.entity.octets()
    assert not re.search(rb"[ \t]\r\n", inside)
    assert found.protected
    before = email.message_from_bytes(message, policy=email.policy.default)
    after = email.message_from_bytes(inside, policy=email.policy.default)
    assert after.get_boundary() == before.get_boundary() == "b"
    assert " ".join(str(after["subject"]).split()) == "mot hai"
    assert after["content-description"] == "x"


@pytest.mark.parametrize("kind", sorted(real_life()))
def test_what_is_signed_survives_transport(kind: str) -> None:
    """The entity is 7-bit, in lines of at most 998 octets that end in CRLF, without transport traps."""
    entity = prepared(real_life()[kind]).entity.octets()
    assert entity.isascii()
    assert b"\0" not in entity
    assert entity.count(b"\r") == entity.count(b"\n") == entity.count(b"\r\n")
    lines = entity.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert not any(line.startswith(b"From ") or line == b"." for line in lines)


@pytest.mark.parametrize("kind", sorted(real_life()))
def test_readers_find_the_same_content(kind: str) -> None:
    """Another MIME reader finds the same leaves inside the signed message as in the client's message."""
    before = email.message_from_bytes(real_life()[kind], policy=email.policy.default)
    after = email.message_from_bytes(signed(real_life()[kind], lan()), policy=email.policy.default)
    parts = list(after.iter_parts())
    assert [part.get_content_type() for part in parts][1:] == ["application/pkcs7-signature"]
    inside = parts[0]
    assert [each.get_content_type() for each in inside.walk()] == [each.get_content_type() for each in before.walk()]
    for old, new in zip(before.walk(), inside.walk(), strict=True):
        if not old.is_multipart():
            assert (new.get_payload(decode=True) or b"").rstrip(b"\r\n") == (
                old.get_payload(decode=True) or b""
            ).rstrip(b"\r\n")


def test_seven_bit_body_keeps_every_octet() -> None:
    """Where nothing must be encoded, the body's octets are the client's."""
    message = mail(multipart("mixed", text_part("a"), text_part("b\r\n\r\n")))
    assert prepared(message).entity.octets() == message.partition(b"MIME-Version: 1.0\r\n")[2]


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        (clear_entity(text_part("x"), b"CMS"), "already_clear_signed"),
        (opaque_entity(b"0\x80"), "already_opaque_signed"),
        (opaque_entity(b"0\x80", smime_type="enveloped-data"), "already_encrypted"),
        (b"Content-Type: text/plain\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n", "already_pgp_inline"),
    ],
)
def test_what_somebody_signed_is_left_alone(entity: bytes, reason: str) -> None:
    """R06: already protected mail is not touched, and the reason says which kind it is."""
    found = prepare(Message.of(mail(entity)), now=NOW, new_message_id=lambda: MESSAGE_ID, new_builder=MemoryBuilder)
    assert found == Left(reason)


def test_attached_signed_mail_is_not_changed() -> None:
    """A signed message that is forwarded inside another keeps its octets; if those are 8-bit we cannot sign."""
    inner = clear(text_part("x"), lan())
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + inner
    message = mail(multipart("mixed", "Content-Type: text/plain; charset=utf-8\r\n\r\nTiếng\r\n".encode(), forwarded))
    assert inner in prepared(message).entity.octets()
    part = "Content-Type: text/plain; charset=utf-8\r\n\r\nTiếng\r\n".encode()
    eight_bit = b"Content-Type: message/rfc822\r\n\r\n" + clear(part, lan())
    with pytest.raises(CannotEncode):
        prepared(mail(multipart("mixed", text_part("x"), eight_bit)))


def finished(message: bytes, boundary: str) -> Message:
    found = prepared(message)
    chosen = template(lan())
    cms = detached(found.entity.octets(), lan())
    return finish(found, cms=cms, micalg=chosen.micalg, boundary=boundary)


@pytest.mark.parametrize(
    "boundary",
    ["", "a" * 71, "a b", 'a"b', "a\r\nb", "inner", "inne", "inner-and-more", "dòng"],
)
def test_boundary_that_does_not_fit_is_refused(boundary: str) -> None:
    """A boundary that is malformed, begins a line inside, or begins with an inner boundary is refused."""
    message = mail(multipart("mixed", text_part("x"), boundary="inner"))
    with pytest.raises(ValueError, match="boundary"):
        finished(message, boundary)
    assert isinstance(judged(finished(message, "=_fits")).verdict, Verified)


def test_boundary_as_first_line_of_the_part() -> None:
    """Boundary-like text is found wherever a line begins."""
    message = HEAD + b"Content-Type: text/plain\r\n\r\n--x-y\r\n"
    with pytest.raises(ValueError, match="occurs inside"):
        finished(message, "x")
    finished(message, "y")


def test_large_bodies_are_not_copied() -> None:
    """A big body is carried as a span of its source, not as octets of ours."""
    body = b"0123456789" * 7 + b"\r\n"
    message = Message.of(mail(b"Content-Type: text/plain\r\n\r\n" + body * 20_000))
    found = prepare(message, now=NOW, new_message_id=lambda: MESSAGE_ID, new_builder=MemoryBuilder)
    assert isinstance(found, Prepared)
    assert any(span.source is message.spans[0].source for span in found.entity.spans)
    assert content_digest(found, "sha256") == Message.of(found.entity.octets()).digest("sha256")


@pytest.mark.parametrize("shape", ["rsa2048", "p256", "p384"])
@pytest.mark.parametrize("message", [HEAD + b"\r\n", b"From: a@b.example\r\n\r\n" + b"x" * 70 + b"\r\n"])
def test_overhead_is_a_bound(shape: str, message: bytes) -> None:
    """What signing adds to a 7-bit message never exceeds what was announced."""
    credential = lan(shape)
    assert len(signed(message, credential)) - len(message) <= overhead(template(credential))
