"""Waiting for the replies to a dot is paused, taken up again, or given up: no reply is lost, or taken for another."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from gateway.core.message import Message
from gateway.ports import HopError, HopTrouble
from gateway.relay.maildir import MaildirHop
from support.hops import Drop, FakeHop, Hang, by_address, in_turn
from support.waiting import until
from support.way_out import LETTER, carry, deliver, path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.relay.hop import SmtpHop

    HopTo = Callable[..., SmtpHop]


@pytest.mark.parametrize("here", [False, True])
async def test_a_late_reply_is_read_when_waiting_goes_on(hop_to: HopTo, *, here: bool) -> None:
    """Whether it came meanwhile or comes later; the connection is in step then, and is kept."""
    async with FakeHop(answers={"DOT": Hang("250 2.0.0 at last")}) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        waiting = asyncio.create_task(carry(transaction))
        await until(lambda: fake.dots == 1)
        assert transaction.pause()
        assert await waiting is None
        if here:
            fake.release()
            await until(lambda: transaction._connection.wire.unread > 0)
        waiting = asyncio.create_task(transaction.content(LETTER))
        await asyncio.sleep(0)
        fake.release()
        assert [str(each) for each in await waiting or ()] == ["250 2.0.0 at last"]
        assert fake.messages[0].octets == LETTER.octets(), "the message went out once"
        fake.answers["DOT"] = "250 2.0.0 next"
        assert [str(each) for each in await deliver(hop) or ()] == ["250 2.0.0 next"]
        assert fake.connections == 1


async def test_paused_beforehand_it_takes_what_is_here(hop_to: HopTo) -> None:
    """Somebody who has no time left hears what was said already, and waits for nothing else."""
    async with FakeHop(answers={"DOT": Hang("250 2.0.0 at last")}) as fake:
        transaction = await hop_to(fake).begin()
        waiting = asyncio.create_task(carry(transaction))
        await until(lambda: fake.dots == 1)
        assert transaction.pause()
        assert await waiting is None
        assert transaction.pause()
        assert await transaction.content(LETTER) is None
        fake.release()
        await until(lambda: transaction._connection.wire.unread > 0)
        assert transaction.pause()
        assert [str(each) for each in await transaction.content(LETTER) or ()] == ["250 2.0.0 at last"]
        assert not transaction.pause()


@pytest.mark.parametrize("stage", ["MAIL", "DATA"])
async def test_there_is_no_pause_before_the_dot(hop_to: HopTo, stage: str) -> None:
    """Nothing changes: who has no patience then must close."""
    async with FakeHop(answers={stage: Hang("250 ok" if stage == "MAIL" else "354 go")}) as fake:
        transaction = await hop_to(fake).begin()
        waiting = asyncio.create_task(carry(transaction))
        await until(lambda: fake.seen(stage) == 1)
        assert not transaction.pause()
        fake.release()
        assert [each.code for each in await waiting or ()] == [250]


@pytest.mark.parametrize("last", ["250 2.0.0 c", Drop()])
async def test_lmtp_goes_on_where_it_was_paused(hop_to: HopTo, last: str | Drop) -> None:
    """Replies that were read before count for the recipients they were for, also if the hop is lost then."""
    async with FakeHop(lmtp=True) as fake:
        fake.answers["DOT"] = by_address(
            {"a@x.example": "250 2.0.0 a", "b@x.example": Hang("452 4.2.2 b"), "c@x.example": last}
        )
        transaction = await hop_to(fake).begin()
        await transaction.envelope(path("a@x.example", "b@x.example", "c@x.example"))
        waiting = asyncio.create_task(transaction.content(LETTER))
        await until(lambda: len(transaction._outcomes) == 1)
        assert transaction.pause()
        assert await waiting is None
        waiting = asyncio.create_task(transaction.content(LETTER))
        await asyncio.sleep(0)
        fake.release()
        if isinstance(last, Drop):
            with pytest.raises(HopError) as caught:
                await waiting
            assert caught.value.trouble is HopTrouble.LOST_AFTER_DOT
            assert [str(each) for each in caught.value.replies] == ["250 2.0.0 a", "452 4.2.2 b"]
        else:
            assert [each.code for each in await waiting or ()] == [250, 452, 250]


@pytest.mark.parametrize("way", ["give_up", "abandon"])
async def test_given_up_behind_the_dot_the_connection_is_closed(hop_to: HopTo, way: str) -> None:
    """No RSET, to which the hop's answer to the dot would be taken for the reply; and the next message has its own."""
    async with FakeHop(answers={"DOT": in_turn(Hang("250 2.0.0 stale"), "554 5.7.1 the true answer")}) as fake:
        hop = hop_to(fake, max_connections=1)
        transaction = await hop.begin()
        waiting = asyncio.create_task(carry(transaction))
        await until(lambda: fake.dots == 1)
        transaction.pause()
        assert await waiting is None
        if way == "abandon":
            await transaction.abandon()
        else:
            transaction.give_up()
        with pytest.raises(RuntimeError):
            await transaction.content(LETTER)
        fake.release()
        assert [str(each) for each in await deliver(hop) or ()] == ["554 5.7.1 the true answer"]
        assert (fake.seen("RSET"), fake.connections) == (0, 2)


async def test_a_pause_gives_the_hop_no_more_time(hop_to: HopTo) -> None:
    """The limit for the reply counts from the dot, however often somebody waits for it."""
    async with FakeHop(answers={"DOT": Hang()}) as fake:
        transaction = await hop_to(fake).begin()
        waiting = asyncio.create_task(carry(transaction))
        await until(lambda: fake.dots == 1)
        wire = transaction._connection.wire
        limit = wire._deadline
        transaction.pause()
        assert await waiting is None
        wire._deadline = wire._looks_at = asyncio.get_running_loop().time()
        wire._expire()  # nobody waits in this moment
        with pytest.raises(HopError, match="no answer in time"):
            async with asyncio.timeout(20):
                await transaction.content(LETTER)
        assert wire._deadline < limit
        fake.release()


class Waiting:
    """A source of four octets that somebody holds back."""

    def __init__(self) -> None:
        self.let = threading.Event()

    def __len__(self) -> int:
        return 4

    def read(self, _start: int, _stop: int) -> bytes:
        """Wait, then give them."""
        assert self.let.wait(60)
        return b"a\r\n\n"


async def test_a_maildir_can_be_paused_behind_its_first_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before that there is no pause; afterwards the thread goes on, and its outcome is taken when it is asked for."""
    hop, renamed, let = MaildirHop("mailbox", tmp_path, hostname="gw.example"), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def sync(_directory: Path) -> None:
        loop.call_soon_threadsafe(renamed.set)
        assert let.wait(60)

    source = Waiting()
    transaction = await hop.begin()
    await transaction.envelope(path())
    (tmp_path / "hopthu.example" / "mai").mkdir(parents=True)
    for each in ("tmp", "new", "cur"):
        (tmp_path / "hopthu.example" / "mai" / each).mkdir()
    monkeypatch.setattr("gateway.relay.maildir.sync_directory", sync)
    waiting = asyncio.create_task(transaction.content(Message.from_source(source)))
    await asyncio.sleep(0)
    assert not transaction.pause()
    source.let.set()
    await renamed.wait()
    assert transaction.pause()
    assert await waiting is None
    assert transaction.pause()
    assert await transaction.content(LETTER) is None
    let.set()
    assert [each.code for each in await transaction.content(LETTER) or ()] == [250]
    await hop.close()
