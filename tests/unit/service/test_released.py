"""Mail that was kept and goes on is told as when it came: it is no copy of itself, and a replay stays one.

The journey, the entry and the memories of signatures are real; each memory stands for one machine.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from gateway.config.inbound import VerifySettings
from gateway.config.model import SpoolSettings
from gateway.core.message import Message
from gateway.core.queue import Consignment, Kind
from gateway.core.sighting import Contact, Recollection, Repeat
from gateway.delivery.settle import new_entry
from gateway.service.arrivals import open_arrival
from gateway.service.kept import Kept
from gateway.spool import sightings as room
from gateway.spool.sightings import SqliteSightings
from gateway.tagging import strip
from support.letters import NOW, PLAIN, lan, signed
from support.rooms import HOSTNAME, ListRecorder, Seen, inbound_room, relayed, world
from support.spooled import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core.received import Relayed
    from gateway.ports import Sightings

APART: Final = "rules:\n  - {name: apart, direction: inbound, then: {quarantine: {reason: x}}}\n"
LETTER: Final = signed(PLAIN, lan())
REPLAY: Final = LETTER.replace(b"Subject: ", b"Subject: Gap ", 1)
COPY: Final = LETTER.replace(b"Subject: ", b"Subject: [van-thu] ", 1)
NAMELESS: Final = LETTER.replace(b"Message-ID:", b"X-Id:", 1)
SPOOL: Final = SpoolSettings(directory=Path("spool"))
Machines = tuple[SqliteSightings, ...]
NOTES: Final = {"seen_before", "list_copy", "first_contact", "changed_key"}


@pytest.fixture
async def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machines]:
    """Return the memories of two machines; no answer is unknown because this one is busy."""
    monkeypatch.setattr(room, "PATIENCE", 60.0)
    found = tuple(SqliteSightings(settings(tmp_path / name), VerifySettings(replay_days=3650)) for name in ("a", "b"))
    yield found
    for each in found:
        await asyncio.to_thread(each.close)


async def told(sightings: Sightings, arrived: Relayed, message: Message) -> tuple[Consignment, str, set[str]]:
    """Return what comes of a message, its verdict, and what is noted of it."""
    recorder = ListRecorder()
    inbound = inbound_room(sightings=sightings, recorder=recorder)
    result = await inbound.consign(world(APART), arrived, message, open_arrival(strip(message, authserv_id=HOSTNAME)))
    assert isinstance(result, tuple)
    (consignment,) = result
    (facts,) = recorder.facts("verified")
    return consignment, str(facts["verdict"]), NOTES.intersection(facts["notes"])


async def comes(sightings: Sightings, letter: bytes) -> tuple[Consignment, str, set[str]]:
    """Return what comes of a message that arrives, and is set apart by the rule."""
    arrived = relayed(letter, "vanthu@soyte.songlam.example", sender="x@ngoai.example")
    found = await told(sightings, arrived, Message.of(letter))
    assert found[0].kind is Kind.QUARANTINED
    return found


async def goes_on(sightings: Sightings, kept: Consignment) -> tuple[Consignment, str, set[str]]:
    """Return what comes of a message that an administrator let go, two days later."""
    entry = new_entry(replace(kept, kind=Kind.RELEASED), "x", SPOOL, NOW)
    found = await told(sightings, Kept(entry, NOW + timedelta(days=2), HOSTNAME).relayed(), kept.message)
    assert found[0].kind is Kind.DELIVER
    return found


@pytest.mark.parametrize("letter", [LETTER, NAMELESS], ids=["usual", "no Message-ID"])
@pytest.mark.parametrize("machine", [0, 1], ids=["here", "on another machine"])
async def test_it_is_no_copy_of_itself(machines: Machines, machine: int, letter: bytes) -> None:
    """Whoever takes it on, and however often: after a crash, or because it was set apart once more."""
    kept, verdict, notes = await comes(machines[0], letter)
    assert (verdict, notes) == ("verified", {"first_contact"})
    for _ in range(2):
        sent, *again = await goes_on(machines[machine], kept)
        assert again == [verdict, notes]
    assert (await goes_on(machines[machine], replace(kept, recollection=sent.recollection)))[1:] == (verdict, notes)


async def test_what_could_not_be_delivered_is_no_copy_either(machines: Machines) -> None:
    """It was never kept raw: it has our marks, and was on its way when a next hop refused it."""
    kept, *first = await comes(machines[0], NAMELESS)
    sent, *_ = await goes_on(machines[0], kept)
    assert b"X-Gateway-Verdict: verified" in sent.message.octets()
    assert list((await goes_on(machines[0], sent))[1:]) == first


@pytest.mark.parametrize("machine", [0, 1], ids=["here", "on another machine"])
async def test_what_came_meanwhile_changes_nothing(machines: Machines, machine: int) -> None:
    """Replays and copies of what lies there are told as ever, and letting it go makes nothing of it that it was not."""
    kept, *first = await comes(machines[0], LETTER)
    replay, *second = await comes(machines[0], REPLAY)
    copy, *third = await comes(machines[0], LETTER)
    assert (first, second, third) == (
        ["verified", {"first_contact"}],
        ["replayed", set()],
        ["verified", {"seen_before"}],
    )
    for each, expected in ((replay, second), (copy, third), (kept, first)):
        assert list((await goes_on(machines[machine], each))[1:]) == expected
    assert (await comes(machines[machine], REPLAY))[1:] == ("replayed", set())
    assert (await comes(machines[machine], LETTER))[1:] == ("verified", {"seen_before"})


async def test_a_replay_on_another_machine_is_found_once_the_first_went_on_there(machines: Machines) -> None:
    """The memory there learns of it: else its replay would be new to that machine."""
    kept, *_ = await comes(machines[0], LETTER)
    await goes_on(machines[1], kept)
    assert (await comes(machines[1], REPLAY))[1] == "replayed"


@pytest.mark.parametrize(
    ("letter", "verdict"), [(REPLAY, "replayed"), (COPY, "verified_lesser")], ids=["other", "list"]
)
async def test_another_machine_may_know_better(machines: Machines, letter: bytes, verdict: str) -> None:
    """A replay that came where nobody knew the first message is found where the first one is known."""
    await comes(machines[1], LETTER)
    kept, *first = await comes(machines[0], letter)
    assert first == ["verified", {"first_contact"}]
    assert list((await goes_on(machines[0], kept))[1:]) == first
    sent, found, _ = await goes_on(machines[1], kept)
    assert found == verdict
    assert (await goes_on(machines[0], replace(kept, recollection=sent.recollection)))[1] == verdict


@pytest.mark.parametrize(
    ("letter", "verdict", "notes"), [(LETTER, "verified", {"seen_before"}), (REPLAY, "replayed", set())],
    ids=["the same", "a replay"],
)  # fmt: skip
async def test_what_could_not_be_told_is_asked_later(
    machines: Machines, letter: bytes, verdict: str, notes: set[str]
) -> None:
    """Who keeps the memory from answering gets no replay released in green; the true one need not stay a lesser one."""
    await comes(machines[0], LETTER)
    kept, *first = await comes(Seen(Repeat.UNKNOWN, Contact.UNKNOWN), letter)
    assert first[0] != "verified"
    sent, *found = await goes_on(machines[0], kept)
    assert found == [verdict, notes]
    assert sent.recollection is not None
    assert sent.recollection.contact is Contact.KNOWN


async def test_what_an_older_version_kept_is_asked_for(machines: Machines) -> None:
    """Nobody noted what was known then: never new, which a replay would be as well."""
    for letter, expected in ((LETTER, "verified"), (REPLAY, "replayed")):
        kept, *_ = await comes(machines[0], letter)
        _, verdict, notes = await goes_on(machines[0], replace(kept, recollection=None))
        assert (verdict, "seen_before" in notes) == (expected, letter is LETTER)


async def test_nothing_is_noted_where_nobody_asked(machines: Machines) -> None:
    """Unsigned mail has no past; once a signature can be judged, its first look is the one that counts."""
    kept, verdict, _ = await comes(machines[0], PLAIN)
    assert (verdict, kept.recollection) == ("unsigned", None)
    kept, *_ = await comes(machines[0], LETTER)
    assert kept.recollection == Recollection(Repeat.NEW, Contact.FIRST)
