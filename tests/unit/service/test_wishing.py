"""A wish on its way: read from a submission, taken out, put before the rules, and kept with what has to wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.config.wishes import WishSettings
from gateway.core.queue import Consignment, Kind
from gateway.core.verdict import Unsigned, Verified
from support.letters import LAN, PLAIN, judged
from support.rooms import (
    opened,
    outbound_room,
    submission,
    world,
)

WORDS = WishSettings(ask=("!ky",), decline=("!khongky",), field="X-Sign")
POLICY = """\
rules:
  - {name: hold, direction: outbound, when: {subject_contains: giữ}, then: {hold: {reason: x}}}
  - {name: free, direction: outbound, when: {wish: decline, recipient: "@congdan.example"}, then: pass}
  - name: sign
    direction: outbound
    when: {any: [{wish: sign}, {recipient: "@coquan.example"}, {wish: decline}]}
    then: {sign: {key: personal, if_unable: refuse}}
  - {name: rest, direction: outbound, then: pass}
"""
CITIZEN, OFFICE = "mai@congdan.example", "mai@coquan.example"


def letter(subject: str, more: str = "") -> bytes:
    """Return the plain letter with another subject."""
    lines = [each for each in PLAIN.split(b"\r\n") if not each.lower().startswith(b"subject:")]
    return b"\r\n".join([f"Subject: {subject}".encode(), *([more.encode()] if more else []), *lines])


async def sent(message: bytes, *to: str, words: WishSettings | None = WORDS) -> tuple[Consignment, ...]:
    """Return what becomes of a message from Lan."""
    room = outbound_room()
    chosen = replace(world(POLICY), wishes=words)
    result = await room.consign(chosen, submission(message, *to, sender=LAN), opened(message))
    assert isinstance(result, tuple), result
    return result


@pytest.mark.parametrize(
    ("subject", "more", "to", "verdict"),
    [
        ("Hoi tham !ky", "", CITIZEN, Verified),
        ("Hoi tham", "X-Sign: yes", CITIZEN, Verified),
        ("Hoi tham", "", CITIZEN, Unsigned),
        ("!khongky Hoi tham", "", CITIZEN, Unsigned),
        ("Hoi tham", "X-Sign: no", CITIZEN, Unsigned),
        ("Hoi tham !khongky", "", OFFICE, Verified),
        ("Hoi tham !khongky", "X-Sign: yes", CITIZEN, Verified),
    ],
)
async def test_a_wish_counts_where_a_rule_asks_for_it(subject: str, more: str, to: str, verdict: type) -> None:
    """It can bring a signature, and spare one only where a rule says so; nobody who receives the mail sees it."""
    (consignment,) = await sent(letter(subject, more), to)
    assert isinstance(judged(consignment.message).verdict, verdict)
    octets = bytes(consignment.message.read(0, len(consignment.message)))
    assert b"Subject: Hoi tham\r\n" in octets
    assert b"!k" not in octets
    assert b"X-Sign" not in octets


async def test_each_recipient_by_the_rule_for_it() -> None:
    """One message, one wish, two answers: what is required of one recipient is required."""
    found = {
        str(each.envelope.recipients[0].mailbox): type(judged(each.message).verdict)
        for each in await sent(letter("Hoi tham !khongky"), CITIZEN, OFFICE)
    }
    assert found == {CITIZEN: Unsigned, OFFICE: Verified}


async def test_what_waits_keeps_the_wish() -> None:
    """Held mail goes through the journey again, and what its sender asked for must still be there to be read."""
    (consignment,) = await sent(letter("giữ Hoi tham !khongky"), CITIZEN)
    assert consignment.kind is Kind.HELD
    assert b"!khongky" in bytes(consignment.message.read(0, len(consignment.message)))


async def test_without_settings_words_are_words() -> None:
    """Where nobody set up wishes, nothing is taken out and nothing is asked."""
    (consignment,) = await sent(letter("Hoi tham !ky", "X-Sign: yes"), CITIZEN, words=None)
    octets = bytes(consignment.message.read(0, len(consignment.message)))
    assert b"Subject: Hoi tham !ky\r\nX-Sign: yes\r\n" in octets
    assert isinstance(judged(consignment.message).verdict, Unsigned)
