"""ASN.1 from strangers, bounded before any parser sees it, and BER turned into definite lengths (X.690).

What is definite-length already keeps its octets, so that signatures over certificates and attributes stay good. Depth
is small, time linear in the size. A single object identifier with a huge arc is quadratic in the parser behind this
(200 KB take 5 s), so over-long ones are refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.errors import InputError
from gateway.core.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 48
MAX_ELEMENTS: Final = 50_000
"""Beside one more for every `_OCTETS_A_PIECE`: stream writers cut content into pieces of 1000 octets."""
_OCTETS_A_PIECE: Final = 512
_MAX_CHANGES: Final = 4096
"""Elements of indefinite length, and octet strings in pieces."""
_BOUNDED: Final = {0x02: 2048, 0x06: 64}
"""Tags of INTEGER and OBJECT IDENTIFIER, and the most octets of one."""
_OCTET_STRING: Final = 0x04
_CONSTRUCTED_OCTET_STRING: Final = 0x24
_CONSTRUCTED_STRINGS: Final = frozenset({0x23, 0x2C, 0x32, 0x33, 0x34, 0x36, 0x37, 0x38, 0x3A, 0x3B, 0x3C, 0x3E})
_LONG_TAG: Final = 0x1F
_PLAIN: Final = tuple(
    -1
    if tag & _LONG_TAG == _LONG_TAG or tag in {_CONSTRUCTED_OCTET_STRING, *_CONSTRUCTED_STRINGS}
    else _BOUNDED.get(tag, 2**40)
    for tag in range(256)
)
"""By first identifier octet, the most octets of an element that needs no second look."""
_END_OF_CONTENTS: Final = b"\0\0"
_SEQUENCE: Final = 0x30
_BAG: Final = 0xA0
"""certificates [0] of a SignedData."""
_IN_BAG: Final = 4
"""Elements around a certificate: ContentInfo, [0], SignedData, certificates."""
_MOST_AROUND: Final = 8
"""Elements around one in a signer that is remembered; it stands deeper than certificates do."""
_MIN_KNOWN: Final = 64
_MAX_KNOWN: Final = 8 * 1024
"""Octets of an element that is remembered: shorter ones are walked through as fast."""
_OCTETS_AN_ELEMENT: Final = 16
"""Of those, about: it stands for so many elements, whatever is in it."""


class CmsError(InputError):
    """A cryptographic message that cannot be read; `reason` is a stable code."""


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
        stop: int | None
        tag, inner = octets[position], position + 2
        length = octets[position + 1] if inner <= end else 0x80
        if tag & _LONG_TAG == _LONG_TAG or length == 0x80 or length > 0x85:  # noqa: PLR2004 - as in `head`
            tag, inner, stop = head(octets, position, end)
        elif length < 0x80:  # noqa: PLR2004 - X.690 8.1.3.4, what most are
            stop = inner + length
        else:
            inner += length & 0x7F
            stop = inner + int.from_bytes(octets[position + 2 : inner], "big")
        if stop is None or stop > end:
            raise CmsError("malformed_cms")
        yield Node(tag, position, inner, stop)
        position = stop


def definite(octets: bytes, *, limit: int) -> bytes:
    """Return one element with all its lengths definite and octet strings in one piece; the same object if it was so.

    Raises `CmsError` when it is malformed, over a bound, or followed by anything.
    """
    if len(octets) > limit:
        raise CmsError("cms_too_large")
    if _is_plain(octets):
        return octets
    walk = _Walk(octets)
    if walk.run() != len(octets):
        raise CmsError("trailing_octets")
    return walk.result()


def _is_plain(octets: bytes, *, inside: bool = False) -> bool:
    """Return True for one element of definite lengths throughout, within every bound: nothing in it is to be changed.

    Most are, and this is quick. Whatever else there is goes through `_Walk`, which says what is wrong with it. `inside`
    is an element that is remembered: nothing in that is, so that its depth is counted.
    """
    position, bound, count, bag = 0, len(octets), 0, -1
    most, deepest = MAX_ELEMENTS + bound // _OCTETS_A_PIECE, MAX_DEPTH - _MOST_AROUND if inside else MAX_DEPTH
    ends: list[int] = []
    """Of the elements around the one that `bound` is the end of."""
    while position + 2 <= bound and count < most:
        tag, length, content = octets[position], octets[position + 1], position + 2
        if length >= 0x80:  # noqa: PLR2004 - X.690 8.1.3.5
            content += length & 0x7F
            length = int.from_bytes(octets[position + 2 : content], "big") if 0x80 < length <= 0x85 else bound  # noqa: PLR2004 - as in `head`
        end = content + length
        if end > bound or length > _PLAIN[tag]:
            return False
        count += 1
        if tag & 0x20 and length:
            depth = len(ends)
            known = bound == bag if depth == _IN_BAG else _IN_BAG < depth <= _MOST_AROUND
            if inside or not known or tag != _SEQUENCE or not _MIN_KNOWN < length <= _MAX_KNOWN:
                if depth > deepest:
                    return False
                ends.append(bound)
                position, bound = content, end
                bag = end if tag == _BAG and len(ends) == _IN_BAG else bag
                continue
            if not _is_definite(octets[position:end]):
                return False
            count += length // _OCTETS_AN_ELEMENT
        position = end
        while ends and position == bound:
            bound = ends.pop()
        if not ends:
            return position == len(octets)
    return False


@remembered(2048, octets=2 * _MAX_KNOWN)
def _is_definite(element: bytes) -> bool:
    """Return whether a certificate, or part of a signer, has definite lengths only and breaks no bound.

    Most elements of a message are inside these, and a signer's are the same each time.
    """
    return _is_plain(element, inside=True)


@dataclass(slots=True)
class _Frame:
    """A constructed element while the walk is inside it."""

    start: int
    content: int
    bound: int
    indefinite: bool
    string: bool
    """An OCTET STRING in pieces: their headers go."""
    changed: bool
    growth: int = 0
    """Octets by which its contents grow; below 0, mostly."""


class _Walk:
    """One pass over the octets of one element, without recursion: what changes is noted as edits."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._frames: list[_Frame] = []
        """Those around the one that the walk is in; the first stands around the whole element."""
        self._edits: list[tuple[int, int, bytes]] = []
        """Octets to stand in the place of [start, stop)."""
        self._changes = 0
        self._most = MAX_ELEMENTS + len(octets) // _OCTETS_A_PIECE

    def run(self) -> int:
        """Walk through the first element and return where it ends."""
        octets, position, count = self._octets, 0, 0
        frame = _Frame(0, 0, len(octets), indefinite=False, string=False, changed=False)
        while True:
            if self._frames and position >= frame.bound and not frame.indefinite:
                frame = self._close(frame, position)
            elif frame.indefinite and octets[position : position + 2] == _END_OF_CONTENTS:
                frame = self._close(frame, position)
                position += 2
            else:
                count += 1
                if count > self._most:
                    raise CmsError("cms_too_complex")
                tag, content, end = head(octets, position, frame.bound)
                if (tag & 0x20 and end != content) or tag == _CONSTRUCTED_OCTET_STRING:
                    frame = self._open(frame, tag, position, content, end)
                    position = content
                    continue
                position = self._primitive(frame, tag, position, content, end or content)
            if not self._frames:
                return position

    def result(self) -> bytes:
        """Return the octets with all edits made."""
        if not self._edits:
            return self._octets
        view, position = memoryview(self._octets), 0
        pieces: list[bytes | memoryview] = []
        for start, stop, instead in sorted(self._edits):
            if start > position:
                pieces.append(view[position:start])
            if instead:
                pieces.append(instead)
            position = stop
        pieces.append(view[position:])
        return b"".join(pieces)

    def _primitive(self, frame: _Frame, tag: int, start: int, content: int, end: int) -> int:
        """Pass over an element without others inside, and return where it ends."""
        if frame.string:
            if tag != _OCTET_STRING:
                raise CmsError("malformed_cms")
            self._edits.append((start, content, b""))
            frame.growth -= content - start
        elif end - content > _BOUNDED.get(tag, end):
            raise CmsError("oversized_value")
        elif tag in _CONSTRUCTED_STRINGS:
            raise CmsError("constructed_string")
        return end

    def _open(self, parent: _Frame, tag: int, start: int, content: int, end: int | None) -> _Frame:
        """Enter a constructed element, and return its frame."""
        string = tag == _CONSTRUCTED_OCTET_STRING
        changed = string or end is None
        self._changes += changed
        if len(self._frames) > MAX_DEPTH or self._changes > _MAX_CHANGES:
            raise CmsError("cms_too_complex")
        if parent.string and not string:
            raise CmsError("malformed_cms")
        if tag in _CONSTRUCTED_STRINGS:
            raise CmsError("constructed_string")
        self._frames.append(parent)
        bound = parent.bound if end is None else end
        return _Frame(start, content, bound, indefinite=end is None, string=string, changed=changed)

    def _close(self, frame: _Frame, position: int) -> _Frame:
        """Leave an element whose contents end here, and return the frame around it."""
        parent = self._frames.pop()
        if not frame.changed:
            return parent
        header = b""
        if not parent.string:
            kind = self._octets[frame.start : _tag_end(self._octets, frame.start)]
            tag = bytes([_OCTET_STRING]) if frame.string else kind
            header = tag + length_octets(position - frame.content + frame.growth)
        self._edits.append((frame.start, frame.content, header))
        parent.growth += frame.growth + len(header) - (frame.content - frame.start)
        if frame.indefinite:
            self._edits.append((position, position + 2, b""))
            parent.growth -= 2
        parent.changed = True
        return parent


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


def length_octets(size: int) -> bytes:
    """Return DER length octets (X.690 10.1)."""
    if size < 0x80:  # noqa: PLR2004 - the short form
        return bytes((size,))
    count = (size.bit_length() + 7) // 8
    return ((0x80 | count) << 8 * count | size).to_bytes(count + 1, "big")


def sorted_set(octets: bytes) -> bytes:
    """Return a SET OF (definite, any tag) as DER wants it: elements in order, under the universal tag (X.690 11.6)."""
    _, content, end = head(octets, 0, len(octets))
    elements = (octets[each.start : each.end] for each in children(octets, content, end or len(octets)))
    return tlv(0x31, *sorted(elements))


def tlv(tag: int, *contents: bytes) -> bytes:
    """Return one DER element."""
    content = b"".join(contents)
    return bytes((tag,)) + length_octets(len(content)) + content
