"""Keys out of files: encrypted, private, with what belongs to them; every refusal names file and label."""

from __future__ import annotations

import base64
import datetime as dt
import gc
import hashlib
import subprocess
import weakref
from math import gcd, lcm
from typing import TYPE_CHECKING, Final

import pytest
from asn1crypto import algos
from asn1crypto import keys as asn1_keys
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import pkcs12

from gateway.config.keys import KeyFile
from gateway.core.errors import SetupError
from gateway.demo.authority import pem, shared_key
from gateway.keys.files import open_key
from support.letters import LAN, NOW, authority, lan

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE: Final = "mật khẩu của tôi".encode()


def private(path: Path, octets: bytes, mode: int = 0o600) -> Path:
    """Write a file with this mode."""
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def key_file(tmp: Path, octets: bytes, *, passphrase: bytes = PASSPHRASE, mode: int = 0o600) -> KeyFile:
    """Return the setting for a PKCS#12 file of these octets."""
    secret = private(tmp / "secret", passphrase + b"\n")
    return KeyFile(
        label="lan", kind="personal", pkcs12=private(tmp / "lan.p12", octets, mode), passphrase=f"file:{secret}"
    )


def pem_file(tmp: Path, key: bytes, certificates: bytes) -> KeyFile:
    """Return the setting for PEM files of these octets."""
    return KeyFile(
        label="lan",
        kind="personal",
        key=private(tmp / "lan.key", key),
        certificate=private(tmp / "lan.pem", certificates, 0o644),
        passphrase=f"file:{private(tmp / 'secret', PASSPHRASE)}",
    )


def refusal(file: KeyFile) -> str:
    """Return the one line in which a key is refused."""
    with pytest.raises(SetupError) as caught:
        open_key(file, at=NOW)
    assert len(caught.value.mistakes) == 1
    assert "(key 'lan')" in caught.value.mistakes[0]
    assert PASSPHRASE.decode() not in caught.value.mistakes[0]
    return caught.value.mistakes[0]


def exported(tmp: Path, *options: str) -> bytes:
    """Return Lan's key as `openssl pkcs12 -export` writes it."""
    files = {"k.pem": lan().key_pem(), "c.pem": pem(lan().certificate), "i.pem": pem(lan().chain[0])}
    for file, octets in files.items():
        (tmp / file).write_bytes(octets)
    subprocess.run(
        [
            *("openssl", "pkcs12", "-export", "-inkey", "k.pem", "-in", "c.pem", "-certfile", "i.pem"),
            *("-passout", "stdin", "-out", "out.p12", *options),
        ],
        input=PASSPHRASE,
        cwd=tmp,
        check=True,
        timeout=30,
    )
    return (tmp / "out.p12").read_bytes()


def test_pkcs12_gives_key_leaf_and_chain(tmp_path: Path) -> None:
    """A PKCS#12 file with a passphrase beyond ASCII opens, whole."""
    opened = open_key(key_file(tmp_path, lan().pkcs12(PASSPHRASE)), at=NOW)
    assert opened.certificate.der == lan().certificate
    assert [each.der for each in opened.chain] == list(lan().chain)
    assert opened.private_key.public_key() == opened.certificate.public_key


def test_encrypted_pem_gives_the_same(tmp_path: Path) -> None:
    """An encrypted PKCS#8 key with its certificates beside it is as good."""
    opened = open_key(pem_file(tmp_path, lan().key_pem(PASSPHRASE), lan().chain_pem()), at=NOW)
    assert (opened.certificate.der, [each.der for each in opened.chain]) == (lan().certificate, list(lan().chain))


def test_certificates_may_stand_in_any_order_with_strangers_between(tmp_path: Path) -> None:
    """The leaf is found by its key and the chain by names and signatures; what belongs to nobody is left out."""
    other = authority(1)
    stranger = other.issue("Người Khác", "khac@sotaichinh.songlam.example", key=shared_key("p256", 9))
    bundle = [authority().root, stranger.certificate, other.intermediate, *lan().chain, lan().certificate]
    opened = open_key(pem_file(tmp_path, lan().key_pem(PASSPHRASE), b"".join(map(pem, bundle))), at=NOW)
    assert opened.certificate.der == lan().certificate
    assert [each.der for each in opened.chain] == [*lan().chain, authority().root]


def test_of_two_certificates_for_one_key_the_one_in_date_is_taken(tmp_path: Path) -> None:
    """A renewal beside its predecessor in one file: in date first, then the latest end."""
    renewed = authority().issue(
        "Hoàng Thị Lan",
        LAN,
        key=lan().key,
        not_before=NOW + dt.timedelta(days=9),
        not_after=NOW + dt.timedelta(days=9999),
    )
    file = pem_file(tmp_path, lan().key_pem(PASSPHRASE), pem(renewed.certificate) + lan().chain_pem())
    assert open_key(file, at=NOW).certificate.der == lan().certificate
    assert open_key(file, at=NOW + dt.timedelta(days=10)).certificate.der == renewed.certificate


@pytest.mark.parametrize("options", [("-legacy",), ("-nomac",), ("-keypbe", "PBE-SHA1-3DES")])
def test_pkcs12_files_of_older_programs_open(options: tuple[str, ...], tmp_path: Path) -> None:
    """What token tools export is encrypted in older ways and still encrypted."""
    assert open_key(key_file(tmp_path, exported(tmp_path, *options)), at=NOW).certificate.der == lan().certificate


@pytest.mark.parametrize("options", [("-keypbe", "NONE"), ("-keypbe", "NONE", "-certpbe", "NONE")])
def test_a_pkcs12_whose_key_is_in_the_clear_is_refused(options: tuple[str, ...], tmp_path: Path) -> None:
    """A passphrase that only guards the MAC protects nothing."""
    assert "not encrypted" in refusal(key_file(tmp_path, exported(tmp_path, *options)))


def test_a_pem_key_in_the_clear_is_refused(tmp_path: Path) -> None:
    """A key at rest is encrypted, also where a passphrase is given."""
    assert "not encrypted" in refusal(pem_file(tmp_path, lan().key_pem(), lan().chain_pem()))


@pytest.mark.parametrize("form", ["pkcs12", "pem"])
def test_a_wrong_passphrase_is_said(form: str, tmp_path: Path) -> None:
    """The commonest mistake has its own words, and the passphrase tried is not among them."""
    file = (
        key_file(tmp_path, lan().pkcs12(b"another"))
        if form == "pkcs12"
        else pem_file(tmp_path, lan().key_pem(b"another"), lan().chain_pem())
    )
    assert "passphrase is wrong" in refusal(file)


def test_an_empty_or_missing_passphrase_is_refused(tmp_path: Path) -> None:
    """An empty passphrase is as good as none, and none is not allowed."""
    assert "is empty" in refusal(key_file(tmp_path, lan().pkcs12(PASSPHRASE), passphrase=b""))
    bare = KeyFile(label="lan", kind="personal", pkcs12=private(tmp_path / "lan.p12", lan().pkcs12(PASSPHRASE)))
    assert "passphrase is missing" in refusal(bare)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    """Encryption does not excuse a file that everybody may copy and guess at."""
    assert "chmod 600" in refusal(key_file(tmp_path, lan().pkcs12(PASSPHRASE), mode=mode))


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    """A certificate of another key means signatures that nobody can verify."""
    other = authority().issue("Hoàng Thị Lan", LAN, key=shared_key("p256", 8))
    assert "do not match" in refusal(pem_file(tmp_path, lan().key_pem(PASSPHRASE), other.chain_pem()))
    assert "holds no certificate" in refusal(pem_file(tmp_path, lan().key_pem(PASSPHRASE), b"nothing here"[:0]))


def test_a_missing_intermediate_is_refused(tmp_path: Path) -> None:
    """Readers that do not hold the sub-CA could not build the path."""
    line = refusal(pem_file(tmp_path, lan().key_pem(PASSPHRASE), pem(lan().certificate)))
    assert "intermediate certificate is missing" in line
    assert "CA phục vụ các cơ quan Nhà nước G2" in line


def test_an_intermediate_of_the_same_name_and_another_key_is_refused(tmp_path: Path) -> None:
    """A look-alike issuer does not complete the chain."""
    wrong = pem(lan().certificate) + pem(authority(1).intermediate)
    assert "not made by the issuer" in refusal(pem_file(tmp_path, lan().key_pem(PASSPHRASE), wrong))


@pytest.mark.parametrize(
    "octets",
    [b"", b"not a key", b"\x30\x03\x02\x01\x03", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
)
def test_what_is_no_key_file_is_refused_in_one_line(octets: bytes, tmp_path: Path) -> None:
    """Damaged or mistaken files are mistakes, not tracebacks."""
    refusal(key_file(tmp_path, octets))
    refusal(pem_file(tmp_path, octets, lan().chain_pem()))


def test_a_pkcs12_without_key_and_one_with_a_foreign_kind_of_key_are_refused(tmp_path: Path) -> None:
    """Only kinds of keys that readers take are used for signing."""
    strong = serialization.BestAvailableEncryption(PASSPHRASE)
    root = x509.load_der_x509_certificate(authority().root)
    empty = pkcs12.serialize_key_and_certificates(b"x", None, None, [root], strong)
    assert "no private key" in refusal(key_file(tmp_path, empty))
    foreign = pkcs12.serialize_key_and_certificates(b"x", ed25519.Ed25519PrivateKey.generate(), None, [root], strong)
    assert "only RSA, P-256 and P-384" in refusal(key_file(tmp_path, foreign))


def test_all_files_of_a_key_are_looked_at(tmp_path: Path) -> None:
    """Three absent files are three lines in one run."""
    file = KeyFile(
        label="lan",
        kind="personal",
        key=tmp_path / "a.key",
        certificate=tmp_path / "a.pem",
        passphrase=f"file:{tmp_path}/secret",
    )
    with pytest.raises(SetupError) as caught:
        open_key(file, at=NOW)
    assert [line.partition(": ")[0] for line in caught.value.mistakes] == [
        f"{tmp_path}/secret",
        f"{tmp_path}/a.key",
        f"{tmp_path}/a.pem",
    ]


def test_what_was_opened_shows_no_key(tmp_path: Path) -> None:
    """A `repr` in a log or a traceback must not print a key."""
    opened = open_key(key_file(tmp_path, lan().pkcs12(PASSPHRASE)), at=NOW)
    assert "private_key" not in repr(opened)


def test_a_key_that_is_held_is_not_opened_again_and_one_that_is_dropped_is(tmp_path: Path) -> None:
    """A reload that takes a key away must not wait for opening thousands that stay."""
    file = key_file(tmp_path, lan("p256").pkcs12(PASSPHRASE))
    held = open_key(file, at=NOW)
    assert open_key(file, at=NOW) is held
    (tmp_path / "lan.p12").write_bytes(lan("p384").pkcs12(PASSPHRASE))
    assert open_key(file, at=NOW).certificate != held.certificate
    gone = weakref.ref(held)
    del held
    gc.collect()
    assert gone() is None


def test_holding_a_key_excuses_nothing(tmp_path: Path) -> None:
    """The passphrase must still fit and the file must still be private, also for a key in memory."""
    octets = lan("p256").pkcs12(PASSPHRASE)
    held = open_key(key_file(tmp_path, octets), at=NOW)
    assert "passphrase is wrong" in refusal(key_file(tmp_path, octets, passphrase=b"another"))
    assert "chmod 600" in refusal(key_file(tmp_path, octets, mode=0o644))
    assert open_key(key_file(tmp_path, octets), at=NOW) is held


def damaged(**wrong: int) -> bytes:
    """Return an RSA key with some of its numbers replaced, as PKCS#8 (DER); no library writes such a thing."""
    numbers = lan("rsa2048").key.private_numbers()  # type: ignore[union-attr]
    parts = {
        "version": 0,
        "modulus": numbers.public_numbers.n,
        "public_exponent": numbers.public_numbers.e,
        "private_exponent": numbers.d,
        "prime1": numbers.p,
        "prime2": numbers.q,
        "exponent1": numbers.dmp1,
        "exponent2": numbers.dmq1,
        "coefficient": numbers.iqmp,
        **wrong,
    }
    return bytes(asn1_keys.PrivateKeyInfo.wrap(asn1_keys.RSAPrivateKey(parts), "rsa").dump())


@pytest.mark.parametrize(
    "wrong",
    [{"exponent1": 3}, {"exponent2": 65537}, {"coefficient": 5}, {"prime1": 0xFFFFFFFB}, {"private_exponent": 7}],
)
def test_a_damaged_rsa_key_is_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    """One wrong number, and one signature can give the factors away: such a key is never used."""
    assert damaged() == lan("rsa2048").key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = serialization.load_der_private_key(damaged(**wrong), None, unsafe_skip_rsa_key_validation=True)
    octets = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSPHRASE),
    )
    line = refusal(pem_file(tmp_path, octets, lan("rsa2048").chain_pem()))
    assert "damaged" in line


def test_a_factor_that_is_no_prime_is_found(tmp_path: Path) -> None:
    """All numbers fit together, but one factor is composite: the probe's signature does not come back."""
    numbers = lan("rsa2048").key.private_numbers()  # type: ignore[union-attr]
    e, q = numbers.public_numbers.e, numbers.q
    p = q
    while gcd(e, p - 1) != 1 or gcd(p, q) != 1 or (p * q).bit_length() != 2048:
        small = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_numbers()  # noqa: S505 - a part
        p = small.p * small.q
    d = pow(e, -1, lcm(p - 1, q - 1))
    octets = damaged(
        modulus=p * q,
        private_exponent=d,
        prime1=p,
        exponent1=d % (p - 1),
        exponent2=d % (q - 1),
        coefficient=pow(q, -1, p),
    )
    assert "damaged" in refusal(pem_file(tmp_path, sealed(octets), lan("rsa2048").chain_pem()))


def test_a_factor_of_one_is_found(tmp_path: Path) -> None:
    """It divides everything, and nothing can be reckoned below it."""
    numbers = lan("rsa2048").key.private_numbers().public_numbers  # type: ignore[union-attr]
    octets = damaged(prime1=1, prime2=numbers.n)
    assert "(key 'lan')" in refusal(pem_file(tmp_path, sealed(octets), lan("rsa2048").chain_pem()))


def sealed(octets: bytes) -> bytes:
    """Return PKCS#8 octets as encrypted PEM, by a program that does not ask what they are."""
    salt, start = b"muoi-muoi", b"0123456789abcdef"
    parameters = algos.Pbes2Params(
        {
            "key_derivation_func": {
                "algorithm": "pbkdf2",
                "parameters": {
                    "salt": algos.Pbkdf2Salt("specified", salt),
                    "iteration_count": 1000,
                    "prf": {"algorithm": "sha256"},
                },
            },
            "encryption_scheme": {"algorithm": "aes256_cbc", "parameters": start},
        }
    )
    key = hashlib.pbkdf2_hmac("sha256", PASSPHRASE, salt, 1000, 32)
    padder = PKCS7(128).padder()
    machine = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    closed = machine.update(padder.update(octets) + padder.finalize()) + machine.finalize()
    info = asn1_keys.EncryptedPrivateKeyInfo(
        {"encryption_algorithm": {"algorithm": "pbes2", "parameters": parameters}, "encrypted_data": closed}
    )
    return (
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        + base64.encodebytes(info.dump())
        + (b"-----END ENCRYPTED PRIVATE KEY-----\n")
    )


def test_issuers_are_held_once(tmp_path: Path) -> None:
    """Thousands of keys under one authority do not hold thousands of copies of it."""
    one = open_key(pem_file(tmp_path, lan().key_pem(PASSPHRASE), lan().chain_pem()), at=NOW)
    (tmp_path / "b").mkdir()
    two = open_key(pem_file(tmp_path / "b", lan("p256").key_pem(PASSPHRASE), lan("p256").chain_pem()), at=NOW)
    assert one.chain[0] is two.chain[0]
