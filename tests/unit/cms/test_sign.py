"""SignedData from templates (RFC 5652 5, RFC 5035, RFC 8551 2.5), read again by two other parsers."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms

from gateway.cms.algorithms import Scheme, UnfitKeyError, raw_sign
from gateway.cms.sign import SigningTemplate
from gateway.cms.verify import check_signer, open_signed
from gateway.pki.certificate import Certificate, CertificateError
from support.letters import NOW, authority, lan

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"Content-Type: text/plain\r\n\r\nChuyen 5 trieu.\r\n"
SHAPES = [
    ("rsa2048", Scheme.PKCS1V15, "sha256"),
    ("rsa2048", Scheme.PKCS1V15, "sha512"),
    ("rsa2048", Scheme.PSS, "sha256"),
    ("rsa2048", Scheme.PSS, "sha384"),
    ("p256", Scheme.ECDSA, "sha256"),
    ("p256", Scheme.ECDSA, "sha384"),
    ("p384", Scheme.ECDSA, "sha384"),
    ("p384", Scheme.ECDSA, "sha512"),
]


def template(shape: str = "rsa2048", scheme: Scheme = Scheme.PKCS1V15, digest: str = "sha256") -> SigningTemplate:
    chosen = lan(shape)
    return SigningTemplate.build(chosen.certificate, chosen.chain, scheme=scheme, digest=digest)


def finished(shape: str, scheme: Scheme, digest: str, *, time: dt.datetime | None = NOW) -> bytes:
    made = template(shape, scheme, digest)
    attributes = made.to_be_signed(hashlib.new(digest, CONTENT).digest(), time)
    return made.finish(attributes, raw_sign(lan(shape).key, attributes, scheme=scheme, digest=digest))


@pytest.mark.parametrize(("shape", "scheme", "digest"), SHAPES)
def test_what_is_written_is_der_and_good(shape: str, scheme: Scheme, digest: str) -> None:
    """Another parser that encodes it anew from its parts gets the same octets, and our own reader finds no fault."""
    octets = finished(shape, scheme, digest)
    info = cms.ContentInfo.load(octets, strict=True)
    assert info.copy().dump(force=True) == octets
    (signer,) = open_signed(octets).signers
    certificate = Certificate.load(lan(shape).certificate)
    assert signer.certificate((certificate,)) == certificate
    value = hashlib.new(digest, CONTENT).digest()
    assert check_signer(signer, content_digest=value, certificate=certificate) is None
    assert (signer.digest, signer.claimed_signing_time) == (digest, NOW)
    assert open_signed(octets).content is None


@pytest.mark.parametrize(("shape", "scheme", "digest"), SHAPES)
def test_openssl_agrees(shape: str, scheme: Scheme, digest: str, tmp_path: Path) -> None:
    """A verifier that shares no line with ours accepts it, and refuses it over other content."""
    (tmp_path / "cms").write_bytes(finished(shape, scheme, digest))
    (tmp_path / "root").write_bytes(authority().root)
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "cms", "-CAfile", "root.pem"]
    subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-in", "root", "-out", "root.pem"], cwd=tmp_path, check=True, timeout=20
    )
    command += ["-content", "content", "-out", "out", "-attime", str(int(NOW.timestamp())), "-purpose", "smimesign"]
    for content, code in ((CONTENT, 0), (CONTENT + b" ", 4)):
        (tmp_path / "content").write_bytes(content)
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=20)
        assert done.returncode == code, done.stderr


def test_attributes() -> None:
    """RFC 8551 2.5: contentType, messageDigest, signingTime, capabilities, signingCertificateV2, all once, sorted."""
    made = template()
    octets = made.to_be_signed(hashlib.sha256(CONTENT).digest(), NOW)
    attributes = cms.CMSAttributes.load(octets, strict=True)
    names = [each["type"].native for each in attributes]
    assert sorted(names) == [
        "content_type",
        "message_digest",
        "signing_certificate_v2",
        "signing_time",
        "smime_capabilities",
    ]
    assert [each.dump() for each in attributes] == sorted(each.dump() for each in attributes)
    assert all(len(each["values"]) == 1 for each in attributes)
    values = {each["type"].native: each["values"][0].native for each in attributes}
    assert values["content_type"] == "data"
    assert values["message_digest"] == hashlib.sha256(CONTENT).digest()
    assert values["signing_time"] == NOW
    (named,) = values["signing_certificate_v2"]["certs"]
    assert named["cert_hash"] == hashlib.sha256(lan("rsa2048").certificate).digest()
    assert named["issuer_serial"]["serial_number"] == Certificate.load(lan("rsa2048").certificate).parsed.serial_number


def test_certificates_that_go_along() -> None:
    """Leaf and intermediates go along, a root never does: readers have it, or must not believe it."""
    chosen = lan()
    made = SigningTemplate.build(
        chosen.certificate, (*chosen.chain, authority().root), scheme=Scheme.PKCS1V15, digest="sha256"
    )
    attributes = made.to_be_signed(hashlib.sha256(CONTENT).digest(), NOW)
    sent = {each.der for each in open_signed(made.finish(attributes, b"x" * 256)).certificates}
    assert sent == {chosen.certificate, *chosen.chain}


@pytest.mark.parametrize(
    ("moment", "octets"),
    [
        (dt.datetime(2026, 3, 1, 2, 0, 5, 999999, dt.timezone(dt.timedelta(hours=7))), b"\x17\x0d260228190005Z"),
        (dt.datetime(1949, 12, 31, 23, 59, 59, tzinfo=dt.UTC), b"\x18\x0f19491231235959Z"),
        (dt.datetime(1950, 1, 1, tzinfo=dt.UTC), b"\x17\x0d500101000000Z"),
        (dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC), b"\x17\x0d491231235959Z"),
        (dt.datetime(2050, 1, 1, tzinfo=dt.UTC), b"\x18\x0f20500101000000Z"),
    ],
)
def test_signing_time_is_true_utc(moment: dt.datetime, octets: bytes) -> None:
    """RFC 5652 11.3: UTCTime from 1950 to 2049, else GeneralizedTime; UTC, whatever zone it is given in."""
    assert octets in template().to_be_signed(bytes(32), moment)


def test_signing_time_may_be_left_out_and_is_never_guessed() -> None:
    """Without a time there is no attribute; a time without its zone is refused."""
    octets = template().to_be_signed(bytes(32), None)
    assert "signing_time" not in [each["type"].native for each in cms.CMSAttributes.load(octets)]
    with pytest.raises(ValueError, match="time zone"):
        template().to_be_signed(bytes(32), dt.datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault


def test_an_identifier_is_a_content_identifier() -> None:
    """RFC 2634 2.7: an OCTET STRING; it is signed, and bounded."""
    octets = template().to_be_signed(bytes(32), NOW, identifier=b"once")
    found = {each["type"].dotted: each["values"][0] for each in cms.CMSAttributes.load(octets)}
    assert found["1.2.840.113549.1.9.16.2.7"].parse().native == b"once"
    with pytest.raises(ValueError, match="64"):
        template().to_be_signed(bytes(32), NOW, identifier=bytes(65))


@pytest.mark.parametrize("size", [0, 20, 31, 33, 48, 64])
def test_digest_of_another_size(size: int) -> None:
    """A digest by another algorithm would be signed under a false name."""
    with pytest.raises(ValueError, match="not a sha256 digest"):
        template().to_be_signed(bytes(size), NOW)


@pytest.mark.parametrize(("shape", "scheme", "digest"), SHAPES)
def test_overhead_is_a_bound(shape: str, scheme: Scheme, digest: str) -> None:
    """A finished CMS is never larger than was announced."""
    assert len(finished(shape, scheme, digest)) <= template(shape, scheme, digest).overhead


@pytest.mark.parametrize(
    ("shape", "scheme", "digest"),
    [
        ("rsa2048", Scheme.ECDSA, "sha256"),
        ("rsa2048", Scheme.PKCS1V15, "sha1"),
        ("rsa2048", Scheme.PSS, "md5"),
        ("p256", Scheme.PSS, "sha256"),
        ("p256", Scheme.PKCS1V15, "sha256"),
        ("p384", Scheme.ECDSA, "sha256"),
        ("rsa2048", Scheme.PKCS1V15, "no-such"),
    ],
)
def test_unfit_combinations(shape: str, scheme: Scheme, digest: str) -> None:
    """A key never gets a template it must not sign with."""
    with pytest.raises(UnfitKeyError):
        template(shape, scheme, digest)


def test_broken_certificate() -> None:
    """What is no certificate gives no template."""
    with pytest.raises(CertificateError):
        SigningTemplate.build(b"x", (), scheme=Scheme.PKCS1V15, digest="sha256")
