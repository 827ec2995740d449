"""What a signer's program writes is the same each time, but for digest, time and signature value: known again by it.

A signature is laid out like an earlier one where all octets are the same outside of some contents of primitive
elements: no tag and no length is among them, so that whoever walks through either comes to the same elements. Nothing
here says whether a value is good; it only says where it stands, and each is read anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.cms.asn1 import children
from gateway.cms.signer import MESSAGE_DIGEST, SIGNING_TIME, dotted, utc_time

if TYPE_CHECKING:
    from gateway.cms.asn1 import Node
    from gateway.cms.signer import SignerInfo

_CONTENT_IDENTIFIER: Final = "1.2.840.113549.1.9.16.2.7"
_PRIMITIVE: Final = {MESSAGE_DIGEST: 0x04, SIGNING_TIME: 0x17, _CONTENT_IDENTIFIER: 0x04}
"""Attributes whose one value differs from message to message, and its tag."""
_ATTRIBUTES: Final = 0xA0
_SIGNATURE: Final = 0x04
_SHORT: Final = 2
"""Octets of tag and length, where the length has one."""

Span = tuple[int, int]


class Layout(NamedTuple):
    """Where things stand in a CMS with one signer: begin and end of each."""

    attributes: Span
    """Signed attributes, their tag included."""
    digest: Span
    time: Span | None
    """UTCTime, its tag included."""
    signature: Span
    same: tuple[Span, ...]
    """All octets but the contents that may be others the next time."""


def layout_of(octets: bytes, signer: Node) -> Layout | None:
    """Return the layout of a CMS that has been read, whose one signer is at `signer`; None where it has no such one."""
    parts = list(children(octets, signer.content, signer.end))
    attributes = next((each for each in parts if each.tag == _ATTRIBUTES), None)
    signature = next((each for each in parts if each.tag == _SIGNATURE), None)
    if attributes is None or signature is None:
        return None
    values: dict[str, Node] = {}
    for each in children(octets, attributes.content, attributes.end):
        name, several = children(octets, each.content, each.end)
        oid = dotted(octets[name.start : name.end])
        if oid in _PRIMITIVE:
            found = list(children(octets, several.content, several.end))
            if oid in values or len(found) != 1 or found[0].tag != _PRIMITIVE[oid]:
                return None
            values[oid] = found[0]
    if MESSAGE_DIGEST not in values or any(each.content - each.start != _SHORT for each in values.values()):
        return None
    digest, time = values[MESSAGE_DIGEST], values.get(SIGNING_TIME)
    if time is not None and utc_time(octets[time.start : time.end]) is None:
        return None
    others = sorted((each.content, each.end) for each in (*values.values(), signature))
    begins, ends = (0, *(end for _, end in others)), (*(begin for begin, _ in others), len(octets))
    return Layout(
        attributes=(attributes.start, attributes.end),
        digest=(digest.content, digest.end),
        time=(time.start, time.end) if time is not None else None,
        signature=(signature.content, signature.end),
        same=tuple(zip(begins, ends, strict=True)),
    )


def same_octets(octets: bytes, layout: Layout) -> bytes:
    """Return the octets by which a CMS of this layout is known again."""
    return b"".join([octets[begin:end] for begin, end in layout.same])


def refilled(signer: SignerInfo, octets: bytes, layout: Layout) -> SignerInfo | None:
    """Return the signer of a CMS that is the same as that of `signer` but for what differs; None for an odd time."""
    time = utc_time(octets[slice(*layout.time)]) if layout.time is not None else None
    if time is None and layout.time is not None:
        return None
    begin, end = layout.attributes
    return signer._replace(
        claimed_signing_time=time,
        signature=octets[slice(*layout.signature)],
        message_digest=octets[slice(*layout.digest)],
        signed_attributes=b"\x31" + octets[begin + 1 : end],
    )
