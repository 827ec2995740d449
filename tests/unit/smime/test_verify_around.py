"""What stands around a signature and is not signed: sentences of mail programs, names of files (conditions 3, 4)."""

from __future__ import annotations

import pytest

from gateway.cms.asn1 import tlv
from gateway.core.verdict import row_of
from support.forger import Forger
from support.letters import clear, judged, lan, mail, opaque_entity, text_part

PART = text_part("Chuyen 5 trieu dong.")
GOOD = ("verified", "verified")


def told(message: bytes) -> tuple[str, str]:
    """Return verdict and reason."""
    found = judged(message)
    return row_of(found.verdict).name, found.verdict.reason


def outer() -> bytes:
    """Return a verified message."""
    message = clear(PART, lan())
    assert told(message) == GOOD
    return message


@pytest.mark.parametrize(
    ("preamble", "expected"),
    [
        (b"This is an S/MIME signed message\r\n", GOOD),
        (b"This is a cryptographically signed\r\n message in MIME format.\r\n", GOOD),
        (b"This message is in MIME format.  Since your mail reader does not understand\r\nthis format, ...\r\n", GOOD),
        (b"This is a MIME-formatted message.  If you see this text it means that your\r\nE-mail ...\r\n", GOOD),
        (b"This is a digitally signed S/MIME message.\r\n", GOOD),
        ("Đây là một thư được kí mật hóa trong định dạng MIME.\r\n".encode(), GOOD),
        ("Đây là một thư được kí lại.\r\n".encode(), ("partial", "text_outside_signature")),
        (b"\r\n \t\r\n", GOOD),
        (b"This message is <b>signed</b>\r\n", ("partial", "text_outside_signature")),
        (b"This is an S/MIME signed message\x0c500\r\n", ("partial", "text_outside_signature")),
        (b"Chuyen 500 trieu.\r\n", ("partial", "text_outside_signature")),
        (b"This is an S/MIME signed message. Chuyen 500 trieu.\r\n", ("partial", "text_outside_signature")),
        (b"\r\n" * 400 + b"Chuyen 500 trieu.\r\n", ("partial", "text_outside_signature")),
    ],
)
def test_preamble(preamble: bytes, expected: tuple[str, str]) -> None:
    """Condition 4: only blanks and the sentences of mail programs may stand before the first part."""
    assert told(outer().replace(b"--outer\r\n", preamble + b"--outer\r\n", 1)) == expected


@pytest.mark.parametrize(
    ("epilogue", "expected"),
    [
        (b"\r\n\r\n", GOOD),
        (b"_____\r\nDanh sach thu can-bo\r\n", ("partial", "text_outside_signature")),
    ],
)
def test_epilogue(epilogue: bytes, expected: tuple[str, str]) -> None:
    """Condition 4: a list that appends to the octets appends here."""
    assert told(outer() + epilogue) == expected


NAMED = b"application/pkcs7-signature; name=smime.p7s\r\n"
"""The header of the signature part, as `clear` writes it."""


@pytest.mark.parametrize(
    "fields",
    [
        b"application/octet-stream; name=smime.p7s\r\n",
        b'application/pkcs7-signature; name="=?utf-8?Q?smime=2Ep7s?="\r\n',
        b"application/x-pkcs7-signature; name*=utf-8''smime.p7s\r\nContent-Disposition: inline; filename=smime.p7m\r\n",
        b"application/pkcs7-signature; name=signature-2.p7s\r\n",
        b"application/pkcs7-signature\r\n",
    ],
)
def test_names_that_programs_give_to_signatures(fields: bytes) -> None:
    """Condition 3: a part of no type in particular is a signature by its name (RFC 8551 3.2.1)."""
    assert told(outer().replace(NAMED, fields)) == GOOD


@pytest.mark.parametrize(
    "fields",
    [
        b"application/pkcs7-signature; name=xem.html\r\n",
        b"application/pkcs7-signature; name=smime.p7s\r\nContent-Disposition: inline; filename=hoa-don.exe\r\n",
        b'application/pkcs7-signature; name="STK 0123456789.p7s"\r\n',
        b"application/pkcs7-signature; name*=utf-8''chuy%E1%BB%83n%20ti%E1%BB%81n.p7s\r\n",
        b'application/pkcs7-signature; name="=?utf-8?Q?smime.p7s_chuyen_tien?="\r\n',
    ],
)
def test_other_names_are_words_that_nobody_signed(fields: bytes) -> None:
    """Condition 4: who knows no S/MIME shows the signature as a file, under a name that anybody can write."""
    assert told(outer().replace(NAMED, fields)) == ("partial", "misnamed_signature")


def test_a_name_of_an_opaque_signature_is_unsigned_as_well() -> None:
    """Condition 4: the whole message is one file to who knows no S/MIME."""
    message = mail(opaque_entity(Forger(lan()).cms(PART, content=tlv(0x04, PART))))
    assert told(message) == GOOD
    assert told(message.replace(b"name=smime.p7m", b"name=xem.html")) == ("partial", "misnamed_signature")


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Disposition: attachment; filename=so-tai-khoan-moi.html\r\n",
        b"Content-Disposition: inline; filename*=utf-8''chuy%E1%BB%83n%20ti%E1%BB%81n\r\n",
    ],
)
def test_a_name_of_the_whole_is_unsigned_as_well(fields: bytes) -> None:
    """Condition 4: some readers make a file of a message that calls itself one."""
    assert told(fields + outer()) == ("partial", "misnamed_signature")
    assert told(b"Content-Disposition: inline\r\n" + outer()) == GOOD
