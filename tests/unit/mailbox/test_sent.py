"""Copies of sent mail: tried a few times, bounded, and never anybody else's business."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from structlog.testing import capture_logs

from gateway.config.mailbox import MailboxSettings, SentSettings
from gateway.core.message import Message
from gateway.core.queue import Kind
from gateway.mailbox import sent as room
from gateway.mailbox.imap import Server
from gateway.mailbox.sent import SentCopies, signed_one
from support.consigning import consignment
from support.letters import LAN, PLAIN, lan, signed
from support.odd_imap import HANG_UP, odd_imap
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.core.queue import Consignment
    from support.odd_imap import OddServer, Said

GO: Final = b"+ go\r\n"


def consigned(octets: bytes, *, kind: Kind = Kind.DELIVER, answered_for: bool = True) -> Consignment:
    return consignment(kind=kind, answered_for=answered_for, message=Message.of(octets))


@asynccontextmanager
async def filing(
    script: dict[str, Said | Callable[[str], Said]], **sent: Any
) -> AsyncIterator[tuple[SentCopies, OddServer, list[Any]]]:
    async with odd_imap(script) as server:
        settings = MailboxSettings(imap=f"127.0.0.1:{server.port}", tls="none", login="gateway", password="file:/x")
        copies = SentCopies(
            settings,
            SentSettings(**{"authors": (LAN,), **sent}),
            server=Server("127.0.0.1", server.port, None, 1.0),
            password="x",
            pauses=(0.01, 0.01),
        )
        with capture_logs() as said:
            try:
                yield copies, server, said
            finally:
                await copies.close()


async def test_a_copy_is_filed_as_its_author() -> None:
    """One copy a message, by the author's own mailbox, read; as it went out signed, whatever others got."""
    octets = signed(PLAIN, lan())
    async with filing({"APPEND": GO}) as (copies, server, said):
        copies.file((consigned(PLAIN), consigned(octets)))
        await until(lambda: any("filed" in each["event"] for each in said))
        assert f'LOGIN "{LAN}*gateway" "x"' in server.heard
        assert [each for each in server.heard if "APPEND" in each] == [f'APPEND "Sent" (\\Seen) {{{len(octets)}}}']


async def test_a_failed_copy_is_tried_again_and_given_up() -> None:
    """A few times only; then the log says what is missing, loudly."""
    async with filing({"APPEND": HANG_UP}) as (copies, server, said):
        copies.file((consigned(PLAIN),))
        await until(lambda: any(each["log_level"] == "error" for each in said))
        assert sum("APPEND" in each for each in server.heard) == 3
        assert said[-1]["event"] == "copy of sent mail given up"


@pytest.mark.parametrize(
    "sent",
    [
        consigned(PLAIN.replace(LAN.encode(), b"mai@tinh.example")),
        consigned(PLAIN, kind=Kind.HELD),
        consigned(PLAIN, kind=Kind.TO_SIGN),
        consigned(PLAIN, answered_for=False),
        consigned(b"From: a, b\r\n\r\nx\r\n"),
        consigned(PLAIN + b"x" * 65536),
    ],
    ids=["not listed", "held", "to sign", "inbound", "two authors", "too large"],
)
async def test_nobody_else_gets_a_copy(sent: Consignment) -> None:
    """Only what went out, of authors who asked for it, within the size."""
    async with filing({"APPEND": GO}, max_octets=65536) as (copies, server, _):
        copies.file((sent,))
        await asyncio.sleep(0.1)
        assert server.heard == []


async def test_what_waits_is_bounded() -> None:
    """While the mail store is away, memory is not the sender's to fill; the log names what gets no copy."""
    async with filing({"APPEND": GO}) as (copies, _, said):
        too_much = Message.join([Message.of(b"x" * 2**20)] * (room.MOST_OCTETS // 2**20 + 1))
        copies.file((consignment(message=too_much),))
        assert said[-1]["event"] == "no copy of sent mail: too many wait"
        for _ in range(room.MOST_WAITING + 1):
            copies.file((consigned(PLAIN),))
        assert [each["event"] for each in said].count("no copy of sent mail: too many wait") == 2


async def test_the_end_gives_up_what_waits() -> None:
    """Stopping the gateway does not wait for a mail store that is away, and says what is lost."""
    async with filing({"GREETING": HANG_UP}) as (copies, _, said):
        copies.file((consigned(PLAIN),))
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await copies.close()
        assert {"copies": 1}.items() <= said[-1].items()


def test_the_signed_one_is_chosen() -> None:
    """Clear or opaque; without any the first."""
    plain, clear = Message.of(PLAIN), Message.of(signed(PLAIN, lan()))
    opaque = Message.of(b"content-type:\r\n APPLICATION/pkcs7-mime; smime-type=signed-data\r\n\r\nx")
    assert signed_one((plain, clear)) is clear
    assert signed_one((plain, opaque)) is opaque
    assert signed_one((plain, plain)) is plain
