"""Contents inside opaque signatures: a signature is no cover, and what cannot be opened counts as marked."""

from __future__ import annotations

import pytest
from asn1crypto.cms import ContentInfo

from gateway.core.contents import NOTHING, Marking
from gateway.core.message import Message
from gateway.mime.contents import read_contents
from gateway.mime.entity import parse
from gateway.smime.contents import read_through
from support.letters import PLAIN, detached, lan, multipart, opaque_entity

SECRET = (
    b"Content-Type: multipart/mixed; boundary=i\r\n\r\n"
    b"--i\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nTUY\xe1\xbb\x86T M\xe1\xba\xacT\r\nhttp://songlam.example\r\n"
    b"--i\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nx\r\n--i--\r\n"
)


def opaque(part: bytes, smime_type: str = "signed-data") -> bytes:
    """Return an entity that holds the part in SignedData."""
    info = ContentInfo.load(detached(part, lan()))
    info["content"]["encap_content_info"]["content"] = part
    return opaque_entity(info.dump(force=True), smime_type=smime_type)


def test_signed_content_is_seen() -> None:
    """Marks, links and files inside an opaque signature are found, in a signature within one and in a part as well."""
    wanted = read_contents(message := Message.of(SECRET), parse(message))
    assert wanted.markings == {Marking.TUYET_MAT}
    once = opaque(SECRET)
    for octets in (once, opaque(once), opaque(SECRET, "certs-only"), multipart("mixed", b"\r\nhi\r\n", once)):
        message = Message.of(octets)
        found = read_through(message, parse(message))
        assert found.markings == wanted.markings
        assert found.links == wanted.links
        assert set(wanted.attachments) <= set(found.attachments)
        assert found.complete


def test_without_signatures_it_is_the_same() -> None:
    """Other messages carry what they carry; what is encrypted says so by its form, and is not marked for it."""
    message = Message.of(PLAIN)
    assert read_through(message, parse(message)) == read_contents(message, parse(message)) == NOTHING
    sealed = Message.of(opaque_entity(bytes.fromhex("300b06092a864886f70d010703"), smime_type="enveloped-data"))
    assert read_through(sealed, parse(sealed)) == NOTHING


@pytest.mark.parametrize(
    "octets",
    [
        opaque_entity(b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"),
        opaque_entity(b"nothing"),
        opaque_entity(b"", smime_type="compressed-data"),
        multipart("mixed", *[opaque_entity(b"", smime_type="certs-only")] * 9),
    ],
)
def test_what_cannot_be_opened_is_marked(octets: bytes) -> None:
    """Broken, compressed and too many signatures fail closed."""
    message = Message.of(octets)
    found = read_through(message, parse(message))
    assert found.markings == set(Marking)
    assert not found.complete
