"""Forgeries made by hand, as a thief of green tags would: each is one idea, and none may come out verified.

The classes are those of Müller et al. 2019 ("Johnny, you are fired"), Chen et al. 2020 ("espoofer") and Mailsploit, and
our own. What the thief has: any certificate of his own, honest messages of others, and the wire.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.cms.asn1 import tlv
from gateway.core.verdict import SignatureState, row_of
from gateway.demo.authority import Credential, name, shared_key
from gateway.pki.certificate import Certificate
from support.forger import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    Forger,
    attribute,
    issuer_and_serial,
    oid,
    raw,
    signed_data,
)
from support.letters import (
    ASCII,
    HEAD,
    LAN,
    NOW,
    authority,
    base64_lines,
    clear,
    clear_entity,
    detached,
    judged,
    lan,
    mail,
    multipart,
    opaque_entity,
    text_part,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PART = text_part("Chuyen 5 trieu dong.")
EVIL = text_part("Chuyen 500 trieu dong.")
SEALED = opaque_entity(bytes.fromhex("308006092a864886f70d010703") + bytes(60), smime_type="enveloped-data")
THIEF = "ke.trom@hopthu.example"


def verdict(message: bytes, **world: object) -> str:
    """Return the verdict's name; green is claimed only together with all that it rests on."""
    found = judged(message, **world)  # type: ignore[arg-type]
    shown = row_of(found.verdict).name
    if shown == "verified":
        assert found.covers_everything_shown
        assert found.signature is SignatureState.VALID
    return shown


@lru_cache(maxsize=1)
def thief() -> Credential:
    """Return the thief's own honest certificate."""
    return authority().issue("Kẻ Trộm", THIEF, key=shared_key("p256", 60))


@lru_cache(maxsize=1)
def honest() -> bytes:
    """Return what the thief has of Lan: a verified message."""
    message = clear(PART, lan())
    assert verdict(message) == "verified"
    return message


def self_signed(key_id: bytes | None = None) -> Credential:
    """Return a certificate that names Lan, made by the thief himself; `key_id` is copied from hers."""
    key = shared_key("p256", 61)
    subject = name(CN="Hoàng Thị Lan")
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - dt.timedelta(days=1))
    builder = builder.not_valid_after(NOW + dt.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(LAN)]), critical=False)
    if key_id is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(key_id), critical=False)
    return Credential(key, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER), ())


def key_id_of(credential: Credential) -> bytes:
    found = Certificate.load(credential.certificate).subject_key_id
    assert found is not None
    return found


# --- the CMS ---


def attributes_as_content() -> tuple[bytes, bytes]:
    """Return the attributes that Lan signed once, and a CMS that calls them the content."""
    attributes = tlv(0x31, *sorted(_attributes_of(PART)))
    value = raw(lan().key, attributes)
    made = Forger(lan()).but(bare=True, sign=lambda _: value)
    return attributes, made.cms(b"", content=tlv(0x04, attributes))


def _attributes_of(content: bytes) -> list[bytes]:
    digest = hashlib.sha256(content).digest()
    return [attribute(CONTENT_TYPE, oid(DATA)), attribute(MESSAGE_DIGEST, tlv(0x04, digest))]


CMS: dict[str, Callable[[], bytes]] = {
    "attributes shown as opaque content": lambda: mail(opaque_entity(attributes_as_content()[1])),
    "attributes shown as clear content": lambda: mail(
        clear_entity(attributes_as_content()[0], detached_bare(attributes_as_content()[0]))
    ),
    "another content of the same length": lambda: mail(clear_entity(PART.replace(b"5 ", b"9 "), detached(PART, lan()))),
    "content inside, another beside": lambda: mail(
        clear_entity(EVIL, Forger(lan()).cms(PART, content=tlv(0x04, PART)))
    ),
    "content inside and beside": lambda: mail(clear_entity(PART, Forger(lan()).cms(PART, content=tlv(0x04, PART)))),
    "empty content inside": lambda: mail(clear_entity(PART, Forger(lan()).cms(PART, content=tlv(0x04)))),
    "opaque without content": lambda: mail(opaque_entity(detached(PART, lan()))),
    "no signers, certificates of Lan": lambda: mail(
        clear_entity(PART, signed_data([], certificates=[lan().certificate, *lan().chain]))
    ),
    "a timestamp token": lambda: mail(opaque_entity(token())),
    "thief's key under Lan's certificate": lambda: mail(
        clear_entity(PART, Forger(lan()).but(sign=lambda data: raw(thief().key, data)).cms(PART))
    ),
    "thief's certificate under Lan's issuer and serial": lambda: mail(clear_entity(PART, copied_serial())),
    "self-signed under Lan's key identifier": lambda: mail(clear_entity(PART, copied_key_id(lan_too=False))),
    "self-signed before Lan's certificate": lambda: mail(clear_entity(PART, copied_key_id(lan_too=True))),
    "thief appended to Lan": lambda: mail(clear_entity(PART, both(lan(), thief()))),
    "Lan appended to thief": lambda: mail(clear_entity(PART, both(thief(), lan()))),
    "Lan's old signer appended to thief's new one": lambda: mail(clear_entity(EVIL, both(thief(), lan(), old=True))),
    "something behind the CMS": lambda: mail(clear_entity(PART, detached(PART, lan()) + b"\0")),
    "a second CMS behind the first": lambda: mail(clear_entity(PART, detached(PART, lan()) + detached(EVIL, thief()))),
}


def detached_bare(content: bytes) -> bytes:
    value = raw(lan().key, content)
    return Forger(lan()).but(bare=True, sign=lambda _: value).cms(b"")


def token() -> bytes:
    kind = "1.2.840.113549.1.9.16.1.4"
    info = Forger(lan()).info(PART, kind)
    certificates = [lan().certificate, *lan().chain]
    return signed_data([info], certificates=certificates, content=tlv(0x04, PART), content_type=kind)


def copied_serial() -> bytes:
    own = self_signed()
    made = Forger(own).but(sid=issuer_and_serial(lan().certificate))
    return signed_data([made.info(PART)], certificates=[own.certificate, lan().certificate, *lan().chain])


def copied_key_id(*, lan_too: bool) -> bytes:
    own = self_signed(key_id_of(lan()))
    made = Forger(own).but(sid=tlv(0x80, key_id_of(lan())))
    others = [lan().certificate, *lan().chain] if lan_too else []
    return signed_data([made.info(PART)], certificates=[own.certificate, *others])


def both(first: Credential, second: Credential, *, old: bool = False) -> bytes:
    content = EVIL if old else PART
    infos = [Forger(first).info(content), Forger(second).info(PART)]
    return signed_data(infos, certificates=[first.certificate, second.certificate, *lan().chain])


def test_the_forger_is_honest_when_asked() -> None:
    """What all forgeries are made with makes verified messages too: so each fails by its one idea."""
    made = Forger(lan()).cms(PART)
    assert verdict(mail(clear_entity(PART, made))) == "verified"
    assert verdict(mail(opaque_entity(Forger(lan()).cms(PART, content=tlv(0x04, PART))))) == "verified"
    assert verdict(mail(clear_entity(PART, detached_bare(PART)))) == "verified"
    twin = authority().issue("Lan", LAN, key=shared_key("p256", 63))
    assert verdict(mail(clear_entity(PART, both(lan(), twin)))) == "verified"
    assert verdict(mail(clear_entity(PART, Forger(lan()).but(sid=tlv(0x80, key_id_of(lan()))).cms(PART)))) == "verified"


@pytest.mark.parametrize("idea", sorted(CMS))
def test_forged_cms(idea: str) -> None:
    """The signature itself: what it is about, who made it, and that there is nothing beside it."""
    honest()
    assert verdict(CMS[idea]()) in {"invalid", "signer_mismatch", "not_trusted", "unreadable"}


def test_attributes_as_content_are_named() -> None:
    """The value fits, so the reason must say what was done with it."""
    content, cms = attributes_as_content()
    found = judged(mail(opaque_entity(cms)))
    assert row_of(found.verdict).name == "invalid"
    assert found.verdict.reason == "attributes_as_content"
    honest_set = b"1 muc tieu\r\n" + content[:2]
    assert verdict(mail(clear_entity(b"\r\n" + honest_set, detached_bare(b"\r\n" + honest_set)))) == "verified"


# --- the structure ---

LINE = b"--outer\r\n"
STRUCTURE: dict[str, Callable[[bytes], bytes]] = {
    "evil before the signed part": lambda good: good.replace(LINE, LINE + EVIL + b"\r\n" + LINE, 1),
    "evil between part and signature": lambda good: (
        good[: good.rindex(LINE)] + LINE + EVIL + b"\r\n" + good[good.rindex(LINE) :]
    ),
    "evil behind the signature": lambda good: good.replace(b"--outer--", LINE + EVIL + b"\r\n--outer--"),
    "evil in the preamble": lambda good: good.replace(LINE, EVIL + LINE, 1),
    "evil in the epilogue": lambda good: good + EVIL,
    "evil in the epilogue behind 9000 blank lines": lambda good: good + b"\r\n" * 9000 + EVIL,
    "second message behind the first": lambda good: good + b"\r\n" + ASCII,
    "plain type before": lambda good: good.replace(
        b"Content-Type: multipart", b"Content-Type: text/html\r\nContent-Type: multipart", 1
    ),
    "plain type behind": lambda good: good.replace(
        b'boundary="outer"\r\n', b'boundary="outer"\r\nContent-Type: text/html\r\n', 1
    ),
    "type in a blanked field": lambda good: good.replace(
        b"Content-Type: multipart", b"Content-Type : text/html\r\nContent-Type: multipart", 1
    ),
    "two boundaries": lambda good: good.replace(b'boundary="outer"', b'boundary="outer"; boundary="evil"', 1),
    "boundary in RFC 2231": lambda good: good.replace(
        b'boundary="outer"', b"boundary=\"outer\"; boundary*=us-ascii''evil", 1
    ),
    "boundary in pieces": lambda good: good.replace(
        b'boundary="outer"', b'boundary="outer"; boundary*0=ev; boundary*1=il', 1
    ),
    "boundary behind garbage": lambda good: good.replace(
        b'boundary="outer"', b'boundary="outer" evil; boundary=evil', 1
    ),
    "encoded top": lambda good: good.replace(
        b"MIME-Version", b"Content-Transfer-Encoding: quoted-printable\r\nMIME-Version", 1
    ),
    "closing line with more on it": lambda good: good.replace(b"--outer--", b"--outer--" + b" " * 20 + b"evil"),
    "no closing line": lambda good: good.replace(b"--outer--\r\n", b""),
    "header ends early for readers of LF": lambda good: good.replace(
        b"MIME-Version", b"X-A: 1\n\n<h1>500 trieu</h1>\r\nMIME-Version", 1
    ),
    "header ends early for readers of CR": lambda good: good.replace(
        b"MIME-Version", b"X-A: 1\r\r<h1>500 trieu</h1>\r\nMIME-Version", 1
    ),
    "header ends early for readers that trim lines": lambda good: good.replace(
        b"MIME-Version", b"X-A: 1\r\n \r\nX-B: 500 trieu\r\nMIME-Version", 1
    ),
    "NUL in the header": lambda good: good.replace(b"MIME-Version", b"X-A: 1\0\r\nMIME-Version", 1),
    "field without a name": lambda good: good.replace(b"MIME-Version", b"<h1>500 trieu</h1>\r\nMIME-Version", 1),
    "mbox line on top": lambda good: b"From sep@songlam.example Tue Nov 24 08:29:00 2026\r\n" + good,
}


@pytest.mark.parametrize("idea", sorted(STRUCTURE))
def test_forged_structure(idea: str) -> None:
    """A good signature around less, or other, than what some reader shows."""
    changed = STRUCTURE[idea](honest())
    assert changed != honest()
    assert verdict(changed) in {"partial", "unreadable", "invalid", "signer_mismatch"}


WRAPPED: dict[str, Callable[[bytes], bytes]] = {
    "beside evil": lambda good: mail(multipart("mixed", EVIL, good)),
    "alone in a multipart": lambda good: mail(multipart("mixed", good)),
    "alternative to evil": lambda good: mail(multipart("alternative", good, EVIL)),
    "related to evil": lambda good: mail(multipart("related", EVIL, good)),
    "in a report": lambda good: mail(multipart("report", EVIL, good)),
    "in a multipart of unknown kind": lambda good: mail(multipart("x-shown", EVIL, good)),
    "forwarded": lambda good: mail(multipart("mixed", EVIL, b"Content-Type: message/rfc822\r\n\r\n" + honest())),
    "forwarded alone": lambda good: mail(b"Content-Type: message/rfc822\r\n\r\n" + honest()),
    "in somebody's PGP": lambda good: mail(
        multipart("signed", good, text_part("x"), parameters='; protocol="application/pgp-signature"')
    ),
}


@pytest.mark.parametrize("idea", sorted(WRAPPED))
def test_signed_part_lent_to_unsigned_words(idea: str) -> None:
    """M1 to M4: wherever it stands below the top, it speaks for itself only."""
    part = clear_entity(PART, detached(PART, lan()))
    assert verdict(WRAPPED[idea](part)) in {"partial", "unsigned"}


@pytest.mark.parametrize(
    "entity",
    [
        SEALED,
        multipart("mixed", PART, SEALED, boundary="in"),
        multipart("mixed", PART, multipart("alternative", PART, SEALED, boundary="in2"), boundary="in"),
        multipart("encrypted", PART, PART, boundary="in", parameters='; protocol="application/pgp-encrypted"'),
        multipart("mixed", b"Content-Disposition: attachment\r\n" + SEALED, boundary="in"),
        multipart("mixed", b"Content-Type: message/rfc822\r\n\r\n" + mail(SEALED), boundary="in"),
        b"Content-Type: message/rfc822; forwarded=yes\r\n\r\n" + mail(SEALED),
        opaque_entity(bytes.fromhex("308006092a864886f70d010706") + bytes(60), smime_type="signed-data"),
    ],
)
def test_ciphertext_of_somebody_else_is_not_signed_by_its_bearer(entity: bytes) -> None:
    """Who signs a ciphertext need not know what is in it: readers would show its content under the signer's tag."""
    assert verdict(clear(entity, lan())) == "encrypted"


def test_a_letter_encoded_once_more_is_not_looked_through() -> None:
    """A reader that decodes it shows another author, or a ciphertext: what we cannot see into must not be the whole."""
    encoded = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    letter = encoded + base64_lines(mail(EVIL, head=HEAD.replace(LAN.encode(), THIEF.encode())))
    assert verdict(clear(letter, lan())) == "unreadable"
    assert verdict(clear(multipart("mixed", PART, letter, boundary="in"), lan())) == "verified"


def test_attached_ciphertext_is_an_attachment() -> None:
    """What is not shown, or stands in a forwarded message, is carried like any other file."""
    attached = b"Content-Disposition: attachment; filename=a.p7m\r\n" + SEALED
    assert verdict(clear(multipart("mixed", PART, attached, boundary="in"), lan())) == "verified"
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + mail(SEALED)
    assert verdict(clear(multipart("mixed", PART, forwarded, boundary="in"), lan())) == "verified"


@pytest.mark.parametrize("name", [b"Content-Base", b"content-LOCATION"])
def test_where_relative_links_lead_is_signed_or_not_said(name: bytes) -> None:
    """Condition 5: a base above the signature would show a stranger's pictures inside it; below it is the signer's."""
    field = name + b": http://ke-trom.example/\r\n"
    assert verdict(field + clear(PART, lan())) == "partial"
    assert verdict(clear(field + PART, lan())) == "verified"
