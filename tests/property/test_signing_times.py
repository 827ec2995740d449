"""Signing times and octet strings read by short ways: as the library reads them, and refused where it refuses them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from asn1crypto import cms, core
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.cms.asn1 import tlv
from gateway.cms.signer import _moment, _octet_string

if TYPE_CHECKING:
    from collections.abc import Callable


def by_library(octets: bytes) -> object:
    found = cms.Time.load(octets, strict=True).native
    if not isinstance(found, dt.datetime):
        return None
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


def outcome(read: Callable[[bytes], object], octets: bytes) -> object:
    """Return what is read, or that it is refused."""
    try:
        return read(octets)
    except (ValueError, TypeError):
        return "refused"


NUMBERS = st.integers(0, 99).map("{:02d}".format)
NEARLY_TIMES = st.one_of(
    st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2049, 12, 31)).map(lambda it: f"{it:%y%m%d%H%M%S}Z"),  # noqa: DTZ001
    st.lists(NUMBERS, min_size=6, max_size=6).map(lambda it: "".join(it) + "Z"),
    st.text("0123456789Z+-. ", min_size=10, max_size=17),
)


@given(st.sampled_from([0x17, 0x18]), NEARLY_TIMES)
@example(0x17, "000229235959Z")
@example(0x17, "010229235959Z")
@example(0x17, "491231235960Z")
@example(0x17, "500101240000Z")
@example(0x17, "2611240130Z")
@example(0x17, "261124013000+0700")
@example(0x18, "20261124013000Z")
def test_a_signing_time_is_what_the_library_reads(tag: int, text: str) -> None:
    """Neither another moment, nor a time where there is none."""
    octets = tlv(tag, text.encode())
    assert outcome(_moment, octets) == outcome(by_library, octets)


@given(
    st.sampled_from([0x04, 0x04, 0x03, 0x0C]), st.one_of(st.binary(max_size=70), st.binary(min_size=126, max_size=260))
)
def test_an_octet_string_is_what_the_library_reads(tag: int, content: bytes) -> None:
    """Short and long, and nothing else for one."""
    octets = tlv(tag, content)
    assert outcome(_octet_string, octets) == outcome(lambda it: bytes(core.OctetString.load(it, strict=True)), octets)
