"""What the memory of past mail adds to a judgment: a replay is never green, and what is unknown is not either."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.message import Message
from gateway.core.sighting import Contact, Repeat
from gateway.core.verdict import (
    LESSER,
    Broken,
    ChainState,
    Indeterminate,
    Judgment,
    Replayed,
    SignerMismatch,
    Verified,
    VerifiedLesser,
)
from gateway.mime.fields import read_header
from gateway.pki.path import Revocation
from gateway.service.recognition import recognized
from gateway.spool.marks import Mark
from support.letters import ASCII, LAN, NOW, PLAIN, binh, judged, lan, signed
from support.rooms import Seen

LETTER = signed(PLAIN, lan())


async def after(repeat: Repeat, contact: Contact = Contact.KNOWN, letter: bytes = LETTER) -> tuple[Judgment, Seen]:
    seen = Seen(repeat, contact)
    header = read_header(Message.of(letter))
    return await recognized(judged(Message.of(letter)), header, at=NOW, sightings=seen), seen


@pytest.mark.parametrize("repeat", [Repeat.NEW, Repeat.SAME])
async def test_the_same_message_again_stays_verified(repeat: Repeat) -> None:
    """By another way, or sent once more: that is noted, and nothing else."""
    found, _ = await after(repeat)
    assert isinstance(found.verdict, Verified)
    assert found.noted("seen_before") is (repeat is Repeat.SAME)


async def test_another_message_under_a_known_signature_is_a_replay() -> None:
    """Never green, whoever signed it."""
    found, _ = await after(Repeat.OTHER)
    assert isinstance(found.verdict, Replayed)
    assert found.verdict.signers


@pytest.mark.parametrize(("repeat", "reason"), [(Repeat.LIST_COPY, "list_copy"), (Repeat.UNKNOWN, "replay_unknown")])
async def test_what_may_be_harmless_is_a_lesser_state(repeat: Repeat, reason: str) -> None:
    """A list's copy; and what could not be looked up, so that a full disk is no way to show a replay in green."""
    found, _ = await after(repeat)
    assert isinstance(found.verdict, VerifiedLesser)
    assert (found.verdict.reason, str(found.verdict.author)) == (reason, LAN)


@pytest.mark.parametrize("repeat", list(Repeat))
async def test_graver_verdicts_stay(repeat: Repeat) -> None:
    """Nothing here makes a verdict better, and somebody else's signature stays somebody else's."""
    found, seen = await after(repeat, letter=signed(PLAIN, binh()))
    assert isinstance(found.verdict, SignerMismatch)
    assert seen.sightings[0].author is None


async def test_lesser_states_become_replays_too() -> None:
    """A signature that was used for another message is no more a colleague's than its signer's."""
    message = Message.of(LETTER)
    good = judged(message)
    lesser = replace(good, verdict=VerifiedLesser("same_agency", good.verdict.signers, good.author))
    found = await recognized(lesser, read_header(message), at=NOW, sightings=Seen(Repeat.OTHER))
    assert isinstance(found.verdict, Replayed)


@pytest.mark.parametrize("reason", LESSER)
async def test_one_thing_is_excused_and_no_second_one(reason: str) -> None:
    """A list's prefix beside another excuse is a replay, what could not be looked up beside it is not known.

    A list that changes a protected subject is one thing, told by its graver name.
    """
    message = Message.of(LETTER)
    good = judged(message)
    lesser = replace(good, verdict=VerifiedLesser(reason, good.verdict.signers, good.author))
    header = read_header(message)
    copied = await recognized(lesser, header, at=NOW, sightings=Seen(Repeat.LIST_COPY))
    assert copied.verdict == (
        lesser.verdict if reason == "headers_changed" else Replayed("replayed", good.verdict.signers)
    )
    unknown = await recognized(lesser, header, at=NOW, sightings=Seen(Repeat.UNKNOWN))
    assert unknown.verdict == Indeterminate("replay_unknown", good.verdict.signers)


async def test_only_good_signatures_under_our_trust_are_remembered() -> None:
    """Nobody fills the memory with broken signatures, or with certificates of their own making."""
    for letter in (PLAIN, signed(ASCII, lan()).replace(b"Da co ket qua", b"Da co ket qux")):
        _, seen = await after(Repeat.OTHER, letter=letter)
        assert not seen.sightings
    seen = Seen(Repeat.OTHER)
    message = Message.of(LETTER)
    unknown = replace(judged(message), chain=ChainState.INDETERMINATE)
    await recognized(unknown, read_header(message), at=NOW, sightings=seen)
    assert not seen.sightings


async def test_what_only_lacks_revocation_data_is_remembered() -> None:
    """Else whoever keeps us from an authority's servers for a while could show what came then again, and in green."""
    unsettled = judged(Message.of(LETTER), revocation=Revocation.HARD)
    assert (unsettled.chain, unsettled.verdict.reason) == (ChainState.INDETERMINATE, "no_revocation_data")
    seen = Seen(Repeat.OTHER)
    found = await recognized(unsettled, read_header(Message.of(LETTER)), at=NOW, sightings=seen)
    assert found.verdict == unsettled.verdict
    (sighting,) = seen.sightings
    assert sighting.author is None  # a contact is whom a good path names
    unknown = replace(unsettled, broken=(Broken(12, "no_path"),))
    await recognized(unknown, read_header(Message.of(LETTER)), at=NOW, sightings=seen)
    assert len(seen.sightings) == 1


async def test_what_is_remembered() -> None:
    """Each signer's value and certificate, the fields that it does not cover, decoded, and the author it names."""
    found, seen = await after(Repeat.NEW, Contact.FIRST)
    (sighting,) = seen.sightings
    (signer,) = found.verdict.signers
    assert (sighting.signatures, sighting.certificates) == ((signer.signature_digest,), (signer.fingerprint,))
    assert sighting.message_id == "<2026.17@may-lan.soyte.songlam.example>"
    assert sighting.subject == "Kết quả giải quyết hồ sơ"
    assert sighting.date == "Tue, 24 Nov 2026 08:29:00 +0700"
    assert (sighting.author, sighting.at) == (LAN, NOW)


async def test_a_second_field_is_another_message() -> None:
    """A reader may show either Subject: both are remembered."""
    twice = LETTER.replace(b"Date:", b"Subject: Gap\r\nDate:", 1)
    _, seen = await after(Repeat.NEW, letter=twice)
    assert [each.subject for each in seen.sightings] == ["Kết quả giải quyết hồ sơ\nGap"]


@pytest.mark.parametrize("name", ["Subject", "Date", "Message-ID"])
async def test_a_field_cut_in_two_is_another_message(name: str) -> None:
    """Readers that show one of two would show half of what came first, which may say the opposite."""
    whole = (
        LETTER.replace(b"Date:", b"X-Date:", 1).replace(b"Message-ID:", b"X-Id:", 1).replace(b"Subject:", b"X-S:", 1)
    )
    one, two = f"{name}: Khong dong y chi tien\r\n".encode(), f"{name}: Khong\r\n{name}: dong y chi tien\r\n".encode()
    marks = []
    for fields in (one, two):
        seen = Seen(Repeat.NEW)
        header = read_header(Message.of(b"Message-ID: <1@a.example>\r\n" * (name != "Message-ID") + fields + whole))
        await recognized(judged(Message.of(LETTER)), header, at=NOW, sightings=seen)
        marks += [Mark.of(each) for each in seen.sightings]
    assert marks[1].after(marks[0]) is Repeat.OTHER


@pytest.mark.parametrize(
    ("contact", "note"),
    [
        (Contact.FIRST, "first_contact"),
        (Contact.CHANGED, "changed_key"),
        (Contact.KNOWN, None),
        (Contact.UNKNOWN, None),
    ],
)
async def test_contacts_are_noted(contact: Contact, note: str | None) -> None:
    """First contact and a changed key are told; the verdict stays."""
    found, _ = await after(Repeat.NEW, contact)
    assert isinstance(found.verdict, Verified)
    assert [each.code for each in found.notes if each.code in {"first_contact", "changed_key"}] == (
        [note] if note is not None else []
    )
