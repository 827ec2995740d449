"""Authentication-Results as it is written: golden files, and values that try to break out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.core.address import Mailbox
from gateway.core.boundary import NOTHING_SAID, BoundaryResults
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
from gateway.tagging.results import authserv_id, boundary, results_field
from support.pace import soon

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


def found(*values: bytes, name: str = "mx.cuanho.example") -> BoundaryResults:
    lines = b"".join(b"Authentication-Results: " + each + b"\r\n" for each in values)
    return boundary(read_header(Message.of(b"Received: x\r\n" + lines + b"From: a@b.example\r\n\r\n")), name)


COMMENTED = (
    b"mx.cuanho.example;\r\n spf=pass (a: domain of \\) b; (c) dkim=pass) smtp.mailfrom=b.example;\r\n"
    b' dkim=fail reason="a; dmarc=pass" header.d=b.example header.b="x/=";\r\n dmarc=fail (p=none) x.y=z'
)


@pytest.mark.parametrize(
    ("value", "results"),
    [
        (b"mx.cuanho.example; spf=pass smtp.mailfrom=a@b.example", ("pass", None, None)),
        (b"MX.cuanho.example. 1; SPF=Pass; DKIM=fail; dmarc=none", ("pass", "fail", "none")),
        (COMMENTED, ("pass", "fail", "fail")),
        (b"mx.cuanho.example; dkim=fail header.i=@a; dkim=pass header.i=@b", (None, "pass", None)),
        (b"mx.cuanho.example; spf=pass smtp.helo=a; spf=softfail smtp.mailfrom=b", ("softfail", None, None)),
        (b"mx.cuanho.example; spf/1 = pass; dkim/1=pass", ("pass", "pass", None)),
        (b"mx.cuanho.example; spf=invented; iprev=pass policy.iprev=192.0.2.1", ("permerror", None, None)),
        (b'"mx.cuanho.example"; auth=pass smtp.auth="a b"; dmarc=pass;', (None, None, "pass")),
        (b"mx.cuanho.example; spf=pass;; dmarc=pass", ("pass", None, "pass")),
        (b"mx.cuanho.example; none", (None, None, None)),
        (b"mx.cuanho.example; smime=pass", (None, None, None)),
        # not as RFC 8601 has it: nothing is believed, not even what stands before
        (b"mx.cuanho.example; spf=pass; dkim", (None, None, None)),
        (b"mx.cuanho.example; spf=pass (never ends; dmarc=fail", (None, None, None)),
        (b'mx.cuanho.example; spf=pass reason="never ends; dmarc=fail', (None, None, None)),
        (b"mx.cuanho.example; spf=pass) ; dmarc=pass", (None, None, None)),
        (b"mx.cuanho.example; spf=pass dmarc=pass", (None, None, None)),
        (b"mx.cuanho.example; none; spf=pass", (None, None, None)),
        (b"mx.cuanho.example; spf=pass x" + b"x" * 9000 + b".y=z", (None, None, None)),
        # somebody else's
        (b"mx.khac.example; spf=pass", (None, None, None)),
        (b"(mx.cuanho.example;) mx.khac.example; spf=pass", (None, None, None)),
        ("mx.cu\u0430nho.example; spf=pass".encode(), (None, None, None)),  # Cyrillic: like ours, and not ours
        (b"mx.cuan\xc2\xadho.example; spf=pass", (None, None, None)),
        (b"spf=pass; mx.cuanho.example", (None, None, None)),
    ],
)
def test_the_boundary_is_read(value: bytes, results: tuple[str | None, ...]) -> None:
    """The field of the one server that is believed is read as a whole: comments and strings are no results."""
    assert found(value) == BoundaryResults(*results)


def test_the_topmost_field_of_that_server_counts() -> None:
    """What stands lower may have come with the message; other servers' fields above do not matter."""
    assert (
        found(b"other.example; spf=pass", b"mx.cuanho.example; spf=fail", b"mx.cuanho.example; spf=pass").spf == "fail"
    )
    assert found(b"mx.cuanho.example; ?", b"mx.cuanho.example; spf=pass") == NOTHING_SAID
    assert found() == NOTHING_SAID
    assert not NOTHING_SAID.said
    assert BoundaryResults(spf="pass").said


def test_only_registered_results_are_told() -> None:
    """No other word can get into a rule or a field."""
    with pytest.raises(ValueError, match="unknown result"):
        BoundaryResults(dkim="verified")


@pytest.mark.parametrize(
    "value",
    [b"(" * 8000, b"\\" * 8000, b'"' * 8000, b"a" * 8000, b"a=b c.d=" * 1000, b"a=b" + b" " * 8000 + b"?", b";" * 8000],
    ids=range(7),
)
def test_reading_is_bounded(value: bytes) -> None:
    """The largest field that is read takes a moment, however it was written."""
    with soon(1):
        found(b"mx.cuanho.example; spf=pass " + value)
        found(b"mx.cuanho.example; " + value)
