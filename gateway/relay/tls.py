"""The client side of TLS towards next hops: authorities, our own certificate, and pins (RFC 7469 2.4, RFC 9325 3.1).

What is not verified must never count as verified: a pin is compared with what the handshake proved, nothing else.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.config.hops import HopTls
from gateway.core.errors import SetupError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

    from gateway.config.hops import Hop


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate that a hop showed, verified or not: its fingerprints, as pins have them, and its last moment."""

    sha256: str
    spki: str | None
    """None where the public key cannot be read."""
    not_after: dt.datetime | None

    @classmethod
    def read(cls, certificate: bytes) -> Shown:
        """Read a certificate (DER)."""
        fingerprint = f"sha256:{hashlib.sha256(certificate).hexdigest()}"
        try:
            parsed = x509.load_der_x509_certificate(certificate)
            key = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (ValueError, TypeError, UnsupportedAlgorithm):  # what cannot be read is not what was pinned
            return cls(fingerprint, None, None)
        return cls(fingerprint, f"spki:{hashlib.sha256(key).hexdigest()}", parsed.not_valid_after_utc)


def is_pinned(certificate: bytes | None, pins: Collection[str]) -> bool:
    """Return whether a certificate (DER), or its public key, has one of these fingerprints."""
    if certificate is None:
        return False
    shown = Shown.read(certificate)
    return shown.sha256 in pins or shown.spki in pins


def client_context(hop: Hop) -> ssl.SSLContext | None:
    """Return the client side of TLS as the hop wants it, None for no TLS; raises `SetupError`."""
    if hop.tls is HopTls.NONE:
        return None
    if hop.tls is HopTls.VERIFY:
        try:
            context = ssl.create_default_context(cafile=hop.tls_ca)
        except OSError as error:  # SSLError is one
            reason = getattr(error, "reason", None) or error.strerror or "unreadable"
            raise SetupError(f"hop {hop.name}: tls_ca {hop.tls_ca}: {reason}") from error
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if hop.tls_certificate is not None and hop.tls_key is not None:
        _show(context, hop)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _show(context: ssl.SSLContext, hop: Hop) -> None:
    """Let a hop that asks see our certificate."""
    try:
        # the callback keeps OpenSSL from asking for a passphrase on the terminal
        context.load_cert_chain(str(hop.tls_certificate), str(hop.tls_key), password=lambda: b"")
    except OSError as error:  # SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or "unreadable"
        raise SetupError(
            f"hop {hop.name}: tls_certificate {hop.tls_certificate}, tls_key {hop.tls_key}: {reason}"
        ) from error
