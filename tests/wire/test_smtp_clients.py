"""Whose mail it is: PROXY headers and XCLIENT from listed hosts only, and how fast one sender may send."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import pytest
from pydantic import ValidationError

from gateway.config.listeners import RateLimits
from gateway.smtp.proxied import Header, parse
from gateway.smtp.rates import MOST_REMEMBERED, Buckets, Rates
from support.smtp_side import House, Talker, call, listener, tls_files, trusting
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.smtp.server import Server

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
FOUR: Final = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 25\r\n"


def second(address: bytes, family: int = 0x11, command: int = 0x21, extra: bytes = b"") -> bytes:
    """Return a header of version 2."""
    body = address + address + struct.pack("!HH", 40000, 25) + extra
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


@asynccontextmanager
async def through(server: Server, header: bytes) -> AsyncIterator[Talker]:
    """Connect as a balancer does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    talker = Talker(reader, writer)
    try:
        if header:
            await talker.raw(header)
        yield talker
    finally:
        await talker.leave()


async def send(talker: Talker) -> None:
    """Send a message."""
    await talker.envelope()
    await talker.raw(b"x\r\n.\r\n")
    assert (await talker.hear())[-1][:3] == "250"


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (FOUR, "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 1 25\r\n", "2001:db8::9"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (second(b"\xcb\x00\x71\x09", extra=b"\x03\x00\x04abcd"), "203.0.113.9"),
        (second(b"\x20\x01\x0d\xb8" + bytes(11) + b"\x09", family=0x21), "2001:db8::9"),
        (second(bytes(10) + b"\xff\xff\xcb\x00\x71\x09", family=0x21), "203.0.113.9"),
        (SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
    ],
)
async def test_a_listed_balancer_tells_the_client(header: bytes, client: str) -> None:
    """Both versions, whole or in pieces, with the greeting only after them; what follows at once is not lost."""
    house = House(settings=listener(proxy_from=["127.0.0.0/8"]))
    async with house.serving() as server:
        async with through(server, header + b"EHLO x\r\n") as talker:
            assert (await talker.hear())[-1][:3] == "220"
            assert (await talker.hear())[-1][:3] == "250"
            await send(talker)
        async with through(server, header[:9]) as talker:
            await asyncio.sleep(0.05)
            await talker.raw(header[9:-1])
            await asyncio.sleep(0.05)
            await talker.raw(header[-1:])
            assert (await talker.hear())[-1][:3] == "220"
            assert (await talker.ask("EHLO x"))[:3] == "250"
            await send(talker)
    assert [each.arrival.client.address for each in house.intake.taken] == [client] * 2


async def test_a_handshake_behind_the_header_is_whole(tmp_path: Path) -> None:
    """With implicit TLS the client's first octets may come in the same segment as the header."""
    house = House(settings=listener(proxy_from=["127.0.0.1"], tls=tls_files(tmp_path, "implicit").model_dump()))
    async with house.serving() as server, through(server, FOUR) as talker:
        await talker.writer.start_tls(trusting(), server_hostname="localhost")
        assert (await talker.hear())[-1][:3] == "220"
        assert (await talker.ask("EHLO x"))[:3] == "250"
        await send(talker)
    assert house.intake.taken[0].arrival.client.address == "203.0.113.9"
    assert house.intake.taken[0].arrival.client.tls is not None


@pytest.mark.parametrize(
    "header", [b"EHLO x\r\n", b"PROXY TCP4 x y 1 2\r\n", b"PROXY" + b" " * 200, b"\r\n\r\n\x00\r\nQUIX\n1234"]
)
async def test_a_balancer_without_a_header_gets_nothing(header: bytes) -> None:
    """A listener behind a balancer takes no mail whose client it does not know."""
    house = House(settings=listener(proxy_from=["127.0.0.1"]))
    async with house.serving() as server, through(server, header) as talker:
        assert await talker.closed()


async def test_nobody_else_is_believed() -> None:
    """A header from a host that is not listed is a command, and no good one; XCLIENT is refused and not offered."""
    house = House(settings=listener(proxy_from=["192.0.2.1"], xclient_from=["192.0.2.1"]))
    async with house.serving() as server:
        async with through(server, FOUR) as talker:
            assert (await talker.hear())[-1][:3] == "220"
            assert (await talker.hear())[-1][:3] == "500"
        async with call(server, greet=None) as talker:
            assert "XCLIENT" not in await talker.ask("EHLO x")  # it would stand in the last line
            assert (await talker.ask("XCLIENT ADDR=203.0.113.9"))[:9] == "550 5.7.1"
            await send(talker)
    assert house.intake.taken[0].arrival.client.address == "127.0.0.1"


async def test_clients_behind_a_balancer_are_counted_each() -> None:
    """The limit per client is the client's, not the balancer's; the limit of all is everybody's."""
    house = House(settings=listener(proxy_from=["127.0.0.1"], max_connections_per_client=1, max_connections=3))
    others = [FOUR.replace(b"113.9", b"113.%d" % n) for n in range(3)]
    async with house.serving() as server:
        async with through(server, others[0]) as a, through(server, others[1]) as b, through(server, others[0]) as c:
            assert (await a.hear())[-1][:3] == "220"
            assert (await b.hear())[-1][:3] == "220"
            assert (await c.hear())[-1][:9] == "421 4.7.0"
            async with through(server, b"") as d, through(server, b"") as e:
                with suppress(ConnectionError):
                    await asyncio.sleep(0.05)
                    assert await e.closed()
                await d.raw(others[2])
        await until(lambda: server.connections == 0)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
@pytest.mark.parametrize("key", ["proxy_from", "xclient_from"])
def test_everybody_is_not_believed(key: str, network: str) -> None:
    """A setting with which any client could claim any address is refused."""
    with pytest.raises(ValidationError, match="claim any address"):
        listener(**{key: [network]})


async def test_xclient_begins_anew_for_its_client() -> None:
    """After XCLIENT everything that was said is forgotten, and the mail is the client's."""
    house = House(settings=listener(xclient_from=["127.0.0.1"]))
    async with house.serving() as server, call(server, greet=None) as talker:
        await talker.say("EHLO x")
        assert "250 XCLIENT NAME ADDR PORT PROTO HELO" in await talker.hear()
        assert (await talker.ask("XCLIENT NAME=[UNAVAILABLE] ADDR=203.0.113.9 PROTO=ESMTP"))[:3] == "220"
        assert (await talker.ask("MAIL FROM:<a@b.example>"))[:9] == "503 5.5.1"
        assert (await talker.ask("EHLO y"))[:3] == "250"
        await send(talker)
        assert (await talker.ask("XCLIENT ADDR=IPV6:2001:db8::9"))[:3] == "220"
        assert (await talker.ask("EHLO y"))[:3] == "250"
        await send(talker)
        for wrong in ("", " ADDR=x", " LOGIN=lan", " ADDR", " ADDR=1.2.3.4 X=\x7f"):
            assert (await talker.ask(f"XCLIENT{wrong}"))[:3] in {"501", "500"}
        assert (await talker.ask("MAIL FROM:<a@b.example>"))[:3] == "250"
        assert (await talker.ask("XCLIENT ADDR=203.0.113.7"))[:9] == "503 5.5.1"
    assert [each.arrival.client.address for each in house.intake.taken] == ["203.0.113.9", "2001:db8::9"]


async def test_a_fast_client_is_told_to_wait() -> None:
    """450 and 452 4.7.1 in both languages; what was begun goes on, and others are not slowed down."""
    house = House(settings=listener(rates={"client_messages": 3, "client_recipients": 4}, proxy_from=["127.0.0.1"]))
    async with house.serving() as server:
        async with through(server, FOUR) as talker:
            await talker.hear()
            await talker.ask("EHLO x")
            for _ in range(2):
                await send(talker)
            assert (await talker.ask("MAIL FROM:<a@b.example>"))[:3] == "250"
            answers = [await talker.ask(f"RCPT TO:<u{n}@hop.example>") for n in range(3)]
            assert [each[:9] for each in answers] == ["250 2.1.5", "250 2.1.5", "452 4.7.1"]
            assert "xin gửi lại" in answers[-1]
            assert "please try again" in answers[-1]
            assert (await talker.ask("RSET"))[:3] == "250"
            assert (await talker.ask("MAIL FROM:<a@b.example>"))[:9] == "450 4.7.1"
        async with through(server, FOUR.replace(b".9 ", b".8 ")) as talker:
            await talker.hear()
            await talker.ask("EHLO x")
            await send(talker)
    assert len(house.intake.taken) == 3


def test_buckets_fill_by_the_clock() -> None:
    """A minute's worth at once, then as fast as the limit says; a clock that stands or goes back gives nothing."""
    now = 100.0
    buckets = Buckets(6, lambda: now)
    assert [buckets.take("a") for _ in range(7)] == [True] * 6 + [False]
    assert buckets.take("b")
    now = 109.0
    assert not buckets.take("a")
    now = 110.1
    assert buckets.take("a")
    assert not buckets.take("a")
    now = 50.0
    assert not buckets.take("a")


def test_the_table_is_bounded() -> None:
    """An attacker with many addresses costs a bounded amount of memory."""
    buckets = Buckets(1, lambda: 0.0)
    for number in range(MOST_REMEMBERED + 100):
        buckets.take(str(number))
    assert len(buckets._left) == MOST_REMEMBERED


def test_a_login_is_limited_wherever_it_sends_from() -> None:
    """A stolen password does not become faster with every machine that uses it."""
    rates = Rates(RateLimits(login_messages=2, login_recipients=1), lambda: 0.0)
    refusals = [rates.message(site, "lan") for site in "abc"]
    assert refusals[:2] == [None, None]
    assert refusals[2] is not None
    assert refusals[2].transient
    assert rates.message("a", "mai") is None
    assert rates.message("a", None) is None
    assert rates.recipient("a", "lan") is None
    assert rates.recipient("b", "lan") is not None


def test_a_header_is_never_longer_than_it_says() -> None:
    """Every beginning of a header is incomplete, and what follows it is never part of it."""
    for header in (FOUR, second(b"\xcb\x00\x71\x09"), b"PROXY UNKNOWN ffff::1 x\r\n"):
        assert all(parse(header[:end]) is None for end in range(1, len(header)))
        found = parse(header + b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n")
        assert isinstance(found, Header)
        assert found.length == len(header)
