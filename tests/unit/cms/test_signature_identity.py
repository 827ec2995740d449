"""What a signature is known by when it comes again: nothing that a stranger can change without breaking it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gateway.cms.verify import open_signed
from support.forger import CONTENT, Forger, fault, raw
from support.letters import lan

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""


def identity(made: Forger) -> str:
    """Return what a forger's one signature is known by."""
    (signer,) = open_signed(made.cms(CONTENT)).signers
    return signer.signature_identity


def test_the_mirror_image_of_an_ecdsa_signature_is_the_same() -> None:
    """Both are good: by the value, a replay would look new."""
    made: list[bytes] = []

    def once(data: bytes) -> bytes:
        made.append(raw(lan("p256").key, data))
        return made[0]

    def other(_: bytes) -> bytes:
        r, s = decode_dss_signature(made[0])
        return encode_dss_signature(r, _ORDER - s)

    first, second = Forger(lan("p256"), sign=once), Forger(lan("p256"), sign=other)
    assert fault(first) is None
    assert identity(first) == identity(first.but(sign=lambda _: made[0]))
    assert fault(second) is None
    assert other(b"") != made[0]
    assert identity(second) == identity(first.but(sign=lambda _: made[0]))


@pytest.mark.parametrize("shape", ["p256", "rsa2048"])
def test_two_signatures_are_two(shape: str) -> None:
    """Over another content in any case."""
    made = Forger(lan(shape))
    (signer,) = open_signed(made.cms(CONTENT + b"x")).signers
    assert signer.signature_identity != identity(made)


def test_what_is_no_signature_has_an_identity_too() -> None:
    """It is good for nothing, and no fault of ours."""
    junk = Forger(lan("p256"), sign=lambda _: b"\x30\x00")
    assert fault(junk) is not None
    assert len(identity(junk)) == 64
    assert identity(junk) != identity(junk.but(sign=lambda _: b"\x30\x01\x00"))
