"""Timestamp tokens made octet by octet, and OpenSSL's own authority (RFC 3161)."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.cms.asn1 import tlv
from gateway.cms.verify import open_signed
from gateway.demo.authority import Credential
from support.forger import DIGESTS, SIGNING_CERTIFICATE_V2, Forger, algorithm, attribute, oid, sequence, signed_data
from support.letters import NOW
from support.tree import DAY, usage

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from support.tree import Node

TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
TOKEN: Final = "1.2.840.113549.1.9.16.2.14"
STAMPING: Final = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), usage("digital_signature"))


def stamper(above: Node, **changes: object) -> Node:
    """Return an authority for timestamps below another one."""
    usual = {"extensions": STAMPING, "critical": True, "start": NOW - 300 * DAY, "end": NOW + 3000 * DAY}
    return above.issue("Dấu thời gian", **{**usual, **changes})  # type: ignore[arg-type]


def imprint(value: bytes, digest: str = "sha256", *, size: int | None = None) -> bytes:
    """Return a MessageImprint, its digest cut or filled up to `size` octets."""
    hashed = hashlib.new(digest, value, usedforsecurity=False).digest()
    if size is not None:
        hashed = hashed[:size].ljust(size, b"\0")
    return sequence(algorithm(DIGESTS[digest], b"\x05\x00"), tlv(0x04, hashed))


def time(at: dt.datetime) -> bytes:
    """Return a GeneralizedTime."""
    return tlv(0x18, f"{at:%Y%m%d%H%M%S}Z".encode())


def info(imprinted: bytes, moment: bytes, *rest: bytes, version: bytes = b"\x01") -> bytes:
    """Return a TSTInfo around a MessageImprint and a time, with any optional fields."""
    return sequence(tlv(0x02, version), oid("1.2.3.4"), imprinted, tlv(0x02, b"\x07"), moment, *rest)


def names_signer(certificate: bytes) -> bytes:
    """Return the signingCertificateV2 attribute that names a certificate by SHA-256."""
    return attribute(
        SIGNING_CERTIFICATE_V2, sequence(sequence(sequence(tlv(0x04, hashlib.sha256(certificate).digest()))))
    )


def token_of(stamping: Node, content: bytes, *, kind: str = TST_INFO, named: bytes | None = None) -> bytes:
    """Return a token of an authority around a TSTInfo."""
    return tokens(stamping, content, infos=[signer_of(stamping, named).info(content, kind)], kind=kind)


def signer_of(stamping: Node, named: bytes | None = None) -> Forger:
    """Return who signs tokens; `named` is the certificate it says is its own."""
    credential = Credential(stamping.key, stamping.certificate.der, ())
    return Forger(credential, more=[names_signer(named or stamping.certificate.der)])


def tokens(stamping: Node, content: bytes, *, infos: Sequence[bytes], kind: str = TST_INFO) -> bytes:
    """Return a SignedData with any SignerInfos around a TSTInfo."""
    certificates = [stamping.certificate.der]
    return signed_data(infos, certificates=certificates, content=tlv(0x04, content), content_type=kind)


def stamp_over(stamping: Node, value: bytes, at: dt.datetime) -> bytes:
    """Return an honest token over a signature value."""
    return token_of(stamping, info(imprint(value), time(at), sequence(tlv(0x02, b"\x01"))))


def value_of(cms: bytes) -> bytes:
    """Return the signature value of the one signer."""
    (signer,) = open_signed(cms).signers
    return signer.signature


def stamped(signer: Forger, part: bytes, *given: bytes) -> bytes:
    """Return a detached CMS with these tokens beside the signature; the key must sign the same octets alike."""
    return signer.but(unsigned=tlv(0xA1, attribute(TOKEN, *given))).cms(part)


def openssl_stamp(stamping: Node, value: bytes, directory: Path, *, digest: str = "sha256") -> bytes:
    """Return the token that OpenSSL's authority makes now over a value."""
    files = {"key": b"", "cert": b"", "value": value, "serial": b"01\n"}
    files["key"] = stamping.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files["cert"] = stamping.certificate.parsed.public_bytes(serialization.Encoding.PEM)
    for name, octets in files.items():
        (directory / name).write_bytes(octets)
    (directory / "conf").write_text(
        "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\ncrypto_device=builtin\nsigner_cert=cert\nsigner_key=key\n"
        "signer_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256,sha384,sha512\naccuracy=secs:1\n"
        "ess_cert_id_chain=no\ness_cert_id_alg=sha256\n"
    )
    steps = (
        ["ts", "-query", "-data", "value", f"-{digest}", "-cert", "-out", "query"],
        ["ts", "-reply", "-config", "conf", "-queryfile", "query", "-token_out", "-out", "token"],
    )
    for step in steps:
        subprocess.run(["openssl", *step], cwd=directory, check=True, capture_output=True, timeout=120)
    return (directory / "token").read_bytes()
