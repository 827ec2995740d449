"""Names and raw operations of signature algorithms: what fits together, and that a mismatch is never a signature."""

from __future__ import annotations

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from gateway.cms.algorithms import (
    Algorithm,
    Scheme,
    UnfitKeyError,
    check_fit,
    default_scheme,
    micalg,
    raw_sign,
    verify_raw,
)
from gateway.demo.authority import shared_key

DATA = b"to be signed"
KEYS = {
    "rsa": shared_key("rsa2048", 1),
    "p256": shared_key("p256", 1),
    "p384": shared_key("p384", 1),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ml_dsa_44": mldsa.MLDSA44PrivateKey.generate(),
    "ml_dsa_65": mldsa.MLDSA65PrivateKey.generate(),
}
MADE = {
    "rsa": (Scheme.PKCS1V15, Algorithm("rsa", "sha256")),
    "pss": (Scheme.PSS, Algorithm("pss", "sha256", 32)),
    "p256": (Scheme.ECDSA, Algorithm("ecdsa", "sha256")),
    "p384": (Scheme.ECDSA, Algorithm("ecdsa", "sha384")),
    "ed25519": (None, Algorithm("ed25519", "sha512")),
    "ml_dsa_44": (None, Algorithm("ml_dsa_44", "sha512")),
    "ml_dsa_65": (None, Algorithm("ml_dsa_65", "sha512")),
}


def signature(kind: str) -> bytes:
    scheme, algorithm = MADE[kind]
    key = KEYS["rsa" if kind == "pss" else kind]
    if scheme is None:
        return bytes(key.sign(DATA))  # type: ignore[union-attr,call-arg]
    return raw_sign(key, DATA, scheme=scheme, digest=algorithm.digest)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", sorted(MADE))
def test_only_the_algorithm_that_was_used_verifies(kind: str) -> None:
    """Every other key and every other algorithm is refused, without an exception (algorithm confusion)."""
    value = signature(kind)
    own = "rsa" if kind == "pss" else kind
    for (key_kind, key), (_, algorithm) in itertools.product(KEYS.items(), MADE.values()):
        expected = key_kind == own and algorithm == MADE[kind][1]
        assert verify_raw(key.public_key(), value, DATA, algorithm=algorithm) is expected
    assert not verify_raw(KEYS[own].public_key(), value, DATA + b"x", algorithm=MADE[kind][1])
    assert not verify_raw(KEYS[own].public_key(), value[:-1], DATA, algorithm=MADE[kind][1])
    assert not verify_raw(KEYS[own].public_key(), b"", DATA, algorithm=MADE[kind][1])


@pytest.mark.parametrize(
    "algorithm",
    [
        Algorithm("", ""),
        Algorithm("rsa", ""),
        Algorithm("rsa", "no-such"),
        Algorithm("pss", "sha256"),
        Algorithm("pss", "sha256", -5),
        Algorithm("pss", "sha256", 10**9),
        Algorithm("ecdsa", ""),
        Algorithm("dsa", "sha256"),
    ],
)
def test_what_makes_no_sense_is_no_signature(algorithm: Algorithm) -> None:
    """Unknown names and impossible numbers are False, never a fault."""
    for kind in MADE:
        key = KEYS["rsa" if kind == "pss" else kind]
        assert verify_raw(key.public_key(), signature(kind), DATA, algorithm=algorithm) is False


def test_keys_of_kinds_that_are_not_read() -> None:
    """Ed448 may sign well; we do not read it."""
    key = ed448.Ed448PrivateKey.generate()
    assert not verify_raw(key.public_key(), key.sign(DATA), DATA, algorithm=Algorithm("ed25519", "sha512"))


def test_fit_of_keys() -> None:
    """RSA of 2048 to 8192 bits with PKCS#1 v1.5 or PSS, P-256 with any digest, P-384 with SHA-384 or longer."""
    fits = {
        (shape, scheme, digest)
        for shape, scheme, digest in itertools.product(
            ("rsa", "p256", "p384", "ed25519"), Scheme, ("sha1", "sha256", "sha384", "sha512")
        )
        if _fits(KEYS[shape].public_key(), scheme, digest)
    }
    strong = ("sha256", "sha384", "sha512")
    assert fits == {
        *(("rsa", scheme, digest) for scheme in (Scheme.PKCS1V15, Scheme.PSS) for digest in strong),
        *(("p256", Scheme.ECDSA, digest) for digest in strong),
        *(("p384", Scheme.ECDSA, digest) for digest in strong[1:]),
    }
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP521R1())):  # noqa: S505 - weak
        scheme = Scheme.PKCS1V15 if isinstance(key, rsa.RSAPrivateKey) else Scheme.ECDSA
        assert not _fits(key.public_key(), scheme, "sha512")


def _fits(key: object, scheme: Scheme, digest: str) -> bool:
    try:
        check_fit(key, scheme=scheme, digest=digest)
    except UnfitKeyError:
        return False
    return True


def test_defaults_fit() -> None:
    """What is chosen where nobody chose is always a combination that is used."""
    for shape in ("rsa", "p256", "p384"):
        scheme, digest = default_scheme(KEYS[shape].public_key())
        check_fit(KEYS[shape].public_key(), scheme=scheme, digest=digest)
    assert default_scheme(KEYS["p384"].public_key()) == (Scheme.ECDSA, "sha384")


def test_signing_refuses_a_scheme_of_another_key() -> None:
    """The last guard before the key."""
    with pytest.raises(UnfitKeyError):
        raw_sign(KEYS["rsa"], DATA, scheme=Scheme.ECDSA, digest="sha256")  # type: ignore[arg-type]
    with pytest.raises(UnfitKeyError):
        raw_sign(KEYS["p256"], DATA, scheme=Scheme.PSS, digest="sha256")  # type: ignore[arg-type]


def test_micalg_names() -> None:
    """RFC 8551 3.5.3.2: with a hyphen."""
    assert [micalg(each) for each in ("sha256", "sha384", "sha512")] == ["sha-256", "sha-384", "sha-512"]
