"""Several addresses of one hop: priorities, weights, fail-over and return, and what each connection speaks for."""

from __future__ import annotations

import itertools
from collections import Counter
from ssl import CERT_REQUIRED, PEM_cert_to_DER_cert
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from gateway.config.hops import Hop, HopAddress
from gateway.core.queue import Origin
from gateway.ports import HopError
from gateway.relay.breaker import FIRST_PAUSE, TROUBLES
from gateway.relay.forwarding import proxy_header, xclient_command
from gateway.relay.places import AVOID_SECONDS, MOST_REMEMBERED, FixedPlaces, Health, Place
from gateway.relay.tls import Shown
from gateway.smtp.proxied import parse
from support.hops import KEYWORDS, Drop, FakeHop, in_turn, tls_identity
from support.way_out import carry, deliver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.relay.hop import SmtpHop

    HopTo = Callable[..., SmtpHop]

A, B, C = (Place(f"{name}:25", name, priority) for name, priority in (("a", 0), ("b", 0), ("c", 1)))
LAN = Origin("submission", "hoang.lan", "203.0.113.9")
MAI = Origin("inbound", "", "2001:db8::7")


def test_priorities_then_shares_by_weight() -> None:
    """A place of a higher priority is never first while a lower one works; equals share as their weights say."""
    health = Health()
    heavy = Place("b:25", "b", 0, weight=3)
    first = Counter(health.in_order((C, A, heavy))[0].host for _ in range(4000))
    assert first["c"] == 0
    assert 2800 < first["b"] < 3200
    assert all(health.in_order((C, A, heavy))[2] is C for _ in range(20))


def test_fail_over_and_return() -> None:
    """One in trouble comes last, then rests, and is first again when its time is over or it worked."""
    now = 0.0
    health = Health(lambda: now)
    health.fails(A)
    assert health.in_order((A, C)) == (C, A)
    assert health.state(A) == "troubled"
    now = AVOID_SECONDS + 1
    assert health.in_order((A, C)) == (A, C)
    for _ in range(TROUBLES):
        health.fails(A)
    assert health.state(A) == "resting"
    assert health.in_order((A, C)) == (C,)
    assert not health.enter(A)
    now += FIRST_PAUSE
    assert health.in_order((A, C)) == (C, A)  # it may be tried, after the others
    assert health.enter(A)
    assert not health.enter(A)
    health.works(A)
    assert health.state(A) == "well"
    assert health.in_order((A, C)) == (A, C)


def test_where_all_rest_all_are_tried() -> None:
    """The hop's own breaker decides then; places that all rest must not end its mail for ever."""
    health = Health(lambda: 0.0)
    for place in (A, C):
        for _ in range(TROUBLES):
            health.fails(place)
    assert set(health.in_order((A, C))) == {A, C}


def test_troubles_are_bounded() -> None:
    """With MX look-ups strangers choose the addresses."""
    health = Health(lambda: 0.0)
    for number in range(MOST_REMEMBERED + 10):
        health.fails(Place(f"{number}:25", "x"))
    assert len(health._ill) == MOST_REMEMBERED


async def test_places_of_the_configuration() -> None:
    """Plain addresses come in the order they stand in; the host's name is expected, or the one that is configured."""
    hop = Hop.model_validate(
        {
            "name": "x",
            "protocol": "smtp",
            "addresses": ["a.example:25", {"address": "b.example:25", "priority": 0, "weight": 2}, "unix:/run/x"],
        }
    )
    assert await FixedPlaces(hop.addresses or (), None).find() == (
        Place("a.example:25", "a.example", 0, 1),
        Place("b.example:25", "b.example", 0, 2),
        Place("unix:/run/x", None, 2, 1),
    )
    assert [each.host for each in await FixedPlaces(hop.addresses or (), "n").find()] == ["n"] * 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"addresses": [{"address": "a:25", "weight": 2}]}, "write the priority"),
        ({"tls": "may", "tls_pins": ["sha256:" + "a" * 64]}, "tls_pins need"),
        ({"tls": "encrypt", "tls_pins": ["md5:" + "a" * 64]}, "sha256:FINGERPRINT"),
        ({"tls_key": "k.pem"}, "belong together"),
        ({"addresses": "mx", "protocol": "lmtp"}, "protocol smtp"),
        ({"addresses": "mx", "tls": "encrypt", "login": {"user": "a", "password": "env:A"}}, "hosts of its own"),
        ({"tls": "encrypt", "forward_client": "xclient", "login": {"user": "a", "password": "env:A"}}, "forgets it"),
    ],
)
def test_what_would_not_be_safe_is_refused(change: dict[str, Any], words: str) -> None:
    """Settings under which mail or a password could go where nobody wants it."""
    with pytest.raises(ValidationError, match=words):
        Hop.model_validate({"name": "x", "protocol": "smtp", "addresses": ["a:25"], **change})


async def test_weights_share_the_messages(hop_to: HopTo) -> None:
    """Kept connections do not draw all mail to one host; each keeps its own."""
    async with FakeHop() as one, FakeHop() as other:
        hop = hop_to(one, other)
        hop._places._places = tuple(Place(each.address, None) for each in (one, other))  # type: ignore[attr-defined]
        for _ in range(40):
            await deliver(hop)
        assert min(len(one.messages), len(other.messages)) >= 5
        assert (one.connections, other.connections) == (1, 1)


async def test_mail_returns_to_the_first_host(hop_to: HopTo) -> None:
    """A kept connection to the second host does not keep mail there when the first one is back."""
    async with FakeHop(answers={"BANNER": in_turn("421 4.3.2 starting", "220 up")}) as first, FakeHop() as second:
        hop = hop_to(first, second)
        await deliver(hop)
        assert (len(first.messages), len(second.messages)) == (0, 1)
        hop._pool._health._ill.clear()  # as if its time were over
        await deliver(hop)
        assert (len(first.messages), len(second.messages)) == (1, 1)


async def test_a_host_that_drops_messages_is_left(hop_to: HopTo) -> None:
    """A host that greets well and loses transactions is in trouble too: the next message goes elsewhere."""
    async with FakeHop(answers={"DATA": Drop()}) as bad, FakeHop() as good:
        hop = hop_to(bad, good)
        with pytest.raises(HopError):
            await deliver(hop)
        await deliver(hop)
        assert len(good.messages) == 1


async def test_no_more_connections_than_allowed_over_all_hosts(hop_to: HopTo) -> None:
    """Idle connections to one host make room for one to another."""
    async with FakeHop() as one, FakeHop() as other:
        hop = hop_to(one, other, max_connections=2)
        pair = [await hop.begin(), await hop.begin()]
        for each in pair:
            await each.abandon()
        hop._pool._health.fails(Place(one.address, None))
        await deliver(hop)
        assert len(hop._pool._idle) <= 2
        assert other.connections == 1


@pytest.mark.parametrize("kind", ["sha256", "spki"])
async def test_pins(hop_to: HopTo, tmp_path: Path, kind: str) -> None:
    """With a pin nothing goes to another certificate, whoever signed it; with the right one it goes."""
    context, file = tls_identity(tmp_path)
    shown = Shown.read(PEM_cert_to_DER_cert(file.read_text()))
    right = shown.sha256 if kind == "sha256" else shown.spki
    async with FakeHop(tls=context) as fake:
        await deliver(hop_to(fake, tls="encrypt", tls_pins=(f"{kind}:{'0' * 64}", right)))
        for tls in ("encrypt", "verify"):
            hop = hop_to(fake, tls=tls, tls_ca=file, tls_name="fake.example", tls_pins=(f"{kind}:{'0' * 64}",))
            with pytest.raises(HopError, match="tls_pins"):
                await hop.begin()
        assert len(fake.messages) == 1


async def test_a_client_certificate_is_shown(hop_to: HopTo, tmp_path: Path) -> None:
    """A hop that asks for a certificate gets ours."""
    context, file = tls_identity(tmp_path)
    _, ours = tls_identity(tmp_path, "mail.songlam.example")
    context.load_verify_locations(ours)
    context.verify_mode = CERT_REQUIRED
    async with FakeHop(tls=context) as fake:
        await deliver(hop_to(fake, tls="encrypt", tls_certificate=ours, tls_key=ours.with_suffix(".key")))
        with pytest.raises(HopError):
            await deliver(hop_to(fake, tls="encrypt"))
    assert file.exists()


async def test_xclient_tells_every_client_over_one_connection(hop_to: HopTo) -> None:
    """Before each other client's mail; our own mail never goes over a connection that speaks for a client."""
    async with FakeHop(keywords=(*KEYWORDS, "XCLIENT NAME ADDR LOGIN")) as fake:
        hop = hop_to(fake, forward_client="xclient")
        for client in (LAN, LAN, MAI):
            await carry(await hop.begin(client))
        said = [each for each in fake.commands if each.startswith(("XCLIENT", "EHLO", "MAIL"))]
        assert [each.split(" ")[0] for each in said] == [
            *("EHLO", "XCLIENT", "EHLO", "MAIL", "MAIL"),
            *("XCLIENT", "EHLO", "MAIL"),
        ]
        assert said[1] == "XCLIENT ADDR=203.0.113.9 NAME=[UNAVAILABLE] LOGIN=hoang.lan"
        assert said[5] == "XCLIENT ADDR=IPV6:2001:db8::7 NAME=[UNAVAILABLE] LOGIN=[UNAVAILABLE]"
        assert fake.connections == 1
        await deliver(hop)
        assert fake.connections == 2


async def test_a_hop_that_knows_no_such_address_is_told_that_it_is_unknown(hop_to: HopTo) -> None:
    """A Postfix without IPv6 refuses the address of such a client; its mail must not be stuck for it, nor be ours."""
    answers = {"XCLIENT": in_turn("501 5.5.4 Bad ADDR syntax", "220 fake.example")}
    async with FakeHop(keywords=("XCLIENT NAME ADDR",), answers=answers) as fake:
        await carry(await hop_to(fake, forward_client="xclient").begin(MAI))
        assert [each for each in fake.commands if each.startswith("XCLIENT")] == [
            "XCLIENT ADDR=IPV6:2001:db8::7 NAME=[UNAVAILABLE]",
            "XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]",
        ]


async def test_a_hop_that_must_be_told_and_is_not_gets_no_mail(hop_to: HopTo) -> None:
    """It would take a stranger's mail for ours."""
    async with FakeHop() as fake:
        with pytest.raises(HopError, match="XCLIENT"):
            await hop_to(fake, forward_client="xclient").begin(LAN)
    async with FakeHop(keywords=("XCLIENT ADDR",), answers={"XCLIENT": "550 5.7.0 no"}) as fake:
        with pytest.raises(HopError, match="XCLIENT"):
            await hop_to(fake, forward_client="xclient").begin(LAN)
        assert fake.seen("MAIL") == 0


@pytest.mark.parametrize("peer", ["192.0.2.25", "2001:db8::25"])
@pytest.mark.parametrize("client", ["203.0.113.9", "2001:db8::7"])
def test_a_proxy_header_says_what_it_should(client: str, peer: str) -> None:
    """Our own reader understands it, whatever the families."""
    octets = proxy_header(client, (peer, 25))
    found = parse(octets + b"220")
    assert found is not None
    assert (found.length, found.address) == (len(octets), client)


def test_a_proxy_header_makes_nothing_up() -> None:
    """Where the client is not known, or the hop is on this machine, the connection is ours."""
    for client, peer in itertools.product((None, "203.0.113.9"), (None, ("192.0.2.25", 25))):
        found = parse(proxy_header(client, peer))
        assert found is not None
        assert found.address == (client if peer else None)


def test_a_login_cannot_end_a_command() -> None:
    """What people are called stands as xtext."""
    told = xclient_command(Origin("s", "lan\r\nMAIL [x]=+ đ", "203.0.113.9"), {"LOGIN"})
    assert told == b"XCLIENT LOGIN=lan+0D+0AMAIL+20+5Bx]+3D+2B+20+C4+91\r\n"


def test_an_address_is_a_text_or_a_table() -> None:
    """Both forms of the settings mean the same."""
    assert HopAddress.model_validate("a:25") == HopAddress(address="a:25")
