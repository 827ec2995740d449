"""One CMS, many encodings: BER in all its liberty, rubbish around it, transfer encodings (X.690, RFC 2045)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import pytest

from gateway.cms.asn1 import children, tlv
from support.attacks import STRANGER, Honest, part, signer
from support.forger import Forger, signed_data
from support.letters import base64_lines, clear_entity, opaque_entity

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.attacks import Field

EVIL: Final = part("Chuyen 500 trieu dong.")
END: Final = b"\x00\x00"
SIGNATURE: Final = b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"


def endless(tag: int, *parts: bytes) -> bytes:
    """Return a constructed element of indefinite length."""
    return bytes([tag, 0x80]) + b"".join(parts) + END


def pieces(content: bytes, size: int = 40) -> list[bytes]:
    """Return an OCTET STRING cut into pieces."""
    return [tlv(0x04, content[start : start + size]) for start in range(0, len(content), size)]


def inside(der: bytes) -> list[bytes]:
    """Return the elements of the one constructed element."""
    (node,) = children(der, 0, len(der))
    return [der[each.start : each.end] for each in children(der, node.content, node.end)]


def stretched(der: bytes, content: bytes | None = None) -> bytes:
    """Return a ContentInfo with indefinite lengths down to its content, which is put in its place."""
    kind, explicit = inside(der)
    (data,) = inside(explicit)
    version, digests, encapsulated, *rest = inside(data)
    name, *_ = inside(encapsulated)
    held = [] if content is None else [endless(0xA0, content)]
    return endless(0x30, kind, endless(0xA0, endless(0x30, version, digests, endless(0x30, name, *held), *rest)))


def clear(honest: Honest, cms: bytes) -> bytes:
    """Return the letter with another CMS."""
    return honest.under(clear_entity(honest.part, cms))


def opaque(honest: Honest, content: bytes | None) -> bytes:
    """Return the letter with the content inside the CMS, in this form."""
    return honest.under(opaque_entity(stretched(honest.cms, content)))


def lines_of_lf(honest: Honest) -> bytes:
    """Return an opaque letter whose signer hashed lines that end in LF, as careless ones do."""
    content = honest.part.replace(b"\r\n", b"\n")
    return honest.under(opaque_entity(Forger(signer()).cms(content, content=tlv(0x04, content))))


BENIGN: dict[str, Callable[[Honest], bytes]] = {
    "indefinite lengths, detached": lambda h: clear(h, stretched(h.cms)),
    "indefinite lengths, content in one piece": lambda h: opaque(h, tlv(0x04, h.part)),
    "content in pieces": lambda h: opaque(h, tlv(0x24, *pieces(h.part))),
    "content in pieces without an end": lambda h: opaque(h, endless(0x24, *pieces(h.part))),
    "content in single octets": lambda h: opaque(h, endless(0x24, *pieces(h.part, 1))),
    "content in pieces of pieces": lambda h: opaque(
        h, endless(0x24, endless(0x24, *pieces(h.part[:60])), tlv(0x24, *pieces(h.part[60:])))
    ),
    "an empty piece": lambda h: opaque(h, endless(0x24, tlv(0x04), *pieces(h.part), tlv(0x04))),
    "content with LF line ends": lines_of_lf,
    "certificates twice": lambda h: clear(
        h,
        signed_data([Forger(signer()).info(h.part)], certificates=[signer().certificate, *signer().chain] * 2),
    ),
}


@pytest.mark.parametrize("idea", sorted(BENIGN))
def test_liberties_of_ber_are_no_attack(field: Field, idea: str) -> None:
    """Outlook and Apple Mail write indefinite lengths and pieces: the octets that were signed are the same."""
    field.honest(BENIGN[idea](Honest()))


def opaque_pair(forge: Callable[[Honest], bytes]) -> Callable[[Honest], bytes]:
    """Return the letter with an opaque CMS that was forged."""
    return lambda honest: honest.under(opaque_entity(forge(honest)))


FORGED: dict[str, tuple[Callable[[Honest], bytes], tuple[str, str]]] = {
    "octets behind": (lambda h: clear(h, h.cms + b"\x05\x00"), ("invalid", "trailing_octets")),
    "zeros behind": (lambda h: clear(h, h.cms + bytes(2)), ("invalid", "trailing_octets")),
    "a second CMS behind": (lambda h: clear(h, h.cms + h.cms), ("invalid", "trailing_octets")),
    "a stranger's CMS before": (
        lambda h: clear(h, Forger(signer(STRANGER)).cms(h.part) + h.cms),
        ("invalid", "trailing_octets"),
    ),
    "evil opaque CMS behind an opaque one": (
        opaque_pair(
            lambda h: stretched(h.cms, tlv(0x04, h.part)) + Forger(signer(STRANGER)).cms(EVIL, content=tlv(0x04, EVIL))
        ),
        ("invalid", "trailing_octets"),
    ),
    "evil piece added": (
        opaque_pair(lambda h: stretched(h.cms, endless(0x24, *pieces(h.part), tlv(0x04, EVIL)))),
        ("invalid", "digest_mismatch"),
    ),
    "evil piece of another kind": (
        opaque_pair(lambda h: stretched(h.cms, endless(0x24, *pieces(h.part), tlv(0x0C, EVIL)))),
        ("invalid", "malformed_cms"),
    ),
    "evil content behind the signed one": (
        opaque_pair(lambda h: stretched(h.cms, tlv(0x04, h.part) + tlv(0x04, EVIL))),
        ("invalid", "malformed_cms"),
    ),
    "content as another string": (
        opaque_pair(lambda h: stretched(h.cms, tlv(0x0C, h.part))),
        ("invalid", "malformed_cms"),
    ),
    "no end": (lambda h: clear(h, stretched(h.cms)[:-2]), ("invalid", "malformed_cms")),
    "one end too many": (lambda h: clear(h, stretched(h.cms) + END), ("invalid", "trailing_octets")),
    "cut short": (lambda h: clear(h, h.cms[:-40]), ("invalid", "malformed_cms")),
    "a length that says more": (
        lambda h: clear(h, h.cms[:2] + bytes([h.cms[2] + 1]) + h.cms[3:]),
        ("invalid", "malformed_cms"),
    ),
    "nothing but a header": (lambda h: clear(h, b"\x30\x80\x00\x00"), ("invalid", "malformed_cms")),
    "text": (lambda h: clear(h, b"Chu ky tot"), ("invalid", "malformed_cms")),
}


@pytest.mark.parametrize("idea", sorted(FORGED))
def test_a_cms_with_more_or_less_than_one_signature(field: Field, idea: str) -> None:
    """Whatever stands behind, inside or instead: a reader that stops elsewhere must not see another letter."""
    forge, why = FORGED[idea]
    honest = Honest()
    found = field.attack(honest.message, forge(honest))
    assert found.why == why


def encoded(honest: Honest, encoding: str, body: bytes, more: bytes = b"") -> bytes:
    """Return the letter with its signature part encoded in some way."""
    start = honest.message.rindex(SIGNATURE)
    fields = SIGNATURE + f"Content-Transfer-Encoding: {encoding}\r\n".encode() + more + b"\r\n"
    return honest.message[:start] + fields + body + b"\r\n--outer--\r\n"


def armored(cms: bytes) -> bytes:
    """Return PEM."""
    return b"-----BEGIN PKCS7-----\r\n" + base64_lines(cms) + b"-----END PKCS7-----\r\n"


TRANSFER: dict[str, tuple[Callable[[Honest], bytes], tuple[str, ...]]] = {
    "padding in the middle": (
        lambda h: encoded(h, "base64", base64.b64encode(h.cms[:100]) + b"\r\n" + base64.b64encode(h.cms[100:])),
        ("invalid",),
    ),
    "evil behind the padding": (
        lambda h: encoded(h, "base64", base64.b64encode(h.cms) + b"\r\nAAAA"),
        ("invalid",),
    ),
    "quoted-printable announced": (lambda h: encoded(h, "quoted-printable", base64_lines(h.cms)), ("invalid",)),
    "nothing announced": (lambda h: encoded(h, "7bit", base64_lines(h.cms)), ("invalid",)),
    "unknown encoding": (lambda h: encoded(h, "x-base64", base64_lines(h.cms)), ("unreadable",)),
    "two encodings": (
        lambda h: encoded(h, "base64", base64_lines(h.cms), b"Content-Transfer-Encoding: 7bit\r\n"),
        ("unreadable",),
    ),
    "armor": (lambda h: encoded(h, "7bit", armored(h.cms)), ("invalid",)),
    "armor in base64": (lambda h: encoded(h, "base64", armored(h.cms)), ("invalid",)),
    "uuencoded": (
        lambda h: encoded(
            h, "x-uuencode", b"begin 644 smime.p7s\r\n" + binascii.b2a_uu(h.cms[:45])[:-1] + b"\r\nend\r\n"
        ),
        ("unreadable",),
    ),
    "words between the lines": (
        lambda h: encoded(h, "base64", base64_lines(h.cms).replace(b"\r\n", b"\r\n<b>500</b>\r\n", 1)),
        ("invalid",),
    ),
    "words before": (lambda h: encoded(h, "base64", b"<b>500 trieu!</b>\r\n" + base64_lines(h.cms)), ("invalid",)),
    "words behind": (lambda h: encoded(h, "base64", base64_lines(h.cms) + b"<b>500 trieu!</b>"), ("invalid",)),
}


@pytest.mark.parametrize("idea", sorted(TRANSFER))
def test_a_signature_that_is_encoded_in_an_odd_way(field: Field, idea: str) -> None:
    """A body that two readers decode to two things is no signature."""
    forge, verdicts = TRANSFER[idea]
    honest = Honest()
    assert field.attack(honest.message, forge(honest)).verdict in verdicts


BENIGN_TRANSFER: dict[str, Callable[[Honest], bytes]] = {
    "one long line": lambda h: encoded(h, "base64", base64.b64encode(h.cms)),
    "blank lines and blanks": lambda h: encoded(
        h, "BASE64", base64_lines(h.cms).replace(b"\r\n", b"  \r\n\r\n", 1) + b"\r\n\r\n"
    ),
    "quoted-printable": lambda h: encoded(
        h,
        "quoted-printable",
        b"=\r\n".join(
            b"".join(b"=%02X" % octet for octet in h.cms[start : start + 20]) for start in range(0, len(h.cms), 20)
        ),
    ),
    "a comment behind the encoding": lambda h: encoded(h, "base64 (ky so)", base64_lines(h.cms)),
}


@pytest.mark.parametrize("idea", sorted(BENIGN_TRANSFER))
def test_encodings_that_have_one_reading(field: Field, idea: str) -> None:
    """Mail systems fold, pad and re-encode signature parts: the CMS inside is the same."""
    field.honest(BENIGN_TRANSFER[idea](Honest()))
