"""Certificates as claims (RFC 5280, RFC 8550, RFC 9598): read in every wrapping, shown without lies."""

from __future__ import annotations

import contextlib
import datetime as dt
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InputError
from gateway.demo.authority import name, pem
from gateway.pki.certificate import MAX_OCTETS, Certificate, CertificateError
from support.letters import LAN, NOW, authority, lan
from support.pace import soon
from support.tree import root, usage, utf8_mailbox

TOP = root()
LEAF, ISSUER = lan().certificate, authority().intermediate


def named(*names: x509.GeneralName, email: str | None = None) -> Certificate:
    extensions = [x509.SubjectAlternativeName(names)] if names else []
    return TOP.issue("x", extensions=extensions, email=email).certificate


def test_view() -> None:
    """Every part that others ask for, of an ordinary official's certificate."""
    leaf = Certificate.load(LEAF)
    assert leaf.subject == "C=VN, L=Vinh Lam, O=ỦY BAN NHÂN DÂN TỈNH SÔNG LAM, CN=Hoàng Thị Lan"
    assert leaf.issuer.endswith("CN=CA phục vụ các cơ quan Nhà nước G2")
    assert (leaf.common_name, leaf.organization) == ("Hoàng Thị Lan", "ỦY BAN NHÂN DÂN TỈNH SÔNG LAM")
    assert leaf.addresses == leaf.san_addresses == (LAN,)
    assert leaf.serial == f"{leaf.parsed.serial_number:X}"
    assert (leaf.not_before, leaf.not_after) == (NOW - dt.timedelta(days=30), NOW + dt.timedelta(days=5 * 365 - 30))
    assert not leaf.ca
    assert not leaf.self_issued
    assert leaf.for_email
    assert leaf.for_signatures
    issuer = Certificate.load(ISSUER)
    assert issuer.ca
    assert leaf.authority_key_id == issuer.subject_key_id
    assert Certificate.load(authority().root).self_issued


def test_equal_by_octets() -> None:
    """Two certificates are one if the octets are, and their hashes go with that."""
    assert Certificate.load(LEAF) == Certificate.load(bytes(bytearray(LEAF)))
    assert len({Certificate.load(LEAF), Certificate.load(LEAF), Certificate.load(ISSUER)}) == 2


def bag(*octets: bytes) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(each) for each in octets]


PKCS7 = pkcs7.serialize_certificates(bag(LEAF, ISSUER), Encoding.DER)
PKCS7_PEM = pkcs7.serialize_certificates(bag(LEAF, ISSUER), Encoding.PEM)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (LEAF, [LEAF]),
        (LEAF + ISSUER, [LEAF, ISSUER]),
        (pem(LEAF), [LEAF]),
        (pem(LEAF) + pem(ISSUER), [LEAF, ISSUER]),
        (b"subject=x\n" + pem(LEAF) + b"\nissuer=y\n" + pem(ISSUER) + b"tail", [LEAF, ISSUER]),
        (pem(LEAF).replace(b"\n", b"\r\n"), [LEAF]),
        (pem(LEAF).replace(b"CERTIFICATE", b"X509 CERTIFICATE"), [LEAF]),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + pem(LEAF), [LEAF]),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", []),
        (PKCS7, [LEAF, ISSUER]),
        (PKCS7_PEM, [LEAF, ISSUER]),
        (PKCS7_PEM + pem(authority().root), [LEAF, ISSUER, authority().root]),
        (b"", []),
    ],
)
def test_files(octets: bytes, expected: list[bytes]) -> None:
    """Any number of DER, PEM with text around it, and PKCS#7 in both forms."""
    assert sorted(each.der for each in Certificate.load_all(octets)) == sorted(expected)


@pytest.mark.parametrize(
    "octets",
    [
        b"x",
        b"\x30",
        b"\x30\x00",
        LEAF[:-1],
        LEAF + b"x",
        LEAF + ISSUER[:-1],
        b"\x30\x84\xff\xff\xff\xff" + LEAF,
        pem(LEAF)[:-30],
        pem(LEAF).replace(b"MII", b"M!I"),
        pem(LEAF) + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        PKCS7[:-1],
        PKCS7_PEM.replace(b"MII", b"AII", 1),
        b"\x30\x82\x00\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
    ],
)
def test_one_broken_certificate_breaks_its_file(octets: bytes) -> None:
    """An administrator's file is read whole or not at all: half a trust store is another trust store."""
    with pytest.raises(CertificateError):
        Certificate.load_all(octets)


def test_size_is_bounded() -> None:
    """A certificate of more than 64 KB is refused before it is parsed."""
    with pytest.raises(CertificateError, match="certificate_too_large"):
        Certificate.load(LEAF + bytes(MAX_OCTETS))


HOSTILE = {
    "begins": b"-----BEGIN CERTIFICATE-----\n" * 35_000,
    "many_labels": b"".join(b"-----BEGIN A%d-----\n" % each for each in range(45_000)),
    "empty_blocks": b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" * 18_000,
    "empty_sequences": b"\x30\x00" * 500_000,
    "long_sequences": b"\x30\x82\x00\x00" * 250_000,
    "dashes": b"-" * 1_000_000,
    "deep_pkcs7": b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" + b"\x30\x80" * 500_000,
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_files_end_soon(kind: str) -> None:
    """A megabyte made to be slow is read or refused within a second of a quiet machine."""
    with soon(3), contextlib.suppress(CertificateError):
        Certificate.load_all(HOSTILE[kind])


@given(st.data())
def test_any_damage_is_read_or_refused(data: st.DataObject) -> None:
    """A certificate with changed octets raises one fault, or can be looked at in every part."""
    octets = bytearray(LEAF)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Certificate.load(bytes(octets))
    except InputError:
        return
    assert isinstance(found.subject + found.issuer + found.serial + found.fingerprint, str)
    assert found.not_before is not None
    assert all(isinstance(each, str) for each in found.addresses)


# --- names and addresses ---


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Sở Y tế", "CN=Sở Y tế"),
        ("X, O=Bộ Tài chính", "CN=X\\, O\\=Bộ Tài chính"),
        ('a+b<c>;"d"\\', 'CN=a\\+b\\<c\\>\\;\\"d\\"\\\\'),
        ("a\u202egnp.b", "CN=a\ufffdgnp.b"),
        ("a\u200bb\x1b[1m\r\nc\x00", "CN=a\ufffdb\ufffd[1m\ufffd\ufffdc\ufffd"),
        ("\ufeff\u2066x\u061c", "CN=\ufffd\ufffdx\ufffd"),
    ],
)
def test_hostile_names_are_shown_harmlessly(value: str, shown: str) -> None:
    """What turns, hides or ends text, or would look like another attribute, is made visible (RFC 4514 2.4)."""
    assert TOP.issue(value).certificate.subject == f"C=VN, {shown}"


def test_long_names_are_cut() -> None:
    """A name is shown to at most 512 characters of each value."""
    description = x509.NameAttribute(x509.ObjectIdentifier("2.5.4.13"), "đ" * 5000)
    builder = x509.CertificateBuilder().subject_name(x509.Name([description])).issuer_name(name(CN="x"))
    builder = builder.public_key(TOP.key.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + dt.timedelta(days=1))
    made = Certificate.load(builder.sign(TOP.key, SHA256()).public_bytes(Encoding.DER))
    assert made.subject == "2.5.4.13=" + "đ" * 512


def test_addresses() -> None:
    """RFC 8550 3: subjectAltName first, then the subject's E; each once, mailboxes only."""
    assert named().addresses == ()
    assert named(email="lan@a.example").addresses == ("lan@a.example",)
    both = named(x509.RFC822Name("lan@a.example"), x509.RFC822Name("so@a.example"), email="cu@a.example")
    assert both.san_addresses == ("lan@a.example", "so@a.example")
    assert both.addresses == ("lan@a.example", "so@a.example", "cu@a.example")
    assert named(x509.DNSName("a.example"), x509.DNSName("lan@a.example")).addresses == ()
    assert named(x509.RFC822Name("lan@a.example"), email="lan@a.example").addresses == ("lan@a.example",)


@pytest.mark.parametrize(
    "value",
    [
        "boss@a.example\x00@b.example",
        "boss@a.example,lan@b.example",
        "boss@a.example lan@b.example",
        "<boss@a.example>",
        "Boss <boss@a.example>",
        "boss@a.example\r\nX: y",
        "boss@",
        "@a.example",
        ".a.example",
        "a.example",
        "boss",
    ],
)
def test_what_is_no_mailbox_names_nobody(value: str) -> None:
    """NUL, lists and display names fall out: no prefix of such a text ever counts (CVE-2009-2408)."""
    assert named(x509.RFC822Name._init_without_validation(value)).addresses == ()
    assert named(email=value).addresses == ()


def test_internationalized_mailboxes() -> None:
    """RFC 9598 3: SmtpUTF8Mailbox only for a local part that is not ASCII; a broken one names nobody."""
    assert named(utf8_mailbox("sếp@a.example")).addresses == ("sếp@a.example",)
    assert named(utf8_mailbox("lan@a.example")).addresses == ()
    kind = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")
    for octets in (b"\x0c\x04\xff\xfe@b", b"\x16\x04\xc3\xaa@b", b"\x05\x00"):
        assert named(x509.OtherName(kind, octets)).addresses == ()
    other = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
    assert named(x509.OtherName(other, b"\x0c\x05\xc3\xaa@ab")).addresses == ()


def test_number_of_names_is_bounded() -> None:
    """A hundred names are looked at, whatever a certificate holds."""
    many = named(*(x509.RFC822Name(f"n{each}@a.example") for each in range(300)))
    assert len(many.addresses) == 100


@pytest.mark.parametrize(
    ("extensions", "mail", "signatures"),
    [
        ([], True, True),
        ([x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])], True, True),
        ([x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])], True, True),
        ([x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])], False, True),
        ([usage("digital_signature")], True, True),
        ([usage("content_commitment")], True, True),
        ([usage("key_encipherment")], True, False),
        ([usage("key_cert_sign")], True, False),
    ],
)
def test_usages(extensions: list[x509.ExtensionType], mail: object, signatures: object) -> None:
    """RFC 8550 4.4.2 and 4.4.4: an absent extension forbids nothing, nonRepudiation alone is enough."""
    found = TOP.issue("x", extensions=extensions).certificate
    assert (found.for_email, found.for_signatures) == (mail, signatures)


def test_a_serial_number_that_is_not_positive_is_read_without_a_word() -> None:
    """Old authorities gave out zero and negative ones: looking at such a certificate says nothing on standard error."""
    number = x509.load_der_x509_certificate(LEAF).serial_number
    octets = number.to_bytes((number.bit_length() + 8) // 8, "big")
    negative = LEAF.replace(
        b"\x02" + bytes([len(octets)]) + octets, b"\x02" + bytes([len(octets)]) + b"\xff" + octets[1:], 1
    )
    assert negative != LEAF
    found = Certificate.load(negative)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.serial.startswith("-")
        assert found.serial_number < 0
