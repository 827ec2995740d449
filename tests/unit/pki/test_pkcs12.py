"""PKCS#12 opened without the library: the same as the library says, or nothing (RFC 7292)."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.demo.authority import pem
from gateway.pki.pkcs12 import Contents, open_container
from support.letters import lan

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE: Final = "mật khẩu 🔑".encode()


@lru_cache(maxsize=1)
def container() -> bytes:
    """Return a file as the library writes it."""
    return lan("p256").pkcs12(PASSPHRASE)


def exported(tmp: Path, *options: str) -> bytes:
    """Return the same key as `openssl pkcs12 -export` writes it."""
    files = {"k.pem": lan("p256").key_pem(), "c.pem": pem(lan("p256").certificate), "i.pem": pem(lan("p256").chain[0])}
    for file, octets in files.items():
        (tmp / file).write_bytes(octets)
    command = ("openssl", "pkcs12", "-export", "-inkey", "k.pem", "-in", "c.pem", "-certfile", "i.pem")
    given_options = ("-passout", "stdin", "-out", "out.p12", *options)
    subprocess.run((*command, *given_options), input=PASSPHRASE, cwd=tmp, check=True, timeout=30)
    return (tmp / "out.p12").read_bytes()


def clear(private_key: object) -> bytes:
    """Return a private key's octets, to compare."""
    return private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined,no-any-return]


def same(found: Contents, octets: bytes) -> bool:
    """Return whether the library finds the same key and certificates."""
    library = pkcs12.load_pkcs12(octets, PASSPHRASE)
    assert library.cert is not None
    certificates = {each.certificate.public_bytes(Encoding.DER) for each in (library.cert, *library.additional_certs)}
    return certificates == set(found.certificates) and clear(library.key) == clear(
        load_der_private_key(found.key, None)
    )


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-macalg", "sha512"),
        ("-macalg", "sha1", "-iter", "5"),
        ("-keypbe", "AES-128-CBC", "-certpbe", "AES-192-CBC"),
        ("-certpbe", "NONE"),
    ],
)
def test_what_openssl_writes_today_is_opened(options: tuple[str, ...], tmp_path: Path) -> None:
    """Key and certificates are those that the library finds."""
    octets = exported(tmp_path, *options)
    found = open_container(octets, PASSPHRASE)
    assert found is not None
    assert same(found, octets)


def test_what_the_library_writes_is_opened() -> None:
    """A passphrase beyond ASCII, and beyond the first 65,536 characters, is spelled as the library does."""
    found = open_container(container(), PASSPHRASE)
    assert found is not None
    assert same(found, container())
    assert repr(found).count("key=") == 0


@pytest.mark.parametrize(
    "options",
    [
        ("-legacy",),
        ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES"),
        ("-nomac",),
        ("-keypbe", "NONE"),
    ],
)
def test_every_other_form_is_left_to_the_library(options: tuple[str, ...], tmp_path: Path) -> None:
    """Old ciphers, no integrity, a key in the clear: not opened here."""
    assert open_container(exported(tmp_path, *options), PASSPHRASE) is None


@pytest.mark.parametrize("passphrase", [b"", b"sai", PASSPHRASE[:-1], PASSPHRASE + b"\0", b"\xff"])
def test_a_wrong_passphrase_opens_nothing(passphrase: bytes) -> None:
    """Not by chance either: the integrity code is checked before anything is decrypted."""
    assert open_container(container(), passphrase) is None


def test_a_file_without_a_key_opens_nothing() -> None:
    """Certificates alone are no signing key."""
    certificate = x509.load_der_x509_certificate(lan("p256").certificate)
    octets = pkcs12.serialize_java_truststore([pkcs12.PKCS12Certificate(certificate, b"x")], _encryption())
    assert open_container(octets, PASSPHRASE) is None


def _encryption() -> KeySerializationEncryption:
    return PrivateFormat.PKCS12.encryption_builder().build(PASSPHRASE)


@settings(max_examples=60)
@given(st.data())
def test_a_changed_octet_changes_nothing_that_is_believed(data: st.DataObject) -> None:
    """Whatever is flipped, the answer is None or what was in the file before."""
    octets = bytearray(container())
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found = open_container(bytes(octets), PASSPHRASE)
    assert found is None or found == open_container(container(), PASSPHRASE)


@given(st.binary(max_size=300))
def test_any_octets_are_answered(octets: bytes) -> None:
    """Whatever a file holds, there is an answer."""
    assert open_container(octets, PASSPHRASE) is None
