"""Files of certificate revocation lists, one or many, PEM or DER (RFC 5280 5, RFC 7468 6).

A file that an administrator names must be readable as a whole: a list that silently falls out would make every verdict
"indeterminate" and tell nobody why.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from cryptography import x509

from gateway.pki.certificate import CertificateError

if TYPE_CHECKING:
    import datetime as dt

_PEM: Final = re.compile(rb"-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----")


def load_lists(octets: bytes) -> tuple[bytes, ...]:
    """Return the lists in a file as DER, in their order; raises `CertificateError` unless all of it can be read."""
    try:
        found = [base64.b64decode(b"".join(block.split()), validate=True) for block in _PEM.findall(octets)]
        if len(found) != octets.count(b"-----BEGIN X509 CRL-----"):
            raise CertificateError("malformed_pem")
        found = found or _sequences(octets)
        for each in found:
            x509.load_der_x509_crl(each)
    except (ValueError, binascii.Error) as error:
        raise CertificateError("malformed_crl") from error
    return tuple(found)


def next_update(crl: bytes) -> dt.datetime | None:
    """Return the aware time after which a list (DER, from `load_lists`) is stale; None where it names none."""
    try:
        return x509.load_der_x509_crl(crl).next_update_utc
    except ValueError:
        return None


def made_at(crl: bytes) -> dt.datetime | None:
    """Return the aware time at which a list (DER, a stranger's) says it was made; None for one that cannot be read."""
    try:
        return x509.load_der_x509_crl(crl).last_update_utc
    except ValueError:
        return None


def _sequences(octets: bytes) -> list[bytes]:
    """Return the DER SEQUENCEs that stand one behind the other; raises `ValueError` for anything else."""
    found: list[bytes] = []
    start = 0
    while start < len(octets):
        if octets[start : start + 1] != b"\x30" or start + 2 > len(octets):
            raise ValueError("no SEQUENCE")
        length = octets[start + 1]
        count = length & 0x7F if length & 0x80 else 0
        end = start + 2 + count + (int.from_bytes(octets[start + 2 : start + 2 + count], "big") if count else length)
        if count > 4 or end > len(octets):  # noqa: PLR2004 - four octets of length are 4 GB
            raise ValueError("cut off")
        found.append(octets[start:end])
        start = end
    return found
