"""Our trace field stands above everything that came, whatever becomes of an outbound message (RFC 5321 4.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.config.senders import Reaction, SenderReactions
from gateway.config.wishes import WishSettings
from gateway.core.errors import ServiceError
from gateway.core.queue import Consignment, Kind
from gateway.core.verdict import Verified
from gateway.mime.fields import read_header
from gateway.service.senders import Senders
from support.letters import BINH, LAN, PLAIN, judged, lan
from support.rooms import (
    SIGN,
    CredentialKey,
    ListedKeys,
    opened,
    outbound_room,
    submission,
    world,
)

TRACE = b"Received: from may-tram ([127.0.0.1])\r\n\tby mail.songlam.example with ESMTP;\r\n\tnow\r\n"
SIGNS = SIGN.replace("IF_UNABLE", "refuse")
PASSES = "rules:\n  - {name: p, direction: outbound, then: THEN}\n"
FOREIGN = PLAIN.replace(LAN.encode(), BINH.encode())
FIELD = b"X-Office: So\r\n"
WISHING = PLAIN.replace(b"Subject: ", b"Subject: !ky ", 1)


async def one(message: bytes = PLAIN, policy: str = SIGNS, **given: object) -> Consignment:
    """Return the only consignment that becomes of a message which came with our trace field beside it."""
    room = outbound_room()
    key = given.pop("key", None) or CredentialKey(lan())
    known = replace(world(policy=policy, keys=ListedKeys(key)), **given)  # type: ignore[arg-type]
    sent = submission(message, "mai@congdan.example", sender=LAN, smtputf8=True)
    result = await room.consign(known, sent, replace(opened(message), trace=TRACE))
    assert isinstance(result, tuple), result
    (found,) = result
    return found


@pytest.mark.parametrize("then", ["", ", form: opaque", ", protect_headers: true", ", date_gap: replace_date"])
@pytest.mark.parametrize(
    "message",
    [
        PLAIN,
        PLAIN.replace(b"To: Nguyen", "To: Nguyễn".encode()),
        PLAIN.replace(b"Date: ", b"Date: Mon, 5 Jan 2015 10:00:00 +0700\r\nX-Old: ", 1),
        b"Bcc: an@nhau.example\r\n" + PLAIN,
    ],
    ids=["plain", "raw header", "old date", "blind copy"],
)
async def test_above_what_is_signed(message: bytes, then: str) -> None:
    """Outside the signature, once, and nothing else of the message changes by it."""
    found = await one(message, SIGNS.replace("if_unable: refuse", f"if_unable: refuse{then}"))
    octets = found.message.octets()
    assert octets.startswith(TRACE)
    assert octets.count(TRACE) == 1
    assert isinstance(judged(found.message).verdict, Verified)


async def test_above_what_is_passed_unsigned() -> None:
    """What is not signed is not changed below it."""
    found = await one(policy=PASSES.replace("THEN", "pass"))
    assert found.message.octets() == TRACE + PLAIN


@pytest.mark.parametrize("policy", [SIGNS, PASSES.replace("THEN", "{pass: {}}")], ids=["sign", "pass"])
async def test_fields_of_a_rule_stand_above_it(policy: str) -> None:
    """They are put on last."""
    policy = policy.replace("if_unable: refuse", "if_unable: refuse, add_header: {X-Office: So}")
    found = await one(policy=policy.replace("{pass: {}}", "{pass: {add_header: {X-Office: So}}}"))
    assert found.message.octets().startswith(FIELD + TRACE)


async def test_above_what_is_kept() -> None:
    """Held by a rule, by an objection, and while a key is away: the raw message, wish and all, with our field."""
    away = CredentialKey(lan())
    away.trouble = ServiceError("busy")
    held = await one(policy=PASSES.replace("THEN", "{hold: {reason: xem}}"))
    objected = await one(FOREIGN, senders=Senders(SenderReactions(not_allowed=Reaction.HOLD)))
    waiting = await one(WISHING, key=away, wishes=WishSettings(ask=("!ky",)))
    assert (held.kind, held.message.octets()) == (Kind.HELD, TRACE + PLAIN)
    assert (objected.kind, objected.message.octets()) == (Kind.HELD, TRACE + FOREIGN)
    assert (waiting.kind, waiting.message.octets()) == (Kind.TO_SIGN, TRACE + WISHING)


async def test_above_what_lost_a_wish() -> None:
    """The word goes, the field stays."""
    found = await one(WISHING, wishes=WishSettings(ask=("!ky",)))
    octets = found.message.octets()
    assert octets.startswith(TRACE)
    assert b"!ky" not in octets
    assert [each.key for each in read_header(found.message).fields].count("received") == 1
