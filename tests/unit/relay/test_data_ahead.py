"""DATA in one write with the envelope of one recipient (RFC 2920 3.1): never a dot too early, never out of step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.ports import HopError, HopTrouble
from support.hops import KEYWORDS, Drop, FakeHop, Hang, Raw, in_turn
from support.waiting import until
from support.way_out import LETTER, deliver, path

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.reply import Reply
    from gateway.ports import NextHop, Transaction
    from gateway.relay.hop import SmtpHop

    HopTo = Callable[..., SmtpHop]

SIZE = len(LETTER)
WITHOUT_PIPELINING = tuple(each for each in KEYWORDS if each != "PIPELINING")


async def offer(transaction: Transaction, *to: str) -> tuple[Reply, ...]:
    """Offer an envelope whose content is to follow."""
    return await transaction.envelope(path(*to), size=SIZE)


async def carry_on(hop: NextHop) -> tuple[Reply, ...]:
    """Take one message to one recipient, content announced."""
    transaction = await hop.begin()
    await offer(transaction)
    return await transaction.content(LETTER)


@pytest.mark.parametrize("lmtp", [False, True])
async def test_data_goes_with_the_envelope_of_one(hop_to: HopTo, *, lmtp: bool) -> None:
    """The hop reads DATA before anybody decided on the content; the dot comes with the content, and not before."""
    async with FakeHop(lmtp=lmtp) as fake:
        transaction = await hop_to(fake).begin()
        assert [each.code for each in await offer(transaction)] == [250]
        await until(lambda: fake.seen("DATA") == 1)
        assert not transaction.dot_sent
        assert fake.dots == 0
        assert [each.code for each in await transaction.content(LETTER)] == [250]
        assert [each.octets for each in fake.messages] == [LETTER.octets()]
        assert fake.seen("DATA") == 1


@pytest.mark.parametrize(
    ("keywords", "to", "size"),
    [
        (WITHOUT_PIPELINING, ("a@x.example",), SIZE),
        (KEYWORDS, ("a@x.example", "b@x.example"), SIZE),
        (KEYWORDS, ("a@x.example",), None),
    ],
    ids=["not-offered", "two-recipients", "a-question-only"],
)
async def test_data_waits_otherwise(
    hop_to: HopTo, keywords: tuple[str, ...], to: tuple[str, ...], size: int | None
) -> None:
    """A mixed answer leads to a commit first, a probe to none: both end with RSET, on a connection that is kept."""
    async with FakeHop(keywords=keywords) as fake:
        transaction = await hop_to(fake).begin()
        await transaction.envelope(path(*to), size=size)
        await transaction.abandon()
        assert (fake.seen("RSET"), fake.seen("DATA")) == (1, 0)


async def test_who_is_refused_leaves_the_connection_in_step(hop_to: HopTo) -> None:
    """The refusal of DATA is read before RSET, and the next message hears its own answers."""
    async with FakeHop(answers={"RCPT": in_turn("550 5.1.1 unknown", "250 ok")}) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        assert [str(each) for each in await offer(transaction)] == ["550 5.1.1 unknown"]
        await transaction.abandon()
        assert [str(each) for each in await carry_on(hop)] == ["250 2.0.0 queued"]
        assert (fake.connections, fake.seen("RSET"), fake.dots) == (1, 1, 1)


@pytest.mark.parametrize(
    ("stage", "said"),
    [("MAIL", "550 5.7.1 no\r\n503 5.5.1 order\r\n"), ("RCPT", "550 5.1.1 no\r\n")],
)
async def test_354_for_nobody_ends_the_connection(hop_to: HopTo, stage: str, said: str) -> None:
    """A hop that goes ahead without a recipient gets neither a dot nor RSET, which would be content to it."""
    async with FakeHop(answers={stage: Raw(f"{said}354 go\r\n".encode())}) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        assert [each.code for each in await offer(transaction)] == [550]
        await transaction.abandon()
        await until(lambda: fake.open == 0)
        assert (fake.seen("RSET"), fake.dots) == (0, 0)
        fake.answers[stage] = "250 ok"
        assert [each.code for each in await carry_on(hop)] == [250]
        assert fake.connections == 2


async def test_abandoned_behind_data_there_is_no_dot(hop_to: HopTo) -> None:
    """What was accepted and is not wanted any more ends with the connection."""
    async with FakeHop() as fake:
        hop = hop_to(fake, max_connections=1)
        transaction = await hop.begin()
        await offer(transaction)
        await transaction.abandon()
        await until(lambda: fake.open == 0)
        assert (fake.seen("RSET"), fake.dots) == (0, 0)
        assert [each.code for each in await carry_on(hop)] == [250]
        assert (fake.connections, fake.dots) == (2, 1)


@pytest.mark.parametrize("answer", ["451 4.3.0 later", "554 5.7.1 no"])
async def test_a_refusal_of_data_is_the_messages(hop_to: HopTo, answer: str) -> None:
    """No octet of content goes out, and the connection serves on."""
    async with FakeHop(answers={"DATA": in_turn(answer, "354 go")}) as fake:
        hop = hop_to(fake)
        assert [str(each) for each in await carry_on(hop)] == [answer]
        assert [each.code for each in await carry_on(hop)] == [250]
        assert (fake.connections, fake.dots) == (1, 1)


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    "answer",
    [Drop(), Raw(b"hello\r\n"), Raw(b"354 go\r\n250 ok\r\n"), Raw(b"250-a\r\n251 b\r\n"), Raw(b"250 ok\r\n250 ok\r\n")],
    ids=["lost", "nonsense", "354-and-250", "two-codes", "twice"],
)
async def test_out_of_step_before_the_dot_there_is_none(hop_to: HopTo, stage: str, answer: Drop | Raw) -> None:
    """Whatever is said too much, too little or at the wrong place: no dot, no 250, no connection kept."""
    async with FakeHop(answers={stage: answer}) as fake:
        hop = hop_to(fake)
        with pytest.raises(HopError) as caught:
            await carry_on(hop)
        assert caught.value.trouble is HopTrouble.SITE
        await until(lambda: fake.open == 0)
        assert fake.dots == 0


async def test_a_250_behind_354_is_not_the_dots(hop_to: HopTo) -> None:
    """Everything in one segment, the 250 for a message nobody sent included: it is no acceptance."""
    said = Raw(b"250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 queued\r\n")
    async with FakeHop(answers={"MAIL": said, "RCPT": "", "DATA": ""}) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        await offer(transaction)
        with pytest.raises(HopError) as caught:
            await transaction.content(LETTER)
        assert caught.value.trouble is HopTrouble.SITE
        assert not transaction.dot_sent


async def test_a_kept_connection_gone_stale_is_replaced_whole(hop_to: HopTo) -> None:
    """MAIL, RCPT and DATA are said again to a new connection; the message arrives once."""
    async with FakeHop(answers={"MAIL": in_turn("250 ok", "421 4.4.2 idle too long", "250 ok")}) as fake:
        hop = hop_to(fake)
        await carry_on(hop)
        assert [each.code for each in await carry_on(hop)] == [250]
        assert (fake.connections, fake.dots, len(fake.messages)) == (2, 2, 2)


@pytest.mark.parametrize("stage", ["MAIL", "RCPT"])
async def test_abandoned_by_another_task_no_reply_is_read_by_two(hop_to: HopTo, stage: str) -> None:
    """The step under way ends with its connection, opens none in its place, and is no trouble of the hop's."""
    async with FakeHop(answers={stage: in_turn(Hang("250 2.0.0 stale"), "250 ok")}) as fake:
        hop = hop_to(fake, max_connections=1)
        transaction = await hop.begin()
        step = asyncio.create_task(offer(transaction))
        await until(lambda: fake.seen(stage) == 1)
        await transaction.abandon()
        await transaction.abandon()
        with pytest.raises(HopError):
            await step
        fake.release()
        await until(lambda: fake.open == 0)
        assert (fake.connections, fake.seen("RSET"), fake.dots) == (1, 0, 0)
        assert [str(each) for each in await deliver(hop)] == ["250 2.0.0 queued"]
        assert fake.connections == 2
        assert hop._breaker._troubles == 0


async def test_abandoned_twice_at_once_is_ended_once(hop_to: HopTo) -> None:
    """Two tasks that give up one transaction give its connection back once."""
    async with FakeHop(answers={"RSET": in_turn(Hang("250 ok"), "250 ok")}) as fake:
        hop = hop_to(fake, max_connections=1)
        transaction = await hop.begin()
        await transaction.envelope(path())
        first = asyncio.create_task(transaction.abandon())
        await until(lambda: fake.seen("RSET") == 1)
        await transaction.abandon()
        await first
        fake.release()
        assert [each.code for each in await deliver(hop)] == [250]
        assert fake.connections == 2


@pytest.mark.parametrize("rcpt", [b"550 5.1.1 unknown\r\n", b"250 ok\r\n"], ids=["refused", "accepted"])
async def test_behind_354_an_abandoned_transaction_sends_nothing(hop_to: HopTo, rcpt: bytes) -> None:
    """Not one octet: it would be content, RSET as well."""
    content: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        says = {b"EHLO": b"250-x.example\r\n250 PIPELINING\r\n", b"MAIL": b"250 ok\r\n", b"RCPT": rcpt}
        writer.write(b"220 x.example\r\n")
        while not (line := await reader.readline()).startswith(b"DATA"):
            writer.write(says[line[:4]])
        writer.write(b"354 go\r\n")
        content.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        transaction = await hop_to(f"127.0.0.1:{server.sockets[0].getsockname()[1]}").begin()
        await offer(transaction)
        await transaction.abandon()
        await until(lambda: bool(content))
        assert content == [b""]
