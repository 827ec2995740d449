"""Signature algorithms by name, and the two operations on raw values (RFC 4055, 5754, 5758, 8419, 9882).

We read more algorithms than we write. What is too weak to be believed is said in `pki.strength`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa, utils

from gateway.pki.strength import MAX_RSA_BITS, MIN_RSA_BITS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

SigningPrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

DIGESTS: Final[dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
"""hashlib names of the digests that are strong enough."""
_READABLE: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    **DIGESTS,
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "md5": hashes.MD5,
}
ML_DSA: Final = {
    "ml_dsa_44": mldsa.MLDSA44PublicKey,
    "ml_dsa_65": mldsa.MLDSA65PublicKey,
    "ml_dsa_87": mldsa.MLDSA87PublicKey,
}
"""Family -> kind of key: a parameter set is part of the algorithm (RFC 9882 2)."""
_MICALG: Final = {"sha256": "sha-256", "sha384": "sha-384", "sha512": "sha-512"}


class Scheme(StrEnum):
    """How a raw signature value is made from a digest."""

    PKCS1V15 = "pkcs1v15"
    PSS = "pss"
    ECDSA = "ecdsa"


class UnfitKeyError(ValueError):
    """Key, scheme and digest do not go together, or the key is too weak."""


def micalg(digest: str) -> str:
    """Return the `micalg` parameter for a digest (RFC 8551 3.5.3.2)."""
    return _MICALG[digest]


def check_fit(public_key: object, *, scheme: Scheme, digest: str) -> None:
    """Raise `UnfitKeyError` unless we sign with this combination.

    P-384 needs SHA-384 or longer: one widespread verifier calls SHA-256 there "not valid".
    """
    if digest not in DIGESTS:
        raise UnfitKeyError(f"digest {digest} is not used for signing")
    match public_key:
        case rsa.RSAPublicKey():
            if scheme is Scheme.ECDSA:
                raise UnfitKeyError("an RSA key cannot make ECDSA signatures")
            if not MIN_RSA_BITS <= public_key.key_size <= MAX_RSA_BITS:
                raise UnfitKeyError(f"RSA key of {public_key.key_size} bits (2048 to 8192 are used)")
        case ec.EllipticCurvePublicKey():
            if scheme is not Scheme.ECDSA:
                raise UnfitKeyError("an elliptic curve key makes ECDSA signatures only")
            fitting = {"secp256r1": set(DIGESTS), "secp384r1": {"sha384", "sha512"}}.get(public_key.curve.name, set())
            if digest not in fitting:
                raise UnfitKeyError(f"{digest} with curve {public_key.curve.name} is not used for signing")
        case _:
            raise UnfitKeyError("only RSA, P-256 and P-384 keys are used for signing")


def default_scheme(public_key: object) -> tuple[Scheme, str]:
    """Return scheme and digest for a key when the administrator named none."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return Scheme.ECDSA, "sha384" if public_key.curve.name == "secp384r1" else "sha256"
    return Scheme.PKCS1V15, "sha256"


def raw_sign(private_key: SigningPrivateKey, data: bytes, *, scheme: Scheme, digest: str) -> bytes:
    """Return the signature value over `data`; raises `UnfitKeyError`."""
    algorithm = DIGESTS[digest]()
    match private_key:
        case rsa.RSAPrivateKey() if scheme is Scheme.PKCS1V15:
            return private_key.sign(data, padding.PKCS1v15(), algorithm)
        case rsa.RSAPrivateKey() if scheme is Scheme.PSS:
            salted = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            return private_key.sign(data, salted, algorithm)
        case ec.EllipticCurvePrivateKey() if scheme is Scheme.ECDSA:
            return private_key.sign(data, ec.ECDSA(algorithm))
    raise UnfitKeyError("key and scheme do not go together")


class Algorithm(NamedTuple):
    """What a SignerInfo says about its signature value."""

    family: str
    """ "rsa", "pss", "ecdsa", "ed25519", "ml_dsa_44", "ml_dsa_65" or "ml_dsa_87"."""
    digest: str
    """hashlib name; of no effect for the last four."""
    salt_length: int | None = None
    """Octets; RSASSA-PSS only."""


def verify_raw(
    public_key: PublicKeyTypes, signature: bytes, data: bytes, *, algorithm: Algorithm, prehashed: bool = False
) -> bool:
    """Return whether the value is this key's signature over `data` (`prehashed`: over what has this digest).

    True says nothing about strength: weak digests are tried as well, for the sake of a true reason. A key of another
    family than the algorithm's never fits (algorithm confusion). Ed25519 and ML-DSA sign octets, never a digest.
    """
    kind = _READABLE.get(algorithm.digest)
    digest = kind() if kind is not None else None
    given = utils.Prehashed(digest) if prehashed and digest is not None else digest
    family = algorithm.family
    try:
        match public_key:
            case rsa.RSAPublicKey() if family == "rsa" and given is not None:
                public_key.verify(signature, data, padding.PKCS1v15(), given)
            case rsa.RSAPublicKey() if family == "pss" and digest and given and algorithm.salt_length is not None:
                public_key.verify(signature, data, padding.PSS(padding.MGF1(digest), algorithm.salt_length), given)
            case ec.EllipticCurvePublicKey() if family == "ecdsa" and given is not None:
                public_key.verify(signature, data, ec.ECDSA(given))
            case ed25519.Ed25519PublicKey() if family == "ed25519" and not prehashed:
                public_key.verify(signature, data)
            case mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey() if (
                family in ML_DSA and isinstance(public_key, ML_DSA[family]) and not prehashed
            ):
                public_key.verify(signature, data)
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
