"""Sending directly: which hosts a domain's mail goes to, and what is said where there are none."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.model import Hop, Settings
from gateway.core.address import Mailbox
from gateway.ports import HopError
from gateway.relay.hop import Hops, SmtpHop
from gateway.relay.mx import LONGEST_TTL, MOST_ADDRESSES, MOST_EXCHANGERS, STALE_SECONDS, Lookup, MxPlaces
from gateway.relay.places import NowhereError
from support.hops import FakeHop
from support.names import Names
from support.way_out import OURS, deliver, path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def direct(names: Names, **more: Any) -> Hop:
    """Return a hop that asks this server."""
    settings = {"connect_timeout": 2.0, "tls": "none", "mx_servers": (names.address,), **more}
    return Hop(name="direct", protocol="smtp", addresses="mx", **settings)  # type: ignore[arg-type]


async def places(zone: dict[str, Any], domain: str = "x.example", **more: Any) -> list[tuple[str, str | None]]:
    """Return endpoints and host names, the best first."""
    async with Names(zone) as names:
        found, _ = await Lookup(direct(names, **more), OURS).places(domain)
    return [(each.endpoint, each.host) for each in sorted(found, key=lambda each: each.priority)]


async def refusal(zone: dict[str, Any], domain: str = "x.example", **more: Any) -> str:
    """Return the reply where there is no host for sure."""
    with pytest.raises(NowhereError) as caught:
        await places(zone, domain, **more)
    assert caught.value.reply.permanent
    return str(caught.value.reply)[:11].strip()


async def test_exchangers_in_order_of_preference() -> None:
    """The lowest preference first, each host with its own name, IPv4 before IPv6 (RFC 5321 5.1)."""
    zone = {
        "x.example": {"MX": ["20 b.x.example.", "10 a.x.example."]},
        "a.x.example": {"A": ["8.8.8.8"], "AAAA": ["2600::1"]},
        "b.x.example": {"A": ["9.9.9.9"]},
    }
    assert await places(zone, mx_port=2525) == [
        ("8.8.8.8:2525", "a.x.example"),
        ("[2600::1]:2525", "a.x.example"),
        ("9.9.9.9:2525", "b.x.example"),
    ]


async def test_without_mx_the_domain_itself() -> None:
    """No MX record: the domain's own address; a domain without either, or none at all, gets no mail (RFC 5321 5.1)."""
    assert await places({"x.example": {"A": ["8.8.8.8"]}}) == [("8.8.8.8:25", "x.example")]
    assert await refusal({"x.example": {"TXT": ["x"]}}) == "550 5.4.4 T"
    assert await refusal({}) == "550 5.1.2 K"
    assert await refusal({}, "[8.8.8.8]") == "550 5.1.2 K"
    assert await refusal({}, "a" * 70 + ".example") == "550 5.1.2 K"


async def test_null_mx() -> None:
    """A domain that says it takes no mail is believed at once (RFC 7505)."""
    assert await refusal({"x.example": {"MX": ["0 ."], "A": ["8.8.8.8"]}}) == "556 5.1.10"


async def test_our_own_name_ends_the_list() -> None:
    """Hosts that are not before us would send the mail back; where we are the first, it is a loop (RFC 5321 5.1)."""
    zone = {
        "x.example": {"MX": ["10 a.x.example.", f"20 {OURS.upper()}.", "20 b.x.example.", "30 c.x.example."]},
        **{f"{each}.x.example": {"A": ["8.8.8.8"]} for each in "abc"},
    }
    assert await places(zone) == [("8.8.8.8:25", "a.x.example")]
    assert await refusal({"x.example": {"MX": [f"10 {OURS}.", "20 b.x.example."]}}) == "554 5.4.6 T"
    assert await refusal({OURS: {"A": ["8.8.8.8"]}}, OURS) == "554 5.4.6 T"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.8", "192.168.1.1", "169.254.169.254", "0.0.0.1", "224.0.0.1", "100.64.0.1"]
)
async def test_strangers_cannot_lead_us_into_private_networks(address: str) -> None:
    """Whoever writes a zone must not reach our own hosts; networks that are allowed by name may be reached."""
    zone = {"x.example": {"MX": ["10 a.x.example."]}, "a.x.example": {"A": [address]}}
    assert await refusal(zone) == "550 5.4.4 M"
    assert await places(zone, mx_private=(f"{address}/32",)) == [(f"{address}:25", "a.x.example")]
    mapped = {"x.example": {"AAAA": [f"::ffff:{address}"]}}
    assert await refusal(mapped) == "550 5.4.4 M"


async def test_answers_are_bounded() -> None:
    """A zone with a thousand hosts costs no thousand attempts."""
    zone: dict[str, Any] = {"x.example": {"MX": [f"{n} m{n}.x.example." for n in range(30)]}}
    for number in range(30):
        zone[f"m{number}.x.example"] = {"A": [f"8.8.{number}.{n}" for n in range(9)]}
    assert len(await places(zone)) == MOST_EXCHANGERS * MOST_ADDRESSES


async def test_what_dns_cannot_say_now_is_tried_again() -> None:
    """SERVFAIL and silence are nobody's fault: no sender is told that a domain does not exist."""
    zone = {"x.example": {"MX": ["10 a.x.example.", "20 b.x.example."]}, "b.x.example": {"A": ["8.8.8.8"]}}
    async with Names(zone) as names:
        lookup = Lookup(direct(names, connect_timeout=0.5), OURS)
        names.broken.add("a.x.example")
        assert [each.host for each in (await lookup.places("x.example"))[0]] == ["b.x.example"]
        names.broken.add("b.x.example")
        with pytest.raises(HopError):
            await lookup.places("x.example")
        names.broken = {"x.example"}
        with pytest.raises(HopError):
            await lookup.places("x.example")
        names.silent = True
        with pytest.raises(HopError):
            await lookup.places("x.example")


async def test_an_answer_stands_for_its_ttl_and_longer_in_need() -> None:
    """Nobody is asked again before the TTL is over; when DNS is away the old answer serves for a day (RFC 8767)."""
    now = 1000.0
    async with Names({"x.example": {"A": ["8.8.8.8"]}}, ttl=300) as names:
        mx = MxPlaces(Lookup(direct(names, connect_timeout=0.5), OURS), "x.example", lambda: now)
        for _ in range(3):
            await mx.find()
        assert names.asked.count("x.example MX") == 1
        now += 299
        await mx.find()
        assert names.asked.count("x.example MX") == 1
        now += 2
        names.zone["x.example"] = {"A": ["9.9.9.9"]}
        names.ttl = 10**6
        assert [each.endpoint for each in await mx.find()] == ["9.9.9.9:25"]
        now += LONGEST_TTL + 1
        names.broken.add("x.example")
        assert [each.endpoint for each in await mx.find()] == ["9.9.9.9:25"]
        now += STALE_SECONDS
        with pytest.raises(HopError):
            await mx.find()
        names.broken.clear()
        names.zone.clear()
        with pytest.raises(NowhereError):
            await mx.find()


@asynccontextmanager
async def sending(names: Names, **more: Any) -> AsyncIterator[Hops]:
    """Build the hops of a configuration that sends directly, over loopback."""
    hop = direct(names, mx_private=("127.0.0.0/8",), **more)
    hops = Hops(Settings.model_construct(hostname=OURS, hops=(hop,)))
    try:
        yield hops
    finally:
        await hops.close()


async def test_each_domain_has_connections_of_its_own() -> None:
    """Mail goes to the domain's own host, over a kept connection the second time; another domain's is another hop."""
    zone = {f"{each}.example": {"A": ["127.0.0.1"]} for each in "xy"}
    async with FakeHop() as fake, Names(zone) as names, sending(names, mx_port=fake.port) as hops:
        for domain in ("x.example", "x.example", "y.example"):
            hop = hops.by_name(f"direct@{domain}")
            assert isinstance(hop, SmtpHop)
            assert (await deliver(hop))[0].code == 250
        assert fake.connections == 2
        assert hops.by_name("direct@x.example") is hops.by_name("direct@x.example")
        assert await hops.by_name("direct").known_limits() is None
        with pytest.raises(HopError):
            await hops.by_name("direct").begin()


async def test_where_there_is_nobody_each_recipient_is_refused() -> None:
    """The sender reads why, at once, and the hop's breaker stays closed: nothing is wrong with anybody else."""
    async with Names({"x.example": {"MX": ["0 ."]}}) as names, sending(names) as hops:
        hop = hops.by_name("direct@x.example")
        for _ in range(5):
            transaction = await hop.begin()
            replies = await transaction.envelope(path("a@x.example", "b@x.example"))
            assert [str(each)[:10] for each in replies] == ["556 5.1.10"] * 2
            await transaction.abandon()
        assert hop.usable
        assert await hop.known_limits() is None
        assert isinstance(hop, SmtpHop)
        assert (await hop.probe(Mailbox.parse("a@x.example"))).code == 556


async def test_the_next_exchanger_takes_over() -> None:
    """A host that does not answer is passed over for the next one, and then not tried first."""
    zone = {
        "x.example": {"MX": ["10 dead.x.example.", "20 good.x.example."]},
        "dead.x.example": {"A": ["127.0.0.9"]},
        "good.x.example": {"A": ["127.0.0.1"]},
    }
    async with FakeHop() as fake, Names(zone) as names, sending(names, mx_port=fake.port) as hops:
        hop = hops.by_name("direct@x.example")
        for _ in range(2):
            assert (await deliver(hop))[0].code == 250
        assert len(fake.messages) == 2
