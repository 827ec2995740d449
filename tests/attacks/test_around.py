"""Words that nobody signed around a good signature: names of files, fields in two ways, tags in other fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from gateway.cms.asn1 import tlv
from support.attacks import AUTHOR, STRANGER, Honest, head, part, signer
from support.forger import Forger, attribute
from support.letters import clear_entity, detached, opaque_entity

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.attacks import Field

NAME: Final = b"name=smime.p7s"
PAGE: Final = b"<html><body>Chuyen 500 trieu vao tai khoan 0123456789</body></html>"


def page_inside(honest: Honest) -> bytes:
    """Return the letter, a page among the unsigned attributes of its signature, whose file is called a page."""
    unsigned = tlv(0xA1, attribute("1.2.3.4", tlv(0x04, PAGE)))
    cms = Forger(signer(), unsigned=unsigned).cms(honest.part)
    return honest.under(clear_entity(honest.part, cms)).replace(NAME, b"name=xem.html", 1)


NAMES: Final[dict[str, Callable[[Honest], bytes]]] = {
    "an account": lambda honest: honest.message.replace(NAME, b'name="STK moi 0123456789.p7s"', 1),
    "a page that stands in it": page_inside,
    "a second name": lambda honest: honest.message.replace(
        NAME, NAME + b"\r\nContent-Disposition: inline; filename=hoa-don.exe", 1
    ),
    "of the whole": lambda honest: b"Content-Disposition: attachment; filename=xem.html\r\n" + honest.message,
}


@pytest.mark.parametrize("idea", sorted(NAMES))
def test_names_of_the_signature(field: Field, idea: str) -> None:
    """Who knows no S/MIME shows a file, under a name that anybody can write."""
    honest = Honest()
    found = field.attack(honest.message, NAMES[idea](honest))
    assert found.why == ("partial", "misnamed_signature")


def test_an_opaque_letter_under_another_name(field: Field) -> None:
    """The whole letter is a file to such a reader."""
    content = part()
    entity = opaque_entity(Forger(signer()).cms(content, content=tlv(0x04, content)))
    good = head() + b"MIME-Version: 1.0\r\n" + entity
    found = field.attack(good, good.replace(b"name=smime.p7m", b"name=xem.html"))
    assert found.why == ("partial", "misnamed_signature")


def test_a_signature_of_no_type_in_particular(field: Field) -> None:
    """Some systems know the type of no file: the name says what it is (RFC 8551 3.2.1)."""
    plain = b"Content-Type: application/octet-stream; name=smime.p7s"
    field.honest(Honest().message.replace(b"Content-Type: application/pkcs7-signature; name=smime.p7s", plain))


TWICE: Final = {
    "subject": b"Subject: Chuyen tien gap\r\n",
    "date": b"Date: Mon, 1 Jan 2029 00:00:00 +0700\r\n",
    "reply-to": b"Reply-To: a@khac.example\r\nReply-To: b@khac.example\r\n",
    "sender": b"Sender: a@khac.example\r\nSender: b@khac.example\r\n",
}


@pytest.mark.parametrize("name", sorted(TWICE))
def test_shown_fields_in_two_ways(field: Field, name: str) -> None:
    """On a letter that is seen for the first time: of two of a kind each reader shows another."""
    field.honest(Honest().message)
    found = field.harmless(TWICE[name] + Honest().message)
    assert found.why == ("verified_lesser", "headers_changed")


@pytest.mark.parametrize("mark", ["hp=clear", "hp=cipher; forwarded=no", 'protected-headers="v1"'])
@pytest.mark.parametrize("form", ["clear", "opaque"])
def test_a_letter_of_the_authors_behind_a_thiefs_own_fields(field: Field, form: str, mark: str) -> None:
    """His fields are protected by one rule, the letter that he made up is wrapped by the other; readers know one."""
    fields, by = head(author=STRANGER), signer(STRANGER)
    inner = head(author=AUTHOR) + part("Chuyen 500 trieu")
    signed = fields + f"Content-Type: message/rfc822; {mark}\r\n\r\n".encode() + inner
    entity = clear_entity(signed, detached(signed, by))
    if form == "opaque":
        entity = opaque_entity(Forger(by).cms(signed, content=tlv(0x04, signed)))
    found = field.harmless(fields + b"MIME-Version: 1.0\r\n" + entity, sender=STRANGER)
    assert found.why == ("signer_mismatch", "inner_from_differs")


def test_an_address_as_its_own_name_without_quotes(field: Field) -> None:
    """Programs write it, and whoever reads it finds one mailbox; in front of another one it is malformed."""
    fields = head().replace(b"Van phong <", AUTHOR.encode() + b" <")
    honest = Honest(fields)
    field.honest(honest.message)
    forged = Honest(head().replace(b"Van phong <", STRANGER.encode() + b" <"))
    assert field.harmless(forged.message).why == ("signer_mismatch", "malformed_from")
