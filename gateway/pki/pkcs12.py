"""PKCS#12 files in today's form, opened without the costly part (RFC 7292, RFC 8018).

The library that reads every form proves an RSA key's primes each time, which takes 35 ms and more, and holds the
interpreter while it stretches the passphrase: thousands of keys would take minutes at every start. Here is the form
that is written today: password integrity, PBES2 with PBKDF2 and AES-CBC. Whatever is not exactly that, or does not
open, is None: then the library decides, and nothing is refused because of this module alone.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from asn1crypto import pkcs12
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCKS: Final = {"sha1": 64, "sha224": 64, "sha256": 64, "sha384": 128, "sha512": 128}
"""Digest -> octets it takes in at once: "v" of RFC 7292 B.2."""
_MAC_KEY: Final = 3
_MAX_ITERATIONS: Final = 2_000_000
_MAX_BAGS: Final = 64


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds: one private key and any number of certificates."""

    key: bytes = field(repr=False)
    """PrivateKeyInfo (DER), in the clear."""
    certificates: tuple[bytes, ...]
    """DER, in the file's order."""


def open_container(octets: bytes, passphrase: bytes) -> Contents | None:
    """Return what the file holds; None where it is of another form, damaged, or the passphrase (UTF-8) is wrong."""
    try:
        return _open(octets, passphrase)
    except Exception:  # noqa: BLE001 - the parser raises what the file's author chooses, and the library judges it next
        return None


def _open(octets: bytes, passphrase: bytes) -> Contents | None:
    file = pkcs12.Pfx.load(octets, strict=True)
    if file["version"].native != "v3" or file["auth_safe"]["content_type"].native != "data":
        return None
    safe = file["auth_safe"]["content"].native
    if not _genuine(file["mac_data"], safe, passphrase):
        return None
    keys: list[bytes] = []
    certificates: list[bytes] = []
    for count, bag in enumerate(_bags(safe, passphrase)):
        kind = bag["bag_id"].native
        if kind == "pkcs8_shrouded_key_bag":
            sealed = bag["bag_value"]
            keys.append(_decrypted(sealed["encryption_algorithm"], sealed["encrypted_data"].native, passphrase))
        elif kind == "cert_bag" and bag["bag_value"]["cert_id"].native == "x509":
            certificates.append(bag["bag_value"]["cert_value"].parsed.dump())
        else:
            return None
        if count >= _MAX_BAGS:
            return None
    return Contents(keys[0], tuple(certificates)) if len(keys) == 1 else None


def _bags(safe: bytes, passphrase: bytes) -> Iterator[Any]:
    for info in pkcs12.AuthenticatedSafe.load(safe, strict=True):
        match info["content_type"].native:
            case "data":
                inner = info["content"].native
            case "encrypted_data":
                sealed = info["content"]["encrypted_content_info"]
                algorithm = sealed["content_encryption_algorithm"]
                inner = _decrypted(algorithm, sealed["encrypted_content"].native, passphrase)
            case _:
                raise ValueError("a kind of content that is not opened here")
        yield from pkcs12.SafeContents.load(inner, strict=True)


def _genuine(mac: Any, safe: bytes, passphrase: bytes) -> bool:
    """Return whether whoever wrote the safe knew the passphrase (RFC 7292 appendix B.2)."""
    digest = mac["mac"]["digest_algorithm"]["algorithm"].native
    block = _BLOCKS[digest]
    iterations = _bounded(mac["iterations"].native)
    password = passphrase.decode("utf-8").encode("utf-16-be") + b"\0\0"
    stretched = bytes([_MAC_KEY]) * block + _filled(mac["mac_salt"].native, block) + _filled(password, block)
    hashed = getattr(hashlib, digest)  # one of the names above
    for _ in range(iterations):
        stretched = hashed(stretched).digest()
    return hmac.compare_digest(hmac.digest(stretched, safe, digest), mac["mac"]["digest"].native)


def _filled(octets: bytes, block: int) -> bytes:
    """Return the octets, repeated up to whole blocks."""
    size = -(-len(octets) // block) * block
    return (octets * (size // len(octets) + 1))[:size] if octets else b""


def _decrypted(algorithm: Any, sealed: bytes, passphrase: bytes) -> bytes:
    """Return the clear octets; raises `ValueError` or `KeyError` for anything but PBES2, PBKDF2 and AES-CBC."""
    if algorithm["algorithm"].native != "pbes2" or algorithm.kdf != "pbkdf2":
        raise ValueError("not PBES2")
    if (algorithm.encryption_cipher, algorithm.encryption_mode) != ("aes", "cbc"):
        raise ValueError("not AES-CBC")
    key = hashlib.pbkdf2_hmac(
        algorithm.kdf_hmac, passphrase, algorithm.kdf_salt, _bounded(algorithm.kdf_iterations), algorithm.key_length
    )
    opener = Cipher(algorithms.AES(key), modes.CBC(algorithm.encryption_iv)).decryptor()
    padding = PKCS7(128).unpadder()
    return padding.update(opener.update(sealed) + opener.finalize()) + padding.finalize()


def _bounded(iterations: int) -> int:
    if not 0 < iterations <= _MAX_ITERATIONS:
        raise ValueError("iterations")
    return iterations
