"""Mail that looks like an attack and is none: each with the right words, and without an alarm."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from gateway.cms.algorithms import Scheme, raw_sign
from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.demo.authority import Credential, shared_key
from gateway.mime.fields import encode_text
from gateway.smime.sign import PROTECTED, Body, Left, content_digest, finish, prepare
from support.attacks import AUTHOR, Honest, head, letter, part, signer
from support.forger import Forger, algorithm, signed_data
from support.gateway_process import authority
from support.letters import clear_entity, multipart, opaque_entity, real_life, template, text_part
from support.letters import signed as signed_by_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.demo.authority import KeyShape
    from support.attacks import Delivered, Field

NOW: Final = dt.datetime.now(dt.UTC).replace(microsecond=0)
ALARMS: Final = ("KHÔNG", "mạo danh", "CẢNH BÁO", "tự viết")
CONTENTS: Final = {
    name: message.partition(b"MIME-Version: 1.0\r\n")[2]
    for name, message in real_life().items()
    if b"MIME-Version: 1.0\r\n" in message and name != "binary_leaf"  # NUL cannot come by DATA
}
"""Entities of the kinds that offices send: calendars, winmail.dat, forwarded letters, attachments, long lines."""


def calm(found: Delivered) -> None:
    """Check that a reader sees no alarm."""
    assert not any(each in found.subject for each in ALARMS), found.subject


def fresh(entity: bytes) -> bytes:
    """Return a letter around an entity as old as this test."""
    return letter(entity, boundary="=_moi")


def opaque(content: bytes, by: Credential | None = None, fields: bytes | None = None) -> bytes:
    """Return a letter with its content inside the CMS."""
    cms = Forger(by or signer()).cms(content, content=tlv(0x04, content))
    return (fields or head()) + b"MIME-Version: 1.0\r\n" + opaque_entity(cms)


@pytest.mark.parametrize("kind", sorted(CONTENTS))
def test_kinds_of_content(field: Field, kind: str) -> None:
    """A calendar, winmail.dat, a forwarded letter: whatever it is, it was signed as a whole."""
    found = field.honest(fresh(CONTENTS[kind]))
    assert found.facts["covers"] == "all"
    calm(found)


WRAPPED: dict[str, tuple[Callable[[], bytes], tuple[str, str]]] = {
    "forwarded as an attachment": (
        lambda: multipart("mixed", part(), b"Content-Type: message/rfc822\r\n\r\n" + letter()),
        ("unsigned", "signed_message_inside"),
    ),
    "forwarded in the text": (
        lambda: part("---- Thu chuyen tiep ----\r\nTu: Van phong\r\n\r\n> Moi hop"),
        ("unsigned", "no_signature"),
    ),
    "returned as undelivered": (
        lambda: multipart(
            "report",
            part(),
            b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;a.example\r\n",
            b"Content-Type: message/rfc822\r\n\r\n" + letter(),
            parameters="; report-type=delivery-status",
        ),
        ("unsigned", "signed_message_inside"),
    ),
    "a file that is signed": (
        lambda: multipart(
            "mixed",
            part(),
            b'Content-Disposition: attachment; filename="a.p7m"\r\n' + opaque_entity(Honest().cms),
        ),
        ("unsigned", "signed_inside_attachment"),
    ),
    "a certificate for the address book": (
        lambda: opaque_entity(signed_data([], certificates=[signer().certificate]), smime_type="certs-only"),
        ("unsigned", "certificates_only"),
    ),
    "a footer of a list": (
        lambda: multipart("mixed", Honest().entity, text_part("_____\r\nDanh sach can-bo")),
        ("partial", "footer_outside"),
    ),
}


@pytest.mark.parametrize("idea", sorted(WRAPPED))
def test_signed_mail_inside_other_mail(field: Field, idea: str) -> None:
    """Not verified, since nobody signed the whole; and no alarm, since nobody pretends it."""
    make, why = WRAPPED[idea]
    found = field.harmless(head() + b"MIME-Version: 1.0\r\n" + make())
    assert found.why == why
    calm(found)


def test_a_list_that_marks_subjects(field: Field) -> None:
    """A prefix on the subject of a letter seen before is a list's copy: a lesser state of its own, no replay."""
    honest = Honest()
    field.honest(honest.message)
    copy = honest.message.replace(b"Subject: ", b"Subject: [can-bo] ").replace(
        b"MIME-Version", b"List-Id: <can-bo.thanhha.example>\r\nMIME-Version", 1
    )
    found = field.harmless(copy)
    assert found.why == ("verified_lesser", "list_copy")
    calm(found)


def test_a_copy_of_a_forward_that_is_signed(field: Field) -> None:
    """Whoever passes a signed letter on under his own signature answers for the passing on."""
    inner = b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + letter()
    calm(field.honest(fresh(multipart("mixed", part(), inner, boundary="in"))))


SHAPES: Final[dict[str, tuple[KeyShape, Scheme | None, str | None]]] = {
    "RSA 2048": ("rsa2048", None, None),
    "RSA 3072, SHA-512": ("rsa3072", None, "sha512"),
    "PSS": ("rsa2048", Scheme.PSS, None),
    "PSS, SHA-384": ("rsa2048", Scheme.PSS, "sha384"),
    "P-256": ("p256", None, None),
    "P-384": ("p384", None, None),
}


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_kinds_of_keys(field: Field, kind: str) -> None:
    """Every kind of key and padding that authorities hand out."""
    shape, scheme, digest = SHAPES[kind]
    credential = authority().issue("Người ký", AUTHOR, key=shared_key(shape, 80))
    field.honest(signed_by_us(head() + b"MIME-Version: 1.0\r\n" + part(), credential, scheme=scheme, digest=digest))


CURVE_25519: Final = "1.3.101.112"
ECDSA_SHA512: Final = "1.2.840.10045.4.3.4"
ML_DSA: Final = {44: "2.16.840.1.101.3.4.3.17", 65: "2.16.840.1.101.3.4.3.18", 87: "2.16.840.1.101.3.4.3.19"}
NEW: Final[dict[str, tuple[Callable[[], Any], str, Callable[[Any], Callable[[bytes], bytes]]]]] = {
    "P-521": (
        lambda: ec.generate_private_key(ec.SECP521R1()),
        ECDSA_SHA512,
        lambda key: lambda data: key.sign(data, ec.ECDSA(hashes.SHA512())),
    ),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, CURVE_25519, lambda key: key.sign),
    "ML-DSA-44": (mldsa.MLDSA44PrivateKey.generate, ML_DSA[44], lambda key: key.sign),
    "ML-DSA-65": (mldsa.MLDSA65PrivateKey.generate, ML_DSA[65], lambda key: key.sign),
    "ML-DSA-87": (mldsa.MLDSA87PrivateKey.generate, ML_DSA[87], lambda key: key.sign),
}


@pytest.mark.parametrize("kind", sorted(NEW))
def test_kinds_of_keys_that_we_do_not_sign_with(field: Field, kind: str) -> None:
    """Others may be ahead of us (RFC 8419, RFC 9882)."""
    make, name, signing = NEW[kind]
    key = make()
    credential = authority().issue("Người ký", AUTHOR, key=key)
    honest = Honest()
    made = Forger(credential, digest="sha512", signature_algorithm=algorithm(name), sign=signing(key))
    field.honest(honest.under(clear_entity(honest.part, made.cms(honest.part))))


CERTIFICATES: dict[str, tuple[Callable[[], Credential], set[str]]] = {
    "address in the subject only": (
        lambda: authority().issue("Người ký", None, subject_mailbox=AUTHOR, key=shared_key("p256", 81)),
        {"address_in_subject"},
    ),
    "no extended key usage": (
        lambda: authority().issue("Người ký", AUTHOR, usages=None, key=shared_key("p256", 81)),
        {"no_extended_key_usage"},
    ),
    "no key usage": (
        lambda: authority().issue("Người ký", AUTHOR, key_usage=False, key=shared_key("p256", 81)),
        set(),
    ),
    "address twice": (
        lambda: authority().issue("Người ký", AUTHOR, subject_mailbox=AUTHOR, key=shared_key("p256", 81)),
        set(),
    ),
    "two addresses": (
        lambda: authority().issue(
            "Người ký", "khac@thanhha.example", more_mailboxes=[AUTHOR], key=shared_key("p256", 81)
        ),
        set(),
    ),
    "domain in capitals": (
        lambda: authority().issue("Người ký", "vanphong@ThanhHa.Example", key=shared_key("p256", 81)),
        set(),
    ),
}


@pytest.mark.parametrize("kind", sorted(CERTIFICATES))
def test_kinds_of_certificates(field: Field, kind: str) -> None:
    """Old and unusual certificates of a real authority; what one lacks is said beside the verdict."""
    make, notes = CERTIFICATES[kind]
    found = field.honest(letter(by=make()))
    assert notes <= found.notes
    assert found.notes <= notes | {"first_contact", "changed_key"}


def test_two_certificates_of_one_author(field: Field) -> None:
    """One for signing and one for encryption come along; or both sign."""
    other = authority().issue("Người ký", AUTHOR, key=shared_key("p256", 82))
    along, both = Honest(), Honest()
    certificates = [other.certificate, signer().certificate, *signer().chain]
    one = signed_data([Forger(signer()).info(along.part)], certificates=certificates)
    two = signed_data([Forger(each).info(both.part) for each in (other, signer())], certificates=certificates)
    field.honest(along.under(clear_entity(along.part, one)))
    assert "several_signers" in field.honest(both.under(clear_entity(both.part, two))).notes


NESTED: dict[str, Callable[[], bytes]] = {
    "clear in opaque": lambda: opaque(Honest().entity),
    "clear in clear": lambda: letter(Honest().entity.replace(b"outer", b"inner")),
    "opaque in opaque": lambda: opaque(opaque_entity(Forger(signer()).cms(b"", content=tlv(0x04, part())))),
    "opaque in clear": lambda: letter(opaque(part()).partition(b"MIME-Version: 1.0\r\n")[2]),
    "clear in opaque in clear": lambda: letter(opaque(Honest().entity).partition(b"MIME-Version: 1.0\r\n")[2]),
}


@pytest.mark.parametrize("idea", sorted(NESTED))
def test_a_signature_inside_a_signature(field: Field, idea: str) -> None:
    """The outer one decides, and the inner one is noted."""
    found = field.honest(NESTED[idea]())
    assert "nested_signature" in found.notes
    calm(found)


def test_protected_header_fields(field: Field) -> None:
    """With copies of the fields inside, and only with them, the header counts as signed (RFC 9788)."""
    message = head() + b"MIME-Version: 1.0\r\n" + part()
    chosen = template(signer())
    prepared = prepare(
        Message.of(message),
        now=NOW,
        new_message_id=lambda: "<a@b.example>",
        new_builder=MemoryBuilder,
        body=Body.SEVEN_BIT,
        protect=tuple(PROTECTED),
    )
    assert not isinstance(prepared, Left)
    over = chosen.to_be_signed(content_digest(prepared, chosen.digest), NOW)
    cms = chosen.finish(over, raw_sign(signer().key, over, scheme=chosen.scheme, digest=chosen.digest))
    found = field.honest(finish(prepared, cms=cms, micalg=chosen.micalg, boundary="=_a").octets())
    assert found.facts["headers"] == "signed"
    assert field.honest(letter()).facts["headers"] == "unsigned"


@pytest.mark.parametrize("protected", [False, True])
def test_an_answer_to_a_letter_with_our_tag(field: Field, protected: bool) -> None:  # noqa: FBT001
    """Our tag comes back in the subject, outside and in its protected copy: it goes, and nobody is warned of it."""
    answer = encode_text("Re: [Đã xác thực: Văn phòng tỉnh Thanh Hà]")
    fields = head().replace(b"Subject: ", b"Subject: " + answer + b" ")
    copies = fields + b"Content-Type: text/plain; hp=clear\r\n\r\nMoi hop\r\n"
    found = field.honest(letter(copies if protected else part(), fields=fields))
    calm(found)
    assert found.subject.count("Đã xác thực") == 1


SHAPES_OF_PARTS: Final[dict[str, Callable[[], bytes]]] = {
    "a boundary of odd characters": lambda: letter(boundary="=_(x)?=:,/'"),
    "a boundary with a blank": lambda: letter(boundary="a b"),
    "a boundary that ends like a closing one": lambda: letter(boundary="outer--"),
    "a boundary as long as may be": lambda: letter(boundary="a" * 70),
    "words that are nearly the boundary": lambda: letter(part("--outerX\r\n--oute\r\n --outer\r\n--outer-")),
    "a receipt that is signed as a whole": lambda: fresh(
        multipart(
            "report",
            part(),
            b"Content-Type: message/disposition-notification\r\n\r\nDisposition: manual-action; displayed\r\n",
            boundary="in",
            parameters="; report-type=disposition-notification",
        )
    ),
    "no words at all": lambda: letter(b"Content-Description: khong\r\nContent-Type: text/plain\r\n\r\n"),
    "a text called by a careless name": lambda: letter(
        b"Content-Type: text/plain; name=a message from multipart.txt\r\n\r\nMoi hop\r\n"
    ),
    "base64 of any kind": lambda: fresh(
        multipart(
            "mixed", part(), b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n"
        )
    ),
}


@pytest.mark.parametrize("idea", sorted(SHAPES_OF_PARTS))
def test_shapes_of_parts(field: Field, idea: str) -> None:
    """Boundaries and parts that are odd, and have one reading."""
    calm(field.honest(SHAPES_OF_PARTS[idea]()))


def test_a_list_that_writes_itself_as_sender(field: Field) -> None:
    """A list that has to put its own address into From: a good signature, and not by the sender."""
    honest = Honest()
    field.honest(honest.message)
    copy = honest.message.replace(b"Van phong <vanphong@thanhha.example>", b"Van phong qua can-bo <can-bo@ds.example>")
    found = field.harmless(copy)
    assert found.why == ("signer_mismatch", "signer_is_not_author")
    calm(found)


FIELDS: dict[str, Callable[[bytes], bytes]] = {
    "name in quotes with a comma": lambda fields: fields.replace(b"Van phong <", b'"Van phong, Thanh Ha" <'),
    "name in encoded words": lambda fields: fields.replace(b"Van phong", encode_text("Văn phòng")),
    "folded": lambda fields: fields.replace(b"Van phong <", b"Van phong\r\n <"),
    "a comment": lambda fields: fields.replace(b"Van phong <", b"(tinh) Van phong <"),
    "domain in capitals": lambda fields: fields.replace(b"<vanphong@thanhha", b"<vanphong@THANHHA"),
    "the bare address": lambda fields: fields.replace(b"Van phong <vanphong@thanhha.example>", AUTHOR.encode()),
    "a subject that tells of verifying": lambda fields: fields.replace(
        b"Moi hop", encode_text("Thông báo đã xác thực hồ sơ")
    ),
    "marks of other systems": lambda fields: (
        fields + b"DKIM-Signature: v=1; d=thanhha.example\r\nReceived: from a by b; Tue, 24 Nov 2026 08:29:00 +0700\r\n"
    ),
}


@pytest.mark.parametrize("idea", sorted(FIELDS))
def test_header_fields_of_honest_people(field: Field, idea: str) -> None:
    """Whatever RFC 5322 lets a mail program write."""
    fields = head()
    changed = FIELDS[idea](fields)
    assert changed != fields
    calm(field.honest(letter(fields=changed)))


def test_the_same_letter_twice(field: Field) -> None:
    """A second copy, of another way or to another mailbox, is no replay."""
    good = letter()
    field.honest(good)
    assert "seen_before" in field.honest(good).notes
