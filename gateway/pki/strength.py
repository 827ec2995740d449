"""Which public keys and digests may be believed (RFC 8550 4.3, RFC 8551 2.2, RFC 5480 2.1.1).

SHA-1, MD5, DSA, explicit curve parameters, RSA below 2048 or above 8192 bits never pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from gateway.pki.certificate import Certificate

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
_MAX_EXPONENT_BITS: Final = 64
"""A huge public exponent makes every check as slow as a signature; real ones are 3 and 65537."""
STRONG_DIGESTS: Final = frozenset({"sha256", "sha384", "sha512"})
"""hashlib names."""
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_ML_DSA: Final = {
    mldsa.MLDSA44PublicKey: "ML-DSA-44",
    mldsa.MLDSA65PublicKey: "ML-DSA-65",
    mldsa.MLDSA87PublicKey: "ML-DSA-87",
}


def costly_key(public_key: PublicKeyTypes | None) -> bool:
    """Return True for a key that must not even be tried: the work is what its author chose."""
    if not isinstance(public_key, rsa.RSAPublicKey):
        return False
    return public_key.key_size > MAX_RSA_BITS or public_key.public_numbers().e.bit_length() > _MAX_EXPONENT_BITS


def weak_key(public_key: PublicKeyTypes | None) -> bool:
    """Return True for a key that must not be believed: of an unfit size, or of a kind we do not read."""
    match public_key:
        case rsa.RSAPublicKey():
            return public_key.key_size < MIN_RSA_BITS or costly_key(public_key)
        case ec.EllipticCurvePublicKey():
            return public_key.curve.name not in _CURVES
        case ed25519.Ed25519PublicKey():
            return False
    return not isinstance(public_key, tuple(_ML_DSA))


class Strength(NamedTuple):
    """What is asked about the key of a certificate for each signature."""

    costly: bool
    weak: bool
    text: str

    @classmethod
    def of(cls, public_key: PublicKeyTypes | None) -> Strength:
        """Return what the functions of these names say."""
        return cls(costly_key(public_key), weak_key(public_key), key_text(public_key))


def weak_signature(certificate: Certificate) -> bool:
    """Return whether the certificate is signed over a digest that can be forged."""
    try:
        digest = certificate.parsed.signature_hash_algorithm
    except Exception:  # noqa: BLE001 - unknown algorithms raise several kinds
        return True
    return digest is not None and digest.name not in STRONG_DIGESTS


def key_text(public_key: PublicKeyTypes | None) -> str:
    """Return "RSA-2048", "P-256" and the like for people."""
    match public_key:
        case rsa.RSAPublicKey():
            return f"RSA-{public_key.key_size}"
        case ec.EllipticCurvePublicKey():
            return _CURVES.get(public_key.curve.name, public_key.curve.name)
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case None:
            return "unknown key"
    return next((name for kind, name in _ML_DSA.items() if isinstance(public_key, kind)), type(public_key).__name__)
