"""Algorithms a SignerInfo may claim (RFC 4055, 5754, 5758, 8419, 9882): those that do not fit are never a signature."""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import lru_cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa, utils

from gateway.cms.asn1 import tlv
from gateway.cms.verify import CmsError, check_signer, open_signed
from gateway.demo.authority import Credential, name, shared_key
from gateway.pki.certificate import Certificate
from support.forger import (
    CONTENT,
    CONTENT_TYPE,
    DATA,
    DIGESTS,
    MESSAGE_DIGEST,
    PSS,
    RSA,
    SHA256_ECDSA,
    SHA256_RSA,
    SIGNING_TIME,
    Forger,
    algorithm,
    attribute,
    fault,
    faults,
    oid,
    pss,
    raw,
    sequence,
    signed_data,
)
from support.letters import NOW, authority, binh, lan
from support.pace import soon

DIGEST = hashlib.sha256(CONTENT).digest()


@lru_cache(maxsize=1)
def forger() -> Forger:
    return Forger(lan())


def test_wrong_key() -> None:
    """Somebody else's signature, or a random value, is bad; so is an empty one."""
    other = shared_key("rsa2048", 77)
    assert fault(forger().but(sign=lambda data: raw(other, data))) == "bad_signature"
    for value in (b"", b"\0", bytes(256), b"\x01" * 256, b"\xff" * 256, bytes(4000)):
        assert fault(forger().but(sign=lambda _, value=value: value)) == "bad_signature"
        assert fault(Forger(lan("p256")).but(sign=lambda _, value=value: value)) == "bad_signature"


def test_ecdsa_zero_signature() -> None:
    """With r = s = 0, r = s = 1 and r = n are no signatures (CVE-2022-21449)."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r, s in ((0, 0), (1, 1), (order, order), (order, 1), (0, 1)):
        value = utils.encode_dss_signature(r, s)
        assert fault(Forger(lan("p256")).but(sign=lambda _, value=value: value)) == "bad_signature"


@pytest.mark.parametrize(
    ("shape", "claimed", "code"),
    [
        ("rsa2048", algorithm(SHA256_ECDSA), "bad_signature"),
        ("p256", algorithm(RSA), "bad_signature"),
        ("p256", algorithm(SHA256_RSA), "bad_signature"),
        ("rsa2048", algorithm("1.3.101.112"), "algorithm_mismatch"),
        ("rsa2048", algorithm("2.16.840.1.101.3.4.3.17"), "bad_signature"),
        ("rsa2048", algorithm("1.2.840.113549.1.1.12"), "algorithm_mismatch"),
        ("rsa2048", algorithm("1.2.840.113549.1.1.5"), "algorithm_mismatch"),
        ("p256", algorithm("1.2.840.10045.4.3.3"), "algorithm_mismatch"),
        ("rsa2048", algorithm("1.2.3.4"), "unknown_algorithm"),
        ("rsa2048", algorithm(DIGESTS["sha256"]), "unknown_algorithm"),
    ],
)
def test_algorithm_confusion(shape: str, claimed: bytes, code: str) -> None:
    """RFC 5652 and 8551: the algorithm must be of the key's family, and its digest the signer's digest."""
    assert fault(Forger(lan(shape)).but(signature_algorithm=claimed)) == code


@pytest.mark.parametrize("parameters", [b"\x05\x01\x00", b"\x04\x00", b"\x05\x00\x05\x00", sequence(b"\x05\x00")])
def test_parameters_that_no_algorithm_has(parameters: bytes) -> None:
    """No signature covers them: absent and NULL are the same (RFC 5754 2), anything else is not read."""
    made = forger().but(signature_algorithm=algorithm(SHA256_RSA, parameters))
    assert fault(made) == "unknown_algorithm"
    tagged = tlv(0x30, b"\x86" + oid(RSA)[1:])
    with pytest.raises(CmsError, match="malformed_cms"):
        open_signed(forger().but(signature_algorithm=tagged).cms(CONTENT))


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_weak_digests_are_good_and_not_believed(digest: str) -> None:
    """The octets fit, so it is no forgery; the digest can be forged, so it is not believed."""
    made = forger().but(digest=digest)
    assert fault(made) == "weak_digest"
    assert faults(made.cms(CONTENT), content=b"else") == ["digest_mismatch"]
    assert fault(made.but(sign=lambda _: bytes(256))) == "bad_signature"


def test_weak_keys() -> None:
    """RSA below 2048 bits and unusual curves are told apart from broken signatures."""
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP224R1())):  # noqa: S505 - a weak key is the point
        credential = authority().issue("Khóa Yếu", "yeu@songlam.example", key=key)
        assert fault(Forger(credential)) == "weak_key"
        assert fault(Forger(credential).but(sign=lambda _: bytes(128))) == "bad_signature"


def sign_pss(digest: str, salt: int, mask: str | None = None) -> object:
    kinds = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}

    def sign(data: bytes) -> bytes:
        key = lan().key
        assert isinstance(key, rsa.RSAPrivateKey)
        return key.sign(data, padding.PSS(padding.MGF1(kinds[mask or digest]()), salt), kinds[digest]())

    return sign


@pytest.mark.parametrize(
    ("parameters", "made", "code"),
    [
        (pss("sha256", salt=32), ("sha256", 32), None),
        (pss("sha256", salt=0), ("sha256", 0), None),
        (pss("sha256", salt=20), ("sha256", 20), None),
        (pss("sha256", salt=32), ("sha256", 20), "bad_signature"),
        (pss("sha256", salt=20), ("sha256", 32), "bad_signature"),
        (pss("sha256", salt=32, mask="sha1"), ("sha256", 32, "sha1"), "unknown_algorithm"),
        (pss("sha384", salt=48), ("sha384", 48), "algorithm_mismatch"),
        (pss("sha1", salt=20), ("sha1", 20), "algorithm_mismatch"),
        (pss("sha256", salt=32, trailer=1), ("sha256", 32), None),
        (pss("sha256", salt=32, trailer=2), ("sha256", 32), "unknown_algorithm"),
        (pss("sha256", salt=0xFF), ("sha256", 32), "bad_signature"),
        (algorithm(PSS), ("sha1", 20), "algorithm_mismatch"),
        (algorithm(PSS, sequence()), ("sha1", 20), "algorithm_mismatch"),
        (pss("sha256", salt=32), None, "bad_signature"),
        (algorithm(RSA), ("sha256", 32), "bad_signature"),
    ],
)
def test_pss_parameters(parameters: bytes, made: tuple[str, int] | None, code: str | None) -> None:
    """RFC 4055 3.1, 4056 3: digest, mask, salt and trailer are those that were signed with, and the signer's own."""
    sign = sign_pss(*made) if made else None
    assert fault(forger().but(signature_algorithm=parameters, sign=sign)) == code


def test_pss_key_signs_pss_only() -> None:
    """RFC 4055 1.2: a certificate for id-RSASSA-PSS must not vouch for PKCS#1 v1.5."""
    der = lan().certificate
    spki = (
        x509.load_der_x509_certificate(der)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    bits = spki[spki.index(b"\x03\x82") :]
    changed = sequence(algorithm(PSS), bits)
    tbs = der[4 : 4 + 4 + int.from_bytes(der[6:8], "big")]
    certificate = Certificate.load(sequence(sequence(tbs[4:].replace(spki, changed)), der[len(tbs) + 4 :]))
    if certificate.public_key is None:
        pytest.fail("the library does not read id-RSASSA-PSS keys: the rule cannot be shown")
    made = forger().cms(CONTENT)
    (signer,) = open_signed(made).signers
    assert check_signer(signer, content_digest=DIGEST, certificate=certificate) == "algorithm_mismatch"
    made = forger().but(signature_algorithm=pss("sha256", salt=32), sign=sign_pss("sha256", 32)).cms(CONTENT)
    (signer,) = open_signed(made).signers
    assert check_signer(signer, content_digest=DIGEST, certificate=certificate) is None


def leaf(key: object) -> Credential:
    """Return a self-signed certificate for a key of any kind."""
    public = key.public_key()  # type: ignore[attr-defined]
    builder = x509.CertificateBuilder().subject_name(name(CN="K")).issuer_name(name(CN="K")).serial_number(7)
    builder = builder.public_key(public).not_valid_before(NOW).not_valid_after(NOW + dt.timedelta(days=9))
    made = builder.sign(key, None).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]
    return Credential(key, made, ())  # type: ignore[arg-type]


def test_ed25519() -> None:
    """RFC 8419: SHA-512 for the content, the attributes signed as octets; without attributes we have only a digest."""
    key = ed25519.Ed25519PrivateKey.generate()
    made = Forger(leaf(key), digest="sha512", signature_algorithm=algorithm("1.3.101.112"), sign=key.sign)
    assert fault(made) is None
    assert fault(made.but(digest="sha256")) == "algorithm_mismatch"
    assert fault(made.but(sign=lambda data: key.sign(hashlib.sha512(data).digest()))) == "bad_signature"
    assert fault(made.but(bare=True)) == "unknown_algorithm"
    assert fault(made.but(signature_algorithm=algorithm(SHA256_RSA), digest="sha256")) == "bad_signature"
    (signer,) = open_signed(made.cms(CONTENT)).signers
    assert signer.algorithm_with(Certificate.load(leaf(key).certificate)) == "Ed25519 EdDSA SHA-512"


@pytest.mark.parametrize(
    ("kind", "arc", "digest", "fits"),
    [
        (mldsa.MLDSA44PrivateKey, 17, "sha256", True),
        (mldsa.MLDSA44PrivateKey, 17, "sha384", True),
        (mldsa.MLDSA44PrivateKey, 17, "sha512", True),
        (mldsa.MLDSA65PrivateKey, 18, "sha384", True),
        (mldsa.MLDSA87PrivateKey, 19, "sha256", False),
        (mldsa.MLDSA65PrivateKey, 18, "sha512", True),
        (mldsa.MLDSA65PrivateKey, 18, "sha256", False),
        (mldsa.MLDSA87PrivateKey, 19, "sha512", True),
        (mldsa.MLDSA87PrivateKey, 19, "sha384", False),
    ],
)
def test_ml_dsa(kind: type, arc: int, digest: str, fits: object) -> None:
    """RFC 9882 3.3: digests as strong as the parameter set, which is part of the algorithm."""
    key = kind.generate()
    claimed = algorithm(f"2.16.840.1.101.3.4.3.{arc}")
    made = Forger(leaf(key), digest=digest, signature_algorithm=claimed, sign=key.sign)
    assert fault(made) == (None if fits else "algorithm_mismatch")
    digested = made.but(sign=lambda data: key.sign(hashlib.new(digest, data).digest()))  # HashML-DSA is another scheme
    in_context = made.but(sign=lambda data: key.sign(data, b"context"))  # RFC 9882 3.1: the context is empty
    if fits:
        assert [fault(each) for each in (digested, in_context)] == ["bad_signature"] * 2
        assert fault(made.but(signature_algorithm=algorithm(f"2.16.840.1.101.3.4.3.{arc}", b"\x04\x00"))) == (
            "unknown_algorithm"
        )
    assert fault(made.but(bare=True)) in {"unknown_algorithm", "algorithm_mismatch"}
    other = algorithm(f"2.16.840.1.101.3.4.3.{17 + (arc - 16) % 3}")
    assert fault(made.but(digest="sha512", signature_algorithm=other)) == "bad_signature"


@pytest.mark.parametrize(("digest", "arc"), [("sha256", 2), ("sha384", 3), ("sha512", 4)])
def test_p521(digest: str, arc: int) -> None:
    """RFC 5754 3.3: the largest curve that mail uses, over each digest that is strong."""
    credential = authority().issue("P", "p@songlam.example", key=ec.generate_private_key(ec.SECP521R1()))
    claimed = algorithm(f"1.2.840.10045.4.3.{arc}")
    assert fault(Forger(credential, digest=digest, signature_algorithm=claimed)) is None
    (signer,) = open_signed(Forger(credential, digest=digest, signature_algorithm=claimed).cms(CONTENT)).signers
    assert signer.algorithm_with(Certificate.load(credential.certificate)).startswith("P-521 ECDSA SHA-")


def test_sha224() -> None:
    """Too short to be believed, and named so; it is no digest that nobody knows."""
    name, kind = "2.16.840.1.101.3.4.2.4", hashes.SHA224()
    key = lan().key
    assert isinstance(key, rsa.RSAPrivateKey)
    content = hashlib.sha224(CONTENT).digest()
    attributes = [
        attribute(CONTENT_TYPE, oid(DATA)),
        attribute(MESSAGE_DIGEST, tlv(0x04, content)),
    ]
    made = forger().but(attributes=attributes, sign=lambda data: key.sign(data, padding.PKCS1v15(), kind))
    cms = made.cms(CONTENT).replace(algorithm(DIGESTS["sha256"]), algorithm(name))
    (signer,) = open_signed(cms).signers
    found = check_signer(signer, content_digest=content, certificate=Certificate.load(lan().certificate))
    assert found == "weak_digest"


def with_exponent(exponent: int) -> Certificate:
    """Return Lan's certificate with another public exponent: nobody checks its own signature here."""
    key = lan().key
    assert isinstance(key, rsa.RSAPrivateKey)
    public = key.public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    modulus = public.public_numbers().n.to_bytes(257, "big")
    octets = exponent.to_bytes(exponent.bit_length() // 8 + 1, "big")
    bits = b"\0" + sequence(tlv(0x02, modulus), tlv(0x02, octets))
    changed = sequence(algorithm(RSA, b"\x05\x00"), tlv(0x03, bits))
    der = lan().certificate
    tbs = der[4 : 4 + 4 + int.from_bytes(der[6:8], "big")]
    return Certificate.load(sequence(sequence(tbs[4:].replace(spki, changed)), der[len(tbs) + 4 :]))


def test_exponents_that_make_forging_easy() -> None:
    """With e = 1 the padded digest is its own signature; even ones are no keys. 3 is old, and holds."""
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")

    def padded(data: bytes) -> bytes:
        info = prefix + hashlib.sha256(data).digest()
        return b"\0\1" + b"\xff" * (256 - 3 - len(info)) + b"\0" + info

    (signer,) = open_signed(forger().but(sign=padded).cms(CONTENT)).signers
    for exponent in (1, 2, 65536):
        found = check_signer(signer, content_digest=DIGEST, certificate=with_exponent(exponent))
        assert found == "unknown_key", exponent
    assert check_signer(signer, content_digest=DIGEST, certificate=with_exponent(65537)) == "bad_signature"
    old = authority().issue("Ba", "ba@songlam.example", key=rsa.generate_private_key(3, 2048))
    assert fault(Forger(old)) is None
    cube = Forger(old).but(sign=lambda data: _cube_root(padded(data)))
    assert fault(cube) == "bad_signature"


def _cube_root(padded: bytes) -> bytes:
    """Return the cube root, rounded up: its cube begins like the padded digest (Bleichenbacher 2006)."""
    wanted = int.from_bytes(padded[:64] + bytes(192), "big")
    low, high = 0, 1 << 700
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < wanted else (low, middle)
    return low.to_bytes(256, "big")


def test_countersignatures_are_nobodys_business() -> None:
    """RFC 5652 11.4: an unsigned attribute; whoever adds one, good or not, changes nothing."""
    for counter in (Forger(binh()).info(b"anything"), b"\x05\x00", sequence()):
        made = forger().but(unsigned=tlv(0xA1, attribute("1.2.840.113549.1.9.6", counter)))
        data = open_signed(made.cms(CONTENT))
        assert len(data.signers) == 1
        assert fault(made) is None
        assert data.signers[0].timestamps == ()


@pytest.mark.parametrize(
    "unsigned",
    [
        tlv(0xA1, b"\x05\x00"),
        tlv(0xA1, sequence()),
        tlv(0xA1, *[attribute("1.2.3.4")] * 1000),
        tlv(0xA1, attribute("1.2.840.113549.1.9.16.2.14", *[b"\x05\x00"] * 1000)),
        b"\xa1\x00" * 2,
    ],
)
def test_unsigned_attributes_never_cost_a_message_its_verdict(unsigned: bytes) -> None:
    """Anybody on the way can add them: malformed or a thousand, they are not read, and nothing else changes."""
    assert fault(forger().but(unsigned=unsigned)) is None


def test_attribute_values_are_counted_before_they_are_read() -> None:
    """A list of a hundred thousand of them is no attribute of anybody's."""
    made = forger().but(more=[attribute("1.2.3.4", *[b"\x05\x00"] * 16)])
    assert fault(made) is None
    with pytest.raises(CmsError, match="too_many_attributes"):
        open_signed(forger().but(more=[attribute("1.2.3.4", *[b"\x05\x00"] * 17)]).cms(CONTENT))
    times = attribute(SIGNING_TIME, *[tlv(0x17, b"261125000000Z")] * 3500)
    many = signed_data([forger().but(more=[times]).info(CONTENT)] * 4, certificates=[lan().certificate])
    with soon(0.2), pytest.raises(CmsError):
        open_signed(many)
