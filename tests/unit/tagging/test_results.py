"""Authentication-Results as it is written: golden files, and values that try to break out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.core.verdict import (
    Indeterminate,
    Invalid,
    Signer,
    SignerMismatch,
    Unsigned,
    Verdict,
    Verified,
)
from gateway.mime.fields import read_header
from gateway.tagging.results import authserv_id, results_field

VECTORS = Path(__file__).parents[2] / "vectors" / "authentication-results"
OURS = "mail.songlam.example"
CLEAR = b'Content-Type: multipart/signed; boundary="b"\r\n\r\n'
OPAQUE = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n"
AUTHOR = Mailbox("soyte", "songlam.example")


def signer(*addresses: str, issuer: str = "C=VN, O=Ban Cơ yếu, CN=CA G2", serial: str = "5400AB") -> Signer:
    return Signer("CN=X", issuer, serial, addresses, None, None, "RSA-2048", "ab" * 32)


ONE = signer(str(AUTHOR))
CASES: dict[str, tuple[Verdict, bytes, str]] = {
    "verified-clear": (Verified("verified", (ONE,), AUTHOR), CLEAR, OURS),
    "verified-opaque": (Verified("verified", (ONE,), AUTHOR), OPAQUE, OURS),
    "verified-two-signers": (Verified("verified", (ONE, signer("a@b.example", serial="1")), AUTHOR), CLEAR, OURS),
    "invalid": (Invalid("digest_mismatch", (ONE,)), CLEAR, OURS),
    "unsigned": (Unsigned("no_signature"), b"Content-Type: text/plain\r\n\r\n", OURS),
    "no-certificate": (Indeterminate("no_signer_certificate"), CLEAR, OURS),
    "international": (
        SignerMismatch("signer_is_not_author", (signer("hộp@thư.example", "lan@thư.example"),)),
        CLEAR,
        "thư.songlam.example",
    ),
    "hostile": (
        SignerMismatch(
            "signer_is_not_author",
            (signer('"a\\" ; smime=pass"@evil.example', issuer='O=a\\"b\\, "; smime=pass (, CN=\r\nX-Evil: \0)'),),
        ),
        CLEAR,
        OURS,
    ),
}


def written(name: str) -> bytes:
    verdict, head, ours = CASES[name]
    return results_field(verdict, read_header(Message.of(head)), ours)


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    """The field is octet for octet what was reviewed."""
    assert written(name) == (VECTORS / f"{name}.txt").read_bytes()


def test_every_vector_is_used() -> None:
    """No file lies about that nothing compares."""
    assert {each.stem for each in VECTORS.glob("*.txt")} == set(CASES)


STRING = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
TOKEN = rb"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+"
PROPERTY = rb" body\.smime-[a-z]+=(?:" + STRING + rb"|(?:[^\s\";()<>,@]+@)?" + TOKEN + rb")"
RESULT = rb"; smime=[a-z]+ reason=" + STRING + rb"(?:" + PROPERTY + rb")*"
FIELD = re.compile(rb"Authentication-Results: (" + TOKEN + rb")(?:" + RESULT + rb")+\r\n")


@pytest.mark.parametrize("name", CASES)
def test_grammar(name: str) -> None:
    """The field is what RFC 8601 2.2 says, with one result for each signer and nothing a certificate added."""
    field = written(name)
    match = FIELD.fullmatch(re.sub(rb"\r\n(?=[ \t])", b"", field))
    assert match is not None
    assert authserv_id(field.partition(b":")[2].strip()) == match[1].decode()
    assert len(re.findall(rb"smime=", re.sub(STRING, b"", field.replace(b"\r\n", b"")))) == max(
        1, len(CASES[name][0].signers)
    )


@pytest.mark.parametrize(
    ("issuer", "serial"),
    [("C=VN, O=" + "x" * 500, "1"), ("C=VN, O=" + "Đ" * 100, "1"), ("", "1"), ("C=VN", ""), ("C=VN", '1"; x=')],
)
def test_serial_and_issuer_stand_together(issuer: str, serial: str) -> None:
    """RFC 7281 3.2.3 wants both or none; a name too long is left out, never cut."""
    verdict = Invalid("bad_signature", (signer(str(AUTHOR), issuer=issuer, serial=serial),))
    field = results_field(verdict, read_header(Message.of(CLEAR)), OURS)
    assert b"smime-serial" not in field
    assert b"smime-issuer" not in field
    assert b"smime-identifier=soyte@songlam.example" in field


def test_signers_are_bounded() -> None:
    """Nobody makes the field endless by signing often."""
    field = results_field(Invalid("bad_signature", (ONE,) * 50), read_header(Message.of(CLEAR)), OURS)
    assert field.count(b"smime=fail") == 4
