"""A signing key out of its files: PKCS#12, or an encrypted PEM key and its certificates (RFC 7292, RFC 5958, RFC 7468).

A key at rest is encrypted, and nobody but its owner can read the file; anything else is refused, however convenient.
No passphrase and no part of a key may stand in a message; no passphrase outlives the reading of its file.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakValueDictionary

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from gateway.cms.algorithms import Algorithm, Scheme, raw_sign, verify_raw
from gateway.config.secrets import read_private, read_public, read_secret
from gateway.core.errors import SetupError
from gateway.pki.certificate import Certificate, CertificateError
from gateway.pki.graph import issuer_key, signed_by, subject_key
from gateway.pki.pkcs12 import open_container

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from gateway.cms.algorithms import SigningPrivateKey
    from gateway.config.keys import KeyFile
    from gateway.pki.pkcs12 import Contents

T = TypeVar("T")

_KEY_BAG: Final = bytes.fromhex("060b2a864886f70d010c0a0101")
"""The object identifier of a bag with a key in the clear, as it stands in the octets (RFC 7292 4.2.1)."""
_MAX_CERTIFICATES: Final = 20
_MAX_CHAIN: Final = 8
_ENCRYPT: Final = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Opened:
    """A private key with the certificate that names its public half."""

    private_key: SigningPrivateKey = field(repr=False)
    certificate: Certificate
    chain: tuple[Certificate, ...]
    """Issuers from the leaf's own upwards, as far as the file has them; a root may be the last."""
    alone: bool
    """The file has no other certificates: which of them are taken does not depend on the time."""


_OPENED: Final[WeakValueDictionary[bytes, Opened]] = WeakValueDictionary()
"""Keys that some catalog holds, by the seal of what they were read from: a reload opens only what changed."""
_SEALING: Final = secrets.token_bytes(32)
"""Makes a seal worthless outside of this process: nobody can try passphrases against it."""


def open_key(file: KeyFile, *, at: datetime) -> Opened:
    """Read and check the files of one key; `at` (aware) chooses among several certificates of the same key.

    The first time this is slow on purpose: the passphrase is stretched (some ms; 40 and more where only the library
    reads the form). While a catalog holds the key, the same octets under the same passphrase cost a hash. Raises one
    `SetupError`, each line naming file and label.
    """
    place, beside = key_place(file), file.certificate
    mistakes: list[str] = []
    passphrase = _collect(mistakes, file, lambda: _passphrase(file))
    octets = _collect(mistakes, file, lambda: read_private(place))
    public = _collect(mistakes, file, lambda: read_public(beside)) if beside is not None else b""
    if passphrase is None or octets is None or public is None:
        raise SetupError(*mistakes)
    seal = _seal(passphrase, octets, public)
    opened = _OPENED.get(seal)
    if opened is None:
        opened = _open(file, passphrase, octets, public, at)
        if opened.alone:
            _OPENED[seal] = opened
    return opened


def _seal(*secret: bytes) -> bytes:
    state = hashlib.blake2b(key=_SEALING, digest_size=32)
    for each in secret:
        state.update(len(each).to_bytes(8) + each)
    return state.digest()


def _open(file: KeyFile, passphrase: bytes, octets: bytes, public: bytes, at: datetime) -> Opened:
    try:
        if file.pkcs12 is not None:
            private_key, bag = _open_pkcs12(octets, passphrase)
        else:
            private_key, bag = _open_pem(octets, passphrase), Certificate.load_all(public)
        return _joined(private_key, bag, at)
    except CertificateError as error:
        words = f"a certificate cannot be read ({error.reason})"
        raise SetupError(mistake(file, words, certificate_place(file))) from error
    except _FaultError as error:
        where = certificate_place(file) if error.about_certificates else key_place(file)
        raise SetupError(mistake(file, str(error), where)) from error


def key_place(file: KeyFile) -> Path:
    """Return the file that holds the private key."""
    place = file.pkcs12 or file.key
    if place is None:  # the settings themselves refuse this
        raise SetupError(f"key {file.label!r}: neither pkcs12 nor key is given")
    return place


def certificate_place(file: KeyFile) -> Path:
    """Return the file that holds the certificates."""
    return file.certificate if file.certificate is not None else key_place(file)


def mistake(file: KeyFile, words: str, place: Path | None = None) -> str:
    """Return one line for an administrator: file, what is wrong, label."""
    return f"{place or key_place(file)}: {words} (key {file.label!r})"


class _FaultError(Exception):
    """What is wrong with the files, in words; never leaves this module."""

    def __init__(self, words: str, *, about_certificates: bool = False) -> None:
        super().__init__(words)
        self.about_certificates = about_certificates


def _collect(mistakes: list[str], file: KeyFile, read: Callable[[], T]) -> T | None:
    """Return what `read` returns; a `SetupError` of it becomes mistakes with the label."""
    try:
        return read()
    except SetupError as error:
        mistakes += (f"{line} (key {file.label!r})" for line in error.mistakes)
    return None


def _passphrase(file: KeyFile) -> bytes:
    if file.passphrase is None:
        raise SetupError(f"{key_place(file)}: passphrase is missing: a key at rest is encrypted")
    return read_secret(file.passphrase)


def _open_pkcs12(octets: bytes, passphrase: bytes) -> tuple[SigningPrivateKey, tuple[Certificate, ...]]:
    if octets[:1] != b"\x30":
        raise _FaultError("is not a PKCS#12 file")
    if _KEY_BAG in octets:
        raise _FaultError("its key is not encrypted, whatever the passphrase: export it again without -keypbe NONE")
    quick = open_container(octets, passphrase)
    if quick is not None:
        return _from_contents(quick)
    try:
        store = pkcs12.load_pkcs12(octets, passphrase)
    except UnsupportedAlgorithm as error:
        raise _FaultError("is encrypted in a way this system does not support: export it again") from error
    except (ValueError, TypeError) as error:
        raise _FaultError("the passphrase is wrong, or the file is damaged") from error
    if store.key is None:
        raise _FaultError("holds no private key")
    found = [each.certificate for each in (store.cert, *store.additional_certs) if each is not None]
    bag = tuple(Certificate.load(each.public_bytes(Encoding.DER)) for each in found[: _MAX_CERTIFICATES + 1])
    return _usable(store.key), bag


def _from_contents(contents: Contents) -> tuple[SigningPrivateKey, tuple[Certificate, ...]]:
    try:
        private_key = load_der_private_key(contents.key, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _FaultError("its private key cannot be read") from error
    bag = tuple(Certificate.load(each) for each in contents.certificates[: _MAX_CERTIFICATES + 1])
    return _proven(_usable(private_key)), bag


def _open_pem(octets: bytes, passphrase: bytes) -> SigningPrivateKey:
    if b"-----BEGIN " not in octets:
        raise _FaultError("is not a PEM file")
    try:
        return _proven(_usable(load_pem_private_key(octets, passphrase, unsafe_skip_rsa_key_validation=True)))
    except UnsupportedAlgorithm as error:
        raise _FaultError(f"is encrypted in a way this system does not support; run: {_ENCRYPT}") from error
    except TypeError as error:  # the library's answer to a passphrase that nothing needs
        raise _FaultError(f"the key is not encrypted; run: {_ENCRYPT}") from error
    except ValueError as error:
        raise _FaultError("the passphrase is wrong, or the file holds no private key") from error


def _usable(private_key: object) -> SigningPrivateKey:
    if not isinstance(private_key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise _FaultError("only RSA, P-256 and P-384 keys are used for signing")
    return private_key


def _proven(private_key: SigningPrivateKey) -> SigningPrivateKey:
    """Return the key if its parts belong together: one wrong number, and a signature could give the key away.

    For RSA (RFC 8017 3.2) this is what the library's own check does, in a hundredth of its time: the relations between
    the numbers are proven, and one signature shows that both primes are such (e times dP is 1 modulo p - 1, so that
    the value only comes back where Fermat's theorem holds; Boneh, DeMillo, Lipton 1997 for what a wrong part costs).
    """
    if not isinstance(private_key, rsa.RSAPrivateKey):
        return private_key
    numbers = private_key.private_numbers()
    p, q, e, n = numbers.p, numbers.q, numbers.public_numbers.e, numbers.public_numbers.n
    whole = (
        min(p, q) > 1
        and p * q == n
        and p != q
        and all(
            e * exponent % (prime - 1) == 1
            for exponent, prime in ((numbers.d, p), (numbers.d, q), (numbers.dmp1, p), (numbers.dmq1, q))
        )
        and numbers.iqmp * q % p == 1
    )
    if not (whole and _signs(private_key)):
        raise _FaultError("the key is damaged: its numbers do not belong together")
    return private_key


def _signs(private_key: rsa.RSAPrivateKey) -> bool:
    probe = secrets.token_bytes(32)
    try:
        value = raw_sign(private_key, probe, scheme=Scheme.PKCS1V15, digest="sha256")
    except (ValueError, InternalError):
        return False
    return verify_raw(private_key.public_key(), value, probe, algorithm=Algorithm("rsa", "sha256"))


def _joined(private_key: SigningPrivateKey, bag: Sequence[Certificate], at: datetime) -> Opened:
    """Return the key with its certificate, wherever in the bag that is, and the issuers that the bag has for it."""
    if not bag:
        raise _FaultError("holds no certificate", about_certificates=True)
    if len(bag) > _MAX_CERTIFICATES:
        raise _FaultError(f"holds more than {_MAX_CERTIFICATES} certificates", about_certificates=True)
    wanted = _identity(private_key.public_key())
    own = [each for each in bag if each.public_key is not None and _identity(each.public_key) == wanted]
    if not own:
        raise _FaultError("no certificate in it belongs to the key: key and certificate do not match")
    leaf = max(own, key=lambda each: (each.not_before <= at <= each.not_after, each.not_after))
    chain = _issuers(leaf, [each for each in bag if each not in own], at)
    return Opened(private_key, leaf, chain, alone=len(bag) == 1 + len(chain))


def _issuers(leaf: Certificate, bag: Sequence[Certificate], at: datetime) -> tuple[Certificate, ...]:
    """Return the chain above a leaf, those in date first where a CA has several certificates."""
    chain: list[Certificate] = []
    child = leaf
    while not child.self_issued and len(chain) < _MAX_CHAIN:
        named = [each for each in bag if subject_key(each) == issuer_key(child) and each not in chain]
        fitting = [each for each in named if signed_by(child, each)]
        if not fitting:
            if named:
                words = f"{child.subject}: its signature is not made by the issuer that stands in the file"
                raise _FaultError(words, about_certificates=True)
            break
        best = max(fitting, key=lambda each: (each.not_before <= at <= each.not_after, each.not_after))
        child = _shared(best.der)
        chain.append(child)
    if not chain and not leaf.self_issued:
        words = f"the intermediate certificate is missing: {leaf.issuer}"
        raise _FaultError(words, about_certificates=True)
    return tuple(chain)


@lru_cache(maxsize=256)
def _shared(der: bytes) -> Certificate:
    """Return one object for an issuer, however many keys are under it: 30,000 copies would take hundreds of MB."""
    return Certificate.load(der)


def _identity(public_key: PublicKeyTypes) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
