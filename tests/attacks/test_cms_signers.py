"""Signatures that say less, more or other than they seem to (Müller et al. 2019, CMS class; RFC 5652 5).

Each is made of a letter that was verified a moment before, or of the same words signed by the same key in another way.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import pytest

from gateway.cms.asn1 import tlv
from support.attacks import AUTHOR, STRANGER, Honest, head, part, signer
from support.forger import (
    CONTENT_TYPE,
    DATA,
    DIGESTS,
    MESSAGE_DIGEST,
    SHA256_ECDSA,
    Forger,
    algorithm,
    attribute,
    oid,
    raw,
    signed_data,
)
from support.letters import clear_entity, opaque_entity

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.attacks import Field

EVIL: Final = part("Chuyen 500 trieu dong.")


def author(**changes: object) -> Forger:
    """Return the author as one who signs in odd ways."""
    return Forger(signer()).but(**changes)


def clear(honest: Honest, cms: bytes, words: bytes | None = None) -> bytes:
    """Return the letter with another CMS, and with other words if there are any."""
    return honest.under(clear_entity(honest.part if words is None else words, cms))


def opaque(honest: Honest, cms: bytes) -> bytes:
    """Return the letter's fields above an opaque CMS."""
    return honest.under(opaque_entity(cms))


def certificates(*mailboxes: str) -> list[bytes]:
    """Return the certificates of these people and their authority's."""
    return [*(signer(each).certificate for each in mailboxes), *signer().chain]


def infos(honest: Honest, *made: bytes, of: tuple[str, ...] = (AUTHOR, STRANGER)) -> bytes:
    """Return a letter with these SignerInfos."""
    return clear(honest, signed_data(made, certificates=certificates(*of)))


def broken(info: bytes) -> bytes:
    """Return a SignerInfo with one bit of its value turned."""
    return info[:-1] + bytes([info[-1] ^ 1])


def digest_attribute(content: bytes, digest: str = "sha256") -> bytes:
    """Return a messageDigest."""
    return attribute(MESSAGE_DIGEST, tlv(0x04, hashlib.new(digest, content).digest()))


TYPE: Final = attribute(CONTENT_TYPE, oid(DATA))


def attributes_as_content(honest: Honest) -> bytes:
    """Return a letter whose words are the attributes that were signed, and whose signature has none (RFC 5652 5.4)."""
    attributes = tlv(0x31, *sorted([TYPE, digest_attribute(honest.part)]))
    value = raw(signer().key, attributes)
    return opaque(honest, author(bare=True, sign=lambda _: value).cms(b"", content=tlv(0x04, attributes)))


CONTENT: dict[str, tuple[Callable[[Honest], bytes], tuple[str, str]]] = {
    "signed inside, evil beside": (
        lambda h: clear(h, author().cms(h.part, content=tlv(0x04, h.part)), EVIL),
        ("invalid", "content_twice"),
    ),
    "evil inside, signed beside": (
        lambda h: clear(h, author().cms(h.part, content=tlv(0x04, EVIL))),
        ("invalid", "content_twice"),
    ),
    "the same inside and beside": (
        lambda h: clear(h, author().cms(h.part, content=tlv(0x04, h.part))),
        ("invalid", "content_twice"),
    ),
    "nothing inside, but a place for it": (
        lambda h: clear(h, author().cms(h.part, content=tlv(0x04))),
        ("invalid", "content_twice"),
    ),
    "evil beside a detached signature": (lambda h: clear(h, h.cms, EVIL), ("invalid", "digest_mismatch")),
    "evil in an opaque one": (
        lambda h: opaque(h, author().cms(h.part, content=tlv(0x04, EVIL))),
        ("invalid", "digest_mismatch"),
    ),
    "opaque without content": (lambda h: opaque(h, h.cms), ("invalid", "content_missing")),
    "opaque signature in the place of a detached one": (
        lambda h: h.under(clear_entity(EVIL, author().cms(h.part, content=tlv(0x04, h.part)))),
        ("invalid", "content_twice"),
    ),
    "another content type": (
        lambda h: clear(
            h,
            signed_data(
                [author().info(h.part, "1.2.840.113549.1.9.16.1.4")],
                certificates=certificates(AUTHOR),
                content_type="1.2.840.113549.1.9.16.1.4",
            ),
        ),
        ("invalid", "not_data"),
    ),
    "attributes of the letter as content": (attributes_as_content, ("invalid", "attributes_as_content")),
}


@pytest.mark.parametrize("idea", sorted(CONTENT))
def test_content_in_two_places_or_none(field: Field, idea: str) -> None:
    """C1: what was checked and what is shown must be the same octets."""
    forge, why = CONTENT[idea]
    honest = Honest()
    assert field.attack(honest.message, forge(honest)).why == why


SIGNERS: dict[str, tuple[Callable[[Honest], bytes], tuple[str, str]]] = {
    "good and broken": (
        lambda h: infos(h, author().info(h.part), broken(author().info(h.part))),
        ("invalid", "bad_signature"),
    ),
    "broken and good": (
        lambda h: infos(h, broken(author().info(h.part)), author().info(h.part)),
        ("invalid", "bad_signature"),
    ),
    "stranger added": (
        lambda h: infos(h, author().info(h.part), Forger(signer(STRANGER)).info(h.part)),
        ("signer_mismatch", "cosigner_is_not_author"),
    ),
    "stranger first": (
        lambda h: infos(h, Forger(signer(STRANGER)).info(h.part), author().info(h.part)),
        ("signer_mismatch", "cosigner_is_not_author"),
    ),
    "stranger over evil, author over the letter": (
        lambda h: clear(
            h,
            signed_data(
                [author().info(h.part), Forger(signer(STRANGER)).info(EVIL)],
                certificates=certificates(AUTHOR, STRANGER),
            ),
            EVIL,
        ),
        ("invalid", "digest_mismatch"),
    ),
    "stranger alone": (
        lambda h: clear(h, Forger(signer(STRANGER)).cms(h.part)),
        ("signer_mismatch", "signer_is_not_author"),
    ),
    "stranger alone, the author's certificate first": (
        lambda h: infos(h, Forger(signer(STRANGER)).info(h.part)),
        ("signer_mismatch", "signer_is_not_author"),
    ),
    "stranger's key under the author's name": (
        lambda h: clear(h, author(sign=lambda data: raw(signer(STRANGER).key, data)).cms(h.part)),
        ("invalid", "bad_signature"),
    ),
    "nobody": (infos, ("invalid", "no_signers")),
    "nobody, and no certificate": (lambda h: clear(h, signed_data([])), ("invalid", "no_signers")),
    "nobody, opaque": (
        lambda h: opaque(h, signed_data([], certificates=certificates(AUTHOR), content=tlv(0x04, h.part))),
        ("invalid", "no_signers"),
    ),
    "no certificate": (
        lambda h: clear(h, signed_data([author().info(h.part)])),
        ("indeterminate", "no_signer_certificate"),
    ),
    "the stranger's certificate only": (
        lambda h: infos(h, author().info(h.part), of=(STRANGER,)),
        ("indeterminate", "no_signer_certificate"),
    ),
    "five of them": (lambda h: infos(h, *[author().info(h.part)] * 5), ("unreadable", "too_many_signers")),
}


@pytest.mark.parametrize("idea", sorted(SIGNERS))
def test_signers_that_are_too_many_or_too_few(field: Field, idea: str) -> None:
    """C2 and C3: every signer is judged, and there must be one."""
    forge, why = SIGNERS[idea]
    honest = Honest()
    assert field.attack(honest.message, forge(honest)).why == why


def test_a_stranger_around_the_authors_letter(field: Field) -> None:
    """The outer signature decides: under the author's name it is a stranger's, under the stranger's it names him."""

    def around(honest: Honest) -> bytes:
        inner = honest.entity.replace(b"outer", b"inner")
        return clear_entity(inner, Forger(signer(STRANGER)).cms(inner))

    honest = Honest()
    assert field.attack(honest.message, honest.under(around(honest))).why == ("signer_mismatch", "signer_is_not_author")
    theirs = field.honest(head(author=STRANGER) + b"MIME-Version: 1.0\r\n" + around(Honest()))
    assert theirs.subject.startswith("[Đã xác thực: Công ty Cấp nước]")
    assert "nested_signature" in theirs.notes


def test_an_author_named_inside(field: Field) -> None:
    """An opaque letter whose words begin like a header of somebody else is not shown under the signer's name."""
    honest = Honest()
    words = b"From: Chu tich <chu-tich@songlam.example>\r\nSubject: Chi\r\n" + part("500 trieu")
    forged = opaque(honest, author().cms(words, content=tlv(0x04, words)))
    assert field.attack(honest.message, forged).why == ("signer_mismatch", "inner_from_differs")


def unsaid(honest: Honest, *attributes: bytes) -> bytes:
    """Return a letter whose signer signed these attributes only."""
    return clear(honest, author(attributes=attributes).cms(honest.part))


ATTRIBUTES: dict[str, tuple[Callable[[Honest], bytes], tuple[str, str]]] = {
    "no digest": (lambda h: unsaid(h, TYPE), ("invalid", "attributes_missing")),
    "no content type": (lambda h: unsaid(h, digest_attribute(h.part)), ("invalid", "attributes_missing")),
    "digest twice, good first": (
        lambda h: unsaid(h, TYPE, digest_attribute(h.part), digest_attribute(EVIL)),
        ("invalid", "duplicate_attribute"),
    ),
    "two digests in one attribute": (
        lambda h: unsaid(
            h,
            TYPE,
            attribute(MESSAGE_DIGEST, *(tlv(0x04, hashlib.sha256(each).digest()) for each in (h.part, EVIL))),
        ),
        ("invalid", "duplicate_attribute"),
    ),
    "another content type inside the attributes": (
        lambda h: unsaid(h, attribute(CONTENT_TYPE, oid("1.2.840.113549.1.7.3")), digest_attribute(h.part)),
        ("invalid", "content_type_mismatch"),
    ),
    "digest named SHA-512, made by SHA-256": (
        lambda h: clear(
            h,
            author(
                digest="sha512",
                attributes=[TYPE, digest_attribute(h.part)],
                sign=lambda data: raw(signer().key, data),
            ).cms(h.part),
        ),
        ("invalid", "digest_mismatch"),
    ),
    "SHA-1": (lambda h: clear(h, author(digest="sha1").cms(h.part)), ("not_trusted", "weak_digest")),
    "MD5": (lambda h: clear(h, author(digest="md5").cms(h.part)), ("not_trusted", "weak_digest")),
    "ECDSA announced, RSA made": (
        lambda h: clear(h, author(signature_algorithm=algorithm(SHA256_ECDSA)).cms(h.part)),
        ("invalid", "bad_signature"),
    ),
    "the digest's own name as signature algorithm": (
        lambda h: clear(h, author(signature_algorithm=algorithm(DIGESTS["sha256"])).cms(h.part)),
        ("unreadable", "unknown_algorithm"),
    ),
    "no attributes, digest as value": (
        lambda h: clear(h, author(bare=True, sign=lambda data: hashlib.sha256(data).digest()).cms(h.part)),
        ("invalid", "bad_signature"),
    ),
    "value of zeros": (
        lambda h: clear(h, author(sign=lambda _: bytes(256)).cms(h.part)),
        ("invalid", "bad_signature"),
    ),
    "no value": (lambda h: clear(h, author(sign=lambda _: b"").cms(h.part)), ("invalid", "bad_signature")),
}


@pytest.mark.parametrize("idea", sorted(ATTRIBUTES))
def test_digests_and_attributes_confused(field: Field, idea: str) -> None:
    """A signer who says one thing twice, leaves it out, or calls one algorithm another has not signed these words."""
    forge, why = ATTRIBUTES[idea]
    honest = Honest()
    assert field.attack(honest.message, forge(honest)).why == why


def test_the_same_key_in_the_usual_way_is_good(field: Field) -> None:
    """What the forger makes when nothing is changed is verified: what is refused above is refused for its change."""
    beside, inside = Honest(), Honest()
    field.honest(clear(beside, author().cms(beside.part)))
    field.honest(opaque(inside, author().cms(inside.part, content=tlv(0x04, inside.part))))
