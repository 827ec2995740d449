"""What a real responder answers to what we ask: OpenSSL's, signing itself and through a delegate (RFC 6960)."""

from __future__ import annotations

import datetime as dt
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.demo.authority import make_key, pem
from gateway.pki.ocsp import OcspStatus, read_answer, request_for
from support.peers import need
from support.tree import Node, root, usage

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.pki.certificate import Certificate

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)
SPAN = {"start": NOW - 30 * DAY, "end": NOW + 300 * DAY}
TOP = root("Gốc", start=NOW - 900 * DAY, end=NOW + 9000 * DAY)
SUB = TOP.issue("Cấp hai", ca=True, key=make_key("rsa2048"), **SPAN)  # type: ignore[arg-type]
GOOD = SUB.issue("lan", **SPAN).certificate  # type: ignore[arg-type]
GONE = SUB.issue("minh", **SPAN).certificate  # type: ignore[arg-type]
STRANGE = TOP.issue("la", **SPAN).certificate  # type: ignore[arg-type]
DELEGATE = SUB.issue(
    "Trả lời",
    extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), usage("digital_signature")],
    **SPAN,  # type: ignore[arg-type]
)


def responder(directory: Path, request: bytes, signer: Node, *options: str) -> bytes:
    """Return OpenSSL's answer to a request, out of an index in which GOOD is valid and GONE revoked."""
    need("openssl")
    index = [
        f"V\t{_time(NOW + 300 * DAY)}\t\t{GOOD.serial_number:04X}\tunknown\t/CN=lan",
        f"R\t{_time(NOW + 300 * DAY)}\t{_time(NOW - DAY)},keyCompromise\t{GONE.serial_number:04X}\tunknown\t/CN=minh",
    ]
    (directory / "index").write_text("\n".join(index) + "\n")
    (directory / "ca.pem").write_bytes(pem(SUB.certificate.der))
    (directory / "signer.pem").write_bytes(pem(signer.certificate.der))
    key = signer.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "signer.key").write_bytes(key)
    (directory / "request").write_bytes(request)
    command = "openssl ocsp -index index -CA ca.pem -rsigner signer.pem -rkey signer.key -reqin request -respout answer"
    done = subprocess.run(
        [*command.split(), *(options or ("-ndays", "1"))], cwd=directory, capture_output=True, check=False
    )
    assert (directory / "answer").exists(), done.stderr
    return (directory / "answer").read_bytes()


def _time(moment: dt.datetime) -> str:
    return moment.strftime("%y%m%d%H%M%SZ")


def told(directory: Path, certificate: Certificate, signer: Node, *options: str) -> str:
    der = responder(directory, request_for(certificate, SUB.certificate), signer, *options)
    answer = read_answer(der, certificate=certificate, issuer=SUB.certificate, at=dt.datetime.now(dt.UTC))
    assert (answer.status is OcspStatus.UNUSABLE) == (answer.reason not in {"good", "revoked"})
    assert (answer.delegate is not None) == (answer.reason in {"good", "revoked"} and signer is DELEGATE)
    return answer.reason


@pytest.mark.parametrize("signer", [SUB, DELEGATE], ids=["itself", "delegate"])
def test_openssl_answers(tmp_path: Path, signer: Node) -> None:
    """Our request is understood, and good, revoked and unknown are told apart, whoever of the two signs."""
    assert told(tmp_path, GOOD, signer) == "good"
    assert told(tmp_path, GONE, signer) == "revoked"
    assert told(tmp_path, DELEGATE.certificate, SUB) == "unknown"


def test_openssl_without_an_end(tmp_path: Path) -> None:
    """A responder that names no next update clears nobody."""
    assert told(tmp_path, GOOD, SUB, "-resp_key_id") == "no_next_update"


def test_openssl_signed_by_somebody_else(tmp_path: Path) -> None:
    """The root above the issuer is not the issuer, and a leaf is no responder."""
    assert told(tmp_path, GOOD, TOP) == "responder_not_authorized"
    assert told(tmp_path, GOOD, SUB.issue("x", **SPAN)) == "responder_not_authorized"  # type: ignore[arg-type]


def test_openssl_sha1(tmp_path: Path) -> None:
    """An answer signed over SHA-1 proves nothing."""
    assert told(tmp_path, GOOD, SUB, "-ndays", "1", "-rmd", "sha1") == "weak_digest"
