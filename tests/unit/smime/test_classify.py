"""Forms and traits of messages."""

from __future__ import annotations

import base64

import pytest

from gateway.core.message import Message
from gateway.mime.entity import parse
from gateway.smime.classify import LEFT_ALONE, Form, form_of, traits_of

HEAD = b"From: a@b.example\r\nMIME-Version: 1.0\r\n"
OIDS = {
    "signed": bytes.fromhex("06092a864886f70d010702"),
    "enveloped": bytes.fromhex("06092a864886f70d010703"),
    "auth": bytes.fromhex("060b2a864886f70d0109100117"),
    "compressed": bytes.fromhex("060b2a864886f70d0109100109"),
}


def form(octets: bytes) -> Form:
    message = Message.of(octets)
    return form_of(message, parse(message))


def cms(kind: str, *, content_type: str, long_form: bool = True, encoding: str = "base64") -> bytes:
    """Return a message that begins like the given CMS."""
    body = OIDS[kind] + bytes(300)
    head = b"\x30\x82" + len(body).to_bytes(2, "big") if long_form else b"\x30\x80"
    octets = head + body
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n") if encoding == "base64" else octets
    return HEAD + f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + encoded


def signed(protocol: str, second: str) -> bytes:
    return (
        HEAD
        + f'Content-Type: multipart/signed; {protocol} boundary="b"\r\n\r\n'.encode()
        + b"--b\r\n\r\ntext\r\n--b\r\n"
        + f"Content-Type: {second}\r\n\r\nAAAA\r\n--b--\r\n".encode()
    )


@pytest.mark.parametrize("long_form", [True, False])
@pytest.mark.parametrize(
    ("kind", "content_type", "expected"),
    [
        ("signed", "application/pkcs7-mime; smime-type=signed-data", Form.OPAQUE_SIGNED),
        ("signed", "application/x-pkcs7-mime", Form.OPAQUE_SIGNED),
        ("signed", "application/pkcs7-mime; smime-type=enveloped-data", Form.OPAQUE_SIGNED),
        ("signed", "application/pkcs7-mime; smime-type=certs-only", Form.CERTIFICATES_ONLY),
        ("signed", "application/pkcs7-mime; name=smime.p7c", Form.CERTIFICATES_ONLY),
        ("signed", 'application/octet-stream; name="smime.p7m"', Form.OPAQUE_SIGNED),
        ("enveloped", 'application/octet-stream; name="smime.p7m"', Form.ENCRYPTED),
        ("enveloped", "application/pkcs7-mime", Form.ENCRYPTED),
        ("enveloped", "application/pkcs7-mime; smime-type=signed-data", Form.ENCRYPTED),
        ("auth", "application/pkcs7-mime; smime-type=authEnveloped-data", Form.ENCRYPTED),
        ("compressed", "application/pkcs7-mime", Form.COMPRESSED),
        ("signed", 'application/octet-stream; name="smime.bin"', Form.PLAIN),
    ],
)
def test_cms_is_told_by_its_octets(kind: str, content_type: str, expected: Form, *, long_form: bool) -> None:
    """The content type inside the CMS counts before smime-type: a lying parameter changes nothing."""
    assert form(cms(kind, content_type=content_type, long_form=long_form)) is expected
    assert form(cms(kind, content_type=content_type, long_form=long_form, encoding="binary")) is expected


def test_garbage_in_pkcs7_mime_is_what_it_claims() -> None:
    """Octets that cannot be sniffed keep the claim, so that judging says what is wrong with them."""
    head = HEAD + b"Content-Type: application/pkcs7-mime; smime-type=%s\r\n\r\ngarbage\r\n"
    assert form(head % b"enveloped-data") is Form.ENCRYPTED
    assert form(head % b"signed-data") is Form.OPAQUE_SIGNED
    assert form(head % b"") is Form.OPAQUE_SIGNED


@pytest.mark.parametrize(
    ("protocol", "second", "expected"),
    [
        ('protocol="application/pkcs7-signature";', "application/pkcs7-signature", Form.CLEAR_SIGNED),
        ('protocol="APPLICATION/X-PKCS7-SIGNATURE";', "application/x-pkcs7-signature", Form.CLEAR_SIGNED),
        ("", "application/pkcs7-signature", Form.CLEAR_SIGNED),
        ('protocol="application/pkcs7-signature";', "text/plain", Form.CLEAR_SIGNED),
        ('protocol="application/pgp-signature";', "application/pgp-signature", Form.PGP_SIGNED),
        ('protocol="application/dance";', "application/dance", Form.OTHER_SIGNED),
    ],
)
def test_multipart_signed_by_protocol_or_signature(protocol: str, second: str, expected: Form) -> None:
    """Either the protocol or a signature part makes it S/MIME's business; what is wrong with it is judged later."""
    assert form(signed(protocol, second)) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\ntext\r\n", Form.PGP_INLINE),
        (b"Chao chi,\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nxx\r\n", Form.PGP_INLINE),
        (b"> -----BEGIN PGP SIGNED MESSAGE-----\r\n", Form.PLAIN),
        (b"x\r\n" * 20 + b"-----BEGIN PGP SIGNED MESSAGE-----\r\n", Form.PLAIN),
    ],
)
def test_inline_pgp_only_at_the_beginning(body: bytes, expected: Form) -> None:
    """A PGP block that somebody quotes or appends does not keep a message from being signed."""
    assert form(HEAD + b"Content-Type: text/plain\r\n\r\n" + body) is expected
    mixed = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + body + b"\r\n--b--\r\n"
    assert form(mixed) is expected
    encoded = base64.encodebytes(body).replace(b"\n", b"\r\n")
    assert form(HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded) is expected


def test_pgp_mime_encrypted() -> None:
    """PGP/MIME encryption (RFC 3156) is told apart from an unknown one."""
    text = b'Content-Type: multipart/encrypted; protocol="%s"; boundary=b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n'
    assert form(HEAD + text % b"application/pgp-encrypted") is Form.PGP_ENCRYPTED
    assert form(HEAD + text % b"application/else") is Form.OTHER_ENCRYPTED


def test_plain_forms_are_not_left_alone() -> None:
    """Only what somebody made with a key is left alone."""
    assert {Form.PLAIN, Form.COMPRESSED, Form.CERTIFICATES_ONLY} == set(Form) - LEFT_ALONE


def traits(octets: bytes) -> set[str]:
    message = Message.of(octets)
    found = traits_of(message, parse(message))
    return {name for name in found.__slots__ if getattr(found, name)}


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (HEAD + b"\r\nx\r\n", set()),
        (HEAD + b"Auto-Submitted: no\r\n\r\n", set()),
        (HEAD + b"Auto-Submitted: auto-replied (vacation); x=1\r\n\r\n", {"auto_submitted"}),
        (HEAD + b"auto-submitted:auto-generated\r\n\r\n", {"auto_submitted"}),
        (HEAD + b"List-Id: <canbo.songlam.example>\r\n\r\n", {"list_mail"}),
        (HEAD + b"Precedence: LIST\r\n\r\n", {"list_mail"}),
        (HEAD + b"Precedence: bulk\r\n\r\n", set()),
        (HEAD + b"Content-Type: text/calendar\r\n\r\n", {"calendar"}),
        (HEAD + b"Content-Type: application/ms-tnef\r\n\r\n", {"tnef"}),
        (HEAD + b"Content-Type: application/octet-stream; name=WinMail.dat\r\n\r\n", {"tnef"}),
        (HEAD + b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n", {"report"}),
        (
            HEAD + b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n",
            {"report", "mdn"},
        ),
    ],
)
def test_traits(octets: bytes, expected: set[str]) -> None:
    """Each trait is read from the mark that its RFC names, and from nothing else."""
    assert traits(octets) == expected


def test_a_signature_by_itself_is_somebody_elses() -> None:
    """A detached signature at the top has lost what it signs; readers would take it, signed, for a broken message."""
    message = Message.of(b"From: a@b.example\r\nContent-Type: application/pkcs7-signature\r\n\r\nMII=\r\n")
    assert form_of(message, parse(message)) is Form.OTHER_SIGNED
    assert Form.OTHER_SIGNED in LEFT_ALONE
