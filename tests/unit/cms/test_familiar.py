"""A CMS that is known again is read as one that nobody has seen: any octet that differs must lead to the same end."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gateway.cms import verify
from gateway.cms.asn1 import tlv
from gateway.cms.verify import CmsError, CmsLimits, SignedData, open_signed
from support.forger import CONTENT, CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNING_TIME, Forger, attribute, fault, oid
from support.letters import NOW, lan, template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.demo.authority import Credential

IDENTIFIER = "1.2.840.113549.1.9.16.2.7"
TIME = partial(attribute, SIGNING_TIME)


def written(credential: Credential, number: int) -> bytes:
    """Return a CMS as our own signer writes it, of fixed length: nobody tries its value here."""
    chosen = template(credential)
    digest = bytes([number]) * (48 if chosen.digest == "sha384" else 32)
    at = NOW + dt.timedelta(seconds=number)
    attributes = chosen.to_be_signed(digest, at, identifier=bytes([number]) * 16)
    return chosen.finish(attributes, bytes([number]) * 70)


def with_attributes(given: Sequence[bytes]) -> bytes:
    """Return a CMS with these signed attributes."""
    return Forger(lan(), attributes=given, sign=lambda _: b"\x01" * 256).cms(CONTENT)


def usual(number: int, *more: bytes) -> list[bytes]:
    """Return contentType, messageDigest, and more."""
    return [attribute(CONTENT_TYPE, oid(DATA)), attribute(MESSAGE_DIGEST, tlv(0x04, bytes([number]) * 32)), *more]


def read(cms: bytes) -> SignedData | str:
    """Return what it is read as, or why it is not read."""
    try:
        return open_signed(cms)
    except CmsError as error:
        return error.reason


def read_anew(cms: bytes) -> SignedData | str:
    """Return the same where nothing of its whole is remembered: not with limits of their own."""
    try:
        return open_signed(cms, limits=CmsLimits())
    except CmsError as error:
        return error.reason


def is_known(cms: bytes) -> bool:
    """Return whether it is known again."""
    return verify._known(cms) is not None


@pytest.mark.parametrize("shape", ["rsa2048", "p256", "p384"])
def test_the_next_message_of_a_signer_is_known_and_read_anew(shape: str) -> None:
    """What differs from message to message is its own, not that of the one before."""
    first, second = written(lan(shape), 1), written(lan(shape), 2)
    open_signed(first)
    assert is_known(second)
    found = open_signed(second)
    assert found == read_anew(second)
    (signer,) = found.signers
    assert signer.message_digest == bytes([2]) * (48 if shape == "p384" else 32)
    assert signer.signature == bytes([2]) * 70
    assert signer.claimed_signing_time == NOW + dt.timedelta(seconds=2)
    assert open_signed(first) == read_anew(first)


def test_a_known_signature_fits_no_other_content() -> None:
    """The end of it all: what is good stays good, and what is not, not."""
    assert fault(Forger(lan())) is None
    assert fault(Forger(lan())) is None
    assert is_known(Forger(lan()).cms(CONTENT))
    assert fault(Forger(lan(), sign=lambda _: bytes(256))) == "bad_signature"


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_every_octet_counts(mask: int) -> None:
    """Whatever octet a stranger turns over in a known CMS, it is read as if nothing had been known."""
    genuine = written(lan("p256"), 3)
    for place in range(len(genuine)):
        open_signed(genuine)
        turned = bytearray(genuine)
        turned[place] ^= mask
        assert read(bytes(turned)) == read_anew(bytes(turned)), place
    open_signed(genuine)
    assert is_known(written(lan("p256"), 4))


def test_one_that_is_cut_or_longer_is_not_known() -> None:
    """Its length belongs to it."""
    genuine = written(lan(), 5)
    for other in (genuine[:-1], genuine + b"\0", genuine + genuine, b""):
        open_signed(genuine)
        assert not is_known(other)
        assert read(other) == read_anew(other)


@pytest.mark.parametrize(
    "time",
    [b"\x17\x0d" + b"261399013000Z", b"\x17\x0d" + b"26112401300 Z", b"\x17\x0d" + b"\x02\x0b" + b"1" * 11],
)
def test_a_time_that_is_none_is_no_time_of_somebody_known(time: bytes) -> None:
    """The fault is named as for a stranger."""
    open_signed(with_attributes(usual(1, TIME(b"\x17\x0d" + b"261124013000Z"))))
    odd = with_attributes(usual(1, TIME(time)))
    assert not is_known(odd)
    assert read(odd) == read_anew(odd)


@pytest.mark.parametrize(
    "more",
    [
        [attribute(MESSAGE_DIGEST, tlv(0x04, bytes(32)))],
        [TIME(tlv(0x17, b"261124013000Z"), tlv(0x17, b"261124013001Z"))],
        [attribute(IDENTIFIER, tlv(0x04, b"1")), attribute(IDENTIFIER, tlv(0x04, b"2"))],
        [TIME(tlv(0x18, b"20261124013000Z"))],
        [attribute(IDENTIFIER, tlv(0x04, b"1" * 200))],
    ],
    ids=["two digests", "two times", "two identifiers", "another time", "a long identifier"],
)
def test_what_does_not_stand_there_once_and_plainly_is_not_kept(more: list[bytes]) -> None:
    """It is read each time."""
    cms = with_attributes(usual(1, *more))
    first = read(cms)
    assert not is_known(cms)
    assert read(cms) == first


def test_one_without_content_type_is_not_kept() -> None:
    """Nothing more is read of its attributes, so that nothing of them may be filled in later."""
    cms = with_attributes(usual(1, TIME(tlv(0x17, b"261124013000Z")))[1:])
    first = read(cms)
    assert not is_known(cms)
    assert read(cms) == first == read_anew(cms)


def test_what_is_no_cms_drives_nobody_out() -> None:
    """To ask takes no place."""
    genuine = written(lan(), 6)
    open_signed(genuine)
    for number in range(verify._MOST_KEPT + 1):
        assert read(b"\x30\x84" + number.to_bytes(2) * 100) in {"malformed_cms", "trailing_octets", "cms_too_large"}
    assert is_known(genuine)


def test_several_signers_or_content_inside_are_not_kept() -> None:
    """Only the one form that nearly all mail has is."""
    made = Forger(lan())
    inside = made.cms(CONTENT, content=tlv(0x04, CONTENT))
    assert open_signed(inside).content == CONTENT
    assert not is_known(inside)
    bare = made.but(bare=True).cms(CONTENT)
    open_signed(bare)
    assert not is_known(bare)


def test_of_two_layouts_with_one_beginning_each_is_read_as_it_is() -> None:
    """A stranger who writes what begins like a known one's takes its place, and changes no reading."""
    one = with_attributes(usual(1, attribute(IDENTIFIER, tlv(0x04, b"12"))))
    other = with_attributes(sorted(usual(1, attribute("1.2.840.113549.1.9.16.2.8", tlv(0x04, b"12")))))
    assert len(one) == len(other)
    for _ in range(2):
        assert read(one) == read_anew(one)
        assert read(other) == read_anew(other)
