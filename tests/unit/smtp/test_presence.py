"""Who is here: counts per client that cannot be dodged, and acceptances that nobody forgets."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gateway.smtp.presence import Presence, plain_address


class Guest:
    """A connection that remembers what it was asked."""

    def __init__(self) -> None:
        """Begin."""
        self.asked: list[str] = []

    def drain(self) -> None:
        """Remember."""
        self.asked.append("drain")

    def abort(self) -> None:
        """Remember."""
        self.asked.append("abort")


def test_the_total_is_bounded() -> None:
    """The limit is exact, and who leaves makes room for one, once."""
    presence = Presence(most=2, most_per_client=9)
    first = Guest()
    assert presence.admit(first, "192.0.2.1")
    assert presence.admit(Guest(), "192.0.2.2")
    refused = Guest()
    assert not presence.admit(refused, "192.0.2.3")
    presence.dismiss(refused)
    assert len(presence) == 2
    presence.dismiss(first)
    presence.dismiss(first)
    assert len(presence) == 1
    assert presence.admit(Guest(), "192.0.2.3")
    assert not presence.admit(Guest(), "192.0.2.3")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_one_client_is_one_address_or_one_site(one: str, other: str, *, same: bool) -> None:
    """An IPv6 client cannot get around its limit by choosing another address of its /64."""
    presence = Presence(most=9, most_per_client=1)
    assert presence.admit(Guest(), one)
    assert presence.admit(Guest(), other) is not same


def test_counting_out_leaves_nothing_behind() -> None:
    """A client that comes and goes a thousand times may come again."""
    presence = Presence(most=1, most_per_client=1)
    for _ in range(1000):
        guest = Guest()
        assert presence.admit(guest, "192.0.2.1")
        presence.dismiss(guest)
    assert len(presence) == 0
    assert not presence._per_client


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (("192.0.2.1", 25), "192.0.2.1"),
        (("::ffff:192.0.2.1", 25, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 25, 0, 2), "fe80::1"),
        (("2001:DB8::1", 25, 0, 0), "2001:db8::1"),
    ],
)
def test_an_address_has_one_form(peer: object, expected: str) -> None:
    """An IPv4 client is the same whatever the listener's family; scopes are no part of an address."""
    assert plain_address(peer) == expected


@pytest.mark.parametrize("peer", [None, "", "/run/x", (), ("not an address", 1)])
def test_a_peer_without_an_address_is_refused(peer: object) -> None:
    """Nobody without an address is counted, so nobody without one is let in."""
    with pytest.raises(ValueError, match="address"):
        plain_address(peer)


async def test_an_acceptance_runs_to_its_end() -> None:
    """Nobody needs to wait for it; `emptied` does."""
    presence, gate = Presence(most=1, most_per_client=1), asyncio.Event()
    finished: list[str] = []

    async def acceptance() -> None:
        await gate.wait()
        finished.append("taken")

    presence.take(acceptance())
    await asyncio.sleep(0)
    assert presence.taking == 1
    gc.collect()
    emptied = asyncio.create_task(presence.emptied())
    await asyncio.sleep(0.01)
    assert not emptied.done()
    gate.set()
    await asyncio.wait_for(emptied, 60)
    assert (presence.taking, finished) == (0, ["taken"])


async def test_an_acceptance_that_fails_is_counted_out() -> None:
    """Whatever it was, a drain does not wait for what has ended."""
    presence = Presence(most=1, most_per_client=1)

    async def fails() -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    presence.take(fails())
    assert presence.taking == 1
    await asyncio.wait_for(presence.emptied(), 60)
    assert presence.taking == 0


async def test_drain_and_abort_reach_every_guest() -> None:
    """Everybody is asked, and `emptied` returns when the last one has left."""
    presence = Presence(most=9, most_per_client=9)
    guests = [Guest() for _ in range(3)]
    for each in guests:
        presence.admit(each, "192.0.2.1")
    presence.drain()
    assert presence.draining
    presence.abort()
    assert [each.asked for each in guests] == [["drain", "abort"]] * 3
    emptied = asyncio.create_task(presence.emptied())
    for each in guests:
        await asyncio.sleep(0)
        assert not emptied.done()
        presence.dismiss(each)
    await asyncio.wait_for(emptied, 60)
