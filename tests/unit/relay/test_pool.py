"""Kept connections: what is used again, what never is, how many there are, and when nobody tries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.config.model import Hop, Settings
from gateway.core.errors import SetupError
from gateway.ports import HopError, HopTrouble
from gateway.relay.breaker import FIRST_PAUSE, LONGEST_PAUSE, MOST_WORDS, TROUBLES, Breaker
from gateway.relay.hop import Hops
from support.hops import Drop, FakeHop, Hang, in_turn
from support.waiting import until
from support.way_out import carry, deliver, path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.relay.hop import SmtpHop

    HopTo = Callable[..., SmtpHop]


async def test_one_connection_carries_many_messages_but_not_for_ever(hop_to: HopTo) -> None:
    """It is kept between messages, without RSET, and left with QUIT after the last one it may carry."""
    async with FakeHop() as fake:
        hop = hop_to(fake)
        for _ in range(100):
            await deliver(hop)
        assert (fake.connections, fake.seen("RSET")) == (1, 0)
        await until(lambda: fake.seen("QUIT") == 1)
        await deliver(hop)
        assert fake.connections == 2


async def test_a_connection_that_lay_too_long_is_left(hop_to: HopTo) -> None:
    """Hops close idle connections; ours are left before that, with QUIT."""
    async with FakeHop() as fake:
        hop = hop_to(fake)
        await deliver(hop)
        hop._pool._idle[0].idle_since -= 30 + 1
        await deliver(hop)
        assert fake.connections == 2
        hop._pool._idle[0].idle_since -= 30 + 1
        hop._pool._reap()
        await until(lambda: fake.seen("QUIT") == 2 and fake.open == 0)


async def test_a_connection_closed_while_idle_is_replaced(hop_to: HopTo) -> None:
    """The hop restarted: the next message does not notice."""
    async with FakeHop() as fake:
        hop = hop_to(fake)
        await deliver(hop)
        await fake.stop()
        await fake.start()
        assert [each.code for each in await deliver(hop)] == [250]


@pytest.mark.parametrize(("stage", "answer"), [("MAIL", Drop()), ("MAIL", "421 4.4.2 idle too long"), ("RCPT", Drop())])
async def test_a_stale_connection_is_replaced_once_mail_has_begun(
    hop_to: HopTo, stage: str, answer: Drop | str
) -> None:
    """The hop gave it up in the very moment of MAIL: one new connection, and nobody hears of it."""
    async with FakeHop(answers={stage: in_turn("250 ok", answer, "250 ok")}) as fake:
        hop = hop_to(fake)
        await deliver(hop)
        assert [each.code for each in await deliver(hop)] == [250]
        assert (fake.connections, len(fake.messages)) == (2, 2)


async def test_a_new_connection_that_fails_is_not_tried_again(hop_to: HopTo) -> None:
    """Only what was kept can be stale; two attempts at one host are enough."""
    async with FakeHop(answers={"MAIL": in_turn("250 ok", Drop())}) as fake:
        hop = hop_to(fake)
        await deliver(hop)
        with pytest.raises(HopError):
            await deliver(hop)
        assert fake.connections == 2


async def test_loss_after_recipients_were_accepted_is_not_hidden(hop_to: HopTo) -> None:
    """The caller has decided by those replies: another connection must not give others."""
    async with FakeHop(answers={"DATA": in_turn("354 go", Drop())}) as fake:
        hop = hop_to(fake)
        await deliver(hop)
        transaction = await hop.begin()
        with pytest.raises(HopError):
            await carry(transaction)
        assert fake.connections == 1


async def test_no_more_connections_than_allowed(hop_to: HopTo) -> None:
    """Who comes too late waits its turn, in order; a place is free again whatever ended a transaction."""
    async with FakeHop(answers={"DOT": in_turn(Hang("250 ok"), "250 ok")}) as fake:
        hop = hop_to(fake, max_connections=2)
        tasks = [asyncio.create_task(deliver(hop)) for _ in range(6)]
        await fake.dot_seen.wait()
        await until(lambda: len(fake.messages) == 5)
        assert fake.connections == 2
        fake.release()
        await asyncio.gather(*tasks)
        assert len(fake.messages) == 6


async def test_waiting_for_a_place_can_be_cancelled(hop_to: HopTo) -> None:
    """And takes no place away."""
    async with FakeHop() as fake:
        hop = hop_to(fake, max_connections=1)
        first = await hop.begin()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hop.begin(), 0.05)
        await first.abandon()
        await deliver(hop)
        assert hop.usable


async def test_who_is_canceled_in_his_turn_passes_it_on(hop_to: HopTo) -> None:
    """A place that comes in the very moment in which its taker goes is that of the next one."""
    async with FakeHop() as fake:
        hop = hop_to(fake, max_connections=1)
        first = await hop.begin()
        gone, next_one = asyncio.create_task(hop.begin()), asyncio.create_task(deliver(hop))
        await asyncio.sleep(0)
        assert hop.busy
        first.give_up()
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        async with asyncio.timeout(20):
            assert [each.code for each in await next_one or ()] == [250]
        assert not hop.busy


async def test_the_breaker_opens_and_one_attempt_closes_it(hop_to: HopTo) -> None:
    """After some troubles in a row nobody tries; later one attempt does, and success ends it."""
    async with FakeHop(answers={"BANNER": "554 5.3.2 no"}) as fake:
        hop = hop_to(fake)
        for number in range(TROUBLES):
            assert hop.usable, number
            with pytest.raises(HopError):
                await hop.begin()
        assert not hop.usable
        with pytest.raises(HopError) as caught:
            await hop.begin()
        assert caught.value.trouble is HopTrouble.SITE
        assert fake.connections == TROUBLES
        assert await hop.known_limits() is None
        fake.answers["BANNER"] = "220 fake.example"
        hop._breaker._retry_at = 0.0
        assert hop.usable
        await deliver(hop)
        assert hop.usable
        await deliver(hop)


async def test_loss_before_the_dot_opens_the_breaker_too(hop_to: HopTo) -> None:
    """A hop that greets and then drops every message is not usable either."""
    async with FakeHop(answers={"DATA": Drop()}) as fake:
        hop = hop_to(fake)
        for _ in range(TROUBLES):
            with pytest.raises(HopError):
                await deliver(hop)
        assert not hop.usable


@pytest.mark.parametrize("answer", ["550 5.7.1 no", "451 4.3.0 later", "421 4.3.2 closing", "501 5.5.4 syntax"])
async def test_what_is_said_about_a_message_never_opens_the_breaker(hop_to: HopTo, answer: str) -> None:
    """One sender whom the hop does not like must not stop the mail of all others."""
    async with FakeHop(answers={"MAIL": answer}) as fake:
        hop = hop_to(fake)
        for _ in range(TROUBLES + 1):
            transaction = await hop.begin()
            try:
                await transaction.envelope(path())
            except HopError:
                assert answer.startswith("501")
            await transaction.abandon()
        assert hop.usable


def test_the_breaker_by_the_clock() -> None:
    """Each attempt while open doubles the pause up to a limit; many failures at once do not."""
    now = 0.0
    breaker = Breaker(lambda: now)
    for _ in range(50):
        assert breaker.enter() or not breaker.usable
        breaker.trouble()
    assert not breaker.usable
    now = FIRST_PAUSE
    assert breaker.usable
    assert breaker.enter()
    assert not breaker.enter()  # one at a time
    now += FIRST_PAUSE
    assert not breaker.enter()
    now += FIRST_PAUSE
    assert breaker.enter()  # whatever became of the one before
    for _ in range(20):
        now += LONGEST_PAUSE
        assert breaker.enter()
    breaker.answered()
    assert breaker.enter()
    assert breaker.enter()


def test_the_breaker_tells_since_when() -> None:
    """It is open from the last of the troubles in a row until the answer; more troubles do not make it younger."""
    now = 100.0
    breaker = Breaker(lambda: now)
    assert (breaker.open, breaker.seconds, breaker.last_trouble) == (False, 0.0, None)
    for _ in range(TROUBLES):
        now += 10
        breaker.trouble("no route")
    now += 5
    breaker.trouble("x" * 10_000)
    now += 2
    words, ago = breaker.last_trouble or ("", 0.0)
    assert (breaker.open, breaker.seconds, len(words), ago) == (True, 7.0, MOST_WORDS, 2.0)
    assert breaker.rest == 0.0  # the next message tries
    assert breaker.enter()
    assert breaker.rest == 2 * FIRST_PAUSE
    breaker.answered()
    now += 3
    breaker.answered()
    assert (breaker.open, breaker.seconds, breaker.rest) == (False, 3.0, 0.0)


async def test_limits_are_asked_for_once(hop_to: HopTo) -> None:
    """Ten who want to know share one question, one that goes away leaves it to the others, and the answer stays."""
    async with FakeHop(keywords=("SIZE 12345",)) as fake:
        hop = hop_to(fake)
        gone = asyncio.create_task(hop.known_limits())
        others = [asyncio.create_task(hop.known_limits()) for _ in range(10)]
        await asyncio.sleep(0)
        gone.cancel()
        assert {each.size for each in await asyncio.gather(*others) if each} == {12345}
        await hop.known_limits()
        assert (fake.connections, fake.seen("MAIL")) == (1, 0)
    assert await hop.known_limits() is not None
    assert await hop_to(fake).known_limits() is None


async def test_close_says_goodbye(hop_to: HopTo) -> None:
    """Idle connections get QUIT, those in use are cut, and nothing is opened afterwards."""
    async with FakeHop() as fake:
        hop = hop_to(fake)
        first, second = await hop.begin(), await hop.begin()
        await first.abandon()
        await hop.close()
        await until(lambda: fake.open == 0)
        assert fake.seen("QUIT") == 1
        with pytest.raises(HopError):
            await second.envelope(path())
        with pytest.raises(HopError):
            await hop.begin()


def test_hops_by_name(tmp_path: Path) -> None:
    """Every configured hop by its name, `KeyError` for others, every mistake of the set-up at once."""

    def settings(*hops: Hop) -> Settings:
        return Settings.model_construct(hostname="mail.songlam.example", hops=hops)

    hops = Hops(
        settings(
            Hop(name="a", protocol="smtp", addresses=("a.example:25",)),  # type: ignore[arg-type]
            Hop(name="b", protocol="maildir", directory=tmp_path),  # type: ignore[arg-type]
        )
    )
    assert [hops.by_name(each).per_recipient for each in "ab"] == [False, True]
    with pytest.raises(KeyError):
        hops.by_name("c")
    bad = [
        Hop(name=each, protocol="smtp", addresses=("a:1",), tls="verify", tls_ca=tmp_path / each)  # type: ignore[arg-type]
        for each in "xy"
    ]
    with pytest.raises(SetupError) as caught:
        Hops(settings(*bad))
    assert len(caught.value.mistakes) == 2
