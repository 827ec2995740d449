"""ASN.1 from strangers, bounded before any parser sees it, and BER turned into definite lengths (X.690).

What is definite-length already keeps its octets, so that signatures over certificates and attributes stay good. Depth
is small, time linear in the size. A single object identifier with a huge arc is quadratic in the parser behind this
(200 KB take 5 s), so over-long ones are refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 48
MAX_ELEMENTS: Final = 100_000
"""Content of 64 MB in pieces of 1000 octets, as stream writers make it, and a third more."""
_MAX_OID: Final = 64
_MAX_INTEGER: Final = 2048
_OCTET_STRING: Final = 0x04
_CONSTRUCTED_OCTET_STRING: Final = 0x24
_CONSTRUCTED_STRINGS: Final = frozenset({0x23, 0x2C, 0x32, 0x33, 0x34, 0x36, 0x37, 0x38, 0x3A, 0x3B, 0x3C, 0x3E})
_END_OF_CONTENTS: Final = b"\0\0"


class CmsError(InputError):
    """A cryptographic message that cannot be read; `reason` is a stable code."""


class _Element(NamedTuple):
    """One element rewritten: pieces to be joined, their octets, where the next one begins, and whether it changed."""

    pieces: tuple[bytes | memoryview, ...]
    size: int
    end: int
    changed: bool


class Node(NamedTuple):
    """Where one element of definite length lies: its first identifier octet, and offsets."""

    tag: int
    start: int
    content: int
    end: int


def children(octets: bytes, content: int, end: int) -> Iterator[Node]:
    """Yield the elements in [content, end) of octets that went through `definite`; raises `CmsError`."""
    position = content
    while position < end:
        tag, inner, stop = head(octets, position, end)
        if stop is None:
            raise CmsError("malformed_cms")
        yield Node(tag, position, inner, stop)
        position = stop


def definite(octets: bytes, *, limit: int) -> bytes:
    """Return one element with all its lengths definite and octet strings in one piece; the same object if it was so.

    Raises `CmsError` when it is malformed, over a bound, or followed by anything.
    """
    if len(octets) > limit:
        raise CmsError("cms_too_large")
    element = _Walker(octets).element(0, len(octets), 0)
    if element.end != len(octets):
        raise CmsError("trailing_octets")
    return b"".join(element.pieces) if element.changed else octets


class _Walker:
    """One pass over the octets of one element."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._view = memoryview(octets)
        self._count = 0

    def element(self, start: int, stop: int, depth: int) -> _Element:
        """Return the element that begins at `start`, bounded by `stop`."""
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise CmsError("cms_too_complex")
        tag, content, end = head(self._octets, start, stop)
        if tag == _CONSTRUCTED_OCTET_STRING:
            pieces, after = self._octet_string(content, end, stop, depth)
            return _wrapped(bytes([_OCTET_STRING]), pieces, sum(map(len, pieces)), after)
        if tag in _CONSTRUCTED_STRINGS:
            raise CmsError("constructed_string")
        if not tag & 0x20:
            if end is None:
                raise CmsError("malformed_cms")
            if (tag == 0x06 and end - content > _MAX_OID) or (tag == 0x02 and end - content > _MAX_INTEGER):  # noqa: PLR2004 - X.690 tags
                raise CmsError("oversized_value")
            return _Element((self._view[start:end],), end - start, end, changed=False)
        children, after = self._children(content, end, stop, depth)
        if end is not None and not any(each.changed for each in children):
            return _Element((self._view[start:end],), end - start, end, changed=False)
        tag_octets = self._octets[start : _tag_end(self._octets, start)]
        pieces = tuple(piece for each in children for piece in each.pieces)
        return _wrapped(tag_octets, pieces, sum(each.size for each in children), after)

    def _children(self, content: int, end: int | None, stop: int, depth: int) -> tuple[list[_Element], int]:
        """Return the elements inside a constructed one, and where it ends."""
        children: list[_Element] = []
        position = content
        bound = stop if end is None else end
        while position < bound:
            if end is None and self._octets[position : position + 2] == _END_OF_CONTENTS:
                return children, position + 2
            child = self.element(position, bound, depth + 1)
            children.append(child)
            position = child.end
        if end is None:
            raise CmsError("malformed_cms")
        return children, end

    def _octet_string(
        self, content: int, end: int | None, stop: int, depth: int
    ) -> tuple[tuple[bytes | memoryview, ...], int]:
        """Return the octets of a constructed OCTET STRING as pieces, and where it ends."""
        pieces: list[bytes | memoryview] = []
        position = content
        bound = stop if end is None else end
        while position < bound:
            if end is None and self._octets[position : position + 2] == _END_OF_CONTENTS:
                return tuple(pieces), position + 2
            self._count += 1
            if depth > MAX_DEPTH or self._count > MAX_ELEMENTS:
                raise CmsError("cms_too_complex")
            tag, inner, inner_end = head(self._octets, position, bound)
            if tag == _CONSTRUCTED_OCTET_STRING:
                nested, position = self._octet_string(inner, inner_end, bound, depth + 1)
                pieces += nested
            elif tag == _OCTET_STRING and inner_end is not None:
                pieces.append(self._view[inner:inner_end])
                position = inner_end
            else:
                raise CmsError("malformed_cms")
        if end is None:
            raise CmsError("malformed_cms")
        return tuple(pieces), end


def _tag_end(octets: bytes, start: int) -> int:
    """Return where the identifier octets end."""
    if octets[start] & 0x1F != 0x1F:  # noqa: PLR2004 - X.690 8.1.2
        return start + 1
    for position in range(start + 1, min(start + 4, len(octets))):
        if not octets[position] & 0x80:
            return position + 1
    raise CmsError("malformed_cms")


def head(octets: bytes, start: int, stop: int) -> tuple[int, int, int | None]:
    """Return first identifier octet, begin of contents, and their end (None: indefinite)."""
    if start + 2 > stop:
        raise CmsError("malformed_cms")
    position = _tag_end(octets, start)
    if position >= stop:
        raise CmsError("malformed_cms")
    tag, first = octets[start], octets[position]
    position += 1
    if first == 0x80:  # noqa: PLR2004 - X.690 8.1.3.6
        if not tag & 0x20:
            raise CmsError("malformed_cms")
        return tag, position, None
    length = first
    if first > 0x80:  # noqa: PLR2004 - X.690 8.1.3.5
        count = first & 0x7F
        if count > 5 or position + count > stop:  # noqa: PLR2004 - 5 octets hold any size we take
            raise CmsError("malformed_cms")
        length = int.from_bytes(octets[position : position + count], "big")
        position += count
    if position + length > stop:
        raise CmsError("malformed_cms")
    return tag, position, position + length


def _wrapped(tag: bytes, pieces: tuple[bytes | memoryview, ...], size: int, end: int) -> _Element:
    """Return contents under a tag with a definite length."""
    head = tag + length_octets(size)
    return _Element((head, *pieces), len(head) + size, end, changed=True)


def length_octets(size: int) -> bytes:
    """Return DER length octets (X.690 10.1)."""
    if size < 0x80:  # noqa: PLR2004 - the short form
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def sorted_set(octets: bytes) -> bytes:
    """Return a SET OF (definite, any tag) as DER wants it: elements in order, under the universal tag (X.690 11.6)."""
    _, content, end = head(octets, 0, len(octets))
    elements = (octets[each.start : each.end] for each in children(octets, content, end or len(octets)))
    return tlv(0x31, *sorted(elements))


def tlv(tag: int, *contents: bytes) -> bytes:
    """Return one DER element."""
    content = b"".join(contents)
    return bytes([tag]) + length_octets(len(content)) + content
