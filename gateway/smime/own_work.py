"""Look at a finished message of ours with other eyes than those that made it (RFC 1847 2.1, RFC 5652 5, RFC 8551 3.5).

It is cut by searching for octets, not by `mime.entity`, and its DER is compared with what must stand in it: nothing is
accepted but the one shape that we make, down to the octet, so that a fault in what made the message cannot hide itself.
Nothing of this is for strangers' messages: those are read by `cms.verify`.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.cms.algorithms import Algorithm, verify_raw
from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.core.octets import WINDOW
from gateway.smime.own_attributes import DIGESTS, fault_in, ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.pki.certificate import Certificate

_LETTERS: Final = 78
"""Octets of one line of base64 with its CRLF."""
_BLOCK: Final = _LETTERS * 3360
"""Octets read at a time: whole lines."""
_MAX_TAIL: Final = 256 * 1024
"""Octets of a CMS behind its content: certificates and signer."""
_CLEAR: Final = re.compile(
    rb'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-(256|384|512); boundary="([^"]{1,70})"'
)
_SIGNATURE_HEADER: Final = (
    b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\nContent-Transfer-Encoding: base64\r\n'
    b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
    b"Content-Description: S/MIME Cryptographic Signature\r\n\r\n"
)
_OPAQUE: Final = b'application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"'

_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_DETACHED: Final = tlv(0x30, _DATA)
_VERSION: Final = b"\x02\x01\x01"
_DIGEST_ALGORITHMS: Final = {tlv(0x31, algorithm): name for algorithm, name in DIGESTS.items()}
_DIGEST_OCTETS: Final = 17
"""Of each of these."""
_MGF1: Final = bytes.fromhex("06092a864886f70d010108")


def _signatures(algorithm: bytes, digest: str, number: int) -> tuple[tuple[bytes, Algorithm], ...]:
    """Return AlgorithmIdentifier and meaning of each signature that we make (RFC 4055, RFC 5754, RFC 5758)."""
    size = hashlib.new(digest).digest_size
    parameters = tlv(
        0x30,
        tlv(0xA0, algorithm),
        tlv(0xA1, tlv(0x30, _MGF1, algorithm)),
        tlv(0xA2, tlv(0x02, bytes([size]))),
    )
    return (
        (bytes.fromhex("300d06092a864886f70d0101010500"), Algorithm("rsa", digest)),
        (bytes.fromhex(f"300a06082a8648ce3d04030{number}"), Algorithm("ecdsa", digest)),
        (tlv(0x30, bytes.fromhex("06092a864886f70d01010a"), parameters), Algorithm("pss", digest, size)),
    )


_SIGNATURES: Final = {
    digest: _signatures(algorithm, digest, number) for number, (algorithm, digest) in enumerate(DIGESTS.items(), 2)
}
"""By digest: a signature uses the one of the content."""


class _Fault(Exception):  # noqa: N818 - a stable code, never leaves this module
    """What is wrong with our own work."""


class Cut(NamedTuple):
    """The pieces of a finished message."""

    content: Message | None
    """What is signed, where it stands outside the CMS."""
    letters: Message
    """The CMS as base64, in whole lines."""
    digest: str = ""
    """The `hashlib` name of what `micalg` says, where the content stands outside."""

    def der(self) -> Iterator[bytes]:
        """Yield the octets of the CMS in blocks; raises `binascii.Error` for anything but base64 in lines of 76."""
        size = len(self.letters)
        for start in range(0, size, _BLOCK):
            lines = self.letters.octets() if size <= _BLOCK else self.letters.read(start, start + _BLOCK)
            whole = len(lines) // _LETTERS * _LETTERS
            ends = (lines[76:whole:_LETTERS].strip(b"\r"), lines[77:whole:_LETTERS].strip(b"\n"))
            letters = lines.translate(None, b"\r\n")
            if ends != (b"", b"") or len(lines) - len(letters) != 2 * -(-len(lines) // _LETTERS):
                raise binascii.Error("not in lines")
            if not lines.endswith(b"\r\n"):
                raise binascii.Error("not in lines")
            octets = binascii.a2b_base64(letters, strict_mode=True)
            if not letters.endswith(binascii.b2a_base64(octets[-(len(octets) % 3 or 3) :], newline=False)):
                raise binascii.Error("the last letter holds bits that mean nothing")
            yield octets


def cut(finished: Message) -> Cut | str:
    """Return the pieces of a finished message, or the stable code of why it is none of ours."""
    octets = finished.octets() if len(finished) <= WINDOW else b""
    blank = octets.find(b"\r\n\r\n") if octets else finished.find(b"\r\n\r\n")
    head = b"\r\n" + (octets[: blank + 2] if octets else finished.read(0, blank + 2))
    low = head.lower()
    types = _values(head, low, b"content-type")
    if blank < 0 or len(types) != 1 or len(_values(head, low, b"mime-version")) != 1:
        return "header"
    if types[0] == _OPAQUE:
        if _values(head, low, b"content-transfer-encoding") != [b"base64"]:
            return "header"
        return Cut(None, finished.slice(blank + 4, len(finished)))
    match = _CLEAR.fullmatch(types[0])
    if match is None:
        return "header"
    delimiter, digest = b"\r\n--" + match[2], f"sha{match[1].decode()}"
    return _cut_small(octets, delimiter, digest) if octets else _cut_large(finished, blank + 2, delimiter, digest)


def _values(head: bytes, low: bytes, name: bytes) -> list[bytes]:
    """Return the values of the fields of this name (lower case), unfolded; `head` begins with a line end.

    `low` is the same in lower case.
    """
    found: list[bytes] = []
    begins = b"\r\n" + name
    place = low.find(begins)
    while place >= 0:
        begin = place + 2 + len(name)
        stop = low.find(b"\r\n", begin)
        while low[stop + 2 : stop + 3] in (b" ", b"\t"):
            stop = low.find(b"\r\n", stop + 2)
        rest = head[begin:stop].lstrip(b" \t")
        if rest[:1] == b":":
            found.append(rest[1:].replace(b"\r\n", b"").strip(b" \t"))
        place = low.find(begins, stop)
    return found


def _cut_small(octets: bytes, delimiter: bytes, digest: str) -> Cut | str:
    """Return the pieces of multipart/signed: the delimiter, wherever it is found, must be one of the three lines."""
    size = len(delimiter)
    first = octets.find(delimiter)
    second = octets.find(delimiter, first + 1)
    third = octets.find(delimiter, second + 1)
    if not 0 <= first < second < third or octets[third + size :] != b"--\r\n":
        return "structure"
    content, header = first + size + 2, second + size + 2
    if content > second or octets[content - 2 : content] != b"\r\n" or octets[header - 2 : header] != b"\r\n":
        return "structure"
    if not octets.startswith(_SIGNATURE_HEADER, header):
        return "structure"
    letters = Message.of(octets[header + len(_SIGNATURE_HEADER) : third])
    return Cut(Message.of(octets[content:second]), letters, digest)


def _cut_large(finished: Message, position: int, delimiter: bytes, digest: str) -> Cut | str:
    """The same without reading all of it at once."""
    found = list(islice(finished.places(delimiter, position), 4))  # one more than may be
    if len(found) != 3 or len(finished) - found[1] > _MAX_TAIL:  # noqa: PLR2004 - two parts, and the end
        return "structure"
    start = found[0] + len(delimiter)
    rest = _cut_small(b"".join((delimiter, b"\r\n", finished.read(found[1], len(finished)))), delimiter, digest)
    if isinstance(rest, str) or finished.read(start, start + 2) != b"\r\n" or start + 2 > found[1]:
        return "structure"
    return Cut(finished.slice(start + 2, found[1]), rest.letters, digest)


def check_own_work(finished: Message, *, certificate: Certificate, sent_along: frozenset[bytes]) -> str | None:
    """Check a finished message; return None if it is good, else a stable code.

    `sent_along` are the certificates (DER, the signer's own among them) that stand in it. Every octet of the CMS is
    accounted for; digest and signature are verified with the certificate's public key.
    """
    pieces = cut(finished)
    if isinstance(pieces, str):
        return pieces
    try:
        return _check(pieces, certificate, sent_along)
    except _Fault as fault:
        return str(fault)
    except (binascii.Error, ValueError, IndexError, StopIteration):
        return "cms"


def _check(pieces: Cut, certificate: Certificate, sent_along: frozenset[bytes]) -> str | None:
    blocks = pieces.der()
    first = next(blocks)
    begin = _Walk(first)
    end = begin.enter(0x30)
    begin.expect(_before_digests(end - begin.position))
    digest = begin.digest()
    if pieces.content is not None:
        if digest != pieces.digest:
            return "header"
        begin.expect(_DETACHED)
        content_digest = pieces.content.digest(digest)
        behind = begin.position
        tail = _joined(first[behind:], blocks)
    else:
        behind = begin.enter(0x30)
        begin.expect(_DATA)
        if begin.enter(0xA0) != behind or begin.enter(0x04) != behind:
            raise _Fault("cms")
        content_digest, tail = _content(first[begin.position :], blocks, behind - begin.position, digest)
    if behind + len(tail) != end:
        raise _Fault("cms")
    return _check_signer(tail, certificate, sent_along, digest, content_digest)


def _check_signer(
    octets: bytes, certificate: Certificate, sent_along: frozenset[bytes], digest: str, content_digest: bytes
) -> str | None:
    """Check everything behind the content: certificates, and the one signer."""
    known = ours(certificate, sent_along, digest)
    walk = _Walk(octets)
    walk.expect(known.certificates, "certificates")
    walk.expect(_before_signer(len(octets) - walk.position))
    walk.expect(known.signer, "certificate")
    tag = walk.position
    stop = walk.enter(0xA0)
    fault = fault_in(octets[walk.position : stop], fixed=known.attributes, content_digest=content_digest)
    if fault is not None:
        return fault
    walk.position = stop
    algorithm = walk.signature_algorithm(digest)
    if walk.enter(0x04) != len(octets):
        raise _Fault("cms")
    if certificate.public_key is None:
        return "certificate"
    signed = b"\x31" + octets[tag + 1 : stop]
    good = verify_raw(certificate.public_key, octets[walk.position :], signed, algorithm=algorithm)
    return None if good else "bad_signature"


@lru_cache(maxsize=4096)
def _before_digests(octets: int) -> bytes:
    """Return what stands in a ContentInfo of so many octets before the digest algorithms (RFC 5652 3, 5.1)."""
    octets -= len(_SIGNED_DATA)
    outer = _head(0xA0, octets)
    return _SIGNED_DATA + outer + _head(0x30, octets - len(outer)) + _VERSION


@lru_cache(maxsize=4096)
def _before_signer(octets: int) -> bytes:
    """Return what stands in signerInfos of so many octets before who signed (RFC 5652 5.1, 5.3)."""
    outer = _head(0x31, octets)
    return outer + _head(0x30, octets - len(outer)) + _VERSION


def _head(tag: int, octets: int) -> bytes:
    """Return tag and shortest length of an element that takes so many octets in all (X.690 8.1.3, 10.1)."""
    size = octets - 2
    if 0 <= size < 0x80:  # noqa: PLR2004 - X.690 8.1.3.4
        return bytes((tag, size))
    for count in range(1, 5):
        size = octets - 2 - count
        if max(0x80, 1 << 8 * (count - 1)) <= size < 1 << 8 * count:
            return bytes((tag, 0x80 | count)) + size.to_bytes(count, "big")
    raise _Fault("cms")


def _content(begun: bytes, blocks: Iterator[bytes], octets: int, digest: str) -> tuple[bytes, bytes]:
    """Return the digest of a content of so many octets and what stands behind it."""
    state = hashlib.new(digest)
    block = begun
    while len(block) < octets:
        state.update(block)
        octets -= len(block)
        block = next(blocks)
    state.update(block[:octets])
    return state.digest(), _joined(block[octets:], blocks)


def _joined(begun: bytes, blocks: Iterator[bytes]) -> bytes:
    for block in blocks:
        begun += block
        if len(begun) > _MAX_TAIL:
            raise _Fault("cms")
    return begun


class _Walk:
    """A place in DER; whatever is not exactly as expected raises `_Fault`."""

    __slots__ = ("_octets", "position")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.position = 0
        """Of the next octet."""

    def expect(self, octets: bytes, code: str = "cms") -> None:
        """Pass over exactly these; `code` is what is wrong where others stand there."""
        if not self._octets.startswith(octets, self.position):
            raise _Fault(code)
        self.position += len(octets)

    def enter(self, tag: int) -> int:
        """Pass over tag and shortest length, and return the place where the element ends."""
        octets, position = self._octets, self.position + 2
        if octets[position - 2] != tag:
            raise _Fault("cms")
        size = octets[position - 1]
        if size >= 0x80:  # noqa: PLR2004 - X.690 8.1.3.5
            count = size & 0x7F
            size = int.from_bytes(octets[position : position + count], "big")
            if not 1 <= count <= 4 or size < 0x80 or size >> 8 * (count - 1) == 0:  # noqa: PLR2004 - the shortest form
                raise _Fault("cms")
            position += count
        self.position = position
        return position + size

    def digest(self) -> str:
        """Pass over the SET of one digest algorithm; return its name."""
        stop = self.position + _DIGEST_OCTETS
        found = _DIGEST_ALGORITHMS.get(self._octets[self.position : stop])
        if found is None:
            raise _Fault("cms")
        self.position = stop
        return found

    def signature_algorithm(self, digest: str) -> Algorithm:
        """Pass over the signature's algorithm and return it; it uses the digest of the content."""
        for identifier, algorithm in _SIGNATURES[digest]:
            if self._octets.startswith(identifier, self.position):
                self.position += len(identifier)
                return algorithm
        raise _Fault("cms")
