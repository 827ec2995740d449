"""Files of revocation lists: one or many, PEM or DER, read as a whole or not at all (RFC 5280 5, RFC 7468 6)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.pki.certificate import CertificateError
from gateway.pki.lists import load_lists
from support.letters import authority

ROOT, ISSUER = authority().revocation_lists()


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "octets",
    [ROOT + ISSUER, pem(ROOT) + b"\n" + pem(ISSUER), b"CRLs of the province\n" + pem(ROOT) + pem(ISSUER)],
    ids=["der", "pem", "pem with text"],
)
def test_every_list_of_a_file_counts(octets: bytes) -> None:
    """Two lists in one file are two lists, whatever their form."""
    assert load_lists(octets) == (ROOT, ISSUER)


@pytest.mark.parametrize(
    "octets",
    [
        ROOT[:-1],
        ROOT + b"x",
        authority().root,
        pem(ROOT)[:200],
        pem(ROOT) + b"-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----\n",
        b"\x30\x84\xff\xff\xff\xff",
    ],
    ids=["cut off", "something behind it", "a certificate", "PEM cut off", "one of two broken", "huge length"],
)
def test_a_file_that_cannot_be_read_as_a_whole_is_refused(octets: bytes) -> None:
    """A list that silently fell out would clear nobody and tell nobody."""
    with pytest.raises(CertificateError):
        load_lists(octets)


def test_an_empty_file_holds_no_list() -> None:
    """The caller complains of it, with the file's name."""
    assert load_lists(b"") == ()
