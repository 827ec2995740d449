"""Real Postfix as next hop that is told the client, and swaks as a host that tells us: XCLIENT and PROXY.

And what a gateway that runs tells of a hop.
"""

from __future__ import annotations

import asyncio
import json
import smtplib
import subprocess
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.hops import Hop
from gateway.core.queue import Origin
from gateway.relay.hop import smtp_hop
from gateway.relay.survey import survey
from support.gateway_process import COMMAND, build_house, gateway
from support.gateway_process import OURS as SONGLAM
from support.hops import FakeHop, tls_identity
from support.letters import ASCII
from support.letters import LAN as CLERK
from support.peers import free_port, short_directory, wait_for
from support.postfix import postfix
from support.smtp_side import House, listener
from support.swaks import swaks
from support.way_out import OURS, carry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gateway.relay.hop import SmtpHop
    from support import gateway_process

LAN = Origin("submission", "hoang.lan", "203.0.113.9")
MAI = Origin("inbound", "", "2001:db8::7")
LETTER = b"From: lan@soyte.songlam.example\r\nSubject: x\r\n\r\nxin ch\xc3\xa0o\r\n.dot\r\n"


@asynccontextmanager
async def towards(port: int, **more: Any) -> AsyncIterator[SmtpHop]:
    """Build a hop."""
    settings = {"name": "out", "protocol": "smtp", "addresses": [f"127.0.0.1:{port}"], "tls": "none", **more}
    hop = smtp_hop(Hop.model_validate(settings), OURS)
    try:
        yield hop
    finally:
        await hop.close()


@pytest.mark.parametrize(
    ("forward", "setting", "connections"),
    [
        ("xclient", "smtpd_authorized_xclient_hosts = 127.0.0.0/8\n", 1),
        ("proxy", "smtpd_upstream_proxy_protocol = haproxy\n", 2),
    ],
)
async def test_postfix_is_told_the_client(forward: str, setting: str, connections: int) -> None:
    """Its log, and with it every rule it has, speaks of our client and not of us."""
    async with FakeHop() as behind:
        with postfix(
            {"hopthu.example": f"smtp:[127.0.0.1]:{behind.port}"},
            more=setting + "mynetworks = 0.0.0.0/0 [::]/0\ninet_protocols = all\n",
        ) as mta:
            async with towards(mta.port, forward_client=forward) as hop:
                for client in (LAN, LAN, MAI):
                    assert (await carry(await hop.begin(client)))[0].code == 250
                for address, count in (("203.0.113.9", 2), ("2001:db8::7", 1)):
                    shown = f"client=unknown[{address}]"
                    await asyncio.to_thread(wait_for, lambda: mta.log().count(shown) == count, shown)  # noqa: B023 - now
            log = mta.log()
            assert log.count(": connect from ") >= connections


async def test_postfix_shows_what_it_offers(tmp_path: Path) -> None:
    """Limits, TLS and the fingerprints to pin, from a real server; a dead address beside it is named."""
    _, certificate = tls_identity(tmp_path, "mta.example")
    with postfix(
        {"hopthu.example": "discard:"}, tls=(certificate, certificate.with_suffix(".key")), size=12_345_678
    ) as mta:
        hop = Hop.model_validate(
            {"name": "out", "protocol": "smtp", "addresses": [f"127.0.0.1:{mta.port}", "127.0.0.1:1"], "tls": "encrypt"}
        )
        good, dead = await survey([hop], OURS, domain=None)
        assert good.trouble is None
        assert good.offers is not None
        assert (good.offers.size, good.offers.pipelining) == (12_345_678, True)
        assert (good.tls or "").startswith("TLSv1.3")
        assert dead.trouble is not None
        assert good.certificate is not None
        async with towards(mta.port, tls="encrypt", tls_pins=[good.certificate.spki]) as pinned:
            await (await pinned.begin()).abandon()


async def test_swaks_speaks_for_a_client() -> None:
    """XCLIENT as another implementation writes it."""
    house = House(settings=listener(xclient_from=["127.0.0.1"]))
    async with house.serving() as server:
        options = ("--xclient-addr", "203.0.113.9", "--xclient-name", "[UNAVAILABLE]", "--xclient-helo", "x.example")
        sent = await asyncio.to_thread(swaks, server.port, "lan@so.example", "mai@hop.example", LETTER, options=options)
        assert sent.accepted, sent.transcript
    assert house.intake.taken[0].arrival.client.address == "203.0.113.9"
    assert house.intake.octets == [LETTER]


@pytest.mark.parametrize("version", ["1", "2"])
async def test_swaks_comes_through_a_balancer(version: str) -> None:
    """PROXY headers as another implementation writes them."""
    house = House(settings=listener(proxy_from=["127.0.0.1"]))
    async with house.serving() as server:
        options = (
            *("--proxy-version", version, "--proxy-family", "AF_INET" if version == "2" else "TCP4"),
            *("--proxy-source", "203.0.113.9", "--proxy-source-port", "40000"),
            *("--proxy-dest", "192.0.2.1", "--proxy-dest-port", "25"),
            *(("--proxy-protocol", "STREAM", "--proxy-command", "PROXY") if version == "2" else ()),
        )
        sent = await asyncio.to_thread(swaks, server.port, "lan@so.example", "mai@hop.example", LETTER, options=options)
        assert sent.accepted, sent.transcript
    assert house.intake.taken[0].arrival.client.address == "203.0.113.9"


async def test_what_the_running_gateway_sees_of_a_hop_that_dies() -> None:
    """Each worker tells of its own mail: connections it keeps, then an open breaker, why, and since when."""
    fake = FakeHop()
    fake.port = free_port()  # it is left and taken again
    async with fake, AsyncExitStack() as stack:
        directory = stack.enter_context(short_directory("gw-"))
        house = build_house(
            directory,
            hops=[{"name": "out", "protocol": "smtp", "addresses": [fake.address], "tls": "none"}],
            local_domains=[{"domain": SONGLAM, "hop": "out", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "out"}],
            workers=2,
            spool={"retry_first": 0.2, "retry_most": 0.5},
        )
        assert (await seen(house))[0]["running"] is None
        running = gateway(house)
        gate = await asyncio.to_thread(running.__enter__)
        stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
        await asyncio.to_thread(send, house)
        await until_seen(house, lambda each: len(each) == 2 and {one["breaker"] for one in each} == {"closed"})
        await fake.stop()
        await asyncio.to_thread(send, house)
        found = await until_seen(house, lambda each: any(one["breaker"] == "open" for one in each))
        rests = next(each for each in found if each["breaker"] == "open")
        assert "cannot connect" in rests["trouble"]
        assert rests["since"] <= rests["trouble_at"]
        assert rests["kept"] == 0
        shown = (await asked(house)).stdout
        assert "mở / open" in shown
        assert "no word" not in shown
        await fake.start()
        await until_seen(
            house, lambda each: all(one["breaker"] == "closed" for one in each), before=lambda: send(house)
        )
        assert len({each.octets for each in fake.messages}) >= 3  # also the one that waited
        assert await asyncio.to_thread(gate.stop) == 0
        assert (await seen(house))[0]["running"] is None
        assert "no word from the running gateway" in (await asked(house)).stdout


def send(house: gateway_process.House) -> None:
    """Send a letter of the clerk's."""
    with smtplib.SMTP("127.0.0.1", house.port("internal"), timeout=60) as client:
        client.sendmail(CLERK, ["mai@ra.example"], ASCII)


async def asked(house: gateway_process.House, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `gateway hops`."""
    command = (COMMAND, "hops", "--config", str(house.config), *more)
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False, timeout=120, text=True)


async def seen(house: gateway_process.House) -> list[dict[str, Any]]:
    """Return what `gateway hops --json` says, by address."""
    return [json.loads(each) for each in (await asked(house, "--json")).stdout.splitlines()]


async def until_seen(
    house: gateway_process.House,
    ready: Callable[[list[dict[str, Any]]], bool],
    *,
    before: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Ask until what the running gateway sees is as it should be, and return that; do something before each time."""
    async with asyncio.timeout(300):
        while True:
            await asyncio.to_thread(before)
            (only,) = await seen(house)
            if only["running"] is not None and ready(only["running"]):
                found: list[dict[str, Any]] = only["running"]
                return found
