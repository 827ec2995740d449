"""Look at a finished message of ours with other eyes than those that made it (RFC 1847 2.1, RFC 5652 5, RFC 8551 3.5).

It is cut by searching for octets, not by `mime.entity`, and its DER is walked here by hand: nothing is accepted but the
one shape that we make, down to the octet, so that a fault in what made the message cannot hide itself. Nothing of this
is for strangers' messages: those are read by `cms.verify`.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.cms.algorithms import Algorithm, verify_raw
from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.core.octets import WINDOW
from gateway.smime.own_attributes import DIGESTS, fault_in, named_by

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
    rb'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-\d{3}; boundary="([^"]{1,70})"'
)
_SIGNATURE_HEADER: Final = (
    b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\nContent-Transfer-Encoding: base64\r\n'
    b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
    b"Content-Description: S/MIME Cryptographic Signature\r\n\r\n"
)
_OPAQUE: Final = b'application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"'

_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_VERSION: Final = b"\x02\x01\x01"
_MGF1: Final = bytes.fromhex("06092a864886f70d010108")


def _algorithms() -> Iterator[tuple[bytes, Algorithm]]:
    """Yield AlgorithmIdentifier and meaning of each signature that we make (RFC 4055, RFC 5754, RFC 5758)."""
    for number, (identifier, name) in enumerate(DIGESTS.items(), start=2):
        size = hashlib.new(name).digest_size
        yield bytes.fromhex(f"300a06082a8648ce3d04030{number}"), Algorithm("ecdsa", name)
        parameters = tlv(
            0x30,
            tlv(0xA0, identifier),
            tlv(0xA1, tlv(0x30, _MGF1, identifier)),
            tlv(0xA2, tlv(0x02, bytes([size]))),
        )
        yield tlv(0x30, bytes.fromhex("06092a864886f70d01010a"), parameters), Algorithm("pss", name, size)


_SIGNATURES: Final = dict(_algorithms())
_RSA: Final = bytes.fromhex("300d06092a864886f70d0101010500")


class _Fault(Exception):  # noqa: N818 - a stable code, never leaves this module
    """What is wrong with our own work."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The pieces of a finished message."""

    content: Message | None
    """What is signed, where it stands outside the CMS."""
    letters: Message
    """The CMS as base64, in whole lines."""

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
    types = _values(head, b"content-type")
    if blank < 0 or len(types) != 1 or len(_values(head, b"mime-version")) != 1:
        return "header"
    if types[0] == _OPAQUE:
        if _values(head, b"content-transfer-encoding") != [b"base64"]:
            return "header"
        return Cut(None, finished.slice(blank + 4, len(finished)))
    match = _CLEAR.fullmatch(types[0])
    if match is None:
        return "header"
    delimiter = b"\r\n--" + match[1]
    return _cut_small(octets, delimiter) if octets else _cut_large(finished, blank + 2, delimiter)


def _values(head: bytes, name: bytes) -> list[bytes]:
    """Return the values of the fields of this name (lower case), unfolded; `head` begins with a line end."""
    found: list[bytes] = []
    low = head.lower()
    place = low.find(b"\r\n" + name)
    while place >= 0:
        begin = place + 2 + len(name)
        stop = low.find(b"\r\n", begin)
        while low[stop + 2 : stop + 3] in (b" ", b"\t"):
            stop = low.find(b"\r\n", stop + 2)
        rest = head[begin:stop].lstrip(b" \t")
        if rest[:1] == b":":
            found.append(rest[1:].replace(b"\r\n", b"").strip(b" \t"))
        place = low.find(b"\r\n" + name, stop)
    return found


def _cut_small(octets: bytes, delimiter: bytes) -> Cut | str:
    """Return the pieces of multipart/signed: the delimiter, wherever it is found, must be one of the three lines."""
    places = _places(octets, delimiter)
    if len(places) != 3:  # noqa: PLR2004 - two parts, and the end
        return "structure"
    first, second, third = (place + len(delimiter) for place in places)
    if not octets.startswith(b"\r\n", first) or octets[third:] != b"--\r\n":
        return "structure"
    if first + 2 > places[1] or not octets.startswith(b"\r\n" + _SIGNATURE_HEADER, second):
        return "structure"
    signature = octets[second + 2 + len(_SIGNATURE_HEADER) : places[2]]
    return Cut(Message.of(octets[first + 2 : places[1]]), Message.of(signature))


def _places(octets: bytes, delimiter: bytes) -> list[int]:
    """Return where the delimiter begins, four times at most; a short needle is never slow."""
    found: list[int] = []
    begin = delimiter[:6]
    place = octets.find(begin)
    while place >= 0 and len(found) <= 3:  # noqa: PLR2004 - one more than there may be
        if octets.startswith(delimiter, place):
            found.append(place)
        place = octets.find(begin, place + 1)
    return found


def _cut_large(finished: Message, position: int, delimiter: bytes) -> Cut | str:
    """The same without reading all of it at once."""
    found: list[int] = []
    while (place := finished.find(delimiter, position)) >= 0 and len(found) <= 3:  # noqa: PLR2004 - as above
        position = place + len(delimiter)
        found.append(place)
    if len(found) != 3 or len(finished) - found[1] > _MAX_TAIL:  # noqa: PLR2004 - as above
        return "structure"
    start = found[0] + len(delimiter)
    rest = _cut_small(b"".join((delimiter, b"\r\n", finished.read(found[1], len(finished)))), delimiter)
    if isinstance(rest, str) or finished.read(start, start + 2) != b"\r\n" or start + 2 > found[1]:
        return "structure"
    return Cut(finished.slice(start + 2, found[1]), rest.letters)


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
    begin = _Walk(first, 0)
    end = begin.enter(0x30)
    begin.expect(_SIGNED_DATA)
    begin.enter(0xA0, end)
    begin.enter(0x30, end)
    begin.expect(_VERSION)
    algorithm, digest = begin.digest_algorithms()
    if pieces.content is not None:
        begin.expect(tlv(0x30, _DATA))
        content_digest = pieces.content.digest(digest)
        tail = _Walk(_joined(first[begin.at :], blocks), begin.at)
    else:
        inner = begin.enter(0x30)
        begin.expect(_DATA)
        begin.enter(0xA0, inner)
        begin.enter(0x04, inner)
        content_digest, rest = _content(first[begin.at :], blocks, inner - begin.at, digest)
        tail = _Walk(rest, inner)
    if tail.end != end:
        raise _Fault("cms")
    if tail.certificates() != sent_along:
        return "certificates"
    return _check_signer(tail, certificate, algorithm, digest, content_digest)


def _check_signer(
    tail: _Walk, certificate: Certificate, algorithm: bytes, digest: str, content_digest: bytes
) -> str | None:
    tail.enter(0x31, tail.end)
    tail.enter(0x30, tail.end)
    tail.expect(_VERSION)
    signer, names_certificate = named_by(certificate, digest)
    if not tail.starts_with(signer):
        return "certificate"
    tail.expect(signer + algorithm)
    attributes, found = tail.attributes()
    fault = fault_in(found, named=names_certificate, content_digest=content_digest)
    if fault is not None:
        return fault
    kind = tail.signature_algorithm(digest)
    tail.enter(0x04, tail.end)
    if certificate.public_key is None:
        return "certificate"
    good = verify_raw(certificate.public_key, tail.rest(), b"\x31" + attributes[1:], algorithm=kind)
    return None if good else "bad_signature"


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
    """A place in DER; whatever is not exactly as expected raises `_Fault`. Places count from the begin of the CMS."""

    __slots__ = ("_base", "_octets", "_position")

    def __init__(self, octets: bytes, base: int) -> None:
        self._octets = octets
        self._base = base
        self._position = 0

    @property
    def at(self) -> int:
        """The place of the next octet."""
        return self._base + self._position

    @property
    def end(self) -> int:
        """The place behind the last octet."""
        return self._base + len(self._octets)

    def starts_with(self, octets: bytes) -> bool:
        """Return whether these come next."""
        return self._octets.startswith(octets, self._position)

    def expect(self, octets: bytes) -> None:
        """Pass over exactly these."""
        if not self._octets.startswith(octets, self._position):
            raise _Fault("cms")
        self._position += len(octets)

    def enter(self, tag: int, end: int | None = None) -> int:
        """Pass over tag and shortest length, and return the place where the element ends: at `end` if that is given."""
        octets, position = self._octets, self._position + 2
        if octets[self._position] != tag:
            raise _Fault("cms")
        size = octets[position - 1]
        if size >= 0x80:  # noqa: PLR2004 - X.690 8.1.3.5
            count = size & 0x7F
            size = int.from_bytes(octets[position : position + count], "big")
            if not 1 <= count <= 4 or size < 0x80 or size >> 8 * (count - 1) == 0:  # noqa: PLR2004 - the shortest form
                raise _Fault("cms")
            position += count
        self._position = position
        stop = self.at + size
        if end is not None and stop != end:
            raise _Fault("cms")
        return stop

    def element(self, tag: int) -> bytes:
        """Pass over one element and return all its octets."""
        start = self._position
        stop = self.enter(tag) - self._base
        if stop > len(self._octets):
            raise _Fault("cms")
        self._position = stop
        return self._octets[start:stop]

    def digest_algorithms(self) -> tuple[bytes, str]:
        """Pass over the SET of one digest algorithm; return it and its name."""
        stop = self.enter(0x31)
        algorithm = self.element(0x30)
        if self.at != stop or algorithm not in DIGESTS:
            raise _Fault("cms")
        return algorithm, DIGESTS[algorithm]

    def certificates(self) -> frozenset[bytes]:
        """Pass over the certificates, in the order of DER; return them."""
        return frozenset(self._set_of(0xA0))

    def attributes(self) -> tuple[bytes, frozenset[bytes]]:
        """Pass over the signed attributes; return their octets as they stand, and each of them."""
        start = self._position
        found = frozenset(self._set_of(0xA0))
        return self._octets[start : self._position], found

    def _set_of(self, tag: int) -> list[bytes]:
        stop = self.enter(tag)
        found: list[bytes] = []
        while self.at < stop:
            found.append(self.element(0x30))
            if len(found) > 1 and found[-2] >= found[-1]:
                raise _Fault("cms")
        if self.at != stop:
            raise _Fault("cms")
        return found

    def signature_algorithm(self, digest: str) -> Algorithm:
        """Pass over the signature's algorithm and return it; it uses the digest of the content."""
        identifier = self.element(0x30)
        found = Algorithm("rsa", digest) if identifier == _RSA else _SIGNATURES.get(identifier)
        if found is None or found.digest != digest:
            raise _Fault("cms")
        return found

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self._octets[self._position :]
