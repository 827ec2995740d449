"""What is signed, read in two ways: a thief signs his own words, and some reader shows somebody else's instead.

The signature is the thief's, and good. Hidden from one reading stands a ciphertext, or a letter with another author,
that another reading finds: what would be refused in plain sight must not be verified in hiding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from gateway.cms.asn1 import tlv
from support.attacks import Honest, head, part, signer
from support.forger import Forger, oid, sequence
from support.letters import base64_lines, clear_entity, detached, multipart, opaque_entity

if TYPE_CHECKING:
    from support.attacks import Field

CIPHERTEXT: Final = opaque_entity(
    sequence(oid("1.2.840.113549.1.7.3"), tlv(0xA0, sequence(tlv(0x02, b"\x00"), tlv(0x04, bytes(200))))),
    smime_type="enveloped-data",
)
SIGNED_CIPHERTEXT: Final = opaque_entity(Forger(signer()).cms(CIPHERTEXT, content=tlv(0x04, CIPHERTEXT)))
SOMEBODY: Final = (
    head(author="chu-tich@songlam.example", name="Chu tich") + b"MIME-Version: 1.0\r\n" + part("500 trieu")
)
LETTER: Final = b"Content-Type: message/rfc822\r\n\r\n" + SOMEBODY
TEXT: Final = b"Content-Type: text/plain\r\n"
MIXED: Final = b"Content-Type: multipart/mixed; boundary=hai"


def parts(*inside: bytes, end: bytes = b"\r\n", boundary: bytes = b"hai") -> bytes:
    """Return the body of a multipart with lines of delimiters that end so."""
    return b"".join(b"--" + boundary + end + each + end for each in inside) + b"--" + boundary + b"--" + end


def of_lf(entity: bytes) -> bytes:
    """Return lines that end in LF."""
    return entity.replace(b"\r\n", b"\n")


HIDDEN: dict[str, bytes] = {
    "second type is a multipart": TEXT + MIXED + b"\r\n\r\n" + parts(part(), CIPHERTEXT),
    "second type is the ciphertext's": TEXT + CIPHERTEXT,
    "second type is a letter": TEXT + LETTER,
    "first type is the letter's, second is text": LETTER.replace(
        b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n", 1
    ),
    "second boundary": MIXED + b"; boundary=ba\r\n\r\n" + parts(part()) + parts(CIPHERTEXT, boundary=b"ba"),
    "boundary by RFC 2231": MIXED
    + b"; boundary*=us-ascii''ba\r\n\r\n"
    + parts(part())
    + parts(CIPHERTEXT, boundary=b"ba"),
    "no boundary": b"Content-Type: multipart/mixed\r\n\r\n" + parts(part(), CIPHERTEXT),
    "boundary that ends in a blank": b'Content-Type: multipart/mixed; boundary="hai "\r\n\r\n' + parts(CIPHERTEXT),
    "a multipart that is encoded": MIXED
    + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64_lines(parts(part(), CIPHERTEXT)),
    "two encodings": b"Content-Transfer-Encoding: 7bit\r\n" + CIPHERTEXT.replace(b"smime-type=enveloped-data; ", b""),
    "an encoding that only some read": CIPHERTEXT.replace(b": base64", b": x-uuencode").replace(
        b"; smime-type=enveloped-data", b""
    ),
    "called an attachment and not": multipart(
        "mixed",
        part(),
        b"Content-Disposition: attachment\r\nContent-Disposition: inline\r\n" + CIPHERTEXT,
        boundary="hai",
    ),
    "inside a signature beside words": multipart("mixed", part(), SIGNED_CIPHERTEXT, boundary="hai"),
    "PGP in the text": part("-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----"),
}


@pytest.mark.parametrize("form", ["clear", "opaque"])
@pytest.mark.parametrize("idea", sorted(HIDDEN))
def test_a_part_that_only_some_readers_see(field: Field, idea: str, form: str) -> None:
    """Types, boundaries and encodings on which readers disagree hide nothing inside what is signed."""
    honest, content = Honest(), HIDDEN[idea]
    forged = clear_entity(content, detached(content, signer()))
    if form == "opaque":
        forged = opaque_entity(Forger(signer()).cms(content, content=tlv(0x04, content)))
    found = field.attack(honest.message, honest.under(forged))
    assert found.verdict in {"unreadable", "encrypted", "signer_mismatch"}, found.facts


TYPE: Final = b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
PLAIN: Final = b"application/octet-stream"
PLAIN_TYPE: Final = b"Content-Type: " + PLAIN
SPELLINGS: dict[str, bytes] = {
    "a blank behind the slash": b"Content-Type: application/ pkcs7-mime",
    "a blank before the slash": b"Content-Type: application /pkcs7-mime",
    "a comment behind the slash": b"Content-Type: application/(x)pkcs7-mime",
    "a comment before": b"Content-Type: (x) application/pkcs7-mime",
    "a second slash": b"Content-Type: application/pkcs7-mime/x",
    "quotes": b'Content-Type: "application/pkcs7-mime"',
    "an encoded word": b"Content-Type: =?us-ascii?Q?application/pkcs7-mime?=",
    "a list": b"Content-Type: application/pkcs7-mime, text/plain",
    "a list, text first": b"Content-Type: text/plain, application/pkcs7-mime",
    "text before": b"Content-Type: text/plain application/pkcs7-mime",
    "nothing before": b"Content-Type: ; application/pkcs7-mime",
    "a blank before the colon": b"Content-Type : application/pkcs7-mime",
    "a tab before the colon": b"Content-Type\t: application/pkcs7-mime",
    "a fold": b"Content-Type:\r\n application/pkcs7-mime",
    "a blank line of the fold": b"Content-Type:\r\n \r\n application/pkcs7-mime",
    "capitals": b"CONTENT-TYPE: APPLICATION/PKCS7-MIME",
    "a file's name": b"Content-Type: application/octet-stream; name=smime.p7m",
    "a file's name in capitals": b"Content-Type: application/octet-stream; name=SMIME.P7M",
    "a file's name and a blank": b'Content-Type: application/octet-stream; name="smime.p7m "',
    "a file's name in the disposition": PLAIN_TYPE + b"\r\nContent-Disposition: inline; filename=smime.p7m",
    "a file's name by RFC 2231": PLAIN_TYPE + b"\r\nContent-Disposition: inline; filename*=utf-8''smime%2Ep7m",
    "a file's name in pieces": PLAIN_TYPE + b"\r\nContent-Disposition: inline; filename*0=smime.; filename*1=p7m",
    "two names": PLAIN_TYPE + b"; name=a.txt\r\nContent-Disposition: inline; filename=smime.p7m",
    "a picture": b"Content-Type: image/png",
    "no type": b"X-Type: application/pkcs7-mime",
    "a name in an encoded word": PLAIN_TYPE + b'; name="=?us-ascii?Q?smime=2Ep7m?="',
}


@pytest.mark.parametrize("place", ["alone", "beside"])
@pytest.mark.parametrize("idea", sorted(SPELLINGS))
def test_a_ciphertext_whose_type_is_spelled_in_an_odd_way(field: Field, idea: str, place: str) -> None:
    """A reader that forgives more than we do decrypts it: what could be taken for a ciphertext is one."""
    honest = Honest()
    content = SPELLINGS[idea] + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + CIPHERTEXT.partition(b"\r\n\r\n")[2]
    if place == "beside":
        content = multipart("mixed", part(), content, boundary="hai")
    found = field.attack(honest.message, honest.under(clear_entity(content, detached(content, signer()))))
    assert found.verdict in {"unreadable", "encrypted"}, found.facts


ENCODINGS: Final = (b'"base64"', b"base64;", b"base64 (x)", b"BASE64", b"base64 x", b"(x)base64", b"", b"8bit, base64")


@pytest.mark.parametrize("kind", [TYPE, PLAIN + b"; name=smime.p7m"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_ciphertext_whose_encoding_is_spelled_in_an_odd_way(field: Field, encoding: bytes, kind: bytes) -> None:
    """The same of its transfer encoding."""
    honest = Honest()
    body = CIPHERTEXT.partition(b"\r\n\r\n")[2]
    content = b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body
    found = field.attack(honest.message, honest.under(clear_entity(content, detached(content, signer()))))
    assert found.verdict in {"unreadable", "encrypted"}, found.facts


LETTERS: dict[str, bytes] = {
    "a blank behind the slash": b"message/ rfc822",
    "a blank before the slash": b"message /rfc822",
    "a comment behind the slash": b"message/(x)rfc822",
    "a comment before": b"(x) message/rfc822",
    "quotes": b'"message/rfc822"',
    "an encoded word": b"=?us-ascii?Q?message/rfc822?=",
    "a list": b"text/plain, message/rfc822",
    "text before": b"text/plain message/rfc822",
    "nothing before": b"; message/rfc822",
    "capitals": b"MESSAGE/RFC822",
    "the kind for UTF-8": b"message/global",
    "the kind of Usenet": b"message/news",
    "called forwarded with more behind": b"message/rfc822; forwarded=yes; forwarded=no",
}


@pytest.mark.parametrize("idea", sorted(LETTERS))
def test_a_letter_whose_type_is_spelled_in_an_odd_way(field: Field, idea: str) -> None:
    """A reader that shows the letter inside as the whole (RFC 8551 3.1) shows another author."""
    honest = Honest()
    content = b"Content-Type: " + LETTERS[idea] + b"\r\n\r\n" + SOMEBODY
    found = field.attack(honest.message, honest.under(clear_entity(content, detached(content, signer()))))
    assert found.verdict in {"unreadable", "signer_mismatch"}, found.facts


LINES: dict[str, bytes] = {
    "delimiters for readers of LF": MIXED + b"\r\n\r\n" + parts(part(), of_lf(CIPHERTEXT), end=b"\n"),
    "a delimiter before the others for readers of LF": MIXED
    + b"\r\n\r\nx\n--hai\n"
    + of_lf(CIPHERTEXT)
    + b"\r\n"
    + parts(part()),
    "a letter that ends its header early for readers of LF": b"Content-Type: message/rfc822\r\n\r\n"
    + of_lf(SOMEBODY)
    + b"\r\n",
    "a part that ends early for readers of LF": MIXED + b"\r\n\r\n" + parts(b"\r\nx\n--hai--\n\r\n", CIPHERTEXT),
    "delimiters for readers of CR": MIXED + b"\r\n\r\n" + parts(part(), CIPHERTEXT).replace(b"\r\n", b"\r"),
    "everything for readers of LF but one line": of_lf(MIXED + b"\r\n\r\n" + parts(CIPHERTEXT)) + b"\r\n",
}


@pytest.mark.parametrize("idea", sorted(LINES))
def test_lines_that_only_some_readers_see(field: Field, idea: str) -> None:
    """Inside a CMS any octet can stand: a bare LF must not part what we see from what is shown."""
    honest, content = Honest(), LINES[idea]
    cms = Forger(signer()).cms(content, content=tlv(0x04, content))
    found = field.attack(honest.message, honest.under(opaque_entity(cms)))
    assert found.verdict in {"unreadable", "encrypted", "signer_mismatch"}, found.facts


def test_odd_lines_in_a_text_are_text(field: Field) -> None:
    """A signer who mixes line ends in his words, or signs a binary file, is no thief."""
    text = part("mot\nhai\nba")
    file = b"Content-Type: application/pdf\r\nContent-Disposition: attachment\r\n\r\n%PDF\n1\r2\n\x00\n"
    for content in (text, multipart("mixed", part(), file, boundary="in")):
        field.honest(head() + b"MIME-Version: 1.0\r\n" + opaque_entity(_opaque(content)))


def _opaque(content: bytes) -> bytes:
    return Forger(signer()).cms(content, content=tlv(0x04, content))
