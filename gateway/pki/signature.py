"""Whether a key made a signature over octets of a certificate, a list or an answer (RFC 5280 4.1.1.3, RFC 8017 8).

Weak digests are the caller's to refuse; a key that is costly to use is not even tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

from gateway.pki.strength import costly_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


def made_by(
    key: PublicKeyTypes | None,
    *,
    signature: bytes,
    octets: bytes,
    parameters: object,
    digest: hashes.HashAlgorithm | None,
) -> bool:
    """Return whether the key made the signature over the octets.

    `parameters` are those of the signature algorithm as `cryptography` reads them: a padding, `ec.ECDSA`, or anything
    where the key knows but one way. An algorithm of another family than the key's is no signature of it.
    """
    if key is None or costly_key(key):
        return False
    try:
        match key:
            case rsa.RSAPublicKey() if isinstance(parameters, padding.PKCS1v15 | padding.PSS) and digest is not None:
                key.verify(signature, octets, parameters, digest)
            case ec.EllipticCurvePublicKey() if isinstance(parameters, ec.ECDSA):
                key.verify(signature, octets, parameters)
            case (
                ed25519.Ed25519PublicKey()
                | mldsa.MLDSA44PublicKey()
                | mldsa.MLDSA65PublicKey()
                | mldsa.MLDSA87PublicKey()
            ):
                key.verify(signature, octets)
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
