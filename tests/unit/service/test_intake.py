"""The journey as the session sees it: who is let in, and that every fault ends in a reply that keeps nothing."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from gateway.config.model import ListenerKind
from gateway.core.address import Mailbox
from gateway.core.errors import InputError, ServiceError, StorageFullError
from gateway.core.received import Client, Submitter
from gateway.core.reply import Reply
from gateway.service.intake import Door, Journey, ListedSource
from gateway.service.outbound import Outbound
from support.letters import HEAD, LAN, PLAIN
from support.rooms import (
    HOSTNAME,
    DomainRoutes,
    FixedClock,
    KnownHops,
    ListRecorder,
    MemoryBodies,
    Notes,
    Opinion,
    inbound_room,
    relayed,
    world,
)
from support.rooms import submission as submitted

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from gateway.core.queue import Consignment

ACCEPTED = Reply.of(250, "2.0.0", "t1 accepted")
CITIZEN = "mai@congdan.example"
CLERK = "vanthu@soyte.songlam.example"
SOURCES = (
    ListedSource(ip_network("10.0.0.0/8"), Submitter("all", frozenset({"@songlam.example"}))),
    ListedSource(ip_network("10.1.2.0/24"), Submitter("ioffice", frozenset({"ioffice@songlam.example"}))),
)


class Hands:
    """A `HandOver` that keeps what it is given, or raises."""

    def __init__(self) -> None:
        self.consignments: list[Consignment] = []
        self.fault: Exception | None = None

    async def hand_over(self, consignments: Sequence[Consignment]) -> Reply:
        if self.fault is not None:
            raise self.fault
        self.consignments += consignments
        return ACCEPTED


class Checks:
    """`RecipientChecks` that answer one thing, or raise."""

    def __init__(self) -> None:
        self.answer: Reply | Exception | None = None
        self.known = False
        """They know the answer; else somebody must be asked."""

    def check(self, mailbox: Mailbox) -> Reply | Coroutine[object, object, Reply | None] | None:
        return self._answer() if self.known else self._ask()

    async def _ask(self) -> Reply | None:
        return self._answer()

    def _answer(self) -> Reply | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class House:
    """A journey among doubles."""

    def __init__(self) -> None:
        self.hands, self.checks, self.recorder = Hands(), Checks(), ListRecorder()
        common = {"hostname": HOSTNAME, "hops": KnownHops(), "routes": DomainRoutes(), "clock": FixedClock()}
        common["memory"] = Notes()
        self.journey = Journey(
            world(),
            hostname=HOSTNAME,
            doors={
                "submission": Door(ListenerKind.SUBMISSION),
                "internal": Door(ListenerKind.INTERNAL, SOURCES),
                "inbound": Door(ListenerKind.INBOUND),
            },
            outbound=Outbound(
                bodies=MemoryBodies(), recorder=self.recorder, opinion=Opinion(), new_token=lambda: "token", **common
            ),  # type: ignore[arg-type]
            inbound=inbound_room(recorder=self.recorder),
            checks=self.checks,
            hand_over=self.hands,
            recorder=self.recorder,
        )


def client(address: str = "127.0.0.1") -> Client:
    return Client("x", address, "may-tram", "ESMTP")


def test_submission_needs_a_login() -> None:
    """Nobody sends outbound without somebody who answers for it."""
    journey = House().journey
    refusal = journey.authorize("submission", client(), None)
    assert isinstance(refusal, Reply)
    assert refusal.code == 530
    assert journey.authorize("submission", client(), "lan") == Submitter("lan", frozenset())


def test_an_internal_listener_knows_listed_hosts_only() -> None:
    """A host is known by its address; the most specific network speaks for it."""
    journey = House().journey
    answer = journey.authorize("internal", client("10.1.2.3"), None)
    assert isinstance(answer, Submitter)
    assert answer.name == "ioffice"
    refusal = journey.authorize("internal", client("192.0.2.1"), None)
    assert isinstance(refusal, Reply)
    assert refusal.code == 550
    assert Door(ListenerKind.INTERNAL, SOURCES).listed(client("2001:db8::1")) is None


def test_an_inbound_listener_makes_no_submitter() -> None:
    """What comes in from outside can never reach a signing decision, whatever it claims."""
    assert House().journey.authorize("inbound", client("10.1.2.3"), "lan") is None


async def checked(journey: Journey, mailbox: Mailbox) -> Reply | None:
    """Return the answer of an inbound listener, which may take time."""
    asked = journey.recipient("inbound", mailbox)
    return asked if asked is None or isinstance(asked, Reply) else await asked


@pytest.mark.parametrize("known", [True, False])
async def test_recipients_are_checked_on_inbound_listeners_only(*, known: bool) -> None:
    """A fault while checking is 451: an unverified recipient never enters the spool."""
    house = House()
    house.checks.known = known
    house.checks.answer = Reply.of(550, "5.1.1", "unknown")
    mailbox = Mailbox.parse(CLERK)
    assert await checked(house.journey, mailbox) is house.checks.answer
    assert house.journey.recipient("submission", mailbox) is None
    house.checks.answer = RuntimeError("bug")
    refusal = await checked(house.journey, mailbox)
    assert refusal is not None
    assert refusal.code == 451


async def test_both_directions_reach_the_hand_over() -> None:
    """Our trace field is on top of what goes on, and the reply of the hand-over is the reply."""
    house = House()
    assert await house.journey.accept(submitted(PLAIN, CITIZEN, sender=LAN)) is ACCEPTED
    assert await house.journey.accept(relayed(PLAIN, CLERK, sender="x@ngoai.example")) is ACCEPTED
    assert [each.hop for each in house.hands.consignments] == ["out", "boxes"]
    signed, tagged = (each.message.octets() for each in house.hands.consignments)
    assert signed.startswith(b"Received: from may-tram")
    assert b"\r\nReceived: from may-tram" in tagged
    assert [each["code"] for each in house.recorder.facts("answered")] == [250, 250]


async def test_forged_marks_are_gone_in_both_directions() -> None:
    """Nothing that looks like our word passes through us."""
    marks = f"X-Verified-Sender: Me\r\nAuthentication-Results: {HOSTNAME}; smime=pass\r\n".encode()
    house = House()
    await house.journey.accept(submitted(marks + PLAIN, CITIZEN, sender=LAN))
    await house.journey.accept(relayed(marks + PLAIN, CLERK, sender="x@ngoai.example"))
    for each in house.hands.consignments:
        octets = each.message.octets()
        assert b"X-Verified-Sender" not in octets
        assert b"smime=pass" not in octets


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (InputError("odd"), 554, "5.6.0"),
        (StorageFullError("full"), 452, "4.3.1"),
        (ServiceError("away"), 451, "4.3.0"),
        (RuntimeError("secret detail"), 451, "4.3.0"),
    ],
    ids=["input", "full", "service", "bug"],
)
async def test_every_fault_becomes_a_reply(fault: Exception, code: int, status: str) -> None:
    """The peer learns the class of the trouble and nothing else (handover row 18)."""
    house = House()
    house.hands.fault = fault
    reply = await house.journey.accept(submitted(PLAIN, CITIZEN, sender=LAN))
    assert (reply.code, reply.status) == (code, status)
    assert "secret" not in reply.text


async def test_a_loop_is_refused() -> None:
    """Over 50 trace fields, or our own more than twice (handover row 19)."""
    for trace in (b"Received: from a by b with SMTP\r\n" * 51, f"Received: from a by {HOSTNAME} x\r\n".encode() * 3):
        house = House()
        reply = await house.journey.accept(submitted(trace + PLAIN, CITIZEN, sender=LAN))
        assert (reply.code, reply.status) == (554, "5.4.6")
        assert not house.hands.consignments


async def test_a_message_over_a_limit_is_refused_in_both_directions() -> None:
    """Too deep, too wide, too long a header: never followed, never relayed."""
    deep = HEAD
    for number in range(40):
        deep += f'Content-Type: multipart/mixed; boundary="b{number}"\r\n\r\n--b{number}\r\n'.encode()
    for received in (submitted(deep, CITIZEN, sender=LAN), relayed(deep, CLERK, sender="x@ngoai.example")):
        house = House()
        reply = await house.journey.accept(received)
        assert (reply.code, reply.status) == (554, "5.6.0")
        assert not house.hands.consignments
