"""BER from strangers (X.690): definite in the end, unchanged where it was so, bounded in depth, count and time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cms import asn1
from gateway.cms.asn1 import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    CmsError,
    children,
    definite,
    head,
    length_octets,
    sorted_set,
    tlv,
)
from gateway.cms.verify import open_signed
from support.pace import soon

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 64 * 1024 * 1024
END = b"\0\0"


def test_definite_octets_stay_the_same_object() -> None:
    """What is definite already keeps its octets, even where it is no DER: signatures were made over them."""
    for octets in (
        tlv(0x30, tlv(0x02, b"\x01"), tlv(0x31)),
        b"\x30\x82\x00\x03\x02\x01\x01",
        b"\x30\x81\x03\x02\x01\x01",
        b"\x01\x01\x01",
        b"\x30\x05\x02\x03\x00\x00\x01",
        b"\x5f\x81\x01\x01x",
    ):
        assert definite(octets, limit=LIMIT) is octets


@pytest.mark.parametrize(
    ("ber", "der"),
    [
        (b"\x30\x80" + END, b"\x30\x00"),
        (b"\x30\x80\x02\x01\x07" + END, b"\x30\x03\x02\x01\x07"),
        (b"\x30\x80\xa0\x80\x04\x01a" + END + END, b"\x30\x05\xa0\x03\x04\x01a"),
        (b"\x24\x80\x04\x02ab\x04\x01c" + END, b"\x04\x03abc"),
        (b"\x24\x07\x04\x02ab\x04\x01c", b"\x04\x03abc"),
        (b"\x24\x80\x24\x80\x04\x01a" + END + b"\x24\x00\x04\x01b" + END, b"\x04\x02ab"),
        (b"\x24\x80" + END, b"\x04\x00"),
        (b"\x24\x80\x04\x02" + END + END, b"\x04\x02" + END),
        (b"\xbf\x81\x01\x80\x05\x00" + END, b"\xbf\x81\x01\x02\x05\x00"),
        (b"\x30\x80\x04\x81\x80" + b"x" * 128 + END, b"\x30\x81\x83\x04\x81\x80" + b"x" * 128),
    ],
)
def test_indefinite_becomes_definite(ber: bytes, der: bytes) -> None:
    """X.690 8.1.3.6 and 8.7.3: end-of-contents octets go, octet strings are put together, lengths are counted."""
    assert definite(ber, limit=LIMIT) == der


def test_definite_element_inside_keeps_its_octets() -> None:
    """A certificate inside an indefinite SignedData stays as it was signed, long-form lengths included."""
    inner = b"\x30\x82\x00\x03\x02\x01\x01"
    assert definite(b"\x30\x80" + inner + END, limit=LIMIT) == b"\x30\x07" + inner


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "malformed_cms"),
        (b"\x30", "malformed_cms"),
        (b"\x30\x80", "malformed_cms"),
        (b"\x30\x80\x02\x01\x01", "malformed_cms"),
        (b"\x30\x80\x00", "malformed_cms"),
        (b"\x30\x02\x02\x01", "malformed_cms"),
        (b"\x30\x03\x02\x05abc", "malformed_cms"),
        (b"\x04\x80ab" + END, "malformed_cms"),
        (b"\x24\x80\x02\x01\x01" + END, "malformed_cms"),
        (b"\x24\x80\x04\x01a", "malformed_cms"),
        (b"\x24\x80\x30\x02\x05\x00" + END, "malformed_cms"),
        (b"\x24\x80\x30\x00" + END, "malformed_cms"),
        (b"\x24\x80\x30\x80" + END * 2, "malformed_cms"),
        (b"\x30\x86\x00\x00\x00\x00\x00\x00", "malformed_cms"),
        (b"\x30\x85\xff\xff\xff\xff\xff", "malformed_cms"),
        (b"\x1f", "malformed_cms"),
        (b"\x1f\x81\x81\x81\x81\x01\x00", "malformed_cms"),
        (b"\x30\x00x", "trailing_octets"),
        (b"\x30\x80" + END + END, "trailing_octets"),
        (b"\x2c\x80\x0c\x01a" + END, "constructed_string"),
        (b"\x23\x80\x03\x02\x00a" + END, "constructed_string"),
        (tlv(0x06, b"\x81" * 64 + b"\x01"), "oversized_value"),
        (tlv(0x30, tlv(0x06, b"\xff" * 200_000)), "oversized_value"),
        (tlv(0x02, b"\x7f" * 4000), "oversized_value"),
        (b"\x30\x80" * 100 + END * 100, "cms_too_complex"),
        (b"\x24\x80" * 100 + END * 100, "cms_too_complex"),
    ],
)
def test_refused(octets: bytes, reason: str) -> None:
    """Malformed, followed by anything, or over a bound: one fault with a stable code."""
    with pytest.raises(CmsError) as caught:
        definite(octets, limit=LIMIT)
    assert caught.value.reason == reason


def test_bounds_are_where_they_are_said_to_be() -> None:
    """At the limit read, above it refused."""
    assert definite(b"\x30\x80" * MAX_DEPTH + END * MAX_DEPTH, limit=LIMIT)
    with pytest.raises(CmsError, match="cms_too_complex"):
        definite(b"\x30\x80" * (MAX_DEPTH + 2) + END * (MAX_DEPTH + 2), limit=LIMIT)
    assert definite(b"\x30\x02\x05\x00", limit=4)
    with pytest.raises(CmsError, match="cms_too_large"):
        definite(b"\x30\x02\x05\x00", limit=3)


HOSTILE = {
    "deep": b"\x30\x80" * 500_000,
    "deep_strings": b"\x24\x80" * 500_000,
    "wide": b"\x30\x80" * 40 + b"\x04\x01a" * 300_000 + END * 40,
    "wide_strings": b"\x24\x80" * 40 + b"\x04\x01a" * 300_000 + END * 40,
    "just_within": b"\x30\x80" * 40 + b"\x04\x01a" * 99_000 + END * 40,
    "strings_within": b"\x24\x80" * 40 + b"\x04\x01a" * 99_000 + END * 40,
    "empty": tlv(0x30, b"\x30\x80\0\0" * 250_000),
    "empty_definite": tlv(0x30, b"\x30\x00" * 500_000),
    "nested_pairs": tlv(0x30, b"\x30\x02\x30\x00" * 250_000),
    "nested_strings": tlv(0x30, b"\x24\x80\x24\x80\0\0\0\0" * 125_000),
    "long_lengths": tlv(0x30, b"\x30\x85\0\0\0\0\0" * 150_000),
    "small": tlv(0x30, b"\x05\x00" * 500_000),
    "huge_arc": tlv(0x30, tlv(0x06, b"\x2a" + b"\xff" * 1_000_000 + b"\x01")),
    "many_arcs": tlv(0x30, tlv(0x06, b"\x01" * 60) * 15_000),
    "huge_integer": tlv(0x30, tlv(0x02, b"\x7f" * 1_000_000)),
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_structures_end_soon(kind: str) -> None:
    """A megabyte made to be slow is read or refused in 50 ms of a quiet machine; a busy one has ten times as long."""
    for read in (lambda octets: definite(octets, limit=LIMIT), open_signed):
        with soon(0.5), contextlib.suppress(CmsError):
            read(HOSTILE[kind])


def test_large_content_in_small_pieces_is_read() -> None:
    """Stream writers make pieces of about a thousand octets: 40 MB of them is honest."""
    piece = tlv(0x04, b"x" * 1000)
    assert len(definite(b"\x24\x80" + piece * 40_000 + END, limit=LIMIT)) == 40_000_000 + 6


def test_counts_are_bounded() -> None:
    """So many elements, and one more for each half kilobyte; so many of them rewritten."""
    assert definite(tlv(0x30, b"\x05\x00" * MAX_ELEMENTS), limit=LIMIT)
    with pytest.raises(CmsError, match="cms_too_complex"):
        definite(tlv(0x30, b"\x05\x00" * (MAX_ELEMENTS + 300)), limit=LIMIT)
    assert definite(tlv(0x30, b"\x30\x80\0\0" * 4096), limit=LIMIT) == tlv(0x30, b"\x30\x00" * 4096)
    with pytest.raises(CmsError, match="cms_too_complex"):
        definite(tlv(0x30, b"\x30\x80\0\0" * 4097), limit=LIMIT)


def elements(depth: int) -> st.SearchStrategy[tuple[bytes, bytes]]:
    """Return pairs of an element in BER and what it is in definite lengths."""
    strings = st.lists(st.binary(max_size=5), max_size=4).map(
        lambda parts: (b"\x24\x80" + b"".join(tlv(0x04, each) for each in parts) + END, tlv(0x04, b"".join(parts)))
    )
    leaves = st.one_of(st.binary(max_size=200).map(lambda octets: (tlv(0x04, octets), tlv(0x04, octets))), strings)
    if depth == 0:
        return leaves

    def around(tag: int, inner: list[tuple[bytes, bytes]], *, indefinite: bool) -> tuple[bytes, bytes]:
        ber, der = (b"".join(each[side] for each in inner) for side in (0, 1))
        return (bytes([tag]) + b"\x80" + ber + END if indefinite else tlv(tag, ber)), tlv(tag, der)

    inner = st.lists(elements(depth - 1), max_size=4)
    return st.one_of(
        leaves,
        st.tuples(st.sampled_from([0x30, 0x31, 0xA0]), inner, st.booleans()).map(
            lambda drawn: around(drawn[0], drawn[1], indefinite=drawn[2])
        ),
    )


@given(elements(4))
def test_any_mixture_of_lengths_becomes_definite(pair: tuple[bytes, bytes]) -> None:
    """Indefinite in definite in indefinite, strings in pieces anywhere: the result is what DER would have been."""
    ber, der = pair
    assert definite(ber, limit=LIMIT) == der


def in_bag(element: bytes, bag: int = 0xA0) -> bytes:
    """Return a ContentInfo in which the element stands where a SignedData has its certificates."""
    inner = tlv(0x30, b"\x02\x01\x01", tlv(0x31), tlv(0x30), tlv(bag, element), tlv(0x31))
    return tlv(0x30, b"\x06\x01\x01", tlv(0xA0, inner))


LONG = tlv(0x04, bytes(64))
"""What makes an element long enough to be remembered."""


def in_signer(element: bytes) -> bytes:
    """Return a ContentInfo in which the element stands where a SignerInfo has a signed attribute."""
    signer = tlv(0x30, b"\x02\x01\x01", tlv(0x30), tlv(0xA0, element))
    return tlv(0x30, b"\x06\x01\x01", tlv(0xA0, tlv(0x30, b"\x02\x01\x01", tlv(0x31), tlv(0x30), tlv(0x31, signer))))


@pytest.mark.parametrize("placed", [in_bag, in_signer])
def test_what_is_remembered_is_no_way_round_the_bound_on_depth(placed: Callable[[bytes], bytes]) -> None:
    """Elements inside a certificate, or an attribute, count from the top; a bag inside a bag remembers nothing anew."""
    for around in (5, 15):
        deep = LONG
        for _ in range(around):
            deep = tlv(0x30, LONG, tlv(0x30, tlv(0x30, tlv(0xA0, deep))))
        for _ in range(3):
            if around == 15:
                with pytest.raises(CmsError, match="cms_too_complex"):
                    definite(placed(deep), limit=LIMIT)
            else:
                assert definite(placed(deep), limit=LIMIT) == placed(deep)


@given(elements(3))
def test_certificates_seen_before_are_read_as_the_first_time(pair: tuple[bytes, bytes]) -> None:
    """What is remembered of a certificate's octets changes nothing: not the result, and not what is refused."""
    for ber, der in ((tlv(0x30, LONG, pair[0]), tlv(0x30, LONG, pair[1])), pair):
        assert [definite(in_bag(ber), limit=LIMIT) for _ in range(3)] == [in_bag(der)] * 3
    broken = tlv(0x30, LONG, pair[0], b"\x06\x41" + b"\x81" * 65)
    for _ in range(3):
        with pytest.raises(CmsError, match="oversized_value"):
            definite(in_bag(broken), limit=LIMIT)


def test_children_and_head() -> None:
    """Offsets are those of the octets given; an element that leaves its range is malformed."""
    octets = tlv(0x30, tlv(0x02, b"\x01"), tlv(0x04, b"abc"))
    assert [(each.tag, each.start, each.content, each.end) for each in children(octets, 2, len(octets))] == [
        (0x02, 2, 4, 5),
        (0x04, 5, 7, 10),
    ]
    assert head(octets, 0, len(octets)) == (0x30, 2, 10)
    with pytest.raises(CmsError):
        list(children(octets, 2, 8))


@given(st.sampled_from([0x04, 0x30, 0x5F, 0xA0]), st.binary(max_size=9), st.integers(0, 300))
def test_children_begin_and_end_as_heads_do(tag: int, length: bytes, size: int) -> None:
    """Every form of a length, cut off anywhere, in the middle of other octets: the same element, or none."""
    octets = bytes([tag]) + length + bytes(size)
    for end in {len(octets), max(len(octets) - 1, 1), min(3, len(octets))}:
        try:
            wanted: tuple[int, int, int | None] | None = head(octets, 0, end)
        except CmsError:
            wanted = None
        try:
            first = next(children(octets, 0, end))
            found: tuple[int, int, int | None] | None = first.tag, first.content, first.end
        except CmsError:
            found = None
        assert found == (wanted if wanted is not None and wanted[2] is not None else None)


def test_sorted_set() -> None:
    """X.690 11.6: elements of a SET OF in order of their octets, under the universal tag."""
    two, one = tlv(0x02, b"\x02"), tlv(0x02, b"\x01")
    assert sorted_set(tlv(0xA0, two, one)) == tlv(0x31, one, two)
    assert sorted_set(b"\xa0\x81\x06" + two + one) == tlv(0x31, one, two)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 24])
def test_length_octets_are_der(size: int) -> None:
    """X.690 10.1: as short as can be; reading gives the size back."""
    octets = length_octets(size)
    assert octets[0] == size if size < 128 else int.from_bytes(octets[1:], "big") == size
    assert size < 128 or octets[1] != 0


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    """Nothing but `CmsError` comes out, and what is read once reads the same again."""
    with contextlib.suppress(CmsError):
        read = definite(octets, limit=LIMIT)
        assert definite(read, limit=LIMIT) is read
    with contextlib.suppress(CmsError):
        open_signed(b"\x30\x80" + octets)


_CERTIFICATE = tlv(0x30, LONG, b"\x06\x01\x2a\x05\x00")
_BAG = tlv(0xA0, tlv(0x30, tlv(0x30, tlv(0x02, b"\x07"), tlv(0x03, b"\0x"))), _CERTIFICATE)
_SIGNER = tlv(0x30, b"\x02\x01\x01", tlv(0x30, LONG, tlv(0x31, b"\x05\x00")), tlv(0xA0, tlv(0x30, LONG, tlv(0x30))))
_SIGNED = tlv(0x30, b"\x06\x01\x2a", tlv(0xA0, tlv(0x30, b"\x02\x01\x01", tlv(0x31), _BAG, tlv(0x31, _SIGNER))))


@given(
    st.recursive(
        st.tuples(st.sampled_from([0x02, 0x04, 0x06, 0x24, 0x5F, 0x80]), st.binary(max_size=70)).map(
            lambda it: tlv(*it)
        ),
        lambda inner: st.tuples(st.sampled_from([0x24, 0x2C, 0x30, 0x31, 0xA0]), st.lists(inner, max_size=4)).map(
            lambda it: tlv(it[0], *it[1])
        ),
    )
    | st.just(_SIGNED),
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 255) | st.sampled_from([0x80, 0x81, 0x85, 0x24])), max_size=3
    ),
    st.binary(max_size=2),
)
def test_a_quick_look_lets_nothing_pass_that_the_walk_would_not(
    octets: bytes, changes: list[tuple[int, int]], behind: bytes
) -> None:
    """What needs no second look is one element that the walk leaves as it is, octet for octet."""
    changed = bytearray(octets + behind)
    for place, octet in changes:
        changed[place % len(changed)] = octet
    walk = asn1._Walk(bytes(changed))
    try:
        same = walk.run() == len(changed) and walk.result() == changed
    except (CmsError, IndexError):
        same = False
    assert same or not asn1._is_plain(bytes(changed))


def test_a_quick_look_is_enough_for_what_most_send() -> None:
    """Certificates in their bag included; and one bad one among them makes the walk say so."""
    assert asn1._is_plain(_SIGNED)
    for good, bad in ((b"\x06\x01\x2a\x05\x00", b"\x06\x01\x2a\x05\x09"), (b"\x31\x02\x05\x00", b"\x31\x02\x05\x09")):
        with pytest.raises(CmsError):
            definite(_SIGNED.replace(good, bad), limit=LIMIT)


def test_certificates_count_for_what_may_be_in_them() -> None:
    """Many small bags of elements are no way round the bound on elements."""
    stuffed = tlv(0x30, b"\x05\x00" * 2_000)
    bag = tlv(0xA0, *[stuffed + b"" for _ in range(400)])
    signed = tlv(0x30, b"\x06\x01\x2a", tlv(0xA0, tlv(0x30, b"\x02\x01\x01", tlv(0x31), bag)))
    with pytest.raises(CmsError, match="cms_too_complex"):
        definite(signed, limit=LIMIT)
