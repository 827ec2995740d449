"""What speaks against pinning a certificate, beyond what its administrator compared (RFC 5280 4.2.1.9 and 6.1.1).

The fingerprint is the proof; the rest guards against the wrong file with the right intention. An objection is final, or
may be overruled with a reason that is kept.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.pki.graph import signed_by
from gateway.pki.known import KNOWN, known_anchor
from gateway.pki.strength import weak_key, weak_signature

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from gateway.pki.certificate import Certificate
    from gateway.trust.index import PinKind


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason not to pin a certificate, for people."""

    vietnamese: str
    english: str
    final: bool
    """No reason overrules it."""


_IMPOSTOR: Final = Objection(
    "mang tên một gốc đã công bố nhưng dấu vân tay khác: không phải gốc ấy",
    "it bears the name of a published root, with another fingerprint: it is not that root",
    final=True,
)
_WEAK_KEY: Final = Objection(
    "khóa quá yếu, hoặc thuộc loại không dùng", "its key is too weak, or of a kind that is not used", final=True
)
_WEAK_DIGEST: Final = Objection(
    "được ký bằng hàm băm không còn tin được (SHA-1, MD5)",
    "it is signed over a digest that is not believed any more (SHA-1, MD5)",
    final=True,
)
_ROOT: Final = Objection(
    "tự ký: đây là gốc, thêm vào không có --intermediate",
    "it is self-signed: a root, to be added without --intermediate",
    final=True,
)
_NO_AUTHORITY: Final = Objection("không phải chứng thư của nơi cấp (CA)", "it is not an authority's (CA)", final=True)
_LEAF: Final = Objection(_NO_AUTHORITY.vietnamese, _NO_AUTHORITY.english, final=False)
_NOT_SELF_SIGNED: Final = Objection("không tự ký", "it is not self-signed", final=False)
_ENDED: Final = Objection("đã hết hạn", "it has ended", final=False)
_NOT_BEGUN: Final = Objection("chưa đến hạn", "it has not begun", final=False)


def objections(certificate: Certificate, *, kind: PinKind, now: dt.datetime) -> tuple[Objection, ...]:
    """Return what speaks against pinning a certificate now (aware), what is final first."""
    found = [*_of_any(certificate, now), *(_of_anchor if kind == "anchor" else _of_intermediate)(certificate)]
    return tuple(sorted(found, key=lambda each: not each.final))


def _of_any(certificate: Certificate, now: dt.datetime) -> Iterator[Objection]:
    if known_anchor(certificate.fingerprint) is None and _folded(certificate.common_name or "") in _KNOWN_NAMES:
        yield _IMPOSTOR
    if weak_key(certificate.public_key):
        yield _WEAK_KEY
    if certificate.not_after < now:
        yield _ENDED
    if certificate.not_before > now:
        yield _NOT_BEGUN


def _of_anchor(certificate: Certificate) -> Iterator[Objection]:
    if not certificate.ca:
        yield _LEAF
    if not _self_signed(certificate):
        yield _NOT_SELF_SIGNED


def _of_intermediate(certificate: Certificate) -> Iterator[Objection]:
    if not certificate.ca:
        yield _NO_AUTHORITY
    if certificate.self_issued:
        yield _ROOT
    if weak_signature(certificate):
        yield _WEAK_DIGEST


def _self_signed(certificate: Certificate) -> bool:
    """Return whether its own key signed it; over SHA-1 as well, which proves nothing, and need not for an anchor."""
    return certificate.self_issued and signed_by(certificate, certificate)


def _folded(name: str) -> str:
    """Return a name as people compare it: one form of Unicode, no case, no marks, no doubled blanks."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    return " ".join(plain.replace("đ", "d").replace("Đ", "D").casefold().split())


_KNOWN_NAMES: Final = frozenset(_folded(each.common_name) for each in KNOWN)
