"""The server side of TLS: certificate, key, the least we speak, and who clients prove to be (RFC 8446, RFC 9325 3.1.1).

A key that others on the machine can read is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
import stat
from typing import TYPE_CHECKING, Final, cast

from gateway.core.address import Mailbox, domain_key
from gateway.core.errors import SetupError
from gateway.core.received import ClientCertificate

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config.model import ServerTls


_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not the certificate's",
    "NO_CERTIFICATE_ASSIGNED": "the key is not the certificate's",
}
"""OpenSSL's codes -> words."""
_UNREADABLE: Final = "one of them is not PEM, or the key has a passphrase (it must have none)"
"""All that OpenSSL tells where it has no code."""


class ServerContext:
    """A listener's TLS context, replaced as a whole on reload."""

    __slots__ = ("_settings", "current")

    def __init__(self, settings: ServerTls) -> None:
        """Read certificate and key; raises `SetupError` naming the file."""
        self._settings = settings
        self.current = _context(settings)

    def reload(self) -> None:
        """Read the files again, for handshakes from now on; raises `SetupError` and keeps what it had."""
        self.current = _context(self._settings)


def _context(settings: ServerTls) -> ssl.SSLContext:
    certificate, key = settings.certificate, settings.key
    if certificate is None or key is None:
        raise SetupError("certificate and key are needed for TLS")
    _check_key(key)
    _check_certificate(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        # the callback keeps OpenSSL from asking for a passphrase on the terminal
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        reason = _REASONS.get(error.reason, error.reason) if error.reason else _UNREADABLE
        raise SetupError(f"{certificate}, {key}: cannot be used for TLS: {reason}") from error
    except OSError as error:
        raise SetupError(f"{certificate}, {key}: cannot be used for TLS: {error.strerror or error}") from error
    if settings.client_ca is not None:
        _ask_for_certificates(context, settings.client_ca)
    return context


def _ask_for_certificates(context: ssl.SSLContext, authorities: Path) -> None:
    """Ask clients for a certificate, and take one from these authorities or none; nothing else is trusted for it."""
    try:
        context.load_verify_locations(cafile=authorities)
    except OSError as error:  # SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or "unreadable"
        raise SetupError(f"{authorities}: cannot be used for client certificates: {reason}") from error
    context.verify_mode = ssl.CERT_OPTIONAL


def client_certificate(shaken: ssl.SSLObject) -> ClientCertificate | None:
    """Return the certificate that the client showed and that was verified, None without one."""
    der = shaken.getpeercert(binary_form=True)
    found = shaken.getpeercert()
    if not der or not found:  # an unverified one comes as an empty table
        return None
    names = []
    for kind, text in cast("tuple[tuple[str, str], ...]", found.get("subjectAltName", ())):
        if kind == "DNS":
            names.append(f"dns:{domain_key(text)}")
        elif kind == "email":
            with contextlib.suppress(ValueError):
                names.append(f"email:{Mailbox.parse(text).key}")
    return ClientCertificate(hashlib.sha256(der).hexdigest(), tuple(names))


def _check_certificate(certificate: Path) -> None:
    try:
        certificate.open("rb").close()
    except OSError as error:
        raise SetupError(f"{certificate}: cannot be read: {error.strerror}") from error


def _check_key(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise SetupError(f"{key}: cannot be read: {error.strerror}") from error
    if mode & stat.S_IRWXO:
        raise SetupError(f"{key}: open to others (mode {stat.S_IMODE(mode):04o}): chmod 640 or stricter")
