"""Who is let in by which door, and what the reactions make of those who are not (peers.md 4, wishes 2 and 3)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

import pytest

from gateway.config.model import ListenerKind
from gateway.config.senders import Reaction, SenderReactions
from gateway.core.address import Mailbox
from gateway.core.envelope import Direction, Envelope, Recipient
from gateway.core.errors import ServiceError
from gateway.core.message import Message
from gateway.core.queue import Consignment, Entry, Kind, Origin, RecipientState
from gateway.core.received import Arrival, Client, ClientCertificate, Standing, Submission, Submitter
from gateway.core.reply import Reply
from gateway.service.arrivals import open_arrival
from gateway.service.intake import Door, Journey, ListedSource
from gateway.service.kept import Kept
from gateway.service.outbound import Outbound
from gateway.service.senders import Senders
from support.letters import BINH, LAN, NOW, PLAIN
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
    world,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN: Final = ClientCertificate("ab" * 32, ("dns:qlvb.songlam.example", "email:qlvb@songlam.example"))
OTHER: Final = ClientCertificate("cd" * 32, ("dns:khac.songlam.example",))


def client(address: str = "10.1.2.3", certificate: ClientCertificate | None = None) -> Client:
    return Client("internal", address, "may", "ESMTPS", certificate=certificate)


def source(name: str, network: str, *certificates: str) -> ListedSource:
    return ListedSource(
        ip_network(network), Submitter(name, frozenset({f"{name}@songlam.example"})), frozenset(certificates)
    )


class Accounts:
    """`Accounts` of a directory, which may be away."""

    def __init__(self, rights: Mapping[str, frozenset[str]], *, away: bool = False) -> None:
        self.rights, self.away = rights, away

    def authors(self, login: str) -> frozenset[str]:
        if self.away:
            raise ServiceError("directory")
        return self.rights.get(login, frozenset())


class House:
    """A journey among doubles, with reactions."""

    def __init__(self, *sources: ListedSource, accounts: Accounts | None = None, **reactions: Reaction) -> None:
        self.recorder = ListRecorder()
        common = {"hostname": HOSTNAME, "hops": KnownHops(), "routes": DomainRoutes(), "clock": FixedClock()}
        common["memory"] = Notes()
        self.outbound = Outbound(
            bodies=MemoryBodies(), recorder=self.recorder, opinion=Opinion(), new_token=lambda: "token", **common
        )  # type: ignore[arg-type]
        self.accounts = accounts or Accounts({"lan": frozenset({LAN})})
        self.world = replace(world(), senders=Senders(SenderReactions(**reactions)), accounts=self.accounts)
        self.journey = Journey(
            self.world,
            hostname=HOSTNAME,
            doors={"submission": Door(ListenerKind.SUBMISSION), "internal": Door(ListenerKind.INTERNAL, sources)},
            outbound=self.outbound,
            inbound=inbound_room(recorder=self.recorder),
            checks=None,  # type: ignore[arg-type]  # not asked outbound
            hand_over=None,  # type: ignore[arg-type]  # nothing gets there
            recorder=self.recorder,
        )

    async def let_in(self, listener: str, who: Client, login: str | None = None) -> Submitter | str:
        """Return the submitter, or code and status of the refusal."""
        answer = self.journey.authorize(listener, who, login)
        if isinstance(answer, Reply):
            return f"{answer.code} {answer.status}"
        assert answer is not None
        return answer

    async def consign(self, submitter: Submitter) -> tuple[Consignment, ...] | Reply:
        """Return what becomes of a letter from Lan."""
        envelope = Envelope(Mailbox.parse(LAN), (Recipient(Mailbox.parse("mai@congdan.example")),))
        message = Message.of(PLAIN)
        arrival = Arrival("t1", NOW, client(), envelope, message)
        return await self.outbound.consign(self.world, Submission(arrival, submitter), open_arrival(message))


@pytest.mark.parametrize(
    ("who", "wanted"),
    [
        (client("10.1.2.3"), "net"),
        (client("10.9.9.9"), "wide"),
        (client("10.1.2.3", SHOWN), "cert"),
        (client("10.1.2.3", OTHER), "net"),
        (client("192.0.2.1"), None),
        (client("192.0.2.1", SHOWN), "cert"),
        (client("192.0.2.1", OTHER), None),
        (client("172.16.0.1", ClientCertificate("ef" * 32, ())), "pinned"),
        (client("172.17.0.1", ClientCertificate("ef" * 32, ())), None),
        (client("172.16.0.1"), None),
        (client("2001:db8::1", SHOWN), None),
    ],
)
def test_a_source_is_known_by_certificate_network_or_both(who: Client, wanted: str | None) -> None:
    """A certificate goes before every network; a source that needs one is not known without it; both must fit."""
    door = Door(
        ListenerKind.INTERNAL,
        (
            source("wide", "10.0.0.0/8"),
            source("net", "10.1.2.3/32"),
            source("cert", "0.0.0.0/0", "dns:qlvb.songlam.example"),
            source("pinned", "172.16.0.0/24", f"sha256:{'ef' * 32}"),
        ),
    )
    found = door.listed(who)
    assert (found.name if found is not None else None) == wanted


@pytest.mark.parametrize("name", ["dns:qlvb.songlam.example", "email:qlvb@songlam.example", f"sha256:{'ab' * 32}"])
def test_each_kind_of_name_makes_a_certificate_known(name: str) -> None:
    """By fingerprint, by host name, by mailbox."""
    assert source("x", "0.0.0.0/0", name).is_at(client(certificate=SHOWN))
    assert not source("x", "0.0.0.0/0", name).is_at(client(certificate=OTHER))


async def test_a_host_that_is_not_listed() -> None:
    """It is refused at MAIL; with `hold` it is let in as nobody, and what it sends is kept raw."""
    assert await House().let_in("internal", client()) == "550 5.7.1"
    house = House(unauthenticated=Reaction.HOLD)
    nobody = await house.let_in("internal", client())
    assert nobody == Submitter("10.1.2.3", frozenset(), Standing.UNLISTED)
    result = await house.consign(nobody)
    assert isinstance(result, tuple)
    assert [each.kind for each in result] == [Kind.HELD]
    assert result[0].message.octets() == PLAIN
    assert result[0].reason.startswith("sender_unauthenticated host_not_listed: ")
    assert await house.let_in("submission", client()) == "530 5.7.0"


async def test_rights_that_cannot_be_looked_up() -> None:
    """451 at MAIL, for another try; with `hold` the login is let in without rights, and its mail is kept raw."""
    away = Accounts({}, away=True)
    assert await House(accounts=away).let_in("submission", client(), "lan") == "451 4.3.0"
    house = House(accounts=away, lookup_error=Reaction.HOLD)
    found = await house.let_in("submission", client(), "lan")
    assert found == Submitter("lan", frozenset(), Standing.RIGHTS_UNKNOWN)
    result = await house.consign(found)
    assert isinstance(result, tuple)
    assert result[0].reason.startswith("sender_lookup_error lookup_failed: ")
    assert not house.recorder.facts("signed")


# kept mail


def entry(kind: Kind, listener: str = "submission", login: str = "lan") -> Entry:
    """Return Lan's letter, kept."""
    envelope = Envelope(Mailbox.parse(LAN), (Recipient(Mailbox.parse("mai@congdan.example")),))
    message = Message.of(PLAIN)
    origin = Origin(listener, login, "10.1.2.3")
    kept = Consignment(
        kind, "", envelope, message, Direction.OUTBOUND, "t1", answered_for=True, reason="x", origin=origin
    )
    return Entry("e1", kept, (RecipientState.READY,), NOW, NOW, NOW)


async def released(house: House, kept: Entry) -> tuple[Consignment, ...] | Reply:
    """Return what becomes of a kept letter, as `service.again` asks it."""
    submission = Kept(kept, NOW, HOSTNAME).submission(house.journey.doors, house.accounts)
    return await house.outbound.consign(house.world, submission, open_arrival(Message.of(PLAIN)))


@pytest.mark.parametrize("kind", [Kind.RELEASED, Kind.TO_SIGN])
async def test_kept_mail_is_checked_again_with_the_rights_of_the_present(kind: Kind) -> None:
    """Who left, or lost an address, is not signed for any more, mail that waits included (R25)."""
    result = await released(House(), entry(kind))
    assert isinstance(result, tuple)
    assert [each.kind for each in result] == [Kind.DELIVER]
    gone = Accounts({"lan": frozenset({BINH})})
    refused = await released(House(accounts=gone), entry(kind))
    assert isinstance(refused, Reply)
    assert str(refused).startswith("550 5.7.1")
    house = House(accounts=gone, not_allowed=Reaction.HOLD)
    held = await released(house, entry(kind))
    assert isinstance(held, tuple)
    assert [each.kind for each in held] == [Kind.HELD]
    assert not house.recorder.facts("signed")


async def test_mail_of_a_host_that_was_listed_since_can_be_released() -> None:
    """The administrator lists the host, releases the mail, and it is signed for an address of its list only."""
    kept = entry(Kind.RELEASED, "internal", "10.1.2.3")
    house = House(unauthenticated=Reaction.HOLD)
    still = await released(house, kept)
    assert isinstance(still, tuple)
    assert [each.kind for each in still] == [Kind.HELD]
    listed = ListedSource(ip_network("10.1.2.0/24"), Submitter("qlvb", frozenset({LAN})))
    sent = await released(House(listed), kept)
    assert isinstance(sent, tuple)
    assert [each.kind for each in sent] == [Kind.DELIVER]
    other = ListedSource(ip_network("10.1.2.0/24"), Submitter("qlvb", frozenset({BINH})))
    refused = await released(House(other), kept)
    assert isinstance(refused, Reply)
