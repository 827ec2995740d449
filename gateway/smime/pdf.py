"""The one shape of a signed PDF that is judged without reading PDF: signed as a whole file (ISO 32000-2 12.8).

No object, page or stream is ever read. A signature counts where its ByteRange covers every octet of the file but one
hexadecimal string, which is the signature: then its signer has signed these very octets, whatever a viewer makes of
them. Files that were changed after signing (incremental saving, "shadow" attacks), hide something beside the string
(signature wrapping), or name the range in two ways are of another shape, and nothing is said about them.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.cms.asn1 import CmsError, head
from gateway.core.errors import InputError
from gateway.core.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK: Final = b"/ByteRange"
_RANGE: Final = re.compile(
    rb"/ByteRange\s{0,8}\[\s{0,8}(\d{1,10})\s{1,8}(\d{1,10})\s{1,8}(\d{1,10})\s{1,8}(\d{1,10})\s{0,8}\]"
)
_BEGIN: Final = b"%PDF-"
_MOST_RANGES: Final = 32
"""More are a file made to be slow; real ones have a handful."""
_MOST_HEXADECIMAL: Final = 512 * 1024


class PdfError(InputError):
    """A PDF whose signatures cannot be judged; `reason` is a stable code."""


@dataclass(frozen=True, slots=True)
class SignedPdf:
    """The signature around a whole file, and the octets that it covers."""

    cms: bytes
    content: Message


def signed_pdf(octets: bytes) -> SignedPdf | None:
    """Return the signature around the whole file, None for a file without any; raises `PdfError`."""
    marks = octets.count(MARK)
    if marks == 0:
        return None
    if octets[: len(_BEGIN)] != _BEGIN or marks > _MOST_RANGES:
        raise PdfError("pdf_shape")
    whole = list(_around_all(octets))
    if len(whole) != 1:
        raise PdfError("pdf_changed_after_signing" if not whole else "pdf_shape")
    ((before, after),) = whole
    everything = Message.of(octets)
    content = Message.join((everything.slice(0, before), everything.slice(after, len(octets))))
    return SignedPdf(_cms(octets[before:after]), content)


def _around_all(octets: bytes) -> Iterator[tuple[int, int]]:
    """Yield the gaps of the ranges that begin with the file and end with it."""
    for each in _RANGE.finditer(octets):
        start, length, again, rest = (int(number) for number in each.groups())
        if start == 0 and 0 < length < again and again + rest == len(octets):
            yield length, again


def _cms(gap: bytes) -> bytes:
    """Return the CMS in a hexadecimal string, without the zeros behind it; nothing else may stand in the gap."""
    if len(gap) > _MOST_HEXADECIMAL or gap[:1] != b"<" or gap[-1:] != b">":
        raise PdfError("pdf_shape")
    try:
        octets = binascii.a2b_hex(gap[1:-1])
        _, _, end = head(octets, 0, len(octets))
    except (binascii.Error, CmsError) as error:
        raise PdfError("pdf_shape") from error
    if end is None or octets[end:].strip(b"\0"):  # without a definite length nobody knows where the zeros begin
        raise PdfError("pdf_shape")
    return octets[:end]
