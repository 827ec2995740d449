"""Entries as they come to the spool, and how two of them are compared."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from gateway.config.model import SpoolSettings
from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Direction, Envelope, Notify, Recipient, Ret
from gateway.core.message import EMPTY, Message
from gateway.core.queue import Consignment, Entry, Kind, RecipientState
from gateway.core.reply import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.octets import Builder

NOW: Final = datetime(2026, 8, 21, 9, 30, 0, 123457, tzinfo=UTC)
LARGE: Final = 300_000
"""Octets of a body that goes into a file."""
_COUNTER: Final = itertools.count()


def settings(directory: Path, **changes: Any) -> SpoolSettings:
    """Return settings for a spool in a directory, with nothing kept free; what is large for a row is in a file."""
    return SpoolSettings(**{"directory": directory, "min_free": 0, "memory_threshold": 256 * 1024, **changes})


def octets(length: int, seed: int = 1) -> bytes:
    """Return octets that repeat nowhere and are the same each time."""
    return random.Random(seed).randbytes(length)  # noqa: S311 - bodies for tests


def entry(message: Message | bytes = b"From: a\r\n\r\nx\r\n", *, kind: Kind = Kind.DELIVER, **changes: Any) -> Entry:
    """Return an entry for two recipients that is due at NOW."""
    body = Message.of(message) if isinstance(message, bytes) else message
    sender = Mailbox("van-thu", "so-noi-vu.example")
    recipients = (Recipient(Mailbox("lan", "xa.example")), Recipient(Mailbox("minh", "xa.example")))
    envelope = Envelope(sender, recipients)
    consignment = Consignment(kind, "hop", envelope, body, Direction.OUTBOUND, "trace", answered_for=True)
    fresh = Entry(
        f"entry{next(_COUNTER):06}",
        consignment,
        (RecipientState.READY, RecipientState.READY),
        received_at=NOW,
        next_attempt_at=NOW,
        expires_at=NOW + timedelta(days=5),
    )
    return dataclasses.replace(fresh, **changes)


def sent(each: Entry) -> Entry:
    """Return an entry all of whose recipients were accepted."""
    return dataclasses.replace(each, states=(RecipientState.SENT,) * len(each.states))


def with_consignment(each: Entry, **changes: Any) -> Entry:
    """Return an entry whose consignment differs."""
    return dataclasses.replace(each, consignment=dataclasses.replace(each.consignment, **changes))


def rich() -> Entry:
    """Return an entry that uses every field."""
    recipients = (
        Recipient(Mailbox("lan", "xa.example")),
        Recipient(Mailbox("lan", "xa.example"), frozenset(), "rfc822;lan+2Bx@xa.example"),
        Recipient(Mailbox('"a b"', "[192.0.2.1]"), frozenset({Notify.FAILURE, Notify.DELAY})),
        Recipient(Mailbox("người", "tỉnh.example"), frozenset(Notify), "utf-8;người@tỉnh.example"),
    )
    envelope = Envelope(Mailbox("Văn.Thư", "SỞ.example"), recipients, True, True, Ret.HDRS, "QQ+2B314159")
    replies = (
        None,
        Reply(250, "2.1.5", ("ok",)),
        Reply(451, None, ("4 lines", "", 'Xin "chờ" \\ 1 chút', "😀")),
        Reply(550, "5.1.1", ("no",)),
    )
    return Entry(
        "Rich_entry-1",
        Consignment(
            Kind.DELIVER,
            "hop-2",
            envelope,
            Message.of(b"Subject: x\r\n\r\n\x00\xff\r\n"),
            Direction.INBOUND,
            "0123abcd",
            answered_for=False,
            reason="hop_down không kết nối được",
        ),
        (RecipientState.READY, RecipientState.SENT, RecipientState.READY, RecipientState.FAILED),
        received_at=NOW,
        next_attempt_at=NOW + timedelta(microseconds=1),
        expires_at=NOW + timedelta(days=5, microseconds=999_999),
        attempts=7,
        dot_sent=True,
        last_replies=replies,
    )


def bare() -> Entry:
    """Return an entry that uses as few fields as can be."""
    envelope = Envelope(NULL_PATH, (Recipient(Mailbox("a", "b")),))
    consignment = Consignment(Kind.DELIVER, "", envelope, EMPTY, Direction.OUTBOUND, "", answered_for=True)
    return Entry("b", consignment, (RecipientState.READY,), NOW, NOW, NOW, last_replies=(None,))


def plain(each: Entry) -> tuple[Entry, int, str]:
    """Return what two entries have in common exactly if they are equal, octets included."""
    message = each.consignment.message
    return with_consignment(each, message=EMPTY), len(message), hashlib.sha256(message.octets()).hexdigest()


def fill(builder: Builder, content: bytes, block: int = 65536) -> Message:
    """Return content as a message that went through a builder in blocks."""
    for start in range(0, len(content), block):
        builder.write(content[start : start + block])
    return Message.from_source(builder.finish())
