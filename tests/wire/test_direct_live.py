"""Sending directly, from a client's submission to a real Postfix that DNS names as the domain's exchanger."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from support.gateway_process import LOGIN, OURS, build_house, gateway
from support.letters import LAN
from support.names import Names
from support.peers import PeerError, short_directory, wait_for
from support.postfix import Postfix, postfix
from support.swaks import Sent, swaks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from support.gateway_process import Gateway

ZONE: Final = {
    "hopthu.example": {"MX": ["10 chet.hopthu.example.", "20 mx.hopthu.example."]},
    "chet.hopthu.example": {"A": ["127.0.0.77"]},
    "mx.hopthu.example": {"A": ["127.0.0.1"]},
    "khongthu.example": {"MX": ["0 ."]},
    "rieng.example": {"A": ["10.1.2.3"]},
}
LETTER: Final = f"From: {LAN}\r\nSubject: Xin ch\u00e0o\r\n\r\nNgan.\r\n".encode()
POLICY: Final = "rules: [{name: pass, direction: outbound, then: pass}]\n"


@contextmanager
def answering(zone: dict[str, Mapping[str, Sequence[str]]]) -> Iterator[str]:
    """Run a DNS server in a loop and a thread of its own; yield its address."""
    loop, begun, found = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        async with Names(zone) as names:
            ended = asyncio.Event()
            found.extend((names.address, ended))
            begun.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        if not begun.wait(60):
            raise PeerError("the DNS server did not start")
        yield found[0]
    finally:
        loop.call_soon_threadsafe(found[1].set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Gateway, Postfix]]:
    """The gateway, a Postfix for one domain, and the DNS that leads to it."""
    with ExitStack() as stack:
        mta = stack.enter_context(postfix({"hopthu.example": "discard:"}))
        hop = {
            "name": "direct",
            "protocol": "smtp",
            "addresses": "mx",
            "tls": "none",
            "mx_servers": [stack.enter_context(answering(dict(ZONE)))],
            "mx_private": ["127.0.0.0/8"],
            "mx_port": mta.port,
            "connect_timeout": 3.0,
        }
        boxes = {"name": "boxes", "protocol": "maildir", "directory": "boxes"}
        directory = stack.enter_context(short_directory("gw-"))
        (directory / "boxes").mkdir()
        house = build_house(
            directory,
            hops=[hop, boxes],
            local_domains=[{"domain": OURS, "hop": "boxes", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "direct"}],
            policy=POLICY,
        )
        yield stack.enter_context(gateway(house)), mta


def send(running: Gateway, *to: str) -> Sent:
    """Send a letter as somebody who logged in."""
    house = running.house
    return swaks(house.port("submission"), LAN, to, LETTER, login=LOGIN, trusted=house.server_pem)


def test_mail_goes_to_the_exchanger_that_works(world: tuple[Gateway, Postfix]) -> None:
    """The first exchanger is dead, the second takes it, and the client hears that one's answer: cut through."""
    running, mta = world
    sent = send(running, "mai@hopthu.example")
    assert sent.accepted, sent.transcript
    wait_for(lambda: "to=<mai@hopthu.example>" in mta.log(), "the letter in Postfix's log")
    assert running.events("handed_over")[-1]["hop"] == "direct@hopthu.example"


@pytest.mark.parametrize(
    ("domain", "code"),
    [("khongthu.example", "556 5.1.10"), ("khongco.example", "550 5.1.2"), ("rieng.example", "550 5.4.4")],
)
def test_what_dns_says_for_sure_is_said_at_once(world: tuple[Gateway, Postfix], domain: str, code: str) -> None:
    """A mistyped domain costs the sender a second, not five days; nothing is kept."""
    running, _ = world
    sent = send(running, f"mai@{domain}")
    assert sent.refusal.startswith(code), sent.transcript


def test_one_domain_that_cannot_be_reached_takes_nothing_from_another(world: tuple[Gateway, Postfix]) -> None:
    """Two domains are two hops: both are spooled first, one is delivered, the other's sender is told."""
    running, mta = world
    before = mta.log().count("to=<binh@hopthu.example>")
    sent = send(running, "binh@hopthu.example", "mai@khongthu.example")
    assert sent.accepted, sent.transcript
    wait_for(lambda: mta.log().count("to=<binh@hopthu.example>") > before, "the letter in Postfix's log")
    wait_for(lambda: any(each["hop"] == "direct@khongthu.example" for each in running.events("failed")), "the failure")
