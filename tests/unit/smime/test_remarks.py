"""Notes beside a verdict: claimed times, several and nested signatures; none of them changes the verdict."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from gateway.cms.asn1 import tlv
from gateway.core.verdict import Note, row_of
from gateway.demo.authority import shared_key
from support.forger import SIGNING_TIME, Forger, attribute, signed_data
from support.letters import (
    HEAD,
    LAN,
    NOW,
    authority,
    binh,
    clear,
    clear_entity,
    detached,
    judged,
    lan,
    mail,
    opaque_entity,
    text_part,
)

if TYPE_CHECKING:
    from gateway.core.verdict import Judgment

PART = text_part("Chuyen 5 trieu dong.")
DATE = dt.datetime(2026, 11, 24, 1, 29, tzinfo=dt.UTC)
"""The Date of every letter."""


def hours(count: float) -> dt.timedelta:
    return dt.timedelta(hours=count)


def claiming(claimed: dt.datetime, *, date: bool = True) -> bytes:
    """Return Lan's letter with this signing time."""
    time = attribute(SIGNING_TIME, tlv(0x17, f"{claimed:%y%m%d%H%M%S}Z".encode()))
    message = mail(clear_entity(PART, Forger(lan(), more=[time]).cms(PART)))
    return message if date else message.replace(b"Date: ", b"X-Date: ", 1)


def notes(found: Judgment) -> list[tuple[str, str]]:
    """Return the notes of a verified message."""
    assert row_of(found.verdict).name == "verified"
    return [(each.code, each.detail) for each in found.notes]


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        (DATE, []),
        (DATE + dt.timedelta(minutes=59), []),
        (DATE - dt.timedelta(minutes=60), []),
        (DATE - dt.timedelta(minutes=62), [("date_far_from_signing", "62")]),
        (DATE - hours(24 * 365), [("date_far_from_signing", str(365 * 24 * 60))]),
        (DATE - hours(7), [("date_far_from_signing", "420")]),
        (DATE + hours(7), [("signing_time_local", "")]),
        (DATE + hours(7.9), [("signing_time_local", "")]),
        (DATE + hours(6.1), [("signing_time_local", "")]),
        (DATE + hours(5), [("date_far_from_signing", "300"), ("signing_time_future", "")]),
        (DATE + hours(9), [("date_far_from_signing", "540"), ("signing_time_future", "")]),
    ],
)
def test_claimed_times(claimed: dt.datetime, expected: list[tuple[str, str]]) -> None:
    """A signing time is a claim: far from Date, ahead of the clock, or local time called UTC, it is told."""
    assert notes(judged(claiming(claimed))) == expected


def test_claimed_times_without_a_date() -> None:
    """Where nobody can read a Date, the time of receipt stands for it; an old signing time alone says nothing."""
    assert notes(judged(claiming(NOW + hours(7), date=False))) == [("signing_time_local", "")]
    assert notes(judged(claiming(NOW + hours(3), date=False))) == [("signing_time_future", "")]
    assert notes(judged(claiming(NOW - hours(3), date=False))) == []


def test_old_claim_makes_nothing_good() -> None:
    """A certificate that has expired is not believed for a time that only its holder names (RFC 5652 11.3)."""
    late = NOW + dt.timedelta(days=5 * 365)
    found = judged(claiming(DATE), at=late)
    assert (row_of(found.verdict).name, found.verdict.reason) == ("not_trusted", "expired")


def test_several_signers() -> None:
    """Two good signers who both name the author are verified, and their number is told."""
    twin = authority().issue("Lan", LAN, key=shared_key("p256", 63))
    infos = [Forger(each).info(PART) for each in (lan(), twin)]
    cms = signed_data(infos, certificates=[lan().certificate, twin.certificate, *lan().chain])
    assert notes(judged(mail(clear_entity(PART, cms)))) == [("several_signers", "2")]


def test_nested_signature() -> None:
    """Whose an inner signature claims to be, and whether it is intact, is told; it never decides."""
    inner = clear_entity(PART, detached(PART, binh()), boundary="inner")
    claimed = "tran.binh@sotaichinh.songlam.example"
    assert notes(judged(clear(inner, lan()))) == [("nested_signature", f"intact {claimed}")]
    opaque = opaque_entity(Forger(binh()).cms(PART, content=tlv(0x04, PART)))
    assert notes(judged(clear(opaque, lan()))) == [("nested_signature", f"intact {claimed}")]
    broken = inner.replace(b"5 trieu", b"9 trieu")
    assert notes(judged(clear(broken, lan()))) == [("nested_signature", f"broken {claimed}")]
    garbage = clear_entity(PART, b"garbage", boundary="inner")
    assert notes(judged(clear(garbage, lan()))) == [("nested_signature", "unreadable")]


def test_inner_signature_of_the_author_does_not_help_a_stranger() -> None:
    """A list or a thief that signs around Lan's signed letter is a stranger with a letter of hers inside."""
    inner = clear_entity(PART, detached(PART, lan()), boundary="inner")
    found = judged(clear(inner, binh()))
    assert (row_of(found.verdict).name, found.verdict.reason) == ("signer_mismatch", "signer_is_not_author")
    assert found.notes == (Note("nested_signature", f"intact {LAN}"),)


def test_notes_come_in_one_order() -> None:
    """People are told in the order of the list of notes, whatever was found first."""
    message = claiming(DATE + hours(7)).replace(HEAD.split(b"\r\n")[0], f'From: "a@b.example" <{LAN}>'.encode())
    assert notes(judged(message)) == [("signing_time_local", ""), ("impersonation", "a@b.example")]
