"""Issuer names that a stranger made to be slow: who signed is found by names in no time, or not at all."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from gateway.cms.asn1 import tlv
from gateway.cms.verify import open_signed
from gateway.demo.authority import shared_key
from gateway.pki.certificate import Certificate
from support.forger import CONTENT, Forger, signed_data
from support.letters import NOW, lan
from support.pace import soon
from support.tree import DAY

KEY = shared_key("p256", 2)


def named(issuer: x509.Name) -> Certificate:
    builder = x509.CertificateBuilder(issuer, issuer, KEY.public_key(), 7, NOW - DAY, NOW + DAY)
    return Certificate.load(builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def marked(number: int, marks: int) -> x509.Name:
    """Return a name of one letter with marks on it, which take time by their square to be brought into order."""
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "a" + "\u0301\u0323" * marks + str(number))])


def test_long_names_are_no_work() -> None:
    """20 certificates of one serial number under names of 8 KB, for each of four signers: this is no process's work."""
    certificates = [named(marked(number, 2000)) for number in range(20)]
    sid = tlv(0x30, marked(99, 2000).public_bytes(), b"\x02\x01\x07")
    info = Forger(lan()).but(sid=sid).info(CONTENT)
    data = open_signed(signed_data([info] * 4, certificates=[]))
    with soon(0.3):
        assert [each.certificate(certificates) for each in data.signers] == [None] * 4


def test_a_long_name_is_still_its_own() -> None:
    """By its own octets; a short one is compared as people read it (RFC 5280 7.1)."""
    for name, other in (
        (marked(1, 2000), marked(1, 2000)),
        (
            x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SO Y  TE")]),
            x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "so y te")]),
        ),
    ):
        own = named(name)
        sid = tlv(0x30, other.public_bytes(), b"\x02\x01\x07")
        (signer,) = open_signed(signed_data([Forger(lan()).but(sid=sid).info(CONTENT)], certificates=[])).signers
        assert signer.certificate((named(marked(5, 1)), own)) == own
