"""What a signature covers: conditions 1 to 6 of the argument, each broken by the smallest change to a verified mail."""

from __future__ import annotations

import pytest
from asn1crypto.cms import ContentInfo

from gateway.core.message import Message
from gateway.core.verdict import ChainState, SignatureState, row_of
from support.letters import (
    ASCII,
    HEAD,
    LAN,
    PLAIN,
    base64_lines,
    binh,
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
    text_part,
)

PART = text_part("Chuyen 5 trieu dong.")
EVIL = text_part("Chuyen 500 trieu dong.")
HTML = text_part('<img src="cid:x">', subtype="html")
ENCODED_MARKUP = b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64_lines(
    b"<iframe src=cid:letter>"
)
PROTOCOL = b'protocol="application/pkcs7-signature"'


def told(message: bytes | Message) -> tuple[str, str]:
    """Return verdict and reason, after seeing that green and coverage are never claimed apart."""
    found = judged(message)
    name = row_of(found.verdict).name
    assert (name == "verified") <= found.covers_everything_shown
    return name, found.verdict.reason


GOOD = ("verified", "verified")


def outer() -> bytes:
    """Return a verified message whose parts the tests below move around."""
    message = clear(PART, lan())
    assert told(message) == GOOD
    return message


@pytest.mark.parametrize("kind", sorted(real_life()))
def test_what_we_sign_is_verified(kind: str) -> None:
    """Every kind of real mail that we sign is verified, chain and signature valid, all of it covered."""
    found = judged(signed(real_life()[kind], lan()))
    assert row_of(found.verdict).name == "verified", found.verdict.reason
    assert (found.chain, found.signature) == (ChainState.VALID, SignatureState.VALID)
    assert found.covers_everything_shown
    assert not found.headers_signed
    assert str(found.author) == LAN


@pytest.mark.parametrize("kind", sorted(real_life()))
def test_unsigned_mail_is_unsigned(kind: str) -> None:
    """Mail without a signature has its own verdict and no state of chain or signature."""
    found = judged(real_life()[kind])
    assert row_of(found.verdict).name == "unsigned"
    assert (found.chain, found.signature) == (ChainState.NONE, SignatureState.NONE)
    assert not found.covers_everything_shown


def test_mailing_list_footer() -> None:
    """A footer beside the signed part is told apart from other unsigned content."""
    inner = clear_entity(PART, detached(PART, lan()))
    assert told(mail(multipart("mixed", inner, text_part("_____\r\nDanh sach can-bo")))) == (
        "partial",
        "footer_outside",
    )


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda inner: multipart("mixed", EVIL, inner), "text_before_signed"),
        (lambda inner: multipart("mixed", inner, text_part("<b>x</b>", subtype="html")), "markup_beside_signed"),
        (lambda inner: multipart("mixed", text_part("<style>", subtype="html"), inner), "markup_beside_signed"),
        (lambda inner: multipart("mixed", inner, b"Content-Type: image/png\r\n\r\nx"), "part_beside_signed"),
        (
            lambda inner: multipart("mixed", text_part('<img src="mid:x@y/z">', subtype="html"), inner),
            "fetched_by_unsigned",
        ),
        (lambda inner: multipart("mixed", ENCODED_MARKUP, inner), "fetched_by_unsigned"),
        (lambda inner: multipart("alternative", inner, EVIL), "alternative_to_signed"),
        (lambda inner: multipart("alternative", EVIL, inner), "alternative_to_signed"),
        (
            lambda inner: multipart("related", text_part('<img src="cid:x">', subtype="html"), inner),
            "fetched_by_unsigned",
        ),
        (
            lambda inner: multipart("related", text_part("<b>x</b>", subtype="html"), inner),
            "related_to_signed",
        ),
        (lambda inner: multipart("mixed", multipart("related", EVIL, inner, boundary="r"), EVIL), "related_to_signed"),
        (lambda inner: multipart("mixed", inner, inner), "two_signed_parts"),
        (lambda inner: multipart("mixed", inner), "wrapped"),
        (lambda inner: multipart("mixed", multipart("mixed", inner, boundary="r"), EVIL), "text_before_signed"),
    ],
)
def test_signature_below_the_top_is_partial(build: object, reason: str) -> None:
    """A good signature that is not around everything shown is never green (Müller et al. 2019, M1-M3)."""
    outer()
    inner = clear_entity(PART, detached(PART, lan()))
    assert told(mail(build(inner))) == ("partial", reason)  # type: ignore[operator]


def test_broken_signature_below_the_top_is_invalid() -> None:
    """A bad signature does not become better by standing deeper."""
    inner = clear_entity(EVIL, detached(PART, lan()))
    assert told(mail(multipart("mixed", inner, EVIL))) == ("invalid", "digest_mismatch")


def test_opaque_below_the_top_is_partial() -> None:
    """The same holds for a CMS with its content, unless it is an attachment."""
    inner = opaque_entity(opaque_cms(PART))
    assert told(mail(multipart("mixed", EVIL, inner)))[0] == "partial"
    attached = b"Content-Disposition: attachment\r\n" + inner
    assert told(mail(multipart("mixed", EVIL, attached))) == ("unsigned", "signed_inside_attachment")


def test_forwarded_signed_message_says_nothing_of_its_forwarder() -> None:
    """A signed message/rfc822 inside an unsigned message leaves it unsigned (M4)."""
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + outer()
    assert told(mail(multipart("mixed", EVIL, forwarded))) == ("unsigned", "signed_message_inside")
    assert told(mail(forwarded)) == ("unsigned", "signed_message_inside")


def test_signed_mail_with_forwarded_mail_inside_is_verified() -> None:
    """Forwarding somebody's signed mail inside a mail of one's own that is signed is honest."""
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + signed(PLAIN.replace(LAN.encode(), b"x@y.example"), binh())
    assert told(clear(multipart("mixed", text_part("Xem kem."), forwarded), lan())) == GOOD


def test_too_many_signatures_are_refused() -> None:
    """The number of signatures that are judged is bounded, and the rest is not skipped in silence."""
    inner = clear_entity(PART, detached(PART, lan()))
    assert told(mail(multipart("mixed", *[inner] * 5))) == ("unreadable", "too_many_signatures")


# --- the parts of multipart/signed ---


def test_third_part_is_not_covered() -> None:
    """Condition 3: a part behind the signature is shown and not signed."""
    message = outer()
    assert told(message.replace(b"--outer--", b"--outer\r\n" + EVIL + b"\r\n--outer--")) == (
        "partial",
        "part_after_signature",
    )


def test_part_before_the_signed_one() -> None:
    """Condition 3: a part put before the signed one makes the parts three, in the wrong order."""
    message = outer()
    assert told(message.replace(b"--outer\r\n", b"--outer\r\n" + EVIL + b"\r\n--outer\r\n", 1)) == (
        "invalid",
        "signature_misplaced",
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (PROTOCOL + b"; ", b"", ("invalid", "protocol_mismatch")),
        (
            b'protocol="application/pkcs7-signature"',
            b'protocol="application/pgp-signature"',
            ("invalid", "protocol_mismatch"),
        ),
        (b"Content-Type: application/pkcs7-signature", b"Content-Type: text/plain", ("invalid", "signature_misplaced")),
        (b'boundary="outer"', b'boundary="outer"; boundary="other"', ("unreadable", "ambiguous_structure")),
        (b"\r\n--outer--\r\n", b"\r\n", ("unreadable", "ambiguous_structure")),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n", None),
        (b"MIME-Version: 1.0\r\n", b"Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n", None),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nno colon here\r\n", None),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nX-A: 1\nFrom: boss@songlam.example\r\n", None),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nX-A: 1\rFrom: boss@songlam.example\r\n", None),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nX-A: 1\x00\r\n", None),
        (
            b"name=smime.p7s\r\n",
            b"name=smime.p7s\r\nContent-Type: text/html\r\n",
            ("unreadable", "ambiguous_structure"),
        ),
    ],
)
def test_ambiguous_structure_is_never_green(old: bytes, new: bytes, expected: tuple[str, str] | None) -> None:
    """Conditions 1 and 3: what readers may take apart in two ways has no verdict of ours."""
    message = outer()
    changed = message.replace(old, new, 1)
    assert changed != message
    found = told(changed)
    assert found == expected or (expected is None and found[0] == "unreadable")


HIDDEN = b"Content-Type: text/html\n\n<b>500 trieu</b>\n"


def test_two_types_without_a_signature_are_unsigned() -> None:
    """Condition 1: a doubled field hides a signature only where one of the two claims one."""
    message = ASCII.replace(b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n")
    assert told(message) == ("unsigned", "no_signature")
    opaque = mail(b"Content-Type: text/html\r\n" + opaque_entity(opaque_cms(PART)))
    assert told(opaque) == ("unreadable", "ambiguous_structure")


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_delimiter_with_bare_line_ends_beside_the_signature(end: bytes) -> None:
    """Condition 1: a reader that takes LF or CR for a line end would find a third part here, wherever it is put."""
    message = outer()
    hidden = (b"\n--outer\n" + HIDDEN).replace(b"\n", end)
    in_header = message.replace(b"name=smime.p7s\r\n", b"name=smime.p7s\r\nX-A: 1" + hidden + b"\r\n")
    assert told(in_header)[0] == "unreadable"
    assert told(message.replace(b"--outer\r\n", hidden + b"\r\n--outer\r\n", 1)) == ("unreadable", "bare_line_end")
    assert told(message + hidden) == ("unreadable", "bare_line_end")
    # inside the value itself the CMS is broken as well, and that takes precedence (`VERDICTS`)
    assert told(message.replace(b"\r\n--outer--", hidden + b"\r\n--outer--"))[0] == "invalid"


def test_prefix_of_the_delimiter_outside_the_signed_part() -> None:
    """Condition 1: a reader that compares only the beginning of a delimiter would find a third part here."""
    message = outer()
    ambiguous = ("unreadable", "ambiguous_structure")
    hidden = b"--outerX\r\nContent-Type: text/html\r\n\r\n<b>500 trieu</b>\r\n"
    in_header = message.replace(b"name=smime.p7s\r\n", b"name=smime.p7s\r\n--outer: 1\r\n")
    assert told(in_header) == ambiguous
    assert told(message.replace(b"--outer\r\n", hidden + b"--outer\r\n", 1)) == ambiguous
    assert told(message + hidden) == ("partial", "text_outside_signature")
    assert told(message.replace(b"\r\n--outer--", b"\r\n" + hidden + b"--outer--"))[0] == "invalid"


def test_prefix_of_the_delimiter_inside_the_signed_part_is_signed() -> None:
    """An inner boundary that begins with the outer one is unlucky, and signed like everything else inside."""
    assert told(clear(multipart("mixed", PART, boundary="outer-inner"), lan())) == GOOD


def test_signature_part_missing() -> None:
    """Condition 3: multipart/signed without its signature is invalid, not unsigned: somebody took it away."""
    message = outer()
    cut = message.rindex(b"--outer\r\n")
    assert told(message[:cut] + b"--outer--\r\n") == ("invalid", "signature_missing")


# --- what the signed octets stand for ---


def test_pointers_are_not_what_they_point_to() -> None:
    """Condition 5: external bodies and partial messages are not covered by a signature over the pointer."""
    external = (
        b"Content-Type: message/external-body; access-type=URL; "
        b'URL="http://x.example/"\r\n\r\nContent-Type: text/html\r\n\r\n'
    )
    assert told(clear(multipart("mixed", PART, external), lan())) == ("partial", "content_elsewhere")


def test_signed_ciphertext_is_not_green() -> None:
    """Condition 6: whoever signs a ciphertext may be a stranger to what is in it."""
    sealed = opaque_entity(bytes.fromhex("308006092a864886f70d010703") + bytes(60), smime_type="enveloped-data")
    found = judged(clear(sealed, lan()))
    assert (row_of(found.verdict).name, found.verdict.reason) == ("encrypted", "encrypted_inside")
    assert found.signature is SignatureState.VALID
    assert told(clear(opaque_entity(opaque_cms(sealed)), lan())) == ("encrypted", "encrypted_inside")


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        (
            opaque_entity(bytes.fromhex("308006092a864886f70d010703") + bytes(60), smime_type="enveloped-data"),
            ("encrypted", "enveloped"),
        ),
        (
            opaque_entity(bytes.fromhex("3080060b2a864886f70d0109100109") + bytes(60), smime_type="compressed-data"),
            ("unreadable", "compressed"),
        ),
        (
            b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n\r\n--b--\r\n',
            ("encrypted", "pgp_encrypted"),
        ),
        (
            b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary=b\r\n\r\n--b--\r\n',
            ("unsigned", "pgp_not_checked"),
        ),
        (
            b"Content-Type: text/plain\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n",
            ("unsigned", "pgp_not_checked"),
        ),
    ],
)
def test_other_protections(entity: bytes, expected: tuple[str, str]) -> None:
    """What is not an S/MIME signature at the top has a verdict of its own."""
    assert told(mail(entity)) == expected


def test_signature_inside_a_signature() -> None:
    """The outermost signature counts; the inner one is content, whoever made it."""
    inner = clear_entity(PART, detached(PART, binh()), boundary="inner")
    assert told(clear(inner, lan())) == GOOD
    assert told(clear(inner, binh())) == ("signer_mismatch", "signer_is_not_author")


def test_too_many_layers() -> None:
    """The number of signatures around one another is bounded."""
    part = PART
    for number in range(5):
        part = clear_entity(part, detached(part, lan()), boundary=f"b{number}")
    assert told(mail(part)) == ("unreadable", "too_many_layers")


def test_limits_have_a_verdict() -> None:
    """What is over a limit is unreadable, and quickly so."""
    deep = PART
    for number in range(200):
        deep = multipart("mixed", deep, boundary=f"b{number}")
    assert told(mail(deep))[0] == "unreadable"
    assert told(mail(multipart("mixed", *[PART] * 2000)))[0] == "unreadable"
    assert told(b"X: " + b"a" * 400_000 + b"\r\n" + HEAD + b"\r\n")[0] == "unreadable"


class BrokenSource:
    """A source whose file got lost behind its back."""

    def __len__(self) -> int:
        """Return what its size was."""
        return len(PLAIN)

    def read(self, start: int, stop: int) -> bytes:
        """Fail as a disk does."""
        raise OSError(5, "Input/output error")


def test_verify_never_raises() -> None:
    """Whatever happens while judging ends in a verdict, and not a green one."""
    broken = Message.from_source(BrokenSource())
    assert told(broken) == ("unreadable", "internal_fault")
    for message in (b"", b"\r\n", b"\r\n\r\n", b"\x00" * 50, b"From: a@b.example", ASCII[:40]):
        assert told(message)[0] in {"unsigned", "unreadable"}


def opaque_cms(part: bytes) -> bytes:
    """Return SignedData with its content, made from a detached one."""
    info = ContentInfo.load(detached(part, lan()))
    info["content"]["encap_content_info"]["content"] = part
    return info.dump(force=True)


def test_opaque_message() -> None:
    """A CMS that holds its content is verified like a clear one."""
    message = mail(opaque_entity(opaque_cms(PART)))
    assert told(message) == GOOD
    assert told(mail(opaque_entity(opaque_cms(PART), smime_type="certs-only"))) == ("unsigned", "certificates_only")


def test_content_in_two_places() -> None:
    """Condition 8: with the content beside the signature and inside it, readers show one and check the other."""
    outer()
    twice = mail(clear_entity(PART, opaque_cms(PART)))
    assert told(twice) == ("invalid", "content_twice")
    assert told(mail(clear_entity(EVIL, opaque_cms(PART))))[0] == "invalid"
    assert told(mail(opaque_entity(detached(PART, lan())))) == ("invalid", "content_missing")


def test_signature_that_is_no_cms() -> None:
    """Condition 7: garbage where the signature should be is invalid."""
    message = clear_entity(PART, b"garbage")
    assert told(mail(message))[0] == "invalid"
    assert told(mail(opaque_entity(b"\x30\x03\x02\x01\x01")))[0] == "invalid"
    bad = outer().replace(base64_lines(detached(PART, lan()))[:8], b"=A=A=A=A")
    assert told(bad)[0] == "invalid"
