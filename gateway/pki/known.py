"""Trust anchors whose fingerprints ship with the program, for comparing what an administrator imports (RFC 5280 6.1.1).

A fingerprint here is no trust: nothing is an anchor that nobody imported. It only tells a person who typed a pin wrong,
or was handed another file, that the certificate is not the published one. A newer generation never replaces an older.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class KnownAnchor:
    """One published root."""

    fingerprint: str
    """SHA-256 of the DER, hexadecimal, lower case."""
    common_name: str
    """Of its subject."""
    generation: str
    not_after: dt.date
    family: str
    """Name of the family that is suggested for it."""
    vietnamese: str
    english: str


KNOWN: Final = (
    KnownAnchor(
        fingerprint="f7bc89054cec7f12730d7b8cd3eb7955b163835087e5eb873edfb584763b3f90",
        common_name="Co quan chung thuc so chuyen dung Chinh phu (RootCA)",
        generation="G1",
        not_after=dt.date(2030, 3, 5),
        family="vgca",
        vietnamese="chuyên dùng công vụ",
        english="official duty (government)",
    ),
    KnownAnchor(
        fingerprint="f04ba4b459a7c9a1b971ad9b1cb833e695a80c79aea63b174b66a70edfe2fdb8",
        common_name="RootCA chuyên dùng Chính phủ G2",
        generation="G2",
        not_after=dt.date(2048, 8, 14),
        family="vgca",
        vietnamese="chuyên dùng công vụ",
        english="official duty (government)",
    ),
)


def known_anchor(fingerprint: str) -> KnownAnchor | None:
    """Return the published root with a fingerprint (SHA-256, hexadecimal, lower case), None for any other."""
    return next((each for each in KNOWN if each.fingerprint == fingerprint), None)
